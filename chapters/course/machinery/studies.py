"""What studies stored: rows in studies/results, weights in chapters/weights. Torch where asked: the engine asks too."""
import csv
from functools import lru_cache
from pathlib import Path

RESULTS = Path(__file__).resolve().parents[3] / "studies/results"
WEIGHTS = Path(__file__).resolve().parents[2] / "weights"
WORDS = {"True": True, "False": False}


def value(text: str):
    """A cell of a CSV file as a whole number, a float, True or False, or else the text itself."""
    for kind in (int, float, WORDS.__getitem__):
        try:
            return kind(text)
        except (ValueError, KeyError):
            continue
    return text


@lru_cache(maxsize=8)
def lines(path: Path, changed: int) -> tuple[list[str], list[list]]:
    """The columns' names and the rows of a CSV file; `changed`, its time, makes a new version be read anew."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        header, *found = csv.reader(file)
    return header, [list(map(value, line)) for line in found]


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
    header, found = lines(path, path.stat().st_mtime_ns)
    for column, wanted in where.items():
        if column not in header:
            raise ValueError(f"{column}: no column of study {name!r}, wanted one of {', '.join(header)}")
        before, found = found, [row for row in found if row[header.index(column)] == wanted]
        if not found:
            there = ", ".join(sorted({str(row[header.index(column)]) for row in before}))
            raise ValueError(f"{column}: got {wanted!r}, wanted a value in the rows of {name!r}: {there}")
    return {column: [row[i] for row in found] for i, column in enumerate(header)}


def weights(name: str) -> dict:
    """The weights of a network that a study trained, as `load_state_dict` takes them: {name: tensor}.

    Parameters
    ----------
    name : str                   of the network: chapters/weights/NAME.npz

    Raises
    ------
    FileNotFoundError            if no such network is stored

    Notes: kept in float16, given in float32. `make weights` trains and stores what studies name in KEEP.
    """
    import numpy as np
    import torch
    path = WEIGHTS / f"{name}.npz"
    if not path.exists():
        there = ", ".join(sorted(p.stem for p in WEIGHTS.glob("[!.]*.npz"))) or "none"
        raise FileNotFoundError(f"weights {name!r}: not stored; wanted one of those that are: {there}")
    with np.load(path) as file:
        return {part: torch.from_numpy(file[part]).float() for part in file.files if part != "row"}
