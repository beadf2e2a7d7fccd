"""What each chapter needs to be one of this book: `lacks` lists what is missing, by file and what to write there."""
import ast
import copy
import itertools
import json
import re
import symtable
from collections import Counter
from pathlib import Path
from statistics import median

import nbformat
import pytest
from bs4 import BeautifulSoup

import cards
import guard
import ledger
import lists
import notebooks
import symbols
import times
from notebooks import prose

ROOT = Path(__file__).resolve().parent.parent
CHAPTERS = {path.stem: notebooks.read(path) for path in notebooks.chapters()}
CLAIMS = {name: {r["name"] for r in notebooks.records(notebooks.outputs(one))} for name, one in CHAPTERS.items()}
TAGS = {"hide-input"}
PARTS = "**What you will be able to do**", "**What you need:** ", "**Running time:** under "
# What a folded cell does one of, and what it never does: data, operator, network, loss and training stay in sight
BOOKKEEPING = re.compile(r"\b(plt\.show|course\.(show|explore|diagram|table|claim|glue)|rows)\(|^\s*assert ", re.M)
TAUGHT = re.compile(r"^class |\bcourse\.(fit|crops|phantoms|ellipses)\(|\.backward\(|\boptim\.",
                    re.M)
LINES = 8  # of a cell in the new form, in the median
TIMED = r"\(Code, (?:under|about) (?:\d+ s|half a minute|a minute)\.\)"
ENDS = ["Recap", "Exercises", "Further reading"]
BIB = set(re.findall(r"^@\w+\{([^,\s]+),", notebooks.read_text(ROOT / "references.bib"), re.M))


def asked(page, text):
    """[(chapter, name)] of the glued numbers that a page asks for."""
    return [((file or page).removesuffix(".ipynb"), name)
            for file, name in re.findall(r"\{glue:(?:text|figure|math)?\}`(?:([\w.]+)::)?(\w+)", text)]


def folded(cell):
    return "hide-input" in cell.metadata.get("tags", [])


PAGES = {path.stem: prose(CHAPTERS[path.stem]) if path.stem in CHAPTERS else notebooks.read_text(path)
         for path in notebooks.sources(ROOT)}
ASKED = {name: asked(name, text) for name, text in PAGES.items()}
NOTATION = PAGES.pop("notation")


def of_metadata(name, notebook):
    """[(what is wrong, what to write)] of the notebook's metadata."""
    measured = notebook.metadata.get("measured", {})
    yield from (misfits := list(lists.misfits(notebook)))
    if not misfits:
        try:
            cards.cut(notebook)
        except ValueError as e:
            yield f"metadata book.card: {e}", "figure, the name of one here, and panels, two or three of its pictures"
    if not measured or measured != times.seal(measured):
        yield "metadata measured: no command measured this", f"nothing by hand; run make bench CHAPTERS={name}"
    stated = re.search(r"\*\*Running time:\*\* under (\d+) s on two CPU cores", prose(notebook))
    if not stated or measured and float(stated[1]) < measured["seconds"]:
        yield (f"the running time is {stated[0] if stated else 'not given'}",
               f"**Running time:** under N s on two CPU cores, N above {measured.get('seconds', 'what was measured')}; "
               f"if the machine was busy then, make bench CHAPTERS={name} measures again")


