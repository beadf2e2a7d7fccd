"""The rendered book in Firefox and in WebKit: what may differ between engines, each check written once for both."""
import json
import re

import numpy as np
import pytest
import torch
from selenium.common import TimeoutException, WebDriverException
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.wait import WebDriverWait

import engines
from notebooks import decode
from test_answers import CHECKED, JUDGED, TABLES, of_page, rights
from test_live import SOBEL, filtered, photo
from test_markup import RESTORED
from test_pages import SHOWN, other_frame, stored_explorables
from test_your_picture import CLOSE, RESULTS, farthest, wrong_in_sight
from visits import AXE, CHAPTERS, PAGES, broken

COLOURED = ["chapters/intro", "chapters/convolutions", "chapters/claims", "search"]  # all rules of axe in both engines
NARROW = 450  # pixels; no window of WebKit is narrower
READY = """document.body.offsetHeight;  // sets the page, so that it asks for its fonts
return document.readyState == "complete" && document.fonts.status == "loaded" &&
  [...document.querySelectorAll("article section *")].every(e => getComputedStyle(e).contentVisibility == "visible")"""
STILL = """const done = arguments[0], state = () => `${scrollY} ${document.documentElement.scrollHeight}`;
let last = state(), same = 0;
requestAnimationFrame(function look() {
  const now = state();
  same = now == last ? same + 1 : 0;
  last = now;
  same < 10 ? requestAnimationFrame(look) : done();
});"""


@pytest.fixture(scope="module")
def driver(engine):
    with engines.launch(engine) as driver:
        yield driver


@pytest.fixture
def tab(driver, watched):
    """The browser without what it remembers, its window 1280 pixels wide; `watched` sends what is in the book."""
    yield driver
    watched.put.clear()
    driver.get(f"{watched.url}nothing.html")
    driver.execute_script("localStorage.clear(); sessionStorage.clear()")
    engines.resize(driver, 1280)
    watched.failed.clear()


def until(driver, script, *arguments):
    """What the script gives as soon as it is true, on this page or on the one that comes in its place."""
    wait = WebDriverWait(driver, 60, 0.05, ignored_exceptions=[WebDriverException])
    try:
        return wait.until(lambda driver: driver.execute_script(script, *arguments))
    except TimeoutException:
        raise AssertionError(f"never true on {driver.current_url}: {script}") from None


def settle(driver):
    """Wait until all of the page is laid out, and neither its height nor its place changes from frame to frame."""
    until(driver, READY)
    driver.execute_async_script(STILL)


def go(driver, watched, page):
    driver.get(f"{watched.url}{page}")
    settle(driver)


def reload(driver):
    """As F5 does; the command of that name forgets the place in Firefox."""
    driver.execute_script("window.leaving = true; location.reload()")
    until(driver, "return !window.leaving")


def press(driver, *keys):
    ActionChains(driver).send_keys(*keys).perform()


# Every page

COMPLAINTS = """const found = window.seen ?? ["no list of errors"], shown = e => e.checkVisibility();
const all = selector => [...document.querySelectorAll(selector)];
for (const e of performance.getEntriesByType("resource").filter(e => !e.name.startsWith(location.origin)))
  found.push(`another host: ${e.name}`);
for (const e of all(".katex")) {
  const {width, height} = e.getBoundingClientRect();
  if (!e.querySelector(".katex-mathml math")) found.push(`no MathML: ${e.textContent}`);
  if (shown(e) && !(width > 3 && height > 3)) found.push(`formula of ${width}×${height} pixels: ${e.textContent}`);
}
for (const e of all(".katex-error, merror")) found.push(`formula in error: ${e.textContent}`);
const fonts = [...document.fonts];
if (all(".katex").some(shown) && !fonts.some(f => f.family.includes("KaTeX") && f.status == "loaded"))
  found.push("no font of formulas is loaded");
for (const f of fonts.filter(f => f.status == "error")) found.push(`font not loaded: ${f.family} ${f.weight}`);
for (const e of all("img")) if (shown(e) && e.complete && !e.naturalWidth) found.push(`picture not loaded: ${e.src}`);
const over = document.documentElement.scrollWidth - innerWidth;
if (over > 0) found.push(`wider than the window by ${over} pixels`);
return found;"""
RUN_AXE = """axe.run({resultTypes: ["violations"], rules: {"color-contrast": {enabled: arguments[0]}}}).then(
  said => arguments[1](said.violations.map(v => `axe ${v.id}: ${v.nodes[0].html}`)))"""


