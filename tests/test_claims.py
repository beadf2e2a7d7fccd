"""The ledger of claims and the chapters say the same; each way to disagree is red."""
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

import claims
import refresh

ROOT = Path(__file__).resolve().parent.parent
SOURCE = """import course
gain = [0.7 + 0.001 * seed for seed in course.seeds(2)]
course.claim("page_gain", course.spread(gain), holds=[g < 1 for g in gain], fails=[g < 0.9 for g in gain])"""
ROW = "| A network gains. | **holds when** told: so | {glue:text}`page.ipynb::claim_page_gain:s` | {doc}`Page <page>` |"
HEAD = "| the field says | verdict | figure | shown in |\n|---|---|---|---|\n"


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    """A book of one chapter that makes one claim, executed."""
    root = tmp_path_factory.mktemp("claims")
    shutil.copytree(ROOT / "chapters/course", root / "chapters/course", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "tools", root / "tools", ignore=shutil.ignore_patterns("__pycache__"))
    (root / "imgs").mkdir()
    (root / "_toc.yml").write_text("root: chapters/claims\nchapters:\n- file: chapters/page\n")
    (root / "requirements.txt").write_text("torch==0\n")
    (root / "chapters/claims.md").write_text(f"# Ledger\n\n{HEAD}{ROW}\n")
    cells = [new_markdown_cell("It gains, so it **holds when** told.", id="a"), new_code_cell(SOURCE, id="b")]
    nbformat.write(new_notebook(cells=cells), root / "chapters/page.ipynb")
    path = root / "chapters/page.ipynb"
    refresh.store(refresh.execute(path, root)[0], path)
    return root


@pytest.fixture
def book(executed, tmp_path):
    return shutil.copytree(executed, tmp_path / "book")


def test_the_ledger_and_the_chapters_agree():
    assert claims.complaints() == []


def test_small_book_agrees(book):
    assert claims.complaints(book) == []


@pytest.mark.parametrize(("file", "old", "new", "said"), [
    ("claims.md", ROW, "", "page: claims 'page_gain', and claims.md has no row for it"),
    ("claims.md", "claim_page_gain", "claim_page_loss", "claims.md: claim_page_loss is computed nowhere in page"),
    ("claims.md", "**holds when** told", "**holds**", "claim_page_gain: says 'holds', and page asserts 'holds when'"),
    ("claims.md", "**holds when**", "**is true**", "claims.md: not a row of the ledger"),
    ("claims.md", "<page>", "<other>", "claim_page_gain is computed in page, and said to be shown in other"),
    ("claims.md", ROW, f"{ROW}\n{ROW}", "claims.md: two rows for claim_page_gain of page"),
    ("page.ipynb", "**holds when** told", "holds", "asserts page_gain as 'holds when', and its text does not say so"),
])
def test_disagreement_is_red(book, file, old, new, said):
    path = book / "chapters" / file
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    assert any(said in line for line in claims.complaints(book)), claims.complaints(book)


def make_claims(book, offset):
    return subprocess.run([sys.executable, "tools/claims.py"], cwd=book, capture_output=True, text=True,
                          env=os.environ | {"SEED_OFFSET": offset})


def test_claims_run_with_other_seeds_and_store_nothing(book):
    before = (book / "chapters/page.ipynb").read_bytes()
    done = make_claims(book, "100")
    assert done.returncode == 0, done.stderr
    assert "seeds from 100 on\n| A network gains. | holds when | n = 2, mean 0.8005" in done.stdout
    assert done.stdout.endswith("all 1 claims hold their assertions\n")
    assert (book / "chapters/page.ipynb").read_bytes() == before


def test_claim_that_fails_with_other_seeds_is_red(book):
    done = make_claims(book, "1000")
    assert done.returncode == 1 and "| A network gains. | FAILED |" in done.stdout
    assert "page: AssertionError: claim 'page_gain': holds is [False, False]; measured: n = 2, mean 1.7" in done.stderr


def test_every_experiment_over_seeds_takes_the_books_seeds():
    for path in refresh.chapters():
        code = "\n".join(c.source for c in refresh.read(path).cells if c.cell_type == "code")
        if claims.CLAIM in code:
            assert not re.search(r"SEEDS = range\(|for seed in range\(", code), f"{path.stem}: wanted course.seeds"
