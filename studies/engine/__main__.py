"""The commands of the studies, as the Makefile calls them: python -m studies.engine run|check|drift|weights|bench."""
import argparse
import re
import signal
import sys
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

from dask.system import CPU_COUNT

from compare import OTHER_MACHINES

from . import bench, weights
from . import check as checks
from .rows import RESULTS, Rows, Study, StudyError, flat, load, locked, names, words
from .work import cluster, compute, outcomes


def choose(given: list[str]) -> list[Study]:
    """The studies of these names, all where there is none."""
    known = names()
    if unknown := [name for name in given if name not in known]:
        raise StudyError(f"STUDIES: got {', '.join(unknown)}, wanted names out of {', '.join(known) or 'none'}")
    return [load(name) for name in known if not given or name in given]


def seeds_of(given: str) -> range | None:
    """'5': seeds 0 to 4; '1000-1004': those; '': None, which leaves it to the study."""
    match = re.fullmatch(r"(?:(\d+)-)?(\d+)", given)
    seeds = match and (range(int(match[1]), int(match[2]) + 1) if match[1] else range(int(match[2])))
    if given and not seeds:
        raise StudyError(f"SEEDS: got {given!r}, wanted how many, as 5, or the first and the last, as 1000-1004")
    return seeds or None


def todo(study: Study, rows: Rows, seeds: range | None, force: bool = False) -> tuple[list[dict], Counter]:
    """The arguments of the runs to do, seed by seed, and how many of their rows are missing, stale or edited.

    Without seeds: those of the study, and whatever is stale among the others that are stored.
    """
    runs, why = [], Counter()
    for seed in seeds or sorted({*study.seeds, *(key[-1] for key in rows.rows)}):
        for cell in study.grid:
            states = [(rows.state(study.key(row)), row) for row in flat(cell | {"seed": seed})]
            extra = seeds is None and seed not in study.seeds
            needed = [(state or "forced", row) for state, row in states
                      if (state or force) and not (extra and state == "missing")]
            why.update(state for state, _ in needed)
            along = study.checkpoints if isinstance(cell.get(study.checkpoints), tuple) else None
            if along and needed:
                runs.append(cell | {"seed": seed, along: tuple(row[along] for _, row in needed)})
            else:
                runs += [row for _, row in needed]
    return runs, why


def run(args) -> int:
    """Compute what is missing or stale; 1 if a run failed."""
    seeds, folder = seeds_of(args.seeds), Path(args.store) if args.store else None
    studies = choose(args.studies)
    with locked(folder) if folder else contextmanager(lambda: (yield))():
        tables, jobs = {}, []
        for study in studies:
            tables[study.name] = rows = Rows(study, folder)
            runs, why = todo(study, rows, seeds, args.force)
            jobs += [(study.name, arguments, study.code) for arguments in runs]
            said = ", ".join(f"{count} {state}" for state, count in why.items())
            print(f"{study.name}: {sum(why.values())} rows to do{': ' if said else ''}{said}", flush=True)
        raised = Counter()
        if jobs:
            with cluster(args.scheduler, args.workers) as client:
                raised = compute(jobs, tables, client, bool(folder))
        for rows in tables.values():
            if folder and rows.rows and rows.path.read_text(encoding="utf-8") != rows.table():
                rows.write()  # other ends of lines, another order, or cells that the grid has no more
            elif not folder:
                print(rows.table(), end="")
    if raised:
        print(f"{raised.total()} runs failed, each tried three times, for {len(raised)} reasons, told above",
              file=sys.stderr)
    return bool(raised)


def again(args, wanted: list[tuple[Study, list[dict]]], env: dict | None = None) -> dict[str, list[dict]]:
    """Compute runs again, storing nothing: {study: rows}; StudyError if one fails."""
    jobs = [(study.name, arguments, study.code) for study, runs in wanted for arguments in runs]
    found = {study.name: [] for study, _ in wanted}
    if jobs:
        with cluster(args.scheduler, args.workers, env) as client:
            for batch in outcomes(client, jobs):
                for (name, arguments, _), some, error in batch:
                    if error:
                        raise StudyError(f"FAILED {name}: {words(arguments)}\n{error}")
                    found[name] += some
    return found


