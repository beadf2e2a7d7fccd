"""The rendered book in a browser, cut off from every other host: each page at all widths, on paper, in the dark."""
import base64
import io
import json
import re
from functools import lru_cache

import numpy as np
import pytest
from bs4 import BeautifulSoup
from PIL import Image

import notebooks
from course.machinery import figures
from notebooks import decode
from page import night
from test_answers import CHECKED, page_complaints
from test_markup import WITHOUT_NAME, let_scripts_add
from visits import (
    CHAPTERS,
    FORMULAS,
    LOOKS,
    NARROW,
    PAGES,
    REACH,
    ROOT,
    VIEWS,
    WIDE,
    axe,
    broken,
    change,
    complaints,
    go,
    newly_styled,
    visiting,
)

FIRST, ALL, NEXT = 330, 1536, 120  # KiB on the wire: first view, scrolled to the end, one more page with a warm cache
SHIFT = 0.05  # largest layout shift, in the units of the web-vitals metric CLS
WIDTHS = (320, 400, 768, 1280, 1920)
BOXES = "pre, .katex-display, .pst-scrollable-table-container"  # which scroll on a screen
A4 = 672  # pixels between the margins of a page of paper
FORMED = [page for page in CHAPTERS if notebooks.read(ROOT / f"{page}.ipynb").metadata.get("book", {}).get("form") == 2]
OPENING = """() => {  // where the first picture begins and ends, the share of code in sight, what folds are called
  const article = document.querySelector(".bd-article"), box = e => e.getBoundingClientRect();
  const first = [...article.querySelectorAll("img, .explore")].find(e => e.checkVisibility() && box(e).height > 60);
  const code = [...article.querySelectorAll("div.cell_input")].filter(e => !e.closest("details:not([open])"));
  const folds = [...article.querySelectorAll("details.hide > summary")].map(e => e.innerText.trim());
  return {top: box(first).top + scrollY, bottom: box(first).bottom + scrollY, folds,
    code: code.reduce((sum, e) => sum + box(e).height, 0) / box(article).height};
}"""
SHOWN = """(figure, pixels = true) => {  // which frame of the picture is in sight, by geometry, and its pixels
  const picture = [...figure.querySelectorAll("img")].find(picture => picture.checkVisibility());
  const [rows, columns] = figure.dataset.shape.split(" ").map(Number);
  const sight = figure.querySelector(".explore-frame").getBoundingClientRect(), all = picture.getBoundingClientRect();
  const at = [(sight.top - all.top) / all.height * rows, (sight.left - all.left) / all.width * columns];
  if (!pixels) return {at, fill: sight.height / all.height * rows};
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [picture.naturalWidth / columns, picture.naturalHeight / rows];
  canvas.getContext("2d").drawImage(picture, -Math.round(at[1]) * canvas.width, -Math.round(at[0]) * canvas.height);
  return {at, fill: sight.height / all.height * rows, pixels: canvas.toDataURL().split(",")[1]};
}"""
STATE = f"""async figure => {{  // where the controls stand, and what is shown then
  const controls = [...figure.querySelectorAll(".explore-controls > div")];
  const picture = [...figure.querySelectorAll("img")].find(picture => picture.checkVisibility());
  await picture?.decode();
  return {{
    at: controls.map(control => Number(control.querySelector("input, select").value)),
    readouts: controls.map(control => control.querySelector("output")?.innerText),
    labels: controls.map(control => control.querySelector("span")).map(e => e.checkVisibility() ? e.innerText : ""),
    said: figure.querySelector(".explore-said")?.innerText,
    shown: picture && ({SHOWN})(figure)}};
}}"""
NATURAL = """picture => {
  picture.style.cssText = `position: fixed; inset: 0 auto auto 0; z-index: 99999; padding: 0; margin: 0;
    border-radius: 0; max-width: none; width: ${picture.naturalWidth}px; height: ${picture.naturalHeight}px`;
}"""


# Explorables

