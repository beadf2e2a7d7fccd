"""Two images have the same data: what do networks show after training with the squared and with the absolute error?

Two bright squares of 3×3 pixels in an image of 12×12 lie in two opposite corners of a rectangle; row and column sums do
not tell which two. The first pairing has the probability `odds`. A UNet on the back-projected sums trains with the
squared error, with the absolute error (`l1`), or with the absolute error after 160 updates with the squared one
(`l1_after`). `likely` and `other` are the mean grey at the places of the first and of the second pairing; `distance` is
that to the nearer of the two possible images over their norm, `to_mean` that to their mean at these odds; `residual`
that of the sums over the norm of the sums; `expected` the squared error expected over both images, of which the
least is 36·odds·(1 − odds). Training images, weights, batches and the 200 test pairs come from the seed.

Not covered: noise, other operators, other networks, more than two possible images.
"""
import torch
import torch.nn.functional as F
from torch import nn

import course
from studies.engine import grid
from studies.unet_versus_cnn import train

SEEDS = 10
FIGURE = {"metric": "likely", "lines": "loss", "panels": "odds"}
SIDE, SQUARE = 12, 3       # pixels
PAIRS, TEST, BATCH = 2000, 200, 20
RATE = 5e-3
START = 160                # updates with the squared error before the absolute one
GRID = (grid(odds=[0.5, 0.75], loss=["squared"], updates=[(160, 640)])
        + grid(odds=[0.75], loss=["l1"], updates=[(160, 640, 2560)])
        + grid(odds=[0.75, 0.6], loss=["l1_after"], updates=[(160, 640)]))
sums = course.Sums(SIDE)


def starts(count, rng):
    """Two places along an axis, sorted, for squares that do not touch: (count, 2)."""
    free = SIDE - 2 * SQUARE
    return torch.randint(free, (count, 2), generator=rng).sort(1).values + torch.tensor([0, SQUARE + 1])


def squares(rows, columns, main):
    """Upper left and lower right where `main` (B,), else upper right and lower left: (B, 1, SIDE, SIDE)."""
    columns = torch.where(main[:, None], columns, columns.flip(1))
    at = torch.arange(SIDE)
    inside = [((at >= z[..., None]) & (at < z[..., None] + SQUARE)).float() for z in (rows, columns)]
    return torch.einsum("bki,bkj->bij", *inside)[:, None]


class FromSums(nn.Module):
    """A UNet on the back-projection of row and column sums."""

    def __init__(self):
        super().__init__()
        self.network = course.UNet(2, 8, residual=False)

    def forward(self, y):
        return self.network(sums.adjoint(y) / (2 * SQUARE))


def size(z):
    return z.flatten(1).norm(dim=1)


@torch.no_grad()
def judge(model, odds, places):
    yes = torch.ones(TEST, dtype=torch.bool)
    first, second = squares(*places, yes), squares(*places, ~yes)
    x_hat, mean = model(sums(first)), odds * first + (1 - odds) * second
    to = [size(x_hat - z) / size(first) for z in (first, second)]
    return {"likely": x_hat[first > 0].mean(), "other": x_hat[second > 0].mean(),
            "distance": torch.minimum(*to).mean(), "to_mean": (size(x_hat - mean) / size(first)).mean(),
            "residual": (size(sums(x_hat) - sums(first)) / size(sums(first))).mean(),
            "expected": (odds * size(x_hat - first)**2 + (1 - odds) * size(x_hat - second)**2).mean()}


def run(*, odds, loss, updates, seed):
    rng = torch.Generator().manual_seed(seed)
    places = starts(TEST, rng), starts(TEST, rng)
    x = squares(starts(PAIRS, rng), starts(PAIRS, rng), torch.rand(PAIRS, generator=rng) < odds)
    torch.manual_seed(seed)
    model = FromSums()
    if loss == "squared":
        trained = train(model, sums(x), x, updates=updates, rate=RATE, batch=BATCH, seed=seed)
        return [judge(one, odds, places) for one in trained]
    if loss == "l1_after":
        course.fit(model, sums(x), x, steps=START, lr=RATE, batch=BATCH)
    kept = {}

    def watch(step, one):
        if step in updates:
            kept[step] = judge(one, odds, places)
    course.fit(model, sums(x), x, steps=max(updates), lr=RATE, batch=BATCH, loss=F.l1_loss, watch=watch)
    return [kept[u] for u in updates]
