"""Every literal that the book takes from the theme and its neighbours, and the version that each was read from.

Some literals are edited; on the others templates and scripts of the book rely. One that does not match fails the build,
and so does another version of its package, since a literal may match and mean something else.
"""
import re
from collections.abc import Callable, Iterable
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

from docutils import nodes
from jinja2 import TemplateNotFound
from myst_nb.sphinx_ import HideCodeCellNode
from sphinx.jinja2glue import BuiltinTemplateLoader
from sphinx.util import logging

import install

BOOK, PST, SPHINX, MYST_NB = "sphinx-book-theme", "pydata-sphinx-theme", "sphinx", "myst-nb"
READ = {BOOK: "1.3.0", PST: "0.17.1", SPHINX: "7.4.7", MYST_NB: "1.4.0", "docutils": "0.21.2", "pygments": "2.21.0",
        "sphinx-copybutton": "0.5.2", "sphinx-design": "0.8.0"}


class Literal(NamedTuple):
    package: str
    what: str                               # it is good for
    old: str                                # a regular expression, or the name of a file
    new: str | None = None                  # what takes its place; None: it stays
    on: type | Callable[..., bool] | None = None  # nodes of pages that must have it; None: all must


# In the pages. A role and names that screen readers should not say go; what may scroll can be focused.
FOCUS = r'\g<0> tabindex="0"'
ARTICLE = Literal(PST, "text for the search", r'(?s)<article class="bd-article">(.*)</article>', on=nodes.document)
PAGES = [
    ARTICLE,
    Literal(PST, "colours without scripts", ' data-theme="auto">', ' data-theme="light">'),
    Literal(PST, "name of the side bar", '<div id="pst-primary-sidebar" class=',
            '<div id="pst-primary-sidebar" role="navigation" aria-label="Book" class='),
    Literal(PST, "name of the search button",
            '(search-button-field search-button__button pst-js-only") title="Search" aria-label="Search"', r"\1"),
    Literal(PST, "search in reading.js", '<form class="bd-search '),
    Literal(BOOK, "full screen in reading.js", r'class="[^"]*\bbtn-fullscreen-button\b'),
    Literal(MYST_NB, "name of folded code", '<summary aria-label="Toggle hidden content">', "<summary>",
            HideCodeCellNode),
    Literal("docutils", "role of a cited work", ' role="doc-biblioentry"', ' role="listitem"', nodes.citation),
    Literal(SPHINX, "focus of code", "<pre(?=>)", FOCUS, nodes.literal_block),
    Literal(PST, "focus of tables", '<div class="pst-scrollable[^"]*"(?=>)', FOCUS, nodes.table),
    Literal(MYST_NB, "focus of outputs", '<div class="output text_html[^"]*"(?=>)', FOCUS,
            lambda node: isinstance(node, nodes.raw) and "text_html" in node["classes"]
            and not isinstance(node.parent, nodes.TextElement)),
    # half of a chapter's elements, in the colour of all text
    Literal("pygments", "plain parts of code", '<span class="(?:n|nn|p|w)">([^<]*)</span>', r"\1",
            lambda node: isinstance(node, nodes.literal_block) and "python" in node.get("language", "")
            and re.search(r"^\w+\(", node.astext(), re.M)),
]
# In templates that templates/layout.html and templates/static/webpack-macros.html change
TEMPLATES = {
    "pydata_sphinx_theme/layout.html": [
        Literal(PST, "head of templates/layout.html", r"\{%-? block css -?%\}"),
        Literal(PST, "head of templates/layout.html", r"\{%-? block extrahead -?%\}"),
        Literal(PST, "mode in templates/layout.html", r"dataset\.mode = localStorage"),
        Literal(PST, "webpack-macros.html", r'import "static/webpack-macros\.html" as _webpack'),
        Literal(PST, "webpack-macros.html", r"_webpack\.head_pre_assets\(\)"),
        Literal(PST, "webpack-macros.html", r"_webpack\.head_js_preload\(\)"),
        Literal(PST, "webpack-macros.html", r"_webpack\.body_post\(\)")],
    "sphinx_book_theme/layout.html": [
        Literal(BOOK, "chapter's number on paper", r'class="onlyprint">\s*<h1>\{\{ pagetitle \}\}</h1>')]}
# In scripts. The theme asks of each box that may scroll whether it does, so that it can be focused; that lays out the
# whole page. Here such boxes can be focused from the start, and those that do not scroll no longer once they are laid
# out; in a frame of its own, as WebKit may complain of a loop else. A copy button's only name would be the title of its
# picture, which not every browser takes for one.
STATIC = {
    "scripts/pydata-sphinx-theme.js": [
        Literal(PST, "focus of formulas", re.escape('["pre",'), '[".katex-display","pre",'),
        Literal(PST, "focus without a layout", re.escape(
            '.forEach(e=>{e.tabIndex=e.scrollWidth>e.clientWidth||e.scrollHeight>e.clientHeight?0:-1})'),
            ".forEach(e=>(window.boxes??=new ResizeObserver(all=>requestAnimationFrame(()=>all.forEach(({target:e})=>\n"
            "e.scrollWidth>e.clientWidth||e.scrollHeight>e.clientHeight?e.tabIndex=0:"
            'e.removeAttribute("tabindex"))))).observe(e))')],
    "copybutton.js": [
        Literal("sphinx-copybutton", "name of the copy button", 'class="copybtn o-tooltip--left"',
                """aria-label="${messages[locale]['copy_to_clipboard']}" class="copybtn o-tooltip--left\"""")],
    "searchtools.js": [
        Literal(SPHINX, "search.js", r"(?m)^const _escapeRegExp = "),
        Literal(SPHINX, "search.js", r"(?m)^  _parseQuery: \(query\) => "),
        Literal(SPHINX, "search.js", r"(?m)^  makeSearchSummary: \(htmlText, keywords, anchor\) => ")]}
