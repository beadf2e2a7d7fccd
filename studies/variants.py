"""Does another stage than two convolutions, or a gate on the skips, make a better UNet of equal size?

Chest slices of 48 pixels, blurred and noisy, or with the streaks of filtered back-projection from eight views. The
UNets have two levels. Their stages are plain, residual, dense or multi-branch, or plain with an attention gate on each
skip; `channels`, those of the finest grid, set the size. `start` says which weights a training begins with: He's, or
He's with a zero second convolution in every stage, so that a residual stage is the identity at first. A training spends
the last eighth of its updates at a tenth of its learning rate. Beside the networks stand the linear filter that least
squares fits to the same pictures, 17 pixels wide, total variation with the weight that is best for four training
pictures, and doing nothing. Of gates the rows have the error with every map replaced by its mean over the picture
(`rmse_flat`), and the shares of a map's variance, averaged over both levels, that three pictures explain: the steepness
of the truth (`edges`), the size of the input's error around a pixel (`wrong`), the brightness of the truth (`light`);
and the first two again for the gates before training. Patients, noise, weights and batches come from the seed.

Not covered: PyTorch's default weights, which `run` knows and nobody has computed; other learning rates on streaks;
larger networks, more levels, deeper stages; normalisation; more patients; larger pictures.
"""
import math

import torch
import torch.nn.functional as F
from torch import nn

import course
from studies.engine import grid
from studies.unet_versus_cnn import (
    BATCH,
    BLUR,
    FIELD,
    PATIENTS,
    SIDE,
    SLOPE,
    VIEWS,
    judge,
    people,
    rival,
    spoil,
    streaks,
    train,
)

SEEDS = 10
FIGURE = {"lines": "method", "panels": "rate", "where": {"task": ["blur"], "channels": [0, 6]}}
UPDATES = 120, 480, 960
TV_WEIGHTS = torch.tensor([1e-3, 3e-3, 1e-2, 3e-2, 1e-1])  # of total variation
TV_STEPS, TV_PICTURES = 300, 4
HE = {"method": ["plain", "attention", "dense", "multi-branch"], "start": ["he"]}
IDENTITY = {"method": ["residual"], "start": ["identity"]}
BESIDE = {"method": ["tv", "linear", "nothing"], "start": ["none"]}


def cells(kind, channels, rate, updates, task="blur"):
    """The part of the grid for these methods and their start."""
    return grid(task=[task], method=kind["method"], channels=[channels], start=kind["start"], rate=[rate],
                updates=[updates])


GRID = (cells(BESIDE, 0, 0.0, 0) + cells(HE, 3, 4e-3, UPDATES[:2]) + cells(IDENTITY, 3, 4e-3, UPDATES[:2])
        + cells(HE, 6, 4e-3, UPDATES) + cells(IDENTITY, 6, 4e-3, UPDATES)
        + cells(HE, 6, 1e-3, UPDATES) + cells(IDENTITY, 6, 1e-3, UPDATES)
        + cells(HE, 6, 1.6e-2, UPDATES) + cells(IDENTITY, 6, 1.6e-2, UPDATES)
        + cells(BESIDE, 0, 0.0, 0, "streaks") + cells(HE, 6, 4e-3, UPDATES, "streaks")
        + cells(IDENTITY, 6, 4e-3, UPDATES, "streaks"))


