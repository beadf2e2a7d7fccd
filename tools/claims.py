"""Run what the claims of the book rest on, with any seeds, and say which verdicts change.

    SEED_OFFSET=1000 python tools/claims.py [CHAPTER ...]

Executes the chapters that claim something and stores nothing. A cell that fails is listed, the others still run.
"""
import argparse
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import ledger
import notebooks
import refresh


def run(path: Path) -> tuple[list[dict], list[str]]:
    """Execute a chapter; the records of its claims, and the errors of its cells."""
    notebook = notebooks.read(path)
    notebooks.clear(notebook)
    refresh.kernel(notebook, path.parent, allow_errors=True).execute()
    outputs = notebooks.outputs(notebook)
    return notebooks.records(outputs), [f"{path.stem}: {out.ename}: {out.evalue}" for out in outputs
                                        if out.output_type == "error"]


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("chapters", nargs="*")
    ap.add_argument("--jobs", type=int, default=2)
    args = ap.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    try:
        paths = [p for p in notebooks.choose(args.chapters) if "course.claim(" in notebooks.read_text(p)]
    except ValueError as e:
        sys.exit(str(e))
    with ProcessPoolExecutor(args.jobs) as pool:
        results = list(pool.map(run, paths))
    print(f"seeds from {os.environ.get('SEED_OFFSET', '0')} on")
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
