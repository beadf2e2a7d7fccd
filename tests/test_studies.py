"""Rows of studies are stored once and never lost, whatever is killed; only what they depend on makes them stale."""
import ast
import csv
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest
import torch
from nbformat.v4 import new_code_cell, new_notebook, new_output

import course
import notebooks
import reach
from studies import held_out_views, losses, mri_routes
from studies.engine import check, grid
from studies.engine.__main__ import choose, seeds_of, whole
from studies.engine.rows import Rows, Study, StudyError, digest, flat, load

ROOT = Path(__file__).resolve().parent.parent
ENGINE = [sys.executable, "-m", "studies.engine"]
NO_SETPRIV = os.geteuid() == 0 and not shutil.which("setpriv")  # root writes everywhere, unless it gives up its rights
COURSE = {"__init__": "from .networks import net\nfrom .data import draw\n",
          "networks": '"""Nets."""\nFACTOR = 2\nOTHER = 5\n\n\ndef net(x):\n    """Twice."""\n    return FACTOR * x\n',
          "data": "def draw(seed):\n    return seed\n"}
HEAD = "import os, pathlib, signal, time\nimport course\nfrom studies.engine import grid\n"
# A run that says in `log` that it began, waits where it is told to, and says that it ended.
SLOW = '''
def run(*, size, seed):
    with open("log", "a") as log:
        log.write(f"begun {size} {seed} {os.getpid()}\\n")
    while seed >= 3 and not os.path.exists("go"):
        time.sleep(0.02)
    with open("log", "a") as log:
        log.write(f"ended {size} {seed}\\n")
    return {"rmse": course.net(size) + seed / 3}
'''


@pytest.fixture
def book(tmp_path):
    """A book with a small `course` and no study; `write` adds one."""
    root = tmp_path / "my book"
    for folder in ("studies/engine", "tools"):
        shutil.copytree(ROOT / folder, root / folder, ignore=shutil.ignore_patterns("__pycache__"))
    (root / "chapters/course/machinery").mkdir(parents=True)
    for name, text in COURSE.items():
        (root / f"chapters/course/{name}.py").write_text(text)
    shutil.copy(ROOT / "chapters/course/machinery/studies.py", root / "chapters/course/machinery")
    return root


def write(book, name, text, cells="GRID = grid(size=[1, 2])\n"):
    (book / f"studies/{name}.py").write_text(f'"""Is {name} so?"""\n{HEAD}\n{cells}{text}')


def start(book, *arguments):
    env = os.environ | {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONUNBUFFERED": "1"}
    return subprocess.Popen([*ENGINE, *arguments], cwd=book, env=env, text=True, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, start_new_session=True)


def call(book, *arguments):
    process = start(book, *arguments)
    out, err = process.communicate()
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def stored(book, name="slow", folder="studies/results"):
    path = book / folder / f"{name}.csv"
    return list(csv.DictReader(path.open(encoding="utf-8", newline=""))) if path.exists() else []


def until(true, process=None):
    """Wait for a state; a process that ends before is an error, and so is a minute."""
    for _ in range(3000):
        if found := true():
            return found
        if process is not None and process.poll() is not None:
            pytest.fail("ended too early: " + "".join(process.communicate()))
        time.sleep(0.02)
    pytest.fail("waited for a minute")


def lines(book, word):
    log = book / "log"
    return [x for x in (log.read_text().splitlines() if log.exists() else []) if x.startswith(word)]


def gone(pid):
    """Whether a process has ended; one that no one has asked for its status has."""
    done = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True)
    return done.stdout.strip()[:1] in ("", "Z")


# The grid and the code

def test_grid_is_all_combinations_and_refuses_what_a_file_would_not_give_back():
    assert grid(a=[1, 2], b=["x"]) == [{"a": 1, "b": "x"}, {"a": 2, "b": "x"}]
    assert flat({"a": 1, "u": (3, 4)}) == [{"a": 1, "u": 3}, {"a": 1, "u": 4}]
    for wrong in ([], "words", [1, 1], ["7"], ["nan"], ["True"], [None], [(1, "2")], [(2, 1)], ["a\nb"], [[1]]):
        with pytest.raises(ValueError, match="a: got .*wanted"):
            grid(a=wrong)


USES = ["course.net(1)", "net(1)", "n.net(1)", "course.networks.net(1)", "getattr(course, 'n' + 'et')(1)", "shared()",
        "Sub().forward()", "late()"]
IMPORTS = """from course import net
import course.networks as n
from studies.other import shared


class Sub:
    def forward(self):
        return course.net(1)


def late():
    from course.networks import net
    return net(1)
"""