def of_text(name, notebook):
    """[(what is wrong, what to write)] of the prose and of what it takes from the cells."""
    text = prose(notebook)
    if not notebook.cells[0].source.startswith(f"(sec-{name})=\n# "):
        yield "the first cell has no label", f"(sec-{name})= and, in the next line, # and the title"
    for part in PARTS:
        if part not in text.partition("\n## ")[0]:
            yield f"no {part.strip()} before the first section", part
    if (ends := re.findall(r"^## (.*)$", text, re.M)[-3:]) != ENDS:
        yield f"the last sections are {ends}", f"{ENDS}"
    if "{cite" not in text.partition("## Further reading")[2]:
        yield "further reading cites nothing", "{cite:t}`key`, a key of references.bib"
    needs, names = re.search(r"\*\*What you need:\*\*(.*)", text), list(CHAPTERS)
    later = names[names.index(name):] if name in names else []  # the newest is the last
    for one in re.findall(r"\{doc\}`(?:[^`<]*<)?(\w+)>?`", needs[1] if needs else ""):
        if one in later:
            yield f"needs {one}, which comes later", f"its line in _toc.yml below that of {one}"
    for title in re.findall(rf"^`{{3,}}\{{exercise\}} *(.*)\n(?!:label: ex-{name}-\S+$)", text, re.M):
        yield f"the exercise {title!r} has no label of this chapter", f"in its second line :label: ex-{name}-WORD"
    for _, picture, about in re.findall(r"^(`{3,})\{figure\} (\S+)\n(.*?)^\1$", text, re.M | re.S):
        if len("".join(re.findall("^:alt: (.*)$", about, re.M))) < 40:
            yield f"the figure {picture} has no :alt:", ":alt: and what is to be seen, 40 characters or more"
    exercises = lists.EXERCISE.findall(text)
    solutions = re.findall(r"^`{3,}\{solution\} (\S+)\n:class: dropdown$", text, re.M)
    coded = sum("(Code" in one[3] for one in exercises)
    if len(exercises) < 3 or not coded:
        yield (f"{len(exercises)} exercises, {coded} of them in code",
               "three or more ```{exercise}, one of them ending in (Code.)")
    if missing := [one[2] for one in exercises if one[2] not in solutions]:
        yield f"no folded solution of {missing}", "````{solution} LABEL, and in the next line :class: dropdown"
    cited = ",".join(re.findall(r"\{cite(?::\w+)?\}`([^`]+)`", text)).split(",")
    for key in sorted({key.strip() for key in cited} - BIB - {""}):
        yield f"cites {key}, which references.bib lacks", f"@article{{{key}, …}} in references.bib"
    outputs = notebooks.outputs(notebook)
    elsewhere = {one: at for at, made in CLAIMS.items() if at != name for one in made}
    claimed = Counter(r["name"] for r in notebooks.records(outputs))
    for one in claimed:
        if claimed[one] > 1 or one in elsewhere:
            yield f"the claim {one!r} is made again in {elsewhere.get(one, 'this chapter')}", "another name"
    if max(claimed.values(), default=1) == 1:  # else they are compared with one another
        for said in ledger.wrong(notebook, BIB | set(ledger.NO_KEYS)):
            yield said, "what CONTRIBUTING says under \"A claim\""
    for one, times_glued in Counter(notebooks.by_kind(outputs).get("glued names", [])).items():
        if times_glued > 1:
            yield f"{one!r} is glued {times_glued} times", "another name for each number"
    glued = set(notebooks.glued(outputs)) - {f"claim_{r['name']}" for r in notebooks.records(outputs)}  # see the ledger
    pages = {**ASKED, name: asked(name, text)}
    wanted = {one for found in pages.values() for chapter, one in found if chapter == name}
    for one in sorted(glued - wanted):
        yield f"no page shows the glued {one!r}", f"{{glue:text}}`{one}` in the prose, or no course.glue"
    for one in sorted(wanted - set(notebooks.glued(outputs))):
        yield f"{{glue:text}}`{one}` is asked for and no cell glues it", f"course.glue({one!r}, …) in a cell"


def of_code(name, notebook):
    """[(what is wrong, what to write)] of the code cells, numbered as Jupyter does."""
    text, moves = prose(notebook), []
    if late := [i for i, cell in enumerate(notebooks.code_cells(notebook), 1) if cell.execution_count != i]:
        yield f"the cells {late} were not run in their turn", f"no count by hand; run make refresh CHAPTERS={name}"
    for i, cell in enumerate(notebooks.code_cells(notebook), 1):
        at, lines, tags = f"cell [{i}]", cell.source.splitlines() or [""], set(cell.metadata.get("tags", []))
        about = cell.metadata.get("mystnb", {})
        shown = [out.get("data", {}) for out in cell.outputs]
        if len(lines) > (most := 40 if lines[0].startswith("class ") else 33):
            yield f"{at} has {len(lines)} lines", f"at most {most}"
        # what fits beside the margin at 1280 pixels
        wide = 120 if folded(cell) and "form" not in notebook.metadata.get("book", {}) else 88
        if max(map(len, lines)) > wide:
            yield f"{at} has a line of {max(map(len, lines))} characters", f"at most {wide}"
        if tags - TAGS or re.search("filterwarnings|NBVAL", cell.source):
            yield f"{at} has the tags {sorted(tags)} or silences a check", f"no tags but {', '.join(sorted(TAGS))}"
        if folded(cell) and i > 1 and not BOOKKEEPING.search(cell.source):
            yield f"{at} is folded and shows, judges or keeps nothing", f"no hide-input, or {BOOKKEEPING.pattern}"
        if folded(cell) and (taught := TAUGHT.search(cell.source)):
            yield f"{at} folds what is taught: {taught[0]!r}", "a cell of its own for it, without the tag hide-input"
        if any("image/png" in data for data in shown):
            if len(about.get("image", {}).get("alt", "")) < 40:
                yield f"{at}: metadata mystnb.image.alt", "what is to be seen, 40 characters or more"
            figure = about.get("figure", {})
            if not figure.get("caption") or f"{{numref}}`{figure.get('name', '')}`" not in text:
                yield (f"{at}: metadata mystnb.figure: got the name {figure.get('name', '')!r}",
                       "a caption, and a name that the prose refers to: {numref}`fig-…`")
        for html in (data.get("text/html", "") for data in shown):
            if 'class="explore"' in html:
                moves.append(html)
                figure = BeautifulSoup(html, "html.parser").figure
                if figure.img and len(figure.img["alt"]) < 40 or not figure.figcaption.text.endswith("."):
                    yield f"{at}: course.explore", "an alt of 40 characters, a caption that ends with a full stop"
        if any("widget-view" in kind for data in shown for kind in data):
            yield f"{at} names a widget of a kernel that is gone", f"nothing; run make refresh CHAPTERS={name}"
    if not moves:
        yield "no figure moves", "course.explore in a cell"
    for before, after in zip(notebook.cells, notebook.cells[1:]):
        if before.cell_type == after.cell_type == "code" and not folded(after):
            yield f"two code cells follow each other, at {after.source[:40]!r}", "prose between them"


