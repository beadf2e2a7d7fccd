"""What Dask runs: one run of a study in a worker, and all runs on a cluster."""
import asyncio
import functools
import importlib
import logging
import os
import sys
import time
import traceback
from collections import Counter
from concurrent.futures import CancelledError
from contextlib import contextmanager
from importlib import metadata

import dask
from distributed import Client, LocalCluster, as_completed, rpc

import reach

from . import ROOT
from .rows import FIXED, Rows, StudyError, words

TRIES = 3          # of a run that raises
CONNECT = 5        # seconds to reach a scheduler
# Of each worker: one thread, and memory that is kept; Dask's default gives it back after each layer, a quarter slower.
WORKER = {"OMP_NUM_THREADS": 1, "MKL_NUM_THREADS": 1, "OPENBLAS_NUM_THREADS": 1,
          "MALLOC_TRIM_THRESHOLD_": 2**30, "MALLOC_MMAP_THRESHOLD_": 2**30}
OTHER_MACHINE = {  # for the drift: the instructions of an old processor, and two threads that wait without spinning
    "ATEN_CPU_CAPABILITY": "default", "ONEDNN_MAX_CPU_ISA": "AVX2",
    "OMP_NUM_THREADS": "2", "MKL_NUM_THREADS": "2", "OMP_WAIT_POLICY": "PASSIVE"}


@functools.cache
def loaded(name: str, code: str):
    """The module of a study as its files are now; a worker that lives long may hold what they were.

    Raises
    ------
    RuntimeError                 if the worker's files are others than the caller's
    """
    if (here := reach.of_study(name, ROOT)) != code:
        raise RuntimeError(f"study {name!r}: the worker's files have the fingerprint {here}, the caller's {code}; "
                           "wanted the same version of the book on all machines")
    for module in list(sys.modules):
        if module.partition(".")[0] in ("course", "studies") and not module.startswith("studies.engine"):
            del sys.modules[module]
    importlib.invalidate_caches()
    return importlib.import_module(f"studies.{name}")


def device() -> tuple[str, int, str]:
    """Where a run computed: 'cpu AVX2' or the card's name, the threads of torch, its version."""
    version = metadata.version("torch").partition("+")[0]
    if "torch" not in sys.modules:
        return "cpu", 1, version
    import torch
    card = torch.get_default_device()
    name = torch.cuda.get_device_name(card) if card.type == "cuda" else f"cpu {torch.backends.cpu.get_cpu_capability()}"
    return name, torch.get_num_threads(), version


def work(name: str, arguments: dict, code: str) -> list[dict]:
    """The rows of one run, without digest.

    Notes: the seconds of a run are shared among its checkpoints by how far each is from the one before.
    """
    if os.environ.get("DEVICE", "cpu") != "cpu":
        import torch
        torch.set_default_device(os.environ["DEVICE"])
    run = loaded(name, code).run
    start = time.perf_counter()
    told = run(**arguments)
    seconds = time.perf_counter() - start
    along = next((k for k, v in arguments.items() if isinstance(v, tuple)), None)
    given = [arguments | {along: v} for v in arguments[along]] if along else [arguments]
    told = told if along else [told]
    if not isinstance(told, list) or len(told) != len(given) or not all(isinstance(t, dict) and t for t in told):
        raise TypeError(f"run: returned {told!r:.200}, wanted {f'a list of {len(given)} dicts' if along else 'a dict'}")
    shares = [1 / len(given)] * len(given)
    if along and all(type(v) in (int, float) for v in arguments[along]) and max(arguments[along]) > 0:
        before = [0, *arguments[along]]
        shares = [(b - a) / before[-1] for a, b in zip(before, before[1:])]
    where = dict(zip(("device", "threads", "torch"), device()))
    return [one | metrics(t, one) | {"seconds": round(share * seconds, 4), **where, "code": code}
            for one, t, share in zip(given, told, shares)]


def metrics(told: dict, arguments: dict) -> dict:
    """What a run measured, as numbers of Python; TypeError for anything else or a name that is taken."""
    found = {name: one.item() if hasattr(one, "item") else one for name, one in told.items()}
    for name, one in found.items():
        if type(one) not in (int, float, bool) or not name.isidentifier() or name in (*arguments, *FIXED):
            raise TypeError(f"run: returned {name} = {one!r:.100}, wanted a number under a name of its own")
    return found


async def answer(address: str) -> None:
    """Ask a scheduler who it is."""
    async with rpc(address) as scheduler:
        await scheduler.identity(n_workers=0)


