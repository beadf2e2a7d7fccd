"""Is a small trained network more accurate than total variation, and what does that take?

A binomial blur and Gaussian noise on slices of 128 pixels. The network has three convolutions and the form
x_hat = y + f(y), and trains on crops of 32 pixels of 1, 10 or 100 slices, with 4, 16 or 64 channels; it spends the last
eighth of its updates at a tenth of its learning rate. Beside it stand total variation, by 200 steps of a primal-dual
iteration, and Tikhonov by FFT, both with their weight tuned on training slices; the linear filter that least squares
fits to ten training slices, 7 pixels wide as the network's field; and doing nothing. `even` are bodies of evenly grey
ellipses, for which total variation is made. Slices, noise, crops, weights and batches come from the seed.

Not covered: a dear operator, as that of a CT; larger networks; other penalties; learning rates other than 3e-3 (1e-3
for 64 channels).
"""
from functools import lru_cache

import torch
import torch.nn.functional as F

import course
from studies.engine import grid
from studies.unet_versus_cnn import linear, train

SEEDS = 10
FIGURE = {"lines": "method", "panels": "images", "where": {"slices": [10], "channels": [0, 16]}}
SIDE = 128                 # pixels, side of the slices
TEST = 6                   # test slices
TUNING = 4                 # training slices on which a weight is tuned, one where there is only one
NOISE = 0.02               # standard deviation, grey levels
CROPS, CROP, BATCH = 512, 32, 8  # number of crops, their side in pixels, crops per update
RATES = {4: 3e-3, 16: 3e-3, 64: 1e-3}  # by the number of channels
FIELD = 7                  # pixels, width of the network's field
TV_STEPS = 200
WEIGHTS = {"tv": (0.002, 0.003, 0.004, 0.006, 0.01, 0.016, 0.025), "tikhonov": (0.01, 0.025, 0.06, 0.15, 0.4)}
UPDATES = 150, 600, 2400
NETWORK = {"method": ["network"], "updates": [UPDATES]}
GRID = (grid(images=["chest", "even"], slices=[10], channels=[0], method=["nothing", "linear", "tikhonov", "tv"],
             updates=[0])
        + grid(images=["chest"], slices=[10], channels=[16], **NETWORK)
        + grid(images=["even"], slices=[10, 100], channels=[16], method=["network"], updates=[(*UPDATES, 9600)])
        + grid(images=["chest"], slices=[1, 100], channels=[16], **NETWORK)
        + grid(images=["chest"], slices=[10], channels=[4], **NETWORK)
        + grid(images=["chest"], slices=[10], channels=[64], method=["network"], updates=[(150, 600)]))


@lru_cache(maxsize=8)
def pictures(images, slices, seed):
    """Training and test images that no other seed has: (slices, 1, SIDE, SIDE), (TEST, 1, SIDE, SIDE)."""
    if images == "even":
        x = course.ellipses(slices + TEST, SIDE, seed=seed)
    else:
        first = 20000 + 200 * seed
        x = course.phantoms(range(first, first + slices + TEST), SIDE)
    return x[TEST:], x[:TEST]


def noisy(x):
    return course.blur(x) + NOISE * torch.randn_like(x)


def gradient(x):
    """Differences to the next row and the next column, 0 at the end: (B, 1, H, W) -> (2, B, 1, H, W)."""
    return torch.stack([x.diff(dim=2, append=x[:, :, -1:]), x.diff(dim=3, append=x[..., -1:])])


def gradient_T(p):
    """The transpose of `gradient`."""
    rows, columns = F.pad(p[0][:, :, :-1], (0, 0, 1, 1)), F.pad(p[1][..., :-1], (1, 1))
    return -rows.diff(dim=2) - columns.diff(dim=3)


def tv(y, weight, steps, K, KT, x):
    """Total variation from the start x, in [0, 1], by Chambolle and Pock's iteration; the norm of K is at most 1."""
    x_bar, q, p = x, torch.zeros_like(y), torch.zeros(2, *x.shape)
    for _ in range(steps):  # step sizes 1 and 1/9: their product with 1 + 8 is 1
        q = (q + (K(x_bar) - y) / 9) / (1 + 1 / 9)
        p = p + gradient(x_bar) / 9
        p = p / (p.square().sum(0).sqrt() / weight).clamp(min=1)
        x_new = (x - KT(q) - gradient_T(p)).clamp(0, 1)
        x, x_bar = x_new, 2 * x_new - x
    return x


def fourier(y, weight):
    """Tikhonov's minimiser for a periodic image, by two fast Fourier transforms."""
    w = 2 * torch.pi * torch.arange(y.shape[-1]) / y.shape[-1]
    half = slice(y.shape[-1] // 2 + 1)  # a real image has half a spectrum
    k, g = (1 + w.cos()) / 2, 2 - 2 * w.cos()  # of the blur (1, 2, 1)/4, of the squared difference
    k, g = k[:, None] * k[half], g[:, None] + g[half]
    return torch.fft.irfft2(torch.fft.rfft2(y) * k / (k**2 + weight * g), s=y.shape[-2:])


def classical(method, y, weight):
    return fourier(y, weight) if method == "tikhonov" else tv(y, weight, TV_STEPS, course.blur, course.blur,
                                                              y.clamp(0, 1))


def error(x_hat, x):
    return course.rmse(x_hat.clamp(0, 1), x, together=True)


def run(*, images, slices, channels, method, updates, seed):
    x, x_test = pictures(images, slices, seed)
    torch.manual_seed(seed)
    y_test, y = noisy(x_test), noisy(x)  # the test measurement is the same for every number of slices
    if method in WEIGHTS:
        found = {w: error(classical(method, y[:TUNING], w), x[:TUNING]) for w in WEIGHTS[method]}
        best = min(found, key=found.get)
        return {"rmse": error(classical(method, y_test, best), x_test), "weights": 1, "penalty": best}
    if method in ("nothing", "linear"):
        x_hat, weights = linear(y, x, y_test, FIELD) if method == "linear" else (y_test, 0)
        return {"rmse": error(x_hat, x_test), "weights": weights}
    crops = course.crops(y, x, size=CROP, count=CROPS)
    network = course.CNN(3, channels)
    trained = train(network, *crops, updates=updates, rate=RATES[channels], batch=BATCH, seed=seed)
    with torch.no_grad():
        return [{"rmse": error(one(y_test), x_test), "rmse_train": error(one(y[:10]), x[:10]),
                 "weights": course.parameter_count(one)} for one in trained]
