"""One training on many devices: as many processes as one likes, killed or not, the weights are the same."""
import contextlib
import csv
import io
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import torch
import torch.distributed as dist
from torch.distributed.run import get_args_parser
from torch.nn.parallel import DistributedDataParallel

import course
import devices
import times
from studies.engine.rows import StudyError, locked
from studies.training import __main__ as training
from studies.training import bench
from studies.training.__main__ import options

ROOT = Path(__file__).resolve().parent.parent
SMALL = ["--batch", "4", "--side", "32", "--levels", "2", "--channels", "4", "--every", "5", "--dtype", "float64"]


def started(folder: Path, *options, processes=1, each=""):
    """torchrun; each is what a process is told alone, in words of a shell, which knows its $RANK."""
    program = ["--no-python", "sh", "-c", f'exec "$0" -m studies.training "$@" {each}', sys.executable] if each else [
        "-m", "studies.training"]
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}",
               *program, "--folder", folder, *SMALL, *options]
    return subprocess.Popen(list(map(str, command)), cwd=ROOT, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                            env=os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""})


def trained(folder: Path, *options, **how) -> str:
    process = started(folder, *options, **how)
    said = process.communicate()[0]
    assert process.returncode == 0, said
    return said


def kept(folder: Path) -> dict:
    return torch.load(folder / "checkpoint.pt")


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    """Where one process has trained for 20 updates, and what it said."""
    folder = tmp_path_factory.mktemp("one")
    return folder, trained(folder, "--updates", 20)


@pytest.fixture
def folder(first, tmp_path):
    """A copy of it, for a test to change."""
    return Path(shutil.copytree(first[0], tmp_path / "copy"))


@pytest.fixture
def command(monkeypatch, capsys):
    """What a command says, started without torchrun, in this process: words, and the environment of the process."""
    def run(*words, main=training.main, **env):
        monkeypatch.setattr(os, "environ", os.environ | {"CUDA_VISIBLE_DEVICES": ""} | env)
        monkeypatch.setattr(sys, "argv", ["", *map(str, words)])
        try:
            main()
        except SystemExit as e:
            return f"{e.code}\n" if isinstance(e.code, str) else capsys.readouterr().err  # as Python says it
        return capsys.readouterr().out
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield run
    torch.set_num_threads(threads)


@pytest.fixture
def alone():
    """This process as the only one of a group."""
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    yield
    dist.destroy_process_group()


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name not in (".lock", ".try")}


def farthest(a: dict, b: dict) -> float:
    assert a["model"].keys() == b["model"].keys()
    return max(float((a["model"][k] - b["model"][k]).abs().max()) for k in a["model"])


@pytest.mark.parametrize("processes", [2, 4])
def test_any_number_of_processes_trains_the_same_network(first, tmp_path, processes):
    said, one = trained(tmp_path, "--updates", 20, processes=processes), kept(first[0])
    many = kept(tmp_path)
    assert many["updates"] == one["updates"] == 20 and farthest(one, many) < 1e-10
    losses = [re.search(r"update 5 of 20: loss (\S+) on this process's pairs", text)[1] for text in (first[1], said)]
    assert losses[0] != losses[1]  # of a share, not of all pairs


def test_a_process_draws_the_pairs_of_its_share_alone(monkeypatch):
    settings = options().parse_args(["--folder", "", *SMALL])
    pictures = torch.rand(3, 1, 256, 256), torch.rand(3, 1, 256, 256)
    whole = training.pairs(*pictures, 7, slice(None), settings)
    assert len({float(one.std()) for one in whole[0] - whole[1]}) == 4
    drawn, randn = [], torch.randn
    monkeypatch.setattr(torch, "randn", lambda shape, **how: drawn.append(shape) or randn(shape, **how))
    share = training.pairs(*pictures, 7, slice(1, None, 2), settings)
    assert all(torch.equal(a[1::2], b) for a, b in zip(whole, share)) and drawn == 2 * [(1, 32, 32)]