@lru_cache(2)
def stored_explorables(page):
    """[(values of each control, frames or None, sentences, boxes of their pictures)], from the notebook's outputs."""
    texts = notebooks.of_kind(notebooks.outputs(notebooks.read(ROOT / f"{page}.ipynb")), "text/html")
    found = []
    for text in [text for text in texts if 'class="explore"' in text]:
        figure = BeautifulSoup(text, "html.parser").figure
        values = [[o.text for o in c.select("option")] if c.name == "select" else json.loads(c["data-values"])
                  for c in figure.select("input, select")]
        rows, columns = map(int, figure["data-shape"].split())
        frames = None
        if figure.img:
            strip = decode(figure.img["src"].partition(",")[2])
            w, h = strip.width // columns, strip.height // rows
            frames = [strip.crop((c * w, r * h, (c + 1) * w, (r + 1) * h))
                      for r in range(rows) for c in range(columns)]
        found.append((values, frames, json.loads(figure["data-said"]), figure.get("data-pictures")))
    return found


def explorable_complaints(figure, values, frames, said, boxes=None) -> tuple[list[int], list[str]]:
    """Where the figure's controls stand, and whether it shows the frame, readouts and sentence that belong there; the
    frame by night, if its boxes are given."""
    state, found = figure.evaluate(STATE), []
    at = state["at"]
    which = at[0] * (len(values[1]) if len(values) > 1 else 1) + (at[1] if len(at) > 1 else 0)
    for readout, label, texts, k in zip(state["readouts"], state["labels"], values, at):
        if readout is not None and readout != texts[k]:
            found.append(f"readout {readout!r}, wanted {texts[k]!r}")
        if not label.strip():
            found.append("control without a label")
    if frames:
        shown = state["shown"]
        picture = decode(shown["pixels"])
        wanted = frames[which] if boxes is None else night.by_night(frames[which], boxes)
        if np.abs(np.subtract(shown["at"], np.round(shown["at"]))).max() > 0.02 or abs(shown["fill"] - 1) > 0.02:
            found.append(f"not one frame in sight: {shown['at']}, {shown['fill']:.2f} of its height")
        if picture.size != wanted.size or (np.asarray(picture) != np.asarray(wanted)).any():
            found.append(f"frame {shown['at']}, wanted the one of {at}")
    if any(said) and (shown := state["said"].replace("\xa0", " ")) != said[which]:
        found.append(f"sentence {shown!r}, wanted {said[which]!r}")
    return at, found


def steps(control, every):
    """Go through all values of a control or to its ends, a range by keyboard; yields after each step."""
    if control.evaluate("c => c.tagName") == "SELECT":
        options = range(control.locator("option").count())
        for option in options if every else (options[0], options[-1]):
            control.select_option(index=option)
            yield
        return
    control.press("Home")
    yield
    for _ in range(int(control.get_attribute("max")) if every else 1):
        control.press("ArrowRight" if every else "End")
        yield


def moved_complaints(tab, page, theme="light", every=True) -> list[str]:
    """Put the controls of a chapter's explorables to every value, or to their ends; what is then wrong, a line each."""
    stored, figures = stored_explorables(page), tab.locator("figure.explore").all()
    found = [] if len(stored) == len(figures) else [f"{len(figures)} explorables, wanted {len(stored)}"]
    for i, (figure, (values, frames, said, boxes)) in enumerate(zip(figures, stored), 1):
        figure.scroll_into_view_if_needed()
        controls, states = figure.locator("input, select").all(), []
        if not all(control.is_visible() for control in controls):
            found.append(f"explorable {i}: a control is not shown")
            continue

        def look():
            at, lines = explorable_complaints(figure, values, frames, said, boxes if theme == "dark" else None)
            states.append(tuple(at))
            found.extend(f"explorable {i}: {line}" for line in lines)

        look()
        for _ in steps(controls[0], every):
            for _ in steps(controls[1], every) if len(controls) > 1 else [None]:
                look()
        if every and len(set(states)) != len(said):
            found.append(f"explorable {i}: {len(set(states))} states by keyboard, wanted {len(said)}")
        for control in controls:
            if control.evaluate("c => c.tagName") == "SELECT":
                control.press("ArrowUp")
            else:
                box = control.bounding_box()
                tab.mouse.click(box["x"] + 2, box["y"] + box["height"] / 2)
            look()
            if states[-1] == states[-2]:
                found.append(f"explorable {i}: a control does not answer")
    return found


