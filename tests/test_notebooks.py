"""The stored chapters keep the house style: shape, exercises, alternative text, clean outputs."""
import re
from pathlib import Path

import pytest
from bs4 import BeautifulSoup

import guard
import notebooks
from notebooks import prose

ROOT = Path(__file__).resolve().parent.parent
CHAPTERS = {path.stem: notebooks.read(path) for path in notebooks.chapters()}
HUSHING_TAGS = {"nbval-skip", "nbval-ignore-output", "raises-exception", "remove-input", "remove-cell"}


@pytest.fixture(params=CHAPTERS)
def chapter(request):
    return request.param, CHAPTERS[request.param]


def code_cells(notebook):
    """[(number as Jupyter shows it, cell), …]"""
    return list(enumerate(notebooks.code_cells(notebook), 1))


def test_the_book_keeps_its_chapters_and_their_order():
    core = ["end_to_end", "loss_design", "convolutions", "receptive_field", "cnn", "residual_learning", "unet",
            "unet_variants", "cross_domain", "mri", "vision_transformers", "output_constraints", "data_consistency",
            "limits"]
    assert [name for name in CHAPTERS if name in core] == core


def test_every_exercise_is_listed(chapter):
    name, notebook = chapter
    listed = (ROOT / "chapters/exercises.md").read_text(encoding="utf-8")
    labels = re.findall(r"^`{3,}\{exercise\}[^\n]*\n:label: (\S+)", prose(notebook), re.M)
    assert [label for label in labels if f"{{ref}}`{label}`" not in listed] == [], "not in exercises.md"


def test_outputs_are_those_of_one_run(chapter):
    _, notebook = chapter
    assert [c.execution_count for _, c in code_cells(notebook)] == list(range(1, len(code_cells(notebook)) + 1))


def test_no_check_is_switched_off(chapter):
    _, notebook = chapter
    for i, cell in code_cells(notebook):
        assert not HUSHING_TAGS & set(cell.metadata.get("tags", [])), f"cell [{i}]"
        assert "filterwarnings" not in cell.source and "NBVAL" not in cell.source, f"cell [{i}]"


def test_code_cells_are_short_and_between_prose(chapter):
    _, notebook = chapter
    for i, cell in code_cells(notebook):
        lines = cell.source.splitlines()
        limit = 40 if lines and lines[0].startswith("class ") else 25
        assert len(lines) <= limit, f"cell [{i}] has {len(lines)} lines, wanted at most {limit}"
        assert max(map(len, lines)) <= 120, f"cell [{i}] has a line of more than 120 characters"
    kinds = [c.cell_type for c in notebook.cells]
    assert ("code", "code") not in zip(kinds, kinds[1:]), "two code cells follow each other"


def test_only_drawings_are_hidden(chapter):
    _, notebook = chapter
    for i, cell in code_cells(notebook):
        if "hide-input" in cell.metadata.get("tags", []):
            assert "plt.show()" in cell.source, f"cell [{i}] is hidden and draws nothing"


def test_every_picture_says_what_is_to_be_seen(chapter):
    _, notebook = chapter
    for i, cell in code_cells(notebook):
        if any("image/png" in out.get("data", {}) for out in cell.outputs):
            about = cell.metadata.get("mystnb", {})
            assert len(about.get("image", {}).get("alt", "")) >= 40, f"cell [{i}]: alternative text"
            name = about.get("figure", {}).get("name", "")
            assert f"{{numref}}`{name}`" in prose(notebook), f"cell [{i}]: figure {name!r} is not referred to"


def test_chapter_has_an_explorable(chapter):
    _, notebook = chapter
    shown = [out.data for _, c in code_cells(notebook) for out in c.outputs
             if 'class="explore"' in out.get("data", {}).get("text/html", "")]
    assert shown, "wanted a figure that moves: course.explore"
    for data in shown:
        figure = BeautifulSoup(data["text/html"], "html.parser").figure
        assert figure.img is None or len(figure.img["alt"]) >= 40, "alternative text"
        assert figure.figcaption.text.endswith("."), "wanted a caption that ends with a full stop"
    assert not any("widget-view" in kind for _, c in code_cells(notebook) for out in c.outputs
                   for kind in out.get("data", {})), "names a widget of a kernel that is gone"


def test_chapter_has_its_parts(chapter):
    name, notebook = chapter
    first, text = notebook.cells[0].source, prose(notebook)
    assert first.startswith(f"(sec-{name})=\n# "), f"first cell: wanted the label (sec-{name})= and a title"
    for part in ("What you will be able to do", "What you need", "**Running time:** under "):
        assert part in first, f"first cell: wanted {part!r}"
    ends = re.findall(r"^## (Recap|Exercises|Further reading)$", text, re.M)
    assert ends == ["Recap", "Exercises", "Further reading"]
    assert "{cite" in text.split("## Further reading")[1], "further reading cites nothing"
    exercises = re.findall(r"^`{3,}\{exercise\}", text, re.M)
    solutions = re.findall(r"^`{3,}\{solution\} \S+\n:class: dropdown$", text, re.M)
    assert len(exercises) >= 3, "wanted at least three exercises"
    assert len(solutions) == len(exercises), "wanted a folded solution for each exercise"
    assert "(Code.)" in text, "wanted an exercise in code, marked (Code.)"


def test_stated_running_time_holds(chapter):
    name, notebook = chapter
    table = (ROOT / "chapters/running_times.md").read_text(encoding="utf-8")
    measured = re.search(rf"^\| \{{doc\}}`{name}` \| ([\d.]+) \|", table, re.M)
    assert measured, "not in the table; run make bench"
    stated = float(re.search(r"\*\*Running time:\*\* under (\d+) s on two CPU cores", notebook.cells[0].source)[1])
    assert float(measured[1]) <= stated, f"measured {measured[1]} s"


def test_every_glued_number_is_used_and_asked_for_once_computed():
    glued = {name for notebook in CHAPTERS.values() for name in notebooks.glued(notebooks.outputs(notebook))}
    pages = [prose(notebook) for notebook in CHAPTERS.values()]
    pages += [path.read_text(encoding="utf-8") for path in guard.sources(ROOT) if path.suffix == ".md"]
    asked = {m for page in pages for m in re.findall(r"\{glue:(?:text|figure|math)?\}`(?:[\w.]+::)?(\w+)", page)}
    assert glued == asked
