"""Synthetic images, seeded: chest-CT-like slices, one patient per seed, and bodies of random ellipses. No person."""
import numpy as np
import torch

from .machinery.anatomy import Slice

TRAIN_PATIENTS = range(100, 112)
TEST_PATIENTS = range(200, 206)


def phantoms(patients, size: int = 128) -> torch.Tensor:
    """Chest slices of several synthetic patients.

    Parameters
    ----------
    patients : iterable of int   one seed per patient; test with patients that did not train
    size : int                   side in pixels, 32 or more

    Returns
    -------
    Tensor (B, 1, size, size)    grey levels in [0, 1]: air 0, lung 0.04, soft tissue 0.40 to 0.47, bone up to 0.95

    Raises
    ------
    ValueError                   if size is less than 32 pixels or there is no patient

    Notes: drawn at double size and averaged, so edges are soft; torch's generator is not touched.
    Source: own.
    """
    patients = list(patients)
    if size < 32 or not patients:
        raise ValueError(f"phantoms: got {len(patients)} patients, size {size}, wanted patients and 32 pixels or more")
    slices = np.stack([Slice(size, seed).draw() for seed in patients])
    return torch.from_numpy(slices)[:, None]


def ellipses(count: int, size: int = 64, *, seed: int) -> torch.Tensor:
    """Bodies of random ellipses on black ground, quickly drawn by the hundred.

    Parameters
    ----------
    count : int                  number of images
    size : int                   side in pixels
    seed : int                   of all images; another seed for the test images

    Returns
    -------
    Tensor (count, 1, size, size)    grey levels in [0, 1]; the body is 0.4 and lies inside the inscribed circle

    Raises
    ------
    ValueError                   if count or size is not positive

    Notes: torch's generator is not touched.
    Source: own.
    """
    if count < 1 or size < 1:
        raise ValueError(f"ellipses: got count {count}, size {size}, wanted positive numbers")
    rng = np.random.default_rng(seed)
    at = (np.arange(size) + 0.5) / size * 2 - 1
    x, y = np.meshgrid(at, at)

    def cover(x0, y0, a, b, angle):
        u = (x - x0) * np.cos(angle) + (y - y0) * np.sin(angle)
        v = (y - y0) * np.cos(angle) - (x - x0) * np.sin(angle)
        return np.clip((1 - np.hypot(u / a, v / b)) * min(a, b) * size / 2 + 0.5, 0, 1)  # 1 inside, soft edge

    images = np.zeros((count, 1, size, size), np.float32)
    for image in images:
        body = cover(*rng.uniform(-0.08, 0.08, 2), *rng.uniform(0.6, 0.85, 2), rng.uniform(0, np.pi))
        image[0] = 0.4 * body
        for _ in range(rng.integers(4, 11)):
            r, phi = rng.uniform(0, 0.5), rng.uniform(0, 2 * np.pi)
            organ = cover(r * np.cos(phi), r * np.sin(phi), *rng.uniform(0.06, 0.3, 2), rng.uniform(0, np.pi))
            image[0] += rng.uniform(-0.3, 0.4) * organ * body
    return torch.from_numpy(images).clamp(0, 1)
