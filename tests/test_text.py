"""What machines take from the pages, and browsers that forbid something or ask for less or more."""
import json
import re

import pytest
from bs4 import BeautifulSoup
from playwright.sync_api import expect

from page import formulas, search
from visits import AXE, NARROW, PAGES, VIEWS, WIDE, change, go, visiting


def searched(visit, site, words, path=""):
    """The hits of a search, after the last excerpt came."""
    visit.tab.goto(f"{path or site.url}search.html?q={words}")
    expect(visit.tab.locator("#search-results > h2")).to_have_text("Search Results")
    hits = visit.tab.locator(".search li")
    expect(visit.tab.locator(".search li .context")).to_have_count(hits.count())
    return hits


# Search

@pytest.fixture(scope="module")
def reading(browser, site):
    """One visit for tests that only open pages in it."""
    with visiting(browser, site) as visit:
        yield visit


@pytest.fixture
def visit(reading):
    reading.wrong.clear()
    reading.tab.set_viewport_size({"width": WIDE, "height": 900})
    return reading


@pytest.fixture(scope="module")
def katex():
    started = formulas.Katex()
    yield started
    started.node.stdin.close()
    started.node.wait()


@pytest.mark.parametrize(("tex", "said"), [
    (r"\hat x = \frac{a + b}{2}", "x̂ = (a + b)/2"),
    (r"r(\hat x) = \lVert K\hat x - y^\delta\rVert^2", "r(x̂) = ∥Kx̂ − y^δ∥^2"),
    (r"\sum_{i=1}^n s_i^2", "∑_(i = 1)^n s_i^2"), (r"x \in \mathbb{R}^n", "x ∈ R^n"),
    (r"\sqrt{n/9} < 10^{-3}", "√(n/9) &lt; 10^(−3)"), (r"\min_{t \ge 0} f(t)", "min_(t ≥ 0) f(t)"),
    (r"x^k_{j}, \tilde x, f'", "x_j^k,x̃,f′"), (r"\tfrac12 \lVert x\rVert", "1/2∥x∥"),
])
def test_formula_is_said_in_a_line(katex, tex, said):
    assert search.spoken(katex.render(tex, False)["html"]) == said


def test_every_word_is_in_the_search(site):
    """What the reader's side makes of a text, the index holds, and each number that a cell gave to the prose."""
    index = json.loads((site.folder / "searchindex.js").read_text(encoding="utf-8")[len("Search.setIndex("):-1])
    pages = [index["docnames"][k] for k in range(len(index["docnames"]))]
    lost, numbers = [], 0
    for k, page in enumerate(pages):
        soup = BeautifulSoup((site.folder / f"{page}.html").read_text(encoding="utf-8"), "html.parser")
        for pasted in soup.select("article .pasted-text"):
            for number in re.findall(r"\d[\d.]*\d|\d", pasted.text):
                numbers += 1
                holders = [index[kind].get(number, []) for kind in ("terms", "titleterms")]
                if not any(k in held if isinstance(held, list) else k == held for held in holders):
                    lost.append(f"{page}: {number}")
    assert numbers > 300
    assert lost == []


def test_both_sides_split_alike(visit, site):
    told = (site.folder / "_static/search-texts.js").read_text(encoding="utf-8")
    texts = json.loads(told[told.index("{"):told.rindex("}") + 1])
    visit.tab.goto(f"{site.url}search.html")
    split = visit.tab.evaluate("texts => Object.values(texts).map(splitQuery)", texts)
    assert split == [search.Words._word_re.findall(said) for said in texts.values()]


@pytest.mark.parametrize("words", ["constructor", "__proto__", "valueOf null space"])
def test_words_that_scripts_inherit_are_words(visit, site, words):
    visit.tab.goto(f"{site.url}search.html?q={words}")
    expect(visit.tab.locator("#search-results h2")).to_have_text("Search Results")
    hits = [link.get_attribute("href") for link in visit.tab.locator("#search-results li a").all()]
    assert visit.wrong == [] and not [hit for hit in hits if "undefined" in hit]