def complaints(driver, watched):
    """What is wrong with the page in sight: scripts, requests, formulas, fonts, pictures, width."""
    return driver.execute_script(COMPLAINTS) + [f"failed request: {line}" for line in watched.failed]


def axe_complaints(driver, colours=True):
    driver.execute_script(AXE.read_text(encoding="utf-8"))
    return driver.execute_async_script(RUN_AXE, colours)


# Explorables

EVERY_STATE = f"""const done = arguments[0], shown = {SHOWN}, states = [];
const isDrawn = picture => {{  // in WebKit a moment after decode()
  const canvas = document.createElement("canvas"), context = canvas.getContext("2d");
  context.drawImage(picture, 0, 0);
  try {{ return context.getImageData(0, 0, 1, 1).data[3]; }} catch {{ return true; }}  // the picture of a file
}};
(async () => {{
  for (const figure of document.querySelectorAll("figure.explore")) {{
    const picture = figure.querySelector("img"), controls = [...figure.querySelectorAll("input, select")];
    const [rows, columns] = figure.dataset.shape.split(" ").map(Number), mine = [];
    if (picture) picture.loading = "eager", await picture.decode();
    while (picture && !isDrawn(picture)) await new Promise(requestAnimationFrame);
    for (let at = 0; at < rows * columns; at++) {{
      for (const [control, value] of [[controls[0], Math.floor(at / columns)], [controls[1], at % columns]])
        if (control) control.value = value, control.dispatchEvent(new Event("input", {{bubbles: true}}));
      mine.push({{
        readouts: controls.map(control => control.closest("div").querySelector("output")?.textContent),
        said: (figure.querySelector(".explore-said")?.textContent ?? "").replaceAll("\\xa0", " "),
        ...(picture ? shown(figure, !at || at == rows * columns - 1) : {{}})}});
    }}
    states.push(mine);
  }}
  done(states);
}})();"""


def explorable_complaints(driver, page, pixels=True):
    """Put the controls of a chapter's explorables to all values; what then is not as the notebook has it, of the first
    and the last frame the pixels, too."""
    if not pixels:  # a script may not read those of a file
        driver.execute_script("HTMLCanvasElement.prototype.toDataURL = () => ','")
    stored, shown, found = stored_explorables(page), driver.execute_async_script(EVERY_STATE), []
    assert [len(said) for _, _, said, _ in stored] == [len(states) for states in shown]
    for i, ((values, frames, said, _), states) in enumerate(zip(stored, shown), 1):
        columns = len(values[1]) if len(values) > 1 else 1
        for k, state in enumerate(states):
            at = divmod(k, columns)
            for readout, texts, position in zip(state["readouts"], values, at):
                if readout is not None and readout != texts[position]:
                    found.append(f"explorable {i} at {at}: readout {readout!r}, wanted {texts[position]!r}")
            if state["said"] != said[k]:
                found.append(f"explorable {i} at {at}: sentence {state['said']!r}, wanted {said[k]!r}")
            if frames:
                if np.abs(np.subtract(state["at"], at)).max() > 0.02 or abs(state["fill"] - 1) > 0.02:
                    found.append(f"explorable {i} at {at}: in sight {state['at']}, {state['fill']:.2f} of its height")
                if pixels and "pixels" in state and not np.array_equal(
                        decode(state["pixels"]).convert("RGB"), frames[k].convert("RGB")):
                    found.append(f"explorable {i} at {at}: another frame than the notebook's")
    return found


def keyboard_complaints(driver):
    """Whether each control of an explorable, at its first value, goes to the next by a key."""
    found = []
    controls = driver.execute_script("return [...document.querySelectorAll('.explore :is(input, select)')]")
    for i, control in enumerate(controls, 1):
        driver.execute_script("arguments[0].scrollIntoView({block: 'center'}); arguments[0].focus()", control)
        is_select = driver.execute_script("return arguments[0].tagName == 'SELECT'", control)
        press(driver, Keys.HOME)
        press(driver, Keys.DOWN if is_select else Keys.RIGHT)
        value = driver.execute_script("return arguments[0].value", control)
        if value != "1":
            found.append(f"control {i}: value {value} after a key, wanted 1")
    return found


