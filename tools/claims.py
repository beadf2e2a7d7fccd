"""Run what the claims of the book rest on, with any seeds, and say which verdicts change.

    SEED_OFFSET=1000 python tools/claims.py [CHAPTER ...] [--rows FOLDER]

Executes the chapters that claim something and stores nothing. A cell that fails is listed, the others still run.
Claims that rest on a study take its rows from the folder where there are some, as `make studies SEEDS=1000-1004
STORE=FOLDER` left them, else the stored ones.
"""
import argparse
import os
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

from nbformat.v4 import new_code_cell

import ledger
import notebooks
import refresh

STORED = refresh.ROOT / "studies/results"
# Before the first cell of a chapter: another folder of rows
ROWS = "import pathlib, course.studies; course.studies.rows.__kwdefaults__['folder'] = pathlib.Path({!r})"


def laid_over(folder: Path, into: Path) -> list[str]:
    """Links to all stored rows, and to those of the folder in their place; the names of its studies."""
    others = {path.name: path.resolve() for path in folder.glob("*.csv") if (STORED / path.name).exists()}
    if not others:
        raise ValueError(f"{folder}: no rows of a study of this book, wanted some as `make studies "
                         f"SEEDS=1000-1004 STORE={folder}` leaves them")
    for name, path in ({path.name: path for path in STORED.glob("*.csv")} | others).items():
        (into / name).symlink_to(path)
    return sorted(Path(name).stem for name in others)


def run(path: Path, rows: Path | None) -> tuple[list[dict], list[str]]:
    """Execute a chapter; the records of its claims, and the errors of its cells."""
    notebook = notebooks.read(path)
    notebooks.clear(notebook)
    if rows:
        notebook.cells.insert(0, new_code_cell(ROWS.format(str(rows))))
    refresh.kernel(notebook, path.parent, allow_errors=True).execute()
    outputs = notebooks.outputs(notebook)
    return notebooks.records(outputs), [f"{path.stem}: {notebooks.raised(out, out.traceback)}"
                                        for out in outputs if out.output_type == "error"]


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("chapters", nargs="*")
    ap.add_argument("--rows", type=Path)
    ap.add_argument("--jobs", type=int, default=2)
    args = ap.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    with tempfile.TemporaryDirectory() as rows, ProcessPoolExecutor(args.jobs) as pool:
        try:
            paths = [p for p in notebooks.choose(args.chapters) if "course.claim(" in notebooks.read_text(p)]
            others = args.rows and laid_over(args.rows, Path(rows))
        except ValueError as e:
            sys.exit(str(e))
        results = list(pool.map(partial(run, rows=args.rows and Path(rows)), paths))
    print(f"seeds from {os.environ.get('SEED_OFFSET', '0')} on"
          + (f", rows of {args.rows}: {', '.join(others)}" if others else ""))
    stored = {r["name"]: r["words"] for r in notebooks.claims()}
    found = [(path.stem, r) for path, (records, _) in zip(paths, results) for r in records]
    for chapter, r in found:
        print(ledger.line([chapter, r["name"], r["words"], "; ".join(ledger.measured(r))]))
    others = [r["name"] for _, r in found if r["words"] != stored.get(r["name"])]
    print(f"{len(others)} of {len(found)} verdicts are not those of the page" + "".join(f"\n- {n}" for n in others))
    if errors := [error for _, errors in results for error in errors]:
        sys.exit("\n".join(errors))


if __name__ == "__main__":
    main()
