"""Does the error of a small CNN keep falling as it trains longer, and from when on does it beat the best linear filter?

Blurred and noisy CT slices, 64 pixels; the filter is fitted by least squares on the same images, its window is as wide
as the field of the network.
"""
import torch
import torch.nn.functional as F

import course
from studies.engine import grid

SEEDS = 10
NOISE = [0.01, 0.05]  # standard deviation, in grey levels
GRID = (grid(method=["cnn"], noise=NOISE, updates=[(30, 60, 120, 240)])
        + grid(method=["linear", "nothing"], noise=NOISE, updates=[0]))


def data(noise, seed):
    """Measurements and images of six patients to train and four to test: (6, 1, 64, 64), (4, 1, 64, 64) each."""
    patients = range(1000 + 10 * seed, 1010 + 10 * seed)
    x = course.phantoms(patients, 64)
    y = course.add_noise(course.blur(x), noise)
    return y[:6], x[:6], y[6:], x[6:]


def windows(y, field):
    """The pixels around every pixel, and a one: (B·H·W, field² + 1), in double precision."""
    columns = F.unfold(y.double(), field, padding=field // 2).transpose(1, 2).flatten(0, 1)
    return torch.cat([columns, torch.ones(len(columns), 1, dtype=torch.float64)], dim=1)


def run(*, method, noise, updates, seed):
    torch.manual_seed(seed)
    y, x, y_test, x_test = data(noise, seed)
    if method == "nothing":
        return {"rmse": course.rmse(y_test, x_test, together=True), "weights": 0}
    if method == "linear":
        w = torch.linalg.lstsq(windows(y, 7), x.double().flatten()[:, None]).solution
        x_hat = (windows(y_test, 7) @ w).view(x_test.shape).float()
        return {"rmse": course.rmse(x_hat, x_test, together=True), "weights": len(w)}
    model, rows = course.CNN(depth=3, channels=16), {}

    def watch(step, model):
        if step in updates:
            rows[step] = {"rmse": course.rmse(model(y_test), x_test, together=True),
                          "weights": course.parameter_count(model)}
    course.fit(model, y, x, steps=max(updates), lr=3e-3, watch=watch)
    return [rows[step] for step in updates]