def of_symbols(name, notebook):
    """[(what is wrong, what to write)] of the symbols of its formulas."""
    yield from symbols.strays(name, {**PAGES, name: prose(notebook)}, NOTATION)


def of_form(name, notebook):
    """[(what is wrong, what to write)] of a chapter whose metadata say book.form: 2."""
    if notebook.metadata.get("book", {}).get("form") != 2:
        return
    text, cells = prose(notebook), notebooks.code_cells(notebook)
    opening = list(itertools.takewhile(lambda cell: PARTS[0] not in cell.source, notebook.cells))
    shown = notebooks.of_kind([out for cell in opening for out in cell.get("outputs", [])], "image/png")
    if not shown and "```{figure}" not in text.partition(PARTS[0])[0]:
        yield "no picture before what the reader will be able to do", "a sentence that hooks, and a figure behind it"
    if not folded(cells[0]):
        yield "the imports are not folded", "the tag hide-input"
    for r in notebooks.records(notebooks.outputs(notebook)):
        if f"`claim_{r['name']}:s`" in text:
            yield f"the text repeats the verdict of {r['name']!r}, which its cell shows", "**Because.** and the reason"
    for i, cell in enumerate(cells, 1):
        if any(" ± " in out.get("text", "") for out in cell.outputs):
            yield f"cell [{i}] prints a table as text", "course.table(…, caption=\"A sentence\")"
    if (lines := median(len([x for x in c.source.splitlines() if x.strip()]) for c in cells)) > LINES:
        yield f"half of the cells have more than {lines:g} lines", f"a median of {LINES}: one idea a cell"


def met(node):
    """The names at the top of a cell in the order in which they are taken or given: (name, whether it is given)."""
    match node:
        case ast.Name():
            yield node.id, not isinstance(node.ctx, ast.Load)
        case ast.FunctionDef() | ast.ClassDef():
            yield node.name, True
        case ast.Import() | ast.ImportFrom():
            yield from (((alias.asname or alias.name).partition(".")[0], True) for alias in node.names)
        case ast.Lambda():
            pass
        case ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
            own = {n.id for part in node.generators for n in ast.walk(part.target) if isinstance(n, ast.Name)}
            yield from ((name, False) for name, given in parts(node) if not given and name not in own)
        case ast.Assign() | ast.AnnAssign() | ast.NamedExpr():
            yield from (one for part in (node.value, *getattr(node, "targets", [getattr(node, "target", None)])) if part
                        for one in met(part))
        case ast.AugAssign():
            yield from ((name, False) for name, _ in met(node.target))
            yield from parts(node)
        case ast.For():
            yield from (one for part in (node.iter, node.target, *node.body, *node.orelse) for one in met(part))
        case _:
            yield from parts(node)


def parts(node):
    yield from (one for part in ast.iter_child_nodes(node) for one in met(part))


