"""Answers that are checked: the tables that stand in the chapters, and what is said to an answer. Without torch.

A table is a fence of Markdown, ```{check} ex-NAME-WORD or ```{predict} predict-NAME-WORD. Its lines: the question; then
`= answer` and `~ near miss: hint`, or `- [x] right choice` and `- [ ] wrong choice: hint`; `> why`, told after the
answer; `% Python`, what the tests compute in the chapter for comparison.
"""
import base64
import json
import math
import re
from pathlib import Path
from typing import NamedTuple

FOLDER = Path(__file__).resolve().parents[2]  # the chapters, or what a notebook of its own has unpacked
FENCE = re.compile(r"^(`{3,})\{(check|predict)\} (\S+)\n(.*?)^\1$", re.M | re.S)
MARK = re.compile(r"(= |~ |- \[[x ]\] |> |% )")
TOKEN = re.compile(r"(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|[A-Za-z]+[0-9]*|\S")
PERCENT = r"(?:%|per ?cent)"
NUMBER = "a number: write 0.5, 1/64 or 2^10"
LIKE = {"number": NUMBER, "percent": NUMBER, "list": "numbers: write 4, 1, 8",
        "formula": "a formula in {}: write it with + - * / ^ and ( )", "choice": "one of {}"}


class Check(NamedTuple):
    """A table; a value is a list of (number, tolerance), of a formula at three places."""
    name: str
    first: bool      # to be predicted before the chapter tells
    question: str    # Markdown
    kind: str        # number, percent (one asked for in %), list, formula, choice
    names: list      # of the formula's variables
    right: list | int
    misses: list     # [(value, hint)]; for a choice [(its text, hint)] of all, "" where there is none
    why: str
    written: list    # as the teacher wrote it: the answer, then the misses
    proof: str       # Python


def clean(text: str) -> str:
    """Signs as on a keyboard: minus, times, powers; digits without spaces between them; t_0 as t0."""
    for old, new in (("²", "^2"), ("³", "^3"), ("½", "1/2"), ("**", "^"), ("÷", "/"), ("ℓ", "l")):
        text = text.replace(old, new)
    text = re.sub(r"[\u2013\u2212]", "-", re.sub(r"[·⋅]", "*", text))
    text = re.sub(r"(?<=\d)[\s\u2019'](?=\d{3}(?!\d))|(?<=[A-Za-z])_(?=\w)", "", text.strip())
    return re.sub(r"^\d{1,3}(\.\d{3}){2,}$", lambda whole: whole[0].replace(".", ""), text)


def value(text: str, names: dict | None = None) -> float:
    """The number that a text like 1/64, 2^10 or 3 (a + b) means; nan where it means none."""
    tokens, at = [*TOKEN.findall(text), ""], 0

    def take(sign):
        nonlocal at
        at += (found := tokens[at] == sign)
        return found

    def total():
        result = product()
        while tokens[at] in ("+", "-"):
            result += product() if take("+") else take("-") and -product()
        return result

    def product():
        result = factor()
        while tokens[at] in ("*", "/") or re.match(r"[A-Za-z(]", tokens[at]):
            if take("/"):
                divisor = factor()
                result = result / divisor if divisor else math.nan
            else:
                take("*")
                result *= factor()
        return result

    def factor():
        return -factor() if take("-") else factor() if take("+") else power()

    def power():
        result = atom()
        return power_of(result, factor()) if take("^") else result

    def atom():
        nonlocal at
        if take("("):
            result = total()
            return result if take(")") else math.nan
        token, at = tokens[at], min(at + 1, len(tokens) - 1)
        return float(token) if re.match(r"\.?[0-9]", token) else (names or {}).get(token, math.nan)

    try:
        result = total()
    except RecursionError:  # of a thousand brackets
        return math.nan
    return result if at == len(tokens) - 1 else math.nan


def power_of(base: float, exponent: float) -> float:
    try:
        result = base ** exponent
    except (OverflowError, ZeroDivisionError):
        return math.nan
    return math.nan if isinstance(result, complex) else result


def places(names: list) -> list[dict]:
    """Three places at which formulas are compared: {variable: number that grows with its turn}."""
    return [{name: 1.3 + 0.7 * i + 0.37 * k * (i + 1) for i, name in enumerate(names)} for k in range(3)]


