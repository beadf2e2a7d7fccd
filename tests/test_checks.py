"""The comparison of chapters and the refresh of their outputs can fail, and fail for the right reasons."""
import base64
import io
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import nbformat
import numpy as np
import psutil
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output
from PIL import Image

import notebooks
import refresh
import rerun
import times
from compare import MULTIPLE, OTHER_MACHINES, difference, differences, drift_of, measured
from course.machinery import numbers, verdict

ROOT = Path(__file__).resolve().parent.parent
compare_text, compare_png, compare_html = map(partial(partial, difference), ("text/plain", "image/png", "text/html"))


# Comparison

@pytest.mark.parametrize(("stored", "now"), [
    ("loss = 0.023871", "loss = 0.023872"),
    ("loss = 0.023871", "loss = 0.023901"),  # 1.3e-3
    ("PSNR 31.2 dB", "PSNR 31.3 dB"),  # the last digit printed, though 3e-3
    ("tensor([[7.3263e-03, 1.5332e-03]])", "tensor([[7.3264e-03,  1.5332e-03]])"),
    ("tensor([-1.0000])", "tensor([ -1.0000])"),
    ("x = 1e-9", "x = 3e-7"),
    ("inf", "inf"),
    ("mean 0.7459 ± 0.04071", "mean 0.7461 ± 0.04058"),
])
def test_float_noise_is_green(stored, now):
    assert compare_text(stored, now) is None


@pytest.mark.parametrize(("stored", "now", "said"), [
    ("loss = 0.023871", "loss = 0.024110", "number 0.023871 became 0.024110"),  # 1 %
    ("error: 0.6", "error: 0.606", "number"),
    ("error: 0.6", "error: 0.7", "number"),
    ("PSNR 31.2 dB", "PSNR 31.5 dB", "number"),
    ("9 of 10", "10 of 10", "integer 9 became 10"),
    ("torch.Size([4, 6])", "torch.Size([4, 8])", "integer 6 became 8"),
    ("torch.Size([4, 6])", "torch.Size([4, 6, 1])", "text differs"),
    ("true", "false", "text differs"),
    ("0.5", "nan", "number"),
    ("1.0", "inf", "number"),
    ("1.5", "-1.5", "number"),
    ("mean 0.7459 ± 0.04071", "mean 0.7459 ± 0.04271", "number 0.04071"),
    ("3", "3.0000001", "integer 3 became 3.0000001"),
])
def test_wrong_output_is_red(stored, now, said):
    assert said in compare_text(stored, now)


def png(levels):
    Image.fromarray(levels.astype(np.uint8)).save(stream := io.BytesIO(), format="PNG")
    return base64.b64encode(stream.getvalue()).decode()


def test_pictures_are_compared_by_pixels():
    grey = np.full((40, 53), 100)
    assert compare_png(png(grey), png(grey)) is None
    near, spot, corner = grey.copy(), grey.copy(), grey.copy()
    near[::7, ::7] += 2
    spot[20:24, 20:24] += 60
    corner[-4:, -4:] += 60  # in a block cut by the border
    assert compare_png(png(grey), png(near)) is None
    assert "worst 8×8 block" in compare_png(png(grey), png(spot))
    assert "worst 8×8 block" in compare_png(png(grey), png(corner))
    assert "mean 1.00 levels" in compare_png(png(grey), png(grey + 1))
    assert compare_png(png(grey), png(grey[1:])) == "picture of 53×40 pixels became 53×39"


def strip(frames, said="RMSE 0.523"):
    """What course.explore stores: frames above each other, and a sentence."""
    picture = Image.fromarray(np.concatenate(frames).astype(np.uint8)).convert("RGB")
    picture.save(stream := io.BytesIO(), "WEBP", lossless=True)
    data = base64.b64encode(stream.getvalue()).decode()
    return f'<figure data-shape="{len(frames)} 1" data-said="{said}"><img src="data:image/webp;base64,{data}"></figure>'


def test_explorables_are_compared_frame_by_frame():
    frames = [np.full((40, 53), level) for level in range(0, 250, 25)]
    near, wrong = [frame.copy() for frame in frames], [frame.copy() for frame in frames]
    near[3][::7, ::7] += 2
    wrong[3] += 1  # 0.1 levels over the strip
    assert compare_html(strip(frames), strip(near)) is None
    assert compare_html(strip(frames), strip(frames, "RMSE 0.524")) is None
    assert compare_html(strip(frames), strip(wrong)).startswith("frame 4 of 10: picture differs: mean 1.00 levels")
    assert "number 0.523 became 0.533" in compare_html(strip(frames), strip(frames, "RMSE 0.533"))
    assert "frame 1 of 10: picture of 53×40 pixels became 40×53" in compare_html(
        strip(frames), strip([frame.T for frame in frames]))
    assert "integer 10 became 9" in compare_html(strip(frames), strip(frames[:9]))


