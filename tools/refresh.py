"""Execute the chapters whose stored outputs are stale, and store their outputs.

    python tools/refresh.py [--force] [--jobs N] [CHAPTER ...]

Each is run again as other machines would, which shows how far its outputs move: see compare.py. One that printed no
decimals and drew no picture is not: nothing of it can move.
A chapter is stale when the fingerprint in its metadata differs from one computed over the syntax of its code cells and
of what they use of chapters/course, its outputs, the rows, weights and pictures that it reads, and requirements.txt. So
outputs that another program stored are stale, and nothing is by a comment. A chapter that fails, or an interrupted run,
leaves the stored notebook as it was.
"""
import argparse
import contextlib
import errno
import multiprocessing
import os
import re
import resource
import secrets
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

from notebooks import (  # before nbformat, which it makes quick
    CLEAN_METADATA,
    ChapterError,
    canonical,
    chapters,
    choose,
    clear,
    code,
    code_cells,
    digest,
    raised,
    read,
    read_text,
    store,
)

# isort: split
import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from traitlets.config import Config

import compare
import guard
import reach
import times

ROOT = Path(__file__).resolve().parent.parent
CELL_SECONDS = 600


def sources(notebook) -> list:
    """What a person wrote in a notebook."""
    return [notebook.metadata.get("book")] + [(cell.cell_type, cell.source, {**cell.metadata, "execution": None})
                                              for cell in notebook.cells]


def outputs(notebook) -> str:
    """A digest of the outputs of a notebook, and of how far they move."""
    return digest(*(canonical([c.execution_count, c.outputs, *([c.metadata.drift] if "drift" in c.metadata else [])])
                    for c in code_cells(notebook)))


def rows_read(notebook, root: Path = ROOT) -> list[Path]:
    """The stored rows of the studies that a notebook's code names: course.studies.rows("NAME")."""
    names = sorted(set(re.findall(r"\brows\(\s*[\"'](\w+)[\"']", code(notebook))))
    return [p for name in names if (p := root / f"studies/results/{name}.csv").exists()]


def weights_read(notebook, root: Path = ROOT) -> list[Path]:
    """The stored networks that a notebook's code names: course.studies.weights("NAME")."""
    names = sorted(set(re.findall(r"\bweights\(\s*[\"'](\w+)[\"']", code(notebook))))
    return [p for name in names if (p := root / f"chapters/weights/{name}.npz").exists()]


def pictures_read(notebook, root: Path = ROOT) -> list[Path]:
    """The pictures that a notebook's code names, and their originals; all, where it loads one and names none."""
    there, text = guard.pictures(root / "imgs"), code(notebook)
    named = [p for p in there if p.name in text]
    found = {*named, *(original for p in named for original in guard.originals(p.name, root / "imgs"))}
    return sorted(found) or (there if re.search(r"\b(load_grey|course_asset_path)\b", text) else [])


def fingerprint(notebook, root: Path = ROOT) -> dict[str, str]:
    """What the stored outputs of a notebook are and depend on: {what: digest of it}."""
    rows, pictures = rows_read(notebook, root), pictures_read(notebook, root)
    weights = weights_read(notebook, root)
    used = reach.of_notebook(code(notebook), root)
    return {
        "its code": digest(*(reach.syntax(c.source) for c in code_cells(notebook))),
        "its outputs": outputs(notebook),
        **({"its studies": digest(*(p.name + read_text(p) for p in rows))} if rows else {}),
        **({"its weights": digest(*(p.name.encode() + p.read_bytes() for p in weights))} if weights else {}),
        **({"its pictures": digest(*(p.name.encode() + p.read_bytes() for p in pictures))} if pictures else {}),
        **({"course": digest(*used)} if used else {}),
        "requirements.txt": digest(read_text(root / "requirements.txt")),
    }


def stored(notebook) -> dict:
    """The fingerprint that the last refresh left in a notebook; empty if there is none."""
    found = notebook.metadata.get("fingerprint")
    return found if isinstance(found, dict) else {}


def stale(path: Path, root: Path = ROOT) -> list[str]:
    """What changed since the outputs of this chapter were stored; empty if nothing did."""
    notebook = read(path)
    return [what for what, value in fingerprint(notebook, root).items() if stored(notebook).get(what) != value]