def names_of(code):
    """(names that a cell gives, names that it needs from elsewhere, names that its functions take when called)."""
    tree, first = ast.parse(code), {}
    for name, given in parts(tree):
        first.setdefault(name, given)
    called, scopes = set(), symtable.symtable(code, "", "exec").get_children()
    while scopes:
        scope = scopes.pop()
        scopes += scope.get_children()
        if scope.get_name() not in ("listcomp", "genexpr", "dictcomp", "setcomp"):
            called |= {s.get_name() for s in scope.get_symbols() if s.is_global() and s.is_referenced()}
    return {name for name, given in parts(tree) if given}, {name for name, given in first.items() if not given}, called


def of_order(name, notebook):
    """[(what is wrong, what to write)] of cells that give something else once a later one has run."""
    cells = [names_of(c.source) for c in notebooks.code_cells(notebook)]
    for i, (own, needed, called) in enumerate(cells):
        for one in sorted(needed | called - own):
            later = [k for k, (given, *_) in enumerate(cells) if one in given and k > i]
            if later and any(one in given for given, *_ in cells[:i]):
                yield f"cell [{i + 1}] takes {one!r}, which cell [{later[0] + 1}] gives again", "another name there"


def of_solutions(name, notebook):
    """[(what is wrong, what to write)] of solutions that give a name which the chapter or another solution takes."""
    if notebook.metadata.get("book", {}).get("form") != 2:
        return
    cells = {f"cell [{i}]": needed | called for i, c in enumerate(notebooks.code_cells(notebook), 1)
             for _, needed, called in [names_of(c.source)]}
    codes = {label: names_of(code) for label, code in notebooks.solutions(notebook).items()}
    for label, (given, *_) in codes.items():
        others = cells | {f"the solution {other}": needed | called - own
                          for other, (own, needed, called) in codes.items() if other != label}
        for one in sorted(given):
            if users := [where for where, takes in others.items() if one in takes]:
                yield f"the solution {label} gives {one!r}, which {users[0]} takes", "another name there"


def of_checks(name, notebook):
    """[(what is wrong, what to write)] of the tables of questions that are checked."""
    try:
        found = notebooks.checks(notebook)
    except ValueError as e:
        yield f"a table of answers: {e}", "what CONTRIBUTING says under \"A question that is checked\""
        return
    labels = [one[2] for one in lists.EXERCISE.findall(prose(notebook))]
    for one in found.values():
        if one.first and not one.name.startswith(f"predict-{name}-"):
            yield f"the prediction {one.name!r}", f"a name of the form predict-{name}-WORD"
        if not one.first and not any(one.name == label or one.name.startswith(f"{label}-") for label in labels):
            yield f"the check {one.name!r} belongs to no exercise", "the label of one, or LABEL-WORD for a second check"
    if len(set(re.findall(r"\{(?:check|predict)\} (\S+)", prose(notebook)))) != len(
            re.findall(r"^`{3,}\{(?:check|predict)\} ", prose(notebook), re.M)):
        yield "two tables have one name", "LABEL-WORD for the second"
    for one in found.values():
        for said in filter(None, [one.why, *(hint for _, hint in one.misses)]):
            if not said.endswith("."):
                yield f"the table {one.name!r} says {said!r}", "a sentence that ends with a full stop"
    last = max(i for i, cell in enumerate(notebook.cells) if cell.cell_type == "code")
    late = [found for cell in notebook.cells[last:] for found in re.findall(r"\{predict\} (\S+)", cell.source)]
    if late:
        yield f"the predictions {late} stand behind the last cell", "a place before the cell that answers them"
    predictions = sum(one.first for one in found.values())
    if len(found) - predictions < 4 or predictions < 2:
        yield (f"{len(found) - predictions} checks and {predictions} predictions",
               "four ```{check} or more below exercises, two ```{predict} or more before the cells that answer them")
    for _, _, label, asked in lists.EXERCISE.findall(prose(notebook)):
        if "(Code" in asked and not re.search(TIMED, asked):
            yield f"the exercise {label} does not say how long its code runs", "(Code, under 1 s.), (Code, about 20 s.)"


def of_frame(name, notebook):
    """[(what is wrong, what to write)] without which nothing else can be looked at."""
    yield from lists.misfits(notebook, types=True)
    if len(notebooks.code_cells(notebook)) < 2 or notebook.cells[0].cell_type != "markdown":
        yield "no chapter yet", "a first cell of text, then code: make chapter NAME=my_topic makes such a notebook"
    codes = {f"cell [{i}]": cell.source for i, cell in enumerate(notebooks.code_cells(notebook), 1)}
    codes |= {f"the solution {one}": code for one, code in notebooks.solutions(notebook).items()}
    for where, code in codes.items():
        try:
            ast.parse(code)
        except SyntaxError as e:
            yield f"{where}, line {e.lineno}: {e.msg}: {(e.text or '').strip()!r}", "Python, no commands of Jupyter"