@pytest.mark.parametrize("page", [*PAGES, "search"])
def test_page_is_right(engine, tab, watched, page):
    """Wide and narrow, a chapter's explorables at all their values."""
    go(tab, watched, f"{page}.html")
    assert not (found := complaints(tab, watched)), found
    if engine == "webkit" or page in COLOURED:
        assert not (found := axe_complaints(tab, page in COLOURED)), found
    if page in CHAPTERS:
        assert keyboard_complaints(tab) == []
        assert explorable_complaints(tab, page) == []
    engines.resize(tab, NARROW)
    tab.execute_async_script(STILL)
    assert not (found := complaints(tab, watched)), found


# The live elements

CANVAS = """const canvas = document.querySelectorAll("kernel-editor canvas")[1];
return [...canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data]"""
CHOOSE = """const [element, name, value] = arguments, field = document.querySelector(`${element} [name="${name}"]`);
field.value = value;
field.dispatchEvent(new Event("input", {bubbles: true}));"""  # Selenium's Select does not work here in WebKit
FOCUS = "const e = document.querySelector(arguments[0]); e.scrollIntoView({block: 'center'}); e.focus()"
SAYS = "return document.querySelector(arguments[0]).querySelector('.live-said').textContent.includes(arguments[1])"


def assert_filtered(driver, weights, result, black, white):
    """The editor, once it speaks of weights with this sum, draws the result in this grey window and gives its range."""
    def text(v):
        return f"{v:.2f}".rstrip("0").rstrip(".").replace("-", "−")

    until(driver, SAYS, "kernel-editor", f"The weights sum to {text(sum(weights))};")
    said = f"ranges from {text(result.min())} to {text(result.max())}."
    assert driver.execute_script(SAYS, "kernel-editor", said), said
    drawn = torch.tensor(driver.execute_script(CANVAS), dtype=torch.float64).view(*result.shape, 4)
    want = (255 * (result - black) / (white - black)).clamp(0, 255)
    assert (drawn[..., :3] - want[..., None]).abs().max() <= 0.5 + 1e-6 and (drawn[..., 3] == 255).all()


def check_kernel_editor(driver, watched):
    """Its first view, a filter that is chosen, and a weight moved by keyboard are what torch computes."""
    go(driver, watched, "chapters/convolutions.html")
    driver.execute_script(FOCUS, "kernel-editor [name=weight]")
    result = filtered(photo(), SOBEL)
    assert_filtered(driver, SOBEL, result, -result.abs().max(), result.abs().max())
    for name, value in {"preset": "1 to 9", "flip": "flip", "padding": "reflect"}.items():
        driver.execute_script(CHOOSE, "kernel-editor", name, value)
    weights = [k / 45 for k in range(1, 10)]
    assert_filtered(driver, weights, filtered(photo(), weights, True, "reflect"), 0, 1)
    driver.execute_script(FOCUS, "kernel-editor [name=weight]")
    press(driver, Keys.UP)
    weights[0] += 1 / 45
    assert_filtered(driver, weights, filtered(photo(), weights, True, "reflect"), 0, sum(weights))


BUILDER = """const builder = document.querySelector("receptive-field-builder");
return [builder.querySelector(".live-said").textContent.replaceAll("\\xa0", " ").match(/[\\d\u202f]+ input pixels?/)[0],
  builder.querySelector(".live-cells").innerHTML.match(/M/g).length,
  [...builder.querySelectorAll("td.r")].map(e => e.textContent).join(" "),
  document.activeElement.closest("receptive-field-builder") && document.activeElement.tagName]"""


def check_receptive_field(driver, watched):
    """Layers are added, changed and removed by keyboard; field, drawing and table follow, and the focus stays."""
    go(driver, watched, "chapters/receptive_field.html")
    assert driver.execute_script(BUILDER) == ["49 input pixels", 49, "3 5 7", None]
    driver.execute_script(FOCUS, ".live-add")
    press(driver, Keys.ENTER)
    assert driver.execute_script(BUILDER) == ["81 input pixels", 81, "3 5 7 9", "BUTTON"]
    driver.execute_script(CHOOSE, "receptive-field-builder", "0 2", "2")
    assert driver.execute_script(BUILDER) == ["121 input pixels", 121, "5 7 9 11", "BUTTON"]
    driver.execute_script(FOCUS, "[aria-label='remove layer 2']")
    for _ in range(3):
        press(driver, Keys.ENTER)
    assert driver.execute_script(BUILDER) == ["25 input pixels", 9, "5", "BUTTON"]


