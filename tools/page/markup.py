"""Pages whose markup is valid HTML; what the theme does to it is mended in theme.py."""
import re

from docutils import nodes
from myst_nb.sphinx_ import HideCodeCellNode, depart_HideCellInput, visit_HideCellInput
from sphinx.transforms.post_transforms import SphinxPostTransform

# What folded code is called, by what stands in it
FOLDED = {r"^import ": "imports", r"\brows\(": "rows of a study",
          r"\b(plt\.show|course\.(show|explore|diagram))\(": "the figure", r"\bcourse\.table\(": "the table",
          r"\bcourse\.claim\(": "the verdict", r"^\s*assert ": "a check",
          r"\bcourse\.glue\(": "numbers for the text"}
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
    """As myst-nb writes it, without paragraphs in a summary, which HTML does not allow; it says what is folded."""
    code = node.astext()
    what = ", ".join(said for sign, said in FOLDED.items() if re.search(sign, code, re.M)) or "bookkeeping"
    node["prompt_show"], node["prompt_hide"] = f"Code: {what}", f"Hide the code: {what}"
    start = len(translator.body)
    visit_HideCellInput(translator, node)
    translator.body[start:] = [re.sub(r"(</?)p\b", r"\1span", part) for part in translator.body[start:]]


def setup(app):
    app.add_node(box, html=(visit_box, depart_box))
    app.add_node(HideCodeCellNode, override=True, html=(visit_hidden_code, depart_HideCellInput))
    app.add_post_transform(Boxes)