def test_a_killed_training_goes_on_to_the_same_weights(first, tmp_path):
    own = {"processes": 2, "each": '--folder "$2/$RANK"'}  # process 1 does not see the folder of process 0
    process = started(tmp_path, "--updates", 100_000, **own)
    until = time.monotonic() + 300
    while not (tmp_path / "0/checkpoint.pt").exists() and process.poll() is None and time.monotonic() < until:
        time.sleep(0.02)
    psutil.Process(process.pid).children()[-1].kill()  # one of the two; the launcher stops the other
    assert process.communicate()[0] and process.returncode != 0
    done = kept(tmp_path / "0")["updates"]
    assert 0 < done < 100_000
    trained(tmp_path / "whole", "--updates", done + 11)
    said = trained(tmp_path, "--updates", done + 11, **own)
    assert f"from update {done} to {done + 11}; " in said and not (tmp_path / "1").exists()
    whole = kept(tmp_path / "whole")
    assert farthest(kept(tmp_path / "0"), whole) < 1e-10
    assert farthest(kept(first[0]), whole) > 1e-4  # other weights after another number of updates


def test_the_end_is_weights_and_a_row(first):
    row = json.loads((first[0] / "row.json").read_text(encoding="utf-8"))
    weights, one = torch.load(first[0] / "weights.pt"), kept(first[0])
    assert row["weights"] == sum(w.numel() for w in weights.values()) and row["processes"] == 1
    assert all(w.dtype == torch.float16 and torch.equal(w, one["model"][k].half()) for k, w in weights.items())
    assert 0 < row["CT: network"] < 1 and row["photograph: nothing"] > 0.02


def test_a_training_that_has_ended_changes_nothing(folder, command):
    before = files(folder)
    assert "row.json: this training has ended already" in command("--folder", folder, *SMALL, "--updates", 20)
    assert files(folder) == before
    assert "update 25 of 25" in command("--folder", folder, *SMALL, "--updates", 25)
    (folder / "row.json").write_bytes(before["row.json"])  # as if killed between the checkpoint and this row
    assert "ended" not in command("--folder", folder, *SMALL, "--updates", 25)
    row, seconds = json.loads((folder / "row.json").read_text(encoding="utf-8")), kept(folder)["seconds"]
    assert (row["updates"], row["updates now"]) == (25, 0) and row["seconds"] >= seconds > row["seconds now"]


@pytest.mark.parametrize("words, said", [(f"--{name} {value}", f"got '{value}', wanted a whole number from ")
                                         for name in ("updates", "batch", "side", "levels", "channels", "every")
                                         for value in ("0", "-4", "1.5", "9" * 20)] + [
    ("--seed -1", "got '-1', wanted"), ("--seed 100000000000000000000", "to 1000000000000"),
    *((f"--lr {value}", f"got '{value}', wanted a positive number") for value in ("0", "-1", "nan", "inf", "x")),
    ("--batch 3", "--batch: got 3, wanted a multiple of the 2 processes"),
    ("--side 30", "--side: got 30, wanted a multiple of 4 of at most 256 pixels"),
    ("--device cuda", "--device: got cuda for 2 processes on this machine, wanted at most 1, one a GPU")])
def test_a_wrong_option_is_told_once_in_one_line(command, monkeypatch, tmp_path, words, said):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    told = [command("--folder", tmp_path / "none", *SMALL, *words.split(), WORLD_SIZE="2", LOCAL_WORLD_SIZE="2",
                    RANK=rank, LOCAL_RANK=rank) for rank in "01"]
    assert said in told[0] and told[0].count("\n") == 1 and told[1] == "" and not (tmp_path / "none").exists()


def test_processes_of_different_commands_do_not_train_together(tmp_path):
    process = started(tmp_path, processes=2, each='--seed "$RANK"')
    said = process.communicate()[0]
    assert process.returncode != 0 and "'seed': 0, " in re.search(r"process 1: got .*'seed': 1, .*, wanted (.*) as "
                                                                  "process 0", said)[1]
    assert files(tmp_path) == {} and "Traceback" not in said.split("one command for all machines")[0]


