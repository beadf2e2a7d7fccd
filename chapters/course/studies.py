"""The rows of a study, as `make studies` stored them in studies/results. Without torch, because the engine asks too."""
import csv
from pathlib import Path

RESULTS = Path(__file__).resolve().parents[2] / "studies/results"
WORDS = {"True": True, "False": False}


def value(text: str):
    """A cell of a CSV file as a whole number, a float, True or False, or else the text itself."""
    for kind in (int, float, WORDS.__getitem__):
        try:
            return kind(text)
        except (ValueError, KeyError):
            continue
    return text


def rows(name: str, *, folder: Path = RESULTS, **where) -> dict[str, list]:
    """The stored rows of a study as columns: {column: values}, in the order of the file.

    Parameters
    ----------
    name : str                   of the study: studies/NAME.py
    folder : Path                where its rows are
    where                        keep only rows with these values: task="blur", updates=480

    Raises
    ------
    FileNotFoundError            if the study has no rows
    ValueError                   if there is no such column, or no row with these values
    """
    path = folder / f"{name}.csv"
    if not path.exists():
        there = ", ".join(sorted(p.stem for p in folder.glob("*.csv") if "." not in p.stem)) or "none"
        raise FileNotFoundError(f"study {name!r}: no rows stored; wanted one of those that have some: {there}")
    with path.open(encoding="utf-8-sig", newline="") as file:
        lines = csv.reader(file)
        header, found = next(lines), [list(map(value, line)) for line in lines]
    for column, wanted in where.items():
        if column not in header:
            raise ValueError(f"{column}: no column of study {name!r}, wanted one of {', '.join(header)}")
        there = sorted({str(row[header.index(column)]) for row in found})
        found = [row for row in found if row[header.index(column)] == wanted]
        if not found:
            raise ValueError(f"{column}: got {wanted!r}, wanted a value in the rows of {name!r}: {', '.join(there)}")
    return {column: [row[i] for row in found] for i, column in enumerate(header)}
