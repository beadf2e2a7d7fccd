"""Sphinx extension: the page "Studies", from the studies and their stored rows.

    python tools/evidence.py       prints the text that fills the page

The line <!-- studies --> of chapters/studies.md becomes a section for each study that has rows: question, grid, figure,
cost, command, download, and the claims whose `scale` names it: "study NAME, 64 pixels". The line <!-- speed --> becomes
the table of studies/bench.csv.
"""
import ast
import csv
import io
import itertools
import json
import re
import runpy
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure

import ledger
import notebooks
from page.cache import cached

ROOT = Path(__file__).resolve().parent.parent
PAGE = "chapters/studies"
COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00"]  # of course.set_style
DASHES = ["-", "--", ":", "-."]
PANELS, LINES = 4, 8  # at most, of one figure
UNITS = {"seconds", "device", "threads", "torch", "code", "digest"}
columns_of = runpy.run_path(str(ROOT / "chapters/course/machinery/studies.py"))["rows"]  # `course` imports torch


def told(path: Path) -> tuple[str, list[str], dict]:
    """The docstring of a study, the arguments of its run, and its FIGURE, without importing it."""
    module = ast.parse(notebooks.read_text(path))
    run = next(node for node in module.body if isinstance(node, ast.FunctionDef) and node.name == "run")
    figure = [ast.literal_eval(node.value) for node in module.body
              if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "FIGURE"]
    return ast.get_docstring(module), [a.arg for a in run.args.kwonlyargs], figure[0] if figure else {}


def different(values: list) -> list:
    return sorted(set(values), key=lambda one: (isinstance(one, str), one))


def label(names: list[str], row: dict) -> str:
    """What a curve is called: the values of these arguments, of a switch whether it is on."""
    values = [(name.replace("_", " "), row[name]) for name in names]
    return ", ".join(("" if one else "no ") + name if isinstance(one, bool) else str(one) for name, one in values)


def draw(rows: dict[str, list], arguments: list[str], chosen: dict) -> tuple[Figure, str, str]:
    """A study's learning curves, mean and range over seeds; what is to be seen; a caption.

    Parameters
    ----------
    chosen : dict                FIGURE of the study: its metric; which arguments give the lines and the panels; and
                                 where: {argument: values to show}. What is left out of all three is averaged, and said
    """
    where, metric = chosen.get("where", {}), chosen.get("metric") or next(
        name for name in rows if name not in (*arguments, *UNITS))
    every = [row for row in (dict(zip(rows, one)) for one in zip(*rows.values()))
             if all(row[name] in wanted for name, wanted in where.items()) and not isinstance(row[metric], str)]
    settings = [name for name in arguments if name not in ("updates", "seed") and len({row[name] for row in every}) > 1]
    lines = chosen.get("lines", (settings or arguments)[:1])
    lines = [lines] if isinstance(lines, str) else lines
    panels = chosen.get("panels", next((name for name in settings if name not in lines), ""))
    trained = [row for row in every if row.get("updates")]
    shown = different([row[panels] for row in trained or every])[:PANELS] if panels else [None]
    figure = Figure(figsize=(min(8, 2 + 2.7 * len(shown)), 3.4), dpi=120, layout="constrained")
    axes = figure.subplots(1, len(shown), sharey=True, squeeze=False)[0]
    names = different([label(lines, row) for row in trained])[:LINES]
    train = {row[lines[0]] for row in trained}
    level = different([label(lines[:1], row) for row in every if row[lines[0]] not in train])
    for ax, panel in zip(axes, shown):
        for i, name in enumerate(names + level):
            style = {"color": COLOURS[i % len(COLOURS)], "ls": DASHES[i % len(DASHES)], "label": name}
            if name in level:  # it does not train; without a panel of its own, as rate 0, it is in all
                at = [row for row in every if label(lines[:1], row) == name]
                if panels and len({row[panels] for row in at}) > 1:
                    at = [row for row in at if row[panels] == panel]
                if at:
                    ax.axhline(sum(row[metric] for row in at) / len(at), **style)
                continue
            over = {}
            for row in trained:
                if label(lines, row) == name and (panel is None or row[panels] == panel):
                    over.setdefault(row["updates"], []).append(row[metric])
            if not (steps := sorted(over)):
                continue
            ax.plot(steps, [sum(over[step]) / len(over[step]) for step in steps], marker="o", ms=3, **style)
            low, high = ([limit(over[step]) for step in steps] for limit in (min, max))
            ax.fill_between(steps, low, high, color=style["color"], alpha=0.2, lw=0)
            ax.set_xscale("log", base=2)
            ax.set_xticks(steps, [str(step) for step in steps], minor=False)
        ax.tick_params("x", labelrotation=45)
        if not trained:
            ax.set_xticks([])
        ax.set(xlabel="updates (log scale)" if trained else "",
               title="" if panel is None else f"{panels.replace('_', ' ')} {panel}")
        ax.grid(alpha=0.3)
        ax.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel(metric.replace("_", " "))
    named = {line.get_label(): line for ax in axes for line in ax.lines}
    figure.legend(handles=[named[name] for name in names + level if name in named], loc="outside lower center", ncols=3,
                  frameon=False, fontsize=8)
    alt = f"{metric}{' against the number of updates' if trained else ''}, a curve each for {'; '.join(names + level)}"
    alt = (alt + (f"; a panel for each {panels}" if panels else "")).replace("_", " ")
    averaged = [name for name in settings if name not in lines and name != panels
                and len({row[name] for row in trained}) > 1]
    only = [f"{name.replace('_', ' ')} {' or '.join(str(one) for one in wanted)}" for name, wanted in where.items()]
    caption = (f"Mean and range over {' and '.join(['seeds', *averaged])}; what does not train is a level line."
               if trained else "Mean over seeds; nothing trains.")
    return figure, alt, caption + (f" Shown: {', '.join(only)}." if only else "")


