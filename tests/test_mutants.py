"""Damages copies of the chapters, as listed in mutants.toml; the notebook comparison must turn red for each.

A fixed sample, listed first, runs in `make test`; all of them in `make mutants`.
"""
import base64
import io
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import nbformat
import pytest
from PIL import ImageOps

import refresh
from notebooks import FRAMES, decode

ROOT = Path(__file__).resolve().parent.parent
LISTS = tomllib.loads((Path(__file__).parent / "mutants.toml").read_text(encoding="utf-8"))
SAMPLE, MUTANTS = LISTS["sample"], LISTS["sample"] + LISTS["mutants"]
BY = {"number": 1.01, "trained number": 1.05}
CHOSEN = MUTANTS if os.environ.get("MUTANTS") == "all" else SAMPLE


def label(mutant):
    return "-".join(str(mutant[k]) for k in ("chapter", "kind", "find"))[:80]


def only(found, mutant):
    """The one thing found; a mutant that fits nowhere or in two places is a mistake in the list."""
    if len(found) != 1:
        raise ValueError(f"mutants.toml: {mutant} fits {len(found)} places of the chapter, wanted 1")
    return found[0]


def text_outputs(notebook):
    return [(out, "text") for c in notebook.cells for out in c.get("outputs", []) if out.output_type == "stream"]


def replaced(holders, mutant, change):
    """Apply `change` to the one holder of text that contains the mutant's `find`, once."""
    holder, key = only([(h, k) for h, k in holders if mutant["find"] in h[k]], mutant)
    only([holder] * holder[key].count(mutant["find"]), mutant)
    holder[key] = change(holder[key])


def spotted(picture, kind, rows=1, columns=1):
    """A base64-coded picture with a 16 × 16 square in the middle of its first frame turned to its negative."""
    picture = decode(picture)
    w, h = picture.width // columns // 2, picture.height // rows // 2
    box = (w - 8, h - 8, w + 8, h + 8)
    picture.paste(ImageOps.invert(picture.crop(box)), box)
    picture.save(stream := io.BytesIO(), kind, lossless=True)
    return base64.b64encode(stream.getvalue()).decode()


def damage(notebook, mutant):
    """Change the notebook in place, in the way the mutant says."""
    code = [(c, "source") for c in notebook.cells if c.cell_type == "code"]
    kind, find = mutant["kind"], mutant["find"]
    if kind in BY:  # the first number behind a printed label
        def changed(text):
            at = text.index(find) + len(find)
            number = re.compile(r"-?\d+\.\d+(?:e[-+]\d+)?")
            return text[:at] + number.sub(lambda m: f"{float(m[0]) * BY[kind]:.9g}", text[at:], count=1)
        replaced(text_outputs(notebook), mutant, changed)
    elif kind == "word":
        replaced(text_outputs(notebook), mutant, lambda text: text.replace(find, mutant["put"]))
    elif kind in ("output", "cell", "picture", "frame"):
        cell = only([c for c, _ in code if find in c.source], mutant)
        if kind == "output":
            del cell.outputs[0]
        elif kind == "cell":
            cell.outputs, cell.execution_count = [], None
        elif kind == "picture":
            data = only([o.data for o in cell.outputs if "image/png" in o.get("data", {})], mutant)
            data["image/png"] = spotted(data["image/png"], "PNG")
        else:  # the first frame of an explorable
            data = only([o.data for o in cell.outputs if FRAMES.search(o.get("data", {}).get("text/html", ""))], mutant)
            rows, columns, strip = FRAMES.search(data["text/html"]).groups()
            data["text/html"] = data["text/html"].replace(strip, spotted(strip, "WEBP", int(rows), int(columns)))
    else:  # kinds of changed code
        replaced(code, mutant, lambda text: text.replace(find, mutant["put"]))


def compare(chapter, folder, mutant=None):
    """Run nbval on a copy of a chapter, damaged or not; the finished process."""
    copy = folder / "chapters"
    copy.mkdir()
    (folder / "imgs").symlink_to(ROOT / "imgs")
    shutil.copy(ROOT / "chapters/conftest.py", copy)
    (copy / "course").symlink_to(ROOT / "chapters/course")
    notebook = nbformat.read(ROOT / "chapters" / f"{chapter}.ipynb", 4)
    if mutant:
        before = nbformat.writes(notebook)
        damage(notebook, mutant)
        assert nbformat.writes(notebook) != before, "the damage changes nothing"
    nbformat.write(notebook, copy / f"{chapter}.ipynb")
    (folder / "pytest.ini").write_text(f"[pytest]\npythonpath = {ROOT}/tools\n")
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "--nbval",
               "--nbval-current-env", f"chapters/{chapter}.ipynb"]
    env = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")} | {"OMP_NUM_THREADS": "1"}
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True)


@pytest.mark.parametrize("mutant", CHOSEN, ids=label)
def test_mutant_is_killed(mutant, tmp_path):
    done = compare(mutant["chapter"], tmp_path, mutant)
    assert done.returncode == 1, f"exit status {done.returncode}, wanted 1 (a failed test):\n{done.stdout[-3000:]}"
    assert re.search(rf"^FAILED chapters/{mutant['chapter']}\.ipynb::", done.stdout, re.M), done.stdout[-3000:]


UNDAMAGED = list(dict.fromkeys(m["chapter"] for m in CHOSEN))


@pytest.mark.parametrize("chapter", UNDAMAGED if CHOSEN is MUTANTS else UNDAMAGED[:1])
def test_undamaged_copy_is_green(chapter, tmp_path):
    done = compare(chapter, tmp_path)
    assert done.returncode == 0, done.stdout[-3000:]


def test_list_of_mutants_is_long_and_broad():
    assert len(MUTANTS) >= 30
    assert len({m["chapter"] for m in MUTANTS}) >= 8
    assert {m["chapter"] for m in MUTANTS} == {path.stem for path in refresh.chapters()}
    kinds = {"number", "word", "output", "cell", "picture", "kernel weight", "learning rate", "seed", "layer", "shape"}
    assert {m["kind"] for m in SAMPLE} >= kinds
    assert len(set(map(label, MUTANTS))) == len(MUTANTS), "a mutant is listed twice"