@pytest.mark.parametrize("use", USES)
def test_code_counts_where_it_is_used_and_docstrings_never(book, use):
    write(book, "uses", f"{IMPORTS}\n\ndef run(*, size, seed):\n    return {use}\n")
    write(book, "other", "def shared():\n    return course.net(1)\n\n\n"
                         "def run(*, size, seed):\n    return course.draw(1)\n")
    networks, data = (book / f"chapters/course/{name}.py" for name in ("networks", "data"))

    def prints():
        return reach.of_study("uses", book), reach.of_study("other", book)

    before = prints()
    text = networks.read_text()
    networks.write_text("# a comment\n" + text.replace("Twice", "Two times").replace("Nets", "Networks") + "\n\n")
    assert prints() == before
    networks.write_text(text.replace("OTHER = 5", "OTHER = 6"))
    assert (prints() != before) == ("getattr" in use)  # where no one knows what is used, all of it is
    networks.write_text(text.replace("FACTOR = 2", "FACTOR = 3"))
    now = prints()
    assert now[0] != before[0] and now[1] == before[1]
    networks.write_text(text)
    data.write_text(data.read_text().replace("return seed", "return -seed"))
    assert prints()[1] != before[1] and (prints()[0] == before[0]) == ("getattr" not in use)


@pytest.mark.parametrize(("old", "new", "same"), [
    ("[1, 2]", "[1, 2, 3]", True), ("Is uses so", "Was it", True), ("HALF = 0.5", "HALF = 0.25", False),
    ("import course\n", "import course\n\nNEW = 1\n", True), ("import math", "import cmath as math", False),
    ("TABLE = {}\n", "TABLE = {}\nTABLE['a'] = 1\n", False), ("seed / 2", "seed  /  2  # half", True),
    ("*, size, seed", "*, size, seed=0", False), ("course\n", "course\nfrom course.data import *\n", False),
])
def test_grid_and_what_run_does_not_reach_do_not_count(book, old, new, same):
    write(book, "uses", "import math\nHALF = 0.5\nTABLE = {}\n\n\ndef run(*, size, seed):\n"
                        "    return HALF, TABLE, math.pi, seed / 2\n")
    path, before = book / "studies/uses.py", reach.of_study("uses", book)
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))
    assert (reach.of_study("uses", book) == before) == same


def test_star_imports_are_followed(book):
    write(book, "uses", "from course.networks import *\n\n\ndef run(*, size, seed):\n    return net(1)\n")
    before = reach.of_study("uses", book)
    path = book / "chapters/course/networks.py"
    path.write_text(path.read_text().replace("FACTOR = 2", "FACTOR = 3"))
    assert reach.of_study("uses", book) != before


def test_moving_a_function_makes_nothing_stale(book):
    write(book, "uses", "def run(*, size, seed):\n    return course.net(1)\n")
    before, inside = reach.of_study("uses", book), book / "chapters/course/machinery"
    (inside / "__init__.py").touch()
    (inside / "nets.py").write_text("from ..networks import FACTOR, net\n")
    (book / "chapters/course/__init__.py").write_text("from .data import draw\nfrom .machinery.nets import net\n")
    assert reach.of_study("uses", book) == before
    shutil.move(book / "chapters/course/networks.py", inside / "nets.py")
    assert reach.of_study("uses", book) == before
    (inside / "nets.py").write_text(COURSE["networks"].replace("FACTOR = 2", "FACTOR = 3"))
    assert reach.of_study("uses", book) != before
    for use in ("course.machinery.nets.net(1)", "course.machinery"):
        write(book, "uses", f"def run(*, size, seed):\n    return {use}\n")
        before = reach.of_study("uses", book)
        (inside / "nets.py").write_text(COURSE["networks"].replace("FACTOR = 2", f"FACTOR = {len(use)}"))
        assert reach.of_study("uses", book) != before


# The file

STUDY = Study("some", "So?", grid(task=["b", "a"], updates=[(9, 10)]), range(2), ["task", "updates", "seed"], "c0de",
              "updates")


@pytest.fixture
def table(tmp_path):
    rows = Rows(STUDY, tmp_path)
    for cell in STUDY.grid:
        for row in flat(cell | {"seed": 0}):
            rows.add(row | {"rmse": 1 / row["updates"], "seconds": 0.1, "device": "cpu", "threads": 1, "torch": "2",
                            "code": "c0de"})
    rows.write()
    return rows.path


def test_rows_are_sorted_and_read_back_exactly(table):
    data = table.read_bytes()
    assert b"\r" not in data and data.endswith(b"\n")
    assert [line.split(",")[:3] for line in data.decode().splitlines()[1:]] == [
        ["a", "9", "0"], ["a", "10", "0"], ["b", "9", "0"], ["b", "10", "0"]]
    rows = Rows(STUDY, table.parent)
    assert {rows.state(key) for key in rows.rows} == {""} and rows.table().encode() == data
    assert float(rows.rows["a", 9, 0]["rmse"]) == 1 / 9
    assert [p.name for p in table.parent.iterdir()] == ["some.csv"]


def test_other_line_ends_and_byte_order_marks_are_read(table):
    table.write_bytes(b"\xef\xbb\xbf" + table.read_bytes().replace(b"\n", b"\r\n"))
    rows = Rows(STUDY, table.parent)
    assert [rows.state(key) for key in rows.rows] == [""] * 4


def test_the_digest_knows_no_order_of_columns():
    assert digest({"seed": "0", "rmse": "0.5", "weights": "9"}) == digest({"weights": "9", "seed": "0", "rmse": "0.5"})
    assert digest({"rmse": "0.5", "weights": ""}) == digest({"rmse": "0.5"}) != digest({"weights": "0.5"})


