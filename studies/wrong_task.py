"""How much worse is a method on a task for which it was not made, and is that so of trained networks alone?

A task is a family of images, the width of a Gaussian blur and a level of noise: `base` is chest slices, 1 pixel and
0.03, and each other task changes one of the three. A CNN of three layers is trained for each task and tested on all. So
is the linear filter that least squares fits to the same images, 7 pixels wide as the network's field. Total variation
knows the blur and the weight of its own task, and keeps both on the others. A network for `all noise` trains on three
levels at once, one for `all blurs` on three widths. The columns are the errors on the tasks, away from the rim. Noise
is not clamped. Slices, pages of text, noise, crops, weights and batches come from the seed; the photograph (a half to
train, the other to test) and the CT slice are always the same.

Not covered: other architectures; networks that are told blur and noise; a wrong operator that is no blur.
"""
import re
from functools import lru_cache

import numpy as np
import torch
from matplotlib import font_manager
from PIL import Image, ImageDraw, ImageFont

import course
from studies.engine import grid
from studies.learned_versus_tv import tv
from studies.unet_versus_cnn import linear, train

SEEDS = 10
FIGURE = {"metric": "rmse_base", "lines": "task", "panels": "method",
          "where": {"method": ["network", "nothing"],
                    "task": ["base", "noise 0.01", "noise 0.1", "blur 0.6", "blur 1.8", "photo", "text"]}}
SIDE = 128             # pixels, side of the images
PATIENTS = 12, 6       # training, test
CROPS, CROP, BATCH = 960, 32, 4  # number of crops, their side in pixels, crops per update
CHANNELS = 12          # feature maps of the networks
RATE = 3e-3
FIELD = 7              # pixels, width of the network's field
RIM = 10               # pixels cut off before an error is taken: there the blur saw the zeros outside
INNER = (..., slice(RIM, -RIM), slice(RIM, -RIM))
PENALTIES = 0.0005, 0.001, 0.002, 0.005, 0.012, 0.03, 0.07  # weights that total variation may take
TUNING, TV_STEPS = 2, 60
BASE = "chest", 1.0, 0.03
OTHERS = {"noise 0.01": ("chest", 1.0, 0.01), "noise 0.045": ("chest", 1.0, 0.045), "noise 0.1": ("chest", 1.0, 0.1),
          "blur 0.6": ("chest", 0.6, 0.03), "blur 1.3": ("chest", 1.3, 0.03), "blur 1.8": ("chest", 1.8, 0.03),
          "photo": ("photo", 1.0, 0.03), "text": ("text", 1.0, 0.03), "faint text": ("faint text", 1.0, 0.03)}
TASKS = {"base": BASE, **OTHERS}
TESTS = {**TASKS, "CT slice": ("CT slice", 1.0, 0.03), "negatives": ("negatives", 1.0, 0.03)}
MIXED = {"all noise": ["noise 0.01", "base", "noise 0.1"], "all blurs": ["blur 0.6", "base", "blur 1.8"]}
PHYSICS = ["base", "noise 0.01", "noise 0.1", "blur 0.6", "blur 1.8"]  # of chests, for total variation
UPDATES = 100, 400, 1600
GRID = (grid(method=["nothing"], task=["base"], updates=[0])
        + grid(method=["linear"], task=[*TASKS, *MIXED], updates=[0])
        + grid(method=["network"], task=[*TASKS, *MIXED], updates=[UPDATES])
        + grid(method=["tv"], task=PHYSICS, updates=[0]))


def page(rng):
    """A page of random lower-case words, black on white, drawn at double size and averaged: (1, SIDE, SIDE)."""
    font = ImageFont.truetype(font_manager.findfont("DejaVu Sans"), 22)
    sheet = Image.new("L", (2 * SIDE, 2 * SIDE), 255)
    for row in range(4, 2 * SIDE, 28):
        words = ["".join(rng.choice(list("abcdefghijklmnopqrstuvwxyz"), rng.integers(2, 9))) for _ in range(8)]
        ImageDraw.Draw(sheet).text((6, row), " ".join(words), font=font, fill=0)
    return torch.from_numpy(np.array(sheet, np.float32)).view(1, SIDE, 2, SIDE, 2).mean((2, 4)) / 255