def lacks(name, notebook):
    """All that this chapter lacks, one line each: the file, what is wrong, what to write there."""
    every = of_metadata, of_text, of_code, of_symbols, of_form, of_checks, of_order, of_solutions
    found = list(of_frame(name, notebook)) or [one for of in every for one in of(name, notebook)]
    return [f"chapters/{name}.ipynb: {wrong}; wanted {wanted}" for wrong, wanted in found]


@pytest.mark.parametrize("name", CHAPTERS)
def test_chapter_lacks_nothing(name):
    if found := lacks(name, CHAPTERS[name]):
        pytest.fail("\n".join(found), pytrace=False)


def test_a_symbol_has_one_meaning_in_the_list_and_on_the_pages_beside_the_chapters():
    if found := symbols.doubles(NOTATION) + [
            f"chapters/{page}.md: {wrong}; wanted {wanted}" for page in PAGES if page not in CHAPTERS
            for wrong, wanted in symbols.strays(page, PAGES, NOTATION)]:
        pytest.fail("\n".join(found), pytrace=False)


def test_each_page_but_the_chapters_has_its_description_in_the_configuration():
    config = guard.yaml.safe_load(notebooks.read_text(ROOT / "_config.yml"))
    given = config["sphinx"]["config"]["html_context"]["descriptions"]
    assert set(given) == {path.stem for path in notebooks.sources(ROOT) if path.suffix == ".md"}
    assert {name: text for name, text in given.items() if not 50 <= len(text) <= 155} == {}


def test_contributing_names_all_that_a_chapter_may_use_and_has_short_lines():
    text = notebooks.read_text(ROOT / "CONTRIBUTING.md")
    helpers = re.search(r"__all__ = \[(.*?)\]", notebooks.read_text(ROOT / "chapters/course/__init__.py"), re.S)[1]
    assert [name for name in [*re.findall(r'"(\w+)"', helpers), *TAGS] if not re.search(rf"`{name}\b", text)] == []
    assert [line for line in text.splitlines() if len(line) > (140 if line.startswith("|") else 100)] == []


def test_the_first_screen_of_the_readme_shows_a_picture_and_two_commands_with_their_durations():
    first, rest = notebooks.read_text(ROOT / "README.md").split("\n## ", 1)
    picture, = re.findall(r'<img src="(.*?)" width="\d+" alt="(.*?)">', first)
    assert (ROOT / picture[0]).is_file() and len(picture[1]) >= 40
    assert re.findall(r"^make (\w+) +# +\d+ minutes.{,63}$", first, re.M) == ["book", "test"]  # what fits on the page


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md"])
def test_files_and_commands_that_a_document_names_are_there(document):
    text, makefile = notebooks.read_text(ROOT / document), notebooks.read_text(ROOT / "Makefile")
    files = re.findall(r"`((?:chapters|imgs|studies|tests|tools)/[\w./-]*)`", text)
    assert [file for file in files if not re.search("my_topic|NAME", file) and not (ROOT / file).exists()] == []
    commands = re.findall(r"(?:`|^)(?:[A-Z_]+=\S+ )?make ([a-z-]+)", text, re.M)
    assert len(files) > 3 and len(commands) > 5
    assert [one for one in commands if not re.search(f"^{one}:", makefile, re.M)] == []


# That each lack is seen

def first(notebook, what):
    """The first cell with this in its source."""
    return next(c for c in notebook.cells if what in c.source)


def put(old, new):
    """Damage of the text of all cells."""
    def damage(notebook):
        for cell in notebook.cells:
            cell.source = cell.source.replace(old, new)
    return damage


def cell(**changes):
    """Damage of the first code cell, the imports."""
    return lambda notebook: notebook.cells[1].update(changes)


def tag(name):
    return lambda notebook: notebook.cells[1].metadata.update(tags=[name])


