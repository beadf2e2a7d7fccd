"""Every part of what the pages show can be reached, at every width: nothing is cut by a box that does not scroll."""
import pytest

from test_pages import PAGES, go, visiting

WIDTHS = [320, 400, 768, 1280]

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
            lost |= {width: found} if found else {}
        assert lost == {}