def stream(text, name="stdout"):
    return new_output("stream", name=name, text=text)


def glued(name, text):
    kind = "application/papermill.record/"
    return new_output("display_data", data={kind + "text/plain": text},
                      metadata={"scrapbook": {"name": name, "mime_prefix": kind}})


@pytest.mark.parametrize(("stored", "now", "said"), [
    ([stream("a 1.0")], [stream("a 1.0")], None),
    ([stream("a\n"), stream("b")], [stream("a\nb")], None),
    ([stream("a")], [], "stdout: 1 stored, 0 now"),
    ([], [stream("w", "stderr")], "stderr: 'w'"),
    ([stream("w", "stderr")], [stream("w", "stderr")], "stderr: 'w'"),
    ([glued("x", "0.5")], [glued("x", "0.6")], "number 0.5 became 0.6"),
    ([glued("x", "0.5")], [glued("y", "0.5")], "glued names: the text differs"),
    ([new_output("display_data", data={"image/png": png(np.zeros((8, 8)))})],
     [new_output("display_data", data={"image/png": png(np.full((8, 8), 9))})], "image/png: picture differs"),
    ([new_output("display_data", data={"text/html": "<b>1</b>"})],
     [new_output("display_data", data={"text/html": "<b>2</b>"})], "text/html"),
])
def test_outputs_are_compared_by_kind(stored, now, said):
    found = differences(stored, now)
    assert found == [] if said is None else said in found[0]


def test_a_wrong_number_and_a_wrong_mark_of_a_table_are_red():
    def shown(*lines):
        lines = [["", "RMSE"], *map(list, lines)]
        return [new_output("display_data", {"text/html": numbers.as_html("Errors.", lines)})]
    stored = shown(("CNN", "★ 0.8000 ± 0.1000"), ("UNet", "0.9000 ± 0.1000"))
    assert differences(stored, stored) == []
    for now, said in ((shown(("CNN", "★ 0.8100 ± 0.1000"), ("UNet", "0.9000 ± 0.1000")), "number 0.8000 became 0.8100"),
                      (shown(("CNN", "0.8000 ± 0.1000"), ("UNet", "★ 0.9000 ± 0.1000")), "the text differs"),
                      (shown(("CNN", "★ 0.8000 ± 0.1000"), ("CNN", "0.9000 ± 0.1000")), "the text differs")):
        assert said in differences(stored, now)[0]


def claimed(mean, half=0.1, told="It gains.", rank=7):
    """What a claim leaves whose differences have this mean, and an interval of about half that to each side."""
    numbers = mean + half * np.array([-1, -0.5, 0, 0.5, 1])
    record = verdict.record("gain", told, "lecture", {"blur": (numbers, ">", 0), "rank": (rank, "=", 7, "exact")},
                            "psnr")
    return [new_output("display_data", {"text/plain": f"Mean {mean}"}, metadata={"record": record}),
            glued("claim_gain", record["words"])]


def judged(word):
    outputs = claimed(1)
    outputs[0].metadata.record["conditions"][0]["judged"] = word
    return outputs


@pytest.mark.parametrize(("stored", "now", "other", "said"), [
    (claimed(1), claimed(1.000001), None, None),
    (claimed(1), claimed(1.01), None, "claim gain, 'blur': mean 1.0 became 1.01"),
    (claimed(1), claimed(1.01), claimed(1.004), None),
    (claimed(1), claimed(1.1), claimed(1.004), "mean 1.0 became 1.1"),
    (claimed(1), claimed(1.1), claimed(1.02), None),
    (claimed(0.28), claimed(0.31), claimed(0.29), None),  # from "open" to "yes"
    (claimed(0.2981), claimed(0.2983), None, None),  # an end of the interval lies at the smallest effect
    (claimed(1), judged("open"), None, "'blur': judged 'yes' became 'open'"),  # its numbers are the same
    (claimed(1), judged("open"), claimed(1.02), "'blur': judged 'yes' became 'open'"),
    (claimed(1, 2), claimed(-1, 2), claimed(0.5, 2), None),  # open both times, nobody knows
    (claimed(0.4, 0.05), claimed(-0.4, 0.05), claimed(0.3, 0.05), "'blur': "),
    (claimed(0, 0.2), claimed(0.45, 0.2), claimed(0.1, 0.2), "'blur': "),
    (claimed(1), claimed(1, told="It loses."), claimed(1.02), "sentence 'It gains.' became 'It loses.'"),
    (claimed(1), claimed(1, rank=8), claimed(1.02), "'rank': "),
    (claimed(1), claimed(1)[:0], claimed(1.02), "record: 1 stored, 0 now"),
])
def test_a_claim_may_move_as_far_as_its_interval_did(stored, now, other, said):
    """`other` is what another machine gave, if its word was the same."""
    found = differences(stored, now, measured(stored, other)[0] if other else None)
    assert found == [] if said is None else any(said in line for line in found), found


