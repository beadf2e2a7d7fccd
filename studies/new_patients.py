"""Is a small CNN that trains on patches worth its training on other patients, and where in a patch does it gain?

Patches of 32 pixels of blurred and noisy slices of 128 pixels: 12, 120 or 1200 patches of twelve patients to train, 64
patches of six others to test; the patches are cut before the blur or after it. The CNN is that of the chapter "cnn":
three layers, 16 channels, no shortcut, twelve patches in each update; once it mirrors the patch at its border in place
of padding with zeros. Beside it stand the filter of 7×7 weights that least squares fits to the same patches, mirrored
too; total variation, which restores whole slices, knows the blur and has its weight tuned on training slices; and doing
nothing. `rmse_rim` is taken on the outermost ring of pixels, `rmse_inside` without the two outermost. Patients, places
of patches, noise, weights and batches come from the seed.

Not covered: other sizes of network and of patch, other learning rates.
"""
from functools import lru_cache

import torch

import course
from studies.engine import grid
from studies.learned_versus_tv import tv
from studies.unet_versus_cnn import linear

SEEDS = 10
FIGURE = {"lines": "method", "panels": "patches", "where": {"order": ["blur first"], "patches": [12, 120, 1200, 0]}}
SIDE, PATCH = 128, 32       # pixels, of a slice and of a patch
PATIENTS = 12, 6            # training, test
N_TEST = 64                 # test patches
BATCH = 12                  # patches per update
SIGMA = 0.02                # standard deviation of the noise, grey levels
RATE = 1e-2
FIELD = 7                   # pixels, width of the network's field
PENALTIES, TV_STEPS, TUNING = (0.002, 0.003, 0.004, 0.006, 0.009), 200, 4
UPDATES = 200, 800, 3200
GRID = (grid(order=["blur first", "cut first"], method=["nothing"], patches=[0], updates=[0])
        + grid(order=["blur first", "cut first"], method=["linear"], patches=[12], updates=[0])
        + grid(order=["blur first"], method=["linear"], patches=[120, 1200], updates=[0])
        + grid(order=["blur first"], method=["tv"], patches=[0], updates=[0])
        + grid(order=["blur first"], method=["cnn"], patches=[12, 1200], updates=[UPDATES])
        + grid(order=["blur first"], method=["cnn"], patches=[120], updates=[UPDATES[:2]])
        + grid(order=["blur first"], method=["mirrored cnn"], patches=[12], updates=[UPDATES[:2]])
        + grid(order=["cut first"], method=["cnn"], patches=[12], updates=[UPDATES[:2]]))


@lru_cache(maxsize=8)
def people(seed):
    first = 80000 + 100 * seed
    return course.phantoms(range(first, first + sum(PATIENTS)), SIDE).split(PATIENTS)


def cut(y, x, count, cut_first):
    """Measurements and clean patches at random places, of slices x and their measurements y."""
    y, x = course.crops(y, x, size=PATCH, count=count)
    return (measure(x), x) if cut_first else (y, x)


def measure(x):
    return course.add_noise(course.blur(x), SIGMA)


def restored(y, weight):
    return tv(y, weight, TV_STEPS, course.blur, course.blur, y)


def errors(x_hat, x):
    """RMSE over whole patches, over their outermost ring, and without the two outermost rings."""
    rim = torch.ones(PATCH, PATCH, dtype=torch.bool)
    rim[1:-1, 1:-1] = False
    parts = {"rmse": (x_hat, x), "rmse_rim": (x_hat[..., rim], x[..., rim]),
             "rmse_inside": (x_hat[..., 2:-2, 2:-2], x[..., 2:-2, 2:-2])}
    return {name: course.rmse(*pair, together=True) for name, pair in parts.items()}


def run(*, order, method, patches, updates, seed):
    slices, others = people(seed)
    torch.manual_seed(seed)  # the same test patches in all rows of an order
    y_slices, y_others, cut_first = measure(slices), measure(others), order == "cut first"
    if method == "tv":
        best = min(PENALTIES, key=lambda w: course.rmse(restored(y_slices[:TUNING], w), slices[:TUNING], together=True))
        y_test, x_test = cut(restored(y_others, best), others, N_TEST, cut_first)
        return errors(y_test, x_test) | {"weights": 1, "penalty": best}
    y_test, x_test = cut(y_others, others, N_TEST, cut_first)
    if method == "nothing":
        return errors(y_test, x_test) | {"weights": 0}
    y, x = cut(y_slices, slices, patches, cut_first)
    if method == "linear":
        x_hat, weights = linear(y, x, y_test, FIELD)
        return errors(x_hat, x_test) | {"weights": weights}
    network, found = course.CNN(3, residual=False, padding_mode="reflect" if "mirrored" in method else "zeros"), {}

    def watch(step, model):
        if step in updates:
            found[step] = errors(model(y_test), x_test) | {"rmse_train": course.rmse(model(y), x, together=True),
                                                           "weights": course.parameter_count(model)}
    course.fit(network, y, x, steps=max(updates), lr=RATE, batch=BATCH, watch=watch)
    return [found[step] for step in updates]
