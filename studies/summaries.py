"""Does a network return the conditional mean or median that its loss asks for, and from how many pairs on?

Two problems whose answers are known. An edge stands behind one of thirteen pixels, and the measurement says nothing
about which. A pixel is black or white with equal probability, and is seen through noise. A network with one hidden
layer of 32 units, or a straight line, trains on pairs that the seed draws, the last eighth of its updates at a tenth of
its learning rate. `distance` is the RMSE, in grey levels, between its answers to fresh measurements and the conditional
mean (squared loss) or median (absolute loss); `step` is the largest step down between neighbouring pixels of the edge.

Not covered: measurements of more than one number; families between a straight line and this network.
"""
import torch
import torch.nn.functional as F
from torch import nn

import course
from studies.engine import grid
from studies.losses import train

SEEDS = 10
FIGURE = {"metric": "distance", "lines": ["loss", "family"], "panels": "pairs",
          "where": {"task": ["pixel"], "noise": [0.5]}}
PLACES = range(14, 27)  # the edge lies behind one of these pixels
WIDTH = 40              # pixels of a signal
HIDDEN = 32
RATE = 1e-2
FULL = 1000             # pairs per update at most
TEST = 20_000           # fresh measurements
LOSSES = {"squared": F.mse_loss, "absolute": F.l1_loss}
PAIRS = [20, 200, 2000, 20_000]
UPDATES = [(150, 600)]
NETWORK = {"loss": [*LOSSES], "family": ["network"]}
GRID = (grid(task=["edge"], **NETWORK, noise=[0.0], pairs=PAIRS, updates=UPDATES)
        + grid(task=["pixel"], **NETWORK, noise=[0.5], pairs=PAIRS, updates=UPDATES)
        + grid(task=["pixel"], **NETWORK, noise=[0.25, 1.0], pairs=PAIRS[-1:], updates=UPDATES)
        + grid(task=["pixel"], loss=["squared"], family=["line"], noise=[0.5], pairs=PAIRS, updates=UPDATES))


def signals():
    """One for each place: (13, 40)."""
    return torch.stack([(torch.arange(WIDTH) <= k).float() for k in PLACES])


def draw(task, noise, pairs):
    """Measurements (pairs, 1) and truths (pairs, 40 or 1)."""
    if task == "edge":
        return torch.ones(pairs, 1), signals()[torch.randint(len(PLACES), (pairs,))]
    x = torch.randint(2, (pairs, 1)).float()
    return x + noise * torch.randn(pairs, 1), x


def exact(task, loss, y, noise):
    """Conditional mean or median for each measurement."""
    if task == "edge":
        return (signals().mean(0) if loss == "squared" else signals().median(0).values).expand(len(y), -1)
    return ((2 * y - 1) / (2 * noise**2)).sigmoid() if loss == "squared" else (y > 0.5).float()


def run(*, task, loss, family, noise, pairs, updates, seed):
    torch.manual_seed(seed)
    y, x = draw(task, noise, pairs)
    y_test, _ = draw(task, noise, TEST if task == "pixel" else 1)
    size = x.shape[1]
    model = nn.Linear(1, size)
    if family == "network":
        model = nn.Sequential(nn.Linear(1, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, size))
    batch = FULL if pairs > FULL else None
    trained = train(model, y, x, LOSSES[loss], updates=updates, rate=RATE, batch=batch, seed=seed)
    answers = [one(y_test).detach() for one in trained]
    return [{"distance": course.rmse(z, exact(task, loss, y_test, noise))}
            | ({"step": -z[0].diff().min()} if task == "edge" else {}) for z in answers]