def stored(name):
    """A picture of imgs/ as it lies there, whatever stands in for it."""
    with Image.open(course.course_asset_path("ct_small.png").with_name(name)) as file:
        return np.asarray(file.convert("L").resize((2 * SIDE, 2 * SIDE)) if name == "photo.png" else file, np.float32)


@lru_cache(maxsize=8)
def families(seed):
    """{family: (training images or None, test images)} of one seed."""
    rng, first, (train, test) = np.random.default_rng(seed), 40000 + 100 * seed, PATIENTS
    chests = course.phantoms(range(first, first + train + test), SIDE)
    photo = torch.from_numpy(stored("photo.png"))[None, None] / 255
    left, right = (torch.cat(half.split(SIDE, dim=2)) for half in photo.split(SIDE, dim=3))  # (2, 1, SIDE, SIDE)
    text = torch.stack([page(rng) for _ in range(train + test)])
    faint = 0.35 + 0.3 * text
    units = torch.from_numpy(stored("ct_small.png"))[None, None] - 1024  # Hounsfield; the file holds HU + 1024
    return {"chest": (chests[:train], chests[train:]), "photo": (left, right),
            "text": (text[:train], text[train:]), "faint text": (faint[:train], faint[train:]),
            "CT slice": (None, ((units + 1000) / 2400).clamp(0, 1)), "negatives": (None, 1 - chests[train:])}


def measure(x, width, level):
    return course.blur(x, course.gaussian(width)) + level * torch.randn_like(x)


def error(x_hat, x):
    return course.rmse(x_hat.clamp(0, 1)[INNER], x[INNER], together=True)


def column(task):
    """'noise 0.1' as 'rmse_noise_0_1'"""
    return "rmse_" + re.sub(r"\W", "_", task)


def judge(restore, tests):
    """Errors on the tests by name, each after `restore`."""
    with torch.no_grad():
        return {column(name): error(restore(y), x) for name, (y, x) in tests.items()}


def run(*, method, task, updates, seed):
    images = families(seed)
    torch.manual_seed(seed)
    tests = {}
    for name, (family, *how) in TESTS.items():
        x = images[family][1]
        tests[name] = measure(x, *how), x
    if method == "nothing":
        return judge(lambda y: y, tests)
    parts = []
    for name in MIXED.get(task, [task]):
        family, *how = TASKS[name]
        x = images[family][0]
        parts.append((measure(x, *how), x))
    if method == "tv":
        (y, x), = parts
        kernel = course.gaussian(TASKS[task][1])

        def restore(y, weight):
            def K(x):
                return course.blur(x, kernel)
            return tv(y, weight, TV_STEPS, K, K, y.clamp(0, 1))
        best = min(PENALTIES, key=lambda w: error(restore(y[:TUNING], w), x[:TUNING]))
        of_chests = {name: tests[name] for name in PHYSICS}
        return judge(lambda y: restore(y, best), of_chests) | {"penalty": best}
    if method == "linear":
        ys, xs = zip(*tests.values())
        filtered = linear(*(torch.cat(z) for z in zip(*parts)), torch.cat(ys), FIELD)[0].split([len(x) for x in xs])
        return judge(lambda x_hat: x_hat, dict(zip(tests, zip(filtered, xs))))
    crops = [course.crops(y, x, size=CROP, count=CROPS // len(parts)) for y, x in parts]
    y, x = (torch.cat(z) for z in zip(*crops))
    trained = train(course.CNN(3, CHANNELS), y, x, updates=updates, rate=RATE, batch=BATCH, seed=seed)
    return [judge(one, tests) for one in trained]
