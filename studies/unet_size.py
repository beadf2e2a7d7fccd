"""Does the comparison of UNet and CNN change with the size of the networks, of the training set and of the pictures?

The networks of `unet_versus_cnn` on its shading, with one thing changed at a time: both networks a tenth and ten times
as large, an eighth and four times the patients, pictures of 96 pixels instead of 48, and a learning rate four times
as large. The receptive field stays 17 pixels wide; the two networks that are compared differ by at most 5 % in weights.
Beside them stand the linear filter and doing nothing. A training spends the last eighth of its updates at a tenth of
its learning rate. Patients, noise, shading, weights and batches come from the seed.

Not covered: the other artefacts, which `run` can make and no row has; two of these changes at once; longer trainings,
which large networks may need; wider fields.
"""
import torch

import course
from studies.engine import grid
from studies.unet_versus_cnn import BATCH, FIELD, PATIENTS, SLOPE, judge, make_cnn, people, rival, spoil, train

SEEDS = 10
FIGURE = {"lines": "method", "panels": "size", "where": {"rate": [0.0, 4e-3], "size": [
    "a tenth of the weights", "ten times the weights", "four times the patients"]}}
CHANNELS = {"small": (2, 4), "medium": (5, 10), "large": (16, 33)}  # of the UNet's finest level, of the CNN
UPDATES = 480, 1920
# What is changed: size of the networks, training patients, pixels
SIZES = {"a tenth of the weights": ("small", 48, 48), "ten times the weights": ("large", 48, 48),
         "an eighth of the patients": ("medium", 6, 48), "four times the patients": ("medium", 192, 48),
         "pictures of 96 pixels": ("medium", 48, 96), "a larger rate": ("medium", 48, 48)}


def cases(size, *rates):
    return (grid(task=["shading"], size=[size], method=["linear", "nothing"], rate=[0.0], updates=[0])
            + grid(task=["shading"], size=[size], method=["unet", "cnn"], rate=[*rates], updates=[UPDATES]))


GRID = (cases("a larger rate", 1.6e-2) + cases("a tenth of the weights", 4e-3)
        + cases("an eighth of the patients", 4e-3) + cases("four times the patients", 4e-3)
        + cases("ten times the weights", 4e-3, 1e-3) + cases("pictures of 96 pixels", 4e-3))


def run(*, task, size, method, rate, updates, seed):
    torch.manual_seed(seed)
    networks, patients, side = SIZES[size]
    x, x_test = people(10 * seed, side, patients, PATIENTS[1])  # leaves room for four times the patients
    data = spoil(x, task), x, spoil(x_test, task), x_test
    if method in ("linear", "nothing"):
        return rival(method, *data, FIELD)
    fine, wide = CHANNELS[networks]
    network = course.UNet(levels=2, channels=fine, slope=SLOPE) if method == "unet" else make_cnn(channels=wide)
    trained = train(network, *data[:2], updates=updates, rate=rate, batch=BATCH, seed=seed)
    return [judge(one, *data) for one in trained]
