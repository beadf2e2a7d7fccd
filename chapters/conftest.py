"""How nbval compares a chapter with what is stored: by tools/compare.py.

Stock nbval compares text byte for byte, ignores pictures and passes a cell that was never run.
"""
import ast
from pathlib import Path

import nbval.kernel
import pytest
from jupyter_client.manager import KernelManager
from nbformat.v4 import new_code_cell
from nbval.plugin import IPyNbCell, IPyNbFile

import compare
import notebooks
import refresh
import rerun

nbval.kernel.KernelManager = lambda **traits: KernelManager(**refresh.connection(), **traits)

ROOT = Path(__file__).parent.parent
# {name: kind of thing} in a kernel: numbers are one kind, networks another, lists and tuples a third
KINDS = """{{name: 'number' if isinstance(value, (int, float)) else 'sequence' if isinstance(value, (list, tuple))
 else 'network' if hasattr(value, 'forward') and not isinstance(value, type) else type(value).__name__
 for name, value in list({space}.items()) if name[0] != '_' and value is not None}}"""

# State of each name after a cell, and for the next one the shared random generators in a state that no chapter chose
STATES = f"""((_rerun := globals().get('_rerun') or __import__('runpy').run_path({rerun.__file__!r}))['shake']({{cell}})
 or _rerun['states'](globals()))"""
SHORT = """import course
course.fit = lambda *args, steps, **more: course.training.fit(*args, steps=min(steps, 2), **more)"""
# The code of a solution, in a copy of the names of its chapter
IN_COPY = """_spaces = globals().get('_spaces', {{}})
_spaces[{label!r}] = {{**globals()}}
exec(compile({code!r}, {label!r}, 'exec'), _spaces[{label!r}])"""
# What a table says in its line %, computed in the chapter, or where its solution has run, beside the table's answer
PROOF = """from course.machinery.checks import judged, of_chapter
_proof = of_chapter({chapter!r})[{name!r}].proof
_given = eval(_proof, globals().get('_spaces', {{}}).get({label!r}, globals()))
assert _given is True or judged({name!r}, _given)[0], (
    f'the table of {name} has another answer than its code: {{_proof}} gives {{_given}}')"""


class TolerantCell(IPyNbCell):
    """A notebook cell as a test; nbval runs it, tools/compare.py judges it."""

    def runtest(self):
        if self.cell.execution_count is None:
            self.raise_cell_error("the stored cell was never run: nothing to compare with", self.cell.source)
        if not self.parent.formed:
            return super().runtest()
        super().runtest()
        now = self.states()
        if self.parent.doubts(self.cell.source, self.parent.found, now):
            super().runtest()  # a reader who runs a cell again gets the same numbers
            now = self.states()
        self.parent.found = now

    def compare_outputs(self, test, ref, skip_compare=None):
        self.comparison_traceback = compare.complaints(self.cell, test) + self.rebound()
        return not self.comparison_traceback

    def evaluated(self, expression: str):
        reply = self.parent.kernel.kc.execute_interactive("", silent=True, timeout=60,
                                                          user_expressions={"asked": expression})
        return ast.literal_eval(reply["content"]["user_expressions"]["asked"]["data"]["text/plain"])

    def states(self) -> dict[str, int | None]:
        return self.evaluated(STATES.format(cell=self.cell_num))

    def rebound(self, space: str = "globals()") -> list[str]:
        """Names that this cell gave to another kind of thing than an earlier one; in chapters that have the form."""
        if not self.parent.formed:
            return []
        now = self.evaluated(KINDS.format(space=space))
        found = [f"the name {name!r} is a {kind} here and was a {self.parent.kinds[name]} before; wanted another name"
                 for name, kind in now.items() if self.parent.kinds.get(name, kind) != kind]
        self.parent.kinds |= now
        return found


class Solution(TolerantCell):
    """The code of a solution, after the chapter, in a copy of its names, so that no solution needs another one.

    What it prints is not compared, as trainings have two updates here.
    """

    def runtest(self):
        self.parent.kernel.kc.execute_interactive(SHORT, silent=True, timeout=60)
        self.before = self.states()
        IPyNbCell.runtest(self)

    def compare_outputs(self, test, ref, skip_compare=None):
        of_chapter = dict(self.parent.kinds)
        warned = [f"wrote to stderr: {out.text}" for out in test if out.get("name") == "stderr"]
        changed = [f"it changed {name!r}, which is the chapter's" for name, state in self.states().items()
                   if self.before.get(name) != state]
        self.comparison_traceback = warned + changed + self.rebound(f"_spaces[{self.name.split()[1]!r}]")
        self.parent.kinds = of_chapter  # two solutions may share a name
        return not self.comparison_traceback


class Answer(TolerantCell):
    """What the chapter computes for the answer of a table."""

    def runtest(self):
        IPyNbCell.runtest(self)

    def compare_outputs(self, test, ref, skip_compare=None):
        self.comparison_traceback = [f"wrote to stderr: {out.text}" for out in test if out.get("name") == "stderr"]
        return not self.comparison_traceback


class Chapter(IPyNbFile):
    """A notebook whose cells are tolerant, and numbered as Jupyter shows them: from [1]; then, from the last to the
    first, its solutions, as their order must not count; then the answers of its tables."""

    @property
    def formed(self) -> bool:
        return "form" in self.nb.metadata.get("book", {})

    def collect(self):
        self.kinds, self.doubts, self.found = {}, rerun.Doubts(), {}  # found: states as the last cell left them
        for cell in super().collect():
            number = cell.cell_num + 1
            yield TolerantCell.from_parent(self, name=f"cell [{number}]", cell_num=number, cell=cell.cell,
                                           options=cell.options)
        solutions = notebooks.solutions(self.nb) if self.formed else {}
        for label, code in reversed(solutions.items()):
            yield Solution.from_parent(self, name=f"solution {label}", cell_num=number + 1, options=cell.options,
                                       cell=new_code_cell(IN_COPY.format(label=label, code=code), execution_count=1))
        for name, check in notebooks.checks(self.nb).items() if self.formed else ():
            label = max((label for label in solutions if name == label or name.startswith(f"{label}-")), default="")
            code = PROOF.format(chapter=self.path.stem, name=name, label=label)
            if check.proof:
                yield Answer.from_parent(self, name=f"answer {name}", cell_num=number + 1, options=cell.options,
                                         cell=new_code_cell(code, execution_count=1))


def pytest_ignore_collect(collection_path):
    """Chapters alone: no sketch, no copy and nothing hidden beside them, as `_toc.yml` lists none of these."""
    if collection_path.suffix == ".ipynb" and (ROOT / "_toc.yml").exists():
        return collection_path not in notebooks.chapters(ROOT) or None
    return None


@pytest.hookimpl(wrapper=True)
def pytest_collect_file():
    collectors = yield
    for collector in collectors:
        if type(collector) is IPyNbFile:
            collector.__class__ = Chapter
    return collectors