@pytest.mark.parametrize(("old", "new", "state"), [
    (",0.1111111111111111,", ",0.1122222222222222,", "edited"), (",0.1111111111111111,", ",,", "edited"),
    (",c0de,", ",beef,", "edited"), ("DIGEST", "", "edited"), ("a,9,0", "a,9,1", "edited")])
def test_an_edited_row_shows(table, old, new, state):
    lost = Rows(STUDY, table.parent).rows["a", 9, 0]["digest"]
    table.write_text(table.read_text().replace(old.replace("DIGEST", lost), new, 1))
    rows = Rows(STUDY, table.parent)
    assert sorted(map(rows.state, rows.rows)) == ["", "", "", state]
    assert any("1 rows are edited: task=a, updates=9" in said for said in check.complaints(STUDY, rows))


def column(text, name, change):
    cells = [line.split(",") for line in text.splitlines()]
    at = cells[0].index(name)
    return "\n".join(",".join(change(line, at)) for line in cells) + "\n"


@pytest.mark.parametrize(("damage", "said"), [
    (lambda t: t.replace("b,9", "<<<<<<< ours\nb,9"), "line 4: got the marker of a merge '<<<<<<<', wanted rows"),
    (lambda t: t + t.splitlines()[2] + "\n", "line 6: got a second row for task=a, updates=10, seed=0, wanted one"),
    (lambda t: t[:-30], r"line 5: got \d+ fields, wanted 10"),
    (lambda t: column(t, "updates", lambda line, at: line[:at] + line[at + 1:]), "line 1: got no column updates"),
    (lambda t: column(t, "code", lambda line, at: line[:at] + line[at + 1:]), "line 1: got no column code"),
    (lambda t: "", "line 1: got no column task, updates, seed"),
])
def test_a_damaged_file_is_one_clear_error(table, damage, said):
    table.write_text(damage(table.read_text()))
    with pytest.raises(StudyError, match=r"^some.csv, " + said):
        Rows(STUDY, table.parent)


def test_a_file_that_is_no_text_is_one_clear_error(table):
    table.write_bytes(b"task\xff")
    with pytest.raises(StudyError, match="^some.csv: byte 4 is no UTF-8"):
        Rows(STUDY, table.parent)


def test_an_unknown_column_shows_where_it_says_something(table):
    text = table.read_text()
    for cell, state in (("", ""), ("1", "edited")):
        def add(line, at):
            return [*line[:at], "x" if line[0] == "task" else cell, *line[at:]]
        table.write_text(column(text, "rmse", add))
        rows = Rows(STUDY, table.parent)
        assert {rows.state(key) for key in rows.rows} == {state}


def test_a_write_that_fails_leaves_the_file_as_it_was(table, monkeypatch):
    before, rows = table.read_bytes(), Rows(STUDY, table.parent)

    def full(*_, **__):
        raise OSError(28, "No space left on device", str(table))

    for method in ("write_text", "replace"):
        with monkeypatch.context() as patch:
            patch.setattr(Path, method, full)
            with pytest.raises(StudyError, match="some.csv: No space left on device; wanted a folder"):
                rows.write()
        assert table.read_bytes() == before and [p.name for p in table.parent.iterdir()] == ["some.csv"]


# Runs, by worker processes

def test_rows_are_computed_once_and_again_where_what_they_use_changed(book):
    write(book, "slow", SLOW, "SEEDS = 2\nGRID = grid(size=[1, 2])\n")
    write(book, "along", "def run(*, size, updates, seed):\n"
                         "    rows = [{'rmse': course.draw(seed) + u / 3, 'n': 7} for u in updates] if size else []\n"
                         "    return rows or {'rmse': 0.5}\n",
          "SEEDS = 2\nGRID = grid(size=[1], updates=[(10, 30)]) + grid(size=[0], updates=[0])\n")
    done = call(book, "run")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("along: 6 rows to do: 6 missing\nslow: 4 rows to do: 4 missing\n")
    assert done.stdout.endswith("10 of 10 rows done, 0 failed, time left 0 min 0 s\n")
    assert [(x["size"], x["seed"], float(x["rmse"])) for x in stored(book)] == [
        ("1", "0", 2), ("1", "1", 2 + 1 / 3), ("2", "0", 4), ("2", "1", 4 + 1 / 3)]
    assert [(x["size"], x["updates"], x["n"]) for x in stored(book, "along")[::2]] == [
        ("0", "0", ""), ("1", "10", "7"), ("1", "30", "7")]
    data = (book / "studies/results/slow.csv").read_bytes()
    assert call(book, "run").stdout == "along: 0 rows to do\nslow: 0 rows to do\n" and len(lines(book, "ended")) == 4
    assert sorted(p.name for p in (book / "studies/results").iterdir()) == [".lock", "along.csv", "slow.csv"]
    networks = book / "chapters/course/networks.py"
    networks.write_text(networks.read_text().replace("Twice", "Two times"))
    assert call(book, "run").stdout == "along: 0 rows to do\nslow: 0 rows to do\n"
    networks.write_text(networks.read_text().replace("FACTOR = 2", "FACTOR = 3"))
    done = call(book, "run", "--seeds", "1")
    assert done.stdout.startswith("along: 0 rows to do\nslow: 2 rows to do: 2 stale\n"), done
    assert [float(x["rmse"]) for x in stored(book)] == [3, 2 + 1 / 3, 6, 4 + 1 / 3]
    assert (book / "studies/results/slow.csv").read_bytes() != data
    write(book, "slow", SLOW, "SEEDS = 1\nGRID = grid(size=[2])\n")  # cells that left the grid leave the file
    assert "slow: 1 rows to do: 1 stale" in call(book, "run", "slow").stdout  # the seed that is stored beyond
    assert [(x["size"], x["seed"]) for x in stored(book)] == [("2", "0"), ("2", "1")]