@pytest.mark.parametrize(("words", "page", "seen"), [
    ("0.03", "end_to_end", "0.03"), ("12.5", "output_constraints", "12.5"), ("99.6", "limits", "99.6"),
    ("14 %25", "summary", "14"), ("-0.2", "cnn", "0.2"), ("32,270", "mri", "32,270"), ("1000", "claims", "1000"),
    ("10⁻⁶", "convolutions", "10⁻⁶"),
])
def test_numbers_are_found(visit, site, words, page, seen):
    hits = searched(visit, site, words).evaluate_all("""all => all.map(hit =>
      [hit.querySelector("a").getAttribute("href"), hit.querySelector(".context").innerText])""")
    found = [context for href, context in hits if f"{page}.html" in href]
    assert found and seen in found[0]
    assert visit.wrong == []


@pytest.mark.parametrize("words", ["null space", "residual", "noise", "gradient"])
def test_excerpts_show_a_formula_once(visit, site, words):
    contexts = searched(visit, site, words).locator(".context").all_inner_texts()
    assert contexts and not [c for c in contexts if re.search(r"\\[a-zA-Z]{2,}|Show code cell", c)]
    marked = visit.tab.locator(".search li .context .highlighted")
    assert marked.count() >= len(contexts)


def test_the_summary_has_three_numbers_a_paragraph_at_most(site):
    page = BeautifulSoup((site.folder / "chapters/summary.html").read_text(encoding="utf-8"), "html.parser")
    crowded = []
    for paragraph in page.select("article p:not(td p)"):
        for part in paragraph.select(".math, .katex, a"):
            part.extract()
        numbers = re.findall(r"\d[\d.,\s]*(?:±[\d.,\s]*)?", paragraph.text)
        crowded += [f"{len(numbers)}: {paragraph.text[:60]}"] if len(numbers) > 3 else []
    assert crowded == []


def test_search_works_from_a_folder(browser, site):
    with visiting(browser, site, cut_off=False) as visit:
        hits = searched(visit, site, "null space", path=f"{site.folder.as_uri()}/")
        assert hits.count() > 2 and all("null" in said.lower() for said in hits.all_inner_texts())
        assert visit.wrong == []


def test_magnifier_leaves_the_words_alone(visit, site):
    for page, form in (("search", ".bd-search-container form"), ("chapters/intro", "dialog[open] form")):
        go(visit, site, page)
        visit.tab.keyboard.press("Control+k")
        for width in (NARROW, WIDE):
            change(visit, width, "light")
            icon, field = visit.tab.locator(f"{form} i").bounding_box(), visit.tab.locator(f"{form} input")
            start = field.bounding_box()["x"] + field.evaluate("f => parseFloat(getComputedStyle(f).paddingLeft)")
            assert icon["x"] + icon["width"] <= start, (form, width)


def test_nothing_of_a_search_stays_behind(browser, site):
    with visiting(browser, site) as visit:
        searched(visit, site, "null space")
        go(visit, site, "chapters/cnn")
        assert visit.tab.locator(".highlight-link, .highlighted").count() == 0


# Folds

def test_a_hit_in_a_fold_is_seen(browser, site):
    with visiting(browser, site) as visit:
        searched(visit, site, "disjoint").locator("a").first.click()
        marked = visit.tab.locator("article .highlighted")
        expect(marked.first).to_be_in_viewport()
        assert all(mark.is_visible() for mark in marked.all()) and marked.count() > 1
        assert "highlight" not in visit.tab.url
        assert visit.wrong == []


def test_every_fold_is_native(site):
    """A browser's own find opens <details>, and nothing that a script hides."""
    folds = 0
    for page in PAGES:
        soup = BeautifulSoup((site.folder / f"{page}.html").read_text(encoding="utf-8"), "html.parser")
        for fold in soup.select(".dropdown.admonition, .toggle, .hide"):
            assert fold.name == "details" and fold.summary and not fold.summary.a, f"{page}: {fold.get('id')}"
            folds += 1
    assert folds > 100