def test_what_moved_on_another_machine_may_move_again_and_nothing_else():
    stored, other = "a 1.000, b 1.000, c 0.5000, n 3", "a 1.003, b 1.000, c 0.5000, n 3"
    drift = drift_of("text/plain", stored, other)
    assert drift == "0:1.5"  # of the 2e-3 that are free
    far = MULTIPLE * 0.003
    for now, red in ((f"a {1 + 0.9 * far:.3f}, b 1.000, c 0.5000, n 3", None),
                     (f"a {1 + 1.1 * far:.3f}, b 1.000, c 0.5000, n 3", "number 1.000 became"),
                     ("a 1.000, b 1.003, c 0.5000, n 3", "number 1.000 became 1.003 (allowed ± 0.002)"),
                     ("a 1.000, b 1.000, c 0.5000, n 4", "integer 3 became 4")):
        said = compare_text(stored, now, drift=drift)
        assert said is None if red is None else said.startswith(red)
    assert drift_of("text/plain", stored, stored) == ""
    assert drift_of("text/plain", "x 1.00000", "x 1.00001") == "", "ten times that is free anyway"


@pytest.mark.parametrize(("drift", "red"), [
    ({"stdout": ["0:2 1:2 2:4"]}, False),                     # three of four moved, the fourth by chance not
    ({"stdout": ["0:2"]}, True),                              # one of four
    ({"stdout": ["0:2"], "text/plain": ["0:2 1:2"]}, True),   # and others of another kind
    ({"stdout": ["0:2 1:2 3:0.11"]}, False),                  # it moved, by chance by little
])
def test_where_half_of_a_kind_moved_the_rest_counts_as_moved(drift, red):
    out = new_output("display_data", {"text/plain": "5.000 6.000"})
    found = differences([stream("1.000 2.000 3.000 4.000"), out], [stream("1.000 2.000 3.000 4.100"), out], drift=drift)
    assert bool(found) == red, found


def test_a_curve_that_moved_may_shift_and_another_picture_may_not():
    curve = np.full((48, 96), 255)
    curve[20:22] = 0
    moved, spot = np.roll(curve, 1, axis=0), curve.copy()
    spot[30:38, 40:48] = 0
    drift = drift_of("image/png", png(curve), png(moved))
    assert drift == "~" and drift_of("image/png", png(curve), png(curve)) == ""
    assert compare_png(png(curve), png(np.roll(curve, -2, axis=0)), drift=drift) is None
    assert all("worst 8×8 block" in compare_png(png(curve), png(spot), drift=told) for told in ("", drift))
    assert "worst 8×8 block" in compare_png(png(curve), png(moved))
    far = spot.copy()
    far[30:38, 40:48] = 245
    drift = drift_of("image/png", png(curve), png(far))
    assert re.fullmatch(r"~ 1:\S+", drift) and compare_png(png(curve), png(far), drift=drift) is None
    assert compare_png(png(curve), png(spot), drift=drift) is not None
    strips = strip([curve, curve]), strip([curve, moved])
    assert drift_of("text/html", *strips) == "~" and compare_html(*strips, drift="~") is None
    assert compare_html(*strips).startswith("frame 2 of 2: picture differs")


def test_the_drift_of_a_cell_is_kept_by_kind_and_words_have_none():
    stored = [stream("loss 0.5000"), glued("x", "0.25"), glued("y", "0.5"), *claimed(1)]
    now = [stream("loss 0.5100"), glued("x", "0.25"), glued("y", "0.55"), *claimed(1.01)]
    drift, unlike = measured(stored, now)
    assert unlike == [] and differences(stored, now, drift=drift) == [] and len(differences(stored, now)) == 3
    assert drift["stdout"] == ["0:10"] and drift["application/papermill.record/text/plain"] == ["", "0:11"]
    assert set(drift) == {"stdout", "application/papermill.record/text/plain", "record"}
    _, unlike = measured([stream("4 of 5")], [stream("5 of 5")])
    assert unlike == ["stdout: integer 4 became 5"]


# Refresh

COURSE = 'FACTOR = 2\nUNUSED = 1\n\n\ndef f():\n    """What f does."""\n'


