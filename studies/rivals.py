"""Do two rivals change what the studies of the UNet and of the residual network found?

`wide` is a UNet without skips that has nine channels where those of `skips` have eight, and so as many weights as they
have with skips. `tv` is total variation, in [0, 1], by 200 steps of a primal-dual iteration, for the measurements of
`skips`, of `residual_rate` and of `unet_versus_cnn`; its weight is the best of nine on four training patients. For the
streaks the operator is projection and filtered back-projection, as one matrix. The shading has no linear operator, so
that total variation only takes the noise away there. Patients, noise, crops, weights and batches come from the seed,
and are those of the other study.

Not covered: other penalties; total variation from the sinogram itself.
"""
from functools import lru_cache

import torch

import course
from studies import residual_rate as rate
from studies import skips
from studies.engine import grid
from studies.learned_versus_tv import tv
from studies.unet_versus_cnn import BLUR, PATIENTS, SIDE, TASKS, VIEWS, errors, judge, people, spoil, train
from studies.unet_versus_cnn import streaks as with_streaks

SEEDS = 10
FIGURE = {"lines": ["method", "shortcut"], "panels": "of", "where": {"of": ["skips"]}}
CHANNELS = 9              # of the wide UNet's finest level
TUNING, STEPS = 4, 200
WEIGHTS = 0.0003, 0.0006, 0.001, 0.002, 0.004, 0.008, 0.016, 0.03, 0.06
OF = ["skips", "residual_rate", "blur", "streaks", "shading"]
GRID = (grid(of=OF, method=["tv"], levels=[0], shortcut=[False], updates=[0])
        + grid(of=["skips"], method=["wide"], levels=[3, 2, 1], shortcut=[True, False],
               updates=[(120, 480, 1920, 7680)]))


def data(of, seed):
    """Measurements and pictures to train and to test, as the other study makes them: y, x, y_test, x_test."""
    torch.manual_seed(seed)
    if of == "residual_rate":
        x, x_test = people(seed, rate.SIDE, *rate.PATIENTS)
        y = rate.measure(x)
        course.crops(y, x, count=rate.CROPS[0], size=rate.CROPS[1])  # draws as often as there
        return y, x, rate.measure(x_test), x_test
    size = (skips.SIDE, *skips.PATIENTS) if of == "skips" else (SIDE, *PATIENTS)
    x, x_test = people(seed, *size)
    task = of if of in TASKS else "blur"
    return spoil(x, task), x, spoil(x_test, task), x_test


def blur(x):
    """The blur of all three studies, which is its own adjoint."""
    return course.blur(x, course.gaussian(BLUR))


@lru_cache(maxsize=1)
def streaks(side):
    """The matrix of projection and filtered back-projection, one row a pixel: (side², side²); and its norm."""
    one = torch.eye(side**2).view(-1, 1, side, side)
    A = torch.cat([with_streaks(x, VIEWS) for x in one.split(64)]).flatten(1)
    return A, torch.linalg.matrix_norm(A, 2)


def operator(of, side):
    """K, its adjoint and its norm."""
    if of == "shading":
        return lambda x: x, lambda y: y, 1.0
    if of != "streaks":
        return blur, blur, 1.0
    A, norm = streaks(side)
    return lambda x: (x.flatten(1) @ A).view_as(x), lambda y: (y.flatten(1) @ A.T).view_as(y), norm


def run(*, of, method, levels, shortcut, updates, seed):
    y, x, y_test, x_test = data(of, seed)
    if method == "wide":
        pairs = course.crops(y, x, size=skips.CROP, count=skips.CROPS)
        network = course.UNet(levels, CHANNELS, skips=False, residual=shortcut)
        trained = train(network, *pairs, updates=updates, rate=skips.RATE, batch=skips.BATCH, seed=seed)
        return [judge(one, *pairs, y_test, x_test) for one in trained]
    K, KT, norm = operator(of, x.shape[-1])

    def restore(y, weight):
        return tv(y / norm, weight / norm**2, STEPS, lambda x: K(x) / norm, lambda q: KT(q) / norm, y.clamp(0, 1))

    found = {w: course.rmse(restore(y[:TUNING], w), x[:TUNING], together=True) for w in WEIGHTS}
    best = min(found, key=found.get)
    x_hat = restore(y_test, best)
    if of == "residual_rate":  # judges crops, drawn next
        size, count = rate.TEST_CROPS[::-1]
        x_hat, x_test = course.crops(x_hat, x_test, size=size, count=count)
    return errors(x_hat, x_test) | {"weights": 1, "penalty": best}