def conv(a, b, size=3, dilation=1):
    return nn.Conv2d(a, b, size, padding=dilation * (size // 2), dilation=dilation)


class Plain(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.first, self.second, self.act = conv(c, c), conv(c, c), nn.LeakyReLU(SLOPE)

    def forward(self, h):
        return self.act(self.second(self.act(self.first(h))))


class Residual(Plain):
    def forward(self, h):
        return h + super().forward(h)


class Dense(nn.Module):
    def __init__(self, c, layers=3):
        super().__init__()
        growth = round(0.41 * c)
        self.layers = nn.ModuleList(conv(c + k * growth, growth) for k in range(layers))
        self.merge, self.act = conv(c + layers * growth, c, size=1), nn.LeakyReLU(SLOPE)

    def forward(self, h):
        for layer in self.layers:
            h = torch.cat([h, self.act(layer(h))], dim=1)
        return self.act(self.merge(h))


class Branches(nn.Module):
    def __init__(self, c, dilations=(1, 2, 4)):
        super().__init__()
        width = round(0.6 * c)
        self.branches = nn.ModuleList(conv(c, width, dilation=d) for d in dilations)
        self.merge, self.act = conv(len(dilations) * width, c, size=1), nn.LeakyReLU(SLOPE)

    def forward(self, h):
        return self.act(self.merge(torch.cat([self.act(branch(h)) for branch in self.branches], dim=1)))


class Open(nn.Identity):
    def forward(self, E, D):
        return E


class Gate(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.W_E, self.W_D, self.psi = conv(c, c // 2, size=1), conv(c, c // 2, size=1), conv(c // 2, 1, size=1)
        self.flat = False

    def forward(self, E, D):
        alpha = torch.sigmoid(self.psi(torch.relu(self.W_E(E) + self.W_D(D))))
        if self.flat:
            alpha = alpha.mean(dim=(2, 3), keepdim=True)
        self.alpha = alpha.detach()
        return alpha * E


class UNet(nn.Module):
    def __init__(self, stage, gate, c=6):
        super().__init__()
        self.first = conv(1, c)
        self.down = nn.ModuleList(nn.Conv2d(a, 2 * a, 3, stride=2, padding=1) for a in (c, 2 * c))
        self.bottom = stage(4 * c)
        self.up = nn.ModuleList(nn.ConvTranspose2d(2 * a, a, 2, stride=2) for a in (c, 2 * c))
        self.gate = nn.ModuleList(gate(a) for a in (c, 2 * c))
        self.join = nn.ModuleList(conv(2 * a, a, size=1) for a in (c, 2 * c))
        self.stage = nn.ModuleList(stage(a) for a in (c, 2 * c))
        self.last = conv(c, 1)
        self.act = nn.LeakyReLU(SLOPE)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, y):
        E = [self.act(self.first(y))]
        for down in self.down:
            E.append(self.act(down(E[-1])))
        D = self.bottom(E[2])
        for k in (1, 0):
            D = self.up[k](D)
            D = self.act(self.join[k](torch.cat([D, self.gate[k](E[k], D)], dim=1)))
            D = self.stage[k](D)
        return y + self.last(D)


VARIANTS = {"plain": (Plain, Open), "residual": (Residual, Open), "attention": (Plain, Gate), "dense": (Dense, Open),
            "multi-branch": (Branches, Open)}


def begin(network, start):
    """The network with the weights of a start; its last layer is zero, so that it returns its input."""
    for layer in network.modules():
        if start != "default" and isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, a=SLOPE)
            nn.init.zeros_(layer.bias)
    for stage in network.modules():
        if start == "identity" and isinstance(stage, Plain):
            nn.init.zeros_(stage.second.weight)
    nn.init.zeros_(network.last.weight)
    nn.init.zeros_(network.last.bias)
    return network


def matrix(task):
    """What an artefact makes of a picture, without noise, as a matrix."""
    points = torch.eye(SIDE**2).view(-1, 1, SIDE, SIDE)
    z = course.blur(points, course.gaussian(BLUR)) if task == "blur" else streaks(points, VIEWS)
    return z.flatten(1).T


def slopes(x):
    """Differences to the pixel below and to the right, zero at the rim: (B, 2, H, W)."""
    return torch.cat([F.pad(x.diff(dim=2), (0, 0, 0, 1)), F.pad(x.diff(dim=3), (0, 1))], dim=1)


def slopes_adjoint(p):
    down, right = p[:, :1, :-1], p[:, 1:, :, :-1]
    return (F.pad(down, (0, 0, 1, 0)) - F.pad(down, (0, 0, 0, 1))) + (F.pad(right, (1, 0)) - F.pad(right, (0, 1)))


def total_variation(A, y, weight):
    """The pictures that minimise |A x − y|² / 2 + weight |∇x|₁, with a weight for each: chambolle2011first."""
    v = torch.ones(len(A))
    for _ in range(30):  # then v is nearly the direction that A stretches most
        v = F.normalize(A.T @ (A @ v), dim=0)
    step = 1 / math.sqrt(8 + 1.1 * (A @ v).square().sum().item())  # the square of the norm of ∇ is below 8
    x, r, p, weight = y, torch.zeros_like(y), torch.zeros_like(slopes(y)), weight.view(-1, 1, 1, 1)
    ahead = x
    for _ in range(TV_STEPS):
        r = (r + step * ((ahead.flatten(1) @ A.T).view_as(y) - y)) / (1 + step)
        p = p + step * slopes(ahead)
        p = p / (p.norm(dim=1, keepdim=True) / weight).clamp(min=1)
        new = x - step * ((r.flatten(1) @ A).view_as(x) + slopes_adjoint(p))
        x, ahead = new, 2 * new - x
    return x


def tuned(A, y, x, y_test):
    """Total variation with the weight that is best for some training pictures."""
    some, truth = y[:TV_PICTURES], x[:TV_PICTURES]
    weight = min(TV_WEIGHTS, key=lambda w: course.rmse(total_variation(A, some, w.expand(len(some))), truth,
                                                       together=True))
    return total_variation(A, y_test, weight.expand(len(y_test)))


def explained(maps, picture):
    """Share of the variance of gate maps that a picture explains, averaged over the levels."""
    shares = []
    for alpha in maps:
        small = F.adaptive_avg_pool2d(picture, alpha.shape[2:])
        shares.append(torch.corrcoef(torch.stack([alpha.flatten(), small.flatten()]))[0, 1]**2)
    return torch.stack(shares).nan_to_num().mean()


@torch.no_grad()
def gates(network, y, x):
    """What the gates of a network follow, and the error without their maps."""
    network(y)
    maps = [gate.alpha for gate in network.gate]
    wrong = F.avg_pool2d((y - x).abs(), 5, stride=1, padding=2, count_include_pad=False)  # the noise is averaged out
    pictures = {"edges": torch.hypot(*torch.gradient(x, dim=(2, 3))), "wrong": wrong, "light": x}
    found = {name: explained(maps, picture) for name, picture in pictures.items()}
    for gate in network.gate:
        gate.flat = True
    found["rmse_flat"] = course.rmse(network(y), x, together=True)
    for gate in network.gate:
        gate.flat = False
    return found


def run(*, task, method, channels, start, rate, updates, seed):
    torch.manual_seed(seed)
    x, x_test = people(seed, SIDE, *PATIENTS)
    data = y, x, y_test, x_test = spoil(x, task), x, spoil(x_test, task), x_test
    if method == "tv":
        return {"rmse": course.rmse(tuned(matrix(task), y, x, y_test), x_test, together=True), "weights": 1}
    if method in ("linear", "nothing"):
        return rival(method, *data, FIELD)
    network, before = begin(UNet(*VARIANTS[method], channels), start), {}
    if method == "attention":
        found = gates(network, y_test, x_test)
        before = {f"{name}_before": found[name] for name in ("edges", "wrong")}
    trained = train(network, y, x, updates=updates, rate=rate, batch=BATCH, seed=seed)
    return [judge(one, *data) | before | (gates(one, y_test, x_test) if before else {}) for one in trained]
