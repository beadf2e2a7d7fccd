"""Does attention need more data than convolutions, and does it help against an artefact that comes from far away?

Two tasks on bodies of even ellipses. `blur`: 24 pixels, a binomial blur and noise of 0.05; all that matters is near.
`ghost`: 32 pixels, a copy of the image 16 rows away, 0.3 to 0.7 as strong, and noise of 0.02; each image is moved by a
random number of rows, circularly as the ghost. `centred` is the ghost with all bodies left in the middle.

`transformer` has two blocks on patches of 4×4 pixels; `off` is the same network with attention off: each token looks at
itself only. `hybrid` and `hybrid_off` put two convolutions behind them. `cnn` (4 layers, 47 channels), `deep` (16
layers, 18 channels, sees 16 rows away) and `unet` have about as many weights as the transformer, `large` is a UNet with
thirteen times as many. A training spends the last eighth of its updates at a tenth of its learning rate. Beside them
stand doing nothing; the best linear filter as wide as the image, fitted by least squares in the Fourier domain to the
same pairs; and total variation, which knows the operator, its weight tuned on other images, and which finds the
strength of the ghost by its own objective. `psnr_tuning` is measured on images that are neither of the training nor of
the test: by it a learning rate is chosen. Images, noise, strengths, weights and batches come from the seed, those of
the test too.

In the ghost's task a transformer's row has the weight that a patch gives to the patch its ghost comes from
(`share`: mean over heads, blocks and patches; `share_best`: its best head; `share_before`: before the training;
`share_shuffled`: with its positions shuffled), and the PSNR if all heads are kept from looking there (`psnr_cut`), at
another patch (`psnr_cut_other`), or if its positions are shuffled (`psnr_shuffled`).

Not covered: larger images, networks and sets; smaller patches; other penalties of the weights or drop-out; attention
in windows; learning rates other than the two.
"""
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import nn

import course
from studies.engine import grid
from studies.learned_versus_tv import tv
from studies.unet_versus_cnn import train

SEEDS = 10
FIGURE = {"metric": "psnr", "lines": "method", "panels": "task", "where": {"pairs": [600], "rate": [0.0, 3e-3]}}
SIDES = {"blur": 24, "ghost": 32, "centred": 32}  # pixels
NOISE = {"blur": 0.05, "ghost": 0.02, "centred": 0.02}  # standard deviation, grey levels
AWAY = 16             # rows between an object and its ghost
PATCH = 4             # pixels, side of a patch
BATCH = 8             # pairs per update
TEST, TUNING = 100, 100  # images
STRENGTHS = torch.arange(0.25, 0.8, 0.05)  # of the ghost, that total variation tries
TV_WEIGHTS, TV_STEPS, TV_TUNING = (0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064), 150, 12
FEW, SOME, MANY = 16, 600, 2000  # training pairs
UPDATES = 160, 400, 1000
SHORT = 160, 640  # of the blur
RATES = [1e-3, 3e-3]


class Block(nn.Module):
    """Attention, then a two-layer network, each added to its input: (B, N, d) -> (B, N, d)."""

    def __init__(self, d, heads=3, look=True):
        super().__init__()
        self.heads, self.look = heads, look
        self.norm1, self.norm2 = nn.LayerNorm(d), nn.LayerNorm(d)
        self.qkv, self.W_O = nn.Linear(d, 3 * d), nn.Linear(d, d)
        self.mlp = nn.Sequential(nn.Linear(d, 2 * d), nn.GELU(), nn.Linear(2 * d, d))

    def queries_keys_values(self, Z):
        B, N, d = Z.shape
        shape = B, N, 3, self.heads, d // self.heads
        return self.qkv(self.norm1(Z)).view(shape).permute(2, 0, 3, 1, 4)

    def forward(self, Z, allowed=None):
        Q, K, V = self.queries_keys_values(Z)  # (B, heads, N, d / heads) each
        if self.look:
            V = F.scaled_dot_product_attention(Q, K, V, attn_mask=allowed)
        Z = Z + self.W_O(V.transpose(1, 2).flatten(2))
        return Z + self.mlp(self.norm2(Z))


