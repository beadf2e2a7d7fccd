"""Are random columns of k-space better than the columns in the centre, on real anatomy?

The MRI of the study real_anatomy, with its slices, noise, networks and tuning, and with the 32 columns in the centre of
k-space: a plain low pass. The rows of random columns stand there. `real` trains and tunes on one head; the tests are
another head and an abdomen. `phantoms` are drawn chests, `own` others; for `real` the abdomen. Phases, noise, crops,
weights and batches come from the seed.

Not covered: other accelerations, columns at even distances, several coils.
"""
import torch

import course
from studies.engine import grid
from studies.real_anatomy import (
    CLASSICAL_MRI,
    COLUMNS,
    MAKE,
    NOISE,
    PAIRS,
    SIDE,
    TUNING,
    WEIGHTS,
    kind,
    measured,
    person,
    scan,
    squares,
    tuned,
)
from studies.unet_versus_cnn import train

SEEDS = 5
FIGURE = {"metric": "psnr_head", "lines": "method"}
GRID = (grid(method=["zero", "tv"], source=["real", "phantoms"], updates=[0])
        + grid(method=["cascade"], source=["real", "phantoms"], updates=[(100, 800)]))


def low_pass():
    """The columns nearest to the middle of the axis: bool (1, 1, 1, 128)."""
    mask = torch.zeros(SIDE, dtype=torch.bool)
    mask[(SIDE - COLUMNS) // 2:(SIDE + COLUMNS) // 2] = True
    return mask[None, None, None]


@torch.no_grad()
def run(*, method, source, updates, seed):
    fine, own = kind(source, "mri", PAIRS, seed)
    rng, mask = torch.Generator().manual_seed(seed), low_pass()
    x, full = scan(fine, rng)
    y = measured(full, mask, NOISE, rng)
    tests = {name: scan(z, rng) for name, z in (("head", person("head")), ("abdomen", person("abdomen")), ("own", own))}
    tests = {name: (measured(k, mask, NOISE, rng), x) for name, (x, k) in tests.items()}

    def row(solve):
        return {f"psnr_{name}": squares(solve(z), x) for name, (z, x) in tests.items()}
    if method != "cascade":
        solve, chosen = tuned(CLASSICAL_MRI[method], WEIGHTS["mri"].get(method, (0.0,)),
                              lambda f: squares(f(y[:TUNING]), x[:TUNING]))
        return row(solve) | chosen
    torch.manual_seed(seed)
    network = MAKE["cascade"]()
    at = torch.randint(PAIRS, (256,)).tolist(), torch.randint(SIDE - 31, (256,)).tolist()
    strips = [torch.stack([z[i, :, r:r + 32] for i, r in zip(*at)]) for z in (y, x)]
    with torch.enable_grad():
        trained = train(network, *strips, updates=updates, rate=2e-3, batch=4, seed=seed)
    return [row(one) | {"weights": course.parameter_count(one)} for one in trained]