@pytest.fixture(scope="module")
def executed_book(tmp_path_factory):
    """A book of two chapters, `good` and `other`, in a repository of its own, with stored outputs."""
    root = tmp_path_factory.mktemp("book")
    for folder in ("chapters", "imgs"):
        (root / folder).mkdir()
    shutil.copytree(ROOT / "tools", root / "tools", ignore=shutil.ignore_patterns("__pycache__"))
    (root / "_toc.yml").write_text(
        "format: jb-book\nroot: chapters/intro\nparts:\n"
        "- chapters:\n  - file: chapters/good\n  - file: chapters/other\n")
    (root / "chapters/course/machinery").mkdir(parents=True)
    for name in ("assets", "checks"):  # which the tools run by themselves
        shutil.copy(ROOT / f"chapters/course/machinery/{name}.py", root / "chapters/course/machinery")
    (root / "chapters/course/__init__.py").write_text(COURSE)
    (root / "requirements.txt").write_text("torch==0\n")
    for name in ("a.png", "b.png"):
        Image.new("L", (4, 4)).save(root / "imgs" / name)
    write(root, "good", "import course", "print('product', 21 * course.FACTOR)")
    write(root, "other", "print('words on', 'a.png')")
    done = call(root)
    assert done.returncode == 0, done.stderr
    (root / ".gitignore").write_text("__pycache__/\nstarted\ngo\n")
    git(root, "init", "-q")
    git(root, "add", ".")
    git(root, "commit", "-qm", "book")
    return root


@pytest.fixture
def book(executed_book, tmp_path):
    return shutil.copytree(executed_book, tmp_path / "book")


def git(book, *arguments):
    command = ["git", "-C", book, "-c", "user.name=n", "-c", "user.email=e@example.org", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def write(book, name, *sources):
    cells = [new_code_cell(source, id=f"c{i}") for i, source in enumerate(sources)]
    nbformat.write(new_notebook(cells=cells), book / f"chapters/{name}.ipynb")


def call(book, *arguments):
    return subprocess.run([sys.executable, "tools/refresh.py", *arguments], cwd=book, capture_output=True, text=True)


def until(true):
    """Wait for a state, at most two minutes."""
    for _ in range(1200):
        if true():
            return
        time.sleep(0.1)
    raise AssertionError("waited for two minutes")


def ended(process):
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


WAITING = "import os, time\nwhile not os.path.exists('go'):\n    time.sleep(0.1)"


def changes(book):
    return git(book, "status", "--porcelain")


def test_fresh_book_executes_nothing(book):
    assert call(book).stdout == "0 of 2 chapters to execute\n" and changes(book) == ""


def test_refresh_stores_how_far_numbers_move_on_another_machine(book):
    path = book / "chapters/other.ipynb"
    other = "__import__('os').environ.get('ATEN_CPU_CAPABILITY') == 'default'"
    write(book, "other", f"print('x', 1.0 + 0.05 * ({other}), 2.0)", "print('y', 3.0)", f"print({other})")
    notebook = notebooks.read(path)
    notebook.cells[0].metadata.tags = ["hide-input"]
    notebooks.store(notebook, path)
    assert "\nother, cell [3] prints something else on another machine: stdout: the text differs" in call(book).stdout
    stored = notebooks.read(path)
    assert stored.cells[0].metadata == {"tags": ["hide-input"], "drift": {"stdout": ["0:5.6"]}}
    assert stored.cells[1].metadata == {} and stored.cells[0].outputs[0].text == "x 1.0 2.0\n"
    assert call(book).stdout == "0 of 2 chapters to execute\n" and refresh.foreign(book) == []
    path.write_text(path.read_text().replace("0:5.6", "0:56"))
    assert refresh.foreign(book)[0].startswith("chapters/other.ipynb: its outputs")


def test_a_refresh_starts_without_the_grammar_of_addresses():
    """jsonschema compiles it by lark, which takes longer than all else that a refresh imports."""
    code = "import refresh, sys; sys.exit('lark' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT / "tools").returncode == 0


@pytest.mark.parametrize(("outputs", "twice"), [
    ([stream("4 of 5 words")], False),
    ([stream("a 1.5")], True),
    ([glued("x", "'yes'")], False),
    ([glued("x", "0.5")], True),
    ([new_output("display_data", data={"image/png": png(np.zeros((8, 8)))})], True),
    ([new_output("display_data", data={"text/html": "<p>frame 1</p>"})], False),
    ([new_output("display_data", data={"text/html": strip([np.zeros((8, 8))], "frame 1")})], True),
    (claimed(1)[:1], True),
])
def test_a_chapter_is_run_again_only_where_something_can_move(monkeypatch, outputs, twice):
    runs = []

    def execute(path, root, machine=None):
        runs.append(machine)
        return new_notebook(cells=[new_code_cell("a"), new_code_cell("b", outputs=outputs)]), 2.0, 1.0

    monkeypatch.setattr(refresh, "execute", execute)
    assert len(refresh.measure("path", drift=True)[1]) == len(OTHER_MACHINES) * twice
    assert runs == [None, *OTHER_MACHINES * twice]
    assert refresh.measure("path")[1] == [] and runs[-1] is None


def test_forced_refresh_is_byte_identical(book):
    assert "2 of 2 chapters to execute: good, other\n" in call(book, "--force").stdout
    assert changes(book) == ""


def test_a_chapter_keeps_what_it_says_of_itself_and_is_measured_when_its_code_changes(book):
    path = book / "chapters/other.ipynb"
    notebook = nbformat.read(path, 4)
    assert notebook.metadata.measured == times.seal(notebook.metadata.measured)
    own = {"book": {"question": "Why?"}, "measured": {"seconds": 9.9}}
    notebook.metadata |= own
    nbformat.write(notebook, path)
    assert call(book, "--force", "other").returncode == 0
    assert own.items() <= nbformat.read(path, 4).metadata.items()
    notebook.cells[0].source = "print('other words')"
    nbformat.write(notebook, path)
    assert call(book, "other").returncode == 0
    stored = nbformat.read(path, 4).metadata
    assert stored.book == {"question": "Why?"} and stored.measured == times.seal(stored.measured)


def test_other_line_endings_and_byte_order_marks_make_nothing_stale(book):
    for path in (book / "_toc.yml", book / "requirements.txt", *book.glob("chapters/course/**/*.py"),
                 *book.glob("chapters/*.ipynb")):
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert call(book).stdout == "0 of 2 chapters to execute\n"
    write(book, "other", "'''words\\r\\nand more'''")
    assert "1 of 2 chapters to execute: other\n" in call(book).stdout
    path = book / "chapters/other.ipynb"
    path.write_text(path.read_text().replace("\\r\\n", "\\n"))
    assert call(book).stdout == "0 of 2 chapters to execute\n"


def test_whole_numbers_are_those_of_jupyterlab(book):
    path = book / "chapters/good.ipynb"
    notebook = notebooks.read(path)
    notebook.cells[0].outputs = [new_output("display_data", data={}, metadata={"record": {"mean": 2.0, "low": 1e-7}})]
    saved = nbformat.from_dict(notebook)
    saved.cells[0].outputs[0].metadata.record.mean = 2
    assert refresh.outputs(saved) == refresh.outputs(notebook)
    saved.cells[0].outputs[0].metadata.record.mean = 2.5
    assert refresh.outputs(saved) != refresh.outputs(notebook)
    measured = times.record(5.04, 0.3, 200.2)
    assert isinstance(measured["seconds"], int)
    assert times.seal(measured | {"seconds": 5.0}) == measured | {"seconds": 5.0}


def test_clone_with_windows_line_endings_is_fresh(book, tmp_path):
    for file in (".gitattributes", ".ci/run", "Makefile"):
        (book / file).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / file, book / file)
    git(book, "add", ".")
    git(book, "commit", "-qm", "more")
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "-q", "-c", "core.autocrlf=true", "-c", "core.eol=crlf", book, clone)
    assert [p.name for p in clone.rglob("*") if p.is_file() and ".git" not in p.parts and p.suffix != ".png"
            and b"\r" in p.read_bytes()] == []
    assert call(clone).stdout == "0 of 2 chapters to execute\n" and changes(clone) == ""
    assert (clone / "imgs/a.png").read_bytes() == (book / "imgs/a.png").read_bytes()


