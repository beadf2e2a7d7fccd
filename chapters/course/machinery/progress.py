"""Bars for cells that take longer than a moment, where a person watches; no trace of them stays."""
import time
from dataclasses import dataclass, field
from html import escape

from IPython import get_ipython
from IPython.display import display

PATIENCE, PERIOD = 1.5, 0.25  # seconds before a bar appears, and between two looks of it


@dataclass
class Bar:
    """A loop: what it counts, how many there are, how many are done, since when."""

    what: str
    total: int
    done: int = 0
    start: float = field(default_factory=time.monotonic)

    def html(self) -> str:
        said = f"{self.what} {self.done} of {self.total}"
        if self.done:
            left = (time.monotonic() - self.start) / self.done * (self.total - self.done)
            said += f", about {left:.0f} s left"
        return f'<div><progress max="{self.total}" value="{self.done}"></progress> {escape(said)}</div>'


class Cell:
    """The bars of the cell at work, one for each loop within a loop, in one output of it."""

    def __init__(self):
        self.bars, self.output, self.start, self.drawn = [], None, 0.0, 0.0

    def draw(self):
        now = time.monotonic()
        if min(now - self.start - PATIENCE, now - self.drawn - PERIOD) < 0:
            return
        self.drawn, shown = now, {"text/html": "".join(bar.html() for bar in self.bars)}
        if self.output:
            self.output.update(shown, raw=True)
        else:
            self.output = display(shown, raw=True, display_id=True)

    def begin(self, *_):
        self.bars, self.output, self.start = [], None, time.monotonic()

    def end(self, *_):
        """Take the bars away, also after an interruption or an error."""
        if self.output:
            self.output.update({"text/plain": ""}, raw=True)
        self.bars, self.output = [], None


CELL = Cell()


def watched() -> bool:
    """Whether a person runs this cell: programs that execute notebooks do not let a cell ask for input."""
    kernel = getattr(get_ipython(), "kernel", None)
    return bool(kernel and kernel.get_parent("shell").get("content", {}).get("allow_stdin"))


def progress(items, what: str):
    """The items, one after the other, with a bar below the cell if it takes long and a person watches.

    Parameters
    ----------
    items : sequence             what a loop goes through
    what : str                   what is counted, "updates"
    """
    if not watched():
        yield from items
        return
    events = get_ipython().events
    if CELL.end not in events.callbacks["post_run_cell"]:
        events.register("pre_run_cell", CELL.begin)
        events.register("post_run_cell", CELL.end)
        CELL.begin()
    bar = Bar(what, len(items))
    CELL.bars.append(bar)
    try:
        for item in items:
            CELL.draw()
            yield item
            bar.done += 1
    finally:
        if bar in CELL.bars:
            CELL.bars = CELL.bars[:CELL.bars.index(bar)]
