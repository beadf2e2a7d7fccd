"""Is a network bound to its task at other sizes of the network and of its training set, too?

The networks of `wrong_task`, for four of its tasks, and for a fifth where they train longer: with 3 and with 36
channels in place of 12, which are 142 and 12 385 weights in place of 1537; with 1 and with 80 training images in place
of 12, of other patients or with other pages; and with 6400 updates in place of 1600. All train on as many crops and are
tested on the same images with the same noise as there. Slices, pages of text, noise, crops, weights and batches come
from the seed.

Not covered: deeper networks; other learning rates; more crops; photographs, of which there is one.
"""
import numpy as np
import torch

import course
from studies.engine import grid
from studies.unet_versus_cnn import train
from studies.wrong_task import (
    BATCH,
    CROP,
    CROPS,
    PATIENTS,
    RATE,
    SIDE,
    TASKS,
    TESTS,
    families,
    judge,
    measure,
    page,
)

SEEDS = 10
FIGURE = {"metric": "rmse_noise_0_1", "lines": "task", "panels": "channels",
          "where": {"task": ["base", "noise 0.1"], "images": [12]}}
MADE_FOR = ["base", "noise 0.1", "blur 0.6", "text"]
GRID = (grid(task=MADE_FOR, channels=[3, 36], images=[12], updates=[(400, 1600)])
        + grid(task=MADE_FOR, channels=[12], images=[1, 80], updates=[(400, 1600)])
        + grid(task=[*MADE_FOR, "noise 0.01"], channels=[12], images=[12], updates=[(400, 1600, 6400)]))


def more(family, count, seed):
    """Training images after those of wrong_task: (count, 1, SIDE, SIDE)."""
    if family == "text":
        rng = np.random.default_rng([seed, 1])
        return torch.stack([page(rng) for _ in range(count)])
    first = 40000 + 100 * seed + sum(PATIENTS)
    return course.phantoms(range(first, first + count), SIDE)


def run(*, task, channels, images, updates, seed):
    known = families(seed)
    torch.manual_seed(seed)
    tests = {}
    for name, (family, *how) in TESTS.items():
        x = known[family][1]
        tests[name] = measure(x, *how), x
    family, *how = TASKS[task]
    x = known[family][0][:images]
    if images > len(x):
        x = torch.cat([x, more(family, images - len(x), seed)])
    crops = course.crops(measure(x, *how), x, size=CROP, count=CROPS)
    network = course.CNN(3, channels)
    trained = train(network, *crops, updates=updates, rate=RATE, batch=BATCH, seed=seed)
    return [judge(one, tests) | {"weights": course.parameter_count(one)} for one in trained]
