"""What do two small networks that run in a page make of pictures, noise and blur that they never saw?

A Gaussian blur and Gaussian noise on pictures of 256 pixels: photographs and drawn chest slices. The CNN and the UNet
need equally many multiplications. They train for one blur and one noise, on crops of 64 pixels, each blurred as a
picture of its own, half of them of photographs. The last eighth of their updates has a tenth of the learning rate. Of
twelve photographs the seed draws four for the test, and no cutting of them trains. Total variation and Tikhonov know
the blur; their weight is tuned on training pictures, for each noise, at the blur of the training. All methods restore
the same measurements: test photographs, slices of other patients, text, then photographs with other noise and with
other blurs.

Not covered: networks that are told blur and noise, or that train for many of them; larger networks; colour.
"""
from functools import lru_cache

import matplotlib
import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw, ImageFont

import course
from studies.engine import ROOT, grid
from studies.learned_versus_tv import gradient, gradient_T
from studies.unet_versus_cnn import train

FIGURE = {"lines": "method", "metric": "rmse"}
SIDE = 256                     # pixels
PHOTOGRAPHS = 2, 2, 2, 1, 2, 2, 1, 1, 4, 4, 3, 2  # cuttings of each photograph of imgs/photographs.png, in its order
HELD_OUT = 4                   # photographs that do not train
BLUR, NOISE = 1.5, 0.02        # of the training: standard deviations, in pixels and in grey levels
TASKS = {"": ("photographs", BLUR, NOISE), "_patients": ("patients", BLUR, NOISE), "_text": ("text", BLUR, NOISE),
         "_noise": ("photographs", BLUR, 0.08), "_weaker": ("photographs", 0.8, NOISE),
         "_stronger": ("photographs", 2.5, NOISE)}
CROPS, CROP, BATCH = 2048, 64, 4  # number of crops, their side in pixels, crops per update
RATE = 5e-3
TUNING = 2                     # training pictures of each kind on which a weight is tuned
STEPS = {"tv": 100, "tikhonov": 40}  # of a primal-dual iteration, of conjugate gradients
NOISES = 0.005, NOISE, 0.08    # for which weights are tuned: those of the page
PENALTIES = {"tv": [[noise * share for share in (0.03, 0.06, 0.12, 0.24, 0.48)] for noise in NOISES],
             "tikhonov": [[noise**2 * share for share in (15, 30, 60, 120, 240)] for noise in NOISES]}
GRID = (grid(method=["nothing", "tikhonov", "tv"], updates=[0])
        + grid(method=["cnn", "unet"], updates=[(500, 1000, 2000)]))
KEEP = {"live_cnn": {"method": "cnn", "updates": 2000, "seed": 0},
        "live_unet": {"method": "unet", "updates": 2000, "seed": 0}}


def photographs(seed):
    """Cuttings that train, and those of the photographs held out: (N, 1, SIDE, SIDE) each."""
    cuttings = np.asarray(Image.open(ROOT / "imgs/photographs.png"), np.float32).reshape(-1, 1, SIDE, SIDE) / 255
    held_out = np.random.default_rng(seed).permutation(len(PHOTOGRAPHS))[:HELD_OUT]
    tests = np.isin(np.repeat(np.arange(len(PHOTOGRAPHS)), PHOTOGRAPHS), held_out)
    return torch.from_numpy(cuttings[~tests]), torch.from_numpy(cuttings[tests])


def text(seed, count=4):
    """Pages of random letters, dark on light: (count, 1, SIDE, SIDE)."""
    draw, pages = np.random.default_rng(seed), []
    for page in range(count):
        image = Image.new("L", (SIDE, SIDE), 230)
        size = 10 + 3 * page  # pixels
        font = ImageFont.truetype(f"{matplotlib.get_data_path()}/fonts/ttf/DejaVuSans.ttf", size)
        for top in range(4, SIDE, size + 4):
            letters = "".join(draw.choice(list("abcdefghijklmnopqrstuvwxyz     "), 60))
            ImageDraw.Draw(image).text((6, top), letters, fill=20, font=font)
        pages.append(np.asarray(image, np.float32) / 255)
    return torch.from_numpy(np.stack(pages))[:, None]


