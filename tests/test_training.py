"""One training on many devices: as many processes as one likes, killed or not, the weights are the same."""
import csv
import io
import json
import os
import re
import shlex
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import torch
from torch.distributed.run import get_args_parser

import course
import devices
import times
from studies.training import bench
from studies.training.__main__ import options

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


# The page

PAGE = (ROOT / "chapters/many_devices.md").read_text(encoding="utf-8")


@pytest.fixture
def book(tmp_path):
    """A folder with the measurement alone, whose seconds a test changes."""
    stored = tmp_path / devices.STORED
    stored.parent.mkdir(parents=True)
    stored.write_bytes((ROOT / devices.STORED).read_bytes())

    def change(*seconds, seal=times.seal):
        rows = [seal(row | {"seconds": one}) for row, one in zip(devices.measured(ROOT).values(), seconds)]
        table = csv.DictWriter(text := io.StringIO(), rows[0])
        table.writeheader()
        table.writerows(rows)
        stored.write_text(text.getvalue(), encoding="utf-8")
        return tmp_path
    return change


def test_no_number_of_the_bench_was_typed(book):
    rows = devices.measured()
    assert set(rows) == {(1, 1, "yes"), (2, 1, "yes"), (2, 1, "no"), (1, 2, "yes")}
    settings = options().parse_args(["--folder", ""])
    counted = {"weights": course.parameter_count(course.UNet(settings.levels, settings.channels)),
               "operations": bench.operations(settings), "pairs": settings.batch, "side": settings.side}
    assert all(row[name] == str(number) for row in rows.values() for name, number in counted.items())
    assert devices.measured(book("4", "2.5", "2.25", "3"))[2, 1, "no"]["seconds"] == "2.25"
    with pytest.raises(ValueError, match=r"bench.csv:2: no command measured this; .* -m studies.training.bench"):
        devices.measured(book("4", "2.5", "2.25", "3", seal=dict))


def test_the_page_says_what_was_measured(book):
    text = devices.fill(PAGE, book("4", "2.5", "2.25", "3"))
    assert "<!--" not in text and not re.search(r"^## Measured.*?\d.*?^## Computed", PAGE.replace("2", ""), re.M | re.S)
    assert [line.split(" | ")[1:] for line in re.findall(r"^\| \d proc.*(?= \|$)", text, re.M)] == [
        ["4", "1.00", "1"], ["2.5", "1.60", "2"], ["3", "1.33", "2"]]
    assert "averaging takes 10\u202f%, waiting" in text and "Another 10\u202f% is lost" in text
    assert "takes 0.83 times as long" in text


def test_a_ring_sends_what_the_page_computes():
    p, w = 8, 16
    g = torch.rand(p, p, w // p)  # of each device, in p parts
    held, sent = g.clone(), 0
    for k in range(2 * (p - 1)):  # first the sums gather, then the whole ones go round
        parts = [(j - k) % p for j in range(p)] if k < p - 1 else [(j - k + p) % p for j in range(p)]
        moving = [held[j, part].clone() for j, part in enumerate(parts)]
        for j, (part, numbers) in enumerate(zip(parts, moving)):
            held[(j + 1) % p, part] = numbers + (held[(j + 1) % p, part] if k < p - 1 else 0)
        sent += 4 * moving[0].numel()
    assert torch.allclose(held, g.sum(0).expand_as(held))
    assert devices.averaging(p, w, a=0, v=1) == sent and devices.averaging(p, w, a=1, v=float("inf")) == 2 * (p - 1)
    assert devices.averaging(1, w, a=1, v=1) == 0


def test_the_page_computes_from_its_table_of_assumptions():
    text = "| $p$ | 4 devices |\n| $q$ | 2 TFLOP/s |\n| $a$ | 0 µs |\n| $v$ | 2.0 GB/s slow |\n| $v$ | 1 TB/s fast |\n"
    assert devices.assumed(text) == {"p": {"": 4}, "q": {"": 2e12}, "a": {"": 0}, "v": {"slow": 2e9, "fast": 1e12}}
    w, u = 10**9 // 3, 10**12  # a pair takes half a second, averaging 6 · 4w/4 bytes
    slow, fast = devices.computed(text, 8, w, u)
    assert slow == ["slow", "1e+03", "2e+03", "50\u202f%", "5e+03", "80\u202f%"]
    assert fast[3] == fast[5] == "100\u202f%"
    assert set(devices.assumed(PAGE)["v"]) == {"NVLink", "PCIe", "Ethernet"}
    with pytest.raises(ValueError, match="has no q; wanted rows as"):
        devices.assumed(text.replace("TFLOP/s", "TFLOPS"))


def test_the_commands_of_the_page_are_valid():
    code = "\n".join(re.findall(r"^```bash\n(.*?)^```", PAGE, re.M | re.S)).replace("\\\n", "")
    found = [shlex.split(line, comments=True) for line in code.splitlines() if "studies.training" in line]
    assert len(found) == 4
    for words in found:
        program, module = (next(k for k, word in enumerate(words) if word.endswith(end))
                           for end in ((".venv/bin/torchrun", ".venv/bin/python"), "studies.training"))
        if words[program].endswith("torchrun"):
            get_args_parser().parse_args(words[program + 1:module + 1])
        options().parse_args(words[module + 1:])
    assert {f"--{name}" for name in re.findall(r"`--(\w+)", PAGE)} - {"--help"} <= set(
        options()._option_string_actions)


def test_the_bench_stores_what_the_page_reads(tmp_path):
    (tmp_path / "studies/training").mkdir(parents=True)
    command = [sys.executable, "-m", "studies.training.bench", "--rounds", "1", "--each", "1",
               "--store", tmp_path / devices.STORED, *SMALL]
    done = subprocess.run(list(map(str, command)), cwd=ROOT, text=True, capture_output=True)
    assert done.returncode == 0, done.stderr
    rows = devices.measured(tmp_path)
    assert set(rows) == set(devices.measured()) and all(float(row["seconds"]) > 0 for row in rows.values())
    assert rows[1, 1, "yes"]["pairs"] == "4"
