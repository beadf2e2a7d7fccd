"""Open JupyterLab with the student edition in notebooks/, or with the sources of the chapters.

    python tools/lab.py [--edit] [options of JupyterLab]

The student edition is what the last build made. A notebook that somebody changed is never overwritten.
"""
import argparse
import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path

import guard
import notebooks
import student

ROOT = Path(__file__).resolve().parent.parent
SETTINGS = {"@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False}}


def options(folder: Path) -> list[str]:
    """Those of a JupyterLab with a workspace of its own, kept in `folder`, which asks nobody for news."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "overrides.json").write_text(json.dumps(SETTINGS))
    return [f"--LabApp.app_settings_dir={folder}", f"--LabApp.workspaces_dir={folder / 'workspaces'}"]


def changed(path: Path) -> bool:
    """Whether somebody changed or ran this notebook since it was laid here."""
    try:
        notebook = notebooks.read(path)
        return student.digest(notebook) != notebook.metadata.get("edition")
    except (notebooks.ChapterError, ValueError):
        return True


def lay(edition: Path, folder: Path) -> list[str]:
    """Copy the notebooks of `edition` that `folder` lacks or has unchanged; a line for each that stays as it is."""
    folder.mkdir(exist_ok=True)
    kept = []
    for path in sorted(edition.glob("*.ipynb")):
        mine = folder / path.name
        if not mine.exists() or not changed(mine):
            notebooks.store(notebooks.read(path), mine)
            continue
        try:
            newer = notebooks.read(mine).metadata.get("edition") != notebooks.read(path).metadata.edition
        except (notebooks.ChapterError, ValueError):
            newer = True
        kept.append(f"{folder.name}/{mine.name}: changed by you, and kept"
                    + ("; the book has a newer edition: rename yours and call again to get it" if newer else ""))
    return kept


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--edit", action="store_true", help="the sources, for authors")
    args, rest = ap.parse_known_args()
    folder, edition = ROOT / "notebooks", ROOT / "_build/html/_sources/chapters"
    if not args.edit and not edition.is_dir():
        sys.exit(f"{edition}: not there, wanted the student edition; make book makes it")
    try:
        quiet = options(folder / ".lab")
        for line in [] if args.edit else lay(edition, folder):
            print(line, flush=True)
    except OSError as e:
        sys.exit(guard.unwritable(e))
    paths = [str(ROOT / "chapters"), *filter(None, [os.environ.get("PYTHONPATH")])]  # there lies `course`
    command = [sys.executable, "-m", "jupyterlab", str(ROOT / "chapters" if args.edit else folder), *quiet, *rest]
    with contextlib.suppress(KeyboardInterrupt):
        sys.exit(subprocess.run(command, env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)}).returncode)


if __name__ == "__main__":
    main()
