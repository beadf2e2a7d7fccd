"""The landing page: a card with a picture of its own for every chapter, and a description for every page."""
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

import cards
import guard
import notebooks

ROOT = Path(__file__).resolve().parent.parent
CHAPTERS = {path.stem for path in notebooks.chapters()}


@pytest.fixture(scope="module")
def drawn():
    """The pictures, made again."""
    cards.cards()
    return ROOT / "_build/cards"


def test_every_chapter_has_a_card():
    assert set(cards.CARDS) == CHAPTERS
    page = (ROOT / "chapters/intro.md").read_text(encoding="utf-8")
    for chapter in CHAPTERS:
        assert f"(../_build/cards/{chapter}.png)" in page and f" <{chapter}>`" in page, chapter


def test_cards_are_pictures_not_blanks(drawn):
    for chapter in CHAPTERS:
        picture = np.asarray(Image.open(drawn / f"{chapter}.png").convert("RGBA"), float)
        assert picture.shape == (cards.HEIGHT, cards.WIDTH, 4), chapter
        assert (picture[..., 3] > 0).mean() > 0.9 and picture[..., :3].std() > 20, chapter


def test_a_figure_that_is_gone_is_named():
    with pytest.raises(ValueError, match="fig-cnn-nothing"):
        cards.panels("cnn", "nothing")


def test_every_page_has_a_description():
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    given = config["sphinx"]["config"]["html_context"]["descriptions"]
    assert set(given) == {Path(page).name for page in guard.toc_files(ROOT)}
    assert {name: text for name, text in given.items() if not 50 <= len(text) <= 155} == {}
