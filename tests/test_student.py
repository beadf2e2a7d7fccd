"""The student edition: a notebook per chapter that reads like its page, and is enough by itself."""
import ast
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urljoin

import nbformat
import pytest
from bs4 import BeautifulSoup
from docutils import nodes
from markdown_it import MarkdownIt
from mdit_py_plugins.dollarmath import dollarmath_plugin
from sphinx.errors import ExtensionError

import compare
import lab
import notebooks
import refresh
import student

ROOT = Path(__file__).resolve().parent.parent
ALONE = "unet"  # the chapter that runs by itself here: a fast one that reads rows of studies
CHAPTERS = [path.stem for path in notebooks.chapters()]
NOT_TEX = re.compile(r"\\(?:begin|end)\{(?:aligned|align|gathered|gather)\*?\}|\\tag\{[^}]*\}|\s+")
SAME = str.maketrans("\xa0“”‘’", " \"\"''", "\u2060")
# Markdown without what MyST adds to it
MARKDOWN = MarkdownIt("commonmark", {"html": True}).enable("table").use(dollarmath_plugin)


def edition(html, name):
    return notebooks.read(html / f"_sources/chapters/{name}.ipynb")


def rendered(notebook):
    """The Markdown cells of a notebook as HTML."""
    text = "\n\n".join(c.source for c in notebook.cells if c.cell_type == "markdown")
    return BeautifulSoup(MARKDOWN.render(text), "html.parser")


def article(html, name):
    """The text of a page, of its cells only the captions."""
    soup = BeautifulSoup((html / f"chapters/{name}.html").read_text(encoding="utf-8"), "html.parser").article
    for cell in soup.select("div.cell"):
        for caption in cell.select("figcaption"):
            if not caption.find_parent("figure", class_="explore"):
                cell.insert_before(caption.extract())
        cell.decompose()
    for extra in soup.select(".headerlink, script, style"):
        extra.decompose()
    return soup


def taken(soup, selector):
    return [x.extract() for x in soup.select(selector)]


def sentences(soup):
    """How often each sentence stands there; a block ends one."""
    for block in soup.select("p, li, dt, dd, summary, figcaption, th, td, h1, h2, h3, h4"):
        block.insert_after("¶")
        block.insert_before("¶")
    text = re.sub(r"\s+", " ", soup.get_text().translate(SAME))
    text = re.sub(r"(Figure \d+(?:\.\d+)?)\.? ", r"\1 ", text)
    return Counter(words for said in re.split(r"¶|(?<=[.?!:;]) ", text) if (words := said.strip()))


@pytest.mark.parametrize("name", [*CHAPTERS, "kinds"])
def test_nothing_of_the_page_is_lost(fork, name):
    page, notebook = article(fork.html, name), edition(fork.html, name)
    ours = rendered(notebook)
    figures = taken(page, "kernel-editor, receptive-field-builder")
    shown = [BeautifulSoup(html, "html.parser") for html in notebooks.of_kind(notebooks.outputs(notebook), "text/html")]
    whole = BeautifulSoup((fork.html / f"chapters/{name}.html").read_text(encoding="utf-8"), "html.parser")
    assert [cite.text for one in shown for cite in one.select("cite")] == [c.text for c in whole.select(".claim cite")]
    pictures = taken(ours, "img")
    assert len(pictures) == len(figures) + len(taken(page, "img"))
    assert len([em.extract() for em in ours.select("p > em") if "Here is its picture" in em.text]) == len(figures)
    taken(page, ".eqno, .footnote-reference, .footnote .label, .backrefs, .fn-backref")
    for link in page.select("div > .admonition-title a"):  # the title of a solution leads to its exercise
        link.unwrap()
    frames = [em.extract().text for em in ours.select("p > em") if "The stored picture shows" in em.text]
    first = [[f"{label.span.text} = {(label.select_one('option[selected]') or label.parent.output).text}"
              for label in one.select(".explore-controls label")] for one in whole.select("figure.explore")]
    assert frames == [f"The stored picture shows {'; '.join(values)}. Run all cells down to it, and controls above it "
                      "change it." for values in first]
    listed = ours.find("h2", string="References")
    assert bool(listed) == bool(whole.select("article a[href*='bibliography.html#']"))
    if listed:  # each work that the page cites, once
        works = [item.extract().text for item in listed.find_next("ul").select("li")]
        assert len(works) == len({a["href"] for a in whole.select("article a[href*='bibliography.html#']")})
        listed.find_next("ul").extract(), listed.extract()
    words = [one.extract() for one in ours.select("details") if "in words" in one.summary.text]
    alts = [image["alt"] for image in whole.select(".cell img") if not image.find_parent("figure", class_="explore")]
    assert [one.p.text for one in words] == list(dict.fromkeys(alts))  # the page has each for light and dark
    calls = [p.extract().code.text for p in ours.select("p") if p.text.startswith("Check your answer in a cell: ")]
    assert calls == [f'course.check("{one["id"].removeprefix("answer-")}", …)' for one in whole.select("answer-check")]
    taken(ours, "sup")
    for term in page.select("dt"):  # a definition list is a list there
        term.append(": ")
        term.name = "b"
    formulas = []
    numbers = re.findall(r"\\tag\{(.*?)\}", ours.get_text())
    assert len(set(numbers)) == len(numbers)
    for label in ours.select("summary"):  # JupyterLab and Colab set formulas there, Markdown does not
        label.string = re.sub(r"\$(.+?)\$", lambda tex: formulas.append(tex[1]) or "", label.text)
    formulas += [NOT_TEX.sub("", x.text) for x in ours.select(".math")]
    wanted = [NOT_TEX.sub("", x.select_one("annotation").text) for x in taken(page, ".katex-display, .katex")
              if x.find("annotation")]
    assert Counter(formulas) == Counter(wanted) and (wanted or name != "kinds")  # a chapter may have none
    taken(ours, ".math"), taken(ours, "eq")
    assert [x.text.rstrip() for x in taken(ours, "pre")] == [x.text.rstrip() for x in taken(page, "pre")]
    links = Counter(x["href"] for x in ours.select("a[href]"))
    base = f"{fork.site}chapters/{name}.html"
    assert links == Counter(urljoin(base, x["href"]) for x in page.select("a[href]:not(.enlarge)")), "links"
    said, wanted = sentences(ours), sentences(page)
    assert (list(said - wanted), list(wanted - said)) == ([], []) and len(wanted) > 20
    assert len(ours.find_all("details")) == len(page.find_all("details"))


