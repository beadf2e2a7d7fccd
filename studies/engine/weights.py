"""Networks that chapters and pages load: trained by a study, stored in float16 with the row that made them.

A study names them in KEEP, {NAME: the arguments of a row}, and has three functions: `untrained(**arguments)` gives
the network as it begins, `trained(**arguments)` as it ends, `measured(network, **arguments)` the metrics of its row.
"""
import importlib
import io
import json
from pathlib import Path

import numpy as np

from . import ROOT, check
from .rows import RESULTS, Rows, Study, StudyError, value, words, write
from .work import metrics

FOLDER = ROOT / "chapters/weights"
LARGEST = 5_000_000  # bytes of a file
CLOSE = 0.01         # share of a metric by which the network in float16 may differ from its row, or the row's tolerance
NOT_REPEATED = "seconds", "digest"  # of a row, by a second training


def wanted(study: Study) -> tuple[object, dict[str, dict]]:
    """The module of a study and {name: arguments} of its networks; StudyError if it cannot make them."""
    module = importlib.import_module(f"studies.{study.name}")
    found = getattr(module, "KEEP", {})
    lost = [f for f in ("untrained", "trained", "measured") if not callable(getattr(module, f, None))]
    if found and lost:
        raise StudyError(f"studies/{study.name}.py: got KEEP and no {' and no '.join(lost)}, wanted these functions")
    for name, arguments in found.items():
        if not name.isidentifier() or list(arguments) != study.arguments:
            raise StudyError(f"studies/{study.name}.py: got KEEP with {name!r}: {words(arguments)}; wanted letters, "
                             f"digits and _ in the name, and in this order {', '.join(study.arguments)}")
    return module, found


def read(path: Path) -> tuple[dict[str, np.ndarray], dict]:
    """The arrays of a file, and its row; StudyError if it is damaged."""
    try:
        with np.load(path) as file:
            arrays = {name: file[name] for name in file.files}
        return arrays, json.loads(str(arrays.pop("row")))
    except Exception as e:  # whatever zip, numpy and JSON raise
        raise StudyError(f"{path.name}: {type(e).__name__}: {e}; wanted stored weights: delete it, make weights") from e


def state(study: Study, path: Path, arguments: dict) -> str:
    """'missing', 'stale', 'of another row', or '' if the file is as it should be."""
    if not path.exists():
        return "missing"
    row = read(path)[1]
    if (row.get("study"), *map(row.get, arguments)) != (study.name, *arguments.values()):
        return "of another row"
    return "" if row.get("code") == study.code else "stale"


def too_far(study: Study, rows: Rows, module, arguments: dict, arrays: dict[str, np.ndarray]) -> list[str]:
    """Where the network with these weights measures something else than its row."""
    import torch
    network = module.untrained(**arguments)
    network.load_state_dict({name: torch.from_numpy(one).float() for name, one in arrays.items()})
    found = {name: float(one) for name, one in metrics(module.measured(network, **arguments), arguments).items()}
    stored, drift = check.metrics(study, rows.rows[study.key(arguments)]), check.read_drift(study, RESULTS)
    return [f"{name} is {one!r}, {stored[name]!r} in its row" for name, one in found.items()
            if check.moved(stored[name], one) > max(
                CLOSE, check.tolerance(drift, arguments.get("updates", ""), name, stored[name]))]


def complaints(study: Study, rows: Rows, folder: Path = FOLDER) -> list[str]:
    """What is wrong with the stored weights of a study."""
    module, networks = wanted(study)
    found = []
    for name, arguments in networks.items():
        path = folder / f"{name}.npz"
        if wrong := state(study, path, arguments):
            found.append(f"{path.name} is {wrong}")
        else:
            found += [f"{path.name}: {said}" for said in too_far(study, rows, module, arguments, read(path)[0])]
    return [f"{said}: make weights STUDIES={study.name}" for said in found]


def make(study: Study, rows: Rows, folder: Path = FOLDER, force: bool = False) -> None:
    """Train the networks of a study that are missing or stale; write their files, each whole or not at all.

    Raises
    ------
    StudyError                   if a network's row is not stored, its file too large, or its measure in float16 another
    """
    module, networks = wanted(study)
    for name, arguments in networks.items():
        path = folder / f"{name}.npz"
        if not (why := "forced" if force else state(study, path, arguments)):
            print(f"{name}: as it should be", flush=True)
            continue
        if lost := rows.state(key := study.key(arguments)):
            raise StudyError(f"{name}: its row {words(arguments)} is {lost}, wanted it first: make studies "
                             f"STUDIES={study.name}")
        print(f"{name}: {why}, trains", flush=True)
        weights = module.trained(**arguments).state_dict()
        arrays = {part: one.detach().cpu().numpy().astype(np.float16) for part, one in weights.items()}
        row = {part: value(cell) for part, cell in rows.rows[key].items() if cell and part not in NOT_REPEATED}
        np.savez(file := io.BytesIO(), **arrays, row=np.array(json.dumps({"study": study.name, **row})))
        if (size := len(data := file.getvalue())) > LARGEST:
            raise StudyError(f"{name}: got {size:,} bytes, wanted at most {LARGEST:,}: fewer weights")
        if wrong := too_far(study, rows, module, arguments, arrays):
            raise StudyError(f"{name}: in float16 its {' and '.join(wrong)}, wanted at most {CLOSE:.0%} between them")
        folder.mkdir(parents=True, exist_ok=True)
        write(path, data)
        print(f"{name}: {size:,} bytes", flush=True)
