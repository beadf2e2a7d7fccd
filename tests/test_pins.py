"""The versions of all that the book is made with: packages, actions of the workflows."""
import re
import sys
from importlib import metadata
from pathlib import Path

import pytest
import yaml

import install

ROOT = Path(__file__).resolve().parent.parent
PINS = install.pinned([install.CONSTRAINTS])
WORKFLOWS = {path.name: path.read_text(encoding="utf-8") for path in ROOT.glob(".github/workflows/*.yml")}


def test_every_requirement_is_pinned():
    for file in ("requirements.txt", "tools/requirements.txt", "tests/requirements.txt"):
        for line in (ROOT / file).read_text(encoding="utf-8").splitlines():
            assert line.startswith("#") or re.fullmatch(r"[\w.-]+==[\w.]+", line), f"{file}: {line}"


@pytest.mark.skipif(not metadata.version("torch").endswith("+cpu"), reason="the pins are those of torch's CPU build")
def test_every_package_that_the_book_needs_has_the_version_that_is_installed():
    asked, there = install.pinned(install.FOR["pins"]), install.installed()
    assert asked.items() <= PINS.items()
    assert set(PINS) == install.needed(asked, install.OLDEST), "make pins writes constraints.txt anew"
    assert {"sphinx-book-theme", "pydata-sphinx-theme", "sphinx"} < set(PINS)
    for name in install.needed(asked):
        assert PINS[name] == there[name], f"{name}: make book installs what is pinned, make pins keeps what is there"


@pytest.fixture
def packages(tmp_path, monkeypatch):
    """Packages of which only the metadata are installed: a needs b and, where its extra is asked for, c; b needs a."""
    for name, lines in {"a": ["B>=1", "c; extra == 'more'", "old; python_version < '3.12'", "no; python_version < '3'"],
                        "b": ["a[more]"], "c": [], "old": []}.items():
        folder = tmp_path / f"{name}-1.0.dist-info"
        folder.mkdir()
        text = "".join(f"Requires-Dist: {line}\n" for line in lines)
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n{text}")
    (tmp_path / "asked.txt").write_text("# what is asked for\nA==1.0\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    monkeypatch.setattr(install, "TOOLS", tmp_path / "tools")
    return tmp_path


def test_what_is_needed_is_found_through_extras_circles_and_markers(packages):
    assert install.needed(["A==1.0"], {"python_version": "3.11"}) == {"a", "b", "c", "old"}
    assert install.needed(["A==1.0"], {"python_version": "3.14"}) == {"a", "b", "c"}
    assert install.needed(["none==1"]) == {"none"}


def test_a_changed_pin_is_missing_until_it_is_installed(packages):
    pins = {"a": "1.0", "b": "1.0", "c": "1.0", "stranger": "1.0"}
    assert install.missing(["asked.txt"], pins) == []
    assert install.missing(["asked.txt"], pins | {"c": "2.0", "stranger": "2.0"}) == ["c==2.0"]


def called(what, monkeypatch):
    """What pip would have been called with, in calls."""
    calls = []
    monkeypatch.setattr(sys, "argv", ["install.py", what])
    monkeypatch.setattr(sys, "base_prefix", "elsewhere")
    monkeypatch.setattr(install, "pip", lambda *arguments: calls.append(arguments))
    monkeypatch.setattr(install, "missing_npm", lambda left_out: [])
    monkeypatch.setattr(install, "FOR", dict.fromkeys(install.FOR, ["asked.txt"]))
    install.main()
    return calls


def test_every_installation_keeps_to_the_pins(packages, monkeypatch):
    constraints = packages / "constraints.txt"
    constraints.write_text("a==1.0\nb==1.0\nc==2.0\n")
    assert called("book", monkeypatch) == [(["c==2.0"], "--constraint", str(constraints))]


def test_new_pins_are_what_is_asked_for_and_installed(packages, monkeypatch):
    constraints = packages / "constraints.txt"
    constraints.write_text("a==0.1\ngone==1.0\n")
    with pytest.raises(SystemExit) as said:
        called("book", monkeypatch)
    assert str(said.value) == ("constraints.txt: lacks what the requirement files ask for, a==1.0; "
                               "make pins writes it anew")
    (packages / "asked.txt").write_text("a==1.0\nc==3.0\n")
    assert called("pins", monkeypatch) == [(["c==3.0"],)]
    assert install.pinned([install.CONSTRAINTS]) == {"a": "1.0", "b": "1.0", "c": "1.0", "old": "1.0"}


def test_pins_that_do_not_go_together_are_named(tmp_path):
    (tmp_path / "pins.txt").write_text("pip==0.0\n")
    with pytest.raises(SystemExit) as said:
        install.pip(["pip==1.0"], "--no-index", "--constraint", str(tmp_path / "pins.txt"))
    assert str(said.value) == ("constraints.txt: versions that do not go together:\n    The user requested pip==1.0\n"
                               "    The user requested (constraint) pip==0.0\nchange both, or undo the change")


# Workflows

def test_workflows_pass_their_own_repository():
    assert "github.repository" in WORKFLOWS["book.yml"] and "steps.pages.outputs.base_url" in WORKFLOWS["book.yml"]


@pytest.mark.parametrize("name", WORKFLOWS)
def test_workflow_runs_fixed_actions_and_may_only_read(name):
    """Where a job may do more, it says what, and no other job may."""
    workflow = yaml.safe_load(WORKFLOWS[name])
    assert workflow["jobs"] and workflow["permissions"] == {"contents": "read"}
    used = re.findall(r"uses:(.*)", WORKFLOWS[name])
    assert used
    for line in used:
        assert re.fullmatch(r" [\w/-]+@[0-9a-f]{40}  # v\d+\.\d+\.\d+", line), f"{name}: {line}"
    more = {job: about["permissions"] for job, about in workflow["jobs"].items() if "permissions" in about}
    assert set(more) <= {"pages"}, f"{name}: {more}"


def test_tests_run_on_the_oldest_and_the_newest_python():
    versions = yaml.safe_load(WORKFLOWS["book.yml"])["jobs"]["test"]["strategy"]["matrix"]["python"]
    assert versions[0] == install.OLDEST["python_version"] and len(versions) == 2
