"""Sphinx extension: the ledger of claims, made from the records that `course.claim` leaves in the chapters.

    python tools/ledger.py         writes _build/ledger/claims.csv and claims.json, prints the page's table

A page quotes {{ ledger }}, {{ ledger_filter }}, {{ ledger_rates }}, {{ ledger_effects }}, {{ ledger_chance }},
{{ ledger_examples }}, {{ ledger_number }}, {{ ledger_real }} (tried again on real anatomy) and the counts
{{ ledger_holds }}, {{ ledger_holds_when }} …, and offers
{download}`</_build/ledger/claims.csv>`.
"""
import csv
import json
import re
import runpy
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import notebooks

ROOT = Path(__file__).resolve().parent.parent
rule = runpy.run_path(str(ROOT / "chapters/course/machinery/verdict.py"))  # the package itself imports torch
VERDICTS = rule["VERDICTS"]
NO_KEYS = "lecture", "folklore"  # sources that are no keys of references.bib
SHORT = dict(zip(VERDICTS, ("holds", "holds when", "same", "false", "open")))  # a verdict in a narrow column
COLUMNS = ("chapter", "claim", "sentence", "sources", "verdict", "real", "firm", "scale", "condition", "relation",
           "effect", "smallest", "unit", "mean", "low", "high", "n", "true", "judged")


def again(root: Path, found: list[dict]) -> dict[str, dict]:
    """Which claims a chapter tries again on real anatomy: {name: record of the new claim}.

    The chapter's metadata say it: "book": {"again": {"cnn_beats": "real_anatomy_beats"}}.

    Raises
    ------
    ValueError                   naming the file, for a name that nobody claims, or one that is tried again twice
    """
    made, tried = {r["name"]: r for r in found}, {}
    for path in notebooks.chapters(root):
        for old, new in notebooks.read(path).metadata.get("book", {}).get("again", {}).items():
            own = made.get(new, {}).get("chapter") == path.stem
            for name, right, wanted in ((old, old in made, "the name of a claim"), (old, old not in tried, "it once"),
                                        (new, own, "a claim of this chapter")):
                if not right:
                    raise ValueError(f"chapters/{path.name}: \"again\" has {name!r}, wanted {wanted}")
            tried[old] = made[new]
    return tried


def judged(root: Path = ROOT) -> list[dict]:
    """The records of all chapters, each with the verdict on real anatomy and where it fell; "" where nobody tried."""
    found = notebooks.claims(root)
    tried = again(root, found)

    def real(record):
        judged = [c["judged"] for c in record["conditions"]]
        return {"real": record["verdict"], "real_chapter": record["chapter"],
                "real_counts": f"yes in {judged.count('yes')} of {len(judged)}"}

    nobody = dict.fromkeys(("real", "real_chapter", "real_counts"), "")
    return [r | (real(tried[r["name"]]) if r["name"] in tried else nobody) for r in found]


def wrong(notebook, known: set[str]) -> Iterator[str]:
    """What is wrong with the claims of a chapter, one line each; `known` are the sources that there are."""
    claims = {f"claim_{r['name']}": r for r in notebooks.records(notebooks.outputs(notebook))}
    text = notebooks.prose(notebook)
    explained = [r["name"] for cell, after in zip(notebook.cells, notebook.cells[1:])
                 if after.source.startswith("**Because.** ") and notebooks.of_kind(cell.get("outputs", []), "text/html")
                 for r in notebooks.records(cell.outputs)]
    for name, r in claims.items():
        yield from (f"claim {r['name']!r}: source {key!r} is not in references.bib"
                    for key in r["sources"] if key not in known)
        if "folklore" in r["sources"] and len(r["sources"]) > 1:
            yield (f"claim {r['name']!r}: \"folklore\" means that nobody is known to say it, "
                   f"got {', '.join(r['sources'])}")
        if f"`{name}:s`" not in text and r["name"] not in explained:
            yield (f"the text does not quote the verdict {{glue:text}}`{name}:s`, "
                   "nor does it go on with **Because.** where the cell shows it")
    for name in sorted(set(re.findall(r"`(claim_\w+):s`", text)) - set(claims)):
        yield f"the text quotes {name}, which nothing in the chapter claims"
    for rest in re.findall(r"\*\*Verdict[:.]\*\*(.{0,30})", text):
        if "{glue:text}`claim_" not in rest:
            yield f"wanted a quoted verdict behind **Verdict:**, got {rest!r}"
    for word in re.findall(rf"\*\*({'|'.join(sorted(VERDICTS, key=len, reverse=True))})\b", text, re.I):
        yield f"the verdict {word!r} is written by hand, wanted {{glue:text}}`claim_NAME:s`"
    for out in notebooks.outputs(notebook):
        about = out.get("metadata", {})
        if r := about.get("record") or claims.get(about.get("scrapbook", {}).get("name")):
            right = r | {"words": rule["words"](r["conditions"]),
                         "verdict": str(rule["verdict"]([c["judged"] for c in r["conditions"]]))}
            wanted = {"text/plain": rule["told"](right), "text/html": rule["shown"](right)}
            for kind, said in out.data.items():
                if said != (wanted[kind] if "record" in about else repr(right["words"])):
                    yield f"an output says another verdict than its numbers: {said}"


