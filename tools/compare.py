"""When does an output count as the same? Words and integers exactly, floats and pictures with a tolerance."""
import json
import re
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFilter

from notebooks import GLUED, by_kind, decode, frames


@dataclass(frozen=True)
class Tolerance:
    """By how much an output may differ and still count as the same."""

    rtol: float = 2e-3         # floats, relative
    digit: float = 0.9e-2      # or one unit in the last printed digit, if that is no larger part of the number
    sds: float = 0.0           # or, in "mean ± sd [range]", this many sd
    shift: int = 0             # pixels that a curve may move
    mean: float = 0.5          # pictures: levels of 255, on average
    block: float = 8.0         # and in the worst block of 8×8 pixels


EXACT = Tolerance()
# Tags of cells that show what a training in single precision gave: its updates magnify rounding, which differs between
# processors. In a chaotic one the end depends on the last bit of the start; the seeds' sd is then the scale of noise.
TAGS = {"trained": Tolerance(rtol=2e-2, shift=2),
        "chaotic": Tolerance(rtol=0.15, digit=1.0, sds=1.5, shift=2, mean=3.0, block=255.0)}
ATOL = 1e-6
NUMBER = re.compile(r"(?<![\w.])[-+]?(?:(?:\d+\.\d*|\.\d+|\d+)(?:[eE][-+]?\d+)?|inf|nan)(?!\w)")
PICTURE = re.compile(r"data:image/\w+;base64,[\w+/=]+")
SPREAD, RANGE = re.compile(r"\s±\s"), re.compile(r"\s\[[-\d.,e\s]*")  # between mean and sd, and from there on


def last_digit(number: str) -> float:
    """The unit of the last digit printed: 0.01 for '3.14', 1e-5 for '3.141e-02'."""
    mantissa, _, exponent = number.lower().partition("e")
    return 10.0 ** (int(exponent or 0) - len(mantissa.partition(".")[2]))


def compare_text(stored: str, now: str, tolerance: Tolerance = EXACT) -> str | None:
    """None if equal up to float noise, else one line saying what differs; an sd behind '±' is as noisy as its mean."""
    skeletons = [re.sub(r"\[#", "[ #", " ".join(NUMBER.sub("#", s).split())) for s in (stored, now)]
    if skeletons[0] != skeletons[1]:
        return f"the text differs\n  stored {stored!r}\n  now    {now!r}"
    numbers = zip(NUMBER.finditer(stored), NUMBER.findall(now), strict=True)
    mean, spread = 0.0, None
    for match, b in numbers:
        a, is_spread = match[0], bool(re.search(r"±\s$", stored[:match.start()]))
        if joined := SPREAD.match(stored, match.end()):
            spread = NUMBER.match(stored, joined.end())
        elif spread and not RANGE.fullmatch(stored, spread.end(), match.start()):
            spread = spread if is_spread else None
        scale, mean = max(abs(float(a)), mean if is_spread else 0.0), abs(float(a))
        if a == b:
            continue
        if re.fullmatch(r"[-+]?\d+", a) and re.fullmatch(r"[-+]?\d+", b):
            return f"integer {a} became {b}"
        unit = min(last_digit(a), last_digit(b))
        allowed = max(ATOL, tolerance.rtol * scale, min(1.001 * unit, tolerance.digit * scale),
                      tolerance.sds * abs(float(spread[0])) if spread else 0.0)
        if not abs(float(a) - float(b)) <= allowed:  # also true for nan
            return f"number {a} became {b} (allowed ± {allowed:.2g})"
    return None


def excess(a: Image.Image, b: Image.Image, shift: int) -> np.ndarray:
    """How far each pixel of b lies outside the levels that a has within `shift` pixels of it: (H, W), levels."""
    low, high = (np.asarray(a.filter(f(2 * shift + 1)), float) for f in (ImageFilter.MinFilter, ImageFilter.MaxFilter))
    return np.maximum(np.maximum(low - b, b - high), 0).mean(axis=2)


