"""make chapter: a name is checked, a chapter is whole from the start, a failure leaves nothing behind."""
import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

import chapter
import notebooks
import refresh
import test_answers
import times
from test_notebooks import lacks

ROOT = Path(__file__).resolve().parent.parent
BENCH = """import sys, refresh
refresh.run = lambda paths, keep: {path.stem: (1.0, 0.5, 9.0) for path in paths if not keep}
import bench
bench.main()
"""
ENDED = """import os, signal, sys, time, chapter, refresh
refresh.run = lambda *a, **k: (os.kill(os.getpid(), signal.SIGTERM), time.sleep(60))
chapter.start.__defaults__ = chapter.Path(),
sys.argv = ["chapter.py", "ended"]
chapter.main()
"""


@pytest.mark.parametrize(("name", "said"), [
    ("", "got '', wanted small letters"), ("My topic", "got 'My topic', wanted small letters"),
    ("../topic", "wanted small letters"), ("2d", "wanted small letters"), ("lambda", "wanted small letters"),
    ("cnn", "got cnn, and chapters/cnn.ipynb is there"), ("claims", "got claims, and chapters/claims.md is there"),
    ("conftest", "and chapters/conftest.py is there"), ("torch", "got torch, the name of a Python module"),
    ("course", "got course, the name of a Python module"), ("time", "got time, the name of a Python module"),
])
def test_a_bad_name_is_one_clear_error(name, said):
    with pytest.raises(ValueError, match=f"^NAME: .*{said}"):
        chapter.check(name)


def test_a_chapter_from_the_template_lacks_nothing_and_is_the_last_one(sources, monkeypatch):
    before = notebooks.toc_files(sources)
    path = chapter.start("throwaway", sources)
    assert lacks("throwaway", nbformat.read(path, 4)) == []
    assert notebooks.chapters(sources)[-1] == path and refresh.stale(path, sources) == []
    assert [file for file in notebooks.toc_files(sources) if file != "chapters/throwaway"] == before
    assert "my_topic" not in notebooks.read_text(path)
    monkeypatch.setitem(test_answers.TABLES, "throwaway", notebooks.checks(notebooks.read(path)))
    test_answers.test_no_two_near_misses_are_the_same_and_none_is_right("throwaway")


@pytest.mark.parametrize("error", [SystemExit("left as they were: throwaway"), KeyboardInterrupt])
def test_a_failure_leaves_nothing_behind(tmp_path, monkeypatch, error):
    (tmp_path / "chapters").mkdir()
    (tmp_path / "chapters/a.ipynb").touch()
    (tmp_path / "_toc.yml").write_text(toc := "root: x\nchapters:\n- file: chapters/a\n- file: chapters/b\n")
    monkeypatch.setattr(refresh, "run", lambda *a, **k: (_ for _ in ()).throw(error))
    with pytest.raises((SystemExit, KeyboardInterrupt)):
        chapter.start("throwaway", tmp_path)
    assert [path.name for path in (tmp_path / "chapters").iterdir()] == ["a.ipynb"]
    assert (tmp_path / "_toc.yml").read_text() == toc
    assert chapter.entered(toc, "c", tmp_path) == toc.replace("chapters/a\n", "chapters/a\n- file: chapters/c\n")
    titled = toc.replace("chapters/a\n", "chapters/a  # first\n  title: A\n")
    assert chapter.entered(titled, "c", tmp_path) == titled.replace("title: A\n", "title: A\n- file: chapters/c\n")
    open_end = "root: x\nchapters:\n  - file: chapters/a"
    assert chapter.entered(open_end, "c", tmp_path) == f"{open_end}\n  - file: chapters/c\n"


def test_a_chapter_that_is_ended_from_outside_leaves_nothing_behind(sources):
    toc = (sources / "_toc.yml").read_bytes()
    done = subprocess.run([sys.executable, "-c", ENDED], cwd=sources, capture_output=True, text=True,
                          env=os.environ | {"PYTHONPATH": str(ROOT / "tools")})
    assert (done.returncode, done.stderr) == (1, "interrupted; nothing was left behind\n")
    assert not (sources / "chapters/ended.ipynb").exists() and (sources / "_toc.yml").read_bytes() == toc


def test_bench_of_one_chapter_keeps_all_else(sources):
    done = subprocess.run([sys.executable, "-c", BENCH, "cnn"], cwd=sources, capture_output=True, text=True,
                          env=os.environ | {"PYTHONPATH": str(sources / "tools")})
    assert done.returncode == 0, done.stderr
    changed = [path for path in notebooks.chapters(sources)
               if path.read_bytes() != (ROOT / "chapters" / path.name).read_bytes()]
    now, before = (nbformat.read(folder / "chapters/cnn.ipynb", 4) for folder in (sources, ROOT))
    assert [path.stem for path in changed] == ["cnn"] and now.cells == before.cells
    assert now.metadata.measured == times.record(1.0, 0.5, 9.0) and now.metadata.book == before.metadata.book
    assert (sources / "tools/bench.json").read_bytes() == (ROOT / "tools/bench.json").read_bytes()


@pytest.mark.parametrize(("chosen", "said"), [
    ("unet", {"chapters/unet.ipynb", "test_chapter_lacks_nothing[unet]"}),
    ("unett", {"ERROR: CHAPTERS: got unett, wanted names out of end_to_end"}),
])
def test_single_chapters_are_tried_alone(chosen, said):
    command = [sys.executable, "-m", "pytest", "-o", "addopts=", "--import-mode=importlib", "--nbval", "--co", "-q",
               "tests/test_notebooks.py", "chapters/unet.ipynb", "chapters/cnn.ipynb"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=os.environ | {"CHAPTERS": chosen})
    found = (done.stdout + done.stderr).splitlines()
    assert {line.removeprefix("tests/test_notebooks.py::").partition("::")[0].partition(", loss")[0]
            for line in found if "::" in line or "ERROR" in line} == said, found