def readings(text: str, kind: str, names: list) -> list[list[float]]:
    """All that an answer may mean: a comma stands for a point or between thousands; [] where it means nothing."""
    text = re.sub(r"^.*[=<>≤≥≈]", "", clean(text))
    if kind == "formula":
        found = [[value(text, place) for place in places(names)]]
    elif kind == "list":
        inner = re.sub(r"^\D*\(|[^\d()]*$|[\[\](){}]", "", text)
        parts = inner.replace(",", ".").split(";") if ";" in inner else re.split(r"\s*[,×x*]\s*|\s+", inner)
        found = [[value(part) for part in parts]]
    else:
        text = re.sub(rf"(?<=[\d)])\s*{PERCENT}.*", "/100", text) if kind == "number" else text  # 25 % is 0.25
        text = re.sub(r"(?<=[\d)])\s*[^\d()\s/^*+-][^\d()]*$", "", text).replace("×", "*")  # without its unit
        found = [[value(text.replace(",", "."))], [value(re.sub(r",(?=\d{3}(?!\d))", "", text))]]
    return [one for one in found if one and all(map(math.isfinite, one))]


def of_writing(text: str, kind: str, names: list) -> list[tuple[float, float]]:
    """Value and tolerance of an answer in a table: what stands behind ±, or a unit of its last decimal, at most 1 %."""
    told, _, within = text.partition("±")
    found = []
    for part in told.split(",") if kind == "list" else [told]:
        digits = re.fullmatch(r"\s*-?\d*\.(\d+)\s*", part)
        for place in places(names) if kind == "formula" else [{}]:
            number = value(clean(part), place)
            around = min(10.0 ** -len(digits[1]), abs(number) / 100) if digits else min(1e-6 * abs(number), 0.4)
            around = float(within) if within else around
            found.append((number, around + 1e-9))
    if not all(math.isfinite(number) for number, _ in found):
        raise ValueError(f"answer: got {text!r}, wanted a number, numbers with commas between them, or a formula")
    return found


def parsed(kind: str, name: str, body: str) -> Check:
    """The table of a fence.

    Raises
    ------
    ValueError                   if it has no question, not one right answer, or a near miss without a hint
    """
    question, *lines = re.split(r"\n(?=(?:= |~ |- \[[x ]\] |> |% ))", body.strip())
    marked = [(MARK.match(line)[1], " ".join(line[MARK.match(line).end():].split())) for line in lines
              if MARK.match(line)]
    # the text of a right choice may have a colon; of a wrong one the hint begins with the first capital behind a colon
    choices = [(True, text, "") if mark == "- [x] " else (False, *[*re.split(r": (?=[A-Z])", text, maxsplit=1), ""][:2])
               for mark, text in marked if mark.startswith("- ")]
    told = {mark: text for mark, text in marked}
    rights = sum(right for right, *_ in choices) if choices else sum(mark == "= " for mark, _ in marked)
    if not question or MARK.match(question) or rights != 1 or choices and "= " in told or len(choices) == 1:
        raise ValueError(f"{name}: got {body.strip()[:60]!r}, wanted a question, then one line '= answer', "
                         "or choices '- [ ] text', one of them '- [x] text'")
    common = name, kind == "predict", question
    last = told.get("> ", ""),
    if choices:
        right = [right for right, *_ in choices].index(True)
        misses = [(text, hint) for _, text, hint in choices]
        return Check(*common, "choice", [], right, misses, *last, [], told.get("% ", ""))
    answer = told["= "]
    names = list(dict.fromkeys(re.findall(r"[A-Za-z]+\d*", re.sub(r"\d[eE]", "", clean(answer)))))
    form = "formula" if names else "list" if "," in answer else "percent" if re.search(
        rf"\bin {PERCENT}", question) else "number"
    misses = [text.partition(": ")[::2] for mark, text in marked if mark == "~ "]
    if lonely := [miss for miss, hint in misses if not hint]:
        raise ValueError(f"{name}: got the near miss {lonely[0]!r} without a hint, wanted '~ {lonely[0]}: the hint'")
    names.sort()
    return Check(*common, form, names, of_writing(answer, form, names),
                 [(of_writing(miss, form, names), hint) for miss, hint in misses], *last,
                 [answer, *(miss for miss, _ in misses)], told.get("% ", ""))


def tables(text: str) -> dict[str, Check]:
    """All tables of a chapter's Markdown: {name: table}."""
    return {name: parsed(kind, name, body) for _, kind, name, body in FENCE.findall(text)}


