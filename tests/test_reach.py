"""Every part of what the pages show can be reached and read: at every width and size of letters, and on paper."""
import re

import pytest
from bs4 import BeautifulSoup

import lighthouse
from test_pages import PAGES, axe, broken, go, visiting

WIDTHS = (320, 400, 768, 1280, 1920)

# What lies outside of a box that hides it, or where its scroll bar does not lead; [how many were looked at, [what]].
REACH = """() => {
  const meant = ".katex-mathml, .hide-tail, .explore-frame, .sr-only, .visually-hidden, dialog, .bd-sidebar-primary";
  for (const fold of document.querySelectorAll("main details")) fold.open = true;
  for (const fold of document.querySelectorAll(".toggle-hidden")) fold.classList.remove("toggle-hidden");
  const found = [], clips = style => style === "hidden" || style === "clip";
  const main = document.querySelector("main"), range = document.createRange();
  let looked = 0;
  const look = (box, node, what) => {
    if (box.width < 1 || box.height < 1) return;
    looked++;
    let { left, right, top, bottom } = box;
    for (let e = node; e; e = e.parentElement) {
      const style = getComputedStyle(e), outer = e.getBoundingClientRect();
      const root = e === document.documentElement;
      const x = root ? 0 : outer.left + e.clientLeft, y = root ? 0 : outer.top + e.clientTop;
      const away = root || !clips(style.overflowX) && style.overflowX !== "visible";
      if (root || style.overflowX !== "visible") {
        const from = left - x + e.scrollLeft, to = right - x + e.scrollLeft;
        if (from < -1.5 || to > (away ? e.scrollWidth : e.clientWidth) + 1.5)
          return found.push(`${what}: ${from} to ${to} of ${e.clientWidth} pixels of ${e.tagName}.${e.className}`);
        left = Math.max(left, x), right = Math.min(right, x + e.clientWidth);
      }
      if (!root && clips(style.overflowY) && style.display !== "inline"
          && (top < y - .3 * box.height || bottom > y + e.clientHeight + .3 * box.height))
        return found.push(`${what}: above or below its box ${e.tagName}.${e.className}`);
      if (style.position === "fixed") return;
    }
  };
  const walker = document.createTreeWalker(main, NodeFilter.SHOW_ELEMENT | NodeFilter.SHOW_TEXT);
  for (let node; node = walker.nextNode();) {
    const e = node.nodeType === 3 ? node.parentElement : node;
    if (e.closest(meant) || !e.checkVisibility({ visibilityProperty: true })) continue;
    if (node.nodeType === 3 && node.data.trim()) {
      range.selectNodeContents(node);
      for (const box of range.getClientRects()) look(box, e, node.data.trim().slice(0, 40));
    } else if (node.nodeType === 1 && e.matches("img, canvas, svg:not(.katex svg), input, select, button"))
      look(e.getBoundingClientRect(), e.parentElement, e.tagName);
  }
  const article = document.querySelector(".bd-article-container");
  if (document.documentElement.scrollWidth > innerWidth) found.push("the page scrolls sideways");
  if (article.scrollWidth > article.clientWidth) found.push("the article scrolls sideways");
  return [looked, found];
}"""


BOXES = "pre, .katex-display, .pst-scrollable-table-container"  # which scroll on a screen
A4 = 672  # pixels between the margins of a page of paper
FORMULAS = """() => [...document.querySelectorAll("div.math")].filter(e => e.checkVisibility()).flatMap(math => {
  const box = math.querySelector(".katex-display"), number = math.querySelector(".eqno"), found = [];
  const range = document.createRange();
  range.selectNodeContents(box.querySelector(".katex-html"));
  const [ink, room, all] = [range, box, math].map(e => e.getBoundingClientRect());
  const beside = number ? number.getBoundingClientRect().width : 0;  // the same room is free on the other side
  if (ink.width + 2 * beside + 20 < all.width && Math.abs(ink.left + ink.right - all.left - all.right) > 4)
    found.push(`not in the middle: ${math.textContent}`);
  if (number && all.right - number.getBoundingClientRect().right > 2)
    found.push(`number not at the margin: ${number.textContent}`);
  if (box.scrollHeight > box.clientHeight) found.push(`cut above or below: ${math.textContent}`);
  return box.scrollWidth > box.clientWidth ? found.slice(1) : found;
})"""