# Every page, opened once for all tests of it

@pytest.fixture(scope="module")
def opened(request, browser, site):
    """A page, its views, of which every second page is opened in the narrow one, and the visit; tests set the width."""
    page = request.param
    views = VIEWS[::-1] if [*PAGES, "index", "search"].index(page) % 2 else VIEWS
    with visiting(browser, site, *views[0]) as visit:
        go(visit, site, page)
        visit.first = visit.wire / 1024
        yield page, views, visit


def over(*pages):
    return pytest.mark.parametrize("opened", pages, indirect=True)


@over(*PAGES, "index", "search")
def test_page_is_right(opened, site):
    """In both views, the second with less of axe; explorables wide in all their states."""
    page, views, visit = opened
    less = [*LOOKS, *["color-contrast"] * (page in newly_styled(site.folder))]
    if page == "index":  # forwards to the first page
        visit.tab.wait_for_url("**/intro.html")
        visit.tab.wait_for_load_state("networkidle")
        visit.first = visit.wire / 1024
    for width, theme in views:
        change(visit, width, theme)
        assert complaints(visit, [] if (width, theme) == views[0] else less) == []
        if (width, theme) == views[0]:
            told = f"{visit.first:.0f} KiB at first, {visit.wire / 1024:.0f} in all"
            assert visit.first <= FIRST and visit.wire / 1024 <= ALL, told
            assert visit.tab.evaluate("shift") <= SHIFT
        if page in CHAPTERS:
            assert stored_explorables(page), "a chapter without an explorable"
            assert moved_complaints(visit.tab, page, theme, every=width == WIDE) == []
    assert visit.wrong == []


@over(*FORMED)
def test_a_chapter_opens_with_a_picture_and_shows_the_code_that_teaches(opened):
    """Before other tests of the page unfold what is folded."""
    _, _, visit = opened
    change(visit, WIDE, "light")
    for width, height in ((390, 844), (1280, 800)):
        visit.tab.set_viewport_size({"width": width, "height": height})
        seen = visit.tab.evaluate(OPENING)
        assert seen["top"] < height, f"at {width} pixels the first picture begins at {seen['top']:.0f}"
    assert seen["bottom"] <= height, f"at {width} pixels the first picture ends at {seen['bottom']:.0f}"
    assert seen["code"] <= 0.2, f"{100 * seen['code']:.0f} % of the page is code in sight"
    assert seen["folds"][0] == "Code: imports" and all(re.match("Code: [a-z]", said) for said in seen["folds"])


@over(*PAGES)
def test_every_control_has_a_name(opened):
    page, _, visit = opened
    change(visit, WIDE, "light")
    let_scripts_add(visit.tab, page)
    assert visit.tab.locator("button, a[href]").count() >= 2
    assert visit.tab.evaluate(WITHOUT_NAME) == []


@over(*[f"chapters/{chapter}" for chapter in CHECKED])
def test_the_page_says_what_the_helper_says(opened):
    """Of answers; what is said can be read."""
    page, _, visit = opened
    change(visit, WIDE, "light")
    assert page_complaints(visit.tab, page.rpartition("/")[2]) == []
    assert visit.wrong == [] and axe(visit.tab, include=["answer-check"]) == []


