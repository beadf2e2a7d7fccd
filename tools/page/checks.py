"""Questions that are checked: ```{check} and ```{predict}, see chapters/course/machinery/checks.py."""
from docutils import nodes
from docutils.statemachine import StringList
from sphinx.util.docutils import SphinxDirective

from notebooks import answers


class answer_check(nodes.Element):
    """A question, with its choices as a list; answers.js adds the field."""


def shown(check) -> list[str]:
    """The question and its choices as Markdown, for the page and for the student edition."""
    question = f"**{'Predict first' if check.first else 'Check'}.** {check.question}"
    if check.kind != "choice":
        return [question]
    return [question, "\n".join(f"- ({answers()['letter'](i)}) {text}" for i, (text, _) in enumerate(check.misses))]


class Question(SphinxDirective):
    required_arguments, has_content = 1, True

    def run(self):
        name = self.arguments[0]
        try:
            check = answers()["parsed"](self.name, name, "\n".join(self.content))
        except ValueError as e:
            raise self.error(str(e)) from None
        misses = [hint for _, hint in check.misses] if check.kind == "choice" else check.misses
        table = [check.kind, check.names, check.right, misses, check.why, check.first, answers()["like"](check),
                 check.written]  # the last is for paper
        node = answer_check("", ids=[f"answer-{name}"], table=answers()["encoded"](table))
        lines = "\n\n".join(shown(check)).split("\n")
        self.state.nested_parse(StringList(lines, self.content.source(0)), self.content_offset, node)
        return [node]


def visit(translator, node):
    translator.body.append(f'<answer-check id="{node["ids"][0]}" data-table="{node["table"]}">\n')


def depart(translator, node):
    translator.body.append("</answer-check>\n")


def setup(app):
    app.add_node(answer_check, html=(visit, depart))
    for name in ("check", "predict"):
        app.add_directive(name, Question)