@pytest.mark.parametrize("scripts", [True, False])
def test_a_link_into_a_fold_opens_it(browser, site, scripts):
    page = "chapters/cnn.html"
    inside = '<details class="solution'
    site.put[page] = re.sub(r"(<details class=\"solution.*?</summary>)", r'\1<p id="inside">in</p>',
                            (site.folder / page).read_text(encoding="utf-8"), count=1, flags=re.S).encode()
    assert inside.encode() in site.put[page] and b'id="inside"' in site.put[page]
    try:
        with visiting(browser, site, java_script_enabled=scripts) as visit:
            visit.tab.goto(f"{site.url}{page}#inside")
            expect(visit.tab.locator("#inside")).to_be_in_viewport()
    finally:
        site.put.clear()


def test_folds_are_open_on_paper(browser, site):
    with visiting(browser, site) as visit:
        go(visit, site, "chapters/cnn")
        answer = visit.tab.locator("details.solution > :not(summary)").first
        assert not answer.is_visible()
        visit.tab.emulate_media(media="print")
        assert answer.evaluate("e => e.getBoundingClientRect().height") > 20


# Copy, translation, direction

def copied(tab, how):
    """What a textarea gets when the selection that a script makes is copied and pasted."""
    tab.evaluate(f"""() => {{
      const range = document.createRange(), selection = getSelection(), article = document.querySelector("article");
      const paragraph = [...article.querySelectorAll("p")].find(p => p.querySelectorAll(".katex").length > 1);
      const display = article.querySelector("div.math");
      ({how})(range, paragraph, display);
      selection.removeAllRanges();
      selection.addRange(range);
    }}""")
    tab.keyboard.press("Control+c")
    tab.evaluate("""document.body.insertAdjacentHTML("afterbegin", `<div style="position: fixed; top: 0; z-index: 9999">
      <textarea id="plain"></textarea><div id="rich" contenteditable>-</div></div>`)""")
    for place in ("#plain", "#rich"):
        tab.locator(place).focus()
        tab.keyboard.press("Control+v")
    expect(tab.locator("#plain")).not_to_have_value("")
    expect(tab.locator("#rich")).not_to_have_text("-")
    return tab.evaluate("""() => {
      const [plain, rich] = [document.querySelector("#plain"), document.querySelector("#rich")];
      plain.parentElement.remove();
      return [plain.value, rich.textContent];
    }""")


COPIES = {
    "a paragraph": "(range, paragraph) => range.selectNodeContents(paragraph)",
    "a display": "(range, _, display) => range.selectNode(display)",
    "from within a formula": """(range, paragraph) => {
      range.setStart(paragraph.querySelector(".katex-html").lastElementChild, 0);
      range.setEndAfter(paragraph.lastChild); }""",
    "to within a formula": """(range, paragraph) => {
      range.setStart(paragraph, 0);
      range.setEnd([...paragraph.querySelectorAll(".katex-html")].at(-1).lastElementChild, 1); }""",
    "within one formula": """(range, paragraph) => {
      const part = paragraph.querySelector(".katex-html .mord"); range.selectNodeContents(part); }""",
    "from a paragraph over a display": """(range, _, display) => {
      range.setStartBefore(display.previousElementSibling); range.setEndAfter(display.nextElementSibling); }""",
}


@pytest.fixture(scope="module")
def formulas_in_sight(browser, site):
    with visiting(browser, site) as visit:
        visit.tab.goto(f"{site.url}chapters/data_consistency.html", wait_until="networkidle")
        yield visit


@pytest.mark.parametrize("how", COPIES)
def test_a_formula_is_copied_as_its_tex(formulas_in_sight, how):
    for said in copied(formulas_in_sight.tab, COPIES[how]):
        assert re.search(r"\$[^$]+\$", said), said
        outside = re.sub(r"\$\$.*?\$\$|\$.*?\$", "", said, flags=re.S)
        assert not re.search(r"\\[a-z]+|[\u200b#\u0302]|∥|\n\s*\S\s*\n", outside), said
        assert (said.count("$$") == 2) == ("display" in how)
    assert formulas_in_sight.wrong == []


def test_copying_without_a_formula_is_left_to_the_browser(formulas_in_sight):
    tab = formulas_in_sight.tab
    first = tab.locator("article h1").evaluate("h => h.firstChild.textContent + h.childNodes[1].textContent")
    plain, _ = copied(tab, "range => range.selectNodeContents(document.querySelector('article h1'))")
    assert first in plain