def drawn(rows: dict[str, list], arguments: list[str], chosen: dict) -> list[str]:
    """What draw() gives, the figure as a PNG in hexadecimal digits; kept, since drawing takes a fifth of a build."""
    def make(_):
        figure, alt, caption = draw(rows, arguments, chosen)
        figure.savefig(stream := io.BytesIO(), metadata={"Software": None, "pictures": ""})
        return json.dumps([stream.getvalue().hex(), alt, caption]).encode()
    how = f"{matplotlib.__version__} {arguments} {chosen} {Path(__file__).read_text(encoding='utf-8')}"
    return json.loads(cached(json.dumps(rows).encode(), how, make))


def section(path: Path, root: Path, claims: list[dict]) -> str:
    """One study in MyST Markdown, with those of the book's claims that name it; its figure goes to _build/studies."""
    doc, arguments, chosen = told(path)
    rows = columns_of(path.stem, folder=root / "studies/results")
    (root / "_build/studies").mkdir(parents=True, exist_ok=True)
    picture, alt, caption = drawn(rows, arguments, chosen)
    (root / f"_build/studies/{path.stem}.png").write_bytes(bytes.fromhex(picture))
    question, _, more = doc.partition("\n\n")
    count, hours = len(rows["seed"]), sum(rows["seconds"]) / 3600
    grid = ledger.table("argument | values", [[name.replace("_", " "), ", ".join(map(str, different(rows[name])))]
                                              for name in arguments])
    cost = f"{hours:.1f} core-hours" if hours >= 1 else f"{60 * hours:.1f} core-minutes"
    resting = "\n".join(f"- “{r['sentence']}” **{r['verdict']}** ({{doc}}`{r['chapter']}`)" for r in claims
                        if re.search(rf"\bstudy {path.stem}\b", r["scale"]))
    name = " ".join({"cnn": "CNN", "ct": "CT", "mri": "MRI", "unet": "UNet"}.get(x, x) for x in path.stem.split("_"))
    return f"""(study-{path.stem})=
## {name[0].upper() + name[1:]}

**{' '.join(question.split())}** {' '.join(more.split())}

:::{{figure}} ../_build/studies/{path.stem}.png
:alt: {alt}
:name: fig-study-{path.stem}

{caption}
:::

{grid}

{count} rows of {len(set(rows['seed']))} seeds, {cost}.
Repeat them by `make studies STUDIES={path.stem} FORCE=1`, or see what other seeds give by
`make studies STUDIES={path.stem} SEEDS=1000-1004 STORE=`.

The rows: {{download}}`{path.stem}.csv <../studies/results/{path.stem}.csv>`.

""" + (f"Claims that rest on it, with their verdicts:\n\n{resting}\n" if resting else "No claim rests on it.\n")


def speed(root: Path) -> str:
    """The benchmark as a table."""
    path = root / "studies/bench.csv"
    if not path.exists():
        return ""
    with path.open(encoding="utf-8-sig", newline="") as file:
        lines = list(csv.DictReader(file))
    return "\n".join(["| what | workers | rows | seconds | ms a row |", "|---|---:|---:|---:|---:|", *(
        f"| {x['what']} | {x['workers']} | {x['rows']} | {float(x['seconds']):.3g} | "
        f"{1000 * float(x['seconds']) / int(x['rows']):.3g} |" for x in lines)])


def fill(text: str, root: Path = ROOT) -> str:
    """The page, with what its two lines stand for."""
    stored = [p for p in sorted((root / "studies").glob("*.py")) if p.stem.isidentifier()
              and (root / f"studies/results/{p.stem}.csv").exists()]
    claims = notebooks.claims(root) if "<!-- studies -->" in text else []
    sections = "\n".join(section(path, root, claims) for path in stored) if "<!-- studies -->" in text else ""
    return text.replace("<!-- studies -->", sections).replace("<!-- speed -->", speed(root))


def on_read(app, page, source) -> None:
    if page == PAGE:
        root = Path(app.srcdir)
        for path in itertools.chain((root / "studies").glob("*.*"), (root / "studies/results").glob("[!.]*.csv"),
                                    notebooks.sources(root)):
            app.env.note_dependency(str(path))
        source[0] = fill(source[0], root)


def setup(app):
    app.connect("source-read", on_read)
    return {"parallel_read_safe": True}


if __name__ == "__main__":
    print(fill(notebooks.read_text(ROOT / f"{PAGE}.md")))