@lru_cache(maxsize=1)
def pictures(seed):
    """{kind: pictures}: 'train', 'photographs', 'patients' and 'text'; 'tuning' are some of those that train."""
    train, test = photographs(seed)
    first = 40000 + 100 * seed
    patients = course.phantoms(range(first, first + len(train) + HELD_OUT), SIDE)
    people = patients[HELD_OUT:]
    return {"train": torch.cat([train, people]), "photographs": test, "patients": patients[:HELD_OUT],
            "text": text(seed), "tuning": torch.cat([train[:: len(train) // TUNING][:TUNING], people[:TUNING]])}


def blurred(x, sd):
    """course.blur with a Gaussian kernel, by columns and then by rows."""
    profile = course.gaussian(sd).sum(0)
    pad = len(profile) // 2
    return F.conv2d(F.conv2d(x, profile.view(1, 1, -1, 1), padding=(pad, 0)), profile.view(1, 1, 1, -1),
                    padding=(0, pad))


def measurement(x, sd, noise, seed):
    draw = torch.Generator().manual_seed(seed)
    return blurred(x, sd) + noise * torch.randn(x.shape, generator=draw)


def tv(y, sd, weight, steps=STEPS["tv"]):
    """Total variation from the start y, in [0, 1], by Chambolle and Pock's iteration with step sizes 1 and 1/9."""
    x = x_bar = y.clamp(0, 1)
    q, p = torch.zeros_like(y), torch.zeros(2, *y.shape)
    for _ in range(steps):
        q = (9 * q + blurred(x_bar, sd) - y) / 10
        p = p + gradient(x_bar) / 9
        p = p / (p.square().sum(0).sqrt() / weight).clamp(min=1)
        x_new = (x - blurred(q, sd) - gradient_T(p)).clamp(0, 1)
        x, x_bar = x_new, 2 * x_new - x
    return x


def tikhonov(y, sd, weight):
    """Tikhonov's minimiser by conjugate gradients, each picture with its own steps."""
    def normal(x):
        return blurred(blurred(x, sd), sd) + weight * gradient_T(gradient(x))
    x = torch.zeros_like(y)
    r = p = blurred(y, sd)
    square = r.square().sum((1, 2, 3), keepdim=True)
    for _ in range(STEPS["tikhonov"]):
        a = normal(p)
        step = square / (p * a).sum((1, 2, 3), keepdim=True)
        x, r = x + step * p, r - step * a
        new = r.square().sum((1, 2, 3), keepdim=True)
        p, square = r + new / square * p, new
    return x


def error(x_hat, x):
    return course.rmse(x_hat.clamp(0, 1), x, together=True)


def errors(restore, seed):
    """The RMSE of restore(y, blur, noise) in each of TASKS."""
    found = {}
    for i, (task, (kind, sd, noise)) in enumerate(TASKS.items()):
        x = pictures(seed)[kind]
        y = measurement(x, sd, noise, 1000 * seed + i)
        found[f"rmse{task}"] = error(restore(y, sd, noise), x)
    return found


def tuned(method, seed):
    """{noise: the weight of a classical method with the least error on training pictures}."""
    x, found, solve = pictures(seed)["tuning"], {}, {"tv": tv, "tikhonov": tikhonov}[method]
    for noise, penalties in zip(NOISES, PENALTIES[method]):
        y = measurement(x, BLUR, noise, 1000 * seed + 999)
        found[noise] = min(penalties, key=lambda weight: error(solve(y, BLUR, weight), x))
    return found


def untrained(*, method, updates, seed):
    torch.manual_seed(seed)
    return course.CNN(5, 16) if method == "cnn" else course.UNet(3, 10)


def after(*, method, updates, seed):
    """The network after each number of updates."""
    network, x = untrained(method=method, updates=updates, seed=seed), pictures(seed)["train"]
    x, _ = course.crops(x, x, size=CROP, count=CROPS)
    y = blurred(x, BLUR)  # with zeros around, as around a whole picture
    y = y + NOISE * torch.randn_like(y)
    return train(network, y, x, updates=updates, rate=RATE, batch=BATCH, seed=seed)


def trained(*, method, updates, seed):
    return after(method=method, updates=(updates,), seed=seed)[0]


@torch.no_grad()
def measured(network, *, method, updates, seed):
    def restore(y, sd, noise):
        return torch.cat([network(one) for one in y.split(1)])
    return errors(restore, seed) | {"weights": course.parameter_count(network)}


def run(*, method, updates, seed):
    if method == "nothing":
        return errors(lambda y, sd, noise: y, seed)
    if method in STEPS:
        best, solve = tuned(method, seed), {"tv": tv, "tikhonov": tikhonov}[method]
        return errors(lambda y, sd, noise: solve(y, sd, best[noise]), seed) | {
            f"penalty_{i}": best[noise] for i, noise in enumerate(NOISES)}
    networks = after(method=method, updates=updates, seed=seed)
    return [measured(network, method=method, updates=u, seed=seed) for u, network in zip(updates, networks)]
