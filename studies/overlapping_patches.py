"""Does a test on patches that overlap the training patches flatter a network?

Slices of 160 pixels, one patient a seed. Four test patches of 32 pixels lie in a row. Eight training patches lie above
them, in two rows: the nearer one begins 0, 16 or 32 pixels further up, so that it shares all, half or none of the test
row's pixels (with other noise). Each is repeated with training patches from the same places of *another* patient. The
ratio of the two tells what knowing the patient brings, apart from what lies where. The CNN is that of the chapter
"cnn": three layers, 16 channels, no shortcut, all patches in each update. Networks of 5 and 40 channels stand beside
it, the widest at a quarter of the learning rate. Patches are cut first and blurred then, as there. Patients, noise and
weights come from the seed.

Not covered: more patches than eight, deeper networks, other losses, patches of other sizes.
"""
import torch

import course
from studies.engine import grid

SEEDS = 10
FIGURE = {"lines": ["patient"], "panels": "distance", "where": {"channels": [16]}}
SIDE, PATCH = 160, 32             # pixels, of a slice and of a patch
TOP, COLUMNS = 64, (16, 48, 80, 112)  # pixels, where the test patches begin
SIGMA = 0.02                      # standard deviation of the noise, grey levels
RATES = {5: 1e-2, 16: 1e-2, 40: 2.5e-3}  # by channels; at 1e-2 some of the widest die
PATIENT = {"patient": ["same", "other"]}
GRID = (grid(**PATIENT, distance=[0, 16], channels=[16], updates=[(200, 800, 3200)])
        + grid(**PATIENT, distance=[32], channels=[16], updates=[(200, 800)])
        + grid(**PATIENT, distance=[0], channels=[5], updates=[(200, 800)])
        + grid(**PATIENT, distance=[0, 16], channels=[40], updates=[(200, 800)]))


def patches(x, rows):
    """Noisy and clean patches that begin in these rows and in COLUMNS: (4 rows, 1, 32, 32) each."""
    x = torch.cat([x[..., r:r + PATCH, c:c + PATCH] for r in rows for c in COLUMNS])
    return course.add_noise(course.blur(x), SIGMA), x


def run(*, patient, distance, channels, updates, seed):
    own, other = course.phantoms([60000 + 2 * seed, 60001 + 2 * seed], SIDE).split(1)
    torch.manual_seed(seed)
    y_test, x_test = patches(own, [TOP])
    y, x = patches(own if patient == "same" else other, [TOP - distance, TOP - distance - PATCH // 2])
    network, found = course.CNN(3, channels, residual=False), {}

    def watch(step, model):
        if step in updates:
            found[step] = {"rmse": course.rmse(model(y_test), x_test, together=True),
                           "rmse_train": course.rmse(model(y), x, together=True),
                           "nothing": course.rmse(y_test, x_test, together=True),
                           "weights": course.parameter_count(model)}
    course.fit(network, y, x, steps=max(updates), lr=RATES[channels], watch=watch)
    return [found[step] for step in updates]