def foreign(root: Path = ROOT) -> list[str]:
    """A complaint about each chapter whose outputs no refresh has stored, or that is no notebook."""
    found = []
    for path in chapters(root):
        try:
            notebook = read(path)
        except ChapterError as e:
            found.append(str(e))
            continue
        shown = any(c.get("outputs") for c in notebook.cells)
        if shown and stored(notebook).get("its outputs") != outputs(notebook):
            found.append(f"{path.relative_to(root).as_posix()}: its outputs are not those that a refresh stored: saved "
                         f"by another program, the page may have lost a figure; run make refresh CHAPTERS={path.stem}")
    return found


def connection() -> dict:
    """How to speak to a new kernel, as traits of its manager: by files, since another program may take a free port."""
    if os.name == "nt":  # where zmq has ports alone
        return {}
    return {"transport": "ipc", "connection_file": f"{tempfile.gettempdir()}/kernel-{secrets.token_hex(8)}.json"}


def kernel(notebook, folder: Path, **options) -> NotebookClient:
    """What executes the cells of a notebook in this folder, by a kernel of its own."""
    return NotebookClient(notebook, timeout=CELL_SECONDS, kernel_name="python3",
                          resources={"metadata": {"path": str(folder)}},
                          config=Config(KernelManager=connection()), **options)


def execute(path: Path, root: Path = ROOT, machine: dict | None = None):
    """Run a notebook from top to bottom by a fresh kernel in its own folder; `machine` is added to its environment.

    Returns
    -------
    notebook                     with clean outputs and metadata
    seconds, over_seeds          of all cells, and of those whose code names SEEDS: what the repetitions cost

    Raises
    ------
    ChapterError                 if a cell raises, times out, kills the kernel or writes to stderr
    """
    notebook = read(path)
    before = fingerprint(notebook, root)
    cells, told = clear(notebook), " as another machine runs it" if machine else ""
    started = []
    client = kernel(notebook, path.parent, record_timing=False, coalesce_streams=True,
                    on_cell_execute=lambda cell, cell_index: started.append((cell, time.perf_counter())))
    start = time.perf_counter()
    try:
        client.execute(env={**os.environ, **(machine or {})})
    except (CellExecutionError, CellTimeoutError, DeadKernelError) as e:
        said = raised(e, [e.traceback]) if isinstance(e, CellExecutionError) else type(e).__name__
        raise ChapterError(f"{path.stem}, cell [{len(started)}]{told}: {said}") from None
    for i, cell in enumerate(cells, 1):
        for out in cell.outputs:
            if out.get("name") == "stderr":
                raise ChapterError(f"{path.stem}, cell [{i}]{told}: wrote to stderr: {out.text.strip()}")
            out.get("data", {}).pop("application/vnd.jupyter.widget-view+json", None)  # names a widget of that kernel
        cell.metadata.pop("execution", None)
    before["its outputs"] = outputs(notebook)
    same = stored(notebook).get("its code") == before["its code"]  # then it still takes as long as was measured
    kept = {key: notebook.metadata[key] for key in ("book", *["measured"] * same) if key in notebook.metadata}
    notebook.metadata = nbformat.from_dict({**CLEAN_METADATA, **kept, "fingerprint": before})
    ends = [at for _, at in started[1:]] + [time.perf_counter()]
    over_seeds = sum(end - at for (cell, at), end in zip(started, ends) if re.search(r"\bSEEDS\b", cell.source))
    return notebook, time.perf_counter() - start, over_seeds


def keep_drift(notebook, others: list) -> list[str]:
    """Keep with each cell how far its outputs moved on other machines; a line for each that differs in words."""
    found = []
    for i, (cell, *again) in enumerate(zip(code_cells(notebook), *map(code_cells, others)), 1):
        drift, unlike = compare.measured(cell.outputs, *(other.outputs for other in again))
        cell.metadata.pop("drift", None)
        if drift:
            cell.metadata["drift"] = drift
        found += [f"cell [{i}] prints something else on another machine: {said}" for said in unlike]
    notebook.metadata["fingerprint"]["its outputs"] = outputs(notebook)
    return found


