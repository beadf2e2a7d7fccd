"""What does the last function of a network cost: none, a ReLU, a sigmoid or softplus?

A CNN of three layers undoes a Gaussian blur with noise on chest slices of 128 pixels; it trains on crops of 32 pixels.
All ends get the same initial weights, crops and batches. The weights are drawn again until a ReLU at the end would be
positive somewhere. `sharp` is softplus(10 z) / 10. `start` is the bias of the last layer: as PyTorch draws it; 0.1 or
0.5; such that the output of a zero is the mean grey level; or -6 or 6, far from the images. `training` is Adam at a
rate of 0.005, `fast` at four times that, `descent` gradient descent at a rate of 0.1, and `cross-entropy` Adam with
another loss. In units of `water` the targets are 2.4 times as large. The error is the mean of four looks in the last 30
updates, divided by the unit. Beside the networks stand doing nothing; the filter that least squares fits to the same
slices, 7 pixels wide as the network's field; and total variation, its weight tuned on training slices. Slices, noise,
crops, weights and batches come from the seed.

Not covered: other depths, widths and tasks; learning rates that fall; tanh.
"""
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import nn

import course
from studies.engine import grid
from studies.learned_versus_tv import tv
from studies.unet_versus_cnn import linear

SEEDS = 10
FIGURE = {"lines": "method", "panels": "unit",
          "where": {"start": ["default", "none"], "training": ["adam", "none"], "crops": [256, 0]}}
SIDE = 128             # pixels, side of the slices
PATIENTS = 12, 4       # training, test
CROP, BATCH = 32, 4    # pixels, side of a crop; crops per update
BLUR, SIGMA = 1.0, 0.02  # pixels; noise standard deviation, grey levels
WATER = 2.4            # attenuation in units of water per grey level
FIELD = 7              # pixels, width of the network's field
EVERY, LOOKS = 10, 4   # updates between two looks; looks whose errors are averaged
RATES = {"adam": 5e-3, "cross-entropy": 5e-3, "fast": 2e-2, "descent": 0.1}
BIASES = {"minus six": -6.0, "six": 6.0, "tenth": 0.1, "half": 0.5}
PENALTIES = 0.001, 0.002, 0.004, 0.008, 0.016
TUNING, TV_STEPS = 2, 100
ENDS = {"identity": nn.Identity(), "relu": nn.ReLU(), "sigmoid": nn.Sigmoid(), "softplus": nn.Softplus(),
        "sharp": nn.Softplus(beta=10)}
INVERSE = {"identity": lambda v: v, "sigmoid": torch.logit, "softplus": lambda v: v.expm1().log()}
SHORT, MIDDLE, LONG = (100,), (100, 300), (100, 300, 900)


def networks(method, start, updates, training=("adam",), unit="grey", crops=256):
    return grid(method=method, start=start, training=list(training), unit=[unit], crops=[crops], updates=[updates])


GRID = (grid(method=["nothing", "filter", "tv"], start=["none"], training=["none"], unit=["grey"], crops=[0],
             updates=[0])
        + networks(["identity", "sigmoid", "relu", "softplus", "sharp"], ["default"], LONG)
        + networks(["relu"], ["tenth", "half"], LONG)
        + networks(["sigmoid"], ["default"], LONG, ["cross-entropy"])
        + networks(["identity", "sigmoid", "softplus"], ["mean"], LONG)
        + networks(["identity", "sigmoid"], ["default"], LONG, ["fast"])
        + networks(["identity", "sigmoid"], ["default"], MIDDLE, crops=16)
        + networks(["identity", "sigmoid"], ["minus six", "six"], LONG)
        + networks(["relu"], ["minus six", "six"], SHORT)
        + networks(["sigmoid"], ["default", "minus six", "six"], MIDDLE, ["descent"])
        + networks(["identity", "sigmoid"], ["default"], LONG, unit="water"))


