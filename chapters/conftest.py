"""How nbval compares a chapter with what is stored: by tools/compare.py.

Stock nbval compares text byte for byte, ignores pictures and passes a cell that was never run.
"""
from pathlib import Path

import pytest
from nbval.plugin import IPyNbCell, IPyNbFile

import compare
import notebooks

ROOT = Path(__file__).parent.parent


class TolerantCell(IPyNbCell):
    """A notebook cell as a test; nbval runs it, tools/compare.py judges it."""

    def runtest(self):
        if self.cell.execution_count is None:
            self.raise_cell_error("the stored cell was never run: nothing to compare with", self.cell.source)
        super().runtest()

    def compare_outputs(self, test, ref, skip_compare=None):
        self.comparison_traceback = compare.complaints(self.cell, test)
        return not self.comparison_traceback


class Chapter(IPyNbFile):
    """A notebook whose cells are tolerant, and numbered as Jupyter shows them: from [1]."""

    def collect(self):
        for cell in super().collect():
            number = cell.cell_num + 1
            yield TolerantCell.from_parent(self, name=f"cell [{number}]", cell_num=number, cell=cell.cell,
                                           options=cell.options)


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
