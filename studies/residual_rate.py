"""Does a network that learns only the correction train faster, end better and stay safer, and at which learning rates?

A CNN of three layers and twelve channels on blurred and noisy chest slices of 128 pixels, in crops of 32: x_hat = f(y),
y + f(y), y + f(y) whose last layer starts at zero, and y + 0.1 f(y) with the same start; with ReLU and with leaky ReLU.
The learning rate stays what it is. Beside the networks stand the linear filter that least squares fits to the same
slices, 7 pixels wide as their field, and doing nothing. `worst` is the largest error so far, seen after 1, 2, 3, 5, 7,
10, … updates; `alive` is the share of channels of the last hidden layer that are positive somewhere; an error of `inf`
is a training that has diverged. Patients, noise, crops, weights and batches come from the seed.

Not covered: other tasks than the blur, other depths and widths, schedules, optimisers other than Adam, normalisation.
"""
import math

import torch
from torch import nn

import course
from studies.engine import grid
from studies.unet_versus_cnn import linear, make_cnn, people

SEEDS = 10
FIGURE = {"lines": "form", "panels": "rate", "where": {"activation": ["relu", "none"]}}
SIDE = 128                     # pixels, side of the slices
PATIENTS = 12, 6               # training, test
CROPS, TEST_CROPS = (128, 32), (24, 48)  # number and side in pixels
BATCH = 4                      # crops per update
BLUR, SIGMA = 1.0, 0.02        # standard deviations: of the blur in pixels, of the noise in grey levels
DEPTH, CHANNELS = 3, 12
SLOPES = {"relu": 0.0, "leaky": 0.1}
FORMS = ["plain", "residual", "zero", "damped"]
WATCHED = (0, 1, 2, 3, 5, 7, 10, 15, 20, 30, 50, 70, 100, 140, 200, 280, 400, 560, 800, 1120, 1600, 2240, 3200, 4480,
           6400)
UPDATES = 0, 20, 100, 400, 1600, 6400
NETWORKS = {"activation": ["relu", "leaky"], "updates": [UPDATES]}
GRID = (grid(form=["linear", "nothing"], rate=[0.0], activation=["none"], updates=[0])
        + grid(form=FORMS, rate=[1e-3, 3e-3, 1e-2, 3e-2], **NETWORKS))


class Form(nn.Module):
    """x_hat = y + scale f(y), or f(y); `zero` sets the last layer of f to zero."""

    def __init__(self, form, slope):
        super().__init__()
        self.shortcut, self.scale = form != "plain", 0.1 if form == "damped" else 1.0
        self.layers = make_cnn(DEPTH, CHANNELS, slope, residual=False).layers
        if form in ("zero", "damped"):
            nn.init.zeros_(self.layers[-1].weight)
            nn.init.zeros_(self.layers[-1].bias)

    def forward(self, y):
        return y + self.scale * self.layers(y) if self.shortcut else self.layers(y)


def measure(x):
    return course.add_noise(course.blur(x, course.gaussian(BLUR)), SIGMA)


def run(*, form, rate, activation, updates, seed):
    torch.manual_seed(seed)
    slices, others = people(seed, SIDE, *PATIENTS)
    blurred = measure(slices)  # blurred first, cut afterwards
    y, x = course.crops(blurred, slices, count=CROPS[0], size=CROPS[1])
    y_test, x_test = course.crops(measure(others), others, count=TEST_CROPS[0], size=TEST_CROPS[1])
    if form == "nothing":
        return {"rmse": course.rmse(y_test, x_test, together=True), "weights": 0}
    if form == "linear":
        x_hat, weights = linear(blurred, slices, y_test, 2 * DEPTH + 1)
        return {"rmse": course.rmse(x_hat, x_test, together=True), "weights": weights}
    model, worst, rows = Form(form, SLOPES[activation]), 0.0, {}

    def watch(step, model):
        nonlocal worst
        if step not in WATCHED:
            return
        error = course.rmse(model(y_test), x_test, together=True)
        error = error if math.isfinite(error) else math.inf
        worst = max(worst, error)
        alive = (model.layers[:-1](y_test) > 0).any(0).flatten(1).any(1).float().mean()
        rows[step] = {"rmse": error, "worst": worst, "alive": alive, "weights": course.parameter_count(model)}
    try:
        course.fit(model, y, x, steps=max(*updates, 1), lr=rate, batch=BATCH, watch=watch)
    except ValueError:
        if math.isfinite(max(row["rmse"] for row in rows.values())):
            raise
    return [rows[step] for step in updates]
