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
ROWS = {(1, 1, "yes"), (1, 1, "half"), (2, 1, "yes"), (2, 1, "no"), (1, 2, "yes")}
ASSUMED = re.compile(r"^\| *(\$\w\$) *\|([^|\n]*)\|", re.M)
UNITS = {"p": "devices", "b": "buckets", "q": "FLOP/s", "a": "s", "v": "B/s"}
SCALE = {"T": 1e12, "G": 1e9, "M": 1e6, "k": 1e3, "": 1, "m": 1e-3, "µ": 1e-6, "n": 1e-9}  # of units


def measured(root: Path = ROOT) -> dict[tuple[int, int, str], dict[str, str]]:
    """The rows of the measurement, by processes, threads of each, and whether they averaged their gradients, or had
    half of the pairs.

    Raises
    ------
    ValueError                   if a row was typed or edited by hand, is lost, there twice, or of another measurement
    """
    found, about, n = {}, set(), 1
    for n, row in enumerate(csv.DictReader(io.StringIO(notebooks.read_text(root / STORED))), 2):
        if row != times.seal(row):
            raise ValueError(f"{STORED}:{n}: no command measured this; wanted nothing by hand: run "
                             ".venv/bin/python -m studies.training.bench")
        found[int(row["processes"]), int(row["threads"]), row["averaged"]] = row
        about.add(tuple(row[name] for name in ("side", "updates", "weights", "operations", "machine")))
    if set(found) != ROWS or n != len(ROWS) + 1 or len(about) > 1:
        raise ValueError(f"{STORED}: got {n - 1} rows, {len(found)} different, of {len(about)} measurements; wanted "
                         f"the {len(ROWS)} of one: run .venv/bin/python -m studies.training.bench")
    return found


def assumed(text: str) -> dict[str, dict[str, float]]:
    """The page's table of assumptions: {letter: {what stands behind the unit: value}}; ValueError for a wrong row."""
    found = {}
    for sign, cell in ASSUMED.findall(text):
        letter, unit = sign[1], UNITS.get(sign[1], "none")
        got = re.fullmatch(rf"(\d+(?:\.\d+)?)\s([TGMkmµn]?){re.escape(unit)}(?:\s+(\S.*))?", cell.strip())
        value, name = (float(got[1]) * SCALE[got[2]], got[3] or "") if got else (None, "")
        twice = name in found.get(letter, {}) or letter in found and letter != "v"
        if value is None or twice or value == 0 and letter != "a" or letter in "pb" and value % 1:
            raise ValueError(f"{PAGE}.md: got the row | {sign} | {cell.strip()} |, wanted "
                             + ", ".join(f"{letter} in {unit}" for letter, unit in UNITS.items())
                             + ", one row each but for v, with numbers above 0, whole for p and b")
        found.setdefault(letter, {})[name] = value
    if lost := set(UNITS) - set(found):
        raise ValueError(f"{PAGE}.md: the table of assumptions has no {', '.join(sorted(lost))}; wanted rows as "
                         "| $a$ | 10 µs | why |")
    return found


def averaging(p: int, w: int, b: int, a: float, v: float) -> float:
    """Seconds in which p devices average w numbers of 4 bytes around a ring, sent in b buckets."""
    return 2 * (p - 1) * (b * a + 4 * w / p / v)


def computed(text: str, pairs: int, w: int, u: int) -> list[list[str]]:
    """A row for each connection: averaging; update and efficiency with this many pairs in all, and on each device."""
    of = assumed(text)
    p, q, b, a = (value for letter in "pqba" for value in of[letter].values())
    if pairs % p:
        raise ValueError(f"{PAGE}.md: got p = {p:g}, wanted a number that divides the {pairs} pairs of an update")
    lines = []
    for name, v in of["v"].items():
        t, cells = averaging(int(p), w, int(b), a, v), []
        for share in (pairs / p, pairs):  # pairs of one device
            work = share * u / q
            cells += [f"{1000 * (work + t):.3g}", f"{work / (work + t):.0%}".replace("%", "\u202f%")]
        lines.append([name, f"{1000 * t:.2g}", *cells])
    return lines


def than(one: str, a: float, other: str, b: float) -> str:
    """'two threads take 1.44 times as long as two processes', the slower one first; within 3 % they are equal."""
    if max(a, b) < 1.03 * min(a, b):
        return f"{one} take as long as {other}, within 3\u202f%"
    slow, fast = (one, other) if a > b else (other, one)
    return f"{slow} take {max(a, b) / min(a, b):.2f} times as long as {fast}"


def words(text: str, root: Path = ROOT) -> dict[str, str]:
    """What the marks of the page stand for."""
    rows = measured(root)
    one, two, alone, rival, half = (float(rows[way]["seconds"]) for way in (
        (1, 1, "yes"), (2, 1, "yes"), (2, 1, "no"), (1, 2, "yes"), (1, 1, "half")))
    about, alike = rows[1, 1, "yes"], min(one, 2 * half)  # the faster way of one process with one thread
    pairs, w, u = (int(about[name]) for name in ("pairs", "weights", "operations"))
    p, b = (int(*assumed(text)[letter].values()) for letter in "pb")

    def percent(part):
        return f"{100 * part:.0f}\u202f%" if part >= 0.01 else "under 1\u202f%"

    ways = ((f"1 process, 1 thread, {pairs} pairs at once", one, 1),
            (f"1 process, 1 thread, twice {pairs // 2} pairs", 2 * half, 1),
            ("2 processes, 1 thread each", two, 2), ("1 process, 2 threads", rival, 2))
    table = ledger.table("way | seconds an update | speed-up | limit", [
        [way, f"{seconds:.3g}", f"{alike / seconds:.2f}", limit] for way, seconds, limit in ways])
    results = ledger.table(f"connection | averaging (ms) | {pairs} pairs in all: update (ms) | efficiency | "
                           f"{pairs} pairs a device: update (ms) | efficiency", computed(text, pairs, w, u))
    return {"measured": table.replace("| --- | --- | --- | --- |", "|---|---:|---:|---:|"),
            "computed": results.replace("| --- " * 6 + "|", "|---" + "|---:" * 5 + "|"),
            "machine": about["machine"], "updates": about["updates"], "side": about["side"],
            "averaging": percent((two - alone) / two), "lost": percent((alone - alike / 2) / two),
            "rival": than("two processes", two, "two threads", rival),
            "minutes": f"{2000 * one / 60:.0f}",
            "buckets": str(b), "pairs": str(pairs), "many": str(p * pairs), "share": f"{pairs / p:g}",
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
