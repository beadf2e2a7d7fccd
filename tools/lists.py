"""Sphinx extension: what pages list of the chapters, from what each notebook says of itself.

A chapter's metadata hold `book`: short (its name in lists), description (for search engines), question and card (see
tools/cards.py). The lines <!-- cards -->, <!-- exercises --> and <!-- running times --> of a page become the lists;
{{ bench_cold }} and so on are the numbers of tools/bench.json.
"""
import json
import re
from pathlib import Path

import ledger
import notebooks

ROOT = Path(__file__).resolve().parent.parent
LIST = re.compile("<!-- (cards|exercises|running times) -->")
EXERCISE = re.compile(r"^(`{3,})\{exercise\} *([^\n]*)\n:label: (\S+)\n(.*?)^\1$", re.M | re.S)  # title, label, text


def card(name: str, book: dict) -> str:
    """A chapter on the landing page."""
    return f"""- ![{book["card"]["alt"]}](../_build/cards/{name}.png)
  {{doc}}`{book["short"]} <{name}>`

  {book["question"]}"""


def exercises(name: str, notebook) -> str:
    """The exercises of a chapter, those in code marked."""
    lines = [f"- {{ref}}`{label}`: {title}{' (*code*)' * ('(Code' in asked)}"
             for _, title, label, asked in EXERCISE.findall(notebooks.prose(notebook))]
    return "\n".join([f"### {{doc}}`{name}`", "", *lines]) if lines else ""


def running_times(measured: dict[str, dict]) -> str:
    """Which machines ran the chapters, and what that cost."""
    machines = {}
    for name, m in measured.items():
        machines.setdefault(m["machine"], []).append(f"{{doc}}`{name}`")
    said = [f"Machine{' of ' + ', '.join(ran) if len(machines) > 1 else ''}: {one}." for one, ran in machines.items()]
    rows = [[f"{{doc}}`{name}`", m["seconds"], m["over_seeds"], m["peak_mib"]] for name, m in measured.items()]
    if rows:
        _, seconds, over_seeds, peaks = zip(*rows)
        rows.append(["all chapters, one after the other", f"{sum(seconds):.1f}", f"{sum(over_seeds):.1f}", max(peaks)])
    table = ledger.table("what | seconds | over seeds | peak MiB", rows)
    return "\n\n".join([*said, table.replace("| --- | --- | --- | --- |", "|---|---:|---:|---:|")])


def metadata(key: str, root: Path) -> dict[str, dict]:
    """What the chapters' metadata hold under this key: {chapter: …}."""
    found = {path.stem: notebooks.read(path).metadata for path in notebooks.chapters(root)}
    return {name: about[key] for name, about in found.items() if key in about}


def fill(text: str, root: Path = ROOT) -> str:
    """A page with its lists."""
    def listed(match):
        if match[1] == "cards":
            return "\n".join(card(name, book) for name, book in metadata("book", root).items())
        if match[1] == "running times":
            return running_times(metadata("measured", root))
        found = (exercises(path.stem, notebooks.read(path)) for path in notebooks.chapters(root))
        return "\n\n".join(filter(None, found))

    return LIST.sub(listed, text)


def on_read(app, page, source) -> None:
    if LIST.search(source[0]):
        root = Path(app.srcdir)
        for path in notebooks.chapters(root):
            app.env.note_dependency(str(path))
        source[0] = fill(source[0], root)


def configure(app, config) -> None:
    """Descriptions for the heads of the chapters' pages, and the numbers of the last `make bench`."""
    root = Path(app.srcdir)
    config.html_context.setdefault("descriptions", {}).update(
        {name: book["description"] for name, book in metadata("book", root).items()})
    bench = json.loads(notebooks.read_text(Path(__file__).with_name("bench.json")))
    config.myst_substitutions |= {f"bench_{key}": value for key, value in bench.items()}


def setup(app):
    app.connect("config-inited", configure)
    app.connect("source-read", on_read)
    return {"parallel_read_safe": True}
