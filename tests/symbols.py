"""The symbols of the formulas beside the list of chapters/notation.md; what disagrees is told with the remedy."""
import re
from functools import cache

from markdown_it.renderer import RendererHTML
from myst_parser.config.main import MdParserConfig
from myst_parser.parsers.mdit import create_md_parser

MARKDOWN = create_md_parser(MdParserConfig(enable_extensions={"colon_fence", "deflist", "dollarmath"}), RendererHTML)
LETTERS = ("alpha|beta|gamma|delta|epsilon|zeta|eta|theta|iota|kappa|lambda|mu|nu|xi|rho|sigma|tau|upsilon|phi|chi|psi|"
           "omega|nabla|var(?:epsilon|theta|rho|sigma|phi)|Gamma|Delta|Theta|Lambda|Xi|Pi|Sigma|Upsilon|Phi|Psi|Omega")
# Words and upright constants, which count for nothing; or a letter with accent, typeface and a word below; or a command
SYMBOL = re.compile(
    r"\\(?:begin|end|text|mathrm|operatorname\*?)\s*(?:\{[^}]*\}|[A-Za-z])"
    r"|(?P<accent>\\(?:hat|tilde|bar)\s*\{?\s*)?(?P<style>\\(?:mathbb|mathcal|mathsf|mathbf)\s*\{?\s*)?"
    rf"(?P<letter>\\ell_1(?!\d)|\\(?:ell|{LETTERS})(?![A-Za-z])|[A-Za-z])(?:\}}?_\{{?\\(?:text|mathrm)\{{(?P<word>\w+)\}})?"
    r"|\\[A-Za-z]+")


@cache
def formulas(text: str) -> list[str]:
    """The TeX of all formulas of a page in MyST Markdown, those within its directives too."""
    found = []
    for token in MARKDOWN.parse(text):
        if token.type in ("fence", "colon_fence") and token.info.startswith("{"):
            found += [token.content] if token.info.startswith("{math}") else formulas(token.content)
        for part in [token, *(token.children or [])]:
            if part.type.startswith("math_") or part.meta.get("name") == "math":
                found.append(part.content)
    return found


def symbols(tex: str) -> list[str]:
    r"""The symbols of a formula in their order, as \hat x, \mathsf K, x_{\text{hard}}; indices are symbols too."""
    return [" ".join(part.strip(" {") for part in (m["accent"], m["style"], m["letter"]) if part)
            + (rf"_{{\text{{{m['word']}}}}}" if m["word"] else "") for m in SYMBOL.finditer(tex) if m["letter"]]


@cache
def used(text: str) -> set[str]:
    """All symbols of a page."""
    return {symbol for tex in formulas(text) for symbol in symbols(tex)}


def rows(notation: str) -> list[tuple[str, str, set[str]]]:
    """[(formula, meaning, chapters)] of the list; chapters are those that it keeps the symbol for."""
    cells = re.findall(r"^\| (\$.*?) \| (.*?) \|", notation, re.M)
    return [(tex, meaning, set(re.findall(r"\{doc\}`(\w+)`", kept[1])) if kept else set()) for left, meaning in cells
            for kept in [re.search(r"\(in ([^()]*) only\)", meaning)] for tex in formulas(left)]


def doubles(notation: str) -> list[str]:
    """What the list says twice, one line each."""
    found, seen = [], {}
    for tex, meaning, _ in rows(notation):
        symbol = symbols(tex)[0], *re.findall(r"\^\{?([^\s{}]+)", re.sub(r"\(.*\)", "", tex))
        if re.search(r"\balso\b", meaning):
            found.append(f"chapters/notation.md: ${tex}$ means two things: {meaning!r}; wanted another symbol for one")
        if symbol in seen:
            found.append(f"chapters/notation.md: ${tex}$ is listed twice, as {seen[symbol]!r} and as {meaning!r}; "
                         "wanted another symbol for one of them, in its chapters too")
        seen[symbol] = meaning
    return found


def strays(name: str, pages: dict[str, str], notation: str) -> list[tuple[str, str]]:
    """[(what is wrong, what to write)] of the symbols of this page; pages are the texts of all, by name."""
    found, listed = {}, {}
    for tex, _, chapters in rows(notation):
        listed.setdefault(symbols(tex)[0], set()).update(chapters)
    for tex in formulas(pages[name]):
        for symbol in symbols(tex):
            others = [page for page, text in pages.items() if page != name and symbol in used(text)]
            kept = listed.get(symbol, set())
            wrong = f"the formula ${' '.join(tex.split())}$ has the symbol ${symbol}$, which "
            if kept and name not in kept:
                found[symbol] = (f"{wrong}chapters/notation.md keeps for {', '.join(sorted(kept))}",
                                 "another symbol here; a letter in another typeface is one")
            elif symbol not in listed and others:
                found[symbol] = (f"{wrong}{', '.join(others)} uses too and chapters/notation.md does not list",
                                 f"its row there, | ${symbol}$ | its one meaning |, or another symbol here")
    return list(found.values())