def complaints(root: Path = ROOT) -> list[str]:
    """What no ledger can be made of, one line each.

    These are sources that nobody finds, claims of one name, claims tried again that there are not, claims whose
    chapter's text does not quote the verdict, verdicts that an author wrote by hand, and outputs that say something
    else than the rule says of their numbers.
    """
    known = {*re.findall(r"^@\w+\{([^,\s]+),", notebooks.read_text(root / "references.bib"), re.M), *NO_KEYS}
    found = notebooks.claims(root)
    names, tried = Counter(r["name"] for r in found), []
    try:
        again(root, found)
    except ValueError as e:
        tried = [str(e)]
    return (tried + [f"chapters/{path.name}: {said}" for path in notebooks.chapters(root)
             for said in wrong(notebooks.read(path), known)]
            + [f"claim {name!r} is made {n} times" for name, n in names.items() if n > 1])


def said_by(sources: list[str]) -> str:
    """Who says a sentence, in Markdown."""
    keys = [key for key in sources if key not in NO_KEYS]
    return ", ".join(([f"{{cite:t}}`{','.join(keys)}`"] if keys else []) + [s for s in sources if s in NO_KEYS])


def measured(record: dict) -> list[str]:
    """The conditions of a claim with word and numbers."""
    return [f"{c['condition']}: *{c['judged']}*, {rule['in_words'](c)}" for c in record["conditions"]]


def line(cells: list) -> str:
    """A row of a table in Markdown."""
    return " | ".join(["", *(str(cell).replace("|", r"\|") for cell in cells), ""]).strip()


def table(head: str, rows: list[list]) -> str:
    """Rows of cells as a table in Markdown; `head` has its words between bars."""
    heads = head.split(" | ")
    return "\n".join(map(line, (heads, ["---"] * len(heads), *rows)))


def effects() -> str:
    """The kinds of effect and the smallest that matter, as a table in Markdown."""
    kinds = rule["EFFECTS"].values()
    return table("what is compared | as | smallest effect that matters",
                 [[e.of, "ratio" if e.ratio else "difference", e.least]
                  for e in sorted(kinds, key=lambda e: not e.ratio)])


def page(found: list[dict]) -> str:
    """The ledger as a table in Markdown; its verdict's class lets a row be filtered."""
    rows = []
    for r in found:
        rows.append([f"{r['sentence']} ({said_by(r['sources'])})",
                     f"{rule['chip'](r['verdict'])}{r['words'].removeprefix(r['verdict'])}",
                     f"{{doc}}`{SHORT[r['real']]} <{r['real_chapter']}>`<br>{r['real_counts']}" if r["real"] else "–",
                     "<br>".join(measured(r)), f"{{doc}}`{r['chapter']}`" + (r["scale"] and f"<br>{r['scale']}")])
    return table("the field says | verdict | real | measured, with intervals of 95 % | shown in, largest scale", rows)


def chance(found: list[dict]) -> str:
    """How many intervals of the ledger are expected to be wrong, in a sentence."""
    n = sum(c["effect"] != "exact" for r in found for c in r["conditions"])
    wrong = (1 - rule["LEVEL"]) * n
    return (f"The ledger rests on {n} intervals of 95 %. About {wrong:.0f} of them are expected to miss the true mean "
            "by chance alone, and nobody can tell which.")


def rates(effects=(0, 0.5, 1, 2), seeds=(5, 10), conditions=(1, 3), noise=1.0, draws=20_000) -> list[dict]:
    """How often the rule says what of "a > b" where the truth is known, by simulation: one row a combination.

    Parameters
    ----------
    effects : numbers            true mean differences, in smallest effects; the same in all conditions of a claim
    noise : float                sd of the normal differences over seeds, in smallest effects

    Returns
    -------
    list of dict                 effect, n, conditions, covered (share of intervals that hold the truth), and a share
                                 for each of VERDICTS
    """
    generator, rows = np.random.default_rng(0), []
    for n in seeds:
        for k in conditions:
            errors = noise * generator.standard_normal((draws, k, n))
            for effect in effects:
                _, low, high = rule["interval"](effect + errors)
                said = rule["verdict"](rule["judge"](low, high, 1.0, ">"))
                rows.append({"effect": effect, "n": n, "conditions": k,
                             "covered": float(((low < effect) & (effect < high)).mean()),
                             **{word: float((said == word).mean()) for word in VERDICTS}})
    return rows


def rates_table(rows: list[dict]) -> str:
    """These rates as a table in Markdown, in percent."""
    return table("true effect / smallest | n | conditions | hold the truth | "
                 + " | ".join(VERDICTS),
                 [[r["effect"], r["n"], r["conditions"], *(f"{100 * r[key]:.1f} %" for key in ("covered", *VERDICTS))]
                  for r in rows])