def test_foreign_files_make_nothing_stale_and_git_ignores_them(book, foreign):
    (book / "draft.yml").touch()
    shutil.copy(ROOT / ".gitignore", book)
    git(book, "add", ".")
    git(book, "commit", "-qm", "ignore")
    foreign(book)
    done = call(book)
    assert done.stdout == "0 of 2 chapters to execute\n", done.stderr
    assert changes(book) == " M draft.yml\n"


def nbval(book, *options):
    """What pytest makes of the chapters of a book."""
    shutil.copy(ROOT / "chapters/conftest.py", book / "chapters")
    (book / "pytest.ini").write_text("[pytest]\npythonpath = tools\n")
    env = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--nbval", "--nbval-current-env"]
    return subprocess.run([*command, *options, "chapters"], cwd=book, env=env, capture_output=True, text=True)


def test_nbval_compares_by_the_rule_and_numbers_cells_as_jupyter_does(book):
    assert nbval(book).returncode == 0
    good, other = book / "chapters/good.ipynb", book / "chapters/other.ipynb"
    good.write_text(good.read_text().replace("product 42", "product 43"))
    other.write_text(other.read_text().replace('"execution_count": 1', '"execution_count": null'))
    done = nbval(book)
    assert re.findall(r"^FAILED (\S+ \S+)", done.stdout, re.M) == ["chapters/good.ipynb::cell [2]",
                                                                   "chapters/other.ipynb::cell [1]"], done.stdout
    assert "integer 43 became 42" in done.stdout and "was never run" in done.stdout


