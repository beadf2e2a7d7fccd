"""Sphinx extension: what pages list of the chapters, from what each notebook says of itself.

A chapter's metadata hold `book`, of the form BOOK: short (its name in lists), description (for search engines),
question and card (see tools/cards.py). The lines <!-- cards -->, <!-- exercises -->, <!-- running times -->,
<!-- syllabus --> and <!-- ten weeks --> of a page become the lists; {{ bench_cold }} and so on are the numbers of
tools/bench.json, {{ class_memory }} and so on what a class needs.
"""
import json
import re
from collections.abc import Iterator
from pathlib import Path

import jsonschema
import yaml

import ledger
import notebooks

ROOT = Path(__file__).resolve().parent.parent
LIST = re.compile("<!-- (cards|exercises|running times|syllabus|ten weeks) -->")
EXERCISE = re.compile(r"^(`{3,})\{exercise\} *([^\n]*)\n:label: (\S+)\n(.*?)^\1$", re.M | re.S)  # title, label, text


BOOK = yaml.safe_load("""
type: object
required: [short, question, description, card]
additionalProperties: false
description: short, question, description and card, and perhaps form and again
properties:
  form: {enum: [2], description: 2}
  again: {type: object, additionalProperties: {type: string}, description: "names of claims: {old: new}"}
  short: {type: string, minLength: 2, maxLength: 30, description: a text of 2 to 30 characters}
  question: {type: string, minLength: 10, maxLength: 120, description: a text of 10 to 120 characters}
  description: {type: string, minLength: 50, maxLength: 155, description: a text of 50 to 155 characters}
  card:
    type: object
    required: [figure, panels, alt]
    additionalProperties: false
    description: figure, panels and alt, and perhaps zoom
    properties:
      figure: {type: string, description: the name of a figure of the chapter}
      panels:
        type: array
        minItems: 2
        maxItems: 3
        items: {type: integer, minimum: 0, description: "0 or more"}
        description: "two or three panels of the figure, counted from 0: [0, 1]"
      zoom:
        type: array
        minItems: 4
        maxItems: 4
        items: {type: number, minimum: 0, maximum: 1, description: from 0 to 1}
        description: "left, top, right and bottom: [0, 0, 1, 0.5]"
      alt: {type: string, minLength: 40, description: "what the picture shows, 40 characters or more"}
""")


MYSTNB = yaml.safe_load("""
type: object
description: an object with figure and image
properties:
  figure:
    type: object
    description: an object with name and caption
    additionalProperties: {type: string, description: a text}
  image:
    type: object
    description: an object with alt
    properties: {alt: {type: string, description: a text}}
""")


MEASURED = yaml.safe_load("""
type: object
description: nothing by hand, make bench
properties:
  seconds: {type: number, description: "nothing by hand, make bench"}
""")


def unlike(form: dict, said, where: str, types: bool = False) -> Iterator[tuple[str, str]]:
    """(what is wrong, what to write) of metadata that should have this form; `types`: where the type is another."""
    for e in jsonschema.Draft202012Validator(form).iter_errors(said):
        got = e.message if e.validator in ("required", "additionalProperties") else f"got {e.instance!r}"
        if not types or e.validator == "type":
            yield f"metadata {'.'.join([where, *map(str, e.absolute_path)])}: {got}", e.schema["description"]


def misfits(notebook, types: bool = False) -> Iterator[tuple[str, str]]:
    """The same of all that a chapter says of itself and of its cells."""
    yield from unlike(BOOK, notebook.metadata.get("book", {}), "book", types)
    yield from unlike(MEASURED, notebook.metadata.get("measured", {}), "measured", types)
    for i, cell in enumerate(notebooks.code_cells(notebook), 1):
        yield from unlike(MYSTNB, cell.metadata.get("mystnb", {}), f"of cell [{i}] mystnb", types)


def complaints(root: Path = ROOT) -> list[str]:
    """A line for each thing that a chapter of the book says in another form than its page needs."""
    found = [(path.name, notebooks.read(path)) for path in notebooks.chapters(root)]
    return [f"chapters/{name}: {wrong}; wanted {wanted}" for name, notebook in found if "book" in notebook.metadata
            for wrong, wanted in misfits(notebook)]


def card(name: str, book: dict) -> str:
    """A chapter on the landing page."""
    return f"""- ![{book["card"]["alt"]}](../_build/cards/{name}.png)
  {{doc}}`{book["short"]} <{name}>`

  {book["question"]}"""


