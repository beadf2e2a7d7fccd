"""What does it gain to put the operator behind, inside or into the training of a network, and when does it harm?

Computed tomography of eight views, images of 32 pixels. The bodies are drawn at four times the side, projected there,
and averaged over four detector bins (`data` is fine); `crime` is data made by the matrix that is inverted. Bodies are
ellipses of even grey, or the same with a smooth texture. The noise is white, its norm a share of that of each image's
data. Classical rows: filtered back-projection, Tikhonov, total variation with grey values from 0 to 1. Networks start
at Tikhonov's image: UNets of 5, 8 and 16 channels, a null-space network, and one CNN five times in a row (`passes`), as
the study `unrolled_rates` has it with data steps between. Each row has the errors after a hard layer and after soft
ones behind it as well. `split`, `own` and `supervised` are UNets on Tikhonov's images of four views, trained to predict
the other four views, their own four, or the true images. Weights of penalties and of soft layers are tuned on 24 other
images; `disc` is the soft layer whose weight the discrepancy principle chooses. A training spends the last eighth of
its updates at a tenth of its learning rate. Bodies, noise, weights and batches come from the seed, those of the test
too. Errors are means over the test images, in per cent of the norm of the image, or of its part inside the body.

Not covered: real data, other sizes and views, other noise than white; networks of more than 57,000 weights;
splitting of other shares than halves.
"""
import copy
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import nn

import course
from studies.engine import grid
from studies.learned_versus_tv import tv

SEEDS = 10
FIGURE = {"metric": "body", "lines": "method", "panels": "bodies",
          "where": {"data": ["fine"], "noise": [0.02], "pairs": [0, 400],
                    "method": ["tikhonov", "tv", "unet", "unet16", "null", "passes"]}}
SIDE, FINE = 32, 4         # pixels, side of the images; how many times finer the bodies are drawn
VIEWS = 8                  # equispaced angles
TEST, TUNING = 48, 24      # images
TEXTURE, GRAIN = 0.25, 6   # relative standard deviation of the texture, its smoothness in fine pixels
BATCH = 4
RATES = {"unrolled": 3e-3, "passes": 1e-3}  # of all others 6e-3
TV_STEPS = 300
TIKHONOV = 0.0, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0
TV = 0.01, 0.03, 0.06, 0.12, 0.25, 0.5, 1.0, 2.0
SOFT = tuple(10.0 ** (k / 4) for k in range(-12, 17))  # weights of the soft layer
STEPS = 1, 5, 20, 200      # data steps behind a method
UPDATES = 150, 600, 2400
MAIN = {"bodies": ["even"], "data": ["fine"], "noise": [0.02]}
CLEAN = {"bodies": ["even"], "data": ["fine"], "noise": [0.0]}
CRIME = {"bodies": ["even"], "data": ["crime"], "noise": [0.0]}
TEXTURED = {"bodies": ["textured"], "data": ["fine"]}
CLASSICAL = {"method": ["fbp", "tikhonov", "tv"], "pairs": [0], "updates": [0]}
LONG = {"pairs": [400], "updates": [UPDATES]}
SHORT = {"pairs": [400], "updates": [UPDATES[:2]]}
GRID = (grid(**MAIN, **CLASSICAL) + grid(**CLEAN, **CLASSICAL) + grid(**CRIME, **CLASSICAL)
        + grid(**TEXTURED, noise=[0.0, 0.02], **CLASSICAL)
        + grid(**MAIN, method=["half_tikhonov", "half_tv"], pairs=[0], updates=[0])
        + grid(**MAIN, method=["unet", "unet5", "unet16", "null", "split", "supervised"], **LONG)
        + grid(**MAIN, method=["passes", "own"], **SHORT)
        + grid(**CLEAN, method=["unet"], **LONG) + grid(**CLEAN, method=["null"], **SHORT)
        + grid(**CRIME, method=["unet", "null"], **LONG)
        + grid(**TEXTURED, noise=[0.02], method=["unet", "unet16"], **LONG)
        + grid(**TEXTURED, noise=[0.02], method=["null"], **SHORT)
        + grid(**MAIN, method=["unet"], pairs=[1600], updates=[UPDATES]))


@lru_cache
def scanner(fine=1, first=0, every=1):
    """The operator on the grid of the images, or on one that is finer; with every view, or every other one."""
    angles = torch.arange(VIEWS, dtype=torch.float64) * 180 / VIEWS
    return course.Radon(fine * SIDE, angles[first::every])