def encoded(data) -> str:
    """JSON that nobody reads by the way."""
    return base64.b64encode(json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode()).decode()


def same(value: list, wanted: list) -> bool:
    return len(value) == len(wanted) and all(abs(a - b) <= within for a, (b, within) in zip(value, wanted))


def letter(i: int) -> str:
    return "abcdefgh"[i]


def like(check: Check) -> str:
    """What an answer must be to be understood."""
    letters = [letter(i) for i in range(len(check.misses))]
    return LIKE[check.kind].format(", ".join(letters if check.kind == "choice" else check.names))


def reply(check: Check, answer: str) -> tuple[bool, str]:
    """Whether an answer is right, and what is said to it; _static/answers.js says the same on the page."""
    if not answer.strip():
        return False, "No answer is given yet."
    if check.kind == "choice":
        letters = [letter(i) for i in range(len(check.misses))]
        said = answer.strip().lower()
        chosen = [i for i, (text, _) in enumerate(check.misses)
                  if said in (letters[i], f"({letters[i]})", text.lower())]
        right = chosen == [check.right]
        hints = [check.misses[i][1] for i in chosen]
    else:
        chosen = readings(answer, check.kind, check.names)
        right = any(same(one, check.right) for one in chosen)
        hints = [hint for miss, hint in check.misses if any(same(one, miss) for one in chosen)]
    if not chosen:
        return False, f"This cannot be read as {like(check)}."
    said = ["Right."] if right else ["Not so." if check.first else "Not yet.", *hints[:1]]
    return right, " ".join(filter(None, [*said, check.why if right or check.first else ""]))


def of_chapter(chapter: str) -> dict[str, Check]:
    """The tables of a chapter, from its notebook, or from the file that a notebook of its own has unpacked."""
    there = sorted({path.stem for kind in ("ipynb", "checks") for path in FOLDER.glob(f"*.{kind}")})
    if chapter not in there:
        raise ValueError(f"name: got the chapter {chapter!r}, wanted one of {', '.join(there)}: "
                         "ex-CHAPTER-WORD or predict-CHAPTER-WORD")
    lone, notebook = FOLDER / f"{chapter}.checks", FOLDER / f"{chapter}.ipynb"
    if lone.exists():
        return {name: Check(*fields) for name, fields in json.loads(base64.b64decode(lone.read_bytes())).items()}
    cells = json.loads(notebook.read_text(encoding="utf-8-sig"))["cells"]
    return tables("\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown"))


def as_text(answer, check: Check) -> str:
    """An answer as a person would type it: an array by its values, or by its shape where these are no answer."""
    if isinstance(answer, str):
        return answer
    if hasattr(answer, "detach"):
        answer = answer.detach().cpu().numpy()
    if hasattr(answer, "tolist"):
        whole, answer = answer, answer.tolist()
        flat = [float(one) for one in whole.reshape(-1)] if whole.size <= 64 else []
        if len(flat) == 1:
            answer = flat[0]
        elif check.kind == "list":
            answer = flat if whole.ndim == 1 and whole.size == len(check.right) else whole.shape
    if isinstance(answer, (tuple, list)):
        return "; ".join(repr(float(one)) for one in answer)
    return repr(float(answer))


def judged(name: str, answer) -> tuple[bool, str]:
    """Whether the answer to an exercise or a prediction is right, and what is said to it."""
    parts = str(name).split("-")
    found = of_chapter(parts[1] if len(parts) > 2 else str(name))
    if name not in found:
        raise ValueError(f"name: got {name!r}, wanted one of {', '.join(found) or 'none: the chapter has no checks'}")
    try:
        return reply(found[name], as_text(answer, found[name]))
    except (TypeError, ValueError, OverflowError):
        raise TypeError(f"answer: got {type(answer).__name__}, wanted {like(found[name])}") from None


def check(name: str, answer) -> None:
    """Say whether an answer is right, and what a wrong one of a known kind overlooks.

    Parameters
    ----------
    name : str                   of the exercise or the prediction: ex-CHAPTER-WORD, predict-CHAPTER-WORD
    answer                       a number, a text as on the page, a tuple or a shape, an array or a tensor, the letter
                                 of a choice

    Raises
    ------
    ValueError                   for a name that the chapter does not have; it says those that it has
    TypeError                    if the answer is none of these
    """
    print(judged(name, answer)[1])
