"""How much does total variation gain from an estimate of the phase, in undersampled MRI?

Images, data, masks and noise are those of the study mri_routes, with the same seeds. The phase of an image is
estimated from its own data, as partial Fourier imaging does: a Gaussian low pass of the data gives a blurred image,
and its phase is taken away before the differences are computed. Total variation without this stands in mri_routes. The
width of the low pass and the weight are tuned on 32 training images.

Not covered: a wavelet in place of differences; an estimate that is refined with the image; several coils.
"""
import torch

from studies.engine import grid
from studies.mri_routes import (
    ALL,
    F_T,
    SIDE,
    TAU,
    TEST,
    TUNING,
    TV_STEPS,
    WEIGHTS,
    F,
    draw_masks,
    gradient,
    gradient_T,
    images,
    measured,
    psnr,
    zero_filled,
)

SEEDS = 10
FIGURE = {"metric": "psnr", "lines": "bodies", "panels": "mask", "where": {"noise": [0.0]}}
WIDTHS = 0.7, 1.0, 1.5  # columns, of the low pass
PAIRS = 400             # training images of mri_routes, of which the first are for tuning
GRID = (grid(mask=["uniform", "central"], bodies=ALL["bodies"], noise=[0.0])
        + grid(mask=["uniform"], bodies=["even"], noise=[0.1]))


def estimated(y, width):
    """A phase for each pixel, from low frequencies: complex numbers of modulus 1 as (B, 2, SIDE, SIDE)."""
    omega = torch.arange(SIDE) - SIDE // 2
    low_pass = torch.exp(-(omega / width) ** 2 / 2)
    low = F_T(y[:, :2] * low_pass * low_pass[:, None])
    return low / low.norm(dim=1, keepdim=True).clamp(min=1e-6)


def times(a, b):
    """The product of complex images with two channels."""
    return torch.stack([a[:, 0] * b[:, 0] - a[:, 1] * b[:, 1], a[:, 0] * b[:, 1] + a[:, 1] * b[:, 0]], dim=1)


def tv(y, weight, phase):
    """argmin ½‖MFx − y‖² + weight ‖∇(x / phase)‖₁, as in mri_routes."""
    data, mask, back = y[:, :2], y[:, 2:], phase * torch.tensor([1.0, -1.0]).view(2, 1, 1)
    x = x_bar = zero_filled(y)
    p = gradient(0 * x)
    for _ in range(TV_STEPS):
        p = p + gradient(times(x_bar, back)) / (8 * TAU)
        p = p / (p.square().sum((0, 2), keepdim=True).sqrt() / weight).clamp(min=1)
        x_new = F_T((F(x - TAU * times(gradient_T(p), phase)) + TAU * data) / (1 + TAU * mask))
        x, x_bar = x_new, 2 * x_new - x
    return x


@torch.no_grad()
def run(*, mask, bodies, noise, seed):
    x, full = images(PAIRS, bodies, 100 + seed)
    x_test, full_test = images(TEST, bodies, 200 + seed)
    its, _ = draw_masks(mask, PAIRS, seed)
    rng = torch.Generator().manual_seed(300 + seed)
    y_test = measured(full_test, its, noise, rng)
    y, x = measured(full[:TUNING], its, noise, rng), x[:TUNING]

    def solve(y, weight, width):
        return tv(y, weight, estimated(y, width))

    choices = [(weight, width) for weight in WEIGHTS["tv"] for width in WIDTHS]
    weight, width = max(choices, key=lambda one: psnr(solve(y, *one), x))
    return {"psnr": psnr(solve(y_test, weight, width), x_test), "penalty": weight, "width": width}
