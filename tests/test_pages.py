"""The rendered book in a real browser: every page, wide and narrow, light and dark, cut off from every other host."""
import base64
import io
import json
import re
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlparse

import numpy as np
import pytest
from bs4 import BeautifulSoup
from PIL import Image

import notebooks
from course import figures
from install import WEB
from notebooks import decode
from page import night

ROOT = Path(__file__).resolve().parent.parent
PAGES = notebooks.toc_files(ROOT)
CHAPTERS = [f"chapters/{path.stem}" for path in notebooks.chapters()]
FORMED = [page for page in CHAPTERS if notebooks.read(ROOT / f"{page}.ipynb").metadata.get("book", {}).get("form") == 2]
AXE = WEB / "node_modules/axe-core/axe.min.js"
WIDE, NARROW = 1280, 400  # pixels, width of the window
VIEWS = [(WIDE, "light"), (NARROW, "dark")]
FIRST, ALL, NEXT = 330, 1536, 120  # KiB on the wire: first view, scrolled to the end, one more page with a warm cache
SHIFT = 0.05  # largest layout shift, in the units of the web-vitals metric CLS

OPENING = """() => {  // where the first picture begins and ends, the share of code in sight, what folds are called
  const article = document.querySelector(".bd-article"), box = e => e.getBoundingClientRect();
  const first = [...article.querySelectorAll("img, .explore")].find(e => e.checkVisibility() && box(e).height > 60);
  const code = [...article.querySelectorAll("div.cell_input")].filter(e => !e.closest("details:not([open])"));
  const folds = [...article.querySelectorAll("details.hide > summary")].map(e => e.innerText.trim());
  return {top: box(first).top + scrollY, bottom: box(first).bottom + scrollY, folds,
    code: code.reduce((sum, e) => sum + box(e).height, 0) / box(article).height};
}"""
WATCH_SHIFTS = """
window.shift = 0;
new PerformanceObserver(list => list.getEntries().forEach(e => { if (!e.hadRecentInput) window.shift += e.value; }))
  .observe({type: "layout-shift", buffered: true});
"""
SCROLL = """async () => {
  for (let y = 0; y < document.documentElement.scrollHeight; y += 800) {
    scrollTo({top: y, behavior: "instant"});
    await new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));
  }
}"""
SHOWN = """figure => {  // which frame of the picture is in sight, by geometry, and its pixels
  const picture = [...figure.querySelectorAll("img")].find(picture => picture.checkVisibility());
  const [rows, columns] = figure.dataset.shape.split(" ").map(Number);
  const sight = figure.querySelector(".explore-frame").getBoundingClientRect(), all = picture.getBoundingClientRect();
  const at = [(sight.top - all.top) / all.height * rows, (sight.left - all.left) / all.width * columns];
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [picture.naturalWidth / columns, picture.naturalHeight / rows];
  canvas.getContext("2d").drawImage(picture, -Math.round(at[1]) * canvas.width, -Math.round(at[0]) * canvas.height);
  return {at, fill: sight.height / all.height * rows, pixels: canvas.toDataURL().split(",")[1]};
}"""

NATURAL = """picture => {
  picture.style.cssText = `position: fixed; inset: 0 auto auto 0; z-index: 99999; padding: 0; margin: 0;
    border-radius: 0; max-width: none; width: ${picture.naturalWidth}px; height: ${picture.naturalHeight}px`;
}"""


@dataclass
class Visit:
    """A page in the browser, and what went wrong or over the wire."""

    tab: object
    wrong: list[str] = field(default_factory=list)
    wire: int = 0  # bytes

    def see(self, kind, said):
        self.wrong.append(f"{kind}: {said}")


