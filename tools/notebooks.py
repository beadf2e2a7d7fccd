"""The one reader of the chapters: their order, cells, outputs by kind, claims; and how a notebook is stored."""
import ast
import base64
import functools
import hashlib
import io
import json
import os
import re
import runpy
import sys
from pathlib import Path

sys.modules["rfc3987_syntax"] = None  # jsonschema would compile its grammar of addresses: 1.3 s
import nbformat  # noqa: E402
import yaml  # noqa: E402
from PIL import Image  # noqa: E402
from sphinx_external_toc.parsing import MalformedError, parse_toc_yaml  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent
CLEAN_METADATA = {  # the language for nbconvert, without the version that a kernel adds
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python", "file_extension": ".py", "mimetype": "text/x-python",
                      "nbconvert_exporter": "python"}}
GLUED = "application/papermill.record/"  # before the MIME type of a number for the prose
IGNORED = {"application/vnd.jupyter.widget-view+json"}  # carries a fresh identifier in every run
ANSI = re.compile(r"\x1b\[[0-9;]*m")  # colours of a terminal
FRAMES = re.compile(r'data-shape="(\d+) (\d+)".*?data:image/webp;base64,([\w+/=]+)', re.S)  # of course.explore


class ChapterError(Exception):
    """A chapter could not be read or executed; the message names chapter, cell as Jupyter numbers it, and error."""


def raised(error, traceback: list[str]) -> str:
    """What a cell raised; where that has no words, as an assertion of a chapter, the line of the cell."""
    lines = re.findall(r"^-+> *\d+ +(.*)", ANSI.sub("", "\n".join(traceback)), re.MULTILINE)
    return f"{error.ename}: {error.evalue or ''.join(lines[:1])}"


def read_text(path: Path) -> str:
    """The text of a file, the same whatever its line endings, and with or without a byte-order mark."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as e:
        raise ValueError(f"{path.name}: byte {e.start} is no UTF-8 ({e.reason}), wanted text in UTF-8") from None


def digest(*parts: str | bytes) -> str:
    """One for all parts; texts count without the way their lines end."""
    parts = [p.replace("\r\n", "\n").encode() if isinstance(p, str) else p for p in parts]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]


def canonical(value) -> str:
    """JSON with sorted keys, where 5.0 is 5: so JupyterLab writes it when it saves."""
    return json.dumps(json.loads(json.dumps(value), parse_float=lambda text: int(number) if (
        number := float(text)).is_integer() else number), sort_keys=True)


def toc_files(root: Path = ROOT) -> list[str]:
    """The pages of `_toc.yml` in their order, without suffix; ValueError where it has another form."""
    try:
        return list(parse_toc_yaml(root / "_toc.yml", "utf-8-sig"))
    except (yaml.YAMLError, MalformedError) as e:
        raise ValueError(f"_toc.yml: {e}") from None


def sources(root: Path = ROOT) -> list[Path]:
    """The files of those pages."""
    return [path for file in toc_files(root) for path in (root / f"{file}.md", root / f"{file}.ipynb") if path.exists()]


def chapters(root: Path = ROOT) -> list[Path]:
    """The notebooks of the book, in the order of `_toc.yml`."""
    return [path for path in sources(root) if path.suffix == ".ipynb"]


def choose(names: list[str], root: Path = ROOT) -> list[Path]:
    """The chapters of these names, all where there is none; ValueError for a name that is no chapter."""
    by_name = {path.stem: path for path in chapters(root)}
    unknown = [name for name in names if name not in by_name]
    if unknown:
        raise ValueError(f"CHAPTERS: got {', '.join(unknown)}, wanted names out of {', '.join(by_name)}; "
                         "a new chapter needs its line in _toc.yml")
    return [path for name, path in by_name.items() if not names or name in names]


@functools.lru_cache(maxsize=64)
def validate(text: str) -> None:
    """Raise an error unless this text is a notebook; once for each text, as it takes longer than to read it."""
    nbformat.validate(nbformat.reads(text, 4), relax_add_props=True)  # reads() only logs what is wrong


def read(path: Path):
    """The notebook in this file; ChapterError if it is none."""
    try:
        validate(text := read_text(path))
        return nbformat.convert(nbformat.reader.reads(text), 4)
    except (ValueError, AttributeError, TypeError, OSError, nbformat.reader.NotJSONError,
            nbformat.ValidationError) as e:
        raise ChapterError(f"{path.stem}: {path.name} is no notebook: {str(e).splitlines()[0][:100]}") from None


def store(notebook, path: Path) -> None:
    """Write beside the notebook, then rename: it is the old one or the new one, never half of either."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        beside.write_text(nbformat.writes(notebook) + "\n", encoding="utf-8", newline="\n")
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def code_cells(notebook) -> list:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def code(notebook) -> str:
    return "\n".join(cell.source for cell in code_cells(notebook))