def test_nothing_is_stored_where_that_is_asked_for(book):
    write(book, "slow", SLOW)
    done = call(book, "run", "--seeds", "1-2", "--store", "")
    assert done.returncode == 0 and not (book / "studies/results").exists(), done.stderr
    rows = list(csv.DictReader(done.stdout[done.stdout.index("size,seed"):].splitlines()))
    assert [(x["size"], x["seed"]) for x in rows] == [("1", "1"), ("1", "2"), ("2", "1"), ("2", "2")]


def test_a_killed_worker_has_its_rows_tried_again(book):
    write(book, "slow", SLOW, "SEEDS = 6\nGRID = grid(size=[1])\n")
    process = start(book, "run", "--workers", "2")
    blocked = until(lambda: [x for x in lines(book, "begun") if int(x.split()[2]) >= 3], process)
    *row, pid = blocked[0].split()
    os.kill(int(pid), signal.SIGKILL)
    until(lambda: gone(pid))
    (book / "go").touch()
    out, err = process.communicate()
    assert process.returncode == 0, out + err
    assert [x["seed"] for x in stored(book)] == list("012345")
    assert len(lines(book, " ".join(row) + " ")) == 2  # begun by the one that was killed, and by another


LOST = """
import os, signal, sys, time
from pathlib import Path
from threading import Timer
from studies.engine.work import cluster, outcomes

go = Path(sys.argv[1])


def job(name, arguments, code):
    while arguments["waits"] and not go.exists():
        time.sleep(0.1)
    return [arguments]


if __name__ == "__main__":
    with cluster("", 2) as client:
        batches = outcomes(client, [("x", {"waits": i > 0, "i": i}, "") for i in range(6)], job)
        found = next(batches)
        go.touch()
        while any(one.status != "finished" for one in client.futures.values()):
            time.sleep(0.1)
        go.unlink()
        os.kill(client.run(os.getpid).popitem()[1], signal.SIGKILL)  # a worker that holds what it has found
        while all(one.status == "finished" for one in client.futures.values()):
            time.sleep(0.1)
        Timer(1, go.touch).start()
        print(sorted(rows[0]["i"] for _, rows, _ in sum(batches, found)))
"""


def test_what_a_killed_worker_had_found_is_computed_again(tmp_path):
    (tmp_path / "lost.py").write_text(LOST)
    done = subprocess.run([sys.executable, tmp_path / "lost.py", tmp_path / "go"], capture_output=True, text=True,
                          env=os.environ | {"PYTHONPATH": str(ROOT)}, timeout=120)
    assert done.stdout == "[0, 1, 2, 3, 4, 5]\n", done.stderr


def test_a_killed_run_loses_no_row_and_the_next_goes_on_but_never_beside_it(book):
    write(book, "slow", SLOW)
    process = start(book, "run", "--workers", "2")
    until(lambda: len(stored(book)) == 6 and len(lines(book, "begun")) == 8, process)  # three seeds of two sizes
    second = call(book, "run")
    assert second.returncode == 1 and second.stdout == "", second
    assert re.fullmatch(r"\S.*results: another run writes there, wanted one at a time: .*\n", second.stderr), second
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    before = stored(book)
    assert len(before) == 6 and all(digest(x) == x["digest"] for x in before)
    for pid in {x.split()[-1] for x in lines(book, "begun")}:
        until(lambda: gone(pid))  # workers end with the run that started them
    (book / "go").touch()
    done = call(book, "run", "--workers", "2")
    assert done.returncode == 0 and "slow: 4 rows to do: 4 missing" in done.stdout, done
    assert len(stored(book)) == 10 and [x for x in stored(book) if x in before] == before
    assert sorted(lines(book, "ended")) == sorted(f"ended {size} {seed}" for size in (1, 2) for seed in range(5))


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_says_so_and_keeps_its_rows(book, sign):
    write(book, "slow", SLOW)
    process = start(book, "run", "--workers", "2")
    until(lambda: len(stored(book)) == 6, process)
    (os.killpg if sign == signal.SIGINT else os.kill)(process.pid, sign)  # Ctrl-C goes to the workers too
    out, err = process.communicate()
    assert process.returncode == 1 and err == "interrupted; finished rows are kept, and the next call goes on\n", err
    assert len(stored(book)) == 6


