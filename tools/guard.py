"""What must be true of the built book, whatever its chapters say; `complaints` lists what is not."""
import re
import runpy
from pathlib import Path
from urllib.parse import unquote

import yaml
from bs4 import BeautifulSoup
from pybtex.database import PybtexError, parse_string

import notebooks

ROOT = Path(__file__).resolve().parent.parent
ALT_LENGTH = 20  # characters of alternative text, at least
MACHINE_PATH = re.compile(r"(?<![\w.:/-])/(?:home|root|tmp|Users|work|opt|mnt|var|private)/[\w.-]+"
                          r"|\b[A-Z]:\\+Users|site-packages")
UNFILLED = re.compile(r"\{(?:glue|ref|numref|eq|doc|cite|prf)(?::\w+)?\}|\?\?|\(\?\)")
assets = runpy.run_path(str(ROOT / "chapters/course/machinery/assets.py"))  # the package itself imports torch
pictures, originals = assets["pictures"], assets["originals"]
TEMPLATE = re.compile(r"binder-examples|github\.com/executablebooks/jupyter-book")


# Formulas, which KaTeX answers for, and the colours of code: without them a page is read in a fifth of the time.
MATH, PLAIN = re.compile(r"<!--k-->.*?<!--/k-->", re.S), re.compile(r"<pre>.*?</pre>", re.S)
TAG = re.compile(r"<[^>]+>")


class UniqueKeys(yaml.SafeLoader):
    """YAML in which a key given twice is an error; the standard loader silently keeps the last."""


def _mapping(loader, node):
    keys = [loader.construct_object(key) for key, _ in node.value]
    twice = {key for key in keys if keys.count(key) > 1}
    if twice:
        problem = f"key {twice.pop()!r} is given twice"
        raise yaml.constructor.ConstructorError(problem=problem, problem_mark=node.start_mark)
    return loader.construct_mapping(node, deep=True)


UniqueKeys.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def unwritable(error: OSError) -> str:
    """One sentence on a file that cannot be written, and what to do."""
    return f"{error.filename or 'a file'}: {error.strerror}; wanted a folder that can be written: copy the book to one"


def source_complaints(root: Path) -> list[str]:
    """What nothing can be built of.

    Unreadable YAML, keys given twice, of which the first would be lost without a word, pages of _toc.yml that are not
    there, and a references.bib that is none.
    """
    found = []
    for path in [root / "_config.yml", root / "_toc.yml", *sorted(root.glob(".github/workflows/[!.]*.yml"))]:
        try:
            yaml.load(notebooks.read_text(path), UniqueKeys)
        except yaml.YAMLError as e:
            found.append(f"{path.name}: {e}")
    try:
        found += [] if found else [
            f"_toc.yml: {file} is no page, wanted {file}.ipynb or {file}.md there" for file in notebooks.toc_files(root)
            if not any((root / f"{file}{suffix}").exists() for suffix in (".ipynb", ".md"))]
    except ValueError as e:
        found.append(str(e))
    try:
        parse_string(notebooks.read_text(root / "references.bib"), "bibtex")
    except PybtexError as e:
        found.append(f"references.bib: {e}")
    return found


def citation_complaints(root: Path) -> list[str]:
    """Keys of references.bib that no page cites, and cited keys that it lacks."""
    known = set(re.findall(r"^@\w+\{([^,\s]+),", notebooks.read_text(root / "references.bib"), re.M))
    text = "".join(notebooks.read_text(p) for p in notebooks.sources(root))
    cited = {key.strip() for keys in re.findall(r"\{cite(?::\w+)?\}`([^`]+)`", text) for key in keys.split(",")}
    claimed = {key for claim in notebooks.claims(root) for key in claim["sources"]}
    return ([f"references.bib: {key} is cited nowhere" for key in sorted(known - cited - claimed)]
            + [f"{key} is cited, and not in references.bib" for key in sorted(cited - known)])


def page_complaints(name: str, soup: BeautifulSoup, raw: str) -> list[str]:
    """What is wrong on one page, seen by itself."""
    rules = {"a path of a machine": MACHINE_PATH, "a template's address": TEMPLATE}
    found = [f"{name}: {what}: {match[0]!r}" for what, rule in rules.items() if (match := rule.search(raw))]
    article = soup.find("article")
    if article is None:
        return [*found, f"{name}: has no article"]
    if article.select(".output.traceback, .output.stderr") or "Traceback (most recent call last)" in article.text:
        found.append(f"{name}: shows an error or a warning of a cell")
    for asked in soup.select("[src], link[href]:not([rel=canonical])"):
        if re.match(r"https?:|//", address := asked.get("src") or asked.get("href", "")):
            found.append(f"{name}: asks another host for {address}")
    for image in article.find_all("img"):
        alt = image.get("alt", "")
        if len(alt) < ALT_LENGTH or re.fullmatch(r"\S+\.\w+", alt):  # Sphinx puts the file's name where there is none
            found.append(f"{name}: alternative text {alt!r} of {Path(image.get('src', '')).name}, "
                         f"wanted a sentence of at least {ALT_LENGTH} characters")
    found += [f"{name}: unresolved reference {x.text!r}" for x in article.select(".xref") if not x.find_parent("a")]
    if "<Figure size" in article.text:
        found.append(f"{name}: a figure is shown as text; end its cell with plt.show()")
    for source in article.select(".cell_input, .highlight-python, .highlight-ipython3"):
        source.decompose()
    if match := re.search(r"\bnan\b", article.text):
        found.append(f"{name}: 'nan' in {article.text[max(0, match.start() - 40):match.end()]!r}")
    if match := UNFILLED.search(article.text):
        found.append(f"{name}: unfilled reference {match[0]!r}")
    return found


def link_complaints(html: Path, pages: dict[str, BeautifulSoup]) -> list[str]:
    """Links and sources of the pages that lead to no file or no anchor of the built book."""
    anchors = {name: {x["id"] for x in soup.find_all(id=True)} for name, soup in pages.items()}
    found = set()
    for name, soup in pages.items():
        targets = [x.get("href") or x.get("src") for x in soup.select("a[href], link[href], img[src], script[src]")]
        for target in targets:
            if re.match(r"[a-z]+:|//", target) or target == "#":
                continue
            path, _, anchor = unquote(target.split("?")[0]).partition("#")
            goal = (html / name).parent.joinpath(path).resolve() if path else html / name
            inside = goal.relative_to(html).as_posix() if goal.is_relative_to(html) else None
            if not goal.is_file():
                found.add(f"{name}: {target} leads to no file")
            elif anchor and inside in anchors and anchor not in anchors[inside]:
                found.add(f"{name}: {target} leads to no anchor")
    return sorted(found)


def complaints(root: Path = ROOT) -> list[str]:
    """All that is wrong with the book at `root`, built in `root/_build/html`: one line each, naming the page."""
    html = (root / "_build/html").resolve()
    found, pages = source_complaints(root) + citation_complaints(root), {}
    for file in notebooks.toc_files(root):
        path = html / f"{file}.html"
        if not path.exists():
            found.append(f"{file}: in _toc.yml, and not in the built book")
            continue
        raw = path.read_text(encoding="utf-8")
        pages[f"{file}.html"] = BeautifulSoup(PLAIN.sub(lambda m: TAG.sub("", m[0]), MATH.sub("", raw)), "html.parser")
    found += link_complaints(html, pages)
    for name, soup in pages.items():  # last: it takes the code out of the soup
        found += page_complaints(name, soup, (html / name).read_text(encoding="utf-8"))
    return found