def prose(notebook) -> str:
    return "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")


def solutions(notebook) -> dict[str, str]:
    """The code of the exercises' solutions: {label: code}; a solution in words alone is left out."""
    found = re.findall(r"^(`{4,})\{solution\} (\S+)\n(.*?)^\1$", prose(notebook), re.M | re.S)
    codes = {label: "".join(re.findall(r"^```python\n(.*?)^```$", body, re.M | re.S)) for _, label, body in found}
    return {label: code for label, code in codes.items() if code}


@functools.cache
def answers() -> dict:
    """What reads the tables of questions, by its names; read here, as its package imports torch."""
    return runpy.run_path(str(ROOT / "chapters/course/machinery/checks.py"))


def checks(notebook) -> dict:
    """The tables of questions that are checked: {name: table}."""
    return answers()["tables"](prose(notebook))


def clear(notebook) -> list:
    """Forget all outputs; the code cells."""
    for cell in (cells := code_cells(notebook)):
        cell.outputs, cell.execution_count = [], None
    return cells


def outputs(notebook) -> list:
    return [out for cell in code_cells(notebook) for out in cell.outputs]


def of_kind(outputs: list, kind: str) -> list[str]:
    """What outputs show as this MIME type: base64 where it is a picture."""
    return [out.data[kind] for out in outputs if kind in out.get("data", {})]


def by_kind(outputs: list) -> dict[str, list[str]]:
    """All that outputs say as {kind: [text, …]}: a MIME type, stdout, stderr, record, an error's name or message."""
    kinds, claims = {}, {f"claim_{record['name']}" for record in records(outputs)}
    for out in outputs:
        if out["output_type"] == "stream":  # may arrive in pieces
            kinds[out["name"]] = [kinds.get(out["name"], [""])[0] + out["text"]]
            continue
        if record := out.get("metadata", {}).get("record"):  # what is printed, and glued, are its words and numbers
            kinds.setdefault("record", []).append(json.dumps(record))
            continue
        name = out.get("metadata", {}).get("scrapbook", {}).get("name", "")
        for key, value in {} if name in claims else {**out, **out.get("data", {})}.items():
            if key in ("ename", "evalue") or ("/" in key and key not in IGNORED):
                kinds.setdefault(key, []).append("".join(value) if isinstance(value, list) else str(value))
        if name:
            kinds.setdefault("glued names", []).append(name)
    return kinds


def records(outputs: list) -> list[dict]:
    """What `course.claim` left of each claim."""
    return [out["metadata"]["record"] for out in outputs if "record" in out.get("metadata", {})]


def claims(root: Path = ROOT) -> list[dict]:
    """The records of all chapters, in their order, each with its chapter."""
    return [{"chapter": path.stem, **r} for path in chapters(root) for r in records(outputs(read(path)))]


def glued(outputs: list) -> dict:
    """The numbers and words for the prose: {name: value}."""
    return {out.metadata.scrapbook.name: ast.literal_eval(out.data[GLUED + "text/plain"]) for out in outputs
            if "scrapbook" in out.get("metadata", {})}


def decode(picture: str) -> Image.Image:
    """A base64-coded picture."""
    return Image.open(io.BytesIO(base64.b64decode(picture))).convert("RGB")


def frames(html: str) -> list[Image.Image]:
    """The frames of an explorable, row by row."""
    found = []
    for rows, columns, strip in FRAMES.findall(html):
        strip, rows, columns = decode(strip), int(rows), int(columns)
        w, h = strip.width // columns, strip.height // rows
        found += [strip.crop((c * w, r * h, c * w + w, r * h + h)) for r in range(rows) for c in range(columns)]
    return found