def compare_png(stored: str, now: str, tolerance: Tolerance = EXACT) -> str | None:
    """None if two base64-coded pictures look the same, else one line saying how they differ."""
    return compare_pictures(decode(stored), decode(now), tolerance)


def compare_html(stored: str, now: str, tolerance: Tolerance = EXACT) -> str | None:
    """None if the words and numbers of two pieces of HTML agree, and the pictures in them frame by frame."""
    if said := compare_text(*(PICTURE.sub("frames", s) for s in (stored, now)), tolerance):
        return said
    found = list(zip(frames(stored), frames(now), strict=True))
    for i, (a, b) in enumerate(found, 1):
        if said := compare_pictures(a, b, tolerance):
            return f"frame {i} of {len(found)}: {said}"
    return None


def compare_pictures(a: Image.Image, b: Image.Image, tolerance: Tolerance = EXACT) -> str | None:
    """None if two pictures look the same, else one line saying how they differ."""
    if a.size != b.size:
        return f"picture of {a.width}×{a.height} pixels became {b.width}×{b.height}"
    difference = np.maximum(excess(a, b, tolerance.shift), excess(b, a, tolerance.shift))
    h, w = (-n % 8 for n in difference.shape)
    blocks = np.pad(difference, ((0, h), (0, w)))
    worst = blocks.reshape(blocks.shape[0] // 8, 8, -1, 8).mean(axis=(1, 3)).max()
    if difference.mean() > tolerance.mean or worst > tolerance.block:
        return f"picture differs: mean {difference.mean():.2f} levels, worst 8×8 block {worst:.1f}"
    return None


def compare_record(stored: str, now: str, tolerance: Tolerance = EXACT) -> str | None:
    """None if the records of two claims agree, else one line; how far a number may move follows from its interval.

    Where a training decides the numbers, an interval's end that lies at the smallest effect may move across it: a word
    may become "open", or come from there, and from "not so" its neighbours. "Yes" never turns into a kind of no.
    """
    a, b = json.loads(stored), json.loads(now)
    moved = [x["judged"] for x in a["conditions"]] != [x["judged"] for x in b["conditions"]]
    words = ("firm", "judged", *(("words", "verdict") if moved else ()))
    numbers = "mean", "low", "high"
    for x, y in *zip(a["conditions"], b["conditions"]), (a, b):
        where = f"claim {a['name']}" + (f", {x['condition']!r}" if "condition" in x else "")
        for key in {**x, **y}:
            old, new = x.get(key), y.get(key)
            if key == "conditions":
                same = len(old) == len(new)
            elif key in numbers and None not in (old, new):
                width = x["high"] - x["low"]
                same = abs(old - new) <= max(ATOL, tolerance.rtol * max(abs(old), width), tolerance.sds * width / 2)
            else:
                same = old == new or tolerance != EXACT and key in words and (
                    key != "judged" or "open" in (old, new) or "not so" in (old, new) and "yes" not in (old, new))
            if not same:
                return f"{where}: {key} {old!r} became {new!r}"
    return None


COMPARE = {"record": compare_record, "image/png": compare_png, "text/html": compare_html}


def differences(stored, now, tolerance: Tolerance = EXACT) -> list[str]:
    """What two lists of notebook outputs do not share, one line each; stderr is always a difference."""
    stored, now, found = by_kind(stored), by_kind(now), []
    for key in sorted(stored.keys() | now.keys()):
        a, b = stored.get(key, []), now.get(key, [])
        if key == "stderr":
            found.append(f"stderr: {(b or a)[0]!r}")
        elif len(a) != len(b):
            found.append(f"{key}: {len(a)} stored, {len(b)} now")
        else:
            compare = COMPARE.get(key.removeprefix(GLUED), compare_text)
            found += [f"{key}: {said}" for x, y in zip(a, b, strict=True) if (said := compare(x, y, tolerance))]
    return found


def complaints(cell, now) -> list[str]:
    """What these outputs of a cell do not share with its stored ones."""
    tags = [TAGS[tag] for tag in cell.metadata.get("tags", []) if tag in TAGS]
    return differences(cell.outputs, now, *tags[:1])
