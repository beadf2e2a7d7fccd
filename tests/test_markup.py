"""The markup of the pages and of stored outputs: valid, named, and complete also where no script runs."""
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from bs4 import BeautifulSoup

import guard
import lighthouse
import notebooks
from page import numbers

ROOT = Path(__file__).resolve().parent.parent
CHAPTERS = [f"chapters/{path.stem}" for path in notebooks.chapters()]
RESTORED = "() => document.querySelector('your-picture .live-said').textContent.includes('the measurement has')"
FRAMES = """figure => {  // of each picture: which frame is in sight, its share of the box, whether it is there
  const [rows, columns] = figure.dataset.shape.split(" ").map(Number);
  return [...figure.querySelectorAll(".explore-frame")].filter(frame => frame.checkVisibility()).map(frame => {
    const picture = frame.firstChild, sight = frame.getBoundingClientRect(), all = picture.getBoundingClientRect();
    return {row: (sight.top - all.top) / all.height * rows, column: (sight.left - all.left) / all.width * columns,
            tall: sight.height / all.height * rows, wide: sight.width / all.width * columns,
            loaded: picture.complete && picture.naturalWidth > 0, alt: picture.alt};
  });
}"""


# Pages that scripts add to
LIVE = ["chapters/convolutions", "chapters/receptive_field", "chapters/your_picture", "search", "404"]


@pytest.fixture(scope="session")
def nu():
    """A function that gives what the Nu Html Checker has against files; without Java its tests are skipped."""
    if not lighthouse.JAVA:
        say = pytest.fail if os.environ.get("CI") else pytest.skip
        say("no java on the path, so no markup was checked; on Debian: apt install default-jre-headless")
    return lighthouse.markup_complaints


def let_scripts_add(tab, page):
    """Wait until the scripts of the page in sight have added all they can."""
    for button in tab.get_by_role("button", name="Restore", exact=True).all():
        button.click()
        tab.wait_for_function(RESTORED, timeout=120_000)
    for figure in tab.locator("kernel-editor, receptive-field-builder").all():
        figure.scroll_into_view_if_needed()
        tab.wait_for_function("f => f.querySelector('.live-said').textContent", arg=figure.element_handle())
    tab.wait_for_function("""page => page == "search" ? document.querySelector(".search li") : page == "404"
      ? document.querySelector("base") : document.querySelectorAll(".highlight pre + button").length
        == document.querySelectorAll(".highlight pre").length""", arg=page)


@pytest.fixture
def opened(browser, site):
    """A function that opens a page, gets its scripts to add all they can, and gives the tab."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, reduced_motion="reduce")
    tab = context.new_page()

    def open_page(page):
        tab.goto(f"{site.url}{page}.html{'?q=null+space' if page == 'search' else ''}", wait_until="networkidle")
        let_scripts_add(tab, page)
        return tab
    yield open_page
    context.close()


# Valid HTML

def test_all_pages_are_valid(built, nu):
    root, complaints = built
    assert complaints == []
    pages = sorted((root / "_build/html").rglob("*.html"))
    assert len(pages) >= len(notebooks.toc_files(ROOT)) + 3
    assert nu(pages) == []


def written(folder, pages):
    """Files of these pages, {name: HTML}; one call of the checker takes all."""
    for name, html in pages.items():
        (folder / name).write_text(html, encoding="utf-8")
    return [folder / name for name in pages]


def test_what_scripts_make_of_a_page_is_valid(opened, nu, tmp_path):
    html = {f"{Path(page).name}.html": opened(page).evaluate("document.documentElement.outerHTML") for page in LIVE}
    assert nu(written(tmp_path, {name: f"<!DOCTYPE html>\n{text}" for name, text in html.items()})) == []


DAMAGE = {
    "twice": ("</article>", '<p id="main-content">twice</p></article>', "Duplicate ID"),
    "unclosed": ("</article>", "<div></article>", "Unclosed element"),
    "summary": ("</article>", "<summary><p>a</p></summary></article>", "not allowed"),
    "section": ("<article ", "<article ><section>no heading</section></article><article ", "Section lacks heading")}


def test_damaged_markup_is_seen(built, nu, tmp_path):
    text = (built[0] / "_build/html/chapters/cnn.html").read_text(encoding="utf-8")
    found = nu(written(tmp_path, {f"{name}.html": text.replace(old, new, 1) for name, (old, new, _) in DAMAGE.items()}))
    assert [name for name, (*_, said) in DAMAGE.items()
            if not any(f"/{name}.html" in line and said in line for line in found)] == [], found


# Names

WITHOUT_NAME = """() => [...document.querySelectorAll(  // a title of a picture is no name in WebKit
    "button, input:not([type=hidden]), select, summary, a[href], [role=img], [role=button], canvas, main table")]
  .filter(e => e.checkVisibility())
  .filter(e => {
    const copy = e.cloneNode(true);
    copy.querySelectorAll("svg, select").forEach(part => part.remove());
    const pictures = [...copy.querySelectorAll("img")].map(img => img.alt);
    const labels = [...e.labels ?? []].map(label => label.textContent);
    const by = (e.getAttribute("aria-labelledby") ?? "").split(" ").map(id => document.getElementById(id)?.textContent);
    const text = e.matches("input, select, canvas, table") ? [] : [copy.textContent, ...pictures];
    const table = e.matches("main table") && (e.caption || e.closest(".pst-scrollable-table-container"));
    return !table && ![e.ariaLabel, e.title, ...by, ...labels, ...text].some(name => name?.trim());
  }).map(e => e.outerHTML.slice(0, 200))"""


@pytest.mark.parametrize("page", ["search", "404"])
def test_every_control_has_a_name(opened, page):
    """On these two; test_pages asks the others."""
    tab = opened(page)
    assert tab.locator("button, a[href]").count() >= 2
    assert tab.evaluate(WITHOUT_NAME) == []


def test_a_control_without_a_name_is_seen(opened):
    tab = opened("chapters/convolutions")
    for gone in ("aria-label", "title"):
        tab.evaluate("""name => [...document.querySelectorAll(".copybtn")].find(
          button => button.checkVisibility()).removeAttribute(name)""", gone)
    tab.evaluate("document.querySelector('canvas').removeAttribute('aria-label')")
    assert len(tab.evaluate(WITHOUT_NAME)) == 2


# Numbers and what they belong to

UNITS = r"(?:%|°|×|dB|px|pixels?|ms|s|min|h|[kKMG]i?B|HU|mm)(?!\w)"
APART = re.compile(rf"\bn[ \n]=|=[ \n][−-]?\d|[ \n]±|±[ \n]|\d[ \n]{UNITS}|×[ \n]\d"
                   r"|\b(?:Figure|[Cc]hapter|[Ss]ection|Exercise|Table)[ \n]\d")


def apart(html: str) -> list[str]:
    """Where a line of a page's text may break between a number and its unit, its sign, "n =", or the word before it."""
    soup, found = BeautifulSoup(guard.MATH.sub("\ufffc", html), "html.parser"), []
    for node in soup.select("pre, code, script, style"):
        node.replace_with("\ufffb")
    blocks = ["p", "li", "td", "th", "dd", "dt", "figcaption", "h1", "h2", "h3", "h4", "summary"]
    for block in soup.select(", ".join(f"article {name}" for name in blocks)):
        if not block.find(blocks):
            text = block.get_text()
            found += [text[max(0, at.start() - 30):at.end() + 20] for at in APART.finditer(text)]
    return found


