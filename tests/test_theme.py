"""What the book takes from its theme: each literal that does not match, and each other version, fails the build."""
from importlib import metadata

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

import build
import install
import notebooks
from page import theme
from test_book import TOC, lay

DAMAGE = """
from page import theme
def lost(literal):
    return literal._replace(old=literal.old + "(?!)")
theme.ARTICLE, theme.ICONS = lost(theme.ARTICLE), lost(theme.ICONS)
theme.PAGES, theme.STYLES = list(map(lost, theme.PAGES)), list(map(lost, theme.STYLES))
for group in (theme.TEMPLATES, theme.STATIC):
    group.update({place: list(map(lost, literals)) for place, literals in group.items()})
theme.SCRIPTS = {lost(literal): sign for literal, sign in theme.SCRIPTS.items()}
theme.READ["pydata-sphinx-theme"] = "0.0"
"""


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """What a build says that finds no literal, nor the version of the theme: with all that a page can have."""
    root = lay(tmp_path_factory.mktemp("theme"))
    (root / "_toc.yml").write_text(TOC + "- file: chapters/code\n")
    output = new_output("display_data", data={"text/html": "<b>bold</b>", "text/plain": "bold"})
    cell = new_code_cell("print(1)", execution_count=1, outputs=[output], metadata={"tags": ["hide-input"]})
    table = new_markdown_cell("# Code\n\n| a | b |\n|---|---|\n| 1 | 2 |")
    nbformat.write(new_notebook(cells=[table, cell], metadata=notebooks.CLEAN_METADATA), root / "chapters/code.ipynb")
    assert build.render(root=root) == []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(build, "JUPYTER_BOOK", DAMAGE + build.JUPYTER_BOOK)
        (root / "_build/shape").unlink()
        return build.render(root=root)


@pytest.mark.parametrize("literal", theme.literals(), ids=lambda literal: f"{literal.what}: {literal.old}")
def test_a_literal_that_does_not_match_is_told_with_the_remedy(told, literal):
    read = "0.0" if literal.package == theme.PST else theme.READ[literal.package]
    rest = (f": no match for {literal.old + '(?!)'!r} ({literal.what}), which tools/page/theme.py has from "
            f"{literal.package} {read}; installed is {metadata.version(literal.package)}. Find what this version "
            "writes in its place, and change the literal there")
    assert [line for line in told if line.endswith(rest)], told


def test_another_version_is_told_with_its_literals_and_the_remedy(told):
    (line,) = [line for line in told if "pydata-sphinx-theme: " in line]
    assert "is installed, constraints.txt says " in line and "has literals of 0.0 (text for the search, " in line
    assert line.endswith("write the version into READ there; or set pydata-sphinx-theme==0.0 in constraints.txt, "
                         "and make book installs it")


def test_nothing_else_is_wrong_in_such_a_book(told):
    assert not [line for line in told if "tools/page/theme.py" not in line], told


def test_a_pin_that_is_not_installed_is_told(monkeypatch):
    assert theme.versions() == []
    pins = install.pinned([install.CONSTRAINTS])
    monkeypatch.setattr(install, "pinned", lambda files: pins | {"sphinx-book-theme": "1.2.0"})
    (line,) = theme.versions()
    there = pins["sphinx-book-theme"]
    assert line.startswith(f"sphinx-book-theme: {there} is installed, constraints.txt says 1.2.0, and tools/page/theme")


def test_an_edited_script_is_not_edited_again(tmp_path):
    (tmp_path / "scripts").mkdir()
    for name, literals in theme.STATIC.items():
        (tmp_path / name).write_text("".join(literal.new or "" for literal in literals), encoding="utf-8")
    before = {name: (tmp_path / name).read_text() for name in theme.STATIC}
    theme.edit_static(tmp_path, missed := {})
    assert {name: (tmp_path / name).read_text() for name in theme.STATIC} == before
    assert not [literal for literal in missed if literal.new]