def test_a_run_that_raises_is_tried_three_times_and_told_and_the_others_go_on(book):
    write(book, "slow", '''
def run(*, size, seed):
    with open("log", "a") as log:
        log.write(f"begun {size} {seed}\\n")
    tries = pathlib.Path("log").read_text().count(f"begun {size} {seed}\\n")
    if seed == 1 or seed == 2 and tries < 3:
        raise ArithmeticError(f"seed {seed} is odd")
    return {"rmse": "1.0" if seed == 3 else float("inf")}
''')
    done = call(book, "run")
    assert done.returncode == 1
    assert [(x["seed"], x["rmse"]) for x in stored(book)] == [(str(s), "inf") for s in (0, 2, 4)] * 2
    assert lines(book, "begun 1 1") == ["begun 1 1"] * 3
    assert re.search("FAILED slow: size=[12], seed=1\nTraceback .*\n.*Error: seed 1 is odd\n", done.stdout, re.S)
    assert "returned rmse = '1.0', wanted a number" in done.stdout
    assert done.stdout.endswith("6 of 10 rows done, 4 failed, time left 0 min 0 s\n")
    assert done.stderr == "4 runs failed, each tried three times, for 2 reasons, told above\n"


@pytest.fixture
def dask(book):
    """Starts a scheduler and a worker of Dask in the book's folder; returns the address and the scheduler."""
    started = []

    def begin(*arguments):
        env = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}
        command = [sys.executable, "-m", "dask", *arguments]
        started.append(subprocess.Popen(command, cwd=book, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                        start_new_session=True))
        return started[-1]

    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    address = f"tcp://127.0.0.1:{port}"
    scheduler = begin("scheduler", "--host", "127.0.0.1", "--port", str(port), "--no-dashboard")
    begin("worker", address, "--nthreads", "1", "--no-dashboard")
    yield address, scheduler
    for process in started:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def test_a_cluster_takes_new_code_and_one_that_goes_away_is_one_clear_error(book, dask):
    address, scheduler = dask
    write(book, "slow", SLOW, "SEEDS = 2\nGRID = grid(size=[1, 2])\n")
    assert "where no scheduler of Dask answers" in call(book, "run", "--scheduler", "tcp://127.0.0.1:1").stderr
    until(lambda: call(book, "run", "--scheduler", address).returncode == 0)  # once the scheduler has started
    assert [float(x["rmse"]) for x in stored(book)] == [2, 2 + 1 / 3, 4, 4 + 1 / 3]
    networks = book / "chapters/course/networks.py"
    networks.write_text(networks.read_text().replace("FACTOR = 2", "FACTOR = 3"))
    assert call(book, "run", "--scheduler", address).returncode == 0  # by a worker that had imported the old one
    assert [float(x["rmse"]) for x in stored(book)] == [3, 3 + 1 / 3, 6, 6 + 1 / 3]
    process = start(book, "run", "--scheduler", address, "--seeds", "5")
    until(lambda: len(stored(book)) == 6 and len(lines(book, "begun")) == 11, process)
    os.kill(scheduler.pid, signal.SIGKILL)
    out, err = process.communicate()
    assert process.returncode == 1 and len(stored(book)) == 6
    assert err == "SCHEDULER: the connection is gone; finished rows are kept, and the next call goes on\n", err