@pytest.mark.parametrize("page", notebooks.toc_files(ROOT))
def test_numbers_stay_with_what_they_belong_to(built, page):
    assert apart((built[0] / f"_build/html/{page}.html").read_text(encoding="utf-8")) == []


def test_words_and_code_are_left_alone(built):
    soup = BeautifulSoup((built[0] / "_build/html/chapters/cnn.html").read_text(encoding="utf-8"), "html.parser")
    assert not [code for code in soup.select("article :is(pre, code)") if "\xa0" in code.text]
    for text in ("2 hats", "12 patches", "a = b", "x and y", "5 and 6", "in 1980 so"):
        assert numbers.together(text) == text
    for text in ("n = 5", "13 %", "0.1\n± 0.02 dB", "24 × 24 pixels", "Figure 3.1", "k = \ufffc", "r < −2", "\ufffc s"):
        assert not re.search(r"[ \n]", numbers.together(text)), text
        assert re.sub(r"\s", " ", numbers.together(text)) == re.sub(r"\s", " ", text)


# Explorables away from their page

def test_a_converted_notebook_shows_one_frame_and_no_dead_control(browser, tmp_path):
    subprocess.run([sys.executable, "-m", "nbconvert", "--to", "html", "--output-dir", tmp_path,
                    ROOT / "chapters/cnn.ipynb"], check=True, capture_output=True)
    context = browser.new_context(offline=True, viewport={"width": 1280, "height": 900})
    tab = context.new_page()
    tab.goto((tmp_path / "cnn.html").as_uri(), wait_until="domcontentloaded")
    figure = tab.locator("figure.explore").first
    figure.scroll_into_view_if_needed()
    tab.wait_for_function("f => f.querySelector('img').complete", arg=figure.element_handle())
    frame, = figure.evaluate(FRAMES)
    assert frame["loaded"] and abs(frame["tall"] - 1) < 0.02 and abs(frame["row"] - round(frame["row"])) < 0.02, frame
    assert figure.bounding_box()["height"] < 600  # pixels; all frames are 3456
    assert figure.locator("input:visible, select:visible, output:visible").count() == 0
    context.close()


@pytest.mark.parametrize("page", CHAPTERS)
def test_explorables_on_paper(browser, site, page):
    """Up to six frames, the first and the last among them, each with its values and its sentence; without a script."""
    tab = browser.new_page(java_script_enabled=False)
    tab.emulate_media(media="print")
    tab.goto(f"{site.url}{page}.html", wait_until="networkidle")
    for figure in tab.locator("figure.explore").all():
        rows, columns = map(int, figure.get_attribute("data-shape").split())
        assert figure.locator(":is(input, select, .explore-said):visible").count() == 0
        said = [item.inner_text() for item in figure.locator("li").all()]
        assert len(set(said)) == len(said) == min(6, rows * columns), said
        frames = figure.evaluate(FRAMES)
        if not frames:
            continue
        places = [(round(frame["row"]), round(frame["column"])) for frame in frames]
        assert len(set(places)) == len(said) and {(0, 0), (rows - 1, columns - 1)} <= set(places), places
        for frame, text in zip(frames, said, strict=True):
            assert frame["loaded"] and abs(frame["tall"] - 1) < 0.02 and abs(frame["wide"] - 1) < 0.02, frame
            assert frame["alt"].startswith(re.match("[^:]+", text)[0]), (frame["alt"], text)
    tab.close()


# Stored notebooks as files of their own

def test_a_chapter_converts_to_a_script_with_its_prose(tmp_path):
    path = ROOT / "chapters/cnn.ipynb"  # test_checks compares the metadata of all
    subprocess.run([sys.executable, "-m", "nbconvert", "--to", "script", "--output-dir", tmp_path, path], check=True,
                   capture_output=True)
    assert [written.name for written in tmp_path.iterdir()] == ["cnn.py"]
    text = (tmp_path / "cnn.py").read_text(encoding="utf-8")
    assert "\n# ## Recap" in text and "\nimport course" in text