# Names or texts of scripts, and what on a page needs them, None: they are left out of all pages
SCRIPTS = {
    Literal("sphinx-design", "script of tabs", "design-tabs"): "sd-tab",
    Literal("sphinx-copybutton", "script of copy buttons", "copybutton"): "highlight",
    Literal("sphinx-copybutton", "script of copy buttons", "clipboard"): "highlight",
    Literal(PST, "script of a search as one types", r"DOCUMENTATION_OPTIONS\.pagename"): None,
    Literal(PST, "script of a search as one types", r"DOCUMENTATION_OPTIONS\.search_as_you_type"): None}
# Files: styles that no page lists, and the font of the icons
STYLES = [Literal(SPHINX, "styles", "basic.css"), Literal(PST, "styles", "styles/pydata-sphinx-theme.css")]
ICONS = Literal(PST, "icons", "vendor/fontawesome/webfonts/fa-solid-900.woff2")
log = logging.getLogger(__name__)


def edit(text: str, literals: Iterable[Literal], place: str, missed: dict[Literal, str]) -> str:
    """The text, edited; literals that it lacks are kept in `missed`, with the first place that lacks them."""
    for literal in literals:
        if literal.new is None:
            found = re.search(literal.old, text)
        else:
            text, found = re.subn(literal.old, literal.new, text)
        if not found:
            missed.setdefault(literal, place)
    return text


def edit_static(static: Path, missed: dict[Literal, str]) -> None:
    """Edit the scripts of a built book, unless an earlier build has, and look for the files."""
    for name, literals in STATIC.items():
        text = (static / name).read_text(encoding="utf-8") if (static / name).exists() else ""
        new = edit(text, [literal for literal in literals if not literal.new or literal.new not in text], name, missed)
        if new != text:
            (static / name).write_text(new, encoding="utf-8")
    missed |= {literal: "_static" for literal in [*STYLES, ICONS] if not (static / literal.old).exists()}
    for template in static.glob("*macros.html"):  # the themes' own, no pages
        template.unlink()


class Templates(BuiltinTemplateLoader):
    """Pages as the theme lays them out, edited."""

    def init(self, builder, theme=None, dirs=None):
        super().init(builder, theme, dirs)
        self.missed = builder.app.missed
        for name, literals in TEMPLATES.items():
            try:
                text = self.get_source(self.environment, name)[0]
            except TemplateNotFound:
                text = ""
            edit(text, literals, name, self.missed)

    def render(self, template, context):
        page = super().render(template, context)
        if template not in ("page.html", "search.html"):  # the theme renders parts of a page, too
            return page
        there, place = context["doctree"] or nodes.Text(""), f"{context['pagename']}.html"
        page = edit(page, PAGES, place, missed := {})
        self.missed |= {literal: place for literal in missed if literal not in self.missed
                        and (not literal.on or next(there.findall(literal.on), None))}
        # Elements without an end are closed as XML wants it
        return re.sub(r"(<(?:br|col|hr|img|input|link|meta|source|wbr)\b[^>]*?)\s*/>", r"\1>", page)


def literals() -> list[Literal]:
    return [*PAGES, *sum([*TEMPLATES.values(), *STATIC.values()], []), *SCRIPTS, *STYLES, ICONS]


def versions() -> list[str]:
    """A sentence for each package that is not of the version that its literals were read from."""
    pins, told = install.pinned([install.CONSTRAINTS]), []
    for package, read in READ.items():
        there = metadata.version(package)
        if {there, pins.get(package)} != {read}:
            what = ", ".join(dict.fromkeys(literal.what for literal in literals() if literal.package == package))
            told.append(f"{package}: {there} is installed, constraints.txt says {pins.get(package)}, and "
                        f"tools/page/theme.py has literals of {read} ({what}). Compare them with the new version, mend "
                        "those that the warnings below name, look at the pages, and write the version into READ there; "
                        f"or set {package}=={read} in constraints.txt, and make book installs it")
    return told


def tell(missed: dict[Literal, str]) -> None:
    """A warning, which fails the build, for each literal that did not match."""
    for literal, place in missed.items():
        log.warning("%s: no match for %r (%s), which tools/page/theme.py has from %s %s; installed is %s. Find what "
                    "this version writes in its place, and change the literal there", place, literal.old, literal.what,
                    literal.package, READ[literal.package], metadata.version(literal.package))


def setup(app):
    app.missed = {}
    app.config.template_bridge = f"{__name__}.Templates"
    for line in versions():
        log.warning(line)
