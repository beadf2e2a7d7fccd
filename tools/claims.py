"""Run what the claims of the book rest on, with any seeds, and print the ledger's table.

    SEED_OFFSET=1000 python tools/claims.py [CHAPTER ...]

Executes the chapters that claim something and stores nothing. A claim whose assertion fails is listed, the others
still run.
"""
import argparse
import os
import re
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from nbclient import NotebookClient

import guard
import refresh

LEDGER = "chapters/claims.md"
VERDICTS = ("holds", "holds when", "not at this scale", "false as told")
ROW = re.compile(r"^\| (?P<sentence>.+?) \| \*\*(?P<verdict>[\w ]+)\*\*.*? \| "
                 r"\{glue:text\}`(?P<chapter>\w+)\.ipynb::claim_(?P<name>\w+):s` \| "
                 r"\{doc\}`[^`<]+ <(?P<shown>\w+)>` \|$")
CLAIM = "course.claim("


@dataclass
class Row:
    """A row of the ledger: a sentence of the field, the verdict, and the chapter and name of its figure."""

    sentence: str
    verdict: str
    chapter: str
    name: str


def rows(root: Path = refresh.ROOT) -> tuple[list[Row], list[str]]:
    """The rows of the ledger, and a complaint about every line of a table that is none."""
    found, complaints = [], []
    for line in guard.read_text(root / LEDGER).splitlines():
        if not line.startswith("|") or line.startswith(("|---", "| the field says")):
            continue
        match = ROW.match(line)
        if not match or match["verdict"] not in VERDICTS:
            complaints.append(f"claims.md: not a row of the ledger, or a verdict out of {', '.join(VERDICTS)}: {line}")
            continue
        if match["shown"] != match["chapter"]:
            complaints.append(f"claims.md: claim_{match['name']} is computed in {match['chapter']}, "
                              f"and said to be shown in {match['shown']}")
        found.append(Row(*(match[key] for key in ("sentence", "verdict", "chapter", "name"))))
    return found, complaints


def asserted(notebook) -> dict[str, tuple[str, str]]:
    """What the outputs of a notebook claim: {name: (verdict, figure)}."""
    found = {}
    for cell in notebook.cells:
        for out in cell.get("outputs", []):
            about = out.get("metadata", {}).get("scrapbook", {})
            if "verdict" in about:
                text = out.data["application/papermill.record/text/plain"]
                found[about["name"].removeprefix("claim_")] = about["verdict"], text.strip("'\"")
    return found


def complaints(root: Path = refresh.ROOT) -> list[str]:
    """Where the ledger and the stored chapters do not agree, one line each."""
    ledger, found = rows(root)
    where = [(row.chapter, row.name) for row in ledger]
    found += [f"claims.md: two rows for claim_{name} of {chapter}" for chapter, name in sorted(set(where))
              if where.count((chapter, name)) > 1]
    claimed = {}
    for path in refresh.chapters(root):
        notebook = refresh.read(path)
        claims = asserted(notebook)
        claimed |= {(path.stem, name): verdict for name, (verdict, _) in claims.items()}
        prose = "\n".join(c.source for c in notebook.cells if c.cell_type == "markdown").lower()
        for verdict in VERDICTS[1:]:
            named = [name for name, (v, _) in claims.items() if v == verdict]
            if named and not re.search(rf"\*\*{verdict}\b", prose):
                found.append(f"{path.stem}: asserts {', '.join(named)} as {verdict!r}, "
                             f"and its text does not say so in bold: **{verdict}**")
    found += [f"claims.md: claim_{r.name} is computed nowhere in {r.chapter}" for r in ledger
              if (r.chapter, r.name) not in claimed]
    found += [f"{chapter}: claims {name!r}, and claims.md has no row for it" for chapter, name in claimed
              if (chapter, name) not in where]
    found += [f"claims.md: claim_{r.name}: says {r.verdict!r}, and {r.chapter} asserts {claimed[r.chapter, r.name]!r}"
              for r in ledger if claimed.get((r.chapter, r.name), r.verdict) != r.verdict]
    return found


def run(path: Path) -> tuple[dict[str, tuple[str, str]], list[str]]:
    """Execute a chapter; what it claims, and the errors of its cells."""
    notebook = refresh.read(path)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = []
    NotebookClient(notebook, timeout=refresh.CELL_SECONDS, kernel_name="python3", allow_errors=True,
                   resources={"metadata": {"path": str(path.parent)}}).execute()
    errors = [f"{path.stem}: {out.ename}: {out.evalue}" for c in notebook.cells for out in c.get("outputs", [])
              if out.output_type == "error"]
    return asserted(notebook), errors


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("chapters", nargs="*")
    ap.add_argument("--jobs", type=int, default=2)
    args = ap.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    try:
        paths = [p for p in refresh.choose(args.chapters) if CLAIM in guard.read_text(p)]
    except ValueError as e:
        sys.exit(str(e))
    with ProcessPoolExecutor(args.jobs) as pool:
        results = dict(zip((p.stem for p in paths), pool.map(run, paths)))
    print(f"seeds from {os.environ.get('SEED_OFFSET', '0')} on")
    failed = [error for _, errors in results.values() for error in errors]
    for row in rows()[0]:
        if row.chapter in results:
            verdict, figure = results[row.chapter][0].get(row.name, ("FAILED", ""))
            failed += [f"{row.chapter}: {row.name} did not get to its figure"] if verdict == "FAILED" else []
            print(f"| {row.sentence} | {verdict} | {figure} | {row.chapter} |")
    if failed:
        sys.exit("\n".join(failed))
    print(f"all {sum(len(claims) for claims, _ in results.values())} claims hold their assertions")


if __name__ == "__main__":
    main()