def check(args) -> int:
    """Compute a sample of the stored rows again; 1 if something differs, is missing, stale or edited."""
    folder, studies = Path(args.store or RESULTS), choose(args.studies)
    count = whole("N", args.count, 2)
    tables = [(study, Rows(study, folder)) for study in studies]
    wrong = [said for study, rows in tables for said in checks.complaints(study, rows)]
    most = checks.BUDGET / 2 / max(len(studies), 1)
    chosen = [(study, [checks.single(study, row) for row in checks.sample(study, rows, count, most, args.random)])
              for study, rows in tables]
    found = again(args, chosen)
    for study, rows in tables:
        said, largest = checks.compare(study, rows, checks.read_drift(study, folder), found[study.name])
        print(f"{study.name}: {len(found[study.name])} of {len(rows.rows)} rows computed again, "
              f"at most {100 * largest:.2g} % apart, {len(said)} too far", flush=True)
        wrong += said
    print("\n".join(wrong), end="\n" if wrong else "", file=sys.stderr)
    return bool(wrong)


def drift(args) -> int:
    """Measure how far rows move under another instruction set and thread count, where that is not stored."""
    folder = Path(args.store or RESULTS)
    with locked(folder):
        wanted = []
        for study in choose(args.studies):
            rows, runs = Rows(study, folder), checks.drift_runs(study)
            if lost := [row for arguments in runs for row in flat(arguments) if rows.state(study.key(row))]:
                raise StudyError(f"{study.name}: row {words(lost[0])} is {rows.state(study.key(lost[0]))}, wanted all "
                                 f"rows first: make studies STUDIES={study.name}")
            if args.force or not checks.read_drift(study, folder):
                wanted.append((study, runs))
        args.workers = max(1, args.workers // 2)  # of two threads each
        found = again(args, wanted, OTHER_MACHINES[0])
        for study, _ in wanted:
            far = checks.store_drift(study, Rows(study, folder), found[study.name], folder)
            print(f"{study.name}: {len(found[study.name])} rows moved by at most {100 * max(far.values()):.2g} %")
    return 0


def make_weights(args) -> int:
    """Train and store the networks that chapters load, where they are missing or stale."""
    folder = Path(args.store or RESULTS)
    with locked(weights.FOLDER):
        for study in choose(args.studies):
            weights.make(study, Rows(study, folder), force=args.force)
    return 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("run", "check", "drift", "weights", "bench"):
        command = commands.add_parser(name)
        command.add_argument("studies", nargs="*")
        command.add_argument("--scheduler", default="")
        command.add_argument("--workers", default="")
        command.add_argument("--store", default=str(RESULTS))
    commands.choices["run"].add_argument("--seeds", default="")
    for name in ("run", "drift", "weights"):
        commands.choices[name].add_argument("--force", action="store_true")
    commands.choices["check"].add_argument("--count", default="")
    commands.choices["check"].add_argument("--random", action="store_true")
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as a queue ends a job, in the background too
    try:
        args.workers = whole("WORKERS", args.workers, CPU_COUNT)
        do = {"run": run, "check": check, "drift": drift, "weights": make_weights, "bench": bench.main}
        sys.exit(do[args.command](args))
    except StudyError as e:
        sys.exit(str(e))
    except KeyboardInterrupt:
        sys.exit("interrupted; finished rows are kept, and the next call goes on")


def whole(name: str, given: str, default: int) -> int:
    """A number of 1 or more; the default where none is given."""
    if given and not re.fullmatch(r"[1-9]\d*", given):
        raise StudyError(f"{name}: got {given!r}, wanted a whole number, 1 or more")
    return int(given or default)


if __name__ == "__main__":
    main()
