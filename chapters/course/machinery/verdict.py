"""A claim of the field, judged by numbers over seeds: intervals and one rule. The rule itself needs no torch."""
import html
import math
import operator
import re
import textwrap
from collections import Counter
from typing import NamedTuple

import numpy as np
from scipy.special import stdtrit

FEWEST, LEVEL, FIRM = 5, 0.95, 0.99  # seeds; level of the intervals; the level at which a verdict is firm
VERDICTS = "holds", "holds when", "no difference here", "false as told", "open here"
AGAINST = "reversed", "not so"  # words on a condition that the sentence does not survive
MEANINGS = {"no difference": "too small to count", "reversed": "the opposite, by enough to count",
            "not so": "no such effect, perhaps the opposite", "open": "more seeds may decide"}
REASONS = {"false as told": "no condition says yes or is open, and some are against the sentence",
           "open here": "no condition says yes, and some are open"}
WHO = {"lecture": "the lecture behind this book", "folklore": "folklore: nobody is known to say it in print"}
SIGNS = {**dict(zip(VERDICTS, "✓◐≈✗?")), "yes": "✓", "reversed": "✗", "not so": "✗", "no difference": "≈", "open": "?"}
RELATIONS = {"<": operator.lt, ">": operator.gt, "=": operator.eq, "<=": operator.le, ">=": operator.ge}


class Effect(NamedTuple):
    """The smallest difference that matters; of a ratio 0.02 is 2 % of the smaller number, else it has the unit."""
    of: str
    smallest: float
    ratio: bool
    unit: str = ""

    @property
    def least(self) -> str:
        """The smallest difference in words: "2 %", "0.2 dB"."""
        return f"{100 * self.smallest:.0f} %" if self.ratio else f"{self.smallest:g} {self.unit}".rstrip()


EFFECTS = {
    "rmse": Effect("errors, as RMSE, MAE or a distance to the truth", 0.02, ratio=True),
    "ratio": Effect("other positive quantities, as steepness, energy or width", 0.05, ratio=True),
    "factor": Effect("what spans orders of magnitude, as gradients and times", 1.0, ratio=True),
    "psnr": Effect("PSNR", 0.2, ratio=False, unit="dB"),
    "ssim": Effect("SSIM", 0.005, ratio=False),
    "share": Effect("parts of a whole, and grey values of images in [0, 1]", 0.02, ratio=False),
    "correlation": Effect("correlations", 0.05, ratio=False),
}


def interval(differences, level: float = LEVEL):
    """Mean of differences (..., n) and its confidence interval by Student's t: mean, low, high, each (...)."""
    d = np.asarray(differences, dtype=float)
    n = d.shape[-1]
    half = stdtrit(n - 1, (1 + level) / 2) * d.std(-1, ddof=1) / math.sqrt(n)
    return d.mean(-1), d.mean(-1) - half, d.mean(-1) + half


def judge(low, high, smallest: float, relation: str):
    """What intervals (...) of "a minus b" say about "a > b", "a <= b" and so on: an array of words (...).

    yes: the whole interval is beyond the smallest effect on the sentence's side; for "=" inside it; for "<=" and ">="
    not beyond it on the other side. reversed: beyond it where the sentence denies it. no difference: inside. not so:
    none of these, but short of it on the sentence's side. Else open.
    """
    above, below, inside = low > smallest, high < -smallest, (low > -smallest) & (high < smallest)
    yes, no = {">": (above, below), "<": (below, above), "=": (inside, above | below),
               "<=": (high < smallest, above), ">=": (low > -smallest, below)}[relation]
    short = {">": high <= smallest, "<": low >= -smallest}.get(relation, np.zeros_like(yes))
    return np.select([yes, no, inside, short], ["yes", "reversed", "no difference", "not so"], "open")


def verdict(judged):
    """The verdict on a claim from the words on its conditions (..., conditions): an array of VERDICTS (...)."""
    judged = np.asarray(judged)
    yes, same, no = judged == "yes", judged == "no difference", np.isin(judged, AGAINST)
    return np.select([yes.all(-1), yes.any(-1), same.all(-1), (no | same).all(-1)], VERDICTS[:4], VERDICTS[4])


