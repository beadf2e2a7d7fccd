"""How much of its receptive field does a trained network use, and when does a larger field help?

CNNs of 3, 5, 8 and 12 layers and a UNet of two levels, all of about 5700 weights and with the same leaky ReLU, on
chest slices of 48 pixels with a blur, whose evidence is near, or with a shading that varies slowly, whose evidence is
far. Beside them stand the linear filter that least squares fits to the same slices, as wide as the field of a CNN of
that depth, doing nothing, and for the blur total variation with its best weight out of three.

The field is the mean squared derivative of the correction x_hat − y, over test patients and sixteen output pixels,
with sum 1. `area` counts the pixels of the theoretical field, `pixels` those, the fewest, that hold 95 % of the sum,
`pixels_99` those that hold 99 %; `sd` and `kurtosis` are those of its profile along an axis. `here` is the RMSE at
the sixteen pixels, `here_cut` the same where all input pixels but those `pixels` come from another patient,
`here_cut_99` but those `pixels_99`. A training spends the last eighth of its updates at a tenth of its learning rate.
Patients, noise, shading, weights and batches come from the seed.

Not covered: other sizes of network and picture, other learning rates, attention.
"""
import torch
import torch.nn.functional as F

import course
from studies.engine import grid
from studies.places import pad
from studies.unet_versus_cnn import (
    BATCH,
    SIDE,
    errors,
    judge,
    make_cnn,
    make_unet,
    people,
    rival,
    spoil,
    train,
)

SEEDS = 10
FIGURE = {"metric": "pixels", "lines": ["method", "depth"], "panels": "task", "where": {"method": ["cnn", "unet"]}}
PATIENTS = 24, 8                          # training, test
RATE = 4e-3
REACH = 12                                # pixels to either side in which the derivative is kept: what 12 layers see
CHANNELS = {3: 24, 5: 14, 8: 10, 12: 8}   # by depth: about equal in size
LEVELS = 2                                # of the UNet, whose field is as wide as that of eight layers
PLACES = [(r, c) for r in range(16, 32, 4) for c in range(16, 32, 4)]  # on one position of the UNet's grids
UPDATES = 100, 400
TV_WEIGHTS = 0.001, 0.002, 0.004
TASKS = ["blur", "shading"]
GRID = (grid(task=TASKS, method=["nothing"], depth=[0], updates=[0])
        + grid(task=["blur"], method=["tv"], depth=[0], updates=[0])
        + grid(task=TASKS, method=["unet"], depth=[LEVELS], updates=[UPDATES])
        + grid(task=TASKS, method=["cnn"], depth=[8, 5, 3, 12], updates=[UPDATES])
        + grid(task=TASKS, method=["linear"], depth=[3, 5, 8, 12], updates=[0]))


def tv(y, weight, rule):
    """The x of least |Kx − y|² / 2 + weight TV(x), where K is the blur of the task under a padding rule."""
    kernel = course.gaussian(1.0)[None, None]
    x = y.clone().requires_grad_()
    optimiser = torch.optim.LBFGS([x], max_iter=30, line_search_fn="strong_wolfe")

    def closure():
        optimiser.zero_grad()
        misfit = F.conv2d(pad(x, kernel.shape[-1] // 2, rule), kernel) - y
        down, right = x.diff(dim=2)[..., :-1], x.diff(dim=3)[:, :, :-1]
        value = misfit.square().sum() / 2 + weight * (down**2 + right**2 + 1e-6).sqrt().sum()
        value.backward()
        return value
    optimiser.step(closure)
    return x.detach()


def best_tv(y, x):
    """TV with the weight that is best on these pairs, as a function of pictures and rule."""
    y, x = y[:32], x[:32]
    weight = min(TV_WEIGHTS, key=lambda w: course.rmse(tv(y, w, "reflect"), x, together=True))
    return lambda z, rule: tv(z, weight, rule)


def window(z, r, c):
    """The pixels around one place: (B, 2 REACH + 1, 2 REACH + 1)."""
    return z[:, 0, r - REACH:r + REACH + 1, c - REACH:c + REACH + 1]


def field_of(network, y):
    """Mean squared derivative of the correction around its output pixel, sum 1: (2 REACH + 1, 2 REACH + 1)."""
    field = 0
    for r, c in PLACES:
        v = y.clone().requires_grad_()
        slope, = torch.autograd.grad((network(v) - v)[:, 0, r, c].sum(), v)
        field = field + window(slope, r, c).square().mean(0)
    return field / field.sum()


def holding(field, part):
    """Which pixels, the fewest, hold this part of a field: as the field, bool."""
    values, order = field.flatten().sort(descending=True)
    count = int((values.cumsum(0) < part).sum()) + 1
    return torch.zeros(field.numel(), dtype=torch.bool).index_fill(0, order[:count], True).view_as(field)


@torch.no_grad()
def error_with(network, y, x, kept):
    """RMSE at the places if all pixels around but the kept ones come from the next patient."""
    squares = []
    for r, c in PLACES:
        mixed = y.roll(1, 0)
        window(mixed, r, c)[:, kept] = window(y, r, c)[:, kept]
        squares.append((network(mixed) - x)[:, 0, r, c].square())
    return torch.stack(squares).mean().sqrt()


def sd_and_kurtosis(field):
    """Of the profile of a field about its middle pixel, mean of the two axes."""
    profile = (field.sum(0) + field.sum(1)) / 2
    t = torch.arange(len(profile)) - len(profile) // 2
    variance = (profile * t**2).sum()
    return variance.sqrt(), (profile * t**4).sum() / variance**2


def measures(network, y, x):
    """What the row of a trained network says of its field."""
    field = field_of(network, y)
    kept = {"": torch.ones_like(field) > 0, "_cut": holding(field, 0.95), "_cut_99": holding(field, 0.99)}
    row = {f"here{name}": error_with(network, y, x, pixels) for name, pixels in kept.items()}
    sd, kurtosis = sd_and_kurtosis(field)
    return row | {"pixels": kept["_cut"].sum(), "pixels_99": kept["_cut_99"].sum(), "sd": sd, "kurtosis": kurtosis}


def run(*, task, method, depth, updates, seed):
    torch.manual_seed(seed)
    x, x_test = people(seed, SIDE, *PATIENTS)
    data = spoil(x, task), x, spoil(x_test, task), x_test
    if method == "tv":
        return errors(best_tv(*data[:2])(data[2], "reflect"), x_test)
    if method in ("linear", "nothing"):
        return rival(method, *data, 2 * depth + 1)
    network = make_unet() if method == "unet" else make_cnn(depth, CHANNELS[depth])
    area = (2 * (8 if method == "unet" else depth) + 1)**2
    trained = train(network, *data[:2], updates=updates, rate=RATE, batch=BATCH, seed=seed)
    return [judge(one, *data) | measures(one, *data[2:]) | {"area": area} for one in trained]