def in_page(driver, script, *arguments):
    """What a function of the page gives; Firefox hides the page's classes from the scripts of a driver."""
    driver.execute_script("""const script = document.createElement("script");
      script.textContent = arguments[0];
      document.head.append(script);""", f"window.told = JSON.stringify(({script})(...{json.dumps(arguments)}))")
    return json.loads(driver.execute_script("return window.told"))


def check_your_picture(driver, watched):
    """Both networks agree with torch on random input; what a failing case shows is what torch computes."""
    go(driver, watched, "chapters/your_picture.html")
    far = farthest(lambda script, arguments: in_page(driver, script, *arguments))
    assert all(one <= CLOSE for one in far.values()), far
    driver.execute_script(FOCUS, "your-picture [value='Other noise']")
    press(driver, Keys.ENTER)
    until(driver, f"return ({RESTORED})()")
    assert driver.execute_script(SAYS, "your-picture", "Level with doing nothing: CNN. Worse than doing nothing: UNet.")
    assert wrong_in_sight(in_page(driver, RESULTS), "1.5", "0.08") == []


@pytest.mark.parametrize("check", [check_kernel_editor, check_receptive_field, check_your_picture])
def test_live_element(tab, watched, check):
    check(tab, watched)
    assert not (found := complaints(tab, watched)), found


# Search, themes

def check_search(driver, watched):
    """Ctrl+K, words, Enter: a link to the page; it leads there."""
    go(driver, watched, "chapters/intro.html")
    ActionChains(driver).key_down(Keys.CONTROL).send_keys("k").key_up(Keys.CONTROL).perform()
    until(driver, "return document.activeElement.matches('dialog[open] input[name=q]')")
    press(driver, "null space", Keys.ENTER)
    until(driver, "return document.querySelector('.search li a[href*=\"cross_domain.html\"]')")
    assert not (found := complaints(driver, watched)), found
    driver.execute_script(FOCUS, ".search li a[href*='cross_domain.html']")  # by keyboard: the list is still moving
    press(driver, Keys.ENTER)
    until(driver, "return location.pathname.endsWith('/cross_domain.html') && document.readyState == 'complete'")
    assert not (found := complaints(driver, watched)), found


LOOK = """const {mode, theme} = document.documentElement.dataset;
const levels = getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number);
const ground = Math.max(...levels.slice(0, 3)) < 60 ? "dark" : Math.min(...levels.slice(0, 3)) > 230 ? "light" : levels;
const filters = [...document.querySelectorAll("main img")].map(e => getComputedStyle(e).filter);
return {mode, theme, ground, filters: [...new Set(filters)].join()}"""


def look(mode, theme):
    return {"mode": mode, "theme": theme, "ground": theme, "filters": "none"}


def check_themes(driver, watched, system):
    """The page is as the system is, until its button says otherwise, also after a reload."""
    other = "light" if system == "dark" else "dark"
    go(driver, watched, "chapters/end_to_end.html")
    assert driver.execute_script(LOOK) == look("auto", system)
    for _ in range(2):  # the button goes round; this sets its mode to the other theme
        if driver.execute_script("return document.documentElement.dataset.mode") != other:
            driver.execute_script(FOCUS, ".theme-switch-button")
            press(driver, Keys.ENTER)
    assert driver.execute_script(LOOK) == look(other, other)
    reload(driver)
    settle(driver)
    assert driver.execute_script(LOOK) == look(other, other)


def test_search_finds(tab, watched):
    check_search(tab, watched)


def test_theme_by_button_over_a_light_system(tab, watched):
    check_themes(tab, watched, "light")


def test_theme_by_button_over_a_dark_system(engine, watched):
    with engines.launch(engine, dark=True) as driver:
        check_themes(driver, watched, "dark")
        assert not (found := complaints(driver, watched)), found


# The place on the page

