"""By which route is the image found from few views: a classical method, a learned map straight across, or both?

Computed tomography of 16 noisy views, images of 40 pixels. The bodies are drawn at four times the side, projected
there, and averaged over four detector bins (`data` is fine); `crime` is data made by the matrix that is inverted.
Bodies are ellipses of even grey, or the same with a smooth texture. The rows: filtered back-projection, Tikhonov,
total variation, a linear map, and networks: a UNet on the sinogram, behind the linear map, behind filtered back-
projection, with a CNN on the sinogram too (`both`), and with the same CNN on the image instead (`fbp_deeper`).
Weights of penalties are tuned on 24 other images. All results are cut to [0, 1]. A training spends the last eighth of
its updates at a tenth of its learning rate. Bodies, noise, weights and batches come from the seed, those of the test
too. `psnr_turned` is after a turn by half the spacing of the views, `psnr_fewer` with 12 views, `psnr_fine` with data
of the fine grid, all without a new training.

Not covered: real data, fan beams, other sizes, other noise than white; learning rates other than 3e-3; learned methods
that go to and fro between the domains; networks of other sizes.
"""
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import nn

import course
from studies.engine import grid
from studies.learned_versus_tv import gradient, tv
from studies.unet_versus_cnn import train

SEEDS = 10
FIGURE = {"metric": "psnr", "lines": "method", "panels": "bodies", "where": {"data": ["fine"], "pairs": [0, 600]}}
SIDE, FINE = 40, 4         # pixels, side of the images; how many times finer the bodies are drawn
VIEWS, FEWER = 16, 12      # equispaced angles; those of a test with fewer
SIGMA = 0.16               # noise of a line integral, attenuation × pixel: about 2 % of the data
TEST, TUNING = 48, 24      # images
TEXTURE, GRAIN = 0.25, 6   # relative standard deviation of the texture, its smoothness in fine pixels
CHANNELS, BATCH, RATE = 8, 8, 3e-3
TV_STEPS = 500
WEIGHTS = {"tv": (0.25, 0.4, 0.6, 1.0, 1.5), "tikhonov": (0.1, 0.3, 1.0, 3.0, 10.0)}
RIDGES = (1.0, 3.0, 10.0, 30.0, 100.0)  # in units of the variance of the noise
UPDATES = 200, 800, 3200
BODIES = ["even", "textured"]
GRID = (grid(bodies=BODIES, data=["fine", "crime"], method=["fbp", "tikhonov", "tv"], pairs=[0], updates=[0])
        + grid(bodies=BODIES, data=["fine"], method=["linear"], pairs=[50, 200, 600, 2000], updates=[0])
        + grid(bodies=BODIES, data=["fine"], method=["fbp_unet", "both"], pairs=[600], updates=[UPDATES])
        + grid(bodies=["even"], data=["fine"], method=["fbp_deeper", "sinogram_unet"], pairs=[600], updates=[UPDATES])
        + grid(bodies=["even"], data=["fine"], method=["fbp_unet"], pairs=[50, 2000], updates=[UPDATES])
        + grid(bodies=["even"], data=["crime"], method=["fbp_unet"], pairs=[600], updates=[UPDATES])
        + grid(bodies=["even"], data=["fine"], method=["linear_unet"], pairs=[600], updates=[UPDATES]))


def angles(views):
    return torch.arange(views, dtype=torch.float64) * 180 / views


@lru_cache
def scanner(views, turned=False, fine=1):
    """The operator on the grid of the images, or on one that is finer; turned by half the spacing of the views."""
    return course.Radon(fine * SIDE, angles(views) + turned * 90 / views)