def waves(n, d):
    """Sines and cosines of the row and the column of each patch of an n×n grid: (n², d)."""
    frequency = torch.arange(d // 4) % (n // 2) + 1
    phase = 2 * torch.pi * torch.arange(n)[:, None] / n * frequency
    line = torch.cat([phase.sin(), phase.cos()], dim=1)  # (n, d / 2)
    rows, columns = line[:, None].expand(n, n, -1), line.expand(n, n, -1)
    return torch.cat([rows, columns], dim=2).reshape(n * n, d)


class ViT(nn.Module):
    """Two blocks on the patches; x_hat = y + f(y), where f starts at zero."""

    def __init__(self, size, *, patch=4, d=48, loud=1.0, look=True):
        super().__init__()
        self.size, self.patch = size, patch
        self.embed = nn.Linear(patch**2, d)                    # W_E
        self.E = nn.Parameter(loud * waves(size // patch, d))  # e_i
        self.blocks = nn.ModuleList(Block(d, look=look) for _ in range(2))
        self.norm, self.last = nn.LayerNorm(d), nn.Linear(d, patch**2)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def tokens(self, y):
        p = F.unfold(y, self.patch, stride=self.patch).transpose(1, 2)
        return self.embed(p) + self.E  # (B, N, d)

    def forward(self, y, allowed=None):
        Z = self.tokens(y)
        for block in self.blocks:
            Z = block(Z, allowed)
        f = self.last(self.norm(Z)).transpose(1, 2)  # (B, patch², N)
        return y + F.fold(f, (self.size, self.size), self.patch, stride=self.patch)


class Hybrid(nn.Module):
    """A transformer, and two convolutions that see its picture and the measurement."""

    def __init__(self, size, *, channels=8, look=True):
        super().__init__()
        self.vit = ViT(size, look=look)
        nn.init.normal_(self.vit.last.weight, std=0.02)  # or it would wait for the convolutions
        self.first, self.last = nn.Conv2d(2, channels, 3, padding=1), nn.Conv2d(channels, 1, 3, padding=1)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, y):
        h = torch.cat([y, self.vit(y)], dim=1)  # (B, 2, H, W)
        return y + self.last(F.leaky_relu(self.first(h), 0.1))


def build(method, task):
    """A network with fresh weights."""
    side, loud = SIDES[task], 0.3 if task == "blur" else 1.0
    makers = {"transformer": lambda: ViT(side, loud=loud), "off": lambda: ViT(side, loud=loud, look=False),
              "hybrid": lambda: Hybrid(side), "hybrid_off": lambda: Hybrid(side, look=False),
              "cnn": lambda: course.CNN(4, 47), "deep": lambda: course.CNN(16, 18),
              "unet": lambda: course.UNet(3, 7) if task == "blur" else course.UNet(4, 3),
              "large": lambda: course.UNet(4, 12)}
    return makers[method]()


@lru_cache(maxsize=6)
def pairs_of(task, count, seed):
    """Measurements and images, (count, 1, H, H) each; other seeds, other images."""
    side, draw = SIDES[task], torch.Generator().manual_seed(seed)
    x = course.ellipses(count, side, seed=seed)
    noise = NOISE[task] * torch.randn(x.shape, generator=draw)
    if task == "blur":
        return course.blur(x) + noise, x
    a = 0.3 + 0.4 * torch.rand(count, 1, 1, 1, generator=draw)
    if task == "ghost":
        rows = torch.randint(side, (count,), generator=draw).tolist()
        x = torch.stack([image.roll(r, 1) for image, r in zip(x, rows)])
    return x + a * x.roll(AWAY, 2) + noise, x


def filtered(y, x, y_test):
    """The filter as wide as the image that least squares fits to the pairs, applied to y_test."""
    spectrum = torch.fft.rfft2(y.double())
    w = (torch.fft.rfft2(x.double()) * spectrum.conj()).sum(0) / spectrum.abs().square().sum(0)
    return torch.fft.irfft2(torch.fft.rfft2(y_test.double()) * w, s=y_test.shape[-2:]).to(y_test)


def slopes(x):
    """Total variation of each image: (B,)."""
    rows, columns = x.diff(dim=2, append=x[:, :, -1:]), x.diff(dim=3, append=x[..., -1:])
    return (rows.square() + columns.square()).sqrt().sum((1, 2, 3))


def unghosted(y, weight):
    """Total variation for an unknown strength of the ghost: of all that are tried, the one with the least objective."""
    best, least = y, torch.full((len(y),), torch.inf)
    for a in STRENGTHS.tolist():
        def K(x):
            return (x + a * x.roll(AWAY, 2)) / (1 + a)  # its norm is 1
        x = tv(y / (1 + a), weight / (1 + a)**2, TV_STEPS, K, K, y.clamp(0, 1))  # K is its own transpose
        value = (y - (1 + a) * K(x)).square().sum((1, 2, 3)) / 2 + weight * slopes(x)
        best = torch.where((value < least).view(-1, 1, 1, 1), x, best)
        least = torch.minimum(value, least)
    return best


def varied(task, y, weight):
    """What total variation makes of y."""
    return tv(y, weight, TV_STEPS, course.blur, course.blur, y.clamp(0, 1)) if task == "blur" else unghosted(y, weight)


def maps(model, y):
    """The weights of attention, averaged over the images: (blocks × heads, N, N)."""
    Z, found = model.tokens(y), []
    for block in model.blocks:
        Q, K, _ = block.queries_keys_values(Z)
        found.append((Q @ K.transpose(-1, -2) / K.shape[-1]**0.5).softmax(-1).mean(0))
        Z = block(Z)
    return torch.cat(found)


def offset(n, rows, columns):
    """For each patch of an n×n grid the number of the patch so many rows and columns on, around the border: (n²,)."""
    return torch.arange(n * n).view(n, n).roll((-rows, -columns), (0, 1)).flatten()


def shares(model, y):
    """The weight that patches give to the source of their ghost, for each head: (blocks × heads,)."""
    n = model.size // model.patch
    return maps(model, y)[:, torch.arange(n * n), offset(n, AWAY // model.patch, 0)].mean(1)


def looks(model, y, x, seed):
    """Where a trained transformer looks, and what it loses if it may not."""
    n = model.size // model.patch
    shuffle = torch.randperm(n * n, generator=torch.Generator().manual_seed(seed))
    found = {"share": shares(model, y).mean(), "share_best": shares(model, y).max()}
    for name, to in {"psnr_cut": (AWAY // model.patch, 0), "psnr_cut_other": (2, 3)}.items():
        allowed = torch.ones(n * n, n * n, dtype=torch.bool)
        allowed[torch.arange(n * n), offset(n, *to)] = False
        found[name] = course.psnr(model(y, allowed), x, together=True)
    kept = model.E.data.clone()
    model.E.data = kept[shuffle]
    found |= {"share_shuffled": shares(model, y).mean(), "psnr_shuffled": course.psnr(model(y), x, together=True)}
    model.E.data = kept
    torch.manual_seed(seed)
    return found | {"share_before": shares(build("transformer", "ghost"), y).mean()}


BLUR = {"task": ["blur"], "method": ["transformer", "off", "unet", "cnn"]}
GRID = (grid(task=["blur", "ghost"], method=["nothing", "linear", "tv"], pairs=[SOME], rate=[0.0], updates=[0])
        + grid(task=["centred"], method=["nothing"], pairs=[SOME], rate=[0.0], updates=[0])
        + grid(task=["blur"], method=["linear"], pairs=[FEW, MANY], rate=[0.0], updates=[0])
        + grid(task=["ghost"], method=["transformer", "unet", "large"], pairs=[SOME], rate=RATES, updates=[UPDATES])
        + grid(task=["ghost"], method=["hybrid", "hybrid_off", "off", "cnn", "deep"], pairs=[SOME], rate=RATES,
               updates=[UPDATES])
        + grid(task=["centred"], method=["off"], pairs=[SOME], rate=[3e-3], updates=[1000])
        + grid(**BLUR, pairs=[FEW, SOME, MANY], rate=RATES, updates=[SHORT]))


def run(*, task, method, pairs, rate, updates, seed):
    y, x = pairs_of(task, MANY, 50_000 + 3 * seed)
    y, x = y[:pairs], x[:pairs]
    y_test, x_test = pairs_of(task, TEST, 50_001 + 3 * seed)
    y_tuning, x_tuning = pairs_of(task, TUNING, 50_002 + 3 * seed)

    def judged(x_hat):
        return {"psnr": course.psnr(x_hat.clamp(0, 1), x_test, together=True)}
    if method == "tv":
        found = {w: course.rmse(varied(task, y_tuning[:TV_TUNING], w), x_tuning[:TV_TUNING], together=True)
                 for w in TV_WEIGHTS}
        best = min(found, key=found.get)
        return judged(varied(task, y_test, best)) | {"penalty": best, "weights": 1}
    if method in ("nothing", "linear"):
        return judged(filtered(y, x, y_test) if method == "linear" else y_test)
    torch.manual_seed(seed)
    network = build(method, task)
    several = updates if isinstance(updates, tuple) else (updates,)
    found = []
    for model in train(network, y, x, updates=several, rate=rate, batch=BATCH, seed=seed):
        with torch.no_grad():
            other = {"psnr_train": (y[:TEST], x[:TEST]), "psnr_tuning": (y_tuning, x_tuning)}
            if task == "centred":
                other["psnr_moved"] = pairs_of("ghost", TEST, 50_001 + 3 * seed)
            row = judged(model(y_test)) | {name: course.psnr(model(a).clamp(0, 1), b, together=True)
                                           for name, (a, b) in other.items()}
            if (task, method) == ("ghost", "transformer"):
                row |= looks(model, y_test, x_test, seed)
        found.append(row | {"weights": course.parameter_count(model)})
    return found if isinstance(updates, tuple) else found[0]
