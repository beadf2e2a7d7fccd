"""Does a UNet reconstruct better than a plain CNN of equal receptive field, size and activation?

Three artefacts on chest slices of 48 pixels, each with noise: a blur, the streaks of filtered back-projection from
eight views, a shading that varies slowly. Beside the networks stand the linear filter that least squares fits to the
same pictures, with a window as wide as their field, and doing nothing. A training spends the last eighth of its updates
at a tenth of its learning rate. Patients, noise, shading, weights and batches come from the seed.

Not covered: other sizes of picture, of network and of training set; other losses; noise that is drawn anew in every
update; learning rates other than the three, on the shading four; CNNs that get their wide field by larger kernels or by
dilation.
"""
import copy

import torch
import torch.nn.functional as F
from torch import nn

import course
from studies.engine import grid

SEEDS = 10
FIGURE = {"lines": "method", "panels": "task", "where": {"rate": [0.0, 4e-3]}}
SIDE = 48             # pixels, side of the slices
PATIENTS = 48, 12     # training, test
BATCH = 2             # pictures per update
FIELD = 17            # pixels, width of the networks' receptive field
SLOPE = 0.1           # of the leaky ReLU in both networks
SIGMA = 0.02          # noise standard deviation, grey levels in [0, 1]
BLUR = 1.0            # pixels, standard deviation of the blur
VIEWS = 8             # angles of the back-projection
SHADE, SHADE_SD = 0.3, 10  # largest absolute value of the shading; its smoothness in pixels
TASKS = ["blur", "streaks", "shading"]
UPDATES = 120, 480, 1920, 7680
GRID = (grid(task=TASKS, method=["linear", "nothing"], rate=[0.0], updates=[0])
        + grid(task=TASKS, method=["unet", "cnn"], rate=[4e-3], updates=[UPDATES])
        + grid(task=TASKS, method=["unet", "cnn"], rate=[8e-3, 1e-3], updates=[UPDATES])
        + grid(task=["shading"], method=["unet", "cnn"], rate=[1.6e-2], updates=[UPDATES]))


def disc(side):
    """One inside the circle that every view sees, else zero."""
    at = torch.linspace(-1, 1, side)
    return (at[:, None]**2 + at**2 <= 1).float()


def people(seed, side, train, test):
    """Slices of patients that no other seed has, inside the circle: (train, 1, side, side), (test, 1, side, side)."""
    first = 1000 + 100 * seed
    x = course.phantoms(range(first, first + train + test), side) * disc(side)
    return x[:train], x[train:]


def streaks(x, views):
    """Filtered back-projection of x from few views, evenly spaced over 180 degrees."""
    radon = course.Radon(x.shape[-1], torch.arange(views) * 180 / views)
    return radon.fbp(radon(x)) * disc(x.shape[-1])


def shading(shape):
    """Smooth random fields, each with largest absolute value SHADE."""
    window = course.gaussian(SHADE_SD).sum(0)
    height, width = (n + len(window) - 1 for n in shape[2:])
    field = torch.randn(*shape[:2], height, width)
    field = F.conv2d(F.conv2d(field, window[None, None, None, :]), window[None, None, :, None])
    return SHADE * field / field.abs().amax((2, 3), keepdim=True)


def spoil(x, task, views=VIEWS):
    """x with one of the artefacts and noise."""
    if task == "blur":
        z = course.blur(x, course.gaussian(BLUR))
    elif task == "streaks":
        z = streaks(x, views)
    else:
        z = x + shading(x.shape)
    return z + SIGMA * torch.randn_like(z)


def make_unet():
    return course.UNet(levels=2, channels=5, slope=SLOPE)


def make_cnn(depth=8, channels=10, slope=SLOPE, **form):
    """The plain CNN of the book with a leaky ReLU; its field is 2 depth + 1 pixels wide."""
    model = course.CNN(depth, channels, **form)
    model.layers = nn.Sequential(*(nn.LeakyReLU(slope) if isinstance(a, nn.ReLU) else a for a in model.layers))
    return model


def linear(y, x, y_test, field):
    """The filter that least squares fits to all windows of the pictures y, applied to y_test, and its weights."""
    def pad(z):
        return F.pad(z.double(), [field // 2] * 4, mode="reflect")  # zeros would be a border that no filter can expect
    square, right = 0, 0
    for a, b in zip(y.split(1), x.split(1)):
        windows = F.unfold(pad(a), field)[0]  # (field², pixels)
        windows = torch.cat([windows, torch.ones_like(windows[:1])])
        square, right = square + windows @ windows.T, right + windows @ b.double().flatten()
    w = torch.linalg.solve(square, right)
    return F.conv2d(pad(y_test), w[:-1].view(1, 1, field, field), w[-1:]).to(y), len(w)


def train(network, y, x, *, updates, rate, batch, seed):
    """The network after each number of updates, of which the last eighth has a tenth of the learning rate."""
    kept = {}

    def watch(step, model):
        for u in updates:
            if step == u - u // 8:
                kept[u] = copy.deepcopy(model)
    torch.manual_seed(seed)  # the same batches for all networks
    course.fit(network, y, x, steps=max(updates) - max(updates) // 8, lr=rate, batch=batch, watch=watch)
    for u, model in kept.items():
        torch.manual_seed(seed)
        course.fit(model, y, x, steps=u // 8, lr=rate / 10, batch=batch)
    return [kept[u] for u in updates]


def errors(x_hat, x):
    """RMSE over all pixels, over the steepest 15 % and the flattest half of the truth, and of the means of 8×8."""
    steep = torch.hypot(*torch.gradient(x, dim=(2, 3)))
    values = torch.sort(steep.flatten()).values
    edges, flat = steep > values[int(0.85 * len(values))], steep <= values[len(values) // 2]
    parts = {"rmse": (x_hat, x), "rmse_edges": (x_hat[edges], x[edges]), "rmse_flat": (x_hat[flat], x[flat]),
             "rmse_blocks": (F.avg_pool2d(x_hat, 8), F.avg_pool2d(x, 8))}
    return {name: course.rmse(*pair, together=True) for name, pair in parts.items()}


def rival(method, y, x, y_test, x_test, field):
    """The row of the linear filter or of doing nothing."""
    x_hat, weights = linear(y, x, y_test, field) if method == "linear" else (y_test, 0)
    return errors(x_hat, x_test) | {"weights": weights}


@torch.no_grad()
def judge(network, y, x, y_test, x_test):
    """The row of a trained network."""
    return errors(network(y_test), x_test) | {"rmse_train": course.rmse(network(y), x, together=True),
                                              "weights": course.parameter_count(network)}


def run(*, task, method, rate, updates, seed):
    torch.manual_seed(seed)
    x, x_test = people(seed, SIDE, *PATIENTS)
    data = spoil(x, task), x, spoil(x_test, task), x_test
    if method in ("linear", "nothing"):
        return rival(method, *data, FIELD)
    network = make_unet() if method == "unet" else make_cnn()
    trained = train(network, *data[:2], updates=updates, rate=rate, batch=BATCH, seed=seed)
    return [judge(one, *data) for one in trained]
