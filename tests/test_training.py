"""One training on many devices: as many processes as one likes, killed or not, the weights are the same."""
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import torch

ROOT = Path(__file__).resolve().parent.parent
SMALL = ["--batch", "4", "--side", "32", "--levels", "2", "--channels", "4", "--every", "5", "--dtype", "float64"]


def started(folder: Path, *options, processes=1):
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}",
               "-m", "studies.training", "--folder", folder, *SMALL, *options]
    return subprocess.Popen(list(map(str, command)), cwd=ROOT, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                            env=os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""})


def trained(folder: Path, *options, processes=1) -> dict:
    process = started(folder, *options, processes=processes)
    said = process.communicate()[0]
    assert process.returncode == 0, said
    return torch.load(folder / "checkpoint.pt")


@pytest.fixture(scope="module")
def one(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("one"), "--updates", 20)


def farthest(a: dict, b: dict) -> float:
    assert a["updates"] == b["updates"] and a["model"].keys() == b["model"].keys()
    return max(float((a["model"][k] - b["model"][k]).abs().max()) for k in a["model"])


@pytest.mark.parametrize("processes", [2, 4])
def test_any_number_of_processes_trains_the_same_network(one, tmp_path, processes):
    many = trained(tmp_path, "--updates", 20, processes=processes)
    assert farthest(one, many) < 1e-10
    start = trained(tmp_path / "start", "--updates", 5)
    assert max(float((one["model"][k] - start["model"][k]).abs().max()) for k in one["model"]) > 1e-4  # it moved


def test_a_killed_training_goes_on_to_the_same_weights(one, tmp_path):
    process = started(tmp_path, "--updates", 100_000, processes=2)
    until = time.monotonic() + 300
    while not (tmp_path / "checkpoint.pt").exists() and process.poll() is None and time.monotonic() < until:
        time.sleep(0.02)
    psutil.Process(process.pid).children()[-1].kill()  # one of the two; the launcher stops the other
    assert process.communicate()[0] and process.returncode != 0
    kept = torch.load(tmp_path / "checkpoint.pt")
    assert 0 < kept["updates"] < 100_000
    whole = trained(tmp_path / "whole", "--updates", kept["updates"] + 10)
    assert farthest(trained(tmp_path, "--updates", kept["updates"] + 10, processes=2), whole) < 1e-10


def test_the_end_is_weights_and_a_row(one, tmp_path):
    trained(tmp_path, "--updates", 20)
    row = json.loads((tmp_path / "row.json").read_text(encoding="utf-8"))
    weights = torch.load(tmp_path / "weights.pt")
    assert row["weights"] == sum(w.numel() for w in weights.values()) and row["processes"] == 1
    assert all(w.dtype == torch.float16 and torch.equal(w, one["model"][k].half()) for k, w in weights.items())
    assert 0 < row["CT: network"] < 1 and row["photograph: nothing"] > 0.02
    again = started(tmp_path, "--updates", 20, "--lr", "0.1")
    said = again.communicate()[0]
    assert again.returncode != 0 and "checkpoint.pt: of another training" in said
    wrong = started(tmp_path, "--batch", "3", processes=2)
    said = wrong.communicate()[0]
    assert wrong.returncode != 0 and "--batch: got 3, wanted a multiple of the 2 processes" in said
