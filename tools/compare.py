"""When does an output count as the same? Words and integers exactly; the rest as far as it was seen to move.

    python tools/compare.py [CHAPTER ...]      prints the share of printed decimals that may not move beyond FLOOR

A refresh runs each chapter again, as other machines would, and stores with each cell how far its decimals and pictures
moved at most: "3:1.2" says that decimal 3 of a text, counted from 0, moved by 1.2 times what it may move anyway.
"""
import json
import re
import sys
from collections.abc import Iterator
from statistics import median
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageFilter

import notebooks
from notebooks import GLUED, by_kind, decode, frames

OTHER_MACHINES = (  # one run alone moves a number little by chance, and so do two
    # the instructions of an old processor, and two threads that wait without spinning
    {"ATEN_CPU_CAPABILITY": "default", "ONEDNN_MAX_CPU_ISA": "AVX2",
     "OMP_NUM_THREADS": "2", "MKL_NUM_THREADS": "2", "OMP_WAIT_POLICY": "PASSIVE"},
    {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2"},
    {"ATEN_CPU_CAPABILITY": "default"},
)
FLOOR = 2e-3   # a float may differ by this share of itself,
MULTIPLE = 10  # and by this many times as far as it moved there: at 5, two were red on a third machine
MEAN, BLOCK = 2, 5  # the same of a picture's mean over all pixels, which scatters less, and of its worst block
ATOL = 1e-6
LEVELS, WORST = 0.5, 8.0  # of 255, that a picture may differ by, on average and in the worst block of 8×8 pixels


class Tolerance(NamedTuple):
    """What else may differ and still count as the same; a drift widens it."""

    digit: float = 0.9e-2  # one unit in the last printed digit, if that is no larger part of the number
    shift: int = 0         # pixels that a curve may move


EXACT = Tolerance()
SHIFT = 2  # pixels, where a picture moved
NUMBER = re.compile(r"(?<![\w.])[-+]?(?:(?:\d+\.\d*|\.\d+|\d+)(?:[eE][-+]?\d+)?|inf|nan)(?!\w)")
INTEGER = re.compile(r"[-+]?\d+")
PICTURE = re.compile(r"data:image/\w+;base64,[\w+/=]+")


class Unlike(Exception):
    """Two outputs differ in what cannot move a little: words, integers, sizes."""


class Move(NamedTuple):
    """How far one number, or one measure of a picture, moved, and how far it may where no drift was measured."""

    said: str
    moved: float
    free: float
    drawn: int = 0  # of a picture: how many times as far as it moved it may move

    @property
    def multiple(self) -> int:
        return self.drawn or MULTIPLE


def last_digit(number: str) -> float:
    """The unit of the last digit printed: 0.01 for '3.14', 1e-5 for '3.141e-02'."""
    mantissa, _, exponent = number.lower().partition("e")
    return 10.0 ** (int(exponent or 0) - len(mantissa.partition(".")[2]))


def text_moves(stored: str, now: str, tolerance: Tolerance) -> Iterator[Move]:
    """One for each decimal; an sd behind '±' is as noisy as its mean."""
    skeletons = [re.sub(r"\[#", "[ #", " ".join(NUMBER.sub("#", s).split())) for s in (stored, now)]
    if skeletons[0] != skeletons[1]:
        raise Unlike(f"the text differs\n  stored {stored!r}\n  now    {now!r}")
    mean = 0.0
    for match, b in zip(NUMBER.finditer(stored), NUMBER.findall(now), strict=True):
        a, is_spread = match[0], bool(re.search(r"±\s$", stored[:match.start()]))
        scale, mean = max(abs(float(a)), mean if is_spread else 0.0), abs(float(a))
        if INTEGER.fullmatch(a):
            if a != b:
                raise Unlike(f"integer {a} became {b}")
            continue
        unit = min(last_digit(a), last_digit(b))
        free = max(ATOL, FLOOR * scale, min(1.001 * unit, tolerance.digit * scale))
        yield Move(f"number {a} became {b}", 0.0 if a == b else abs(float(a) - float(b)), free)


def excess(a: Image.Image, b: Image.Image, shift: int) -> np.ndarray:
    """How far each pixel of b lies outside the levels that a has within `shift` pixels of it: (H, W), levels."""
    low, high = (np.asarray(a.filter(f(2 * shift + 1)), float) for f in (ImageFilter.MinFilter, ImageFilter.MaxFilter))
    return np.maximum(np.maximum(low - b, b - high), 0).mean(axis=2)


def picture_moves(a: Image.Image, b: Image.Image, tolerance: Tolerance, where: str = "") -> Iterator[Move]:
    """The mean over all pixels, and the worst block of 8×8."""
    if a.size != b.size:
        raise Unlike(f"{where}picture of {a.width}×{a.height} pixels became {b.width}×{b.height}")
    difference = np.maximum(excess(a, b, tolerance.shift), excess(b, a, tolerance.shift))
    h, w = (-n % 8 for n in difference.shape)
    blocks = np.pad(difference, ((0, h), (0, w)))
    worst = blocks.reshape(blocks.shape[0] // 8, 8, -1, 8).mean(axis=(1, 3)).max()
    said = f"{where}picture differs: mean {difference.mean():.2f} levels, worst 8×8 block {worst:.1f}"
    yield Move(said, difference.mean(), LEVELS, MEAN)
    yield Move(said, worst, WORST, BLOCK)


def png_moves(stored: str, now: str, tolerance: Tolerance) -> Iterator[Move]:
    yield from picture_moves(decode(stored), decode(now), tolerance)


def html_moves(stored: str, now: str, tolerance: Tolerance) -> Iterator[Move]:
    """Of the words and numbers of a piece of HTML, and of the frames of an explorable in it."""
    yield from text_moves(*(PICTURE.sub("frames", s) for s in (stored, now)), tolerance)
    found = list(zip(frames(stored), frames(now), strict=True))
    for i, (a, b) in enumerate(found, 1):
        yield from picture_moves(a, b, tolerance, f"frame {i} of {len(found)}: ")


def record_moves(stored: str, now: str, tolerance: Tolerance) -> Iterator[Move]:
    """Of the means and intervals of a claim.

    Where these move, an interval's end that lies at the smallest effect may move across it: a word may become "open",
    or come from there, and from "not so" its neighbours. "Yes" never turns into a kind of no.
    """
    a, b = json.loads(stored), json.loads(now)
    numbers, pairs = ("mean", "low", "high"), list(zip(a["conditions"], b["conditions"]))
    moved = [any(x.get(key) != y.get(key) for key in numbers) for x, y in pairs]
    turned = any(m and x["judged"] != y["judged"] for m, (x, y) in zip(moved, pairs))
    for (x, y), free in zip([*pairs, (a, b)], [*moved, any(moved)]):
        where = f"claim {a['name']}" + (f", {x['condition']!r}" if "condition" in x else "")
        words = {"firm", "judged", *(("words", "verdict") if turned else ())} if free else ()
        for key in sorted({**x, **y}, key=[*numbers, *sorted({**x, **y})].index):  # whatever their order in the file
            old, new = x.get(key), y.get(key)
            if key in numbers and None not in (old, new):
                width = x["high"] - x["low"]
                yield Move(f"{where}: {key} {old!r} became {new!r}", abs(old - new),
                           max(ATOL, FLOOR * max(abs(old), width)))
                continue
            near = key != "judged" or "open" in (old, new) or "not so" in (old, new) and "yes" not in (old, new)
            same = len(old) == len(new) if key == "conditions" else old == new or key in words and near
            if not same:
                raise Unlike(f"{where}: {key} {old!r} became {new!r}")


MOVES = {"record": record_moves, "image/png": png_moves, "text/html": html_moves}  # all other kinds are text


def moves(kind: str, stored: str, now: str, tolerance: Tolerance) -> list[Move]:
    return list(MOVES.get(kind.removeprefix(GLUED), text_moves)(stored, now, tolerance))


def parsed(drift: str) -> dict[int, float]:
    return {int(i): float(times) for i, times in (word.split(":") for word in drift.replace("~", "").split())}


def largest(*drifts: str) -> str:
    """The drift that covers all of these."""
    far = {}
    for i, times in (one for drift in drifts for one in parsed(drift).items()):
        far[i] = max(times, far.get(i, 0.0))
    return " ".join([*(["~"] if "~" in "".join(drifts) else []), *(f"{i}:{far[i]:.2g}" for i in sorted(far))])


def can_move(outputs: list) -> bool:
    """Whether outputs hold what may move a little: a decimal, a picture, a claim's numbers."""
    return any(moves(kind, text, text, EXACT) for kind, texts in by_kind(outputs).items() for text in texts)


def decimals(kind: str, text: str) -> list[Move]:
    """One for each decimal that an output says, which did not move."""
    return [] if kind == "image/png" else moves(kind, *[PICTURE.sub("", text)] * 2, EXACT)


def usual(stored: dict[str, list[str]], drift: dict[str, list[str]], kind: str = "") -> float:
    """The median of how far the decimals of a cell moved that did; with a kind: 0 where most of that kind did not."""
    far = {key: [times for d in texts for times in parsed(d).values()] for key, texts in drift.items()
           if key != "image/png"}
    few = kind and 2 * len(far.get(kind, [])) < sum(len(decimals(kind, text)) for text in stored[kind])
    return median(every) if (every := sum(far.values(), [])) and not few else 0.0


def allowed(found: list[Move], drift: str, usual: float = 0.0, others: float = 0.0) -> list[float]:
    """How far each may move: MULTIPLE times as far as it did, or as is usual in its cell.

    One run may move a number little, or not, by chance: `others` is for those that did not; see `usual`.
    """
    far = parsed(drift)
    times = [far.get(i, 0.0) if m.drawn else max(far[i], usual) if i in far else others for i, m in enumerate(found)]
    return [m.free * max(1.0, m.multiple * t) for m, t in zip(found, times)]


def difference(kind: str, stored: str, now: str, drift: str = "", *pooled: float) -> str | None:
    """None if two outputs of a kind are the same, else one line saying how they differ."""
    # what was coarsely printed may have moved unseen
    tolerance = Tolerance(digit=1.0, shift=SHIFT if "~" in drift else 0) if drift else EXACT
    try:
        found = moves(kind, stored, now, tolerance)
        for move, far in zip(found, allowed(found, drift, *pooled)):
            if not move.moved <= far:  # also true for nan
                return move.said if move.drawn else f"{move.said} (allowed ± {far:.2g})"
    except Unlike as e:
        return str(e)
    return None


def drift_of(kind: str, stored: str, now: str) -> str:
    """How far an output moved, as `difference` takes it; "~" says that curves may shift. Unlike if that is not all."""
    def told(found):
        return {i: f"{i}:{m.moved / m.free:.2g}" for i, m in enumerate(found) if m.multiple * m.moved > m.free}

    found = moves(kind, stored, now, EXACT)
    if not any(found[i].drawn for i in told(found)):
        return " ".join(told(found).values())
    return " ".join(["~", *told(moves(kind, stored, now, Tolerance(shift=SHIFT))).values()])


def differences(stored, now, drift: dict | None = None) -> list[str]:
    """What two lists of notebook outputs do not share, one line each; stderr is always a difference."""
    stored, now, found, drift = by_kind(stored), by_kind(now), [], drift or {}
    for key in sorted(stored.keys() | now.keys()):
        a, b = stored.get(key, []), now.get(key, [])
        if key == "stderr":
            found.append(f"stderr: {(b or a)[0]!r}")
        elif len(a) != len(b):
            found.append(f"{key}: {len(a)} stored, {len(b)} now")
        else:
            far, pooled = drift.get(key, [""] * len(a)), (usual(stored, drift), usual(stored, drift, key))
            found += [f"{key}: {said}" for x, y, d in zip(a, b, far, strict=True)
                      if (said := difference(key, x, y, d, *pooled))]
    return found


def complaints(cell, now) -> list[str]:
    """What these outputs of a cell do not share with its stored ones."""
    return differences(cell.outputs, now, cell.metadata.get("drift"))


def room(cell) -> dict[str, list[list[float]]]:
    """How far each decimal of a cell may move: {kind: for each output that has decimals, numbers}."""
    stored, drift = by_kind(cell.outputs), cell.metadata.get("drift", {})
    return {kind: [allowed(decimals(kind, text), far, usual(stored, drift), usual(stored, drift, kind))
                   for text, far in zip(texts, drift.get(kind, [""] * len(texts)))]
            for kind, texts in stored.items() if kind != "image/png"}


def measured(stored, *runs) -> tuple[dict[str, list[str]], list[str]]:
    """The largest drift between a list of outputs and others, and what differs in a way that no drift explains."""
    stored, unlike, found = by_kind(stored), [], {}
    for now in map(by_kind, runs):
        for key in stored.keys() & now.keys():
            for i, (a, b) in enumerate(zip(stored[key], now[key])):
                try:
                    found.setdefault(key, [[] for _ in stored[key]])[i].append(drift_of(key, a, b))
                except Unlike as e:
                    unlike.append(f"{key}: {e}")
        unlike += [f"{key}: on one machine only" for key in sorted(stored.keys() ^ now.keys())]
    drift = {key: [largest(*each) for each in found[key]] for key in sorted(found)}
    return {key: far for key, far in drift.items() if any(far)}, list(dict.fromkeys(unlike))


def main() -> None:
    total = np.zeros(2, int)
    for path in notebooks.choose(sys.argv[1:]):
        found = np.zeros(2, int)
        for cell in notebooks.code_cells(notebooks.read(path)):
            far = sum(sum(room(cell).values(), []), [])
            cell.metadata = {}
            least = sum(sum(room(cell).values(), []), [])
            found += len(far), sum(x <= y for x, y in zip(far, least))
        print(f"{path.stem}: {found[1]} of {found[0]} decimals are held to {FLOOR:g}")
        total += found
    print(f"all: {total[1]} of {total[0]}, {100 * total[1] / total[0]:.1f} %")


if __name__ == "__main__":
    main()