@over(*PAGES)
def test_paper_is_light_and_complete(opened, site):
    """In the dark, too: dark letters on white, nothing wider than the paper, no buttons, links with their numbers."""
    page, _, visit = opened
    change(visit, A4, "dark")
    visit.tab.emulate_media(media="print", color_scheme="dark")
    assert visit.tab.evaluate("document.documentElement.dataset.theme") == "dark"
    if page in newly_styled(site.folder):
        assert axe(visit.tab, runOnly=["color-contrast"]) == []
    grounds = visit.tab.evaluate("""() => [...document.querySelectorAll("body, article, article *")].map(
      e => getComputedStyle(e).backgroundColor)""")
    dark = [ground for ground in grounds if (c := [float(x) for x in re.findall(r"[\d.]+", ground)])
            and max(c[:3]) < 128 and (c + [1])[3] > 0.1]
    assert dark == []
    assert visit.tab.evaluate(REACH)[1] == []
    assert visit.tab.evaluate("""boxes => [...document.querySelectorAll(boxes)].filter(
      e => e.checkVisibility() && e.scrollWidth > e.clientWidth + 1).map(e => e.textContent)""", BOXES) == []
    assert visit.tab.evaluate("""() => [...document.querySelectorAll("button, .explore input, [data-by=night]")]
      .filter(e => e.checkVisibility({visibilityProperty: true})).length""") == 0
    for link, behind in (("[data-chapter]", "dataset.chapter"), (".external", "getAttribute('href')")):
        for wanted, said in visit.tab.evaluate(f"""() => [...document.querySelectorAll("article a{link}")].map(
          e => [e.{behind}, getComputedStyle(e, "::after").content])"""):
            said = re.sub(r'["\s\xa0]', "", said)
            assert said == f"(chapter{wanted})" if "chapter" in link else wanted in said, (wanted, said)


@over(*PAGES, "search")
def test_everything_can_be_reached(opened):
    page, _, visit = opened
    lost = {}
    for width in WIDTHS:
        change(visit, width, "light")
        looked, found = visit.tab.evaluate(REACH)
        print(f"{page} at {width}: {looked} parts looked at, {len(found)} out of reach")
        assert looked > 5
        found += visit.tab.evaluate(FORMULAS)
        if width >= 768:  # wide enough for each formula
            found += visit.tab.evaluate("""() => [...document.querySelectorAll(".katex-display")].filter(
              e => e.scrollWidth > e.clientWidth).map(e => `too wide: ${e.textContent}`)""")
        if width >= 1280:  # and for 88 columns of code
            found += visit.tab.evaluate("""() => [...document.querySelectorAll(
              ".cell:not(.tag_hide-input) .cell_input pre")].filter(e => e.scrollWidth > e.clientWidth).map(
              e => `too wide: ${e.textContent}`)""")
        lost |= {width: found} if found else {}
    assert lost == {}
    assert visit.tab.evaluate("""() => [...document.querySelectorAll("article pre")].filter(
      e => parseFloat(getComputedStyle(e).fontSize) < 13).length""") == 0
    sizes = visit.tab.evaluate("""() => ["h1", "h2", "h3"].map(name => document.querySelector(`article ${name}`))
      .filter(Boolean).map(e => getComputedStyle(e)).map(s => [parseFloat(s.fontSize), Number(s.fontWeight)])""")
    assert all(a[0] > b[0] and a[1] >= b[1] for a, b in zip(sizes, sizes[1:])), sizes


@over(*PAGES, "search")
def test_everything_can_be_reached_in_large_letters(opened):
    """Of 32 pixels, as who sees badly has set them."""
    _, _, visit = opened
    visit.devtools.send("Page.setFontSizes", {"fontSizes": {"standard": 32}})
    try:
        for width in (390, 1280):
            change(visit, width, "light")
            assert visit.tab.evaluate("parseFloat(getComputedStyle(document.body).fontSize)") == 32
            assert visit.tab.evaluate(REACH)[1] == [], width
            assert visit.tab.evaluate("""() => {  // the buttons above the page are within their bar
              const bar = document.querySelector(".bd-header-article"), end = bar.getBoundingClientRect().bottom;
              return [...bar.querySelectorAll("button, a")].filter(
                e => e.checkVisibility() && e.getBoundingClientRect().bottom > end + 1).length;
            }""") == 0, width
    finally:
        visit.devtools.send("Page.setFontSizes", {"fontSizes": {"standard": 16}})


# The way of a reader

def test_reading_on_is_light(browser, site):
    with visiting(browser, site, cut_off=False) as visit:
        go(visit, site, PAGES[0])
        heavy = {}
        for page in PAGES[1:]:
            before = visit.wire
            go(visit, site, page)
            if (more := (visit.wire - before) / 1024) > NEXT:
                heavy[page] = f"{more:.0f} KiB more"
        assert heavy == {}


