"""Which route leads from undersampled MRI data to the image: classical, a UNet, a layer behind it, or a cascade?

Images of 32 pixels with phase. Their data come from bodies drawn at 128 pixels: Fourier transform there, and the
central 32×32 coefficients are kept. The truth is the mean of each block of 4×4 pixels. A quarter of the columns is
measured: eight in the centre, or four there and four others, uniformly at random or densely near the centre. `many` has
a mask of its own for each training pair, drawn as `uniform`. Bodies are even, or have texture. Noise is complex and
Gaussian, its norm a share of that of the data; `blind` is a UNet that trains with all shares up to three times that of
its test. Total variation and Tikhonov have their weight tuned on 32 training images. A training spends the last eighth
of its updates at a tenth of its learning rate. Bodies, phases, masks, noise, weights and batches come from the seed.

Not covered: several coils, other sizes and accelerations, other penalties than total variation, real scanner data.
"""
from functools import lru_cache

import torch
from torch import nn

import course
from course.operators import as_channels, as_complex, centred
from studies.engine import grid
from studies.unet_versus_cnn import train

SEEDS = 10
FIGURE = {"metric": "psnr", "lines": "method", "panels": "mask",
          "where": {"bodies": ["even"], "noise": [0.0], "pairs": [400], "method": ["zero", "tv", "unet", "cascade"]}}
SIDE, FINE = 32, 4         # pixels, side of the image; how many times finer the bodies are drawn
MEASURED, CENTRE = 8, 4    # columns that are measured; those of them that random masks have in the centre
PHASE = 1.5, 1, 1, 0.7, 0.7, 0.7  # radian, spread of the phase's six coefficients
WAVES, TEXTURE = 24, 0.35  # plane waves of a texture; its standard deviation, relative
TEST, TUNING = 48, 32      # images
BATCH, RATE = 8, 2e-3
TV_STEPS, TAU = 150, 5.0      # steps of the primal-dual iteration, and their size
WEIGHTS = {"tv": (0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064), "tikhonov": (0, 0.003, 0.01, 0.03, 0.1, 0.3, 1)}
SHARES = 0.0, 0.05, 0.1, 0.2  # noise of the tests of a trained network
UPDATES = 100, 400, 1600
ALL = {"mask": ["uniform", "density", "central"], "bodies": ["even", "texture"]}
CORNER = {"mask": ["uniform"], "bodies": ["even"]}
CLASSICAL = {"method": ["zero", "tikhonov", "tv"], "pairs": [400], "updates": [0]}
SHORT = {"pairs": [400], "updates": [UPDATES[:2]]}
GRID = (grid(**ALL, noise=[0.0], **CLASSICAL)
        + grid(**CORNER, noise=[0.0], method=["unet", "through", "cascade", "small"], pairs=[400], updates=[UPDATES])
        + grid(**CORNER, noise=[0.1], **CLASSICAL)
        + grid(**CORNER, noise=[0.1], method=["cascade", "blind"], **SHORT)
        + grid(mask=["central", "many"], bodies=["even"], noise=[0.0], method=["cascade", "unet"], **SHORT)
        + grid(mask=["uniform", "central"], bodies=["texture"], noise=[0.0], method=["cascade"], **SHORT)
        + grid(**CORNER, noise=[0.0], method=["unet"], pairs=[100, 1600], updates=[UPDATES])
        + grid(**CORNER, noise=[0.0], method=["direct", "passes"], **SHORT))


def fine_bodies(count, bodies, seed):
    """Complex images on the fine grid: (count, SIDE FINE, SIDE FINE)."""
    rng = torch.Generator().manual_seed(seed)
    side = SIDE * FINE
    x = course.ellipses(count, side, seed=seed)[:, 0]
    at = (torch.arange(side) + 0.5) / side * 2 - 1
    q, p = torch.meshgrid(at, at, indexing="ij")
    terms = torch.stack([torch.ones_like(p), p, q, p * p, q * q, p * q])
    phase = torch.einsum("bk,khw->bhw", torch.randn(count, 6, generator=rng) * torch.tensor(PHASE), terms)
    if bodies == "texture":
        turn = 2 * torch.pi * torch.rand(count, WAVES, 2, generator=rng)
        size = torch.pi * (3 + 9 * torch.rand(count, WAVES, 1, generator=rng))  # 3 to 12 periods across the picture
        k = size * torch.stack([turn[..., 0].cos(), turn[..., 0].sin()], dim=2)
        left, right = (torch.exp(1j * at[:, None] * one[:, None]) for one in (k[..., 0], k[..., 1]))
        waves = torch.bmm(left * torch.exp(1j * turn[:, None, :, 1]), right.mT).real * (2 / WAVES) ** 0.5
        x = (x * (1 + TEXTURE * waves)).clamp(0, 1)
    return torch.polar(x, phase)