def drawn(count, bodies, seed):
    """Bodies on the fine grid: (count, 1, 128, 128)."""
    x = course.ellipses(count, FINE * SIDE, seed=seed)
    if bodies == "even":
        return x
    f = torch.fft.fftfreq(x.shape[2])
    window = torch.exp(-2 * (torch.pi * GRAIN)**2 * (f[:, None]**2 + f[:len(f) // 2 + 1]**2))
    white = torch.randn(x.shape, generator=torch.Generator().manual_seed(seed))
    field = torch.fft.irfft2(torch.fft.rfft2(white) * window, s=x.shape[2:])
    return (x * (1 + TEXTURE * field / field.std((2, 3), keepdim=True))).clamp(0, 1)


@lru_cache(maxsize=6)
def measured(count, bodies, data, noise, seed):
    """Noisy data (count, 1, 8, 32) and images (count, 1, 32, 32)."""
    fine = drawn(count, bodies, seed)
    x = F.avg_pool2d(fine, FINE)
    y = scanner()(x) if data == "crime" else (scanner(FINE)(fine) / FINE).unflatten(3, (SIDE, FINE)).mean(4)
    eta = torch.randn(y.shape, generator=torch.Generator().manual_seed(seed))
    size = noise * y.square().mean((1, 2, 3), keepdim=True).sqrt()
    return y + size * eta, x


def filtered(K, y, gain):
    """V gain(s) Uᵀ y with the singular values s of K."""
    U, s, V = K.svd
    return (y.flatten(1).double() @ U * gain(s) @ V.T).float().view(-1, *K.image_shape)


def tikhonov(K, y, weight):
    return filtered(K, y, lambda s: s / (s**2 + weight))


def total_variation(K, y, weight):
    s = K.svd[1][0].item()
    start = tikhonov(K, y, 1.0).clamp(0, 1)
    return tv(y / s, weight / s**2, TV_STEPS, lambda x: K(x) / s, lambda z: K.adjoint(z) / s, start)


def seen(K, x):
    """The part of x in the row space of K."""
    V = K.svd[2].float()
    return (x.flatten(1) @ V @ V.T).view_as(x)


def share(a, b, where=1.0):
    """Mean over the images of ‖a‖ / ‖b‖ in per cent, on the pixels `where`."""
    return 100 * ((a * where).flatten(1).norm(dim=1) / (b * where).flatten(1).norm(dim=1)).mean()


def errors(name, x_hat, x):
    return {name: share(x_hat - x, x), f"{name}_body": share(x_hat - x, x, x > 0.05)}


def soft(K, y, x_hat, weight):
    """argmin ‖K v − y‖² + weight ‖v − x_hat‖²."""
    return x_hat + tikhonov(K, y - K(x_hat), weight)


def judge(solve, args):
    """The row of a method x_hat = solve(y), with layers behind it."""
    bodies, data, noise, seed = args
    K = scanner()
    y, x = measured(TEST, bodies, data, noise, 20_000 + seed)
    z, x_other = measured(TUNING, bodies, data, noise, 30_000 + seed)
    x_hat, other = solve(y), solve(z)
    misfit = y - K(x_hat)
    hard = x_hat + tikhonov(K, misfit, 0.0)
    row = {"error": share(x_hat - x, x), "body": share(x_hat - x, x, x > 0.05),
           "cut": share(x_hat.clamp(0, 1) - x, x), "cut_body": share(x_hat.clamp(0, 1) - x, x, x > 0.05),
           "seen": share(seen(K, x_hat - x), x), "residual": share(misfit, y), "floor": share(K(x) - y, y)}
    row |= errors("hard", hard, x) | {"hard_residual": share(K(hard) - y, y)}
    row["worse"] = ((hard - x).flatten(1).norm(dim=1) > 1.00001 * (x_hat - x).flatten(1).norm(dim=1)).float().mean()
    tau = 1 / K.svd[1][0] ** 2
    for k in STEPS:
        v = x_hat + filtered(K, misfit, lambda s, k=k: (1 - (1 - tau * s**2)**k) / s)
        row |= errors(f"steps{k}", v, x) | {f"steps{k}_residual": share(K(v) - y, y)}
    best = min(SOFT, key=lambda w: share(soft(K, z, other, w) - x_other, x_other))
    known = share(K(x_other) - z, z)  # the noise, from images that are known
    fits = [w for w in SOFT if share(K(soft(K, y, x_hat, w)) - y, y) <= known]
    chosen = x_hat if row["residual"] <= known or not fits else soft(K, y, x_hat, fits[-1])
    row |= errors("soft", soft(K, y, x_hat, best), x) | errors("disc", chosen, x) | {"soft_weight": best}
    return row | {"disc_weight": fits[-1] if fits and row["residual"] > known else 0.0}


def tuned(solve, weights, args, K=None, part=slice(None)):
    """The weight of solve(K, y, weight) that is best on the images for tuning."""
    bodies, data, noise, seed = args
    z, x = measured(TUNING, bodies, data, noise, 30_000 + seed)
    return min(weights, key=lambda w: share(solve(K or scanner(), z[:, :, part], w) - x, x))


class NullSpace(nn.Module):
    """The first image plus the unseen part of a UNet's answer to it."""

    def __init__(self):
        super().__init__()
        self.unet = course.UNet()

    def forward(self, z):
        v = self.unet(z)
        return z + v - seen(scanner(), v)


class Unrolled(nn.Module):
    """Five times a step towards the data and a shared CNN; without data only the CNN. Input: first image, data."""

    def __init__(self, data):
        super().__init__()
        self.cnn = course.CNN(3, 24)
        self.step = nn.Parameter(torch.full((5,), float(data)), requires_grad=data)

    def forward(self, both):
        x, y, K = both[:, :, :SIDE], both[:, :, SIDE:], scanner()
        tau = 1 / K.svd[1][0].item() ** 2
        for t in self.step:
            x = self.cnn(x - t * tau * K.adjoint(K(x) - y) if t.requires_grad else x)
        return x


MAKE = {"null": NullSpace, "unrolled": lambda: Unrolled(True), "passes": lambda: Unrolled(False),
        "unet5": lambda: course.UNet(2, 5), "unet16": lambda: course.UNet(2, 16)}


def train(network, y, x, *, updates, rate, loss, seed):
    """The network after each number of updates, of which the last eighth has a tenth of the learning rate."""
    kept = {}

    def watch(step, model):
        for u in updates:
            if step == u - u // 8:
                kept[u] = copy.deepcopy(model)
    torch.manual_seed(seed)  # the same batches for all networks
    course.fit(network, y, x, steps=max(updates) - max(updates) // 8, lr=rate, batch=BATCH, loss=loss, watch=watch)
    for u, model in kept.items():
        torch.manual_seed(seed)
        course.fit(model, y, x, steps=u // 8, lr=rate / 10, batch=BATCH, loss=loss)
    return [kept[u] for u in updates]


HALVES = (0, 2), (1, 2)  # first view and step of either half


def of_halves(solve, y, weight):
    """The images from either half of the views, stacked."""
    return torch.cat([solve(scanner(1, *half), y[:, :, half[0]::2], weight) for half in HALVES])


def judging(y, other):
    """All data, and a mask of the views that judge: the other half, or the own: (2B, 2, 8, 32)."""
    views = torch.arange(VIEWS).view(1, 1, -1, 1) % 2
    return torch.cat([torch.cat([y, (views == (1 - h if other else h)).expand_as(y)], 1) for h in (0, 1)])


def misfit(x_hat, target):
    y, mask = target.chunk(2, dim=1)
    return (mask * (scanner()(x_hat) - y)).square().mean()


def judge_halves(v, x):
    """The row of images from either half of the views."""
    e = v - torch.cat([x, x])
    unseen = torch.cat([part - seen(scanner(1, *half), part) for part, half in zip(e.chunk(2), HALVES)])
    both, mean = torch.cat([x, x]), (v[:len(x)] + v[len(x):]) / 2
    return {"unseen": share(unseen, both)} | errors("error", v, both) | errors("mean", mean, x)


@torch.no_grad()
def run(*, bodies, data, noise, method, pairs, updates, seed):
    args, K = (bodies, data, noise, seed), scanner()
    if method == "fbp":
        return judge(K.fbp, args)
    first = tikhonov if method != "tv" else total_variation
    if not pairs and not method.startswith("half"):
        weight = tuned(first, TIKHONOV if method == "tikhonov" else TV, args)
        return judge(lambda y: first(K, y, weight), args) | {"penalty": weight}
    y_test, x_test = measured(TEST, bodies, data, noise, 20_000 + seed)
    if not pairs or method in ("own", "split", "supervised"):
        solve, weights = (total_variation, TV) if method == "half_tv" else (tikhonov, TIKHONOV)
        weight = tuned(solve, weights, args, scanner(1, *HALVES[0]), slice(0, None, 2))
        z_test = of_halves(solve, y_test, weight)
        if not pairs:
            return judge_halves(z_test, x_test) | {"penalty": weight}
    else:
        weight = tuned(tikhonov, TIKHONOV, args)
    y, x = measured(pairs, bodies, data, noise, 10_000 + seed)
    torch.manual_seed(seed)
    network = MAKE.get(method, course.UNet)()
    options = {"updates": updates, "rate": RATES.get(method, 6e-3), "loss": F.mse_loss, "seed": seed}
    weights = {"weights": course.parameter_count(network), "penalty": weight}
    if method in ("own", "split", "supervised"):
        target = torch.cat([x, x]) if method == "supervised" else judging(y, method == "split")
        options |= {} if method == "supervised" else {"loss": misfit}
        with torch.enable_grad():
            trained = train(network, of_halves(tikhonov, y, weight), target, **options)
        return [judge_halves(one(z_test), x_test) | weights for one in trained]

    def given(y):
        z = tikhonov(K, y, weight)
        return torch.cat([z, y], dim=2) if method in ("unrolled", "passes") else z
    with torch.enable_grad():
        trained = train(network, given(y), x, **options)
    return [judge(lambda y, one=one: one(given(y)), args) | weights
            | {"train": share(one(given(y[:TEST])) - x[:TEST], x[:TEST])} for one in trained]