def examples(found: list[dict]) -> str:
    """One claim of each verdict, with what was measured, as a list in Markdown: the first of those that are firm."""
    shown = {r["verdict"]: r for r in [*reversed(found), *(r for r in reversed(found) if r["firm"])]}
    first = {word: next((m for m, c in zip(measured(r), r["conditions"]) if c["judged"] == "yes"), measured(r)[0])
             for word, r in shown.items()}
    return "\n".join(f"- “{r['sentence']}” **{word}**{r['words'].removeprefix(word)}\\\n  {first[word]}, "
                     f"{{doc}}`{r['chapter']}`" for word in VERDICTS if (r := shown.get(word)))


def choices(found: list[dict]) -> dict[str, dict[str, tuple[str, str]]]:
    """What the page can be filtered by: {verdict or chapter: {word: (number of rows, selector of what they hold)}}."""
    count = Counter(r[what] for r in found for what in ("verdict", "chapter"))
    return {"verdict": {word: (count[word], f'.{word.replace(" ", "-")}') for word in VERDICTS if count[word]},
            "chapter": {name: (count[name], f'td:last-child [href="{name}.html"]')
                        for name in dict.fromkeys(r["chapter"] for r in found)}}


def controls(found: list[dict]) -> str:
    """Two rows of radio buttons that filter the ledger through `styles`, without a script; raw HTML in Markdown."""
    html = ""
    for what, words in choices(found).items():
        html += f'<fieldset class="ledger-filter"><legend>{what}</legend>'
        for word, n in {"all": len(found), **{word: n for word, (n, _) in words.items()}}.items():
            checked = " checked" if word == "all" else ""
            html += (f'<label><input type="radio" name="{what}" value="{word}"{checked}> '
                     f'{word.replace("_", " ")} ({n})</label> ')
        html += "</fieldset>"
    return f"```{{raw}} html\n{html}\n```"


def styles(found: list[dict]) -> str:
    """Rules of CSS: a chosen radio button hides the rows without what it stands for."""
    return "".join(f'.ledger:has([name={what}][value="{word}"]:checked) tbody tr:not(:has({has})) {{ display: none }}\n'
                   for what, words in choices(found).items() for word, (_, has) in words.items())


def write(found: list[dict], folder: Path) -> None:
    """claims.csv, a line per condition, claims.json, an entry per claim, and ledger.css in this folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "claims.csv", "w", newline="", encoding="utf-8") as file:
        rows = csv.DictWriter(file, COLUMNS, restval="", extrasaction="ignore", lineterminator="\n")
        rows.writeheader()
        for r in found:
            of_claim = r | {"claim": r["name"], "sources": " ".join(r["sources"])}
            # `firm` of a condition is a word, of a claim whether 99 % intervals give the same verdict
            rows.writerows(of_claim | c | {"firm": r["firm"]} for c in r["conditions"])
    (folder / "claims.json").write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    (folder / "ledger.css").write_text(styles(found), encoding="utf-8")


def quote(app, config) -> None:
    """Write the files and give the pages the ledger to quote."""
    root = Path(app.srcdir)
    found = judged(root)
    write(found, root / "_build/ledger")
    counts = Counter(r["verdict"] for r in found)
    config.html_static_path.append("_build/ledger/ledger.css")
    config.html_css_files.append("ledger.css")
    config.myst_substitutions |= {
        "ledger": page(found), "ledger_filter": controls(found), "ledger_rates": rates_table(rates()),
        "ledger_effects": effects(),
        "ledger_chance": chance(found), "ledger_examples": examples(found), "ledger_number": len(found),
        "ledger_real": sum(bool(r["real"]) for r in found),
        **{f"ledger_{word.replace(' ', '_')}": counts[word] for word in VERDICTS}}


def cited(app, html: str, link=lambda words, work: words) -> str:
    """HTML in which a claim's sources have names and year instead of keys of references.bib."""
    works = {c.key: c for c in app.env.get_domain("cite").citations}

    def named(match) -> str:
        if not (work := works.get(match[0])):
            return match[0]
        names = [" ".join(map(str, person.rich_last_names)) for person in work.entry.persons["author"]]
        who = " and ".join(names) if len(names) < 3 else f"{names[0]} et al."
        return link(f"{who}, {work.entry.fields['year']}", work)

    return re.sub(r"(?<=<cite>\[).*?(?=\]</cite>)", lambda m: re.sub(r"[^,\s]+", named, m[0]), html)


def cite(app, pagename, template, context, doctree) -> None:
    """Link a claim's sources to the bibliography."""
    def link(words, work) -> str:
        page = app.builder.get_relative_uri(pagename, work.bibliography_key.docname)
        return f'<a href="{page}#{work.citation_id}">{words}</a>'

    if "<cite>" in (body := context.get("body", "")):
        context["body"] = cited(app, body, link)


def setup(app):
    app.connect("config-inited", quote)
    app.connect("html-page-context", cite)
    return {"parallel_read_safe": True}


if __name__ == "__main__":
    if wrong := complaints():
        sys.exit("\n".join(wrong))
    write(judged(), ROOT / "_build/ledger")
    print(page(judged()))