TEXTS = "const texts = [...document.querySelectorAll('article :is(h2, h3, p, li, pre, figure)')];"
TOPMOST = TEXTS + """const at = texts.findIndex(e => e.getBoundingClientRect().top > 80 && e.checkVisibility());
return [at, texts[at].getBoundingClientRect().top]"""
TOP = TEXTS + "return texts[arguments[0]].getBoundingClientRect().top"
HEADING = "return document.getElementById(arguments[0]).getBoundingClientRect().top"
READ = f"""<script>
addEventListener("load", () => {{  // before the page's own scripts
  scrollTo({{top: 6000, behavior: "instant"}});
  {TEXTS}
  const text = texts.find(e => e.getBoundingClientRect().top > 80 && e.checkVisibility());
  window.places = [];
  const look = () => {{ places.push(text.getBoundingClientRect().top); requestAnimationFrame(look); }};
  look();
}});
</script></head>""".encode()


def check_reading(driver, watched, page):
    """Who scrolls down as soon as the page is there can read: the text does not move."""
    file = f"{page}.html"
    watched.put[file] = watched.put.get(file, (watched.folder / file).read_bytes()).replace(b"</head>", READ, 1)
    go(driver, watched, file)
    places = driver.execute_script("return places")
    assert len(places) > 10 and max(places) - min(places) <= 5, f"at {places[0]}, then {min(places)} to {max(places)}"


def check_return(driver, watched, page):
    """After a reload, and after another page and Back, the same text is in sight."""
    go(driver, watched, f"{page}.html")
    driver.execute_script("scrollTo({top: document.documentElement.scrollHeight / 2, behavior: 'instant'})")
    driver.execute_async_script(STILL)
    at, before = driver.execute_script(TOPMOST)

    def back(driver):
        driver.get(f"{watched.url}chapters/intro.html")
        driver.back()

    for leave in (reload, back):
        leave(driver)
        settle(driver)
        after = driver.execute_script(TOP, at)
        assert abs(after - before) <= 5, f"{leave.__name__}: text at {before:.0f} pixels, then at {after:.0f}"


def check_link(driver, watched, page, heading):
    """A link from elsewhere and one on the page lead to the heading, which stays where it is."""
    for address in (f"{page}.html#{heading}", f"{page}.html"):
        driver.get("about:blank")
        driver.get(f"{watched.url}{address}")
        driver.execute_script("if (!location.hash) document.querySelector(arguments[0]).click()",
                              f".page-toc a[href='#{heading}']")
        tops = [driver.execute_script(HEADING, heading)]
        settle(driver)
        tops.append(driver.execute_script(HEADING, heading))
        assert all(0 <= top <= 100 for top in tops) and abs(tops[0] - tops[1]) <= 5, f"{address}: heading at {tops}"


@pytest.mark.parametrize("page", ["chapters/limits", "chapters/unet"])
@pytest.mark.parametrize("check", [check_reading, check_return])
def test_the_place_is_kept(tab, watched, check, page):
    check(tab, watched, page)


@pytest.mark.parametrize(("page", "heading"), [("chapters/limits", "two-images-one-measurement"),
                                               ("chapters/unet", "recap")])
def test_links_land(tab, watched, page, heading):
    check_link(tab, watched, page, heading)


# From disk

def test_page_opens_from_disk(engine, tab, watched):
    tab.get((watched.folder / "chapters/limits.html").as_uri())
    until(tab, READY)
    assert explorable_complaints(tab, "chapters/limits", pixels=False) == []
    assert tab.execute_script(f"window.seen = []; {COMPLAINTS}") == []


# The checks can fail

PAGE = "chapters/convolutions"
LATER = """<style>* { overflow-anchor: none !important; }</style>
<script>addEventListener("load", () => requestAnimationFrame(() => requestAnimationFrame(() => {
  const more = document.createElement("p");
  more.style.height = "200px";
  document.querySelector("article h1").before(more);
})));</script></head>"""
FORGET = "<script>history.scrollRestoration = 'manual'</script></head>"


def changed(page, old, new):
    """A mutant: a file of the book with `old` replaced once."""
    return lambda site: {page: broken(site, page, old, new)}


FAULTS = {  # what a page is given, and what is then said of it
    "an error of a script": ("<script>nothing.there()</script>", "ReferenceError.*nothing"),
    "a broken promise": ("<script>Promise.reject('late')</script>", "rejected: late"),
    "a warning in the console": ("<script>console.warn('old')</script>", "console: old"),
    "a picture that is not there": ("<img src='none.png' alt='nothing'>", "404 .*none.png"),
    "a foreign picture": ("<img src='http://127.0.0.1:9/a.png' alt='elsewhere'>",
                          "another host: http://127|not loaded: http://127"),
    "a formula without a size": ("<b class='katex'><math></math></b>", "formula of 0×"),
    "a wide table": ("<p style='width: 3000px'>wide</p>", "wider than the window"),
    "a picture without a name": ("<img src='../_static/favicon.png'>", "axe image-alt: .*favicon"),
    "a key": ("<script>addEventListener('keydown', e => e.preventDefault())</script>", "control 1: value"),
}