@pytest.mark.parametrize("page", [*PAGES, "search"])
def test_everything_can_be_reached(browser, site, page):
    with visiting(browser, site) as visit:
        go(visit, site, page)
        lost = {}
        for width in WIDTHS:
            visit.tab.set_viewport_size({"width": width, "height": 900})
            looked, found = visit.tab.evaluate(REACH)
            print(f"{page} at {width}: {looked} parts looked at, {len(found)} out of reach")
            assert looked > 5
            found += visit.tab.evaluate(FORMULAS)
            if width >= 768:  # wide enough for each formula
                found += visit.tab.evaluate("""() => [...document.querySelectorAll(".katex-display")].filter(
                  e => e.scrollWidth > e.clientWidth).map(e => `too wide: ${e.textContent}`)""")
            lost |= {width: found} if found else {}
        assert lost == {}
        assert visit.tab.evaluate("""() => [...document.querySelectorAll("article pre")].filter(
          e => parseFloat(getComputedStyle(e).fontSize) < 13).length""") == 0
        sizes = visit.tab.evaluate("""() => ["h1", "h2", "h3"].map(name => document.querySelector(`article ${name}`))
          .filter(Boolean).map(e => getComputedStyle(e)).map(s => [parseFloat(s.fontSize), Number(s.fontWeight)])""")
        assert all(a[0] > b[0] and a[1] >= b[1] for a, b in zip(sizes, sizes[1:])), sizes


@pytest.fixture(scope="module")
def large(browser):
    """Chromium with letters of 32 pixels, as who sees badly has set them."""
    options = ["--no-sandbox", "--disable-background-networking", "--blink-settings=defaultFontSize=32"]
    chromium = browser.browser_type.launch(executable_path=lighthouse.CHROMIUM, args=options)
    yield chromium
    chromium.close()


@pytest.mark.parametrize("page", [*PAGES, "search"])
def test_everything_can_be_reached_in_large_letters(large, site, page):
    with visiting(large, site, 390) as visit:
        go(visit, site, page)
        for width in (390, 1280):
            visit.tab.set_viewport_size({"width": width, "height": 900})
            assert visit.tab.evaluate("parseFloat(getComputedStyle(document.body).fontSize)") == 32
            assert visit.tab.evaluate(REACH)[1] == [], width


def test_what_is_cut_is_found(browser, site):
    """Each way to hide a part of a formula, of a line of code or of a table makes the check red."""
    page = "chapters/loss_design"
    for rule in ("div.math { overflow: hidden !important } div.math > .katex-display { overflow: visible !important }",
                 "div.highlight pre { overflow: clip }", ".pst-scrollable-table-container { overflow: hidden }",
                 "div.math { height: 2px; overflow: hidden !important }", "article p { margin-left: -2rem }"):
        site.put[f"{page}.html"] = broken(site, f"{page}.html", "</head>", f"<style>{rule}</style></head>")
        try:
            with visiting(browser, site, 320) as visit:
                go(visit, site, page)
                assert visit.tab.evaluate(REACH)[1], rule
        finally:
            site.put.clear()


# Before any script, and on paper

@pytest.mark.parametrize("page", ["chapters/loss_design", "chapters/residual_learning", "chapters/claims"])
def test_what_scrolls_can_be_focused_from_the_first_paint(browser, site, page):
    with visiting(browser, site, 400) as visit:
        visit.tab.route("**/*.js", lambda route: route.abort())
        visit.tab.goto(f"{site.url}{page}.html")
        assert axe(visit.tab, runOnly=["scrollable-region-focusable"]) == []
        html = (site.folder / f"{page}.html").read_text(encoding="utf-8")
        boxes = BeautifulSoup(html, "html.parser").select(f"article :is({BOXES})")
        assert boxes and all(box.get("tabindex") == "0" for box in boxes)


@pytest.mark.parametrize("page", PAGES)
def test_paper_is_light_and_complete(browser, site, page):
    """In the dark, too: dark letters on white, nothing wider than the paper, no buttons, links with their numbers."""
    with visiting(browser, site, A4, "dark") as visit:
        go(visit, site, page)
        visit.tab.emulate_media(media="print", color_scheme="dark")
        assert visit.tab.evaluate("document.documentElement.dataset.theme") == "dark"
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
