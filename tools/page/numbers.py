"""Numbers stay in one line with what they belong to, and links to chapters have the chapter's number."""
import re
from functools import lru_cache
from html import escape

from docutils import nodes
from sphinx.domains.std import StandardDomain
from sphinx.transforms.post_transforms import SphinxPostTransform

FORMULA, CODE = "\ufffc", "\ufffb"  # stand for what is no text
# Where a line may not break, as a match whose spaces are to be replaced: before a unit, around ± and × and relations of
# numbers, behind a word that a number belongs to.
UNIT = (r"(?:%|‰|°|×|dB|px|pixels?|voxels?|ms|s|min|h|seconds?|minutes?|hours?|times|"
        r"degrees?|seeds|[kKMG]i?B|HU|mm|cm|m?rad|k?Hz|keV)(?!\w)")
KEPT = re.compile(rf"(?<=[\d{FORMULA}])\s(?={UNIT})|\s?±\s?|×\s(?=\d)|\s[=≈<>≤≥]\s(?=[-−+]?[\d{FORMULA}])"
                  r"|\b(?:[Ff]ig(?:ure|\.)|[Tt]able|[Cc]hapters?|[Ss]ections?|[Ee]xercises?|[Ee]quations?)\s(?=\(?\d)")
CAPTION = re.compile(r'(<span class="caption-number">\w+) ')
# Links to other pages, except those that are numbers already, as (3.1)
LINK = re.compile(r'(<a class="reference internal" href="([^"#]+)[^"]*")>(<span class="(?:doc|std std-ref)">)'
                  r'(?!\()([^<]*)(?=</span></a>(</p>|</h|<a class="headerlink)?)')


def together(text: str) -> str:
    """The same characters, with a no-break space wherever a number would leave its unit, its sign or its "n ="."""
    return KEPT.sub(lambda match: re.sub(r"\s", "\xa0", match[0]), text)


def results(body: str) -> str:
    """The body, with the same in the tables and claims that cells show."""
    def kept(match):
        return re.sub(r"(?<=>)[^<]+", lambda text: together(text[0]), match[0])
    return re.sub(r'(?s)<div class="claim">.*?</div>|<table class="numbers">.*?</table>', kept, body)


def caption(body: str) -> str:
    """The body, in whose captions the number stays with its word."""
    return CAPTION.sub("\\1\xa0", body)


def chapter_links(app, pagename: str, body: str) -> str:
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


class Numbers(SphinxPostTransform):
    """Together also where a part of it came out of a cell."""

    default_priority = 900  # after references and glued numbers have their text
    formats = ("html",)

    def run(self, **kwargs):
        code = nodes.literal_block, nodes.math_block, nodes.raw
        for block in self.document.findall(nodes.TextElement):
            if isinstance(block, code) or isinstance(block.parent, nodes.TextElement):
                continue
            parts = [node for node in block.findall(lambda n: isinstance(n, (nodes.Text, nodes.math, nodes.raw)))
                     if not isinstance(node.parent, nodes.math)]
            texts = [FORMULA if isinstance(node, nodes.math) else CODE if isinstance(node.parent, nodes.literal)
                     or isinstance(node, nodes.raw) else node.astext() for node in parts]
            kept, at = together("".join(texts)), 0
            for node, text in zip(parts, texts):
                if kept[at:at + len(text)] != text:
                    node.parent.replace(node, nodes.Text(kept[at:at + len(text)]))
                at += len(text)


class Unpickled:
    """An environment that reads each page once, for those who only look a number up in it."""

    def __init__(self, env):
        self.env, self.get_doctree = env, lru_cache(env.get_doctree)

    def __getattr__(self, name):
        return getattr(self.env, name)


resolve, unpickled = StandardDomain._resolve_numref_xref, lru_cache(1)(Unpickled)


def resolve_numref(domain, env, *reference):
    """A reference by number. Sphinx itself unpickles the page that it leads to each time: a tenth of a build."""
    return resolve(domain, unpickled(env), *reference)


def setup(app):
    app.add_post_transform(Numbers)
    StandardDomain._resolve_numref_xref = resolve_numref