def test_focus_is_seen(browser, site):
    with visiting(browser, site) as visit:
        go(visit, site, "chapters/convolutions")
        control = visit.tab.locator("figure.explore :is(input, select)").first
        control.focus()
        visit.tab.keyboard.press("Shift+Tab")
        visit.tab.keyboard.press("Tab")
        style = control.evaluate("c => { const s = getComputedStyle(c); return [s.outlineStyle, s.outlineWidth]; }")
        assert style[0] != "none" and style[1] != "0px"


def test_without_scripts_one_frame_is_shown(browser, site):
    with visiting(browser, site, java_script_enabled=False) as visit:
        visit.tab.goto(f"{site.url}chapters/convolutions.html")
        figure = visit.tab.locator("figure.explore").first
        assert figure.locator(".explore-controls").is_hidden() and figure.locator("img").first.is_visible()


READ = """
window.painted = [];
addEventListener("load", () => {
  scrollTo({top: 6000, behavior: "instant"});
  requestAnimationFrame(() => {  // in the frame that is painted next
    const texts = [...document.querySelectorAll("article :is(h2, h3, p, li, pre, figure)")];
    const text = texts.find(e => e.getBoundingClientRect().top > 80 && e.checkVisibility());
    const look = () => { painted.push(text.getBoundingClientRect().top); requestAnimationFrame(look); };
    look();
  });
});"""
PLACE = """() => {
  const texts = [...document.querySelectorAll("article :is(h2, h3, p, li, pre, figure)")];
  const at = texts.findIndex(e => e.getBoundingClientRect().top > 80 && e.checkVisibility());
  return [at, texts[at].getBoundingClientRect().top];
}"""


@pytest.mark.parametrize("page", ["chapters/limits", "chapters/unet", "chapters/data_consistency"])
def test_the_reader_keeps_the_place(browser, site, page):
    """Who scrolls while the page is still laid out sees no text move; a reload and Back lead to the same text."""
    with visiting(browser, site) as visit:
        visit.tab.add_init_script(READ)
        go(visit, site, page)
        visit.tab.wait_for_function("painted.length > 30")
        places = visit.tab.evaluate("painted")
        assert max(places) - min(places) <= 5, f"{places[0]}, then {min(places)} to {max(places)}"
    with visiting(browser, site) as visit:
        go(visit, site, page)
        visit.tab.evaluate("scrollTo({top: document.documentElement.scrollHeight / 2, behavior: 'instant'})")
        before = visit.tab.evaluate(PLACE)
        for leave in ("reload", "back"):
            if leave == "back":
                go(visit, site, "chapters/notation")
            getattr(visit.tab, {"reload": "reload", "back": "go_back"}[leave])(wait_until="networkidle")
            assert not visit.tab.evaluate("document.documentElement.classList.contains('arriving')")
            after = visit.tab.evaluate(PLACE)
            assert after[0] == before[0] and abs(after[1] - before[1]) <= 5, f"{leave}: {before}, then {after}"


@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_links_into_a_chapter_land(browser, site, width):
    """On the heading, also while what lies above it is not laid out yet."""
    for anchor in ("what-the-study-of-organs-found", "two-images-one-measurement", "recap"):
        with visiting(browser, site, width) as visit:
            visit.tab.goto(f"{site.url}chapters/limits.html#{anchor}", wait_until="networkidle")
            assert 0 <= visit.tab.locator(f"#{anchor}").evaluate("e => e.getBoundingClientRect().top") <= 100


# Styles

COMPUTED = """names => [...document.querySelectorAll("body, body *")].flatMap(e =>
  [null, "::before", "::after"].map(part => {
    const style = getComputedStyle(e, part);
    return [e.tagName, e.className, part, ...names.map(name => style.getPropertyValue(name))].join("; ");
  }))"""
PROPERTIES = ["display", "position", "width", "margin", "padding", "border", "outline", "color", "background-color",
              "font", "text-align", "text-decoration", "content", "opacity", "overflow", "order", "gap", "visibility"]


