"""Measure how long the chapters, the rendering and D4's training take, and write the page of running times.

Each chapter runs with one torch thread; nothing else should run beside it. Nothing but the page is changed.
"""
import os
import platform
import statistics
import sys
import time

import build
import refresh

os.environ["OMP_NUM_THREADS"] = "1"  # before torch is imported
sys.path.append(str(refresh.ROOT / "chapters"))

import torch  # noqa: E402
from torch import nn  # noqa: E402

import course  # noqa: E402

REPEATS = 9  # of the training loops, alternating
PAGE = """# Running times

`make bench` measures, prints and stores this table: seconds to execute a chapter with one torch thread, how many of
them the cells take that repeat an experiment over seeds, and the peak memory of its kernel. A single seed would do for
a picture; the repetitions are the price of knowing the spread.

Machine: {machine}.

| what | seconds | over seeds | peak MiB |
|---|---:|---:|---:|
{rows}

## A training step

The 200 updates of {{doc}}`the CNN chapter <cnn>` by the book's loop and by a plain loop written from the description
there, back to back, median of {repeats} runs each: {ours:.2f} s against {plain:.2f} s, ratio {ratio:.2f}. The book's
loop lays tensors out channels-last and runs Adam fused; the tests hold it to the figures of the plain loop.

The book's UNet (two levels, 16 channels, batches of eight 64×64 images) makes {last:.1f} updates per second
channels-last and {first:.1f} channels-first.

## The CT operator

Projecting 200 images of 64×64 pixels at 20 angles takes `course.Radon` {radon:.3f} s, building its matrix
{matrix:.2f} s.
"""


def machine() -> str:
    """Processor, cores, memory and versions, without the name of the host."""
    model = platform.processor() or platform.machine()
    if os.path.exists("/proc/cpuinfo"):
        with open("/proc/cpuinfo") as f:
            model = next((line.split(":")[1].strip() for line in f if line.startswith("model name")), model)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (f"{model}, {os.cpu_count()} cores, {memory:.0f} GiB of memory, {platform.system()}, "
            f"Python {platform.python_version()}, torch {torch.__version__.split('+')[0]}")


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


def main() -> None:
    chapters = refresh.chapters()
    ours, plain = training_loops()
    last, first = unet_rate(torch.channels_last), unet_rate(torch.contiguous_format)
    angles, x = torch.arange(20) * 9.0, course.ellipses(200, 64, seed=0)
    matrix = seconds(lambda: course.Radon(64, angles)(x[:1]))
    K = course.Radon(64, angles)
    radon = statistics.median(seconds(K, x) for _ in range(REPEATS))
    serial = refresh.run(chapters, keep=False)
    cold = seconds(build.render)
    os.utime(chapters[0])
    touched = seconds(build.render)
    times, over_seeds, peaks = zip(*serial.values())
    rows = [(f"{{doc}}`{path.stem}`", *serial[path.stem]) for path in chapters]
    rows += [
        ("all chapters, one after the other", sum(times), sum(over_seeds), max(peaks)),
        ("rendering the book, cold", cold),
        ("rendering the book after touching one chapter", touched),
    ]
    lines = [f"| {what} | {s:.1f} | " + ("{:.1f} | {:.0f} |".format(*rest) if rest else "| |")
             for what, s, *rest in rows]
    page = PAGE.format(machine=machine(), rows="\n".join(lines), ours=ours, plain=plain, ratio=ours / plain,
                       repeats=REPEATS, last=last, first=first, radon=radon, matrix=matrix)
    print(page)
    (refresh.ROOT / "chapters/running_times.md").write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
