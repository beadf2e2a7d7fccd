"""Start a chapter: a copy of tools/template.ipynb with its line in _toc.yml, executed.

    python tools/chapter.py NAME

Where the template fails, nothing is left behind.
"""
import keyword
import re
import signal
import sys
from importlib.util import find_spec
from pathlib import Path

import guard
import notebooks
import refresh

ROOT = Path(__file__).resolve().parent.parent


def check(name: str, root: Path = ROOT) -> None:
    """ValueError for what cannot become the name of a chapter."""
    sys.path.append(str(root / "chapters"))  # where the kernels import from
    if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name) or keyword.iskeyword(name):
        raise ValueError(f"NAME: got {name!r}, wanted small letters, words joined by _: make chapter NAME=my_topic")
    if there := [path.name for path in (root / "chapters").glob(f"{name}.*")]:
        raise ValueError(f"NAME: got {name}, and chapters/{there[0]} is there; wanted a name that nothing has")
    if find_spec(name):
        raise ValueError(f"NAME: got {name}, the name of a Python module; wanted one that no import means")


def entered(toc: str, name: str, root: Path = ROOT) -> str:
    """The text of _toc.yml with the chapter behind the last one."""
    lines = toc.splitlines(keepends=True)
    last = max(i for i, line in enumerate(lines) if (file := re.search(r"- file: (\S+)", line))
               and (root / f"{file[1]}.ipynb").exists())
    entry = lines[last].partition("- file:")[0]
    behind = next((i for i in range(last + 1, len(lines)) if not lines[i].startswith(f"{entry} ")), len(lines))
    lines[last] = f"{lines[last].rstrip()}\n"  # the last line of the file may lack it
    lines.insert(behind, f"{entry}- file: chapters/{name}\n")
    return "".join(lines)


def start(name: str, root: Path = ROOT) -> Path:
    """Lay the chapter into the book and execute it; its file."""
    check(name, root)
    path, toc = root / f"chapters/{name}.ipynb", root / "_toc.yml"
    contents = entered(notebooks.read_text(toc), name, root)
    path.write_text(notebooks.read_text(Path(__file__).with_name("template.ipynb")).replace("my_topic", name), "utf-8")
    try:
        refresh.run([path], root=root)
        toc.write_text(contents, encoding="utf-8")
    except BaseException:
        path.unlink()
        raise
    return path


def main() -> None:
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ended as by Ctrl-C
    try:
        path = start(" ".join(sys.argv[1:]))
    except ValueError as e:
        sys.exit(str(e))
    except OSError as e:
        sys.exit(guard.unwritable(e))
    except KeyboardInterrupt:
        sys.exit("interrupted; nothing was left behind")
    print(f"chapters/{path.name} is the last chapter of _toc.yml; move its line to where it belongs.\n"
          f"Overwrite its text (make lab EDIT=1), then make refresh, make book, make test CHAPTERS={path.stem}.")


if __name__ == "__main__":
    main()