def measure(path: Path, root: Path = ROOT, drift: bool = False):
    """Execute a chapter, again where its drift is wanted and something may move.

    Call it in a process of its own: the peak is over all children of the process.

    Returns
    -------
    notebook, others             the others as other machines run it
    seconds, over_seeds, peak    of the first run, the peak of its kernel in MiB
    """
    notebook, *seconds = execute(path, root)
    scale = 2**20 if sys.platform == "darwin" else 2**10  # ru_maxrss is in bytes there, in KiB elsewhere
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / scale
    again = drift and any(compare.can_move(cell.outputs) for cell in code_cells(notebook))
    others = [execute(path, root, machine)[0] for machine in compare.OTHER_MACHINES] if again else []
    return notebook, others, *seconds, peak


@contextlib.contextmanager
def ended_together() -> Iterator[None]:
    """End the workers on an interruption, which may have come to this process alone; else the pool waits for them."""
    try:
        yield
    except KeyboardInterrupt:
        for worker in multiprocessing.active_children():
            worker.terminate()
        raise


def run(paths: list[Path], *, jobs: int = 1, root: Path = ROOT, keep: bool = True, why: dict | None = None) -> dict:
    """Execute chapters, `jobs` at a time, and store outputs and drift, unless `keep` is false; says what it does.

    Returns
    -------
    {name: (seconds, seconds over seeds, peak MiB)}

    Raises
    ------
    SystemExit                   after the last chapter, if one could not be executed
    """
    os.environ["OMP_NUM_THREADS"] = "1"  # read by torch in the kernels: one thread gives the same digits every time
    done, failed = {}, []
    fresh = multiprocessing.get_context("forkserver")  # a process for each, whose children are its own
    with ProcessPoolExecutor(jobs, fresh, max_tasks_per_child=1) as pool, ended_together():
        waiting = {pool.submit(measure, path, root, keep): path for path in paths}
        for i, future in enumerate(as_completed(waiting), 1):
            path = waiting[future]
            try:
                notebook, others, *figures = future.result()
                if keep:
                    if sources(read(path)) != sources(notebook):
                        raise ChapterError(f"{path.stem}: somebody saved it while it was executed; its outputs are "
                                           "left as they were: call again")
                    for said in keep_drift(notebook, others):
                        print(f"{path.stem}, {said}", flush=True)
                    notebook.metadata.setdefault("measured", times.record(*figures))
                    store(notebook, path)  # here and not in the worker, which may outlive a killed refresh
            except (ChapterError, OSError) as e:
                failed.append(path.stem)
                said = guard.unwritable(e) if isinstance(e, OSError) else e
                print(f"chapter {i} of {len(paths)}: FAILED {said}", flush=True)
                continue
            done[path.stem] = tuple(figures)
            reason = f", because of {' and '.join(why[path.stem])}" if why and why[path.stem] else ""
            print(f"chapter {i} of {len(paths)}: {path.stem}: {figures[0]:.1f} s{reason}", flush=True)
    if failed:
        raise SystemExit(f"left as they were: {', '.join(failed)}")
    return done


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("chapters", nargs="*")
    ap.add_argument("--force", action="store_true", help="execute also what is not stale")
    ap.add_argument("--jobs", type=int, default=2, help="chapters at a time")
    args = ap.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ended as by Ctrl-C
    try:
        chosen = choose(args.chapters)
        why = {path.stem: stale(path) for path in chosen}
    except (ValueError, ChapterError) as e:
        sys.exit(str(e))
    todo = [path for path in chosen if args.force or why[path.stem]]
    names = ": " + ", ".join(path.stem for path in todo) if todo else ""
    print(f"{len(todo)} of {len(chosen)} chapters to execute{names}", flush=True)
    if todo and not os.access(folder := todo[0].parent, os.W_OK):  # said before minutes of work that could not be kept
        sys.exit(guard.unwritable(PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))))
    try:
        run(todo, jobs=args.jobs, why=why)
    except KeyboardInterrupt:
        sys.exit("interrupted; the chapter at work is as it was")


if __name__ == "__main__":
    main()