def scan(fine):
    """All SIDE×SIDE central coefficients of fine images, for pixels that are blocks: (B, SIDE, SIDE)."""
    side, first = SIDE * FINE, SIDE * (FINE - 1) // 2
    kept = slice(first, first + SIDE)
    omega = torch.arange(SIDE) - SIDE // 2
    middle = torch.exp(1j * torch.pi * omega * (FINE - 1) / side)  # a block's middle is no fine pixel
    return centred(torch.fft.fft2, fine)[:, kept, kept] / FINE * middle * middle[:, None]


@lru_cache(maxsize=4)
def images(count, bodies, seed):
    """Block means, and their data before the mask: (count, 2, SIDE, SIDE) twice."""
    parts = []
    for i in range(0, count, 200):
        fine = fine_bodies(min(200, count - i), bodies, 1000 * seed + i // 200)
        blocks = fine.unflatten(2, (SIDE, FINE)).unflatten(1, (SIDE, FINE)).mean((2, 4))
        parts.append((as_channels(blocks), as_channels(scan(fine))))
    return [torch.cat(part) for part in zip(*parts)]


def masks(kind, count, rng):
    """Masks of columns: bool (count, 1, 1, SIDE)."""
    omega = (torch.arange(SIDE) - SIDE // 2 + 0.5).abs()
    weight = {"density": omega**-2.0, "central": omega**-9.0}.get(kind, torch.ones(SIDE)).expand(count, -1).clone()
    weight[:, SIDE // 2 - CENTRE // 2:SIDE // 2 + CENTRE // 2] = 1e9
    order = weight.log() - (-torch.rand(count, SIDE, generator=rng).log()).log()  # the largest are drawn by weight
    if kind == "central":
        order = weight
    kept = torch.zeros(count, SIDE, dtype=torch.bool).scatter(1, order.topk(MEASURED).indices, True)
    return kept[:, None, None]


def measured(full, mask, noise, rng):
    """Data with noise whose norm is this share of each image's data, one share or one an image; then the mask."""
    y = full * mask
    eta = torch.randn(y.shape, generator=rng) * mask
    size = noise * y.flatten(1).norm(dim=1) / (2 * SIDE * MEASURED) ** 0.5
    return torch.cat([y + size.view(-1, 1, 1, 1) * eta, mask.expand_as(y[:, :1])], dim=1)


def F(x):
    return as_channels(centred(torch.fft.fft2, as_complex(x)))


def F_T(y):
    return as_channels(centred(torch.fft.ifft2, as_complex(y)))


def zero_filled(y):
    return F_T(y[:, :2])


def consistent(x, y):
    return x + F_T(y[:, :2] - y[:, 2:] * F(x))


class Route(nn.Module):
    """A network on the zero-filled image, `passes` times, each time followed by the hard layer if `layer` is true."""

    def __init__(self, network, *, passes=1, layer=True):
        super().__init__()
        self.network, self.passes, self.layer = network, passes, layer

    def forward(self, y):
        x = zero_filled(y)
        for _ in range(self.passes):
            x = self.network(x)
            x = consistent(x, y) if self.layer else x
        return x


class Direct(nn.Module):
    """A UNet from the coefficients themselves to the image."""

    def __init__(self):
        super().__init__()
        self.network = course.UNet(3, 12, planes=2, residual=False)

    def forward(self, y):
        return self.network(y[:, :2])


MAKE = {
    "unet": lambda: Route(course.UNet(2, 12, planes=2), layer=False),
    "small": lambda: Route(course.UNet(2, 5, planes=2), layer=False),
    "through": lambda: Route(course.UNet(2, 12, planes=2)),
    "cascade": lambda: Route(course.CNN(4, 16, planes=2), passes=3),
    "wide": lambda: Route(course.CNN(4, 41, planes=2), passes=3),
    "passes": lambda: Route(course.CNN(4, 16, planes=2), passes=3, layer=False),
    "direct": Direct,
}


def gradient(x):
    """Differences to the next row and the next column, around the edge: (B, 2, H, W) -> (2, B, 2, H, W)."""
    return torch.stack([x.roll(-1, 2) - x, x.roll(-1, 3) - x])


def gradient_T(p):
    return p[0].roll(1, 2) - p[0] + p[1].roll(1, 3) - p[1]


def tv(y, weight):
    """argmin ½‖MFx − y‖² + weight ‖∇x‖₁, real and imaginary part and both differences in one norm per pixel."""
    data, mask, tau = y[:, :2], y[:, 2:], TAU
    x = x_bar = zero_filled(y)
    p = gradient(0 * x)
    for _ in range(TV_STEPS):
        p = p + gradient(x_bar) / (8 * tau)
        p = p / (p.square().sum((0, 2), keepdim=True).sqrt() / weight).clamp(min=1)
        x_new = F_T((F(x - tau * gradient_T(p)) + tau * data) / (1 + tau * mask))
        x, x_bar = x_new, 2 * x_new - x
    return x


def tikhonov(y, weight):
    """argmin ½‖MFx − y‖² + weight/2 ‖∇x‖², in closed form: a low pass where something was measured."""
    w = 2 * torch.pi * (torch.arange(SIDE) - SIDE // 2) / SIDE
    square = 2 - 2 * w.cos()
    return F_T(y[:, :2] / (1 + weight * (square + square[:, None])))


def psnr(x_hat, x):
    return -10 * (x_hat - x).square().sum(1).mean().log10()


def share(x, y):
    """Mean of ‖x‖ / ‖y‖ over the images."""
    return (x.flatten(1).norm(dim=1) / y.flatten(1).norm(dim=1)).mean()


def judge(x_hat, y, x, clean):
    """The row of reconstructions from data y; `clean` are those without noise."""
    data, mask = y[:, :2], y[:, 2:]
    layer = consistent(x_hat, y)
    worse = (layer - x).flatten(1).norm(dim=1) > (x_hat - x).flatten(1).norm(dim=1) * (1 + 1e-5)
    return {"psnr": psnr(x_hat, x), "psnr_layer": psnr(layer, x), "worse": worse.float().mean(),
            "residual": share(mask * F(x_hat) - data, data), "floor": share(data - clean, data),
            "truth": share(mask * F(x) - data, data),
            "ssim": course.ssim(x_hat.norm(dim=1, keepdim=True), x.norm(dim=1, keepdim=True)).mean()}


def with_noise(solve, full, mask, x, seed):
    """PSNR of a method at each share of noise, with no layer, half of it, all of it, and the weight that is best."""
    found, rng = {}, torch.Generator().manual_seed(400 + seed)
    for noise in SHARES:
        y = measured(full, mask, noise, rng)
        x_hat = solve(y)
        step = consistent(x_hat, y) - x_hat
        best = (((x - x_hat) * step).sum() / step.square().sum()).clamp(0, 1)
        found |= {f"{name}_{noise:.0%}".rstrip("%"): value for name, value in (
            ("best", best), ("alone", psnr(x_hat, x)), ("half", psnr(x_hat + step / 2, x)),
            ("hard", psnr(x_hat + step, x)))}
    return found


def draw_masks(mask, pairs, seed):
    """The mask of the tests and those of the training pairs."""
    rng = torch.Generator().manual_seed(seed)
    its = masks("uniform" if mask == "many" else mask, 1, rng)
    return its, masks("uniform", pairs, rng) if mask == "many" else its


@torch.no_grad()
def run(*, mask, bodies, noise, method, pairs, updates, seed):
    x, full = images(pairs, bodies, 100 + seed)
    x_test, full_test = images(TEST, bodies, 200 + seed)
    its, each = draw_masks(mask, pairs, seed)
    rng = torch.Generator().manual_seed(300 + seed)
    y_test = measured(full_test, its, noise, rng)
    crime = measured(F(x_test), its, noise, rng)
    y = measured(full, each, 3 * noise * torch.rand(pairs, generator=rng) if method == "blind" else noise, rng)
    others = {kind: measured(full_test, masks(kind, TEST, rng), noise, rng) for kind in ALL["mask"]}

    def row(solve):
        in_crime = judge(solve(crime), crime, x_test, F(x_test) * its)
        return (judge(solve(y_test), y_test, x_test, full_test * its)
                | {f"{name}_crime": in_crime[name] for name in ("psnr", "psnr_layer", "worse")}
                | {f"psnr_{kind}": psnr(solve(z), x_test) for kind, z in others.items()}
                | (with_noise(solve, full_test, its, x_test, seed) if method in ("unet", "blind") else {}))

    if method == "zero":
        return row(zero_filled)
    if method in WEIGHTS:
        solve = {"tv": tv, "tikhonov": tikhonov}[method]
        found = {w: psnr(solve(y[:TUNING], w), x[:TUNING]) for w in WEIGHTS[method]}
        best = max(found, key=found.get)
        return row(lambda y: solve(y, best)) | {"penalty": best}
    torch.manual_seed(seed)
    network = MAKE["unet" if method == "blind" else method]()
    with torch.enable_grad():
        trained = train(network, y, x, updates=updates, rate=RATE, batch=BATCH, seed=seed)
    return [row(one) | {"psnr_train": psnr(one(y[:100]), x[:100]), "weights": course.parameter_count(one)}
            for one in trained]