def drawn(count, bodies, seed):
    """Bodies on the fine grid: (count, 1, 160, 160)."""
    x = course.ellipses(count, FINE * SIDE, seed=seed)
    if bodies == "even":
        return x
    noise = torch.randn(count, *x.shape[2:], generator=torch.Generator().manual_seed(seed))
    f = torch.fft.fftfreq(x.shape[2])
    window = torch.exp(-2 * (torch.pi * GRAIN)**2 * (f[:, None]**2 + f[:len(f) // 2 + 1]**2))
    for image, white in zip(x, noise):
        field = torch.fft.irfft2(torch.fft.rfft2(white) * window, s=white.shape)
        image *= 1 + TEXTURE * field / field.std()
    return x.clamp(0, 1)


def measured(x, K, turned=False, data="fine"):
    """Data without noise of bodies on the fine grid, in pixels of K."""
    if data == "crime":
        return K(F.avg_pool2d(x, FINE))
    y = scanner(len(K.angles), turned, FINE)(x) / FINE
    return y.unflatten(3, (SIDE, FINE)).mean(4)


def noisy(y, seed):
    return y + SIGMA * torch.randn(y.shape, generator=torch.Generator().manual_seed(seed))


@lru_cache(maxsize=4)
def pairs_of(count, bodies, data, seed):
    """Noisy data (count, 1, 16, 40) and images (count, 1, 40, 40)."""
    x = drawn(count, bodies, seed)
    return noisy(measured(x, scanner(VIEWS), data=data), seed), F.avg_pool2d(x, FINE)


@lru_cache(maxsize=4)
def test_of(bodies, data, seed):
    """{which: (data, operator)} and the images."""
    x, K = drawn(TEST, bodies, 20_000 + seed), scanner(VIEWS)
    turned, fewer = scanner(VIEWS, True), scanner(FEWER)
    y = {"": (measured(x, K, data=data), K), "_turned": (measured(x, turned, True), turned),
         "_fewer": (measured(x, fewer), fewer), "_fine": (measured(x, K), K)}
    return {which: (noisy(y, 20_000 + seed), K) for which, (y, K) in y.items()}, F.avg_pool2d(x, FINE)


def norm(K):
    """The largest singular value, by the power method."""
    x = torch.ones(1, *K.image_shape)
    for _ in range(30):
        x = K.adjoint(K(x / x.norm()))
    return x.norm().sqrt()


@lru_cache(maxsize=32)
def tikhonov_map(K, weight):
    """(AᵀA + weight GᵀG)⁻¹ Aᵀ with the gradient G: (n, m)."""
    A = K.matrix()
    G = gradient(torch.eye(A.shape[1], dtype=torch.float64).view(-1, *K.image_shape)).transpose(0, 1).flatten(1)
    return torch.linalg.solve(A.T @ A + weight * G @ G.T, A.T)


def classical(method, y, K, weight):
    if method == "fbp":
        return K.fbp(y)
    if method == "tikhonov":
        return (y.flatten(1).double() @ tikhonov_map(K, weight).T).view(-1, *K.image_shape).float()
    s = norm(K)
    return tv(y / s, weight / s**2, TV_STEPS, lambda x: K(x) / s, lambda z: K.adjoint(z) / s, K.fbp(y).clamp(0, 1))


def ridge(y, x, weight):
    """The linear map of least squared error on the pairs."""
    Y, X = y.flatten(1).double(), x.flatten(1).double()
    y_mean, x_mean = Y.mean(0), X.mean(0)
    Y, X = Y - y_mean, X - x_mean
    W = torch.linalg.solve(Y.T @ Y + len(Y) * weight * SIGMA**2 * torch.eye(Y.shape[1], dtype=torch.float64), Y.T @ X)
    return lambda z: ((z.flatten(1).double() - y_mean) @ W + x_mean).view(-1, *x.shape[1:]).float()


def resized(y):
    return F.interpolate(y / SIDE, size=(SIDE, SIDE), mode="bilinear", align_corners=False)


class BothDomains(nn.Module):
    """CNN on the sinogram, filtered back-projection, UNet."""

    def __init__(self):
        super().__init__()
        self.data, self.image = course.CNN(3, CHANNELS), course.UNet(2, CHANNELS)

    def forward(self, y, K=None):
        K = K or scanner(VIEWS)  # not kept: an operator cannot be copied with the weights
        return self.image(K.fbp(SIDE * self.data(y / SIDE)))


class Deeper(nn.Module):
    """The two networks of BothDomains, one behind the other on images."""

    def __init__(self):
        super().__init__()
        self.first, self.image = course.CNN(3, CHANNELS), course.UNet(2, CHANNELS)

    def forward(self, x):
        return self.image(self.first(x))


def make(method):
    """An untrained network of this route."""
    if method in ("both", "fbp_deeper"):
        return BothDomains() if method == "both" else Deeper()
    return course.UNet(2, CHANNELS, residual=method != "sinogram_unet")


def psnr(x_hat, x, where=...):
    return course.psnr(x_hat.clamp(0, 1)[where], x[where], together=True)


@torch.no_grad()
def judge(reconstruct, bodies, data, seed, fixed=False):
    """The row of a method x_hat = reconstruct(y, K); a fixed one takes 16 views only."""
    tests, x = test_of(bodies, data, seed)
    y, K = tests[""]
    x_hat = reconstruct(y, K)
    row = {"psnr": psnr(x_hat, x), "psnr_inside": psnr(x_hat, x, x > 0.05), "ssim": course.ssim(x_hat.clamp(0, 1),
           x).mean(), "residual": (K(x_hat.clamp(0, 1)) - y).norm() / y.norm(), "floor": (K(x) - y).norm() / y.norm()}
    others = ["_fine"] if data == "crime" else ["_turned"] + ["_fewer"] * (not fixed)
    return row | {f"psnr{which}": psnr(reconstruct(*tests[which]), x) for which in others}


def best(candidates, bodies, data, seed):
    """The candidate {weight: reconstruct} that is best on the images for tuning, and its weight."""
    y, x = pairs_of(TUNING, bodies, data, 30_000 + seed)
    found = {w: psnr(reconstruct(y, scanner(VIEWS)), x) for w, reconstruct in candidates.items()}
    chosen = max(found, key=found.get)
    return candidates[chosen], {"penalty": chosen}


def run(*, bodies, data, method, pairs, updates, seed):
    if not pairs:
        candidates = {w: lambda y, K, w=w: classical(method, y, K, w) for w in WEIGHTS.get(method, (0.0,))}
        reconstruct, chosen = best(candidates, bodies, data, seed)
        return judge(reconstruct, bodies, data, seed) | chosen
    y, x = pairs_of(pairs, bodies, data, seed)
    if method.startswith("linear"):
        half = pairs // 2 if method == "linear_unet" else pairs  # a network behind must see outputs for new bodies
        maps = {w: ridge(y[:half], x[:half], w) for w in RIDGES}
        linear, chosen = best({w: lambda z, K, f=f: f(z) for w, f in maps.items()}, bodies, data, seed)
        if method == "linear":
            weights = y[0].numel() * x[0].numel()
            return judge(linear, bodies, data, seed, True) | chosen | {"weights": weights}
        y, x = y[half:], x[half:]
    K = scanner(VIEWS)
    first = {"sinogram_unet": lambda y, K: resized(y), "both": lambda y, K: y,
             "linear_unet": lambda y, K: linear(y, K)}.get(method, lambda y, K: K.fbp(y))
    torch.manual_seed(seed)
    trained = train(make(method), first(y, K), x, updates=updates, rate=RATE, batch=BATCH, seed=seed)

    def route(model):
        return lambda y, K: model(y, K) if method == "both" else model(first(y, K))
    return [judge(route(one), bodies, data, seed, method == "linear_unet")
            | {"psnr_train": trained_psnr(route(one), y, x), "weights": course.parameter_count(one)} for one in trained]


@torch.no_grad()
def trained_psnr(reconstruct, y, x):
    return psnr(reconstruct(y[:TEST], scanner(VIEWS)), x[:TEST])
