"""Are the stored rows still what the code gives? A sample is computed again, within what another processor moves."""
import csv
import hashlib
import math
import random
from collections import defaultdict
from pathlib import Path

from compare import FLOOR

from .rows import FIXED, Rows, Study, StudyError, flat, value, words, write

BUDGET = 30              # seconds of one core, about, for the sample of all studies
MULTIPLE = 5             # a metric may differ by FLOOR of itself, and by this many times the largest drift of its rows
DRIFT_ROWS = 3           # rows for each number of updates that are computed under another instruction set
DRIFT_COLUMNS = "updates", "metric", "rows", "moved", "code"


def shuffled(items: list[dict]) -> list[dict]:
    """In an order that is always the same, and has nothing to do with the grid's."""
    return sorted(items, key=lambda item: hashlib.sha256(words(item).encode()).digest())


def single(study: Study, row: dict) -> dict:
    """The arguments of a run that gives just this row."""
    trained = [cell for cell in study.grid if isinstance(cell.get(study.checkpoints), tuple)]
    along = any(row[study.checkpoints] in cell[study.checkpoints]
                and all(row[k] == v for k, v in cell.items() if k != study.checkpoints) for cell in trained)
    return row | {study.checkpoints: (row[study.checkpoints],)} if along else row


def metrics(study: Study, cells: dict[str, str]) -> dict:
    """The metrics of a stored row, as numbers."""
    return {name: value(cell) for name, cell in cells.items() if name not in (*study.arguments, *FIXED) and cell != ""}


def moved(a, b) -> float:
    """How far two numbers are apart, as a share of the larger one; 0 if both are nan or infinite alike."""
    if a == b or a != a and b != b:
        return 0.0
    share = abs(a - b) / max(abs(a), abs(b))
    return share if math.isfinite(share) else math.inf


# The sample

def sample(study: Study, rows: Rows, count: int, most: float, at_random: bool) -> list[dict]:
    """`count` stored rows of at most `most` seconds each, or else half as many, the shortest."""
    cost, found = defaultdict(float), []
    for cell in study.grid:
        for seed in sorted({key[-1] for key in rows.rows}):
            training = 0.0
            for row in flat(cell | {"seed": seed}):  # in the order of the checkpoints
                if not rows.state(key := study.key(row)) and rows.rows[key]["device"].startswith("cpu"):
                    training += float(rows.rows[key]["seconds"])
                    cost[key] = training
                    found.append(row)
    found = random.sample(found, len(found)) if at_random else shuffled(found)
    short = [row for row in found if cost[study.key(row)] <= most]
    if len(short) >= 2:
        return short[:count]
    return sorted(found, key=lambda row: cost[study.key(row)])[:max(1, count // 2)]


def tolerance(drift: dict, updates, metric: str, stored) -> float:
    """What a metric may differ by, as a share of itself; whole numbers that do not drift must be the same."""
    far = drift.get((updates, metric), 0.0)
    return 0.0 if type(stored) is not float and not far else max(FLOOR, MULTIPLE * far)


def complaints(study: Study, rows: Rows) -> list[str]:
    """What is wrong with the stored rows, before anything is computed."""
    found, cells = defaultdict(list), [row for cell in study.grid for row in flat(cell)]
    for seed in sorted({*study.seeds, *(key[-1] for key in rows.rows)}):
        for row in cells:
            state = rows.state(study.key(row | {"seed": seed}))
            if state and not (state == "missing" and seed not in study.seeds):
                found[state].append(row | {"seed": seed})
    known = {tuple(row.values()) for row in cells}
    found["of no cell of the grid"] = [dict(zip(study.arguments, k)) for k in rows.rows if k[:-1] not in known]
    return [f"{study.name}: {len(some)} rows are {state}: {words(some[0])}{' and others' if some[1:] else ''}; "
            f"make studies STUDIES={study.name}" for state, some in found.items() if some]


def compare(study: Study, rows: Rows, drift: dict, again: list[dict]) -> tuple[list[str], float]:
    """Where rows that were computed again differ by more than allowed, and the largest difference."""
    found, largest = [], 0.0
    for row in again:
        cells, key = rows.rows[study.key(row)], {name: row[name] for name in study.arguments}
        stored = metrics(study, cells)
        if lost := set(stored) ^ (set(row) - {*study.arguments, *FIXED}):
            found.append(f"{study.name}, {words(key)}: {', '.join(sorted(lost))} is on one side only")
            continue
        for metric, one in stored.items():
            far, allowed = moved(one, row[metric]), tolerance(drift, row.get("updates", ""), metric, one)
            largest = max(largest, far)
            if far > allowed:
                found.append(f"{study.name}, {words(key)}: {metric} stored {one!r}, now {row[metric]!r}, "
                             f"{100 * far:.2g} % apart, allowed {100 * allowed:.2g} %")
    return found, largest


# The drift

def drift_path(study: Study, folder: Path) -> Path:
    return folder / f"{study.name}.drift.csv"


def read_drift(study: Study, folder: Path) -> dict[tuple, float]:
    """{(updates, metric): how far it moved}, as stored; empty where the code is another by now."""
    if not (path := drift_path(study, folder)).exists():
        return {}
    with path.open(encoding="utf-8-sig", newline="") as file:
        lines = list(csv.DictReader(file))
    if lines and set(lines[0]) != set(DRIFT_COLUMNS):
        raise StudyError(f"{path.name}: got columns {', '.join(map(str, lines[0]))}, wanted "
                         f"{', '.join(DRIFT_COLUMNS)}: delete it, then make studies-drift")
    return {(value(x["updates"]), x["metric"]): float(x["moved"]) for x in lines if x["code"] == study.code}


def drift_runs(study: Study) -> list[dict]:
    """Runs that give at least DRIFT_ROWS rows for each number of updates, where there are as many."""
    seen, runs = defaultdict(int), []
    for run in shuffled([cell | {"seed": seed} for cell in study.grid for seed in study.seeds]):
        groups = [row.get("updates", "") for row in flat(run)]
        if any(seen[group] < DRIFT_ROWS for group in groups):
            runs.append(run)
            for group in groups:
                seen[group] += 1
    return runs


def store_drift(study: Study, rows: Rows, again: list[dict], folder: Path) -> dict[tuple, float]:
    """Write how far each metric moved at most, for each number of updates."""
    far = defaultdict(list)
    for row in again:
        for metric, one in metrics(study, rows.rows[study.key(row)]).items():
            far[row.get("updates", ""), metric].append(moved(one, row[metric]))
    lines = [",".join(DRIFT_COLUMNS)]
    for updates, metric in sorted(far, key=lambda group: (isinstance(group[0], str), *group)):
        some = far[updates, metric]
        lines.append(f"{updates},{metric},{len(some)},{max(some):.3g},{study.code}")
    write(drift_path(study, folder), "\n".join(lines) + "\n")
    return {group: max(some) for group, some in far.items()}
