"""Does it pay at low dose to weight each ray by its counts?

Computed tomography of 16 views, images of 40 pixels, bodies of even ellipses drawn at four times the side. The
detector counts photons: a Poisson number whose mean falls with the exponential of the line integral, averaged over
four fine bins, and electronic noise of 3 counts. The data are minus the logarithm of the counts, which are set to 1
where they are less. All methods but filtered back-projection are least squares with the squared gradient as penalty,
in closed form, its weight tuned on 8 other images: plain; plain without the rays of fewer than 9 counts (`without`);
weighted by the variance that the counts say (`weighted`), that counts averaged over five bins say (`smoothed`), that
the expected counts say (`oracle`). `crime` are data whose line integrals the inverted matrix has made. All results
are cut to [0, 1]. Bodies and noise come from the seed, those of the test too.

Not covered: a likelihood in place of the logarithm, scattered radiation, several energies; a lowest count other than
1; other electronic noise; other penalties; networks.
"""
from functools import lru_cache

import torch
import torch.nn.functional as F

import course
from studies.ct_routes import FINE, SIDE, VIEWS, psnr, scanner
from studies.engine import grid
from studies.learned_versus_tv import gradient

SEEDS = 10
FIGURE = {"metric": "psnr", "lines": "method", "panels": "photons", "where": {"data": ["fine"]}}
ATTENUATION = 0.4      # optical depth of one pixel of white: water, grey 0.4, has 0.16 a pixel of 8 mm
ELECTRONIC = 3.0       # standard deviation of the electronic noise, in counts
LEAST = 1.0            # counts below are set to it
STARVED = 9.0          # counts, three times the electronic noise
TEST, TUNING = 24, 8   # images
WEIGHTS = tuple(10.0 ** (k / 2) for k in range(-1, 6))
METHODS = ["plain", "weighted", "smoothed", "oracle", "without", "fbp"]
GRID = (grid(photons=[100, 1000, 10_000, 100_000], data=["fine"], method=METHODS)
        + grid(photons=[10_000, 100_000], data=["crime"], method=["plain", "weighted"]))


def expected(x, photons, data):
    """Expected counts of bodies on the fine grid."""
    if data == "crime":
        return photons * torch.exp(-ATTENUATION * scanner(VIEWS)(F.avg_pool2d(x, FINE)))
    depth = ATTENUATION * scanner(VIEWS, fine=FINE)(x) / FINE
    return photons * torch.exp(-depth).unflatten(3, (SIDE, FINE)).mean(4)


def variance(counts):
    """Of the line integral, attenuation × pixel, by the first derivative of the logarithm."""
    return (counts + ELECTRONIC**2) / (ATTENUATION * counts)**2


@lru_cache(maxsize=2)
def scan(count, photons, data, seed):
    """Line integrals, counts, expected counts, each (count, 1, 16, 40); images."""
    x = course.ellipses(count, FINE * SIDE, seed=seed)
    torch.manual_seed(seed)
    mean = expected(x, photons, data)
    counts = (torch.poisson(mean) + ELECTRONIC * torch.randn_like(mean)).clamp(min=LEAST)
    return -(counts / photons).log() / ATTENUATION, counts, mean, F.avg_pool2d(x, FINE)


@lru_cache(maxsize=1)
def prior():
    """P⁻¹Aᵀ (n, m) and A P⁻¹Aᵀ (m, m) for the penalty xᵀPx, the squared gradient."""
    A = scanner(VIEWS).matrix()
    G = gradient(torch.eye(A.shape[1], dtype=torch.float64).view(-1, 1, SIDE, SIDE)).transpose(0, 1).flatten(1)
    P = G @ G.T + 1e-3 * torch.eye(A.shape[1], dtype=torch.float64)  # a constant image must not be free
    back = torch.linalg.solve(P, A.T)
    return back, A @ back


def least_squares(y, v, weight):
    """argmin (Ax − y)ᵀ diag(1/v) (Ax − y) + weight xᵀPx / median of v, image by image."""
    back, square = prior()
    v = v.flatten(1).double()
    V = torch.diag_embed(weight * v / v.median(1, keepdim=True).values)
    return (torch.linalg.solve(square + V, y.flatten(1).double()) @ back.T).view(-1, 1, SIDE, SIDE).float()


def reconstruct(method, y, counts, mean, weight):
    if method == "fbp":
        return scanner(VIEWS).fbp(y)
    near = F.avg_pool2d(counts, (1, 5), stride=1, padding=(0, 2), count_include_pad=False)
    v = {"plain": torch.ones_like(y), "without": torch.where(counts < STARVED, 1e6, 1.0),
         "weighted": variance(counts), "smoothed": variance(near), "oracle": variance(mean)}[method]
    return least_squares(y, v, weight)


def run(*, photons, data, method, seed):
    *tuning, x = scan(TUNING, photons, data, 50_000 + seed)
    weights = WEIGHTS if method != "fbp" else (0.0,)
    found = {weight: psnr(reconstruct(method, *tuning, weight), x) for weight in weights}
    best = max(found, key=found.get)
    y, counts, mean, x = scan(TEST, photons, data, 40_000 + seed)
    x_hat = reconstruct(method, y, counts, mean, best)
    return {"psnr": psnr(x_hat, x), "psnr_inside": psnr(x_hat, x, x > 0.05), "penalty": best,
            "starved": (counts < STARVED).float().mean(), "least": (counts <= LEAST).float().mean()}