@pytest.mark.parametrize("spoil", [
    lambda path: path.write_bytes(path.read_bytes()[:1000]), lambda path: path.write_bytes(b""),
    lambda path: torch.save({"a": torch.ones(1)}, path), lambda path: torch.save(torch.ones(1), path),
    lambda path: torch.save(torch.load(path) | {"model": {}}, path),
    lambda path: torch.save(torch.load(path) | {"optimiser": {}}, path),
    lambda path: torch.save({k: v for k, v in torch.load(path).items() if k != "seconds"}, path),
    lambda path: (path.unlink(), path.mkdir())])
def test_a_checkpoint_that_is_none_is_named(folder, command, spoil):
    spoil(folder / "checkpoint.pt")
    assert re.fullmatch(r"\S+checkpoint.pt: \w+; wanted a checkpoint of this training: delete it, .*--folder\n",
                        command("--folder", folder, *SMALL, "--updates", 25))


def test_a_checkpoint_of_another_training_is_left_as_it_is(folder, command, monkeypatch):
    before, load = files(folder), torch.load
    places = []
    monkeypatch.setattr(torch, "load", lambda path, **how: places.append(how) or load(path, **how))
    for words, said in ((("--updates", 20, "--lr", "0.1"), r"\S+checkpoint.pt: of another training, .*\n"),
                        (("--updates", 10), r"--updates: got 10, \S+checkpoint.pt has 20 already; wanted .*\n")):
        assert re.fullmatch(said, command("--folder", folder, *SMALL, *words))
    assert files(folder) == before and places == 2 * [{"map_location": "cpu"}]  # also where the weights go to a GPU


def test_a_folder_in_use_or_not_writable_is_told_before_training(tmp_path, command):
    def said(folder):
        return command("--folder", folder, *SMALL, "--updates", 5)

    with locked(tmp_path / "a"):
        assert re.fullmatch(r"\S+a: another run writes there, wanted one at a time: .*\n", said(tmp_path / "a"))
    (tmp_path / "b").write_text("a file")
    (tmp_path / "c/.try/full").mkdir(parents=True)
    for name in "bc":
        assert re.fullmatch(rf"\S*/{name}\S*: .*; wanted a folder that can be written, .*\n", said(tmp_path / name))


def test_a_training_that_diverges_stores_no_such_weights(tmp_path, command):
    wild = "--lr", "1e5", "--every", "1", "--updates", "9"
    assert re.fullmatch(r"update [2-9]: loss (nan|inf), wanted finite loss and weights: .*\n",
                        command("--folder", tmp_path / "a", *SMALL, *wild, "--dtype", "float32"))
    assert all(w.isfinite().all() for w in kept(tmp_path / "a")["model"].values())
    assert "row.json: got {" in (said := command("--folder", tmp_path / "b", *SMALL, *wild)) and "diverges" in said
    assert set(files(tmp_path / "a")) == set(files(tmp_path / "b")) == {"checkpoint.pt"}  # too large for float16


def test_a_checkpoint_is_written_whole_or_not_at_all(folder, monkeypatch):
    before, written = files(folder), Path.write_bytes

    def half(content, where):
        with open(where, "wb") if isinstance(where, Path) else contextlib.nullcontext(where) as file:
            file.write(b"half")
        raise OSError("killed")

    def full(path, content):
        written(path, content[:1000])
        raise OSError(28, "No space left on device", str(path))

    with monkeypatch.context() as patched, pytest.raises(OSError, match="killed"):
        patched.setattr(torch, "save", half)
        training.store(folder / "checkpoint.pt", {})
    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(StudyError, match="checkpoint.pt.*No space left on device"):
        training.store(folder / "checkpoint.pt", {"x": torch.ones(9999)})
    assert files(folder) == before