@contextmanager
def visiting(browser, site, width=WIDE, theme="light", cut_off=True, **options):
    """A tab with a cold cache, as a Visit; cut off, it reaches no host but the site's, and caches nothing."""
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=theme,
                                  reduced_motion="reduce", **options)
    tab = context.new_page()
    visit, host = Visit(tab), urlparse(site.url).netloc

    def route(request):
        if urlparse(request.request.url).netloc == host:
            request.continue_()
        else:
            visit.see("another host", request.request.url)
            request.abort()

    def finished(event):
        visit.wire += event["encodedDataLength"]

    wire = context.new_cdp_session(tab)
    wire.send("Network.enable")
    wire.on("Network.loadingFinished", finished)
    if cut_off:
        context.route(lambda url: urlparse(url).netloc != host, route)
    tab.on("requestfailed", lambda request: visit.see("failed request", request.url))
    tab.on("response", lambda r: visit.see("failed request", f"{r.status} {r.url}") if r.status >= 400 else None)
    tab.on("pageerror", lambda error: visit.see("script error", error))
    tab.on("console", lambda m: visit.see("console", m.text) if m.type in ("error", "warning") else None)
    tab.add_init_script(WATCH_SHIFTS)
    yield visit
    context.close()


def go(visit, site, page):
    """Open a page of the book and wait until nothing more is loaded and all of it is laid out."""
    visit.tab.goto(f"{site.url}{page}.html", wait_until="networkidle")
    visit.tab.wait_for_function("!document.documentElement.classList.contains('arriving')", timeout=120_000)


def axe(tab, **options) -> list[str]:
    """What axe-core has against the page in sight."""
    if not tab.evaluate("!!window.axe"):
        tab.add_script_tag(path=AXE)
    found = []
    options = {"resultTypes": ["violations"], **options}  # it need not list what is right
    for rule in tab.evaluate("options => axe.run(options).then(said => said.violations)", options):
        places = [node["html"][:200] for node in rule["nodes"]]
        found.append(f"axe {rule['id']}: {rule['help']}: {places[0]} ({len(places)} in all)")
    return found


def complaints(visit) -> list[str]:
    """What is wrong with the page in sight: requests, scripts, formulas, pictures, width, and axe's rules."""
    tab = visit.tab
    tab.evaluate(SCROLL)
    tab.wait_for_load_state("networkidle")
    found = list(visit.wrong)
    formulas, spoken = tab.locator(".katex").count(), tab.locator(".katex-mathml math").count()
    if formulas != spoken or tab.locator(".katex-error, merror").count():
        found.append(f"formulas: {formulas} set, {spoken} with MathML, wanted as many and no error among them")
    if unset := re.search(r"\$\$|\\[(\[]\S", tab.locator("main").inner_text()):
        found.append(f"formula not set: {unset[0]}")
    found += [f"picture not loaded: {src}" for src in tab.evaluate(
        "[...document.images].filter(i => i.checkVisibility() && !(i.complete && i.naturalWidth)).map(i => i.src)")]
    found += [f"picture without a size: {src}" for src in tab.evaluate(
        "[...document.querySelectorAll('main img:not([width][height])')].map(i => i.src)")]
    found += [f"picture filtered: {src}" for src in tab.evaluate(
        "[...document.querySelectorAll('main img')].filter(i => getComputedStyle(i).filter != 'none').map(i => i.src)"
    )]
    if (over := tab.evaluate("document.documentElement.scrollWidth - innerWidth")) > 0:
        found.append(f"wider than the window by {over} pixels")
    return found + axe(tab)


def change(visit, width, theme):
    """Another width and theme of the page in sight."""
    visit.tab.set_viewport_size({"width": width, "height": 900})
    visit.tab.emulate_media(color_scheme=theme)
    visit.tab.wait_for_function("theme => document.documentElement.dataset.theme == theme", arg=theme)



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


# Explorables

def stored_explorables(page, theme="light"):
    """[(values of each control, frames or None, sentences)] of a chapter, from the outputs of its notebook."""
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
            if theme == "dark":
                strip = night.by_night(strip, figure["data-pictures"], rows, columns)
            w, h = strip.width // columns, strip.height // rows
            frames = [strip.crop((c * w, r * h, (c + 1) * w, (r + 1) * h))
                      for r in range(rows) for c in range(columns)]
        found.append((values, frames, json.loads(figure["data-said"])))
    return found


