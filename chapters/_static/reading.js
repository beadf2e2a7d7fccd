/* Formulas copied as TeX, folds opened for what was looked for, and what a browser or a frame forbids worked around. */
document.addEventListener("copy", event => {
  const selection = getSelection();
  if (!selection.rangeCount || selection.isCollapsed || event.target.matches?.("input, textarea")) return;
  const range = selection.getRangeAt(0).cloneRange();
  const formula = node => (node.nodeType === Node.TEXT_NODE ? node.parentElement : node).closest(".katex");
  const [first, last] = [formula(range.startContainer), formula(range.endContainer)];
  if (first) range.setStartBefore(first);
  if (last) range.setEndAfter(last);
  const copied = document.createElement("div");
  copied.append(range.cloneContents());
  if (!copied.querySelector(".katex")) return;
  for (const math of copied.querySelectorAll(".katex")) {
    const mark = math.querySelector("math[display=block]") ? "$$" : "$";
    math.replaceWith(mark + math.querySelector("annotation").textContent + mark);
  }
  copied.querySelectorAll(".headerlink, button").forEach(part => part.remove());
  copied.style.cssText = "position: fixed; left: -9999px";  // only what is laid out has line breaks and tabs
  document.body.append(copied);
  event.clipboardData.setData("text/plain", copied.innerText.replaceAll("\u2060", ""));
  copied.removeAttribute("style");
  event.clipboardData.setData("text/html", copied.outerHTML);
  copied.remove();
  event.preventDefault();
});

const unfold = part => {
  for (let fold = part?.closest("details"); fold; fold = fold.parentElement.closest("details")) fold.open = true;
};
const unfoldTarget = () => {
  let target;
  try { target = document.getElementById(decodeURIComponent(location.hash.slice(1))); } catch { return; }  // no address
  if (target?.closest("details:not([open])")) unfold(target), target.scrollIntoView();
};
addEventListener("hashchange", unfoldTarget);
unfoldTarget();

// Sphinx marks the words of a search, all at once, a moment after the page is there.
if (location.search.includes("highlight=")) {
  const article = document.querySelector("article");
  new MutationObserver((_, observer) => {
    const found = [...article.querySelectorAll(".highlighted")].filter(word => !word.closest(".katex-mathml"));
    if (!found.length) return;
    observer.disconnect();
    found.forEach(unfold);
    if (!location.hash) found[0].scrollIntoView({ block: "center" });
  }).observe(article, { childList: true, subtree: true });
}

// A sandboxed frame sends no forms, but its links work.
document.addEventListener("keydown", event => {
  if (event.key !== "Enter" || event.isComposing || !event.target.matches("form.bd-search input")) return;
  event.preventDefault();
  const results = new URL(event.target.form.action);
  results.search = new URLSearchParams({ q: event.target.value });
  results.hash = "";
  location.assign(results);
});
if (!document.fullscreenEnabled) document.querySelector(".btn-fullscreen-button")?.remove();