# {what: (form, code of two cells, code of a solution, the test that fails or nothing, what is said)}
JUDGED = {
    "a sequence": (2, "a = 1", "a = [1]", "", "cell [2]", "the name 'a' is a sequence here and was a number before"),
    "a dict": (2, "def a(): pass", "a = {}", "", "cell [2]", "the name 'a' is a dict here and was a function before"),
    "one kind": (2, "a, b = 1, [1]", "a, b = 2.5, (3,)", "", "", ""),
    "no form": (0, "a = 1", "a = [1]", "", "", ""),
    "one more": (2, "a = 6", "a += 1\nassert a == 7", "", "cell [2]", "AssertionError"),
    "by globals": (2, "a = 1", "b = globals().get('b', a) + 1\nprint(2 - b)", "", "cell [2]", "integer 0 became"),
    "a seed": (2, "import random; random.seed(1)", "assert random.random() < .14", "", "cell [2]", "Assertion"),
    "set anew": (2, "a = 6", "a = 6\na += 1\nassert a == 7", "", "", ""),
    "one more without form": (0, "a = 6", "a += 1\nassert a == 7", "", "", ""),
    "an answer": (2, "a = 1", "b = 2", "print(a + b)", "", ""),
    "a name of nobody": (2, "a = 1", "b = 2", "print(c)", "solution ex-1", "name 'c' is not defined"),
    "a warning": (2, "a = 1", "b = 2", "import warnings\nwarnings.warn('old')", "solution ex-1", "wrote to stderr"),
    "another kind": (2, "a = 1", "b = 2", "a = [1]", "solution ex-1", "the name 'a' is a sequence here and was"),
    "its own name": (2, "a = 1", "b = 2", "d = [1]", "", ""),
    "a list of the chapter": (2, "a = [1]", "b = 2", "a.append(2)", "solution ex-1", "it changed 'a', which is"),
}


def test_a_chapter_of_the_form_gives_the_same_again_and_its_solutions_leave_it_as_it_was(book):
    """Names keep their kind; a cell that runs again gives its numbers; solutions need no other, and change nothing."""
    wanted, told = [], {}
    toc = "format: jb-book\nroot: chapters/intro\nchapters:\n"
    for number, (what, (form, *cells, solution, failed, said)) in enumerate(JUDGED.items()):
        notebook = notebooks.read(book / "chapters/other.ipynb")
        notebook.metadata["book"] = {"form": form} if form else {}
        notebook.cells = [new_code_cell(code, id=f"c{k}", execution_count=k, outputs=[new_output(
            "stream", text="0\n")] if "print(" in code else []) for k, code in enumerate(cells, 1)]
        fenced = [f"````{{solution}} ex-{n}\n:class: dropdown\n\n```python\n{code}\n```\n````"
                  for n, code in enumerate(("d = 1", solution)) if solution]
        notebook.cells.append(nbformat.v4.new_markdown_cell("\n\n".join(fenced), id="m"))
        notebooks.store(notebook, book / f"chapters/n{number:02}.ipynb")
        toc += f"- file: chapters/n{number:02}\n"
        wanted += [f"chapters/n{number:02}.ipynb::{failed}"] * bool(failed)
        told[what] = said
    (book / "_toc.yml").write_text(toc)
    done = nbval(book)
    assert re.findall(r"^FAILED (\S+ \S+)", done.stdout, re.M) == wanted, done.stdout
    assert [what for what, said in told.items() if said not in done.stdout] == [], done.stdout
    solved = sum(2 * bool(solution) for *_, solution, _, _ in JUDGED.values())
    assert f"{2 * len(JUDGED) + solved - len(wanted)} passed" in done.stdout


GIVEN = """
import functools, itertools, random, numpy, torch
a, b, words, rates = 6, 7, ["x"], {"y": 1}
def f(): return a
def count(n=[]): n.append(1)
def counter():
    k = 0
    def one():
        nonlocal k
        k += 1
        return k
    return one
next_one, numbers, x, g = counter(), itertools.count(), torch.zeros(3), torch.Generator()
net, rng, array = torch.nn.Linear(2, 1), numpy.random.default_rng(0), numpy.zeros(2)
adam = torch.optim.Adam(net.parameters())
class Box: pass
box = Box()
big, seen = torch.zeros(1001, 1001), {1}
@functools.cache
def slow(n): return n * a
"""


@pytest.mark.parametrize(("code", "doubts"), [
    ("a = a + 1", "a"), ("a += 1", "a"), ("b = f(); a = 8", "a"), ("words.append('z')", "words"), ("del a", "a"),
    ("rates['y'] = 2", "rates"), ("rates['z'] = 2", "rates"), ("count()", "count"), ("c = next_one()", "next_one"),
    ("c = next(numbers)", "numbers"), ("x += 1", "x"), ("x[0] = 1", "x"), ("c = torch.rand(1, generator=g)", "g"),
    ("with torch.no_grad(): net.weight += 1", "net"), ("net.eval()", "net"), ("c = rng.normal()", "rng"),
    ("array[1] = 3", "array"), ("adam.zero_grad()", "adam"), ("box.size = 1", "box"), ("big[7, 7] = 1", "big"),
    ("c = len(seen)", "seen"), ("try: c\nexcept NameError: c = 1", "c"), ("c = globals()", "globals"),
    ("c = [next(numbers) for _ in range(2)]", "numbers"), ("x.requires_grad_()", "x"),
    ("net(torch.ones(2)).backward()", "net"),
    ("a = 8\nc = a", "a"), ("b = 8\nc = b", ""), ("for b in range(3): c = b", ""), ("c = f() + a", ""),
    ("c = slow(3)", ""), ("def h(): return c\nc = 3", ""), ("c = net(torch.ones(2))", ""), ("c = x + 1", ""),
    ("x = x", ""), ("def f(): return a", ""), ("import numpy", ""), ("c = {b: w for b, w in enumerate(words)}", ""),
    ("torch.manual_seed(3); c = torch.rand(2)", ""), ("del b; b = 7", ""),
])
def test_a_cell_runs_again_where_that_may_give_something_else(code, doubts):
    space, doubt = {}, rerun.Doubts()
    nothing = rerun.states(space)
    exec(GIVEN, space)
    found = rerun.states(space)
    assert doubt(GIVEN, nothing, found) == []
    exec(code, space)
    assert doubt(code, found, rerun.states(space)) == [doubts] * bool(doubts)