def exercises(name: str, notebook) -> str:
    """The exercises of a chapter, those in code and those with a question that is checked marked."""
    text, lines = notebooks.prose(notebook), []
    found = EXERCISE.findall(text)
    labels = sorted((label for _, _, label, _ in found), key=len, reverse=True)
    checked = {next((label for label in labels if f"{one}-".startswith(f"{label}-")), "")
               for one in re.findall(r"^`{3,}\{check\} (\S+)$", text, re.M)}
    for _, title, label, asked in found:
        marks = ["*code*"] * ("(Code" in asked) + ["*checked*"] * (label in checked)
        lines.append(f"- {{ref}}`{label}`: {title}" + f" ({', '.join(marks)})" * bool(marks))
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


def goals(notebook) -> tuple[str, str]:
    """What a chapter says that it teaches, and what it needs, from the text before its first section."""
    text = notebooks.prose(notebook).partition("\n## ")[0]
    taught = re.search(r"\*\*What you will be able to do\*\*\n\n((?:- .*\n|  .*\n)+)", text)
    needs = re.search(r"\*\*What you need:\*\* (.*?)\s*\*\*Running time", text, re.S)
    return taught[1].strip() if taught else "", " ".join(needs[1].split()).rstrip(".") if needs else ""


def syllabus(root: Path) -> str:
    """Of each chapter what it needs, what it teaches, and how long it computes."""
    found = []
    for path in notebooks.chapters(root):
        notebook = notebooks.read(path)
        taught, needs = goals(notebook)
        seconds = notebook.metadata.get("measured", {}).get("seconds")
        asked = EXERCISE.findall(notebooks.prose(notebook))
        facts = [f"**Needs** {needs}"] * bool(needs) + ([] if seconds is None else [f"**computes** {seconds:.0f} s"])
        facts.append(f"**exercises** {len(asked)}, {sum('(Code' in text for *_, text in asked)} of them in code")
        found.append(f"### {{doc}}`{path.stem}`\n\n{'; '.join(facts)}.\n\n{taught}")
    return "\n\n".join(found)


def shares(weights: list[float], parts: int) -> list[range]:
    """Consecutive things in this many parts, so that each has about the same weight."""
    ends, done, total = [0], 0.0, sum(weights)
    for i, weight in enumerate(weights):
        left = len(weights) - i - 1
        done += weight
        if len(ends) < parts and (done >= total * len(ends) / parts - weight / 2 or left <= parts - len(ends)):
            ends.append(i + 1)
    return [range(a, b) for a, b in zip(ends, [*ends[1:], len(weights)])]


def ten_weeks(root: Path) -> str:
    """The chapters over nine weeks, by the length of their text, and a week for projects."""
    paths = notebooks.chapters(root)
    found = [notebooks.read(path) for path in paths]
    weeks = [part for part in shares([len(notebooks.prose(one).split()) for one in found], min(9, len(paths))) if part]
    rows = []
    for week, part in enumerate(weeks, 1):
        labels = [label for i in part for _, _, label, text in EXERCISE.findall(notebooks.prose(found[i]))
                  if "(Code" in text][:2]
        names = [(paths[i].stem, found[i].metadata.get("book", {}).get("short", paths[i].stem)) for i in part]
        rows.append([str(week), ", ".join(f"{{doc}}`{short} <{name}>`" for name, short in names),
                     ", ".join(f"{{ref}}`{label}`" for label in labels)])
    rows.append([str(len(weeks) + 1), "projects, as in {ref}`Across chapters <sec-projects>`", "three slides a group"])
    return ledger.table("week | read and shown | to hand in", rows)


def class_needs(measured: dict[str, dict]) -> dict[str, str]:
    """What a student's kernel needs at most, as measured: for {{ class_… }}."""
    if not measured:
        return {key: "?" for key in ("memory", "peak", "hungriest", "slowest", "seconds", "minutes")}
    hungriest = max(measured, key=lambda name: measured[name]["peak_mib"])
    slowest = max(measured, key=lambda name: measured[name]["seconds"])
    peak = measured[hungriest]["peak_mib"]
    return {"memory": f"{-(-peak * 1.4 // 1024):.0f}", "peak": peak, "hungriest": f"{{doc}}`{hungriest}`",
            "slowest": f"{{doc}}`{slowest}`", "seconds": f"{measured[slowest]['seconds']:.0f}",
            "minutes": f"{sum(one['seconds'] for one in measured.values()) / 60:.0f}"}


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
        if match[1] == "syllabus":
            return syllabus(root)
        if match[1] == "ten weeks":
            return ten_weeks(root)
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
    measured = {name: one for name, one in metadata("measured", root).items() if one["seconds"]}
    config.myst_substitutions |= {f"class_{key}": value for key, value in class_needs(measured).items()}


def setup(app):
    app.connect("config-inited", configure)
    app.connect("source-read", on_read)
    return {"parallel_read_safe": True}
