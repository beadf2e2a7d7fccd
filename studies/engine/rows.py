"""A study, its grid, and its rows in a CSV file that git can show line by line."""
import contextlib
import csv
import fcntl
import hashlib
import importlib
import inspect
import io
import itertools
import runpy
from dataclasses import dataclass
from pathlib import Path

import reach

from . import ROOT

RESULTS = ROOT / "studies/results"
FIXED = "seconds", "device", "threads", "torch", "code", "digest"  # the last columns of every file
value = runpy.run_path(str(ROOT / "chapters/course/machinery/studies.py"))["value"]  # the package itself imports torch


class StudyError(Exception):
    """One sentence on what is wrong with a study, its rows or the command; shown without a traceback."""


def grid(**values) -> list[dict]:
    """All combinations of the values of each argument. Grids are joined by +.

    Parameters
    ----------
    values                       a list for each argument of `run` but the seed: whole numbers, floats, words, booleans.
                                 A tuple in a list is one value: its rows come out of one training. `run` gets the
                                 tuple, or those of it that are missing, and returns a list with a dict for each

    Raises
    ------
    ValueError                   for an empty list, a value given twice, or one that a CSV file would not give back
    """
    for name, given in values.items():
        if isinstance(given, str) or not given or len(set(map(repr, given))) < len(given):
            raise ValueError(f"{name}: got {given!r}, wanted a list of different values")
        for one in itertools.chain(*(v if isinstance(v, tuple) else (v,) for v in given)):
            if type(one) not in (int, float, str, bool) or repr(value(text(one))) != repr(one) or "\n" in text(one):
                raise ValueError(f"{name}: got {one!r}, wanted a number, a boolean or a word that reads as none")
        if falling := [v for v in given if isinstance(v, tuple) and list(v) != sorted(set(v))]:
            raise ValueError(f"{name}: got {falling[0]}, wanted increasing values")
    return [dict(zip(values, chosen)) for chosen in itertools.product(*values.values())]


def text(one) -> str:
    """A cell; floats with all digits that they need to be read back."""
    return one if isinstance(one, str) else repr(one)


def flat(cell: dict) -> list[dict]:
    """A cell of the grid as the rows that it gives: one for each value of its tuple."""
    return [dict(zip(cell, one)) for one in
            itertools.product(*(v if isinstance(v, tuple) else (v,) for v in cell.values()))]


def words(arguments: dict) -> str:
    """'task=blur, updates=480'"""
    return ", ".join(f"{name}={value}" for name, value in arguments.items())


@dataclass
class Study:
    """A file of studies/: its question, its grid, how many seeds it wants, and the fingerprint of its code."""

    name: str
    question: str
    grid: list[dict]
    seeds: range
    arguments: list[str]
    code: str
    checkpoints: str | None  # the argument that has tuples

    def key(self, row: dict) -> tuple:
        return tuple(row[name] for name in self.arguments)


def names(root: Path = ROOT) -> list[str]:
    """The studies of the book."""
    return sorted(p.stem for p in (root / "studies").glob("*.py") if p.stem.isidentifier() and p.stem[0] != "_")


def load(name: str) -> Study:
    """The study of this name; StudyError if its file is none."""
    try:
        code = reach.of_study(name, ROOT)
        module = importlib.import_module(f"studies.{name}")
    except Exception as e:  # whatever the file does
        raise StudyError(f"studies/{name}.py: {type(e).__name__}: {e}") from e
    wrong = [what for what in ("__doc__", "GRID", "run") if not getattr(module, what, None)]
    if wrong:
        raise StudyError(f"studies/{name}.py: got no {' and no '.join(wrong)}, wanted a docstring, GRID and run")
    parameters = inspect.signature(module.run).parameters.values()
    wanted = [p.name for p in parameters]
    if any(p.kind is not p.KEYWORD_ONLY for p in parameters) or any([*cell, "seed"] != wanted for cell in module.GRID):
        cells = sorted({", ".join(cell) for cell in module.GRID})
        raise StudyError(f"studies/{name}.py: got GRID with {' or '.join(cells)} and run({', '.join(wanted)}), wanted "
                         "the same names in both, in one order, run with a star before them and the seed behind")
    if taken := set(wanted) & set(FIXED):
        raise StudyError(f"studies/{name}.py: got an argument {taken.pop()!r}, wanted none of {', '.join(FIXED)}")
    tuples = sorted({k for cell in module.GRID for k, v in cell.items() if isinstance(v, tuple)})
    rows = [tuple(row.values()) for cell in module.GRID for row in flat(cell)]
    if len(tuples) > 1 or len(set(rows)) < len(rows):
        raise StudyError(f"studies/{name}.py: got GRID with tuples in {' and '.join(tuples) or 'nothing'} and "
                         f"{len(rows) - len(set(rows))} rows twice, wanted tuples in one argument and each row once")
    return Study(name, " ".join(module.__doc__.split("\n\n")[0].split()), module.GRID,
                 range(getattr(module, "SEEDS", 5)), wanted, code, tuples[0] if tuples else None)