def test_foreign_notebooks_are_no_tests(book, foreign):
    foreign(book)
    done = nbval(book, "--collect-only")
    assert done.returncode == 0, done.stdout
    assert set(re.findall(r"^(.+)::", done.stdout, re.M)) == {"chapters/good.ipynb", "chapters/other.ipynb"}


@pytest.mark.parametrize(("file", "text", "reason", "chapters"), [
    ("chapters/course/__init__.py", COURSE.replace("FACTOR = 2", "FACTOR = 3"), "course", {"good"}),
    ("chapters/course/__init__.py", COURSE.replace("UNUSED = 1", "UNUSED = 3"), "", set()),
    ("chapters/course/__init__.py", COURSE.replace("What f does.", "What f did.  ") + "# a comment\n", "", set()),
    ("chapters/course/__init__.py", COURSE + "print()\n", "course", {"good"}),
    ("requirements.txt", "torch==1\n", "requirements.txt", {"good", "other"}),
    ("imgs/a.png", None, "its pictures", {"other"}),
    ("imgs/b.png", None, "", set()),
])
def test_a_chapter_is_stale_by_what_its_outputs_depend_on(book, file, text, reason, chapters):
    (book / file).write_text(text) if text else Image.new("L", (4, 4), 9).save(book / file)
    said = call(book).stdout
    assert set(re.findall(rf"^chapter . of .: (\w+): [\d.]+ s, because of {reason}$", said, re.M)) == chapters, said
    assert ("product 63" in (book / "chapters/good.ipynb").read_text()) == ("FACTOR = 3" in (text or ""))
    assert call(book).stdout == "0 of 2 chapters to execute\n"


def test_a_picture_that_is_loaded_by_no_name_in_the_code_may_be_any():
    def read(code):
        return [p.name for p in refresh.pictures_read(new_notebook(cells=[new_code_cell(code)]))]

    assert read('x = course.load_grey("ct_small.png", 8)') == ["ct_small.png"]
    assert "ct_small.png" in (every := read("x = course.load_grey(name, 8)")) and len(every) > 3
    assert read("x = 1") == []


def test_changed_code_makes_one_chapter_stale_and_prose_and_comments_none(book):
    path = book / "chapters/other.ipynb"
    notebook = notebooks.read(path)
    notebook.cells.append(nbformat.v4.new_markdown_cell("prose", id="m"))
    notebook.cells[0].source += "  # why"
    nbformat.write(notebook, path)
    assert call(book).stdout == "0 of 2 chapters to execute\n"
    notebook.cells[0].source = "print('other words')"
    nbformat.write(notebook, path)
    assert "1 of 2 chapters to execute: other\n" in call(book).stdout
    assert "other words\\n" in path.read_text()


@pytest.mark.parametrize(("source", "said"), [
    ("1 / 0", r"FAILED good, cell \[2\]: ZeroDivisionError: division by zero"),
    ("import warnings; warnings.warn('loud')", r"FAILED good, cell \[2\]: wrote to stderr: .*loud"),
    ("import os; os._exit(3)", r"FAILED good, cell \[2\]: DeadKernelError"),
])
def test_failing_chapter_is_named_and_left_as_it_was(book, source, said):
    write(book, "good", "print('before')", source)
    before = (book / "chapters/good.ipynb").read_bytes()
    done = call(book, "--force")
    assert done.returncode == 1 and "left as they were: good" in done.stderr
    assert re.search(said, done.stdout), done.stdout
    assert (book / "chapters/good.ipynb").read_bytes() == before
    assert [p.name for p in (book / "chapters").iterdir() if p.name.startswith(".")] == []


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_interrupted_refresh_changes_nothing(book, sign):
    write(book, "good", "open('started', 'w').close()", WAITING, "print('late')")
    git(book, "commit", "-qam", "slow")
    process = subprocess.Popen([sys.executable, "tools/refresh.py", "good"], cwd=book, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, start_new_session=True)
    until((book / "chapters/started").exists)
    family = psutil.Process(process.pid).children(recursive=True)
    (os.killpg if sign == signal.SIGINT else os.kill)(process.pid, sign)  # Ctrl-C goes to the whole group
    process.wait()
    (book / "chapters/go").touch()
    until(lambda: all(map(ended, family)))  # a worker that outlives the refresh too
    process.communicate()
    assert process.returncode != 0
    assert changes(book) == ""