@pytest.mark.parametrize("page", ["chapters/notation", "chapters/cnn", "chapters/data_consistency"])
def test_translators_leave_formulas_and_code_alone(site, page):
    soup = BeautifulSoup((site.folder / f"{page}.html").read_text(encoding="utf-8"), "html.parser")
    parts = soup.select("article .katex, article pre, article code")
    assert len(parts) > 20
    kept = soup.select("article :is([translate=no], .notranslate)")
    assert not [part for part in parts if part not in kept and not any(part in whole.descendants for whole in kept)]


@pytest.mark.parametrize("page", ["convolutions", "receptive_field", "claims", "notation"])
def test_direction_of_formulas_and_code(visit, site, page):
    go(visit, site, f"chapters/{page}")
    visit.tab.evaluate("document.documentElement.dir = 'rtl'")
    for width in (NARROW, WIDE):
        change(visit, width, "light")
        kept = visit.tab.locator("article :is(.katex, pre, code, .explore-frame, .live-kernel, input[type=range])")
        assert kept.evaluate_all("""all => new Set(all.map(e => getComputedStyle(e))
          .map(s => `${s.direction} ${s.unicodeBidi}`)).size""") == 1
        assert kept.first.evaluate("e => getComputedStyle(e).direction") == "ltr"
        assert visit.tab.locator("article pre").evaluate_all(
            "all => all.every(e => getComputedStyle(e).textAlign == 'left')")
        visit.tab.evaluate("scrollBy(-3000, 0)")
        assert visit.tab.evaluate("[scrollX, Math.max(0, document.documentElement.scrollWidth - innerWidth)]") == [0, 0]
        if page == "convolutions":
            weights = [box.bounding_box() for box in visit.tab.locator("kernel-editor [name=weight]").all()]
            assert weights[0]["x"] < weights[1]["x"] < weights[2]["x"]
            slider = visit.tab.locator("figure.explore input[type=range]").first
            slider.press("Home")
            slider.press("ArrowRight")
            assert slider.input_value() == "1"


# Browsers that forbid

FORBID = """
for (const name of ["localStorage", "sessionStorage"])
  Object.defineProperty(window, name, { get() { throw new DOMException("forbidden", "SecurityError"); } });
Object.defineProperty(document, "cookie", { get() { throw new DOMException("forbidden", "SecurityError"); } });
history.replaceState = () => { throw new DOMException("forbidden", "SecurityError"); };
Object.defineProperty(navigator, "clipboard", { value: undefined });
"""


@pytest.fixture(params=["storage forbidden", "a sandboxed frame"])
def narrowed(request, browser, site):
    """A visit, and the frame that shows pages of the book, in which `go(page)` opens one."""
    with visiting(browser, site) as visit:
        if request.param == "storage forbidden":
            visit.tab.add_init_script(FORBID)
            frame = visit.tab.main_frame
        else:
            visit.tab.set_content('<iframe sandbox="allow-scripts" name="book" width="1200" height="850"></iframe>')
            frame = visit.tab.frame("book")
        yield visit, frame