def styled(browser, site, page, theme, put):
    """The styles of all parts of a page where `put` is sent in place of files."""
    site.put.update(put)
    try:
        with visiting(browser, site, theme=theme) as visit:
            go(visit, site, page)
            return visit.tab.evaluate(COMPUTED, PROPERTIES)
    finally:
        site.put.clear()


@pytest.mark.parametrize(("page", "theme"), [("chapters/intro", "dark"), ("chapters/convolutions", "light")])
def test_no_style_is_lost(browser, site, page, theme):
    """The book's style sheet shows each part as the complete ones do, of which it is made; a poorer one does not."""
    css = (site.folder / "_static/styles.css").read_text(encoding="utf-8")
    names = re.match(r"/\*! (.*) \*/", css)[1].split()
    link = '<link href="../_static/{}" rel="stylesheet">'
    complete = broken(site, f"{page}.html", link.format("styles.css"), "".join(map(link.format, names)))
    poorer = re.sub(r"\.bd-article[^{}]*\{[^{}]*\}", "", css).encode()
    whole, book, damaged = (styled(browser, site, page, theme, put) for put in (
        {f"{page}.html": complete}, {}, {"_static/styles.css": poorer}))
    assert len(whole) == len(book) > 1000
    assert [pair for pair in zip(whole, book) if pair[0] != pair[1]] == []
    assert whole != damaged


# Intensities, search

def test_intensities_are_true_in_the_dark(browser, site):
    """What is on the screen equals the picture in the notebook where its intensities lie; around them it is dark."""
    pictures = notebooks.of_kind(notebooks.outputs(notebooks.read(ROOT / "chapters/cnn.ipynb")), "image/png")
    stored = [Image.open(io.BytesIO(base64.b64decode(picture))) for picture in pictures]
    with visiting(browser, site, 1600, "dark") as visit:
        go(visit, site, "chapters/cnn")
        shown = [picture for picture in visit.tab.locator("article .cell_output img:not(.explore img)").all()
                 if picture.is_visible()]
        assert len(shown) == len(stored)
        kinds = set()
        for picture, wanted in zip(shown, stored):
            picture.evaluate("async i => { i.loading = 'eager'; await i.decode(); }")
            picture.evaluate(NATURAL)
            pixels = np.asarray(Image.open(io.BytesIO(picture.screenshot())).convert("RGB"))
            picture.evaluate("picture => picture.style = 'position: fixed; left: -9999px'")
            levels, inside = np.asarray(wanted.convert("RGB")), np.zeros(wanted.size[::-1], bool)
            for box in figures.marked(wanted):
                left, top, right, bottom = (round(a * b) for a, b in zip(box, wanted.size * 2))
                inside[top:bottom, left:right] = True
            kinds.add(inside.any())
            assert (pixels[inside] == levels[inside]).all()
            ground = (levels == 255).all(2) & ~inside
            assert ground.sum() > 1000 and (pixels[ground] == night.GROUND).all()
        assert kinds == {True, False}, "wanted a figure with intensities and one without"


@pytest.mark.parametrize(("words", "page"), [("conditional mean", "loss_design"), ("null space", "cross_domain")])
def test_search_finds(browser, site, words, page):
    with visiting(browser, site) as visit:
        go(visit, site, "chapters/intro")
        visit.tab.keyboard.press("Control+k")
        visit.tab.locator("dialog[open] input[name=q]").fill(words)
        visit.tab.keyboard.press("Enter")
        visit.tab.locator(f".search li a[href*='{page}.html']").first.wait_for()
        assert visit.wrong == []


# Before any script

@pytest.mark.parametrize("page", ["chapters/loss_design", "chapters/residual_learning", "chapters/claims"])
def test_what_scrolls_can_be_focused_from_the_first_paint(browser, site, page):
    with visiting(browser, site, 400) as visit:
        visit.tab.route("**/*.js", lambda route: route.abort())
        visit.tab.goto(f"{site.url}{page}.html")
        assert axe(visit.tab, runOnly=["scrollable-region-focusable"]) == []
        html = (site.folder / f"{page}.html").read_text(encoding="utf-8")
        boxes = BeautifulSoup(html, "html.parser").select(f"article :is({BOXES})")
        assert boxes and all(box.get("tabindex") == "0" for box in boxes)


