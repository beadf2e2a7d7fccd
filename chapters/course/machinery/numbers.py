"""Numbers over seeds: how they are drawn, printed and kept for the prose."""
import html
import math
import os
from collections.abc import Sequence

import torch
from IPython.display import display

from .progress import progress, watched

BEST = {"low": "★ the lowest of each column", "high": "★ the highest of each column",
        "low of row": "★ the lowest of each row", "high of row": "★ the highest of each row"}


class Seeds(Sequence):
    """Numbers in a row, as a range; a loop over them shows how far it is where a person watches."""

    def __init__(self, numbers: range):
        self.numbers = numbers

    def __len__(self):
        return len(self.numbers)

    def __getitem__(self, at):
        return Seeds(self.numbers[at]) if isinstance(at, slice) else self.numbers[at]

    def __iter__(self):
        return progress(self.numbers, "seeds")

    def __repr__(self):
        return f"seeds {self.numbers[0]} to {self.numbers[-1]}" if self.numbers else "no seeds"


def seeds(count: int = 5) -> Seeds:
    """The seeds of an experiment: `count` in a row, from 0, or from SEED_OFFSET where the environment has it.

    Raises
    ------
    ValueError                   if count is not positive or SEED_OFFSET is no whole number
    """
    if count < 1:
        raise ValueError(f"count: got {count}, wanted at least one seed")
    offset = os.environ.get("SEED_OFFSET", "0")
    if not offset.isdecimal():
        raise ValueError(f"SEED_OFFSET: got {offset!r}, wanted a whole number, 0 or more")
    return Seeds(range(int(offset), int(offset) + count))


def row_of_numbers(values) -> torch.Tensor:
    """Two or more numbers as a float64 tensor (n,); ValueError for anything else."""
    v = torch.as_tensor(values, dtype=torch.float64)
    if v.ndim != 1 or len(v) < 2:
        raise ValueError(f"values: got shape {tuple(v.shape)}, wanted two or more numbers in a row")
    return v


def spread(values) -> str:
    """'n = 10, mean 0.02841 ± 0.00153, range 0.02568 to 0.03015': four significant digits, sd with n − 1."""
    v = row_of_numbers(values)
    return f"n = {len(v)}, mean {v.mean():#.4g} ± {v.std():#.4g}, range {v.min():#.4g} to {v.max():#.4g}"


def mean_sd(values) -> str:
    """'0.7943 ± 0.0421': the mean with four significant digits, the sd (n − 1) to the same place."""
    v = row_of_numbers(values)
    mean = f"{v.mean():#.4g}".rstrip(".")
    if "e" in mean:
        return f"{mean} ± {v.std():.3e}"
    return f"{mean} ± {v.std():.{len(mean.partition('.')[2])}f}"


def as_html(caption: str, lines: list[list[str]]) -> str:
    """A table as HTML, its first line the columns' names, the first entry of each other one the row's."""
    (_, *columns), *rows = [[html.escape(text) for text in line] for line in lines]
    head = "<td></td>" + "".join(f'<th scope="col">{name}</th>' for name in columns)
    body = ""
    for name, *row in rows:
        cells = (f"<td><b>{text}</b></td>" if "★" in text else f"<td>{text}</td>" for text in row)
        body += f'<tr><th scope="row">{name}</th>{"".join(cells)}</tr>\n'
    return (f'<table class="numbers">\n<caption>{html.escape(caption)}</caption>\n<thead><tr>{head}</tr></thead>\n'
            f"<tbody>\n{body}</tbody>\n</table>")


def as_text(caption: str, lines: list[list[str]]) -> str:
    """The same as text, in columns."""
    widths = [max(map(len, column)) for column in zip(*lines)]
    rows = ((text.ljust(w) if i == 0 else text.rjust(w) for i, (text, w) in enumerate(zip(line, widths)))
            for line in lines)
    return "\n".join([caption, *("  ".join(row).rstrip() for row in rows)])


def table(rows: dict[str, dict], *, title: str = "", extremes: bool = False, caption: str = "", best: str = "") -> None:
    """Show a table of experiments over seeds: {row: {column: values over seeds, or one number}}.

    Parameters
    ----------
    caption : str                what the numbers are, with unit: a sentence
    best : str                   which values get a star: "low" or "high" of each column, "low of row", "high of row".
                                 Not where trainings of the cell end close together: another machine may turn them round
    extremes : bool              add the range over seeds in brackets; one or two columns fit the page then
    title : str                  in place of a caption: print the table as text, as older chapters do

    Raises
    ------
    ValueError                   if the rows have different columns, or best is another word
    """
    columns = list(next(iter(rows.values())))
    if any(list(row) != columns for row in rows.values()):
        raise ValueError(f"table: got rows with columns {[list(row) for row in rows.values()]}, wanted the same in all")
    if best not in ("", *BEST):
        raise ValueError(f"best: got {best!r}, wanted {' or '.join(BEST)}")

    def cell(values) -> str:
        v = torch.as_tensor(values, dtype=torch.float64)
        if v.ndim == 0:
            return f"{v:#.4g}".rstrip(".")
        return mean_sd(v) + (f" [{v.min():#.4g}, {v.max():#.4g}]" if extremes else "")

    lines = [list(map(cell, row.values())) for row in rows.values()]
    if best:
        means = torch.tensor([[torch.as_tensor(v, dtype=torch.float64).mean() for v in row.values()]
                              for row in rows.values()])
        edge = (torch.amin if "low" in best else torch.amax)(means, dim=int("row" in best), keepdim=True)
        lines = [[f"★ {text}" if star else text for text, star in zip(*both)] for both in zip(lines, means == edge)]
    lines = [["", *columns], *([name, *line] for name, line in zip(rows, lines))]
    counts = sorted({torch.as_tensor(v).numel() for row in rows.values() for v in row.values()} - {1})
    said = [f"n = {' or '.join(map(str, counts))}, mean ± sd{' [range]' if extremes else ''}"] if counts else []
    if not caption:
        return print(as_text(", ".join([*[title] * bool(title), *said]), lines))
    caption = " ".join(part.rstrip(".") + "." for part in (caption, *said, BEST.get(best)) if part)
    display({"text/html": as_html(caption, lines), "text/plain": as_text(caption, lines)}, raw=True)


def glue(name: str, value) -> None:
    """Store a number or word in the notebook under a name, for the prose: {glue:text}`name:.3f`.

    Parameters
    ----------
    value : int, float, str, a tensor of one element, or values over seeds, which are kept as mean ± sd

    Raises
    ------
    ValueError                   if a number is not finite, or the values are no row

    Notes: the record that MyST-NB's own `glue` stores, without importing Sphinx into the kernel.
    """
    if hasattr(value, "item") and math.prod(value.shape) == 1:
        value = value.item()
    if not isinstance(value, int | float | str):
        value = mean_sd(value)
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"glue {name!r}: got {value}, wanted a finite number")
    if watched():
        return  # a person needs no record, and some programs show an empty one as an error
    prefix = "application/papermill.record/"
    display({prefix + "text/plain": repr(value)}, raw=True,
            metadata={"scrapbook": {"name": name, "mime_prefix": prefix}})