def test_all_works_and_nothing_is_remembered(narrowed, site):
    visit, frame = narrowed
    frame.goto(f"{site.url}chapters/convolutions.html", wait_until="networkidle")
    root = frame.locator("html")
    expect(root).to_have_attribute("data-theme", "light")
    frame.locator(".theme-switch-button").click()
    expect(root).to_have_attribute("data-theme", "dark")
    if frame.parent_frame:
        assert frame.locator(".btn-fullscreen-button").count() == 0, "a button that the frame forbids"

    figure = frame.locator("figure.explore").first
    before = figure.locator("img").first.get_attribute("style")
    figure.locator("input").first.press("End")
    assert figure.locator("img").first.get_attribute("style") != before
    frame.locator("kernel-editor [name=preset]").select_option("identity")
    expect(frame.locator("kernel-editor .live-said")).to_contain_text("sum to 1")
    copy = frame.locator("button.copybtn:visible").first
    copy.evaluate("b => b.scrollIntoView({ block: 'center' })")
    copy.click(force=True)
    expect(copy).to_have_class(re.compile("success"))

    frame.goto(f"{site.url}chapters/receptive_field.html", wait_until="networkidle")
    expect(root).to_have_attribute("data-theme", "light")
    frame.locator("receptive-field-builder .live-add").click()
    expect(frame.locator("receptive-field-builder tbody tr")).to_have_count(4)
    for opened in ("the button", "Ctrl+K"):
        if opened == "Ctrl+K":
            frame.locator("body").press("Control+k")
        else:
            frame.locator(".search-button-field").click()
        field = frame.locator("dialog[open] input[name=q]")
        field.fill("null space")
        if opened == "the button":
            frame.locator("body").press("Escape")
    field.press("Enter")
    expect(frame.locator("#search-results > h2")).to_have_text("Search Results")
    expect(frame.locator(".search .context .highlighted").first).to_be_visible()
    frame.locator(".search a").first.click()
    expect(frame.locator("article .highlighted").first).to_be_visible()
    assert visit.wrong == []


@pytest.mark.parametrize("page", ["chapters/intro", "chapters/limits", "search"])
def test_a_folder_is_as_good_as_a_server(browser, site, page):
    with visiting(browser, site, cut_off=False) as visit:
        visit.tab.goto(f"{site.folder.as_uri()}/{page}.html", wait_until="networkidle")
        assert visit.wrong == []


# Lost

@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize("lost", ["gone.html", "chapters/gone.html", "genindex.html", "chapters/old/deep/page",
                                  "_images/gone.png"])
def test_a_lost_reader_finds_the_book(visit, site, lost, known):
    if known:  # as the book is that knows its address
        site.put["404.html"] = re.sub(r'<script.*</script>', f'<base href="{site.url}">',
                                      (site.folder / "404.html").read_text(encoding="utf-8"), flags=re.S).encode()
    try:
        for way in ("contents", "search"):
            assert visit.tab.goto(f"{site.url}{lost}", wait_until="networkidle").status == 404
            if way == "contents":
                visit.tab.get_by_role("link", name="contents").click()
                expect(visit.tab.locator(".bd-sidebar-primary .toctree-l1")).not_to_have_count(0)
            else:
                visit.tab.get_by_label("Search the book").fill("null space")
                visit.tab.keyboard.press("Enter")
                expect(visit.tab.locator(".search .context").first).to_be_visible()
    finally:
        site.put.clear()


# Browsers that ask for less, or for more

@pytest.mark.parametrize("page", ["chapters/intro", "chapters/receptive_field", "chapters/convolutions", "search"])
def test_without_scripts_all_is_there(browser, site, page):
    with visiting(browser, site, java_script_enabled=False) as visit:
        visit.tab.goto(f"{site.url}{page}.html", wait_until="networkidle")
        for width, theme in VIEWS:
            visit.tab.set_viewport_size({"width": width, "height": 900})
            visit.tab.emulate_media(color_scheme=theme)
            assert_all_is_there(visit.tab, page)
        assert visit.wrong == []


def assert_all_is_there(tab, page):
    """No dead control, the contents in reach, folds that open, no faint text; without a script."""
    dead = tab.locator(":is(button, input, select, textarea):visible")
    assert dead.evaluate_all("all => all.map(e => e.outerHTML)") == []
    links = tab.locator(".bd-sidebar-primary a:visible").all()
    assert len(links) > 20 and all(link.bounding_box()["x"] >= 0 for link in links[:3])
    for fold in tab.locator("details.dropdown").all()[:2]:
        fold.locator("summary").click(position={"x": 12, "y": 12})
        expect(fold.locator("section, div, p").first).to_be_visible()
        fold.locator("summary").click(position={"x": 12, "y": 12})  # closed again, for the next view
    faint = tab.locator("article :is(p, pre, h2)").evaluate_all("""parts => parts.filter(part => {
      const level = colour => colour.match(/[\\d.]+/g).slice(0, 3).reduce((sum, c) => sum + Number(c), 0) / 765;
      let ground = part;
      while (ground && /^rgba/.test(getComputedStyle(ground).backgroundColor)) ground = ground.parentElement;
      const behind = ground ? level(getComputedStyle(ground).backgroundColor) : 1;
      return Math.abs(level(getComputedStyle(part).color) - behind) < 0.5;
    }).length""")
    assert faint == 0
    assert tab.locator("html").evaluate("e => getComputedStyle(e).getPropertyValue('--pst-color-text-base')")
    if page == "search":
        expect(tab.locator("noscript p", has_text="activate JavaScript")).to_have_count(1)


