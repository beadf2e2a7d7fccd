"""Seconds of an update on one process and on two; stored for the page "One training on many devices".

    python -m studies.training.bench

The runs alternate, and nothing else should run beside them. Options of studies.training change what is trained.
"""
import argparse
import contextlib
import csv
import io
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch.nn.parallel import DistributedDataParallel
from torch.utils.flop_counter import FlopCounterMode

import course
import times

from ..engine.rows import StudyError, write
from . import ROOT
from .__main__ import begin, read, step, whole

WAYS = (1, 1), (2, 1), (1, 2)  # processes, and threads of each
STORED = ROOT / "studies/training/bench.csv"
KEEP = {"MALLOC_TRIM_THRESHOLD_": "1073741824", "MALLOC_MMAP_THRESHOLD_": "1073741824"}  # freed memory


def operations(settings) -> int:
    """Additions and multiplications of a pair, forward and back."""
    y = torch.zeros(1, 1, settings.side, settings.side)
    with FlopCounterMode(display=False) as counter:
        F.mse_loss(course.UNet(settings.levels, settings.channels)(y), y).backward()
    return counter.get_total_flops()


def measure(settings, updates: int) -> dict[str, list[float]]:
    """Seconds of updates on all processes, in turn with the gradients averaged and, of several, without."""
    model, optimiser, photographs = begin(settings, "cpu")
    together, processes = DistributedDataParallel(model), dist.get_world_size()
    found = {"yes": [], "no": []} if processes > 1 else {"yes": []}
    for update in range(updates + 2):  # the first two are warm-up
        for averaged, seconds in found.items():
            dist.barrier()
            start = time.perf_counter()
            with contextlib.nullcontext() if averaged == "yes" else together.no_sync():
                step(together, optimiser, photographs, update, settings)
            seconds.append(time.perf_counter() - start)
    every = [{}] * processes
    dist.all_gather_object(every, found)
    return {averaged: sum((one[averaged][2:] for one in every), []) for averaged in found}


def run(processes: int, threads: int, given: list[str]) -> dict[str, list[float]]:
    """The same by torchrun."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}",
               "-m", "studies.training.bench", *given]
    done = subprocess.run(command, cwd=ROOT, text=True, capture_output=True,
                          env=os.environ | KEEP | {"OMP_NUM_THREADS": str(threads), "CUDA_VISIBLE_DEVICES": ""})
    if done.returncode:
        sys.exit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(prog="studies.training.bench", description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=whole(1, 1000), default=5, help="runs of each way; 5")
    parser.add_argument("--each", type=whole(1, 1000), default=5, help="updates measured in a run; 5")
    parser.add_argument("--store", type=Path, default=STORED, help="the table; studies/training/bench.csv")
    args, given = parser.parse_known_args()
    if args.store.is_dir() or not args.store.parent.is_dir():
        parser.error(f"--store: got {args.store}, wanted a file in a folder that exists")
    inside = int(os.environ.get("WORLD_SIZE", max(processes for processes, _ in WAYS)))
    settings = read(["--folder", "", *given], inside)  # nothing is stored there
    if "RANK" in os.environ:  # a process of run
        dist.init_process_group("gloo")
        found = measure(settings, args.each)
        if dist.get_rank() == 0:
            print(json.dumps(found), flush=True)
        dist.destroy_process_group()
        return
    found = {}
    for _ in range(args.rounds):
        for processes, threads in WAYS:
            for averaged, seconds in run(processes, threads, ["--each", str(args.each), *given]).items():
                found.setdefault((processes, threads, averaged), []).extend(seconds)
        half = run(1, 1, ["--each", str(args.each), *given, "--batch", str(settings.batch // 2)])
        found.setdefault((1, 1, "half"), []).extend(half["yes"])  # of the pairs, as each of two processes has
    about = {"side": settings.side, "updates": args.rounds * args.each,
             "weights": course.parameter_count(course.UNet(settings.levels, settings.channels)),
             "operations": operations(settings), "machine": times.machine()}
    rows = [{"processes": processes, "threads": threads, "averaged": averaged,
             "seconds": f"{statistics.median(seconds):.3g}",
             "pairs": settings.batch // (1 + (averaged == "half"))} | about
            for (processes, threads, averaged), seconds in found.items()]
    rows = [times.seal({name: str(value) for name, value in row.items()}) for row in rows]
    table = csv.DictWriter(text := io.StringIO(), rows[0], lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    print(text.getvalue(), end="", flush=True)  # stored or not
    try:
        write(args.store, text.getvalue())
    except StudyError as e:
        sys.exit(str(e))


if __name__ == "__main__":
    main()