LACKS = {
    "a digit typed by hand": (lambda n: n.metadata.measured.update(seconds=n.metadata.measured.seconds + 0.1),
                              "no command measured this; wanted nothing by hand; run make bench CHAPTERS=cnn"),
    "never measured": (lambda n: n.metadata.pop("measured"), "run make bench CHAPTERS=cnn"),
    "too short a time": (put("under 30 s", "under 1 s"), "make bench CHAPTERS=cnn measures again"),
    "no time": (put("**Running time:**", ""), "the running time is not given"),
    "no book": (lambda n: n.metadata.pop("book"), "metadata book: 'description' is a required property; wanted"),
    "a long description": (lambda n: n.metadata.book.update(description="x" * 156), "book.description: got 'xxx"),
    "a figure of nobody": (lambda n: n.metadata.book.card.update(figure="fig-cnn-no"), "fig-cnn-no: no chapter stores"),
    "a panel too many": (lambda n: n.metadata.book.card.update(panels=[0, 9]), "wanted [0, 9], counted from 0"),
    "one panel": (lambda n: n.metadata.book.card.update(panels=[0]), "book.card.panels: got [0]; wanted two or three"),
    "panels in words": (lambda n: n.metadata.book.card.update(panels="0, 1"), "card.panels: got '0, 1'; wanted two"),
    "a card in words": (lambda n: n.metadata.book.update(card="fig-cnn-patch"), "got 'fig-cnn-patch'; wanted figure,"),
    "half a zoom": (lambda n: n.metadata.book.card.update(zoom=[0, 0, 1]), "card.zoom: got [0, 0, 1]; wanted left"),
    "a zoom in pixels": (lambda n: n.metadata.book.card.update(zoom=[0, 0, 90, 1]), "zoom.2: got 90; wanted from 0 to"),
    "a figure in words": (cell(metadata={"mystnb": {"figure": "fig-cnn"}}),
                          "metadata of cell [1] mystnb.figure: got 'fig-cnn'; wanted an object with name and caption"),
    "no label": (put("(sec-cnn)=", ""), "wanted (sec-cnn)= and"),
    "no needs": (put("**What you need:**", ""), "no **What you need:** before the first section"),
    "no recap": (put("## Recap", "## The end"), "the last sections are ['The end', 'Exercises', 'Further reading']"),
    "no citation": (put("{cite:t}", ""), "further reading cites nothing; wanted {cite:t}`key`"),
    "an unknown work": (put("jin2017deep", "jin1917deep"), "wanted @article{jin1917deep, …} in references.bib"),
    "no code": (put("(Code", "("), "exercises, 0 of them in code; wanted three or more"),
    "no label of an exercise": (put(":label: ex-cnn-count", ":name: ex-cnn-count"), "second line :label: ex-cnn-WORD"),
    "a later need": (put("**What you need:**", "**What you need:** {doc}`unet`,"), "needs unet, which comes later;"),
    "an open solution": (put("ex-cnn-count\n:class: dropdown", "ex-cnn-count"), "no folded solution of ['ex-cnn-"),
    "an unquoted number": (put("`cnn_rim_gain:", "`cnn_trim_gain:"),
                           "{glue:text}`cnn_trim_gain` is asked for and no cell glues it"),
    "a glued number of no page": (cell(outputs=[nbformat.v4.new_output("display_data",
        {notebooks.GLUED + "text/plain": "1"}, metadata={"scrapbook": {"name": "cnn_new"}})]),
        "no page shows the glued 'cnn_new'; wanted {glue:text}`cnn_new` in the"),
    "a verdict by hand": (put("## Recap", "**Verdict:** holds.\n\n## Recap"), "wanted a quoted verdict behind"),
    "never run": (cell(execution_count=None), "the cells [1] were not run in their turn"),
    "a long cell": (cell(source="x = 1\n" * 34), "cell [1] has 34 lines; wanted"),
    "a long line": (cell(source="x" * 89), "cell [1] has a line of 89 characters; wanted at most 88"),
    "a long hidden line": (lambda n: [n.metadata.book.pop("form"), n.cells[1].update(source="x" * 121)],
                           "wanted at most 120"),
    "a skipped cell": (tag("nbval-skip"), "['nbval-skip'] or silences"),
    "a folded training": (lambda n: first(n, "course.fit(").metadata.update(tags=["hide-input"]),
                          "folds what is taught: 'course.fit('; wanted a cell of its own"),
    "a folded kernel": (lambda n: first(n, "SIZE =").update(source="SIZE = 64", metadata={"tags": ["hide-input"]}),
                        "is folded and shows, judges or keeps nothing"),
    "a nameless figure": (put("{numref}", "{ref}"), "metadata mystnb.figure: got the name 'fig-cnn-"),
    "a figure unseen": (lambda n: [c.metadata.pop("mystnb", 0) for c in n.cells], "wanted what is to be seen, 40"),
    "nothing moves": (lambda n: first(n, "course.explore").update(outputs=[]), "no figure moves; wanted"),
    "a symbol of two chapters": (put("## Recap", "The Jacobian $J_\\ell$.\n\n## Recap"),
        "the formula $J_\\ell$ has the symbol $J$, which residual_learning uses too and chapters/notation.md does not "
        "list; wanted its row there, | $J$ | its one meaning |, or another symbol here"),
    "a symbol of another chapter": (put("## Recap", "```{note}\nAt $\\mathsf{T} = 1$.\n```\n\n## Recap"),
        "has the symbol $\\mathsf T$, which chapters/notation.md keeps for vision_transformers; wanted another"),
    "a prediction of nobody": (put("predict-cnn-rim", "predict-unet-rim"), "of the form predict-cnn-WORD"),
    "a check of no exercise": (put("{check} ex-cnn-patches", "{check} ex-cnn-sweets"),
                               "the check 'ex-cnn-sweets' belongs to no exercise; wanted the label of one"),
    "a table without an answer": (put("\n= 2625", ""), "a table of answers: ex-cnn-count: got 'How many weights"),
    "one name twice": (put("ex-cnn-count-wide", "ex-cnn-count"), "two tables have one name; wanted LABEL-WORD"),
    "a late prediction": (lambda n: n.cells.append(n.cells.pop(n.cells.index(first(n, "predict-cnn-rim")))),
                          "['predict-cnn-rim'] stand behind the last cell"),
    "too few checks": (put("{check}", "{note}"), "0 checks and 3 predictions; wanted four"),
    "no time of a solution": (put("(Code,", "(Code and"), "ex-cnn-patches does not say how long its code runs; wanted"),
    "a name that a solution takes away": (put("def patch_ratio(seed", "SIZE = 1\n\ndef patch_ratio(seed"),
        "the solution ex-cnn-patches gives 'SIZE', which cell ["),
    "an opening without words": (put(":alt:", ":width:"), "has no :alt:; wanted :alt: and what is to be seen"),
    "a form in words": (lambda n: n.metadata.book.update(form="2"), "metadata book.form: got '2'; wanted 2"),
    "a word misspelt": (lambda n: n.metadata.book.update(descripton="x"), "('descripton' was unexpected); wanted"),
    "a book in words": (lambda n: n.metadata.update(book="CNN"), "metadata book: got 'CNN'; wanted short, question"),
    "no book at all": (lambda n: n.metadata.update(book=None), "metadata book: got None; wanted short, que"),
    "a time in words": (lambda n: n.metadata.measured.update(seconds="5 s"), "measured.seconds: got '5 s'; wanted"),
    "a measure by hand": (lambda n: n.metadata.update(measured=5), "metadata measured: got 5; wanted nothing"),
    "no words for a picture": (cell(metadata={"mystnb": {"image": {"alt": None}}}), "alt: got None; wanted a text"),
    "captions": (cell(metadata={"mystnb": {"figure": {"caption": ["a"]}}}), "figure.caption: got ['a']; wanted a text"),
    "no cells": (lambda n: n.update(cells=[]), "no chapter yet; wanted a first cell of text"),
    "no code cells": (lambda n: n.update(cells=n.cells[:1]), "no chapter yet; wanted a first cell of text"),
    "a typing error": (cell(source="import torch\nSIZE = = 64"), "cell [1], line 2: invalid syntax: 'SIZE = = 64'"),
    "a magic": (cell(source="%matplotlib inline"), "invalid syntax: '%matplotlib inline'; wanted Python"),
    "an open bracket": (put("def patch_ratio(seed", "print((1)\ndef patch_ratio(seed"), "the solution ex-cnn-patches"),
    "a number twice": (lambda n: n.cells[1].update(outputs=[o for c in n.cells for o in c.get("outputs", [])
                                                            if "scrapbook" in o.get("metadata", {})]),
                       "is glued 2 times; wanted another name for each number"),
    "a claim of another": (lambda n: [r.update(name="unet_relu") for r in notebooks.records(notebooks.outputs(n))[:1]],
                           "the claim 'unet_relu' is made again in unet; wanted another name"),
    "a claim twice": (lambda n: [r.update(name="cnn_flatters") for r in notebooks.records(notebooks.outputs(n))],
                      "the claim 'cnn_flatters' is made again in this chapter; wanted another name"),
    "another chapter's label": (put(":label: ex-cnn-count", ":label: ex-unet-count"), "has no label of this chapter;"),
    "a hint without an end": (put("~ 465: ", "~ 464: Many\n~ 465: "), "says 'Many'; wanted a sentence that ends"),
    "a reason without an end": (put("+ 145.", "+ 145"), "says '160 + 2320 + 145'; wanted a sentence that"),
    "a name given again": (lambda n: n.cells.append(nbformat.v4.new_code_cell("make_cnn = 1")),
                           "takes 'make_cnn', which cell ["),
    "two cells in a row": (lambda n: n.cells.insert(4, copy.deepcopy(n.cells[3])), "two code cells follow each other"),
}


