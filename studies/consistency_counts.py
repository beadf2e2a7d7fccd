"""Does data consistency help or harm in the same way where the noise is that of counted photons?

The scanner, the even bodies, the networks and the trainings are those of the study `consistency`. The field is 32 cm
wide, so that grey 0.4 is water. The detector counts photons: a Poisson number whose mean falls with the exponential of
the line integral, averaged over four fine bins, and electronic noise of 3 counts. The data are minus the logarithm of
the counts, which are set to 1 where they are less. So a ray past the body is nearly exact, and a ray through its middle
is the noisiest, where `consistency` has equal noise on all. Behind each method stand the hard layer, five data steps,
and three soft layers: `soft` trusts all rays alike, `weighted` each by the inverse of the variance that its counts say,
`smoothed` by what counts say that are averaged over five bins. Weights of penalties and of layers are tuned on 24 other
images, those of the soft layers by the error inside the body. Bodies, counts, weights and batches come from the seed,
those of the test too.

Not covered: textured bodies; other sizes and views; methods that weight the rays before the layer; scattered radiation.
"""
from functools import lru_cache

import torch
import torch.nn.functional as F

import course
from studies import consistency as white
from studies.consistency import FINE, SIDE, errors, filtered, scanner, share, soft, tikhonov, total_variation, train
from studies.ct_dose import ELECTRONIC, LEAST
from studies.engine import grid

SEEDS = 10
FIGURE = {"metric": "body", "lines": "method", "panels": "photons"}
ATTENUATION = 0.5  # optical depth of one pixel of white, 1 cm wide
PAIRS = 400
RATES = {"unrolled": 1e-3}  # of all others 6e-3
UPDATES = 150, 600, 2400
GRID = (grid(photons=[1000, 10_000, 100_000], method=["fbp", "tikhonov", "tv"], updates=[0])
        + grid(photons=[1000, 10_000, 100_000], method=["unet"], updates=[UPDATES])
        + grid(photons=[10_000], method=["null", "unrolled", "unet16"], updates=[UPDATES[:2]]))


@lru_cache(maxsize=4)
def scan(count, photons, seed):
    """Line integrals and counts, (count, 1, 8, 32) each, and images (count, 1, 32, 32)."""
    fine = white.drawn(count, "even", seed)
    torch.manual_seed(seed)
    mean = photons * torch.exp(-ATTENUATION * scanner(FINE)(fine) / FINE).unflatten(3, (SIDE, FINE)).mean(4)
    counts = (torch.poisson(mean) + ELECTRONIC * torch.randn_like(mean)).clamp(min=LEAST)
    return -(counts / photons).log() / ATTENUATION, counts, F.avg_pool2d(fine, FINE)


def weighted(K, y, counts, x_hat, weight):
    """argmin (K z − y)ᵀ diag(1 / v) (K z − y) + weight ‖z − x_hat‖² / median of v, v the variance by counts."""
    A, n = K.matrix(), counts.flatten(1).double()
    v = (n + ELECTRONIC**2) / (ATTENUATION * n)**2
    V = torch.diag_embed(weight * v / v.median(1, keepdim=True).values)
    step = torch.linalg.solve(A @ A.T + V, (y - K(x_hat)).flatten(1).double()) @ A
    return x_hat + step.view_as(x_hat).to(x_hat)


def judge(solve, photons, seed):
    """The row of a method x_hat = solve(y)."""
    K = scanner()
    y, counts, x = scan(white.TEST, photons, 20_000 + seed)
    z, n, x_other = scan(white.TUNING, photons, 30_000 + seed)
    x_hat, other = solve(y), solve(z)
    row = errors("error", x_hat, x) | {"residual": share(K(x_hat) - y, y), "floor": share(K(x) - y, y),
                                       "cut_body": share(x_hat.clamp(0, 1) - x, x, x > 0.05)}
    row["body"] = row.pop("error_body")
    row |= errors("hard", x_hat + tikhonov(K, y - K(x_hat), 0.0), x)
    tau = 1 / K.svd[1][0]**2
    row |= errors("steps5", x_hat + filtered(K, y - K(x_hat), lambda s: (1 - (1 - tau * s**2)**5) / s), x)
    layers = {"soft": lambda y, n, x_hat, w: soft(K, y, x_hat, w),
              "weighted": lambda y, n, x_hat, w: weighted(K, y, n, x_hat, w),
              "smoothed": lambda y, n, x_hat, w: weighted(K, y, F.avg_pool2d(
                  n, (1, 5), stride=1, padding=(0, 2), count_include_pad=False), x_hat, w)}
    for name, layer in layers.items():
        best = min(white.SOFT, key=lambda w: share(layer(z, n, other, w) - x_other, x_other, x_other > 0.05))
        row |= errors(name, layer(y, counts, x_hat, best), x) | {f"{name}_weight": best}
    return row


@torch.no_grad()
def run(*, photons, method, updates, seed):
    K = scanner()
    if method == "fbp":
        return judge(K.fbp, photons, seed)
    z, _, x_other = scan(white.TUNING, photons, 30_000 + seed)
    solve, tried = (total_variation, white.TV) if method == "tv" else (tikhonov, white.TIKHONOV)
    weight = min(tried, key=lambda w: share(solve(K, z, w) - x_other, x_other))
    if not updates:
        return judge(lambda y: solve(K, y, weight), photons, seed) | {"penalty": weight}

    def given(y):
        first = tikhonov(K, y, weight)
        return torch.cat([first, y], dim=2) if method == "unrolled" else first
    y, _, x = scan(PAIRS, photons, 10_000 + seed)
    torch.manual_seed(seed)
    network = white.MAKE.get(method, course.UNet)()
    with torch.enable_grad():
        trained = train(network, given(y), x, updates=updates, rate=RATES.get(method, 6e-3), loss=F.mse_loss, seed=seed)
    return [judge(lambda y, one=one: one(given(y)), photons, seed)
            | {"weights": course.parameter_count(one), "penalty": weight} for one in trained]