def explorable_complaints(tab, figure, values, frames, said) -> list[str]:
    """Whether the figure shows the frame, readouts and sentence that belong to where its controls stand."""
    at = [int(control.input_value()) for control in figure.locator("input, select").all()]
    which, found = at[0] * (len(values[1]) if len(values) > 1 else 1) + (at[1] if len(at) > 1 else 0), []
    for control, texts, k in zip(figure.locator(".explore-controls > div").all(), values, at):
        output = control.locator("output")
        if output.count() and (shown := output.inner_text()) != texts[k]:
            found.append(f"readout {shown!r}, wanted {texts[k]!r}")
        if not control.locator("span").inner_text().strip():
            found.append("control without a label")
    if frames:
        tab.wait_for_function("""figure => [...figure.querySelectorAll('img')].some(
          picture => picture.checkVisibility() && picture.complete && picture.naturalWidth)""",
                              arg=figure.element_handle())
        shown = figure.evaluate(SHOWN)
        picture = decode(shown["pixels"])
        if np.abs(np.subtract(shown["at"], np.round(shown["at"]))).max() > 0.02 or abs(shown["fill"] - 1) > 0.02:
            found.append(f"not one frame in sight: {shown['at']}, {shown['fill']:.2f} of its height")
        if picture.size != frames[which].size or (np.asarray(picture) != np.asarray(frames[which])).any():
            found.append(f"frame {shown['at']}, wanted the one of {at}")
    if any(said) and (shown := figure.locator(".explore-said").inner_text().replace("\xa0", " ")) != said[which]:
        found.append(f"sentence {shown!r}, wanted {said[which]!r}")
    return found


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
    stored, figures = stored_explorables(page, theme), tab.locator("figure.explore").all()
    found = [] if len(stored) == len(figures) else [f"{len(figures)} explorables, wanted {len(stored)}"]
    for i, (figure, (values, frames, said)) in enumerate(zip(figures, stored), 1):
        figure.scroll_into_view_if_needed()
        controls, states = figure.locator("input, select").all(), []
        if not all(control.is_visible() for control in controls):
            found.append(f"explorable {i}: a control is not shown")
            continue

        def look():
            states.append(tuple(control.input_value() for control in controls))
            found.extend(f"explorable {i}: {line}" for line in explorable_complaints(tab, figure, values, frames, said))

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


@pytest.mark.parametrize(("page", "views"), [
    (page, VIEWS[::-1] if i % 2 else VIEWS) for i, page in enumerate([*PAGES, "index", "search"])])
def test_page_is_right(browser, site, page, views):
    """In both views, of which every second page is opened in the narrow one; explorables wide in all their states."""
    with visiting(browser, site, *views[0]) as visit:
        go(visit, site, page)
        if page == "index":  # forwards to the first page
            visit.tab.wait_for_url("**/intro.html")
            visit.tab.wait_for_load_state("networkidle")
        first = visit.wire / 1024
        assert complaints(visit) == []
        assert first <= FIRST and visit.wire / 1024 <= ALL, f"{first:.0f} KiB at first, {visit.wire / 1024:.0f} in all"
        assert visit.tab.evaluate("shift") <= SHIFT
        for width, theme in views:
            if (width, theme) != views[0]:
                change(visit, width, theme)
                assert complaints(visit) == []
            if page in CHAPTERS:
                assert stored_explorables(page), "a chapter without an explorable"
                assert moved_complaints(visit.tab, page, theme, every=width == WIDE) == []
        assert visit.wrong == []


@pytest.mark.parametrize("page", FORMED)
def test_a_chapter_opens_with_a_picture_and_shows_the_code_that_teaches(browser, site, page):
    with visiting(browser, site) as visit:
        for width, height in ((390, 844), (1280, 800)):
            visit.tab.set_viewport_size({"width": width, "height": height})
            go(visit, site, page)
            seen = visit.tab.evaluate(OPENING)
            assert seen["top"] < height, f"at {width} pixels the first picture begins at {seen['top']:.0f}"
        assert seen["bottom"] <= height, f"at {width} pixels the first picture ends at {seen['bottom']:.0f}"
        assert seen["code"] <= 0.2, f"{100 * seen['code']:.0f} % of the page is code in sight"
        assert seen["folds"][0] == "Code: imports" and all(re.match("Code: [a-z]", said) for said in seen["folds"])


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
    for anchor in ("two-images-one-measurement", "from-here-to-generative-models", "recap"):
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


