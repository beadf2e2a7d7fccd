"""Sphinx extension: the numbers of the page "One training on many devices", measured and computed.

    python tools/devices.py        prints the page with its numbers

What is measured comes from studies/training/bench.csv. What is computed comes from the page's own table of assumptions:
who changes a value there gets other results.
"""
import csv
import io
import re
from pathlib import Path

import ledger
import notebooks
import times

ROOT = Path(__file__).resolve().parent.parent
PAGE, STORED = "chapters/many_devices", "studies/training/bench.csv"
ASSUMED = re.compile(r"^\| \$(\w)\$ \| ([\d.]+)[ \u00a0](?:([TGµ]?)(?:FLOP/s|B/s|s)|devices) *([^|]*?) *\|", re.M)
SCALE = {"T": 1e12, "G": 1e9, "µ": 1e-6}  # of units


def measured(root: Path = ROOT) -> dict[tuple[int, int, str], dict[str, str]]:
    """The rows of the measurement, by processes, threads of each, and whether they averaged their gradients.

    Raises
    ------
    ValueError                   if a row was typed or edited by hand
    """
    found = {}
    for n, row in enumerate(csv.DictReader(io.StringIO(notebooks.read_text(root / STORED))), 2):
        if row != times.seal(row):
            raise ValueError(f"{STORED}:{n}: no command measured this; wanted nothing by hand: run "
                             ".venv/bin/python -m studies.training.bench")
        found[int(row["processes"]), int(row["threads"]), row["averaged"]] = row
    return found


def assumed(text: str) -> dict[str, dict[str, float]]:
    """The page's table of assumptions: {letter: {what stands behind the unit: value}}; ValueError if one is lost."""
    found = {}
    for letter, value, prefix, name in ASSUMED.findall(text):
        found.setdefault(letter, {})[name] = float(value) * SCALE.get(prefix, 1)
    if lost := set("pqav") - set(found):
        raise ValueError(f"{PAGE}.md: the table of assumptions has no {', '.join(sorted(lost))}; wanted rows as "
                         "| $a$ | 10 µs | why |")
    return found


def averaging(p: int, w: int, a: float, v: float) -> float:
    """Seconds in which p devices average w numbers of 4 bytes around a ring."""
    return 2 * (p - 1) * (a + 4 * w / p / v)


def computed(text: str, pairs: int, w: int, u: int) -> list[list[str]]:
    """A row for each connection: averaging; update and efficiency with this many pairs in all, and on each device."""
    of = assumed(text)
    p, q, a = (value for letter in "pqa" for value in of[letter].values())
    lines = []
    for name, v in of["v"].items():
        t, cells = averaging(int(p), w, a, v), []
        for share in (pairs / p, pairs):  # pairs of one device
            work = share * u / q
            cells += [f"{1000 * (work + t):.3g}", f"{work / (work + t):.0%}".replace("%", "\u202f%")]
        lines.append([name, f"{1000 * t:.2g}", *cells])
    return lines


def words(text: str, root: Path = ROOT) -> dict[str, str]:
    """What the marks of the page stand for."""
    rows = measured(root)
    one, two, alone, rival = (float(rows[way]["seconds"])
                              for way in ((1, 1, "yes"), (2, 1, "yes"), (2, 1, "no"), (1, 2, "yes")))
    about = rows[1, 1, "yes"]
    pairs, w, u = (int(about[name]) for name in ("pairs", "weights", "operations"))
    p = int(*assumed(text)["p"].values())

    def percent(part):
        return f"{100 * part:.0f}\u202f%" if part >= 0.01 else "under 1\u202f%"

    ways = (("1 process, 1 thread", one, 1), ("2 processes, 1 thread each", two, 2), ("1 process, 2 threads", rival, 2))
    table = ledger.table("way | seconds an update | speed-up | limit", [
        [way, f"{seconds:.3g}", f"{one / seconds:.2f}", limit] for way, seconds, limit in ways])
    results = ledger.table(f"connection | averaging (ms) | {pairs} pairs in all: update (ms) | efficiency | "
                           f"{pairs} pairs a device: update (ms) | efficiency", computed(text, pairs, w, u))
    return {"measured": table.replace("| --- | --- | --- | --- |", "|---|---:|---:|---:|"),
            "computed": results.replace("| --- " * 6 + "|", "|---" + "|---:" * 5 + "|"),
            "machine": about["machine"], "updates": about["updates"], "side": about["side"],
            "averaging": percent((two - alone) / two), "lost": percent((alone - one / 2) / two),
            "ratio": f"{two / rival:.2f}", "pairs": str(pairs), "many": str(p * pairs), "share": f"{pairs / p:g}",
            "weights": f"{w / 1e6:.1f}", "operations": f"{u / 1e9:.1f}", "bytes": f"{4 * w / 1e6:.1f}",
            "sent": f"{8 * w * (p - 1) / p / 1e6:.1f}"}


def fill(text: str, root: Path = ROOT) -> str:
    """The page, with its numbers."""
    found = words(text, root)
    return re.sub(r"<!-- (\w+) -->", lambda sign: found[sign[1]], text)


def on_read(app, page, source) -> None:
    if page == PAGE:
        root = Path(app.srcdir)
        app.env.note_dependency(str(root / STORED))
        source[0] = fill(source[0], root)


def setup(app):
    app.connect("source-read", on_read)
    return {"parallel_read_safe": True}


if __name__ == "__main__":
    print(fill(notebooks.read_text(ROOT / f"{PAGE}.md")))
