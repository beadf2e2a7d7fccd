"""Does a deep network need shortcuts to train, or good initial weights?

Chains of convolutions with eight channels, in blocks of two, on blurred and noisy crops of chest slices: plain blocks
or residual ones. `start` says which weights a training begins with: PyTorch's default, He's, or He's with a zero second
convolution in every block, so that a residual block is the identity at first. `loss_scale` multiplies the loss: Adam
would not notice, were it not for the small number in its denominator. The learning rate stays what it is. Beside the
chains stand the linear filter that least squares fits to the same slices, 17 pixels wide, and doing nothing. `seen` is
how much the features before the last layer differ between pixels and pictures: their standard deviation over their root
mean square. Patients, noise, crops, weights and batches come from the seed.

Not covered: longer trainings, wider chains, other activations, normalisation, other optimisers, schedules.
"""
import torch
import torch.nn.functional as F
from torch import nn

import course
from studies.engine import grid
from studies.unet_versus_cnn import FIELD, PATIENTS, SIDE, SLOPE, judge, people, rival, spoil
from studies.variants import Plain, Residual, begin, conv

SEEDS = 10
FIGURE = {"lines": ["form", "start"], "panels": "depth", "where": {"rate": [0.0, 1e-3], "loss_scale": [1.0]}}
CROPS = 128, 24  # number and side in pixels
BATCH = 4        # crops per update
CHANNELS = 8
FORMS = {"plain": Plain, "residual": Residual}
UPDATES = 100, 300
RATES, ONE = [1e-3, 5e-3, 2e-2], {"depth": [16], "loss_scale": [1.0], "updates": [UPDATES]}
GRID = (grid(form=["linear", "nothing"], start=["none"], rate=[0.0], depth=[0], loss_scale=[1.0], updates=[0])
        + grid(form=["plain"], start=["default", "he"], rate=RATES, **ONE)
        + grid(form=["residual"], start=["default", "identity"], rate=RATES, **ONE)
        + grid(form=["plain"], start=["default"], rate=[5e-3], **ONE | {"loss_scale": [1e12]})
        + grid(form=["plain"], start=["default", "he"], rate=RATES[:2], **ONE | {"depth": [4, 32]})
        + grid(form=["residual"], start=["default", "identity"], rate=RATES[:2], **ONE | {"depth": [4, 32]}))


class Chain(nn.Module):
    """x_hat = y + a chain of `depth` convolutions in blocks of two, between a first and a last layer."""

    def __init__(self, stage, depth, c=CHANNELS):
        super().__init__()
        self.first, self.last, self.act = conv(1, c), conv(c, 1), nn.LeakyReLU(SLOPE)
        self.blocks = nn.Sequential(*[stage(c) for _ in range(depth // 2)])

    def features(self, y):
        return self.blocks(self.act(self.first(y)))

    def forward(self, y):
        return y + self.last(self.features(y))


@torch.no_grad()
def seen(network, y):
    """Standard deviation of each channel of the features over its root mean square, the mean over channels."""
    h = network.features(y).transpose(0, 1).flatten(1)  # (c, values)
    return (h.std(1) / h.square().mean(1).sqrt()).mean()


def run(*, form, start, rate, depth, loss_scale, updates, seed):
    torch.manual_seed(seed)
    x, x_test = people(seed, SIDE, *PATIENTS)
    data = y, x, y_test, x_test = spoil(x, "blur"), x, spoil(x_test, "blur"), x_test
    if form in ("linear", "nothing"):
        return rival(form, *data, FIELD)
    pairs = course.crops(y, x, size=CROPS[1], count=CROPS[0])
    network, rows = begin(Chain(FORMS[form], depth), start), {}

    def watch(step, network):
        if step in updates:
            rows[step] = judge(network, *pairs, y_test, x_test) | {"seen": seen(network, y_test)}

    course.fit(network, *pairs, steps=max(updates), lr=rate, batch=BATCH, watch=watch,
               loss=lambda x_hat, truth: loss_scale * F.mse_loss(x_hat, truth))
    return [rows[u] for u in updates]