def test_each_fault_of_a_page_is_named(tab, watched):
    said = {name: line for name, (_, line) in FAULTS.items()} | {
        "a formula without MathML": "no MathML", "a font that is none": "font not loaded: KaTeX_Math",
        "a frame": "another frame", "a readout": "readout", "a sentence": "sentence"}
    page = broken(watched, f"{PAGE}.html", "<math ", "<maths ").decode()
    page = page.replace("</article>", "".join(html for html, _ in FAULTS.values()) + "</article>")
    css, script = ((watched.folder / "_static" / name).read_bytes() for name in ("styles.css", "explore.js"))
    watched.put.update(other_frame(watched, PAGE) | {
        f"{PAGE}.html": page.encode(), "_static/styles.css": css.replace(b"Math-Italic.", b"none."),
        "_static/explore.js": script.replace(b"[control.value];", b"[0];").replace(b"+ column]", b"+ 1]")})
    go(tab, watched, f"{PAGE}.html")
    found = [*complaints(tab, watched), *axe_complaints(tab), *explorable_complaints(tab, PAGE),
             *keyboard_complaints(tab)]
    assert [name for name, line in said.items() if not any(re.search(line, text) for text in found)] == [], found


MUTANTS = {
    "the editor's flip": (check_kernel_editor, changed("_static/kernel-editor.js", "flip ? -1 : 1", "1"), "ranges"),
    "the builder's focus": (check_receptive_field, changed("_static/receptive-field.js", ".focus();", ";"), "BUTTON"),
    "a slope": (check_your_picture, changed("_static/your-picture.js", "activate(x, 0.1)", "activate(x, 0.2)"), "unet"),
    "the search": (check_search, changed("search.html", "</head>", "<script>lost()</script></head>"), "lost"),
    "the theme's memory": (lambda driver, watched: check_themes(driver, watched, "light"), changed(
        "chapters/end_to_end.html", "<head>", "<head><script>localStorage.clear()</script>"), "auto"),
    "reading": (lambda *of: check_reading(*of, PAGE), changed(f"{PAGE}.html", "</head>", LATER), "at .*, then"),
    "the place": (lambda *of: check_return(*of, PAGE), changed(f"{PAGE}.html", "</head>", FORGET), "reload: text at"),
    "a link": (lambda *of: check_link(*of, PAGE, "recap"), changed(f"{PAGE}.html", "</head>", LATER), "heading at"),
}


@pytest.mark.parametrize("mutant", MUTANTS)
def test_broken_book_is_red(tab, watched, mutant):
    check, damage, said = MUTANTS[mutant]
    watched.put.update(damage(watched))
    with pytest.raises(AssertionError, match=said):
        check(tab, watched)


# Questions with a field

@pytest.mark.parametrize("chapter", CHECKED)
def test_answers_are_judged_as_by_the_helper(tab, watched, chapter):
    go(tab, watched, f"chapters/{chapter}.html")
    asked = [(check.name, text, wanted) for check in TABLES[chapter].values() for text, wanted in of_page(check)]
    told = tab.execute_script(f"return ({JUDGED})(arguments[0])", [case[:2] for case in asked])
    assert [(*case, said) for case, said in zip(asked, told) if said != case[2]] == []


def test_an_answer_is_checked_by_keyboard_and_kept(tab, watched):
    check = next(one for one in TABLES["cnn"].values() if one.kind == "number")
    go(tab, watched, "chapters/cnn.html")
    field = f"document.getElementById('answer-{check.name}')"
    tab.execute_script(f"{field}.querySelector('input').focus()")
    press(tab, rights(check)[0].strip(), Keys.ENTER)
    assert until(tab, f"return {field}.querySelector('.answer-said').textContent") == f"Right. {check.why}"
    reload(tab)
    until(tab, f"return {field}?.querySelector('.answer-said')?.textContent == 'Right. {check.why}'")
    assert complaints(tab, watched) == []