# The page

PAGE = (ROOT / "chapters/many_devices.md").read_text(encoding="utf-8")


@pytest.fixture
def book(tmp_path):
    """A folder with the measurement alone, whose seconds a test changes."""
    stored = tmp_path / devices.STORED
    stored.parent.mkdir(parents=True)
    stored.write_bytes((ROOT / devices.STORED).read_bytes())

    def change(*seconds, seal=times.seal, edit=lambda rows: rows):
        rows = [row | {"seconds": one} for row, one in zip(devices.measured(ROOT).values(), seconds)]
        rows = [seal(row) for row in edit(rows)]
        table = csv.DictWriter(text := io.StringIO(), rows[0])
        table.writeheader()
        table.writerows(rows)
        stored.write_text(text.getvalue(), encoding="utf-8")
        return tmp_path
    return change


def test_no_number_of_the_bench_was_typed(book):
    rows = devices.measured()
    settings = options().parse_args(["--folder", ""])
    counted = {"weights": course.parameter_count(course.UNet(settings.levels, settings.channels)),
               "operations": bench.operations(settings), "side": settings.side}
    assert all(row[name] == str(number) for row in rows.values() for name, number in counted.items())
    assert {(way[2] == "half", row["pairs"]) for way, row in rows.items()} == {
        (False, str(settings.batch)), (True, str(settings.batch // 2))}
    assert devices.measured(book("4", "2.5", "2.25", "3", "2"))[2, 1, "no"]["seconds"] == "2.25"
    with pytest.raises(ValueError, match=r"bench.csv:2: no command measured this; .* -m studies.training.bench"):
        devices.measured(book("4", "2.5", "2.25", "3", "2", seal=dict))


@pytest.mark.parametrize("edit", [
    lambda rows: rows[:4], lambda rows: rows[1:], lambda rows: rows + rows[:1],
    lambda rows: [rows[0] | {"machine": "another"}, *rows[1:]], lambda rows: [*rows[:4], rows[4] | {"side": "64"}]])
def test_the_bench_is_one_whole_measurement(book, edit):
    with pytest.raises(ValueError, match=r"bench.csv: got \d rows, \d different, of [12] measurements; wanted the 5"):
        devices.measured(book("4", "2.5", "2.25", "3", "2", edit=edit))


def test_the_page_says_what_was_measured(book):
    text = devices.fill(PAGE, book("5", "2.5", "2.25", "3", "2"))
    assert "<!--" not in text and not re.search(r"^## Measured.*?\d.*?^## Computed", PAGE.replace("2", ""), re.M | re.S)
    assert [line.split(" | ")[1:] for line in re.findall(r"^\| \d proc.*(?= \|$)", text, re.M)] == [
        ["5", "0.80", "1"], ["4", "1.00", "1"], ["2.5", "1.60", "2"], ["3", "1.33", "2"]]
    assert "averaging takes 10\u202f%, waiting" in text and "Another 10\u202f% is lost" in text
    assert "Here two threads take 1.20 times as long as two processes. " in text and "about 167 minutes" in text
    assert options().parse_args(["--folder", ""]).updates == 2000 and "is 2000 updates" in text
    text = devices.fill(PAGE, book("4", "3.0", "2.25", "2", "2.5"))  # all pairs at once are faster, and two threads
    assert [line.split(" | ")[2] for line in re.findall(r"^\| \d proc.*", text, re.M)] == [
        "1.00", "0.80", "1.33", "2.00"]
    assert "Here two processes take 1.50 times as long as two threads. " in text
    assert devices.than("a", 3, "b", 3.05) == "a take as long as b, within 3\u202f%"


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
    assert devices.averaging(p, w, 1, a=0, v=1) == sent
    assert devices.averaging(p, w, 3, a=1, v=float("inf")) == 3 * 2 * (p - 1)
    assert devices.averaging(1, w, 1, a=1, v=1) == 0


TABLE = """
| $p$ | 4 devices |
| $b$ | 1 buckets |
| $q$ | 2 TFLOP/s |
| $a$ | 0 µs |
| $v$ | 2.0 GB/s slow |
| $v$ | 1 TB/s fast |
"""


def test_the_page_computes_from_its_table_of_assumptions():
    assert devices.assumed(TABLE) == {"p": {"": 4}, "b": {"": 1}, "q": {"": 2e12}, "a": {"": 0},
                                      "v": {"slow": 2e9, "fast": 1e12}}
    w, u = 10**9 // 3, 10**12  # a pair takes half a second, averaging 6 · 4w/4 bytes
    slow, fast = devices.computed(TABLE, 8, w, u)
    assert slow == ["slow", "1e+03", "2e+03", "50\u202f%", "5e+03", "80\u202f%"]
    assert fast[3] == fast[5] == "100\u202f%"
    assert set(devices.assumed(PAGE)["v"]) == {"NVLink", "PCIe", "Ethernet"}
    assert devices.assumed(TABLE.replace("2.0 GB/s", "100 MB/s"))["v"]["slow"] == 1e8


@pytest.mark.parametrize("row, wrong", [
    ("| $q$ | 2 TFLOP/s |", "| $q$ | 2 TFLOPS |"), ("| $v$ | 1 TB/s fast |", "| $v$ | 10 Gbit/s fast |"),
    ("| $a$ | 0 µs |", "| $a$ | 1.2.3 us |"), ("| $q$ | 2 TFLOP/s |", "| $q$ | 2 TFLOP/s |\n| $q$ | 3 TFLOP/s old |"),
    ("| $v$ | 1 TB/s fast |", "| $v$ | 1 TB/s slow |"), ("| $p$ | 4 devices |", "| $p$ | 0 devices |"),
    ("| $q$ | 2 TFLOP/s |", "| $q$ | 0 TFLOP/s |"), ("| $p$ | 4 devices |", "| $p$ | 2.5 devices |"),
    ("| $a$ | 0 µs |", "|$c$| 0 µs |")])
def test_a_wrong_row_of_the_assumptions_is_named(row, wrong):
    with pytest.raises(ValueError) as told:
        devices.assumed(TABLE.replace(row, wrong))
    got = wrong.split("\n")[-1].replace("|$c$|", "| $c$ |")
    assert f"many_devices.md: got the row {got}, wanted p in devices, " in str(told.value)


def test_assumptions_that_do_not_fit_are_told():
    with pytest.raises(ValueError, match="has no q; wanted rows as"):
        devices.assumed(TABLE.replace("| $q$ | 2 TFLOP/s |", ""))
    with pytest.raises(ValueError, match="got p = 3, wanted a number that divides the 8 pairs"):
        devices.computed(TABLE.replace("4 devices", "3 devices"), 8, 1, 1)


def test_the_gradients_travel_in_the_buckets_of_the_page(alone):
    settings = options().parse_args(["--folder", ""])
    together = DistributedDataParallel(course.UNet(settings.levels, settings.channels))
    for _ in range(3):  # the second counts the buckets, the third tells them
        together(torch.zeros(1, 1, 16, 16)).sum().backward()
    found = together._get_ddp_logging_data()
    sizes = [int(size) for size in found["rebuilt_bucket_sizes"].split(", ")]
    assert devices.assumed(PAGE)["b"] == {"": len(sizes)} and sizes[-1] > 0.8 * sum(sizes)  # most bytes leave last
    assert {"0", "1"} <= set(found["rebuilt_per_bucket_param_indices"].split(",")[-1].split())  # of the first layer


def test_the_commands_of_the_page_are_valid():
    code = "\n".join(re.findall(r"^```bash\n(.*?)^```", PAGE, re.M | re.S)).replace("\\\n", "")
    found = [shlex.split(line, comments=True) for line in code.splitlines() if "studies.training" in line]
    assert len(found) == 5
    for words in found:
        assert "--rdzv-backend" not in words or "--rdzv-id" in words  # two trainings never meet
        program, module = (next(k for k, word in enumerate(words) if word.endswith(end))
                           for end in ((".venv/bin/torchrun", ".venv/bin/python"), "studies.training"))
        if words[program].endswith("torchrun"):
            get_args_parser().parse_args(words[program + 1:module + 1])
        options().parse_args(words[module + 1:])
    assert {f"--{name}" for name in re.findall(r"`--(\w+)", PAGE)} - {"--help"} <= set(
        options()._option_string_actions)


def test_the_commands_keep_freed_memory_as_the_bench_does():
    text = PAGE + (ROOT / "studies/README.md").read_text(encoding="utf-8")
    blocks = [block for block in re.findall(r"^```\w*\n(.*?)^```", text, re.M | re.S) if "studies.training" in block]
    exported = {"OMP_NUM_THREADS": "1"} | bench.KEEP
    for block in blocks:
        words = [word for line in re.findall(r"^export (.*)", block, re.M) for word in shlex.split(line, comments=True)]
        assert dict(word.split("=") for word in words) == exported
    assert len(blocks) == 3


@pytest.fixture
def short(monkeypatch, alone):
    """The bench with one real run, of two processes; those of one process run here. All that torchrun was given."""
    given, real, start = [], bench.run, subprocess.run

    def run(processes, threads, words):
        given.append((processes, threads, words))
        if processes == 1:
            return bench.measure(training.read(["--folder", "", *words[2:]]), 1)
        monkeypatch.setattr(os, "environ", {k: v for k, v in os.environ.items() if "MALLOC" not in k})
        monkeypatch.setattr(subprocess, "run", lambda *a, **how: given.append(how.get("env")) or start(*a, **how))
        return real(processes, threads, words)
    monkeypatch.setattr(bench, "run", run)
    return given


def test_the_bench_stores_what_the_page_reads(tmp_path, command, short):
    (tmp_path / "studies/training").mkdir(parents=True)
    path = tmp_path / devices.STORED
    assert command("--rounds", "1", "--each", "1", "--store", path, *SMALL, main=bench.main) == path.read_text("utf-8")
    rows = devices.measured(tmp_path)
    assert all(float(row["seconds"]) > 0 for row in rows.values()) and rows[1, 1, "yes"]["pairs"] == "4"
    assert [(words[2:], threads) for processes, threads, words in (
        one for one in short if isinstance(one, tuple)) if processes == 1] == [
        (SMALL, 1), (SMALL, 2), ([*SMALL, "--batch", "2"], 1)]
    env = next(one for one in short if isinstance(one, dict))
    assert env.items() >= (bench.KEEP | {"OMP_NUM_THREADS": "1"}).items()


def test_a_wrong_bench_is_told_before_it_measures(tmp_path, command, monkeypatch):
    monkeypatch.setattr(bench, "run", lambda *given: pytest.fail("measured"))
    for words, said in ((("--batch", 5), "--batch: got 5, wanted a multiple of the 2 processes"),
                        (("--rounds", 0), "--rounds: got '0', wanted"), (("--each", 0), "--each: got '0', wanted"),
                        (("--store", tmp_path / "no/b.csv"), "b.csv, wanted a file in a folder that exists"),
                        (("--store", tmp_path), "wanted a file in a folder that exists")):
        assert said in command(*words, main=bench.main)


def test_a_measurement_that_cannot_be_stored_is_printed(tmp_path, command, monkeypatch, capsys):
    def full(*given):
        assert "digest" in capsys.readouterr().out  # printed already
        raise StudyError("no room")
    monkeypatch.setattr(bench, "run", lambda processes, *given: dict.fromkeys(("yes", "no")[:processes], [1.0]))
    monkeypatch.setattr(bench, "write", full)
    assert command("--rounds", 1, "--each", 1, "--store", tmp_path / "b.csv", *SMALL, main=bench.main) == "no room\n"
