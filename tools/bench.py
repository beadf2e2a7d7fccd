"""Measure how long chapters take and store it in their metadata; without names, the rendering and D4's training too.

    python tools/bench.py [CHAPTER ...]

Each chapter runs with one torch thread; nothing else should run beside it.
"""
import json
import os
import statistics
import sys
import time

import build
import notebooks
import refresh
import times

os.environ["OMP_NUM_THREADS"] = "1"  # before torch is imported
sys.path += [str(refresh.ROOT / "chapters"), str(refresh.ROOT)]

import torch  # noqa: E402
from torch import nn  # noqa: E402

import course  # noqa: E402
from studies.learned_versus_tv import fourier, tv  # noqa: E402

REPEATS = 9  # of the training loops, alternating
STORED = refresh.ROOT / "tools/bench.json"


def d4_data():
    """Measurements and clean patches of demonstration D4, (12, 1, 32, 32) each."""
    torch.manual_seed(0)
    image = course.load_grey("ct_slice.png", 160)
    starts = (0, 16, 32, 48)
    x = torch.cat([image[:, :, r:r + 32, c:c + 32] for r in starts for c in starts])
    return course.add_noise(course.blur(x), 0.02)[:12], x[:12]


def d4_model():
    return nn.Sequential(nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 16, 3, padding=1), nn.ReLU(),
                         nn.Conv2d(16, 1, 3, padding=1))


def plain_loop(model, y, x):
    optimiser, criterion = torch.optim.Adam(model.parameters(), lr=1e-2), nn.MSELoss()
    for _ in range(200):
        optimiser.zero_grad()
        loss = criterion(model(y), x)
        loss.backward()
        optimiser.step()


def unet_rate(layout: torch.memory_format) -> float:
    """Updates per second of the book's UNet at 64 × 64, batches of eight, weights and images in this layout."""
    model, steps = course.UNet(levels=2, channels=16).to(memory_format=layout), 20
    x = torch.rand(8, 1, 64, 64).contiguous(memory_format=layout)
    optimiser = torch.optim.Adam(model.parameters(), fused=True)

    def train():
        for _ in range(steps):
            optimiser.zero_grad()
            nn.functional.mse_loss(model(x), 0.9 * x).backward()
            optimiser.step()
    return steps / statistics.median(seconds(train) for _ in range(5))


def seconds(work, *arguments, **named) -> float:
    start = time.perf_counter()
    work(*arguments, **named)
    return time.perf_counter() - start


def training_loops() -> tuple[float, float]:
    """Median seconds of D4's training: the book's loop, and a plain one; alternating, so that noise hits both."""
    torch.set_num_threads(1)
    y, x = d4_data()
    pairs = [(seconds(course.fit, d4_model(), y, x, steps=200, lr=1e-2), seconds(plain_loop, d4_model(), y, x))
             for _ in range(REPEATS)]
    return tuple(map(statistics.median, zip(*pairs)))


@torch.no_grad()
def race() -> dict:
    """Median milliseconds of a pass and its rivals, for a blur and a CT, one image and 64: {"blur_pass_1": …}."""
    torch.set_num_threads(1)
    found, K, network = {}, course.Radon(64, torch.arange(90) * 2.0), course.CNN(3, 16)
    ones = torch.ones(1, *K.image_shape), torch.ones(1, *K.data_shape)
    norm = (K(ones[0]).max() * K.adjoint(ones[1]).max()).sqrt()  # no smaller than that of K
    for count in (1, 64):
        y, x = torch.rand(count, 1, 128, 128), course.ellipses(count, 64, seed=0)
        z = K(x) / norm
        methods = {
            "blur_pass": lambda: network(y), "blur_fft": lambda: fourier(y, 0.03),
            "blur_tv": lambda: tv(y, 0.003, 50, course.blur, course.blur, y),
            "ct_pass": lambda: network(K.fbp(z)), "ct_fbp": lambda: K.fbp(z),
            "ct_tv": lambda: tv(z, 0.003, 50, lambda x: K(x) / norm, lambda q: K.adjoint(q) / norm, 0 * x)}
        for name, method in methods.items():
            method()  # warm
            milliseconds = 1000 * statistics.median(seconds(method) for _ in range(5))
            found[f"{name}_{count}"] = float(f"{milliseconds:.3g}")
    return found


def book() -> dict:
    """What does not belong to a chapter: the training loops, the operator, the rendering."""
    ours, plain = training_loops()
    last, first = unet_rate(torch.channels_last), unet_rate(torch.contiguous_format)
    angles, x = torch.arange(20) * 9.0, course.ellipses(200, 64, seed=0)
    matrix = seconds(lambda: course.Radon(64, angles)(x[:1]))
    K = course.Radon(64, angles)
    radon = statistics.median(seconds(K, x) for _ in range(REPEATS))
    cold = seconds(build.render)
    os.utime(notebooks.chapters()[0])
    touched = seconds(build.render)
    return {"cold": round(cold, 1), "touched": round(touched, 1), "ours": round(ours, 2), "plain": round(plain, 2),
            "ratio": round(ours / plain, 2), "repeats": REPEATS, "channels_last": round(last, 1),
            "channels_first": round(first, 1), "radon": round(radon, 3), "matrix": round(matrix, 2), **race(),
            "machine": times.machine()}


def main() -> None:
    try:
        paths = notebooks.choose(sys.argv[1:])
    except ValueError as e:
        sys.exit(str(e))
    if not sys.argv[1:]:
        STORED.write_text(json.dumps(times.seal(book()), indent=1) + "\n", encoding="utf-8")
    for name, figures in refresh.run(paths, keep=False).items():
        path = refresh.ROOT / f"chapters/{name}.ipynb"
        notebook = notebooks.read(path)
        notebook.metadata["measured"] = times.record(*figures)
        notebooks.store(notebook, path)


if __name__ == "__main__":
    main()
