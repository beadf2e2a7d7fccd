"""Do the verdicts of the study `attention` hold on bodies with texture, for which total variation is not made?

The tasks `blur` and `ghost` of that study with its networks, rates, noise, rivals and sizes of the sets. The grey of
each body is multiplied by 1 + 0.25 t, where t is a smooth random field of its own, of mean zero and variance one, that
is correlated over about 1.5 pixels. The fields come from the seed as well, and are moved with their bodies.

Not covered: other textures; in the ghost's task CNNs and networks without attention; other lengths of training.
"""
from functools import lru_cache

import torch

import course
from studies import attention as even
from studies.engine import grid
from studies.unet_versus_cnn import train

SEEDS = 10
FIGURE = {"metric": "psnr", "lines": "method", "panels": "task", "where": {"pairs": [16, 600], "rate": [0.0, 3e-3]}}
TEXTURE, GRAIN = 0.25, 1.5  # relative standard deviation of the texture, its smoothness in pixels
FEW, SOME, MANY = 16, 600, 2000  # training pairs
NETWORKS = {"blur": ["transformer", "off", "unet", "cnn"], "ghost": ["transformer", "unet", "large", "hybrid"]}
GRID = (grid(task=["blur", "ghost"], method=["nothing", "linear", "tv"], pairs=[SOME], rate=[0.0], updates=[0])
        + grid(task=["blur"], method=["linear"], pairs=[FEW, MANY], rate=[0.0], updates=[0])
        + grid(task=["blur"], method=NETWORKS["blur"], pairs=[FEW, MANY], rate=[1e-3, 3e-3], updates=[640])
        + grid(task=["ghost"], method=NETWORKS["ghost"], pairs=[SOME], rate=[1e-3, 3e-3], updates=[1000]))


@lru_cache(maxsize=6)
def pairs_of(task, count, seed):
    """Measurements and images with texture, (count, 1, H, H) each; other seeds, other images."""
    side, draw = even.SIDES[task], torch.Generator().manual_seed(seed)
    x = course.ellipses(count, side, seed=seed)
    f = torch.fft.fftfreq(side)
    window = torch.exp(-2 * (torch.pi * GRAIN)**2 * (f[:, None]**2 + f[:side // 2 + 1]**2))
    field = torch.fft.irfft2(torch.fft.rfft2(torch.randn(x.shape, generator=draw)) * window, s=(side, side))
    x = (x * (1 + TEXTURE * field / field.std())).clamp(0, 1)
    noise = even.NOISE[task] * torch.randn(x.shape, generator=draw)
    if task == "blur":
        return course.blur(x) + noise, x
    a = 0.3 + 0.4 * torch.rand(count, 1, 1, 1, generator=draw)
    rows = torch.randint(side, (count,), generator=draw).tolist()
    x = torch.stack([image.roll(r, 1) for image, r in zip(x, rows)])
    return x + a * x.roll(even.AWAY, 2) + noise, x


def run(*, task, method, pairs, rate, updates, seed):
    y, x = (a[:pairs] for a in pairs_of(task, MANY, 70_000 + 3 * seed))
    y_test, x_test = pairs_of(task, even.TEST, 70_001 + 3 * seed)
    y_tuning, x_tuning = pairs_of(task, even.TUNING, 70_002 + 3 * seed)
    if method in ("nothing", "linear"):
        x_hat, more = even.filtered(y, x, y_test) if method == "linear" else y_test, {}
    elif method == "tv":
        few = slice(even.TV_TUNING)
        errors = {w: course.rmse(even.varied(task, y_tuning[few], w), x_tuning[few], together=True)
                  for w in even.TV_WEIGHTS}
        weight = min(errors, key=errors.get)
        x_hat, more = even.varied(task, y_test, weight), {"penalty": weight, "weights": 1}
    else:
        torch.manual_seed(seed)
        model, = train(even.build(method, task), y, x, updates=(updates,), rate=rate, batch=even.BATCH, seed=seed)
        with torch.no_grad():
            x_hat, found = model(y_test), model(y_tuning).clamp(0, 1)
        more = {"psnr_tuning": course.psnr(found, x_tuning, together=True), "weights": course.parameter_count(model)}
    return {"psnr": course.psnr(x_hat.clamp(0, 1), x_test, together=True)} | more
