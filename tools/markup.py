"""Sphinx extension: pages whose markup is valid, and explorables that are complete on paper too."""
import copy
import json
import re

from bs4 import BeautifulSoup
from docutils import nodes
from myst_nb.sphinx_ import HideCodeCellNode, depart_HideCellInput, visit_HideCellInput
from sphinx.transforms.post_transforms import SphinxPostTransform

FORMULA, CODE = "\ufffc", "\ufffb"  # stand for what is no text
# Where a line may not break, as a match whose spaces are to be replaced: before a unit, around ± and × and relations of
# numbers, behind a word that a number belongs to.
UNIT = (r"(?:%|‰|°|×|dB|px|pixels?|voxels?|ms|s|min|h|seconds?|minutes?|hours?|times|"
        r"degrees?|seeds|[kKMG]i?B|HU|mm|cm|m?rad|k?Hz|keV)(?!\w)")
KEPT = re.compile(rf"(?<=[\d{FORMULA}])\s(?={UNIT})|\s?±\s?|×\s(?=\d)|\s[=≈<>≤≥]\s(?=[-−+]?[\d{FORMULA}])"
                  r"|\b(?:[Ff]ig(?:ure|\.)|[Tt]able|[Cc]hapters?|[Ss]ections?|[Ee]xercises?|[Ee]quations?)\s(?=\(?\d)")
CONTENTS = (["exercise-content"], ["solution-content"])  # the ids of what sphinx-exercise calls a section
CAPTION = re.compile(r'(<span class="caption-number">\w+) ')
EXPLORABLE = re.compile(r'<figure class="explore".*?</figure>', re.S)


# Explorables on paper

def on_paper(match) -> str:
    """An explorable with what takes its place in print: up to six frames, the first and the last among them.

    On a screen they are not shown, and cost no byte: their picture is the one that is there.
    """
    page = BeautifulSoup(match[0], "html.parser")
    figure, frame, controls = page.figure, page.select_one(".explore-frame"), page.select("input, select")
    rows, columns = map(int, figure["data-shape"].split())
    said, caption = [together(text) for text in json.loads(figure["data-said"])], figure.figcaption
    for text in (caption, *page.select(".explore-said")):
        text.string = together(text.text)
    figure["data-said"] = json.dumps(said, ensure_ascii=False)
    names = [control.find_previous_sibling("span").text for control in controls]
    values = [[option.text for option in c("option")] or json.loads(c["data-values"]) for c in controls]
    items = page.new_tag("ul", attrs={"class": "explore-paper"})
    for i in sorted({round(k * (len(said) - 1) / 5) for k in range(6)}):
        case = together(", ".join(f"{name} {of[at]}" for name, of, at in zip(names, values, divmod(i, columns))))
        item, text = page.new_tag("li"), page.new_tag("p")
        if frame:
            shown = copy.copy(frame)
            for picture in shown.select("[data-by=night]"):
                picture.decompose()
            tall = 100 * (int(frame.img["height"]) / rows) / (int(frame.img["width"]) / columns)
            margin = f"{-tall * (i // columns):g}% 0 {-tall * (rows - 1 - i // columns):g}% {-100 * (i % columns)}%"
            shown.img["style"] = re.sub(r"margin: .*", f"margin: {margin}", frame.img["style"])
            shown.img["alt"] = f"{case}. {caption.text}"
            item.append(shown)
        text.append(page.new_tag("b", string=case))
        text.append(f": {said[i]}" if said[i] else "")
        item.append(text)
        items.append(item)
    caption.insert_before(items)
    return str(page)


def together(text: str) -> str:
    """The same characters, with a no-break space wherever a number would leave its unit, its sign or its "n ="."""
    return KEPT.sub(lambda match: re.sub(r"\s", "\xa0", match[0]), text)


def on_page(app, pagename, template, context, doctree):
    if body := context.get("body"):
        context["body"] = CAPTION.sub("\\1\xa0", EXPLORABLE.sub(on_paper, body))


# Valid HTML

class box(nodes.Element):
    """A plain <div>."""


class Boxes(SphinxPostTransform):
    """What an exercise or a solution contains is no section: it has no heading, and its id is that of all others."""

    default_priority = 800
    formats = ("html",)

    def run(self, **kwargs):
        for node in list(self.document.findall(nodes.section)):
            if node["ids"] in CONTENTS:
                node.replace_self(box("", *node.children))


class Numbers(SphinxPostTransform):
    """Numbers stay in one line with what they belong to, also where a part of it came out of a cell."""

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


def visit_box(translator, node):
    translator.body.append("<div>\n")


def depart_box(translator, node):
    translator.body.append("</div>\n")


def visit_hidden_code(translator, node):
    """As myst-nb writes it, without paragraphs in a summary, which HTML does not allow."""
    start = len(translator.body)
    visit_HideCellInput(translator, node)
    translator.body[start:] = [re.sub(r"(</?)p\b", r"\1span", part) for part in translator.body[start:]]


def setup(app):
    app.add_node(box, html=(visit_box, depart_box))
    app.add_node(HideCodeCellNode, override=True, html=(visit_hidden_code, depart_HideCellInput))
    app.add_post_transform(Boxes)
    app.add_post_transform(Numbers)
    app.connect("html-page-context", on_page, priority=950)  # after `light`, which makes files of the frames
    return {"parallel_read_safe": True, "parallel_write_safe": True}