def compare(title: str, given: tuple, effect: str) -> dict:
    """One condition of a claim: the paired comparison of a with b over seeds, as a record.

    Parameters
    ----------
    given : (a, relation, b)     or (a, relation, b, effect), the effect of this condition alone
        a, b                     numbers (n,), one per seed, in the same order; or one number (a threshold, a yardstick)
        relation                 what the sentence says: "<", ">", "=", "<=" (does as well as), ">="
    effect : str                 a kind out of EFFECTS, or "exact": the relation must be true of every pair of numbers

    Returns
    -------
    dict                         mean, low, high of a / b (geometric) or a − b; n; judged, and firm: by 99 % intervals

    Raises
    ------
    ValueError                   naming the condition, for words and numbers that cannot be judged
    """
    def wanted(right, what, got):
        if not right:
            raise ValueError(f"condition {title!r}: got {got}, wanted {what}")

    wanted(isinstance(given, tuple) and len(given) in (3, 4), "(a, relation, b) or four entries", type(given).__name__)
    a, relation, b, effect = (*given, effect)[:4]
    wanted(str(effect) in (*EFFECTS, "exact"), f"effects: {', '.join(EFFECTS)}, exact", f"{str(effect):.20}")
    wanted(str(relation) in RELATIONS, f"relations: {' '.join(RELATIONS)}", f"{str(relation):.20}")
    a, b = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    wanted(a.size * b.size and (a.shape == b.shape or not a.ndim * b.ndim), "equal", f"shapes {a.shape}, {b.shape}")
    wanted(np.isfinite(a).all() and np.isfinite(b).all(), "finite numbers", "nan or infinity")
    found = {"condition": title, "relation": relation, "effect": effect}
    if effect == "exact":
        true = RELATIONS[relation](a, b)
        word = "yes" if true.all() else "reversed"
        return found | {"true": int(true.sum()), "n": true.size, "judged": word, "firm": word}
    _, smallest, ratio, unit = EFFECTS[effect]
    wanted(not ratio or min(a.min(), b.min()) > 0, f"positive ones for the effect {effect}", "a number of 0 or below")
    d = np.log(a) - np.log(b) if ratio else a - b
    wanted(d.ndim == 1 and len(d) >= FEWEST, f"numbers of {FEWEST} seeds or more in a row", f"shape {d.shape}")
    judged, firm = (str(judge(*interval(d, level)[1:], math.log1p(smallest) if ratio else smallest, relation))
                    for level in (LEVEL, FIRM))
    shown = dict(zip(("mean", "low", "high"), (float(f"{np.exp(v) if ratio else v:.6g}") for v in interval(d))))
    return found | shown | {"n": len(d), "judged": judged, "firm": firm, "smallest": smallest, "unit": unit}


def in_words(c: dict) -> str:
    """The numbers of a condition's record: 'ratio 0.8214 [0.7561, 0.8921], n = 10', interval of 95 %."""
    if c["effect"] == "exact":
        return f"exact, true in {c['true']} of {c['n']}"
    ratio, unit = EFFECTS[c["effect"]][2:]
    digits = "#.4g" if ratio else f"z.{1 - math.floor(math.log10(c['smallest']))}f"
    mean, low, high = (format(c[key], digits).rstrip(".") for key in ("mean", "low", "high"))
    return f"{'ratio' if ratio else 'difference'} {mean} [{low}, {high}]{unit and ' ' + unit}, n = {c['n']}"


def wanted(c: dict) -> str:
    """Where the whole interval of a condition must lie for a yes: '< 0.9804', '-0.2 to 0.2 dB'."""
    if c["effect"] == "exact":
        return "true in all"
    _, smallest, ratio, unit = EFFECTS[c["effect"]]
    low, high = (1 / (1 + smallest), 1 + smallest) if ratio else (-smallest, smallest)
    low, high, unit = f"{low:.4g}", f"{high:.4g}", unit and f" {unit}"
    return {"<": f"< {low}", ">": f"> {high}", "<=": f"< {high}", ">=": f"> {low}",
            "=": f"{low} to {high}"}[c["relation"]] + unit


def words(conditions: list[dict]) -> str:
    """The verdict on a claim from its conditions' records: which say yes, which are open, how many are against it."""
    judged = [c["judged"] for c in conditions]
    said = str(verdict(judged))
    yes, still = ("; ".join(c["condition"] for c in conditions if c["judged"] == word) for word in ("yes", "open"))
    against = sum(word in AGAINST for word in judged)
    rest = [f"open: {still}"] if still and yes else []
    rest += [f"against it: {against} of {len(judged)}"] if against and said != "false as told" else []
    return said + (f": {yes}" if said == "holds when" else "") + (f" ({'; '.join(rest)})" if rest else "")


def record(name: str, sentence: str, source: str, conditions: dict, effect: str, scale: str = "") -> dict:
    """All that a claim rests on, and its verdict, ready for JSON; arguments and errors as for `claim`."""
    try:
        found = [compare(where, given, effect) for where, given in conditions.items()]
    except (ValueError, TypeError) as e:
        raise ValueError(f"claim {name!r}: {e}") from None
    if not found:
        raise ValueError(f"claim {name!r}: got no conditions, wanted one or more")
    return {"name": name, "sentence": sentence, "sources": [key.strip() for key in source.split(",")],
            "verdict": str(verdict([c["judged"] for c in found])), "words": words(found),
            "firm": all(c["judged"] == c["firm"] for c in found), "scale": scale, "conditions": found}


