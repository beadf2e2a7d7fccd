"""What the engine costs a row, and how it scales; stored in studies/bench.csv for the page "Studies"."""
import contextlib
import io
import logging
import statistics
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from dask.system import CPU_COUNT
from distributed import Client, LocalCluster

from . import ROOT
from .rows import Rows, Study, grid, load, write
from .work import cluster, compute, outcomes

REPEATS = 3
TRIVIAL = 2000           # rows
REAL, REAL_ROWS = {"method": "cnn", "noise": 0.01, "updates": (30,)}, 16  # of cnn_updates
SLEEP, ASLEEP = 0.5, 128  # seconds that a row sleeps, and how many rows; simulated, by workers in one process
WORKERS = 1, 2, 4, 8, 16, 32, 64
NOTHING = {"seconds": 0.0, "device": "cpu", "threads": 1, "torch": "", "code": ""}


def trivial(name, arguments, code) -> list[dict]:
    return [arguments | {"square": arguments["seed"] ** 2} | NOTHING]


def sleeping(name, arguments, code) -> list[dict]:
    time.sleep(SLEEP)
    return trivial(name, arguments, code)


def jobs(count: int, **cell) -> list[tuple]:
    return [("trivial", cell | {"seed": seed}, "") for seed in range(count)]


def by_engine(client, function, count: int, folder: Path) -> float:
    """Seconds of `count` rows by the engine, which stores each as it comes."""
    study = Study("trivial", "", grid(size=[1]), range(count), ["size", "seed"], "", None)
    rows, start = Rows(study, folder), time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()):
        raised = compute(jobs(count, size=1), {"trivial": rows}, client, True, function)
    seconds = time.perf_counter() - start
    assert not raised and len(rows.rows) == count, raised
    rows.path.unlink()
    return seconds


def by_pool(count: int, workers: int) -> float:
    """Seconds of the same rows by a plain pool of processes that have started, nothing stored."""
    with ProcessPoolExecutor(workers) as pool:
        list(pool.map(trivial, *zip(*jobs(4 * workers))))
        start = time.perf_counter()
        for future in [pool.submit(trivial, *job) for job in jobs(count, size=1)]:
            future.result()
        return time.perf_counter() - start


def real(workers: int, code: str) -> float:
    """Seconds of rows of a study, after one of them on each worker."""
    with cluster("", workers) as client:
        def run(seeds):
            wanted = [("cnn_updates", REAL | {"seed": seed}, code) for seed in seeds]
            assert not [error for batch in outcomes(client, wanted) for _, _, error in batch if error]
        run(range(4 * workers))
        start = time.perf_counter()
        run(range(100, 100 + REAL_ROWS))
        return time.perf_counter() - start


@contextlib.contextmanager
def many(workers: int):
    """A client of many workers that share this process: enough for rows that sleep."""
    with LocalCluster(n_workers=workers, threads_per_worker=1, processes=False, dashboard_address="127.0.0.1:0",
                      memory_limit=0, silence_logs=logging.CRITICAL) as local, Client(local) as client:
        yield client


def main(args) -> int:
    """Measure, print, and store the table."""
    lines, cores = ["what,workers,rows,seconds"], CPU_COUNT

    def note(what, workers, rows, seconds):
        lines.append(f"{what},{workers},{rows},{seconds:.3g}")
        print(f"{what}: {rows} rows, {workers} workers, {seconds:.3g} s, {1000 * seconds / rows:.3g} ms each",
              flush=True)

    with tempfile.TemporaryDirectory() as folder:
        with cluster("", cores) as client:
            by_engine(client, trivial, 100, Path(folder))
            pairs = [(by_engine(client, trivial, TRIVIAL, Path(folder)), by_pool(TRIVIAL, cores))
                     for _ in range(REPEATS)]
        for what, times in zip(("trivial rows by the engine", "trivial rows by a process pool"), zip(*pairs)):
            note(what, cores, TRIVIAL, statistics.median(times))
        code = load("cnn_updates").code
        pairs = [(real(1, code), real(2, code)) for _ in range(REPEATS)]
        for workers, times in zip((1, 2), zip(*pairs)):
            note("real rows", workers, REAL_ROWS, statistics.median(times))
        for workers in WORKERS:
            with many(workers) as client:
                by_engine(client, sleeping, workers, Path(folder))
                seconds = by_engine(client, sleeping, ASLEEP, Path(folder))
                note(f"simulated rows that sleep {SLEEP} s", workers, ASLEEP, seconds)
    write(ROOT / "studies/bench.csv", "\n".join(lines) + "\n")
    return 0
