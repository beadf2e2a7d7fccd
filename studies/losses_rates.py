"""Do the verdicts of the losses change if every loss trains at the learning rate that suits it?

The CNN of three layers of the study `losses`, with the same pictures, noise, crops, first weights and batches, at 0.3
times and at 3 times its learning rate. A verdict that rests on one rate can be judged again at the best of three.

Not covered: other networks; rates between these; the discriminator's own rate, which stays what it is.
"""
import torch

import course
from studies.engine import grid
from studies.losses import ALONE, BATCH, BESIDE, RATES, SIZES, TASKS, inner, judged, make_cnn, objective, scene, train

SEEDS = 10
FIGURE = {"lines": "method", "panels": "factor", "where": {"task": ["slices"]}}
FACTORS = [0.3, 3.0]  # of the rate of the study `losses`
GRID = (grid(task=["slices"], method=ALONE, weight=[0.0], factor=FACTORS, updates=[(300, 1200)])
        + grid(task=["slices"], method=BESIDE, weight=[0.01], factor=FACTORS, updates=[(300, 1200)])
        + grid(task=[*TASKS][1:], method=ALONE[:2], weight=[0.0], factor=FACTORS, updates=[(300, 1200)]))


def run(*, task, method, weight, factor, updates, seed):
    pictures, test, measured, again, y, x, features, untrained = scene(task, seed)
    torch.manual_seed(seed)  # the same weights for all losses
    model, loss = make_cnn(*SIZES["small"]), objective(method, weight, features, untrained)
    trained = train(model, y, x, loss, updates=updates, rate=factor * RATES["small"], batch=BATCH, seed=seed)

    @torch.no_grad()
    def row(one):
        pair = one(again).chunk(2)
        far = {"distance": features(inner(pair[0]), inner(test))} if features else {}
        return judged(*pair, test, task) | far | {"weights": course.parameter_count(one)}
    return [row(one) for one in trained]