def wrapped(text: str) -> str:
    """The text in lines of at most 88 characters; no number leaves its sign, its unit, its "n =" or its "±"."""
    kept = re.sub(r" (?=[±=<>≤≥×%]|dB\b|pixels?\b|updates\b)|(?<=[±=<>≤≥×]) ", "\0", text)
    return textwrap.fill(kept, 88, break_long_words=False, break_on_hyphens=False).replace("\0", " ")


def common_n(record: dict) -> str:
    """", n = 5" where all conditions have as many seeds, else nothing."""
    counts = {f", n = {c['n']}" for c in record["conditions"] if "low" in c}
    return counts.pop() if len(counts) == 1 else ""


def explained(record: dict) -> str:
    """What the numbers of a claim are, what its words mean, and what was tried."""
    compared, exact = ([c for c in record["conditions"] if (c["effect"] == "exact") == kind] for kind in (False, True))
    said, judged = [], {c["judged"] for c in compared}
    if compared:
        ratios = {EFFECTS[c["effect"]].ratio for c in compared}
        means = ["ratios: geometric means"] * (True in ratios) + ["differences: means"] * (False in ratios)
        said = [f"{'; '.join(means)}; in brackets intervals of 95 %{common_n(record)}",
                "yes: the whole interval is as wanted"]
    said += [f"{word}: {meaning}" for word, meaning in MEANINGS.items() if word in judged]
    said += ["reversed, where exact: not true in all"] * any(c["judged"] == "reversed" for c in exact)
    said += [f"{word}: {why}" for word, why in REASONS.items() if word == record["verdict"]]
    said += [f"tried: {record['scale']}"] * bool(record["scale"])
    return " ".join(f"{part[0].upper()}{part[1:]}." for part in said)


def said_by(record: dict) -> str:
    """Who says the sentence: keys of references.bib, or what the words beside them mean."""
    return ", ".join(WHO.get(source, source) for source in record["sources"])


def told(record: dict) -> str:
    """What a claim prints."""
    said = record["words"]
    because = [f"- {c['condition']}: {c['judged']}; {in_words(c)}; wanted {wanted(c)}" for c in record["conditions"]]
    lines = [f"Claim. {record['sentence']} [{said_by(record)}]", f"Verdict. {said[0].upper()}{said[1:]}",
             f"Because. {explained(record)}".strip(), *because]
    return "\n".join(map(wrapped, lines))


def chip(said: str) -> str:
    """A verdict as HTML: its sign and its words, which the page colours."""
    return f'<strong class="chip {said.replace(" ", "-")}">{SIGNS[said]} {said}</strong>'


def shown(record: dict) -> str:
    """What a claim shows, as HTML: the sentence, the verdict as a chip, and a row of numbers for each condition."""
    found, head = record["conditions"], ("where", "judged", "measured", "wanted")
    judged = Counter(c["judged"] for c in found)
    others = "".join(f"; {word} in {judged[word]}" for word in MEANINGS if judged[word])
    n = common_n(record)  # said once
    rows = ""
    for c in found:
        cells = f"{SIGNS[c['judged']]} {c['judged']}", in_words(c).removesuffix(n), html.escape(wanted(c))
        rows += f'<tr><th scope="row">{html.escape(c["condition"])}</th>'
        rows += "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>\n"
    return (f'<div class="claim">\n<p><b>Claim.</b> {html.escape(record["sentence"])} '
            f"<cite>[{html.escape(said_by(record))}]</cite></p>\n"
            f"<p><b>Verdict.</b> {chip(record['verdict'])}: yes in {judged['yes']} of {len(found)}{others}.</p>\n"
            f'<table class="numbers">\n<caption>{html.escape(explained(record))}</caption>\n'
            f"<thead><tr>{''.join(f'<th scope=col>{word}</th>' for word in head)}</tr></thead>\n"
            f"<tbody>\n{rows}</tbody>\n</table>\n</div>")


def claim(name: str, *, sentence: str, source: str, conditions: dict, effect: str, scale: str = "") -> None:
    """Judge a sentence of the field by the rule of the ledger's page; show the verdict and store all it rests on.

    Parameters
    ----------
    name : str                   another page may quote the verdict as {glue:text}`CHAPTER.ipynb::claim_NAME:s`
    source : str                 who says it: keys of references.bib, "lecture", or "folklore" where nobody is known to
                                 say it in print, with commas between
    conditions, effect           {where: (a, "<", b)} and a kind out of EFFECTS or "exact", see `compare`
    scale : str                  the largest that was tried: "64 pixels, 7680 updates"

    Raises
    ------
    ValueError                   naming claim and condition, for numbers that cannot be judged; never for a verdict
    """
    from IPython.display import display  # here: tools read the rule without torch

    from .numbers import glue
    found = record(name, sentence, source, conditions, effect, scale)
    display({"text/html": shown(found), "text/plain": told(found)}, raw=True, metadata={"record": found})
    glue(f"claim_{name}", found["words"])