def test_what_is_saved_while_a_chapter_runs_is_kept(book):
    write(book, "good", "open('started', 'w').close()", WAITING)
    command = [sys.executable, "tools/refresh.py", "good"]
    process = subprocess.Popen(command, cwd=book, stdout=subprocess.PIPE, text=True)
    until((book / "chapters/started").exists)
    write(book, "good", "print('a new sentence')")
    (book / "chapters/go").touch()
    said = process.communicate()[0]
    assert process.returncode == 1 and "FAILED good: somebody saved it while it was executed" in said
    assert "a new sentence" in (book / "chapters/good.ipynb").read_text()


NULL = '{"cells": null, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}'


@pytest.mark.parametrize("text", [NULL, "[]", "{", None])
def test_no_notebook_is_one_clear_error(book, text):
    path = book / "chapters/good.ipynb"
    path.unlink()
    path.write_text(text) if text else path.mkdir()
    done = call(book)
    assert done.returncode == 1 and re.match(r"good: good.ipynb is no notebook: \S", done.stderr), done.stderr
    assert re.match(r"good: good.ipynb is no notebook: \S", refresh.foreign(book)[0])


def test_outputs_that_no_refresh_stored_are_named(book):
    path = book / "chapters/good.ipynb"
    assert refresh.foreign(book) == []
    path.write_text(path.read_text().replace("product 42", "product 43"))
    (said,) = refresh.foreign(book)
    assert said.startswith("chapters/good.ipynb: its outputs") and said.endswith("run make refresh CHAPTERS=good")
    assert "because of its outputs" in call(book).stdout and refresh.foreign(book) == []


# Without it root writes into every folder.
MODES = ["setpriv", "--bounding-set=-dac_override,-dac_read_search,-fowner"] if os.geteuid() == 0 else []


@pytest.mark.skipif(bool(MODES) and not shutil.which("setpriv"), reason="root, and no setpriv to give up its rights")
def test_folder_that_cannot_be_written_is_one_clear_error(book):
    command = [*MODES, sys.executable, "tools/refresh.py"]
    (book / "chapters").chmod(0o555)
    try:
        done = subprocess.run([*command, "--force"], cwd=book, capture_output=True, text=True)
        fresh = subprocess.run(command, cwd=book, capture_output=True, text=True)
    finally:
        (book / "chapters").chmod(0o755)
    assert done.returncode == 1 and done.stdout == "2 of 2 chapters to execute: good, other\n"
    wanted = "Permission denied; wanted a folder that can be written: copy the book to one"
    assert done.stderr == f"{book / 'chapters'}: {wanted}\n"
    assert fresh.returncode == 0 and fresh.stdout == "0 of 2 chapters to execute\n", fresh.stderr


def test_full_disk_leaves_the_chapter_as_it_was(book, monkeypatch, capsys):
    def full(notebook, path):
        raise OSError(28, "No space left on device", str(path))

    before = (book / "chapters/good.ipynb").read_bytes()
    monkeypatch.setattr(refresh, "store", full)
    with pytest.raises(SystemExit, match="left as they were: good"):
        refresh.run([book / "chapters/good.ipynb"], root=book)
    assert "FAILED" in (said := capsys.readouterr().out) and "good.ipynb: No space left on device" in said
    assert (book / "chapters/good.ipynb").read_bytes() == before


def test_unknown_chapter_is_one_clear_error(book):
    done = call(book, "cnnn")
    assert done.returncode == 1 and done.stderr == "CHAPTERS: got cnnn, wanted names out of good, other; " \
        "a new chapter needs its line in _toc.yml\n"


def test_file_that_is_no_notebook_is_one_clear_error(book):
    (book / "chapters/good.ipynb").write_text("{")
    done = call(book)
    assert done.returncode == 1 and re.fullmatch("good: good.ipynb is no notebook: .*\n", done.stderr), done.stderr


def test_stored_chapters_are_fresh():
    assert [(path.stem, why) for path in notebooks.chapters() if (why := refresh.stale(path))] == []


def test_stored_chapters_are_json_as_refresh_writes_it():
    for path in notebooks.chapters():
        notebook = notebooks.read(path)
        assert path.read_text(encoding="utf-8") == nbformat.writes(notebook) + "\n", path.name
        metadata = notebook.metadata
        own = {key: metadata[key] for key in ("book", "fingerprint", "measured")}
        assert metadata == notebooks.CLEAN_METADATA | own, path.name