@pytest.fixture
def local():
    """The edition of a chapter in a book that is published nowhere."""
    names = SimpleNamespace(anonlabels={}, resolve_xref=lambda *_: None)
    env = SimpleNamespace(get_doctree=lambda name: nodes.document(None, None), toc_secnumbers={}, toc_fignumbers={},
                          found_docs={"chapters/cnn"}, domains={"std": names}, titles={})
    enabled = ["amsmath", "colon_fence", "deflist", "dollarmath"]
    config = SimpleNamespace(html_baseurl="", myst_enable_extensions=enabled)
    return student.Edition(SimpleNamespace(env=env, config=config, srcdir=str(ROOT)), "chapters/cnn")


@pytest.mark.parametrize(("words", "uri", "said"), [
    ("Studies", "studies.html", "*Studies*"), ("skips", "studies.html#study-skips", "*skips*"),
    ("Figure 5.1", "cnn.html#fig-x", "Figure 5.1"), ("chapter 7", "unet.html", "[chapter 7](unet.ipynb)")])
def test_a_reference_without_an_address_still_names_its_page(local, words, uri, said):
    assert local.link(words, uri) == said


@pytest.mark.parametrize(("text", "said"), [
    ("{abbr}`MRI`", "the role {abbr}"), ("```{epigraph}\nSo.\n```", "the directive {epigraph}"),
    ("\\begin{align}\na &= b\n\\end{align}", "a formula that begins with \\begin"),
    ("- a\n\n  Term\n  : what", "a definition list within a list"), (":::note\nA note.\n:::", ":::note"),
    ("[a](nowhere.ipynb)", "the link to 'nowhere.ipynb'"), ("![a picture](nowhere.png)", "the picture 'nowhere.png'"),
    ("```{solution} ex-none\nSo.\n```", "the solution of 'ex-none'")])
def test_what_has_no_plain_form_is_named(local, text, said):
    with pytest.raises(ExtensionError) as error:
        local.text(text)
    assert str(error.value).startswith("chapters/cnn.ipynb: ") and said in str(error.value)


# One file is enough

def run_alone(path, folder):
    """The notebook at `path`, run by itself in an empty folder, where nobody can import `course`."""
    shutil.copy(path, folder)
    notebook = notebooks.read(folder / path.name)
    notebooks.clear(notebook)
    refresh.kernel(notebook, folder).execute()
    return notebook


