"""The ledger's page from the records of a small made-up book."""
import csv
import json
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from bs4 import BeautifulSoup
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

import guard
import ledger
import notebooks

TOOLS = Path(ledger.__file__).parent
BETTER, WORSE = [0.5, 0.51, 0.52, 0.5, 0.49], [2.0, 2.1, 1.9, 2, 2]
EQUAL, WIDE = [1, 1.001, 0.999, 1, 1], [1, 2, 0.5, 1, 2]
CLAIMS = {  # name: (source, conditions, effect, verdict)
    "a": ("he2016deep", {"blur": (BETTER, "<", 1)}, "rmse", "holds"),
    "b": ("he2016deep, lecture", {"blur": (BETTER, "<", 1), "a|b": (WORSE, "<", 1), "wide": (WIDE, "<", 1)}, "rmse",
          "holds when"),
    "c": ("folklore", {"blur": (WORSE, "<", 1)}, "rmse", "false as told"),
    "d": ("lecture", {"blur": (EQUAL, "<", 1)}, "rmse", "no difference here"),
    "e": ("lecture", {"blur": (WIDE, "<", 1)}, "rmse", "open here"),
    "f": ("lecture", {"rank": (7, "=", 7)}, "exact", "holds"),
}
PAGE = """# Ledger

{{ ledger_number }} claims, {{ ledger_holds }} hold, {{ ledger_real }} tried again.
{{ ledger_chance }} {download}`CSV </_build/ledger/claims.csv>`

:::{div} ledger
{{ ledger_filter }}

{{ ledger }}
:::

{{ ledger_rates }}

{{ ledger_effects }}

{{ ledger_examples }}

```{bibliography}
```

```{toctree}
one
two
```
"""
CONF = """import sys
sys.path.insert(0, {tools!r})
extensions = ["myst_nb", "sphinx_design", "sphinxcontrib.bibtex", "ledger"]
bibtex_bibfiles = ["references.bib"]
myst_enable_extensions = ["colon_fence", "substitution"]
myst_substitutions, exclude_patterns, root_doc, nb_execution_mode = {{}}, ["_build"], "chapters/claims", "off"
"""


def stored(name):
    """A notebook's output as `claim` leaves it, without the kernel."""
    source, conditions, effect, _ = CLAIMS[name]
    record = ledger.rule["record"](name, f"Sentence {name}.", source, conditions, effect,
                                   "" if name == "f" else "64 pixels")
    prefix = "application/papermill.record/"
    shown = {"text/plain": ledger.rule["told"](record)}
    if name in "ad":  # shows its verdict, and its chapter explains it
        shown["text/html"] = ledger.rule["shown"](record)
    return [new_output("display_data", shown, metadata={"record": record}),
            new_output("display_data", {f"{prefix}text/plain": repr(record["words"])},
                       metadata={"scrapbook": {"name": f"claim_{name}", "mime_prefix": prefix}})]


@pytest.fixture
def book(tmp_path):
    (tmp_path / "chapters").mkdir()
    (tmp_path / "_toc.yml").write_text(
        "format: jb-book\nroot: chapters/claims\nchapters:\n- file: chapters/one\n- file: chapters/two\n")
    (tmp_path / "references.bib").write_text("@misc{he2016deep,\n author={He, K.},\n title={T},\n year={2016}}\n")
    (tmp_path / "chapters/claims.md").write_text(PAGE)
    for chapter, names in ("one", "abc"), ("two", "def"):
        cells = [new_code_cell("claim()", outputs=stored(name), id=name) for name in names]
        text = " ".join(f"{{glue:text}}`claim_{name}:s`" for name in names if name not in "ad")
        after = new_markdown_cell("**Because.** Nobody knows.", id="because")
        first = new_markdown_cell(f"# {chapter}\n\n{text}", id="t")
        about = {"book": {"again": {"a": "e", "b": "d"}}} if chapter == "two" else {}
        notebook = new_notebook(cells=[first, cells[0], after, *cells[1:]], metadata=notebooks.CLEAN_METADATA | about)
        nbformat.write(notebook, tmp_path / f"chapters/{chapter}.ipynb")
    (tmp_path / "conf.py").write_text(CONF.format(tools=str(TOOLS)))
    return tmp_path


