"""What pages list of the chapters: a card with a picture of its own, the exercises, the running times."""
import re
import runpy
import shutil
from pathlib import Path

import numpy as np
import pytest
from bs4 import BeautifulSoup
from nbformat.v4 import new_markdown_cell, new_notebook
from PIL import Image

import build
import cards
import lists
import notebooks

ROOT = Path(__file__).resolve().parent.parent
CHAPTERS = {path.stem: notebooks.read(path) for path in notebooks.chapters()}


def page(built, name):
    return BeautifulSoup((built[0] / f"_build/html/chapters/{name}.html").read_text(encoding="utf-8"), "html.parser")


def test_the_landing_page_has_a_card_of_each_chapter_in_their_order(built):
    shown = page(built, "intro").select(".cards li")
    assert [li.a["href"].removesuffix(".html") if "enlarge" not in li.a.get("class", []) else li.select("a")[1]["href"]
            for li in shown] == list(CHAPTERS)
    books = [notebook.metadata.book for notebook in CHAPTERS.values()]
    assert [li.img["alt"] for li in shown] == [book["card"]["alt"] for book in books]
    assert all(book["question"] in li.text and book["short"] in li.text for li, book in zip(shown, books, strict=True))


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_cards_are_pictures_not_blanks(built, chapter):
    picture = np.asarray(Image.open(built[0] / f"_build/cards/{chapter}.png").convert("RGBA"), float)
    assert picture.shape == (cards.HEIGHT, cards.WIDTH, 4)
    assert (picture[..., 3] > 0).mean() > 0.9 and picture[..., :3].std() > 20


def test_panels_are_the_pictures_of_a_figure_without_its_colour_bars():
    found = cards.panels("fig-cnn-patch", list(CHAPTERS.values()))
    assert [panel.size for panel in found] == [(183, 183)] * 2 + [(182, 183)] + [(183, 183)] + [(182, 183)]


def test_a_chapter_shows_panels_in_a_row(built):
    parts = cards.chosen("fig-unet-shortcut", [1, 2, 3], list(CHAPTERS.values()))
    row = Image.open(built[0] / "_build/panels/fig-unet-shortcut-1-2-3.png")
    w, h = parts[0].size
    assert row.size == (3 * w + 2 * cards.GAP, h) and {part.size for part in parts} == {(w, h)}
    for k, part in enumerate(parts):
        assert row.crop((k * (w + cards.GAP), 0, k * (w + cards.GAP) + w, h)).convert("RGB").tobytes() == part.tobytes()
    assert np.asarray(row)[:, w:w + cards.GAP, 3].max() == 0


@pytest.mark.parametrize(("figure", "which", "said"), [
    ("fig-cnn-nothing", [0], "fig-cnn-nothing: no chapter stores this figure"),
    ("fig-cnn-patch", [0, 5], r"fig-cnn-patch: has 5 panels that are pictures, wanted \[0, 5\], counted from 0"),
])
def test_a_figure_or_a_panel_that_is_gone_is_named(figure, which, said):
    with pytest.raises(ValueError, match=said):
        cards.chosen(figure, which, list(CHAPTERS.values()))


def test_what_a_chapter_says_of_itself_in_another_form_is_told_before_rendering(tmp_path):
    (tmp_path / "chapters").mkdir()
    for file in ("_config.yml", "references.bib"):
        shutil.copy(ROOT / file, tmp_path)
    (tmp_path / "_toc.yml").write_text("format: jb-book\nroot: chapters/page\n")
    notebooks.store(new_notebook(metadata={"book": {"card": "fig-page"}}), tmp_path / "chapters/page.ipynb")
    assert ("chapters/page.ipynb: metadata book.card: got 'fig-page'; wanted figure, panels and alt, and perhaps zoom"
            in build.build(root=tmp_path)) and not (tmp_path / "_build").exists()


def test_a_page_has_the_description_of_its_chapter(built):
    for name, notebook in CHAPTERS.items():
        description = page(built, name).find("meta", {"name": "description"})["content"]
        assert description == notebook.metadata.book.description


def test_every_exercise_is_listed(built):
    listed = page(built, "exercises")
    for name, notebook in CHAPTERS.items():
        labels = re.findall(r"^`{3,}\{exercise\}[^\n]*\n:label: (\S+)", notebooks.prose(notebook), re.M)
        links = {a["href"] for a in listed.select("section li a")}
        assert len(labels) >= 3 and {f"{name}.html#{label}" for label in labels} <= links


def test_exercises_in_code_and_those_that_are_checked_are_marked():
    asked = {"a": "Which? (Code, 5 s.)", "b": "Why?", "b-more": "Why? (Code, 5 s.)", "c": "Why?"}
    text = "\n\n".join(f"```{{exercise}} T\n:label: ex-{word}\n\n{words}\n```" for word, words in asked.items())
    text += "".join(f"\n\n```{{{kind}}} {name}\nHow many?\n= 3\n```" for kind, name in (
        ("check", "ex-b-more"), ("check", "ex-c-first"), ("predict", "predict-a")))
    notebook = new_notebook(cells=[new_markdown_cell(text)])
    assert lists.exercises("one", notebook).splitlines()[2:] == [
        "- {ref}`ex-a`: T (*code*)", "- {ref}`ex-b`: T", "- {ref}`ex-b-more`: T (*code*, *checked*)",
        "- {ref}`ex-c`: T (*checked*)"]


def test_running_times_are_of_the_chapters_and_name_each_machine(built):
    seconds = [notebook.metadata.measured.seconds for notebook in CHAPTERS.values()]
    shown = [float(row.select("td")[1].text) for row in page(built, "running_times").tbody.select("tr")]
    assert shown == [*seconds, pytest.approx(sum(seconds))]
    two = {"a": {"seconds": 1.0, "over_seeds": 0.5, "peak_mib": 9, "machine": "X"}}
    two["b"] = two["a"] | {"machine": "Y"}
    assert lists.running_times(two).startswith("Machine of {doc}`a`: X.\n\nMachine of {doc}`b`: Y.\n\n| what")


def test_the_picture_of_shared_links_is_what_its_script_draws(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.argv", ["draw_social_card.py", str(tmp_path / "drawn.png")])
    runpy.run_path(str(ROOT / "imgs/draw_social_card.py"), run_name="__main__")
    drawn, stored = (np.asarray(Image.open(path).convert("RGB"), float)
                     for path in (tmp_path / "drawn.png", ROOT / "imgs/social_card.png"))
    assert np.abs(drawn - stored).mean() < 0.5, "a chapter's figure has changed: run imgs/draw_social_card.py"
