"""What do the skips of a UNet carry, and can a shortcut from input to output replace them?

UNets of one to three levels, with and without skips, with and without the shortcut x_hat = y + f(y), on blurred and
noisy chest slices of 128 pixels. They train on crops of 32 pixels and are judged on whole slices of other patients.
Beside them stand the linear filter that least squares fits to the same slices, 17 pixels wide, and doing nothing. A
training spends the last eighth of its updates at a tenth of its learning rate. Patients, noise, crops, weights and
batches come from the seed.

Not covered: other tasks, as the streaks that `run` can make and that no row has; networks of equal size, for a UNet
without skips has fewer weights at the same width; other learning rates, widths, sizes of crop and of training set;
other ways to join, as by sums.
"""
import torch

import course
from studies.engine import grid
from studies.unet_versus_cnn import judge, people, rival, spoil, train

SEEDS = 10
FIGURE = {"lines": ["method", "skips", "shortcut"], "panels": "levels"}
SIDE = 128               # pixels, side of the slices
PATIENTS = 24, 6         # training, test
CROPS, CROP = 512, 32    # number of crops; their side in pixels
BATCH = 4                # crops per update
RATE = 4e-3
VIEWS = 24
FIELD = 17               # pixels, width of the linear filter
SWITCHES = {"skips": [True, False], "shortcut": [True, False]}
GRID = (grid(task=["blur"], method=["linear", "nothing"], levels=[0], skips=[False], shortcut=[False], updates=[0])
        + grid(task=["blur"], method=["unet"], levels=[3, 1, 2], **SWITCHES, updates=[(120, 480, 1920, 7680)]))


def run(*, task, method, levels, skips, shortcut, updates, seed):
    torch.manual_seed(seed)
    x, x_test = people(seed, SIDE, *PATIENTS)
    y, y_test = spoil(x, task, VIEWS), spoil(x_test, task, VIEWS)
    if method in ("linear", "nothing"):
        return rival(method, y, x, y_test, x_test, FIELD)
    data = *course.crops(y, x, size=CROP, count=CROPS), y_test, x_test
    network = course.UNet(levels, skips=skips, residual=shortcut)
    trained = train(network, *data[:2], updates=updates, rate=RATE, batch=BATCH, seed=seed)
    return [judge(one, *data) for one in trained]