def test_records_verdicts_and_sources(book):
    found = notebooks.claims(book)
    assert [(r["chapter"], r["name"], r["verdict"]) for r in found] == [
        ("one" if name < "d" else "two", name, claim[3]) for name, claim in CLAIMS.items()]
    assert ledger.complaints(book) == guard.citation_complaints(book) == []
    assert ledger.chance(found).startswith("The ledger rests on 7 intervals of 95 %. About 0 of them")


@pytest.mark.parametrize(("old", "new", "said"), [
    ('"a": "e"', '"z": "e"', "\"again\" has 'z', wanted the name of a claim"),
    ('"a": "e"', '"a": "z"', "\"again\" has 'z', wanted a claim of this chapter"),
    ('"a": "e"', '"a": "c"', "\"again\" has 'c', wanted a claim of this chapter"),
])
def test_a_claim_tried_again_that_there_is_not_is_red(book, old, new, said):
    nb = book / "chapters/two.ipynb"
    nb.write_text(nb.read_text().replace(old, new))
    assert ledger.complaints(book) == [f"chapters/two.ipynb: {said}"]


def test_a_claim_tried_again_twice_is_red(book):
    nb = book / "chapters/one.ipynb"
    notebook = json.loads(nb.read_text())
    notebook["metadata"]["book"] = {"again": {"a": "b"}}
    nb.write_text(json.dumps(notebook))
    assert ledger.complaints(book) == ["chapters/two.ipynb: \"again\" has 'a', wanted it once"]


def test_unknown_sources_and_equal_names_are_red(book):
    (book / "references.bib").write_text("@book{other,\n}")
    nb = book / "chapters/two.ipynb"
    nb.write_text(nb.read_text().replace('"name": "d"', '"name": "a"').replace("claim_d", "claim_a"))
    said = ledger.complaints(book)
    assert "chapters/one.ipynb: claim 'b': source 'he2016deep' is not in references.bib" in said
    assert "claim 'a' is made 2 times" in said and len(said) == 4  # and "again" has a claim of the other chapter


@pytest.mark.parametrize(("old", "new", "said"), [
    ("`claim_e:s`", "", "the text does not quote the verdict {glue:text}`claim_e:s`, nor does it go on with"),
    ("**Because.** ", "", "the text does not quote the verdict {glue:text}`claim_d:s`, nor does it go on with"),
    ("# two", "# two: it **holds when** told", "the verdict 'holds when' is written by hand"),
    ("# two", "# two **Verdict:** it holds.", "wanted a quoted verdict behind **Verdict:**, got ' it holds."),
    ("# two", "# two {glue:text}`claim_x:s`", "the text quotes claim_x, which nothing in the chapter claims"),
    ("Verdict. Open here", "Verdict. Holds", "an output says another verdict than its numbers"),
    ("≈ no difference here", "✓ holds", "an output says another verdict than its numbers: <div class="),
    ("<td>≈ no difference<", "<td>✓ yes<", "an output says another verdict than its numbers: <div class="),
    ("'no difference here'", "'holds'", "an output says another verdict than its numbers"),
])
def test_a_verdict_that_is_not_quoted_or_written_by_hand_is_red(book, old, new, said):
    nb = book / "chapters/two.ipynb"
    nb.write_text(nb.read_text().replace(old, new))
    found = ledger.complaints(book)
    assert [line for line in found if line.startswith(f"chapters/two.ipynb: {said}")] == found != []


def test_folklore_beside_a_source_is_red(book):
    nb = book / "chapters/two.ipynb"
    notebook = json.loads(nb.read_text())
    notebook["cells"][1]["outputs"][0]["metadata"]["record"]["sources"].append("folklore")
    nb.write_text(json.dumps(notebook))
    assert any(line.startswith("chapters/two.ipynb: claim 'd': \"folklore\" means") for line in ledger.complaints(book))


