"""Does an unrolled network stay ahead of what has no operator inside, and at which learning rate?

The data, the bodies, the tests and the layers behind the network are those of the study `consistency`, with 2 % noise
on data of the finer grid: five data steps with a shared CNN between them, on 400 training pairs.

Not covered: other numbers of steps, weights of their own in each step, clipped gradients.
"""
import torch
import torch.nn.functional as F

import course
from studies.consistency import MAKE, TEST, TIKHONOV, judge, measured, scanner, share, tikhonov, train, tuned
from studies.engine import grid

SEEDS = 10
FIGURE = {"metric": "body", "lines": "rate", "panels": "bodies"}
UPDATES = 150, 600, 2400
PAIRS, NOISE = 400, 0.02
GRID = (grid(bodies=["even"], rate=[1e-3], updates=[UPDATES])
        + grid(bodies=["textured"], rate=[1e-3], updates=[UPDATES[:2]]))


@torch.no_grad()
def run(*, bodies, rate, updates, seed):
    args = bodies, "fine", NOISE, seed
    weight = tuned(tikhonov, TIKHONOV, args)
    y, x = measured(PAIRS, bodies, "fine", NOISE, 10_000 + seed)

    def given(y):
        return torch.cat([tikhonov(scanner(), y, weight), y], dim=2)
    torch.manual_seed(seed)
    network = MAKE["unrolled"]()
    with torch.enable_grad():
        trained = train(network, given(y), x, updates=updates, rate=rate, loss=F.mse_loss, seed=seed)
    return [judge(lambda y, one=one: one(given(y)), args)
            | {"train": share(one(given(y[:TEST])) - x[:TEST], x[:TEST]), "weights": course.parameter_count(one),
               "penalty": weight} for one in trained]