def digest(cells: dict[str, str]) -> str:
    """Over all fields of a row that are not empty, but the digest itself."""
    told = "\n".join(f"{name}={cell}" for name, cell in sorted(cells.items()) if name != "digest" and cell)
    return hashlib.sha256(told.encode()).hexdigest()[:12]


class Rows:
    """The stored rows of a study: {arguments: {column: text}}. Without a folder nothing is read or written.

    Raises
    ------
    StudyError                   naming file and line, if the file cannot be read as rows of this study
    """

    def __init__(self, study: Study, folder: Path | None = RESULTS):
        self.study, self.path = study, folder and folder / f"{study.name}.csv"
        self.rows: dict[tuple, dict[str, str]] = {}
        self.cells = {tuple(row.values()) for cell in study.grid for row in flat(cell)}
        if folder and self.path.exists():
            self.read()

    def read(self) -> None:
        def wrong(line, got, wanted):
            return StudyError(f"{self.path.name}, line {line}: got {got}, wanted {wanted}")

        try:
            lines = self.path.read_text(encoding="utf-8-sig").splitlines()
        except UnicodeDecodeError as e:
            raise StudyError(f"{self.path.name}: byte {e.start} is no UTF-8, wanted text in UTF-8") from None
        for i, line in enumerate(lines, 1):
            if line.startswith(("<<<<<<<", "=======", ">>>>>>>", "|||||||")):
                raise wrong(i, f"the marker of a merge {line[:7]!r}", "rows: take one side, then make studies")
        header, *lines = list(csv.reader(lines)) or [[]]
        if lost := [c for c in (*self.study.arguments, *FIXED) if c not in header]:
            raise wrong(1, f"no column {', '.join(lost)}",
                        "the arguments of run and the fixed columns: mend it, or delete the file and make studies")
        for i, line in enumerate(lines, 2):
            if len(line) != len(header):
                raise wrong(i, f"{len(line)} fields", f"{len(header)} as in the first line")
            cells = dict(zip(header, line))
            key = tuple(value(cells[name]) for name in self.study.arguments)
            if key in self.rows:
                raise wrong(i, f"a second row for {words(dict(zip(self.study.arguments, key)))}",
                            "one: delete the line that is too many")
            self.rows[key] = cells

    def state(self, key: tuple) -> str:
        """'missing', 'edited' (the digest does not fit), 'stale' (other code), or '' if the row is as it should be."""
        cells = self.rows.get(key)
        if cells is None:
            return "missing"
        return "edited" if digest(cells) != cells["digest"] else "stale" if cells["code"] != self.study.code else ""

    def add(self, row: dict) -> None:
        """Take a row of values, its digest yet to come."""
        cells = {name: text(one) for name, one in row.items()}
        self.rows[self.study.key(row)] = cells | {"digest": digest(cells)}

    def table(self) -> str:
        """The file: rows in the order of their arguments, numbers before words; without cells that left the grid."""
        rows = [self.rows[key] for key in sorted(self.rows, key=order) if key[:-1] in self.cells]
        seen = dict.fromkeys(itertools.chain(*rows))
        metrics = [name for name in seen if name not in (*self.study.arguments, *FIXED)
                   and any(row.get(name) for row in rows)]
        columns = [*self.study.arguments, *metrics, *FIXED]
        writer = csv.DictWriter(out := io.StringIO(), columns, "", "ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        return out.getvalue()

    def write(self) -> None:
        write(self.path, self.table())


def order(key: tuple) -> list:
    return [(isinstance(one, str), one) for one in key]


def write(path: Path, content: str | bytes) -> None:
    """Write beside the file, then rename: it is the old one or the new one, never half of either."""
    beside = path.with_name(f".{path.name}.new")
    try:
        if isinstance(content, bytes):
            beside.write_bytes(content)
        else:
            beside.write_text(content, encoding="utf-8", newline="\n")
        beside.replace(path)
    except OSError as e:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise unwritable(e, path) from None


def unwritable(error: OSError, path: Path) -> StudyError:
    return StudyError(f"{error.filename or path}: {error.strerror}; wanted a folder that can be written, with room in "
                      "it; what is stored there is kept")


@contextlib.contextmanager
def locked(folder: Path):
    """Only one run writes into a folder; the lock goes with the process that holds it, however that ends."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / ".lock").open("a")
    except OSError as e:
        raise unwritable(e, folder) from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StudyError(f"{folder}: another run writes there, wanted one at a time: wait for it, or give another "
                             "folder") from None
        yield
