"""What the search takes from a page: words and numbers, and text for its excerpts.

Excerpts come by a script, since a page opened from a folder or in a sandboxed frame may not fetch another one.
"""
import functools
import json
import re
from html import escape, unescape
from pathlib import Path
from xml.etree import ElementTree

from sphinx.search.en import SearchEnglish

import guard
from page import theme

# What is no text of the page: links of headings, scripts, what stands on paper only, and the labels of folded code
UNREAD = re.compile(r'<a class="headerlink".*?</a>|<(script|style)\b.*?</\1>|<ul class="explore-paper">.*?</ul>'
                    r'|<summary(?! class="admonition-title").*?</summary>', re.S)
MATHML = re.compile(r"<math.*?</math>", re.S)
SPACED = set("=≤≥<>≈≠→∈+−±×∗")
ACCENTS = {"^": "\u0302", "~": "\u0303", "ˉ": "\u0304"}


class Words(SearchEnglish):
    """Sphinx's English, in which 0.03 and 10⁻³ are words too, and 10 400 is found as 10400 as well."""

    _word_re = re.compile(r"\w+(?:\.\d+|⁻\w+)*")
    js_splitter_code = r"var splitQuery = text => text.match(/[\p{L}\p{N}_]+(?:\.\p{N}+|⁻[\p{L}\p{N}_]+)*/gu) ?? [];"

    def split(self, text):
        thousands = re.findall(r"\b\d{1,3}(?:[\u2009\u202f\xa0,]\d{3})+\b", text)
        return super().split(text) + [re.sub(r"\D", "", number) for number in thousands]


def one(text: str) -> str:
    """In brackets, unless it is a single name or number."""
    text = text.strip()
    return text if len(text) == 1 or text.isalnum() else f"({text})"


def readable(node) -> str:
    """A formula of MathML as characters in a line: x̂ = (a + b)/2."""
    parts = [readable(child) for child in node if not child.tag.endswith("annotation")]
    match node.tag.rpartition("}")[2]:
        case "mi" | "mn" | "mo" | "mtext":
            return f" {node.text} " if node.text in SPACED else (node.text or "").strip("\u2061\u2063")
        case "mfrac":
            return f"{one(parts[0])}/{one(parts[1])}"
        case "msqrt":
            return f"√{one(''.join(parts))}"
        case "mover" if parts[1] in ACCENTS:
            return parts[0] + ACCENTS[parts[1]]
        case "msub" | "munder":
            said = f"{parts[0]}_{one(parts[1])}"
        case "msup" | "mover":
            said = parts[0] + (parts[1] if parts[1] == "′" else f"^{one(parts[1])}")
        case "msubsup" | "munderover":
            said = f"{parts[0]}_{one(parts[1])}^{one(parts[2])}"
        case "mspace" | "mtd":
            return "".join(parts) + " "
        case _:
            return "".join(parts)
    is_word = len(parts[0]) > 1 and parts[0].isalpha()
    return f"{said} " if is_word or parts[0] in "∑∏∫" else said  # min and max, a sum, and what follows


@functools.cache
def spoken(formula: str) -> str:
    said = re.sub(r"\s+", " ", readable(ElementTree.fromstring(MATHML.search(formula)[0]))).strip()
    return escape(re.sub(r"(^|[(\[,=<>≤≥] ?)([−+±]) ", r"\1\2", said))  # a sign stands at its number


def text(page: str) -> str:
    """What a reader sees in the article of a page, in one line, each formula once."""
    article = "".join(re.findall(theme.ARTICLE.old, page))
    article = guard.MATH.sub(lambda formula: spoken(formula[0]), UNREAD.sub("", article))
    article = re.sub(r"</(?:caption|th|td)>", " ", article)  # in the tables of cells nothing else parts them
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", "", article)).replace("\u2060", "")).strip()


def write_texts(app, exception):
    """_static/search-texts.js: {page: its text}."""
    if exception or app.builder.format != "html":
        return
    out = Path(app.outdir)
    texts = {page: text((out / f"{page}.html").read_text(encoding="utf-8")) for page in sorted(app.env.found_docs)}
    script = f"const searchTexts = {json.dumps(texts, ensure_ascii=False)};\n"
    (out / "_static/search-texts.js").write_text(script, encoding="utf-8")


def on_search_page(app, pagename, template, context, doctree):
    if pagename == "search":
        app.add_js_file("search.js", defer="defer")


def setup(app):
    app.add_search_language(Words)
    app.connect("html-page-context", on_search_page)
    app.connect("build-finished", write_texts)
