"""Does a trained network treat all places alike: at the border of the picture, and on the coarse grid of a UNet?

CNNs of three and of eight layers and a UNet of two levels, each with about 5650 weights and the same leaky ReLU,
learn to undo a blur with noise on crops of 32 pixels of chest slices. Beside them stand the linear filter that least
squares fits to the same crops, as wide as the CNN's field, and doing nothing.

Borders: what was trained under one padding `rule` runs under all of them with the same weights, on crops of 48 pixels
of other patients. `rim_zeros` is the RMSE on the outermost ring under zeros, `rim_true` that with the true pixels
outside; `all_…` is the RMSE on the whole crop, `slice_…` that on the outermost ring of whole slices, where air lies.
Coarse grid: the input is shifted by 1, 2, 3 or 4 pixels and the output shifted back. `moved_1` is how far the
interior moves, as a part of its RMSE `inner`; `inner_1` is its RMSE after the shift by one pixel. Patients, noise,
crops, weights and batches come from the seed.

Not covered: other tasks than the blur; paddings that learn; networks with other ways to halve the grid; learning
rates other than the one.
"""
import torch
import torch.nn.functional as F
from torch import nn

import course
from studies.engine import grid
from studies.residual_rate import measure
from studies.unet_versus_cnn import make_cnn, make_unet, people, train

SEEDS = 10
FIGURE = {"metric": "rim_circular", "lines": "rule", "panels": "depth", "where": {"method": ["cnn"]}}
RULES = ["zeros", "reflect", "replicate", "circular"]
SIDE = 128                               # pixels, side of the slices
PATIENTS = 12, 6                         # training, test
CROPS, TEST_CROPS = (128, 32), (64, 64)  # number and side in pixels
MARGIN = 8                               # pixels cut off a test crop: as far as eight layers see
DEEP = 20                                # pixels from the border of a test crop: more than a UNet sees, and a shift
BATCH, RATE = 4, 4e-3                    # crops per update, learning rate
CHANNELS = {3: 24, 8: 10}                # by depth: equal in size
UPDATES = 100, 400
GRID = (grid(method=["nothing"], depth=[0], rule=["none"], updates=[0])
        + grid(method=["linear"], depth=[3], rule=["zeros"], updates=[0])
        + grid(method=["unet"], depth=[2], rule=["zeros"], updates=[(*UPDATES, 1600)])
        + grid(method=["cnn"], depth=[3], rule=["zeros", "reflect", "circular"], updates=[UPDATES])
        + grid(method=["cnn"], depth=[8], rule=["zeros"], updates=[UPDATES]))


def pad(z, width, rule):
    """z with a frame of this width, filled as the rule says."""
    return F.pad(z, [width] * 4, mode="constant" if rule == "zeros" else rule)


def fitted(y, x, width, rule):
    """The linear filter that least squares fits under a rule, as a function of pictures and rule."""
    square, right = 0, 0
    for a, b in zip(y.split(16), x.split(16)):
        windows = F.unfold(pad(a.double(), width // 2, rule), width).transpose(0, 1).flatten(1)  # (width², pixels)
        square, right = square + windows @ windows.T, right + windows @ b.double().flatten()
    weight = torch.linalg.solve(square, right).view(1, 1, width, width)
    return lambda z, rule: F.conv2d(pad(z.double(), width // 2, rule), weight).float()


def under(network):
    """A CNN as a function of pictures and padding rule."""
    def restore(z, rule):
        for layer in network.layers:
            if isinstance(layer, nn.Conv2d):
                layer.padding_mode = rule
        return network(z)
    return restore


def ring(z):
    """The outermost pixels of pictures (B, 1, N, N)."""
    return torch.cat([z[..., 0, :], z[..., -1, :], z[..., 1:-1, 0], z[..., 1:-1, -1]], dim=-1)


def at_borders(restore, y, x, slices, truth):
    """RMSE on rim and whole of crops that know what lies outside, and on the rim of whole slices, under all rules."""
    cut = (..., slice(MARGIN, -MARGIN), slice(MARGIN, -MARGIN))
    row = {}
    for rule in [*RULES, "true"]:
        x_hat = restore(y, "reflect")[cut] if rule == "true" else restore(y[cut], rule)
        row[f"rim_{rule}"] = course.rmse(ring(x_hat), ring(x[cut]), together=True)
        row[f"all_{rule}"] = course.rmse(x_hat, x[cut], together=True)
        if rule != "true":
            row[f"slice_{rule}"] = course.rmse(ring(restore(slices, rule)), ring(truth), together=True)
    return row


def under_shifts(restore, y, x):
    """RMSE of the interior of crops, and how far it moves if the input is shifted and the output shifted back."""
    deep = (..., slice(DEEP, -DEEP), slice(DEEP, -DEEP))
    there = [restore(y.roll((a, a), (2, 3))).roll((-a, -a), (2, 3))[deep] for a in range(5)]
    inner, inner_1 = (course.rmse(x_hat, x[deep], together=True) for x_hat in there[:2])
    moved = {f"moved_{a}": course.rmse(there[a], there[0], together=True) / inner for a in range(1, 5)}
    return {"inner": inner, "inner_1": inner_1, **moved}


@torch.no_grad()
def judge(network, *data):
    """The row of a trained network."""
    row = under_shifts(network, *data[:2]) | {"weights": course.parameter_count(network)}
    return row | (at_borders(under(network), *data) if isinstance(network, course.CNN) else {})


def run(*, method, depth, rule, updates, seed):
    torch.manual_seed(seed)
    slices, others = people(seed, SIDE, *PATIENTS)
    blurred, whole = measure(slices), measure(others)
    y, x = course.crops(blurred, slices, count=CROPS[0], size=CROPS[1])
    data = *course.crops(whole, others, count=TEST_CROPS[0], size=TEST_CROPS[1]), whole, others
    if method == "nothing":
        return at_borders(lambda z, rule: z, *data)
    if method == "linear":
        return at_borders(fitted(y, x, 2 * depth + 1, rule), *data)
    network = make_unet() if method == "unet" else make_cnn(depth, CHANNELS[depth], padding_mode=rule)
    trained = train(network, y, x, updates=updates, rate=RATE, batch=BATCH, seed=seed)
    return [judge(one, *data) for one in trained]
