"""Networks that chapters load are the study's, in its current code, and measure in float16 what their rows say."""
import json
import re

import nbformat
import numpy as np
import pytest
import torch
from nbformat.v4 import new_code_cell, new_notebook

import course.studies
import refresh
import test_studies
from studies.engine import weights
from studies.engine.rows import Rows, StudyError, load, names
from test_studies import ROOT, STUDY, call, write

STORED = sorted(path.stem for path in weights.FOLDER.glob("[!.]*.npz"))
KEEPING = [name for name in names() if re.search("^KEEP = ", (ROOT / f"studies/{name}.py").read_text("utf-8"), re.M)]
book, table = test_studies.book, test_studies.table  # fixtures


# Those of the book

@pytest.mark.parametrize("study", KEEPING)
def test_stored_weights_are_the_studys_and_measure_what_their_rows_say(study):
    loaded = load(study)
    assert weights.complaints(loaded, Rows(loaded)) == []


def test_every_stored_network_belongs_to_one_study():
    assert sorted(name for study in map(load, KEEPING) for name in weights.wanted(study)[1]) == STORED
    for name in STORED:
        path = weights.FOLDER / f"{name}.npz"
        arrays, _ = weights.read(path)
        assert path.stat().st_size <= weights.LARGEST
        assert {array.dtype for array in arrays.values()} == {np.dtype(np.float16)}
        loaded = course.studies.weights(name)
        assert {k: v.numpy().astype(np.float16).tobytes() for k, v in loaded.items()} == {
            k: v.tobytes() for k, v in arrays.items()}
    with pytest.raises(FileNotFoundError, match="weights 'none': not stored; wanted one of those that are: "):
        course.studies.weights("none")


# The command

SMALL = '''
import torch

KEEP = {"small": {"size": 2, "seed": 1}}


def untrained(*, size, seed):
    return torch.nn.Linear(size, 1)


def trained(*, size, seed):
    network = untrained(size=size, seed=seed)
    torch.nn.init.constant_(network.weight, course.net(1) + seed / 3)
    torch.nn.init.zeros_(network.bias)
    return network


def measured(network, *, size, seed):
    return {"sum": float(network(torch.ones(1, size)))}


def run(*, size, seed):
    return measured(trained(size=size, seed=seed), size=size, seed=seed)
'''


def test_what_is_missing_or_stale_is_trained_and_nothing_else(book):
    write(book, "little", SMALL, "SEEDS = 2\nGRID = grid(size=[2])\n")
    path, networks = book / "chapters/weights/small.npz", book / "chapters/course/networks.py"
    assert call(book, "run").returncode == 0
    done = call(book, "weights")
    assert done.returncode == 0 and done.stdout.startswith("small: missing, trains\nsmall: "), done
    arrays, row = weights.read(path)
    assert arrays["weight"].tolist() == [[np.float16(2 + 1 / 3)] * 2]
    assert {k: row[k] for k in ("study", "size", "seed", "sum")} == {
        "study": "little", "size": 2, "seed": 1, "sum": pytest.approx(14 / 3)} and "seconds" not in row
    data = path.read_bytes()
    assert call(book, "weights").stdout == "small: as it should be\n"
    networks.write_text(networks.read_text().replace("FACTOR = 2", "FACTOR = 3"))
    done = call(book, "weights")
    assert done.returncode == 1 and done.stderr == (
        "small: its row size=2, seed=1 is stale, wanted it first: make studies STUDIES=little\n")
    assert path.read_bytes() == data
    assert call(book, "run").returncode == 0
    assert call(book, "weights").stdout.startswith("small: stale, trains\n")
    assert weights.read(path)[0]["weight"][0, 0] == np.float16(3 + 1 / 3)
    assert sorted(p.name for p in path.parent.iterdir()) == [".lock", "small.npz"]