def test_a_full_disk_is_one_clear_error_and_nothing_stored_is_lost(book):
    write(book, "slow", SLOW.replace(">= 3", "< 0"), "SEEDS = 150\nGRID = grid(size=[1])\n")
    (book / "disk").mkdir()
    own = shutil.which("unshare") and subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode == 0
    limit = "mount -t tmpfs -o size=16k tmpfs disk" if own else "ulimit -f 8"
    script = f'{limit} || exit 9; "$@"; code=$?; ls -A disk; cat disk/slow.csv; exit $code'
    command = [*(["unshare", "-m"] if own else []), "sh", "-c", script, "sh", *ENGINE]
    done = subprocess.run([*command, "run", "--store", "disk", "--workers", "1"], cwd=book,
                          capture_output=True, text=True, env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"})
    assert done.returncode == 1, done
    said = "No space left on device" if own else "File too large"
    assert re.fullmatch(rf"disk/slow.csv: {said}; wanted a folder .*\n", done.stderr), done
    assert ".slow.csv.new" not in done.stdout
    rows = list(csv.DictReader(done.stdout[done.stdout.index("size,seed"):].splitlines()))
    assert rows and all(digest(x) == x["digest"] for x in rows)


@pytest.mark.skipif(NO_SETPRIV, reason="root, and no setpriv to give up its rights")
def test_a_folder_that_cannot_be_written_is_one_clear_error(book):
    write(book, "slow", SLOW)
    folder = book / "studies/results"
    folder.mkdir()
    folder.chmod(0o555)
    modes = ["setpriv", "--bounding-set=-dac_override,-dac_read_search,-fowner"] if os.geteuid() == 0 else []
    try:
        done = subprocess.run([*modes, *ENGINE, "run"], cwd=book, capture_output=True, text=True)
    finally:
        folder.chmod(0o755)
    assert done.returncode == 1 and done.stdout == ""
    assert re.fullmatch(r".*results/.lock: Permission denied; wanted a folder .*\n", done.stderr), done


@pytest.mark.parametrize(("call", "said"), [
    (lambda: choose(["cnn", "cnn_updates"]), "STUDIES: got cnn, wanted names out of .*cnn_updates"),
    (lambda: seeds_of("5-"), "SEEDS: got '5-', wanted how many, as 5, or the first and the last, as 1000-1004"),
    (lambda: seeds_of("9-3"), "SEEDS: got '9-3', wanted how many"),
    (lambda: seeds_of("0"), "SEEDS: got '0', wanted how many"),
    (lambda: whole("WORKERS", "none", 2), "WORKERS: got 'none', wanted a whole number, 1 or more"),
    (lambda: whole("N", "-3", 2), "N: got '-3', wanted a whole number, 1 or more"),
])
def test_bad_input_is_one_clear_error(call, said):
    with pytest.raises(StudyError, match="^" + said):
        call()
    assert list(seeds_of("3")) == [0, 1, 2] and list(seeds_of("10-12")) == [10, 11, 12] and seeds_of("") is None


NO_STUDIES = {
    "GRID = 1 / 0": "ZeroDivisionError: division by zero", "GRID = [": "SyntaxError: ",
    '"""So?"""\nGRID = [{"a": 1}]': "got no run, wanted a docstring, GRID and run",
    '"""So?"""\nGRID = [{"a": 1}]\ndef run(*, b, seed): pass': "got GRID with a and run(b, seed), wanted the same",
    '"""So?"""\nGRID = [{"a": 1}]\ndef run(a, seed): pass': "wanted the same names in both, in one order",
    '"""So?"""\nGRID = [{"code": 1}]\ndef run(*, code, seed): pass': "got an argument 'code', wanted none of seconds",
    '"""So?"""\nGRID = [{"a": 1}, {"a": (1, 2)}]\ndef run(*, a, seed): pass': "1 rows twice"}


def test_a_file_that_is_no_study_is_one_clear_error(book):
    for i, text in enumerate(NO_STUDIES):
        (book / f"studies/odd{i}.py").write_text(text)
    script = ("from studies.engine.rows import StudyError, load, names\nfor name in names():\n"
              "    try:\n        load(name)\n    except StudyError as e:\n        print(e)\n")
    done = subprocess.run([sys.executable, "-c", script], cwd=book, capture_output=True, text=True)
    for i, (line, said) in enumerate(zip(done.stdout.splitlines(), NO_STUDIES.values(), strict=True)):
        assert line.startswith(f"studies/odd{i}.py: ") and said in line


# The check

THREADS = '''
def run(*, size, updates, seed):
    moved = 0.01 if os.environ["OMP_NUM_THREADS"] == "2" else 0
    return [{"rmse": (1 + moved * u / 100) * (size + seed), "n": 100, "psnr": 30.0} for u in updates]
'''


def test_a_value_changed_by_one_percent_is_red_unless_it_drifts(book):
    write(book, "slow", THREADS, "SEEDS = 2\nGRID = grid(size=[1, 2], updates=[(1, 100)])\n")
    assert call(book, "run").returncode == 0
    done = call(book, "drift")
    assert done.returncode == 0 and "6 rows moved by at most 0.99 %" in done.stdout, done
    path, drift = book / "studies/results/slow.csv", book / "studies/results/slow.drift.csv"
    assert [x.split(",")[:4] for x in drift.read_text().splitlines()[1:]] == [
        ["1", "n", "3", "0"], ["1", "psnr", "3", "0"], ["1", "rmse", "3", "0.0001"],
        ["100", "n", "3", "0"], ["100", "psnr", "3", "0"], ["100", "rmse", "3", "0.0099"]]

    def change(old, new):
        """Change a number of the row size=1, updates=1 or 100, seed=0, and mend its digest."""
        text = [line.split(",") for line in path.read_text().splitlines()]
        for line in text[1:]:
            if line[:3] == old[:3]:
                cells = dict(zip(text[0], line)) | new
                line[:] = (cells | {"digest": digest(cells)}).values()
        return path.write_text("\n".join(map(",".join, text)) + "\n")

    good = path.read_text()
    change(["1", "1", "0"], {"rmse": "1.0015"})      # less than 0.2 %
    change(["1", "100", "0"], {"rmse": "1.01"})      # one per cent, where the drift is as large
    done = call(book, "check", "--count", "8")
    assert done.returncode == 0, done
    assert done.stdout == "slow: 8 of 8 rows computed again, at most 0.99 % apart, 0 too far\n"
    path.write_text(good)
    changes = [(["1", "1", "0"], {"rmse": "1.01"}, "rmse stored 1.01, now 1.0, 0.99 % apart, allowed 0.2 %"),
               (["2", "1", "1"], {"psnr": "30.3"}, "psnr stored 30.3, now 30.0, 0.99 % apart, allowed 0.2 %"),
               (["2", "100", "1"], {"n": "101"}, "n stored 101, now 100, 0.99 % apart, allowed 0 %")]
    for row, new, _ in changes:
        change(row, new)
    done = call(book, "check", "--count", "8", "--random")
    wanted = [f"slow, size={row[0]}, updates={row[1]}, seed={row[2]}: {said}" for row, _, said in changes]
    assert done.returncode == 1 and sorted(done.stderr.splitlines()) == wanted, done
    path.write_text(good[:good.rindex(",")] + ",\n")
    done = call(book, "check")
    assert done.returncode == 1, done
    assert done.stderr.startswith("slow: 1 rows are edited: size=2, updates=100, seed=1; ")


def test_the_sample_is_short_and_always_the_same(table):
    rows = Rows(STUDY, table.parent)
    for seconds, wanted in ((0.05, 1), (0.1, 2), (0.2, 4)):  # one row, though too long; of the first checkpoint; all
        found = [check.sample(STUDY, rows, 4 if seconds == 0.2 else 2, seconds, False) for _ in range(2)]
        assert found[0] == found[1] and len(found[0]) == wanted
        assert seconds == 0.2 or {row["updates"] for row in found[0]} == {9}
    assert check.single(STUDY, found[0][0])["updates"] in ((9,), (10,))


# The stored studies

def test_stored_rows_are_what_the_code_gives():
    """One of each study; `make studies-check` tries more."""
    done = subprocess.run([*ENGINE, "check", "--count", "1"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_rows_as_columns(book):
    import course.studies
    name = "cnn_updates"
    found = course.studies.rows(name, method="cnn", noise=0.05)
    study = load(name)
    assert set(found) > {*study.arguments, "rmse"} and set(found["method"]) == {"cnn"}
    assert all(type(x) is float for x in found["rmse"]) and found["updates"] == sorted(found["updates"])
    with pytest.raises(FileNotFoundError, match="study 'none': no rows stored; wanted one of .*cnn_updates"):
        course.studies.rows("none")
    with pytest.raises(ValueError, match="colour: no column of study 'cnn_updates', wanted one of method, "):
        course.studies.rows(name, colour=1)
    with pytest.raises(ValueError, match="method: got 'unet', wanted a value in the rows of 'cnn_updates': cnn, li"):
        course.studies.rows(name, method="unet")


def test_a_chapter_that_reads_rows_is_stale_when_they_change(book, table):
    import refresh
    (book / "imgs").mkdir()
    (book / "requirements.txt").touch()
    (book / "studies/results").mkdir()
    stored = book / "studies/results/some.csv"
    stored.write_bytes(table.read_bytes())
    reads, other = (new_notebook(cells=[new_code_cell(code)]) for code in ('course.rows("some", task="a")', "rows(1)"))
    before = refresh.fingerprint(reads, book), refresh.fingerprint(other, book)
    stored.write_text(table.read_text().replace("0.1,", "0.2,"))
    assert refresh.fingerprint(reads, book)["its studies"] != before[0]["its studies"]
    assert refresh.fingerprint(other, book) == before[1] and "its studies" not in before[1]


def test_the_page_shows_every_study_that_has_rows(tmp_path):
    import evidence
    from course.machinery import studies
    for folder in ("studies", "chapters/course"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    record = {"name": "a", "sentence": "It gains.", "verdict": "holds", "scale": "study cnn_updates, 48 pixels"}
    (tmp_path / "_toc.yml").write_text("format: jb-book\nroot: chapters/page\n")
    cell = new_code_cell(outputs=[new_output("display_data", metadata={"record": record})])
    nbformat.write(new_notebook(cells=[cell]), tmp_path / "chapters/page.ipynb")
    text = evidence.fill((ROOT / "chapters/studies.md").read_text(encoding="utf-8"), tmp_path)
    names = [p.stem for p in (ROOT / "studies/results").glob("*.csv") if "." not in p.stem]
    assert names and "<!--" not in text
    for name in names:
        assert f"make studies STUDIES={name} FORCE=1" in text and f"<../studies/results/{name}.csv>" in text
        assert len(re.search(rf"/{name}\.png\n:alt: (.+)", text)[1]) > 40
        assert (tmp_path / f"_build/studies/{name}.png").read_bytes().startswith(b"\x89PNG")
    assert text.count("- “It gains.” **holds** ({doc}`page`)") == 1
    seeds = studies.rows("cnn_updates")["seed"]
    assert load("cnn_updates").question in text and f"{len(seeds)} rows of {len(set(seeds))} seeds, " in text


def test_the_figure_shows_what_its_caption_says():
    """No update 0 on the log axis; what does not train is a line in each panel; what is averaged is named."""
    import evidence
    rows = [{"method": m, "rate": r, "kind": k, "updates": u, "seed": 0, "rmse": 0.5, "code": ""} for m, r, k, u in (
        *(("net", r, k, u) for r in (1, 2) for k in ("a", "b") for u in (0, 8, 16)), ("nothing", 0, "a", 0))]
    figure, alt, caption = evidence.draw({name: [row[name] for row in rows] for name in rows[0]},
                                         ["method", "rate", "kind", "updates", "seed"], {})
    assert [ax.get_title() for ax in figure.axes] == ["rate 1", "rate 2"]
    assert [[line.get_label() for line in ax.lines] for ax in figure.axes] == [["net", "nothing"]] * 2
    assert list(figure.axes[0].lines[0].get_xdata()) == [8, 16]
    assert caption.startswith("Mean and range over seeds and kind;")
    *_, one = evidence.draw({name: [row[name] for row in rows] for name in rows[0]},
                            ["method", "rate", "kind", "updates", "seed"], {"where": {"kind": ["b"], "rate": [2]}})
    assert one == "Mean and range over seeds; what does not train is a level line. Shown: kind b, rate 2."
    assert "a curve each for net; nothing" in alt


def test_a_level_line_stands_only_in_panels_that_it_was_measured_for():
    import evidence
    rows = [{"method": m, "mask": k, "updates": u, "seed": 0, "rmse": e} for m, k, u, e in (
        *(("net", k, u, 0.5) for k in ("many", "one") for u in (8, 16)), ("deep", "one", 8, 0.4),
        ("tv", "one", 0, 0.3), ("tv", "other", 0, 0.9))]
    figure, _, _ = evidence.draw({name: [row[name] for row in rows] for name in rows[0]},
                                 ["method", "mask", "updates", "seed"], {"lines": "method", "panels": "mask"})
    drawn = {ax.get_title(): {line.get_label(): line.get_ydata()[0] for line in ax.lines} for ax in figure.axes}
    assert drawn == {"mask many": {"net": 0.5}, "mask one": {"deep": 0.4, "net": 0.5, "tv": 0.3}}
    assert all([t.get_text() for t in ax.get_xticklabels()] == ["8", "16"] for ax in figure.axes)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["deep", "net", "tv"]


def test_make_stores_nothing_only_where_store_is_given_and_empty():
    def said(*arguments):
        env = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MFLAGS"))}
        command = ["make", "-n", "-C", ROOT, *arguments]
        return subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout

    assert "--store" not in said("studies", "SEEDS=5") and "--seeds '5'" in said("studies", "SEEDS=5")
    assert "--store ''" in said("studies", "STORE=") and "--store 'a b'" in said("studies", "STORE=a b")
    assert "--scheduler 'tcp://h:1'" in said("studies", "SCHEDULER=tcp://h:1")
    assert "--force" in said("studies", "FORCE=1")
    assert "--count '100' --random" in said("studies-check", "N=100", "RANDOM=1")


def test_the_study_of_variants_trains_the_networks_of_its_chapter():
    codes = [notebooks.code(notebooks.read(path)) for path in notebooks.chapters()]
    chapter, = (code for code in codes if 'rows("variants"' in code)
    shown, trained = ({node.name: reach.tree(node) for node in ast.parse(code).body if isinstance(node, ast.ClassDef)}
                      for code in (chapter, notebooks.read_text(ROOT / "studies/variants.py")))
    assert len(trained) == 7 and {name: shown[name] for name in trained} == trained


# What a study computes by itself

def test_a_checkpoint_is_the_same_whatever_others_are_asked_for_also_with_an_adversary():
    torch.manual_seed(0)
    y, x = torch.rand(2, 4, 1, 16, 16)

    def after(*updates):
        torch.manual_seed(0)
        model, loss = course.CNN(2, 4), losses.Adversary(0.1)
        return losses.train(model, y, x, loss, updates=updates, rate=1e-2, batch=2, seed=0)[-1].state_dict().values()
    assert all(map(torch.equal, after(8, 16), after(16)))


def test_total_variation_has_the_adjoint_of_its_slopes_and_ends_at_a_minimum():
    torch.manual_seed(0)
    a, p = torch.rand(1, 1, 24, 20), torch.rand(1, 2, 24, 20)
    assert (losses.slopes(a) * p).sum().item() == pytest.approx((a * losses.slopes_adjoint(p)).sum().item(), rel=1e-4)

    def price(x):
        misfit = course.blur(x, course.gaussian(losses.BLUR)) - y
        return (misfit.square().sum() / 2 + 0.1 * losses.slopes(x).norm(dim=1).sum()).item()
    y = losses.measure(torch.ones(1, 1, 24, 24).triu(), 0.1)
    best = losses.total_variation(y, 0.1)
    around = [best + scale * torch.randn_like(best) for scale in (1e-3, 1e-2, 0.1) for _ in range(5)]
    assert price(best) < min(map(price, [y, *around, *(best + c for c in (-0.01, 0.01))]))


@pytest.mark.parametrize("kind", ["uniform", "density", "central"])
def test_masks_have_the_columns_that_their_names_say(kind):
    masks = mri_routes.masks(kind, 200, torch.Generator().manual_seed(0))[:, 0, 0]  # (200, 32)
    assert (masks.sum(1) == 8).all() and masks[:, 14:18].all()
    if kind == "central":
        assert masks[:, 12:20].all()
    else:
        often = masks.float().mean(0)
        near, far = often[[12, 13, 18, 19]].mean(), often[[0, 1, 30, 31]].mean()
        assert (near > 3 * far) == (kind == "density") and far > 0.02


def test_numbers_tuned_on_held_out_views_are_not_the_largest_tried():
    """In most rows; up to 50° they may be, and then the chapter says so."""
    table = stored(ROOT, "held_out_views")
    ends, behind = {}, max(held_out_views.BEHIND)
    for row in table:
        if row["edge"] or row["steps"]:
            at_end = float(row["edge"]) > 0.5 if row["edge"] else float(row["steps"]) == behind
            ends.setdefault((row["split"], row["method"]), []).append(at_end)
    often = {where for where, found in ends.items() if sum(found) > len(found) / 2}
    text = (ROOT / "chapters/measured_tilts.ipynb").read_text(encoding="utf-8")
    assert len(ends) > 8 and {split for split, _ in often} <= {"wedge"}
    assert not often or "the largest number tried" in text