OF_FORM = {
    "no opening picture": (put("```{figure}", "```{note}"), "no picture before what the reader will be able to do"),
    "imports in sight": (lambda n: n.cells[1].metadata.clear(), "the imports are not folded; wanted the tag hide-"),
    "a verdict without a reason": (put("**Because.** ", ""), "nor does it go on with **Because.** where the cell"),
    "a repeated verdict": (put("**Because.** ", "**Because.** {glue:text}`claim_unet_relu:s` "),
                           "the text repeats the verdict of 'unet_relu', which its cell shows"),
    "a table as text": (lambda n: first(n, "course.table").update(outputs=[nbformat.v4.new_output(
        "stream", text="CNN  1.000 ± 0.100")]), "prints a table as text; wanted course.table(…, caption="),
    "a folded network": (lambda n: first(n, "class ").metadata.update(tags=["hide-input"]),
                         "folds what is taught: 'class '"),
    "long cells": (lambda n: [c.update(source=c.source + "\nx = 1") for c in notebooks.code_cells(n)],
                   "half of the cells have more than"),
    "a wide folded line": (cell(source="x" * 89), "cell [1] has a line of 89 characters; wanted at most 88"),
}


@pytest.mark.parametrize("lack", [*LACKS, *OF_FORM])
def test_a_lack_is_told_with_file_and_remedy(lack):
    (damage, said), name = {**LACKS, **OF_FORM}[lack], "unet" if lack in OF_FORM else "cnn"
    notebook = copy.deepcopy(CHAPTERS[name])
    damage(notebook)
    found = lacks(name, notebook)
    assert any(said in line for line in found), found
    assert all(line.startswith(f"chapters/{name}.ipynb: ") for line in found), found


