"""Sphinx extension: the page "Studies", from the studies and their stored rows.

    python tools/evidence.py       prints the text that fills the page

The line <!-- studies --> of chapters/studies.md becomes a section for each study that has rows: question, grid, figure,
cost, command, download. The line <!-- speed --> becomes the table of studies/bench.csv.
"""
import ast
import csv
import itertools
import runpy
from pathlib import Path

from matplotlib.figure import Figure

import guard

ROOT = Path(__file__).resolve().parent.parent
PAGE = "chapters/studies"
COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00"]  # of course.set_style
DASHES = ["-", "--", ":", "-."]
PANELS, LINES = 4, 8  # at most, of one figure
UNITS = {"seconds", "device", "threads", "torch", "code", "digest"}
columns_of = runpy.run_path(str(ROOT / "chapters/course/studies.py"))["rows"]  # the package itself imports torch


def told(path: Path) -> tuple[str, list[str], dict]:
    """The docstring of a study, the arguments of its run, and its FIGURE, without importing it."""
    module = ast.parse(guard.read_text(path))
    run = next(node for node in module.body if isinstance(node, ast.FunctionDef) and node.name == "run")
    figure = [ast.literal_eval(node.value) for node in module.body
              if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "FIGURE"]
    return ast.get_docstring(module), [a.arg for a in run.args.kwonlyargs], figure[0] if figure else {}


def different(values: list) -> list:
    return sorted(set(values), key=lambda one: (isinstance(one, str), one))


def draw(rows: dict[str, list], arguments: list[str], chosen: dict) -> tuple[Figure, str]:
    """A study's learning curves, mean and range over seeds, and what is to be seen.

    Parameters
    ----------
    chosen : dict                FIGURE of the study: which metric, and which arguments give the panels and the lines
    """
    settings = [name for name in arguments if name not in ("updates", "seed") and len(set(rows[name])) > 1]
    metric = chosen.get("metric", next(name for name in rows if name not in (*arguments, *UNITS)))
    lines = chosen.get("lines", settings[0] if settings else "seed")
    panels = chosen.get("panels", settings[1] if len(settings) > 1 else "")
    shown = different(rows[panels])[:PANELS] if panels else [None]
    figure = Figure(figsize=(min(8, 2 + 2.7 * len(shown)), 3), dpi=120, layout="constrained")
    axes, names = figure.subplots(1, len(shown), sharey=True, squeeze=False)[0], different(rows[lines])[:LINES]
    for ax, panel in zip(axes, shown):
        for i, name in enumerate(names):
            at = [k for k, one in enumerate(rows[lines]) if one == name and (panel is None or rows[panels][k] == panel)]
            steps = different([rows["updates"][k] for k in at]) if "updates" in rows else [0]
            over = [[rows[metric][k] for k in at if "updates" not in rows or rows["updates"][k] == step]
                    for step in steps]
            over = [[one for one in some if not isinstance(one, str)] for some in over]
            if not any(over):
                continue
            style = {"color": COLOURS[i % len(COLOURS)], "ls": DASHES[i % len(DASHES)], "label": str(name)}
            if steps in ([0], []):  # it does not train
                ax.axhline(sum(over[0]) / len(over[0]), **style)
                continue
            ax.plot(steps, [sum(some) / len(some) for some in over], marker="o", ms=3, **style)
            low, high = list(map(min, over)), list(map(max, over))
            ax.fill_between(steps, low, high, color=style["color"], alpha=0.2, lw=0)
            ax.set_xscale("log", base=2)
            ax.set_xticks(steps, [str(step) for step in steps], minor=False)
        ax.set(xlabel="updates (log scale)", title="" if panel is None else f"{panels.replace('_', ' ')} {panel}")
        ax.grid(alpha=0.3)
        ax.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel(metric.replace("_", " "))
    axes[-1].legend(frameon=False, fontsize=8)
    alt = f"{metric} against the number of updates, a curve for each {lines}: {', '.join(map(str, names))}"
    return figure, (alt + (f"; a panel for each {panels}" if panels else "")).replace("_", " ")


def section(path: Path, root: Path) -> str:
    """One study in MyST Markdown; its figure goes to root/_build/studies."""
    doc, arguments, chosen = told(path)
    rows = columns_of(path.stem, folder=root / "studies/results")
    (root / "_build/studies").mkdir(parents=True, exist_ok=True)
    figure, alt = draw(rows, arguments, chosen)
    figure.savefig(root / f"_build/studies/{path.stem}.png", metadata={"Software": None, "pictures": ""})
    question, _, more = doc.partition("\n\n")
    count, hours = len(rows["seed"]), sum(rows["seconds"]) / 3600
    values = {name: ", ".join(map(str, different(rows[name]))) for name in arguments}
    grid = "\n".join(f"| {name.replace('_', ' ')} | {some} |" for name, some in values.items())
    cost = f"{hours:.1f} core-hours" if hours >= 1 else f"{60 * hours:.0f} core-minutes"
    name = " ".join({"cnn": "CNN", "unet": "UNet", "mri": "MRI"}.get(x, x) for x in path.stem.split("_"))
    return f"""(study-{path.stem})=
## {name[0].upper() + name[1:]}

**{' '.join(question.split())}** {' '.join(more.split())}

:::{{figure}} ../_build/studies/{path.stem}.png
:alt: {alt}
:name: fig-study-{path.stem}

Mean and range over seeds; what does not train is a level line.
:::

| argument | values |
|---|---|
{grid}

{count} rows of {len(set(rows['seed']))} seeds, {cost}.
Repeat them by `make studies STUDIES={path.stem} FORCE=1`, or see what other seeds give by
`make studies STUDIES={path.stem} SEEDS=1000-1004 STORE=`.

The rows: {{download}}`{path.stem}.csv <../studies/results/{path.stem}.csv>`.
"""


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
    sections = "\n".join(section(path, root) for path in stored) if "<!-- studies -->" in text else ""
    return text.replace("<!-- studies -->", sections).replace("<!-- speed -->", speed(root))


def on_read(app, page, source) -> None:
    if page == PAGE:
        root = Path(app.srcdir)
        for path in itertools.chain((root / "studies").glob("*.*"), (root / "studies/results").glob("[!.]*.csv")):
            app.env.note_dependency(str(path))
        source[0] = fill(source[0], root)


def setup(app):
    app.connect("source-read", on_read)
    return {"parallel_read_safe": True}


if __name__ == "__main__":
    print(fill(guard.read_text(ROOT / f"{PAGE}.md")))