@contextmanager
def cluster(address: str, workers: int, env: dict | None = None):
    """A client of the scheduler at this address, or of workers on this machine: processes of one thread each.

    Raises
    ------
    StudyError                   if no scheduler answers there within CONNECT seconds
    """
    logging.disable()  # what matters is said in one sentence
    if address:
        try:
            asyncio.run(asyncio.wait_for(answer(address), CONNECT))
            client = Client(address, timeout=CONNECT)
        except Exception as e:  # whatever another server answers
            raise StudyError(f"SCHEDULER: got {address}, where no scheduler of Dask answers "
                             f"({' '.join(str(e).split())[:150] or type(e).__name__}); wanted tcp://HOST:8786, started "
                             "by dask scheduler") from None
        with client:
            yield client
    else:
        dask.config.set({"distributed.nanny.pre-spawn-environ": WORKER | (env or {})})
        os.environ.update({name: str(value) for name, value in (env or {}).items()})  # which Dask lets win
        # No limit of memory: at its share of the machine's a worker would pause, for good, without a word.
        with LocalCluster(n_workers=workers, threads_per_worker=1, host="127.0.0.1", dashboard_address="127.0.0.1:0",
                          memory_limit=0, silence_logs=logging.CRITICAL) as local, Client(local) as client:
            yield client


def outcomes(client: Client, jobs: list[tuple], function=work):
    """What became of each job (name, arguments, code), in batches as they come: (job, rows or None, what was raised).

    Raises
    ------
    StudyError                   if the scheduler goes away
    """
    futures = dict(zip(client.map(function, *zip(*jobs), pure=False, retries=TRIES - 1), jobs))
    ready = as_completed(futures)
    while futures:
        batch, found = ready.next_batch(), []
        try:
            done = [future for future in batch if future.status == "finished"]
            rows = dict(zip(done, client.gather(done)))
        except (asyncio.CancelledError, CancelledError, OSError):
            rows = {}
        for future in batch:
            job = futures.pop(future)
            if future.status == "error":
                raised = traceback.format_exception(None, future.exception(), future.traceback())
                found.append((job, None, "".join(raised).rstrip()))
            elif future in rows:
                found.append((job, rows[future], ""))
            elif client.status == "running" and future.status != "cancelled":  # its worker died with what it had found
                futures[future] = job
                ready.add(future)
            else:
                raise StudyError("SCHEDULER: the connection is gone; finished rows are kept, and the next call goes on")
        yield found


def clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min {seconds} s"


class Progress:
    """A line that says how far a run is: written over on a terminal, else anew every ten seconds."""

    def __init__(self, total: int):
        self.total, self.done, self.failed, self.start, self.shown = total, 0, 0, time.monotonic(), 0.0

    def show(self, client) -> None:
        now, over = time.monotonic(), self.done + self.failed
        tty, last = sys.stdout.isatty(), over == self.total
        if now - self.shown < (0.2 if tty else 10) and not last:
            return
        self.shown = now
        left = clock((now - self.start) / over * (self.total - over)) if over else "unknown"
        waits = "" if client.scheduler_info(n_workers=-1)["workers"] else "; waiting for workers"
        line = f"{self.done} of {self.total} rows done, {self.failed} failed, time left {left}{waits}"
        print(f"\r{line:<100}" if tty else line, end="" if tty and not last else "\n", flush=True)


def compute(jobs: list[tuple], tables: dict[str, Rows], client, store: bool, function=work) -> Counter:
    """Compute the runs, and store their rows as they come; what was raised, and how many runs did."""
    size = {id(job): max([len(v) for v in job[1].values() if isinstance(v, tuple)], default=1) for job in jobs}
    progress, raised = Progress(sum(size.values())), Counter()
    progress.show(client)
    for batch in outcomes(client, jobs, function):
        changed = set()
        for job, found, error in batch:
            for row in found or []:
                tables[job[0]].add(row)
                changed.add(job[0])
            progress.done += len(found or [])
            if error:
                progress.failed += size[id(job)]
                if not raised[error]:
                    print(f"FAILED {job[0]}: {words(job[1])}\n{error}", flush=True)
                raised[error] += 1
        start = time.monotonic()
        for name in changed if store else ():
            tables[name].write()
        progress.show(client)
        time.sleep(4 * (time.monotonic() - start))  # where rows are quick, more of them come before the next writing
    return raised
