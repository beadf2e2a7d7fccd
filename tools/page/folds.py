"""Admonitions of the class `dropdown` are folds.

A fold is a <details>: browsers open it for their own find, for links into it, and without scripts.
"""
import re

from docutils import nodes
from sphinx.transforms.post_transforms import SphinxPostTransform


class fold(nodes.Element):
    """An admonition of the class dropdown."""


class Folds(SphinxPostTransform):
    default_priority = 900  # after sphinx-exercise has written the titles of its solutions
    formats = ("html",)

    def run(self, **kwargs):
        for node in list(self.document.findall(nodes.Admonition)):
            if "dropdown" in node["classes"]:
                title = node.pop(0) if isinstance(node[0], nodes.title) else nodes.title("", node.tagname.capitalize())
                node.replace_self(fold("", title, *node.children, ids=node["ids"], classes=node["classes"]))


def visit_fold(translator, node):
    translator.body.append(translator.starttag(node, "details", CLASS="admonition"))
    translator.body.append('<summary class="admonition-title">')
    start = len(translator.body)
    for part in node.pop(0).children:
        part.walkabout(translator)
    title = re.sub(r"</?a\b[^>]*>", "", "".join(translator.body[start:]))  # no link within what is pressed
    translator.body[start:] = [title, "</summary>\n"]


def depart_fold(translator, node):
    translator.body.append("</details>\n")


def setup(app):
    app.add_node(fold, html=(visit_fold, depart_fold))
    app.add_post_transform(Folds)