def test_one_file_gives_the_stored_outputs(fork, tmp_path, monkeypatch):
    monkeypatch.delenv("PYTHONPATH", raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    stored = {cell.id: cell for cell in notebooks.read(ROOT / f"chapters/{ALONE}.ipynb").cells}
    done = run_alone(fork.html / f"_sources/chapters/{ALONE}.ipynb", tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == [f"{ALONE}.ipynb"], "it leaves something where it lies"
    ran = [cell for cell in done.cells if cell.cell_type == "code" and cell.id in stored]
    assert len(ran) == sum(cell.cell_type == "code" for cell in stored.values())
    for cell in ran:
        assert compare.complaints(stored[cell.id], cell.outputs) == [], cell.id


def imported(code):
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.module


def test_nothing_is_imported_that_colab_and_kaggle_lack():
    texts = [path.read_text(encoding="utf-8") for path in (ROOT / "chapters/course").rglob("*.py")]
    for path in notebooks.chapters():
        texts += [cell.source for cell in notebooks.code_cells(notebooks.read(path))]
    there = {"numpy", "scipy", "matplotlib", "matplotlib_inline", "torch", "PIL", "IPython", "ipywidgets", "course"}
    needed = {name.partition(".")[0] for text in texts for name in imported(text)}
    assert needed - sys.stdlib_module_names <= there


def test_the_helper_is_not_unpacked_where_it_is_there(fork, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "chapters"))
    path = tmp_path / "a.ipynb"
    (tmp_path / "run").mkdir()
    notebook = edition(fork.html, ALONE)
    helper = next(c for c in notebook.cells if c.cell_type == "code")
    asking = nbformat.v4.new_code_cell("import course; print(course.__file__)")
    nbformat.write(nbformat.v4.new_notebook(cells=[helper, asking], metadata=notebooks.CLEAN_METADATA), path)
    assert run_alone(path, tmp_path / "run").cells[1].outputs[0].text.startswith(str(ROOT / "chapters"))
    monkeypatch.delenv("PYTHONPATH")
    (tmp_path / "run/course").mkdir()  # a folder of that name is no helper
    assert "course-" in run_alone(path, tmp_path / "run").cells[1].outputs[0].text


# Laid out, changed, published

def test_what_a_student_changes_is_kept(fork, tmp_path):
    source, mine = fork.html / "_sources/chapters", tmp_path / "notebooks"
    shutil.copytree(source, tmp_path / "edition")
    assert lab.lay(source, mine) == [] and len(list(mine.iterdir())) == len(CHAPTERS) + 1
    changed = notebooks.read(mine / "cnn.ipynb")
    changed.cells[2].source += "\n# mine"
    changed.metadata.kernelspec.display_name = "Another name"
    nbformat.write(changed, mine / "cnn.ipynb")
    (mine / "mri.ipynb").write_text("{")
    (mine / "own.ipynb").write_text("{}")
    untouched = notebooks.read(mine / "unet.ipynb")
    untouched.metadata.language_info["version"] = "3.13"  # as JupyterLab does when it saves
    nbformat.write(untouched, mine / "unet.ipynb")
    for name in ("cnn", "unet"):  # the book goes on
        newer = notebooks.read(tmp_path / f"edition/{name}.ipynb")
        newer.cells[0].source += "\n\nA new sentence."
        newer.metadata["edition"] = student.digest(newer)
        nbformat.write(newer, tmp_path / f"edition/{name}.ipynb")
    said = lab.lay(tmp_path / "edition", mine)
    assert [line.partition(":")[0] for line in said] == ["notebooks/cnn.ipynb", "notebooks/mri.ipynb"]
    assert all("changed by you, and kept; the book has a newer edition" in line for line in said)
    assert "# mine" in (mine / "cnn.ipynb").read_text() and (mine / "mri.ipynb").read_text() == "{"
    assert "A new sentence." in (mine / "unet.ipynb").read_text() and (mine / "own.ipynb").exists()
    (mine / "mri.ipynb").unlink()
    assert len(lab.lay(tmp_path / "edition", mine)) == 1 and (mine / "mri.ipynb").stat().st_size > 1000


def test_the_branch_holds_the_student_edition(fork, tmp_path):
    def git(folder, *command):
        done = subprocess.run(["git", "-C", folder, *command], check=True, capture_output=True)
        return done.stdout.decode()

    remote = tmp_path / "remote.git"
    git(tmp_path, "init", "-q", "--bare", remote)
    git(fork.root, "init", "-q")
    git(fork.root, "-c", "user.name=a", "-c", "user.email=a@localhost", "commit", "-q", "--allow-empty", "-m", "a book")
    for _ in range(2):
        subprocess.run([fork.root / "tools/publish.sh", remote], check=True)
    files = git(remote, "ls-tree", "-r", "--name-only", "notebooks").split()
    wanted = {*(f"{name}.ipynb" for name in CHAPTERS), "requirements.txt", "constraints.txt", "README.md",
              ".binder/requirements.txt"}
    assert wanted <= set(files)
    assert git(fork.root, "rev-parse", "HEAD").strip() in git(remote, "show", "notebooks:README.md")
    stored = (fork.html / "_sources/chapters/cnn.ipynb").read_text(encoding="utf-8")
    assert git(remote, "show", "notebooks:cnn.ipynb") == stored


def test_buttons_of_a_fork_lead_to_its_files(fork):
    soup = BeautifulSoup((fork.html / "chapters/unet.html").read_text(encoding="utf-8"), "html.parser")
    links = {a.get_text(strip=True): a["href"] for a in soup.select(".article-header-buttons a[href]")}
    assert links["Colab"] == "https://colab.research.google.com/github/someone/a-fork/blob/notebooks/unet.ipynb"
    assert links["Kaggle"].endswith("?src=https://github.com/someone/a-fork/blob/notebooks/unet.ipynb")
    assert links["Binder"] == "https://mybinder.org/v2/gh/someone/a-fork/notebooks?urlpath=lab/tree/unet.ipynb"
    assert (fork.html / "chapters" / links[".ipynb"]).resolve() == fork.html / "_sources/chapters/unet.ipynb"
