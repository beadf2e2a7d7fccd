"""Claims run with other seeds: which verdicts change is said, nothing is stored."""
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

import ledger
import notebooks
import refresh

ROOT = Path(__file__).resolve().parent.parent
SOURCE = """import course
gain = [0.7 + 0.001 * seed for seed in course.seeds(5)]
course.claim("page_gain", sentence="A network gains.", source="lecture", conditions={"told": (gain, "<", 1)},
             effect="rmse", scale="no pixels")"""


@pytest.fixture(scope="module")
def book(tmp_path_factory):
    """A book of one chapter that makes one claim, executed."""
    root = tmp_path_factory.mktemp("claims")
    for part in ("chapters/course", "tools"):
        shutil.copytree(ROOT / part, root / part, ignore=shutil.ignore_patterns("__pycache__"))
    (root / "imgs").mkdir()
    (root / "_toc.yml").write_text("root: chapters/page\n")
    (root / "requirements.txt").write_text("torch==0\n")
    (root / "references.bib").write_text("")
    cells = [new_markdown_cell("{glue:text}`claim_page_gain:s`", id="a"), new_code_cell(SOURCE, id="b")]
    nbformat.write(new_notebook(cells=cells), root / "chapters/page.ipynb")
    path = root / "chapters/page.ipynb"
    notebooks.store(refresh.execute(path, root)[0], path)
    return root


def make_claims(book, offset, *options):
    return subprocess.run([sys.executable, "tools/claims.py", *options], cwd=book, capture_output=True, text=True,
                          env=os.environ | {"SEED_OFFSET": offset})


def test_an_executed_claim_is_in_the_ledger(book):
    assert ledger.complaints(book) == []
    assert [(r["chapter"], r["name"], r["words"]) for r in notebooks.claims(book)] == [("page", "page_gain", "holds")]


@pytest.mark.parametrize(("offset", "said"), [
    ("100", "| page | page_gain | holds | told: *yes*, ratio 0.8020 [0.8000, 0.8040], n = 5 |\n0 of 1 verdicts are"),
    ("400", "| page | page_gain | false as told | told: *reversed*, ratio 1.102 [1.100, 1.104], n = 5 |\n"
            "1 of 1 verdicts are not those of the page\n- page_gain\n"),
])
def test_claims_run_with_other_seeds_and_store_nothing(book, offset, said):
    before = (book / "chapters/page.ipynb").read_bytes()
    done = make_claims(book, offset)
    assert done.returncode == 0, done.stderr
    assert f"seeds from {offset} on\n{said}" in done.stdout
    assert (book / "chapters/page.ipynb").read_bytes() == before


def test_a_cell_that_fails_is_red(book, tmp_path):
    broken = shutil.copytree(book, tmp_path / "book")
    path = broken / "chapters/page.ipynb"
    path.write_text(path.read_text().replace('(gain, \\"<\\", 1)', '(gain[:4], \\"<\\", 1)'))
    done = make_claims(broken, "0")
    assert done.returncode == 1 and "0 of 0 verdicts" in done.stdout
    assert "page: ValueError: claim 'page_gain': condition 'told': got shape (4,)" in done.stderr


def test_an_assertion_that_fails_is_told_with_its_line(book, tmp_path):
    other = shutil.copytree(book, tmp_path / "book")
    path = other / "chapters/page.ipynb"
    path.write_text(path.read_text().replace('"import course\\n",', '"import course\\n",\n    "wet = 2\\n",\n'
                                             '    "assert wet == 1  # as told\\n",'))
    done = make_claims(other, "0")
    assert done.returncode == 1 and "page: AssertionError: assert wet == 1  # as told\n" in done.stderr
    with pytest.raises(refresh.ChapterError, match=re.escape("page, cell [1]: AssertionError: assert wet == 1")):
        refresh.execute(path, other)


def test_claims_are_judged_by_the_rows_of_another_folder(book, tmp_path):
    other = shutil.copytree(book, tmp_path / "book")
    path = other / "chapters/page.ipynb"
    path.write_text(path.read_text().replace("gain = [0.7 + 0.001 * seed for seed in course.seeds(5)]",
                                             "from course.studies import rows\\n\",\n    "
                                             "\"gain = rows('gains')['rmse']"))
    for folder, gain in (("studies/results", 0.7), ("mine", 1.1)):
        (other / folder).mkdir(parents=True)
        (other / folder / "gains.csv").write_text("seed,rmse\n" + "".join(f"{n},{gain + n / 999}\n" for n in range(5)))
    assert "0 of 1 verdicts" in make_claims(other, "0").stdout
    done = make_claims(other, "0", "--rows", "mine")
    assert "rows of mine: gains\n| page | page_gain | false as told |" in done.stdout, done.stderr
    done = make_claims(other, "0", "--rows", "imgs")
    assert done.returncode == 1 and "imgs: no rows of a study of this book, wanted" in done.stderr


def test_every_experiment_over_seeds_takes_the_books_seeds():
    for path in notebooks.chapters():
        code = notebooks.code(notebooks.read(path))
        if "course.claim(" in code:
            assert not re.search(r"SEEDS = range\(|for seed in range\(", code), f"{path.stem}: wanted course.seeds"