# The checks can fail

def other_frame(site, page):
    """The page's first strip of frames with a square of its first frame inverted, as {file: bytes}."""
    name = re.search(r"_images/frames-\w+\.webp", (site.folder / f"{page}.html").read_text(encoding="utf-8"))[0]
    with Image.open(site.folder / name) as strip:
        pixels = np.array(strip.convert("RGB"))
    pixels[20:36, 20:36] ^= 255
    Image.fromarray(pixels).save(stream := io.BytesIO(), "WEBP", lossless=True)
    return {name: stream.getvalue()}


DAMAGED = "chapters/convolutions"
# What is done to a file: {of what: (file, pattern, what comes in its place, what is then said)}
PAGE_FAULTS = {
    "a script": ("_static/explore.js", "^", "for (const", "script error: "),
    "a foreign picture": (f"{DAMAGED}.html", "</article>", '<img src="https://example.org/a.png"></article>',
                          "another host: https://example.org/a.png"),
    "a formula": (f"{DAMAGED}.html", "<math ", "<maths ", "formulas: "),
    "a picture without alternative text": (f"{DAMAGED}.html", r'(<img [^>]*?)alt="[^"]*"', r"\1", "axe image-alt"),
    "a picture without a size": (f"{DAMAGED}.html", r' width="\d+" height="\d+"(?! style)', "",
                                 "picture without a size: .*_images/"),
    "a wide table": (f"{DAMAGED}.html", "</article>", '<p style="width: 3000px">wide</p></article>',
                     "wider than the window"),
}
EXPLORABLE_FAULTS = {
    "a label": (f"{DAMAGED}.html", "<label><span>", "<label><span hidden>", "control without a label"),
    "a readout": ("_static/explore.js", r"\[control\.value\];", "[0];", "readout "),
    "a sentence": ("_static/explore.js", r"\+ column\]", "+ 1]", "sentence "),
}


def damaged(site, faults):
    """The files with these faults, as {file: bytes}."""
    put = {}
    for file, old, new, _ in faults.values():
        text = put.get(file) or (site.folder / file).read_text(encoding="utf-8")
        put[file] = re.sub(old, new, text)
        assert put[file] != text, f"{file}: no {old}"
    return {file: text.encode() for file, text in put.items()}


@pytest.mark.parametrize(("faults", "look"), [
    (PAGE_FAULTS, complaints), (EXPLORABLE_FAULTS, lambda visit: moved_complaints(visit.tab, DAMAGED))],
    ids=["page", "explorables"])
def test_each_fault_of_a_page_is_named(browser, site, faults, look):
    said = {name: fault[-1] for name, fault in faults.items()}
    site.put.update(damaged(site, faults))
    if faults is EXPLORABLE_FAULTS:
        site.put.update(other_frame(site, DAMAGED))
        said["a frame"] = "frame .*, wanted the one of"
    try:
        with visiting(browser, site) as visit:
            go(visit, site, DAMAGED)
            found = look(visit)
    finally:
        site.put.clear()
    assert [name for name, line in said.items() if not any(re.search(line, text) for text in found)] == [], found


def test_what_is_cut_is_found(browser, site):
    """Each way to hide a part of a formula, of a line of code or of a table makes the check red."""
    with visiting(browser, site, 320) as visit:
        go(visit, site, "chapters/loss_design")
        assert visit.tab.evaluate(REACH)[1] == []
        for rule in (
                "div.math { overflow: hidden !important } div.math > .katex-display { overflow: visible !important }",
                "div.highlight pre { overflow: clip }", ".pst-scrollable-table-container { overflow: hidden }",
                "div.math { height: 2px; overflow: hidden !important }", "article p { margin-left: -2rem }"):
            style = visit.tab.add_style_tag(content=rule)
            assert visit.tab.evaluate(REACH)[1], rule
            style.evaluate("style => style.remove()")