@pytest.mark.parametrize(("row", "said"), [
    ("| $K$ | keys |  |", "$K$ is listed twice, as 'forward operator, from images to measurements; "),
    (r"| $b_k$; $K_\ell$ | filters of layer $\ell$ |  |", r"$K_\ell$ is listed twice"),
    (r"| $\mathcal{D}(x)$ | decoder |  |", r"$\mathcal{D}(x)$ is listed twice, as 'data term of"),
    (r"| $\chi$ | loss, also the number of layers |  |", r"$\chi$ means two things: 'loss, also the number of layers'"),
    (r"| $K^{-1}$, $\mathbf K$, $\tilde K$, $K_{\text{new}}$ | nothing that the list has |  |", None)])
def test_what_the_list_of_symbols_says_twice_is_told(row, said):
    found = symbols.doubles(f"{NOTATION}\n{row}\n")
    assert all(line.startswith("chapters/notation.md: ") and "; wanted another symbol" in line for line in found)
    assert any(said in line for line in found) if said else found == []


@pytest.mark.parametrize(("text", "found"), [
    (r"$\hat x_{\text{hard}} \le \mathcal L(h_\ell) + \bar{\mathbf X}$",
     [r"\hat x_{\text{hard}}", r"\mathcal L", "h", r"\ell", r"\bar \mathbf X"]),
    (r"In code `$z$`, ``$z$``, {doc}`$z$ <cnn>`, {math}`\tilde{y}` and $\ell_1$.", [r"\tilde y", r"\ell_1"]),
    (r"$\mathrm e^{\mathrm{i}\theta}$, $\max_t \operatorname{tr} \mathsf{A}\!\Big(\frac12\Big)$",
     [r"\theta", "t", r"\mathsf A"]),
    ("````{solution} ex\n- so\n\n  $$\n  \\begin{aligned}\n  a &= 1\n  \\end{aligned}\n  $$ (eq-a)\n\n"
     "```python\nb = '$c$'\n```\n````\n\n```{math}\nd\n```\n\n| $e$ |\n|---|\n| $f$ |\n\nTerm\n: $g$", [*"adefg"])])
def test_the_symbols_of_a_page_are_those_of_its_formulas(text, found):
    assert [symbol for tex in symbols.formulas(text) for symbol in symbols.symbols(tex)] == found


def test_no_number_of_the_last_bench_was_typed():
    stored = json.loads(notebooks.read_text(ROOT / "tools/bench.json"))
    assert stored == times.seal(stored)
    assert stored | {"cold": stored["cold"] + 0.1} != times.seal(stored | {"cold": stored["cold"] + 0.1})