def test_downloads(book):
    found = ledger.judged(book)
    ledger.write(found, book / "out")
    assert json.loads((book / "out/claims.json").read_text(encoding="utf-8")) == found
    rows = list(csv.DictReader((book / "out/claims.csv").read_text(encoding="utf-8").splitlines()))
    assert [(r["claim"], r["condition"], r["judged"], r["n"]) for r in rows] == [
        ("a", "blur", "yes", "5"), ("b", "blur", "yes", "5"), ("b", "a|b", "reversed", "5"), ("b", "wide", "open", "5"),
        ("c", "blur", "reversed", "5"), ("d", "blur", "no difference", "5"), ("e", "blur", "open", "5"),
        ("f", "rank", "yes", "1")]
    assert 0.48 < float(rows[0]["low"]) < float(rows[0]["mean"]) < float(rows[0]["high"]) < 0.52
    assert rows[7]["mean"] == "" and rows[7]["true"] == "1" and rows[0]["firm"] == "True"
    assert [r["real"] for r in rows] == ["open here"] + 3 * ["no difference here"] + 4 * [""]
    assert [r["real_counts"] for r in found] == 2 * ["yes in 0 of 1"] + 4 * [""]


def test_the_page_is_built_without_a_warning_and_filtered_without_a_script(book, browser):
    done = subprocess.run([sys.executable, "-m", "sphinx", "-W", "-q", str(book), str(book / "_build/html")],
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    soup = BeautifulSoup((book / "_build/html/chapters/claims.html").read_text(encoding="utf-8"), "html.parser")
    assert "6 claims, 2 hold, 2 tried again.\nThe ledger rests on 7 intervals" in soup.text
    said = [item.strong.text for item in soup.select("li") if item.text.startswith("“Sentence")]
    assert said == list(ledger.VERDICTS)
    assert "errors, as RMSE" in soup.text and "2 %" in soup.text
    rows = soup.select(".ledger tbody tr")
    assert [(row.select_one(".chip")["class"], row.select_one(".chip").text[2:]) for row in rows] == [
        (["chip", claim[3].replace(" ", "-")], claim[3]) for claim in CLAIMS.values()]
    assert [cell.text for cell in rows[1].select("td")][:2] == [
        "Sentence b. (He [He16], lecture)", "◐ holds when: blur (open: wide; against it: 1 of 3)"]
    real = [(row.select("td")[2].text, [a["href"] for a in row.select("td")[2].select("a")]) for row in rows]
    assert real == [("openyes in 0 of 1", ["two.html"]), ("sameyes in 0 of 1", ["two.html"]), *[("–", [])] * 4]
    assert "a|b: reversed, ratio 1.999 [1.913, 2.089], n = 5" in rows[1].text
    assert rows[1].select_one('[href="one.html"]') and rows[5].select_one('[href="two.html"]')
    assert len(soup.select(".ledger input")) == 1 + 5 + 1 + 2 and "ledger.css" in str(soup.head)
    assert (book / "_build/html/_static/ledger.css").read_text().count("display: none") == 7
    link = soup.select_one("a.download")["href"]
    assert (book / "_build/html/chapters" / link).resolve().read_text(encoding="utf-8").startswith("chapter,claim,")
    shown = BeautifulSoup((book / "_build/html/chapters/one.html").read_text(encoding="utf-8"), "html.parser")
    assert shown.select_one(".claim cite").text == "[He, 2016]"
    assert soup.find(id=shown.select_one(".claim cite a")["href"].removeprefix("claims.html#")).text
    page = browser.new_page(java_script_enabled=False)
    page.goto((book / "_build/html/chapters/claims.html").as_uri())

    def shown():
        return [row.inner_text()[9] for row in page.locator(".ledger tbody tr").all() if row.is_visible()]

    assert "".join(shown()) == "abcdef"
    page.check("[value='holds']")
    assert "".join(shown()) == "af"
    page.check("[name=chapter][value=two]")
    assert "".join(shown()) == "f"
    page.check("[name=verdict][value=all]")
    assert "".join(shown()) == "def"
    page.close()