def style_complaints(browser, site, page, theme, css) -> int:
    """How many parts of a page a style sheet shows otherwise than the complete ones, of which the book's is made."""
    names = re.match(r"/\*! (.*) \*/", (site.folder / "_static/styles.css").read_text(encoding="utf-8"))[1].split()
    link = '<link href="../_static/{}" rel="stylesheet">'
    whole = broken(site, f"{page}.html", link.format("styles.css"), "".join(map(link.format, names)))
    seen = []
    for put in ({"_static/styles.css": css}, {f"{page}.html": whole}):
        site.put.update(put)
        try:
            with visiting(browser, site, theme=theme) as visit:
                go(visit, site, page)
                seen.append(visit.tab.evaluate(COMPUTED, PROPERTIES))
        finally:
            site.put.clear()
    assert len(seen[0]) == len(seen[1]) > 1000
    return sum(one != other for one, other in zip(*seen))


@pytest.mark.parametrize(("page", "theme"), [("chapters/intro", "dark"), ("chapters/convolutions", "light")])
def test_no_style_is_lost(browser, site, page, theme):
    css = (site.folder / "_static/styles.css").read_bytes()
    assert style_complaints(browser, site, page, theme, css) == 0
    assert style_complaints(browser, site, page, theme, re.sub(rb"\.bd-article[^{}]*\{[^{}]*\}", b"", css)) > 0


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


# The checks can fail

def broken(site, file, old, new):
    """The file of the site with `old` replaced once, as bytes."""
    text = (site.folder / file).read_text(encoding="utf-8")
    assert old in text, f"{file}: no {old!r}"
    return text.replace(old, new, 1).encode()


def other_frame(site, page):
    """The page's first strip of frames with a square of its first frame inverted, as {file: bytes}."""
    name = re.search(r"_images/frames-\w+\.webp", (site.folder / f"{page}.html").read_text(encoding="utf-8"))[0]
    with Image.open(site.folder / name) as strip:
        pixels = np.array(strip.convert("RGB"))
    pixels[20:36, 20:36] ^= 255
    Image.fromarray(pixels).save(stream := io.BytesIO(), "WEBP", lossless=True)
    return {name: stream.getvalue()}


MUTANT = "chapters/convolutions"
MUTANTS = {
    "a frame": lambda site: other_frame(site, MUTANT),
    "a label": lambda site: {f"{MUTANT}.html": broken(
        site, f"{MUTANT}.html", "<label><span>", "<label><span hidden>")},
    "a readout": lambda site: {"_static/explore.js": broken(site, "_static/explore.js", "[control.value];", "[0];")},
    "a sentence": lambda site: {"_static/explore.js": broken(site, "_static/explore.js", "+ column]", "+ 1]")},
    "a script": lambda site: {"_static/explore.js": b"for (const"},
    "a foreign picture": lambda site: {f"{MUTANT}.html": broken(
        site, f"{MUTANT}.html", "</article>", '<img src="https://example.org/a.png" alt="A picture from elsewhere.">')},
    "a formula": lambda site: {f"{MUTANT}.html": broken(site, f"{MUTANT}.html", "<math ", "<maths ")},
    "a picture without alternative text": lambda site: {f"{MUTANT}.html": re.sub(
        rb'(<img [^>]*?)alt="[^"]*"', rb"\1", (site.folder / f"{MUTANT}.html").read_bytes(), count=2)},
    "a picture without a size": lambda site: {f"{MUTANT}.html": re.sub(
        rb' width="\d+" height="\d+"(?! style)', b"", (site.folder / f"{MUTANT}.html").read_bytes())},
    "a wide table": lambda site: {f"{MUTANT}.html": broken(
        site, f"{MUTANT}.html", "</article>", '<p style="width: 3000px">wide</p>')},
}


@pytest.mark.parametrize("mutant", MUTANTS)
def test_broken_page_is_red(browser, site, mutant):
    site.put.update(MUTANTS[mutant](site))
    try:
        with visiting(browser, site) as visit:
            go(visit, site, MUTANT)
            found = moved_complaints(visit.tab, MUTANT) or complaints(visit)
    finally:
        site.put.clear()
    assert found, "all checks passed"
