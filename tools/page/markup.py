"""Pages whose markup is valid HTML; what the theme does to it is mended in theme.py."""
import re

from docutils import nodes
from myst_nb.sphinx_ import HideCodeCellNode, depart_HideCellInput, visit_HideCellInput
from sphinx.transforms.post_transforms import SphinxPostTransform

CONTENTS = (["exercise-content"], ["solution-content"])  # the ids of what sphinx-exercise calls a section


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