class Module:
    """What a study would be whose network has `size` equal weights of 1/9, their mean being its measure."""

    KEEP = {"one": {"task": "a", "updates": 9, "seed": 0}}
    size, weight = 3, 1 / 9

    def untrained(self, **_):
        return torch.nn.Linear(self.size, 1, bias=False)

    def trained(self, **_):
        torch.nn.init.constant_((network := self.untrained()).weight, self.weight)
        return network

    def measured(self, network, **_):
        return {"rmse": network.weight.mean()}


@pytest.fixture
def module(monkeypatch):
    monkeypatch.setattr(weights.importlib, "import_module", lambda name: module)
    module = Module()
    return module


def change(path, **new):
    """Write the file again with other arrays, or with another row."""
    with np.load(path) as file:
        np.savez(path, **{name: file[name] for name in file.files} | new)


def test_damage_is_red(table, tmp_path, module):
    rows, path = Rows(STUDY, table.parent), tmp_path / "weights/one.npz"
    assert weights.complaints(STUDY, rows, path.parent) == ["one.npz is missing: make weights STUDIES=some"]
    weights.make(STUDY, rows, path.parent)
    data = path.read_bytes()
    assert weights.complaints(STUDY, rows, path.parent) == []
    for near, far in ((1.005, 0), (1.02, 1), (0.98, 1)):
        change(path, weight=np.full((1, 3), near / 9, np.float16))
        found = weights.complaints(STUDY, rows, path.parent)
        assert len(found) == far and all(re.match(r"one.npz: rmse is 0.1\d+, 0.1111111111111111 in its row:", said)
                                         for said in found)
    for new, said in (({"code": "beef"}, "stale"), ({"seed": 1}, "of another row"), ({"study": "b"}, "of another row")):
        change(path, row=np.array(json.dumps(weights.read(path)[1] | {"code": "c0de", "seed": 0} | new)))
        assert weights.complaints(STUDY, rows, path.parent) == [f"one.npz is {said}: make weights STUDIES=some"]
    path.write_bytes(data[:-40])
    with pytest.raises(StudyError, match=r"^one.npz: \w+: .*; wanted stored weights: delete it, make weights$"):
        weights.complaints(STUDY, rows, path.parent)
    weights.make(STUDY, rows, path.parent, force=True)
    assert path.read_bytes() == data


@pytest.mark.parametrize(("changed", "said"), [
    ({"size": 3_000_000}, "one: got 6,0.* bytes, wanted at most 5,000,000: fewer weights"),
    ({"weight": 0.12}, "one: in float16 its rmse is 0.1.*, 0.1111111111111111 in its row, wanted at most 1% between"),
    ({"untrained": None}, "studies/some.py: got KEEP and no untrained, wanted these functions"),
    ({"KEEP": {"one": {"seed": 0}}}, "got KEEP with 'one': seed=0; wanted .* in this order task, updates, seed"),
    ({"KEEP": {"../one": Module.KEEP["one"]}}, "got KEEP with '../one': task=a"),
    ({"KEEP": {"one": Module.KEEP["one"] | {"seed": 7}}}, "one: its row task=a, updates=9, seed=7 is missing, wanted"),
])
def test_what_cannot_be_stored_is_one_clear_error_and_nothing_is_written(table, tmp_path, module, changed, said):
    vars(module).update(changed)
    with pytest.raises(StudyError, match=said):
        weights.make(STUDY, Rows(STUDY, table.parent), tmp_path / "weights")
    assert not (tmp_path / "weights").exists()


def test_a_chapter_that_loads_weights_is_stale_when_they_change(book):
    folder = book / "chapters/weights"
    folder.mkdir()
    (book / "requirements.txt").touch()
    (book / "imgs").mkdir()
    (folder / "a.npz").write_bytes(b"1")
    reads = new_notebook(cells=[new_code_cell('from course.studies import weights\nnetwork = weights("a")')])
    other = nbformat.v4.new_notebook(cells=[new_code_cell("weights = 1")])
    before = [refresh.fingerprint(one, book) for one in (reads, other)]
    (folder / "a.npz").write_bytes(b"2")
    assert refresh.fingerprint(reads, book)["its weights"] != before[0]["its weights"]
    assert refresh.fingerprint(other, book) == before[1] and "its weights" not in before[1]