@lru_cache(maxsize=16)
def slices(seed):
    """Training and test pairs that no other seed has: y, x (12, 1, SIDE, SIDE), y, x (4, 1, SIDE, SIDE)."""
    first, (train, test) = 60000 + 100 * seed, PATIENTS
    x = course.phantoms(range(first, first + train + test), SIDE)
    torch.manual_seed(seed)
    y = course.add_noise(course.blur(x, course.gaussian(BLUR)), SIGMA)
    return y[:train], x[:train], y[train:], x[train:]


def error(x_hat, x):
    return course.rmse(x_hat, x, together=True)


def denoised(y, x, y_test):
    """Total variation with the weight that suits training slices best: an image, the weight."""
    def K(x):
        return course.blur(x, course.gaussian(BLUR))

    def restore(y, weight):
        return tv(y, weight, TV_STEPS, K, K, y)
    best = min(PENALTIES, key=lambda w: error(restore(y[:TUNING], w), x[:TUNING]))
    return restore(y_test, best), best


def rival(method, y, x, y_test, x_test):
    """The row of a method without a network."""
    if method == "nothing":
        return {"rmse": error(y_test, x_test), "rmse_black": error(0 * x_test, x_test),
                "black": (x_test == 0).float().mean()}
    x_hat, penalty = linear(y, x, y_test, FIELD) if method == "filter" else denoised(y, x, y_test)
    return {"rmse": error(x_hat, x_test), "penalty": penalty if method == "tv" else 0}


def fresh(y):
    """A network that would live with a ReLU at its end: drawn again until some output on y is positive."""
    while True:
        network = course.CNN(3, 16, residual=False)
        with torch.no_grad():
            if network(y).max() > 0:
                return network


def descend(network, y, x, *, steps, lr, loss, watch):
    """Gradient descent with a fixed step, in place of `course.fit`."""
    optimiser = torch.optim.SGD(network.parameters(), lr=lr)
    for step in range(steps):
        watch(step, network)
        chosen = torch.randperm(len(y))[:BATCH]
        optimiser.zero_grad()
        loss(network(y[chosen]), x[chosen]).backward()
        optimiser.step()
    watch(steps, network)


@torch.no_grad()
def judge(output, x, scale):
    """The row of an output in its own unit; errors in grey levels."""
    x_hat, bone, air = output / scale, x > 0.55, x < 0.02
    return {"rmse_now": error(x_hat, x), "rmse_clamped": error(output.clamp(0, 1) / scale, x),
            "rmse_bone": error(x_hat[bone], x[bone]), "brightest": output.max(), "black": (output == 0).float().mean(),
            "below": (output[air] < 0).float().mean(), "zero": (output[air] == 0).float().mean()}


def run(*, method, start, training, unit, crops, updates, seed):
    y, x, y_test, x_test = slices(seed)
    if method in ("nothing", "filter", "tv"):
        return rival(method, y, x, y_test, x_test)
    end, scale = ENDS[method], WATER if unit == "water" else 1.0
    torch.manual_seed(seed)
    y, x = course.crops(y, scale * x, size=CROP, count=crops)
    network = fresh(y)
    if start != "default":
        bias = BIASES[start] if start in BIASES else INVERSE[method](x.mean()).item()
        nn.init.constant_(network.layers[-1].bias, bias)
    errors, found = {}, {}

    def loss(z, x):
        if training == "cross-entropy":
            return F.binary_cross_entropy_with_logits(z, x)
        return F.mse_loss(end(z), x)

    def watch(step, network):
        if step % EVERY == 0 and any(step == 0 or u - LOOKS * EVERY < step <= u for u in updates):
            with torch.no_grad():
                output = end(network(y_test))
            errors[step] = error(output / scale, x_test)
            found[step] = judge(output, x_test, scale) if step in updates else {}

    torch.manual_seed(seed)  # the same batches for all
    how = {"steps": max(updates), "lr": RATES[training], "loss": loss, "watch": watch}
    descend(network, y, x, **how) if training == "descent" else course.fit(network, y, x, batch=BATCH, **how)
    return [{"rmse": sum(errors[u - k * EVERY] for k in range(LOOKS)) / LOOKS, "rmse_start": errors[0]} | found[u]
            for u in updates]