def test_colours_are_there_before_the_scripts(browser, site):
    with visiting(browser, site, theme="dark") as visit:
        visit.tab.context.route("**/*.js*", lambda route: route.abort())
        visit.tab.goto(f"{site.url}chapters/cnn.html")
        assert visit.tab.locator("html").get_attribute("data-theme") == "dark"


@pytest.mark.parametrize(("forced", "chosen"), [("light", "dark"), ("dark", "light"), ("dark", "dark")])
def test_forced_colours_hide_nothing(browser, site, forced, chosen):
    """Whatever theme the reader chose: the drawing, the marks of a search, canvases' edges and the focus."""
    with visiting(browser, site, theme=forced, forced_colors="active") as visit:
        visit.tab.add_init_script(f"localStorage.setItem('mode', '{chosen}')")
        go(visit, site, "chapters/receptive_field")
        colours = visit.tab.evaluate("""() => {
          document.body.insertAdjacentHTML("beforeend", ["Canvas", "CanvasText", "LinkText", "GrayText"].map(name =>
            `<i class="${name}" style="forced-color-adjust: none; color: ${name}"></i>`).join(""));
          const shown = (selector, property) => getComputedStyle(document.querySelector(selector))[property];
          return {canvas: shown(".Canvas", "color"), text: shown(".CanvasText", "color"),
            link: shown(".LinkText", "color"), field: shown(".live-field", "stroke"),
            cells: shown(".live-cells", "fill"), dot: shown(".live-middle", "fill")};
        }""")
        assert colours["field"] == colours["dot"] == colours["text"] != colours["canvas"]
        assert colours["cells"] == colours["link"]
        go(visit, site, "chapters/convolutions")
        canvas = visit.tab.locator("kernel-editor canvas").first
        assert canvas.evaluate("c => getComputedStyle(c).outlineStyle") == "solid"
        unseen = []
        visit.tab.locator("body").press("Home")
        for _ in range(60):
            visit.tab.keyboard.press("Tab")
            said = visit.tab.evaluate("""() => {
              const e = document.activeElement, style = getComputedStyle(e);
              const seen = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 1;
              return e === document.body || seen || e.outerHTML.slice(0, 200);
            }""")
            if said is not True:
                unseen.append(said)
        assert unseen == []
        searched(visit, site, "null space")
        ground = visit.tab.locator(".context .highlighted").first.evaluate("e => getComputedStyle(e).backgroundColor")
        assert ground not in (colours["canvas"], "rgba(0, 0, 0, 0)")


def test_reduced_motion_is_still(browser, site):
    with visiting(browser, site) as visit:
        go(visit, site, "chapters/cnn")
        moving = visit.tab.evaluate("""[...document.querySelectorAll("*")].filter(
          e => [null, "::before", "::after"].map(part => getComputedStyle(e, part)).some(
            style => parseFloat(style.transitionDuration) || parseFloat(style.animationDuration)))
          .map(e => e.className)""")
        assert moving == []


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_more_contrast_where_it_is_asked_for(browser, site, theme):
    with visiting(browser, site, theme=theme, contrast="more") as visit:
        go(visit, site, "chapters/receptive_field")
        visit.tab.add_script_tag(path=AXE)
        faint = visit.tab.evaluate("""axe.run({exclude: ["pre"]}, {runOnly: ["color-contrast-enhanced"],
          rules: {"color-contrast-enhanced": {enabled: true}}})
          .then(said => said.violations.flatMap(rule => rule.nodes.map(node => node.html)))""")
        assert faint == []
