"""A visit to a page of the rendered book in Chromium: how a page is opened, and what is asked of the one in sight."""
import re
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from urllib.parse import urlparse

import notebooks
from install import WEB

ROOT = Path(__file__).resolve().parent.parent
PAGES = notebooks.toc_files(ROOT)
CHAPTERS = [f"chapters/{path.stem}" for path in notebooks.chapters()]
LOOKS = ["link-in-text-block", "scrollable-region-focusable", "region"]  # rules of axe that a width or theme may break
AXE = WEB / "node_modules/axe-core/axe.min.js"
WIDE, NARROW = 1280, 400  # pixels, width of the window
VIEWS = [(WIDE, "light"), (NARROW, "dark")]

WATCH_SHIFTS = """
window.shift = 0;
new PerformanceObserver(list => list.getEntries().forEach(e => { if (!e.hadRecentInput) window.shift += e.value; }))
  .observe({type: "layout-shift", buffered: true});
"""
SCROLL = """async () => {
  for (let y = 0; y < document.documentElement.scrollHeight; y += 800) {
    scrollTo({top: y, behavior: "instant"});
    await new Promise(done => {
      requestAnimationFrame(() => requestAnimationFrame(done));
      setTimeout(done, 5000);  // a browser that draws no frames must not keep the tests waiting
    });
  }
}"""
# What lies outside of a box that hides it, or where its scroll bar does not lead; [how many were looked at, [what]].
REACH = """() => {
  const meant = ".katex-mathml, .hide-tail, .explore-frame, .sr-only, .visually-hidden, dialog, .bd-sidebar-primary";
  for (const fold of document.querySelectorAll("main details")) fold.open = true;
  for (const fold of document.querySelectorAll(".toggle-hidden")) fold.classList.remove("toggle-hidden");
  const found = [], clips = style => style === "hidden" || style === "clip";
  const main = document.querySelector("main"), range = document.createRange();
  const known = new Map();
  const boxes = e => {  // what may cut e, from the inside out
    if (!e || known.has(e)) return known.get(e) ?? [];
    const { overflowX, overflowY, display, position } = getComputedStyle(e), outer = e.getBoundingClientRect();
    const root = e === document.documentElement;
    const x = root ? 0 : outer.left + e.clientLeft, y = root ? 0 : outer.top + e.clientTop;
    const own = root || overflowX !== "visible" || clips(overflowY);
    const all = position === "fixed" ? [] : boxes(e.parentElement);
    known.set(e, own ? [{ e, root, overflowX, overflowY, display, x, y }, ...all] : all);
    return known.get(e);
  };
  let looked = 0;
  const look = (box, node, what) => {
    if (box.width < 1 || box.height < 1) return;
    looked++;
    let { left, right, top, bottom } = box;
    for (const { e, root, overflowX, overflowY, display, x, y } of boxes(node)) {
      const away = root || !clips(overflowX) && overflowX !== "visible";
      if (root || overflowX !== "visible") {
        const from = left - x + e.scrollLeft, to = right - x + e.scrollLeft;
        if (from < -1.5 || to > (away ? e.scrollWidth : e.clientWidth) + 1.5)
          return found.push(`${what}: ${from} to ${to} of ${e.clientWidth} pixels of ${e.tagName}.${e.className}`);
        left = Math.max(left, x), right = Math.min(right, x + e.clientWidth);
      }
      if (!root && clips(overflowY) && display !== "inline"
          && (top < y - .3 * box.height || bottom > y + e.clientHeight + .3 * box.height))
        return found.push(`${what}: above or below its box ${e.tagName}.${e.className}`);
    }
  };
  const things = "img, canvas, svg:not(.katex svg), input, select, button";
  const walker = document.createTreeWalker(main, NodeFilter.SHOW_ELEMENT | NodeFilter.SHOW_TEXT);
  for (let node; node = walker.nextNode();) {
    const words = node.nodeType === 3 && node.data.trim(), e = words ? node.parentElement : node;
    if (!words && !(node.nodeType === 1 && e.matches(things))) continue;
    if (e.closest(meant) || !e.checkVisibility({ visibilityProperty: true })) continue;
    if (words) {
      range.selectNodeContents(node);
      for (const box of range.getClientRects()) look(box, e, words.slice(0, 40));
    } else look(e.getBoundingClientRect(), e.parentElement, e.tagName);
  }
  const article = document.querySelector(".bd-article-container");
  if (document.documentElement.scrollWidth > innerWidth) found.push("the page scrolls sideways");
  if (article.scrollWidth > article.clientWidth) found.push("the article scrolls sideways");
  return [looked, found];
}"""
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


@dataclass
class Visit:
    """A page in the browser, and what went wrong or over the wire."""

    tab: object
    devtools: object
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
    visit, host = Visit(tab, context.new_cdp_session(tab)), urlparse(site.url).netloc

    def route(request):
        if urlparse(request.request.url).netloc == host:
            request.continue_()
        else:
            visit.see("another host", request.request.url)
            request.abort()

    def finished(event):
        visit.wire += event["encodedDataLength"]

    def failed(request):
        if request.failure != "net::ERR_ABORTED":  # which a page that is left had still asked for
            visit.see("failed request", f"{request.failure} {request.url}")

    visit.devtools.send("Network.enable")
    visit.devtools.on("Network.loadingFinished", finished)
    if cut_off:
        context.route(lambda url: urlparse(url).netloc != host, route)
    tab.on("requestfailed", failed)
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


@lru_cache
def newly_styled(folder) -> list[str]:
    """The pages that have a class, or an element of our own, which no page before them has."""
    found, seen = [], set()
    for page in [*PAGES, "search"]:
        html = (folder / f"{page}.html").read_text(encoding="utf-8").partition("<article")[2].partition("</article>")[0]
        kinds = {name for names in re.findall(r' class="(.*?)"', html) for name in names.split()}
        kinds |= set(re.findall(r"<(\w+-[\w-]+)", html))
        found += [page] * bool(kinds - seen)
        seen |= kinds
    return found


def complaints(visit, rules=()) -> list[str]:
    """What is wrong with the page in sight: requests, scripts, formulas, pictures, width, and these rules of axe, or
    all of them."""
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
    return found + axe(tab, **({"runOnly": rules} if rules else {}))


def change(visit, width, theme):
    """Another width and theme of the page in sight, on a screen."""
    visit.tab.set_viewport_size({"width": width, "height": 900})
    visit.tab.emulate_media(media="screen", color_scheme=theme)
    visit.tab.wait_for_function("theme => document.documentElement.dataset.theme == theme", arg=theme)


def without_scripts(browser, address, what) -> str:
    """What stands in this part of a page where no script runs."""
    context = browser.new_context(java_script_enabled=False)
    tab = context.new_page()
    tab.goto(address)
    said = tab.locator(what).inner_text()
    context.close()
    return said


def broken(site, file, old, new):
    """The file of the site with `old` replaced once, as bytes."""
    text = (site.folder / file).read_text(encoding="utf-8")
    assert old in text, f"{file}: no {old!r}"
    return text.replace(old, new, 1).encode()
