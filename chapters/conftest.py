"""How nbval compares a chapter with what is stored: words and integers exactly, floats and pictures with a tolerance.

Stock nbval compares text byte for byte, ignores pictures and passes a cell that was never run.
"""
import base64
import io
import re

import numpy as np
import pytest
from nbval.plugin import IPyNbCell, IPyNbFile
from PIL import Image

RTOL, ATOL = 2e-3, 1e-6  # floats: relative and absolute
LAST_DIGIT_RTOL = 0.9e-2  # one unit in the last printed digit is rounding, unless that is a larger part of the number
MEAN_LEVELS, BLOCK_LEVELS = 0.5, 8.0  # pictures: mean and worst 8×8 block of |difference|, out of 255
IGNORED = {"application/vnd.jupyter.widget-view+json"}  # carries a fresh identifier in every run
NUMBER = re.compile(r"(?<![\w.])[-+]?(?:(?:\d+\.\d*|\.\d+|\d+)(?:[eE][-+]?\d+)?|inf|nan)(?!\w)")


def last_digit(number: str) -> float:
    """The unit of the last digit printed: 0.01 for '3.14', 1e-5 for '3.141e-02'."""
    mantissa, _, exponent = number.lower().partition("e")
    return 10.0 ** (int(exponent or 0) - len(mantissa.partition(".")[2]))


def compare_text(stored: str, now: str) -> str | None:
    """None if equal up to float noise, else one line saying what differs; an sd behind '±' is as noisy as its mean."""
    skeletons = [re.sub(r"\[#", "[ #", " ".join(NUMBER.sub("#", s).split())) for s in (stored, now)]
    if skeletons[0] != skeletons[1]:
        return f"the text differs\n  stored {stored!r}\n  now    {now!r}"
    numbers = zip(NUMBER.finditer(stored), NUMBER.findall(now), strict=True)
    mean = 0.0
    for match, b in numbers:
        a, is_spread = match[0], stored[:match.start()].endswith("± ")
        scale, mean = max(abs(float(a)), mean if is_spread else 0.0), abs(float(a))
        if a == b:
            continue
        if re.fullmatch(r"[-+]?\d+", a) and re.fullmatch(r"[-+]?\d+", b):
            return f"integer {a} became {b}"
        unit = min(last_digit(a), last_digit(b))
        allowed = max(ATOL, RTOL * scale, min(1.001 * unit, LAST_DIGIT_RTOL * scale))
        if not abs(float(a) - float(b)) <= allowed:  # also true for nan
            return f"number {a} became {b} (allowed ± {allowed:.2g})"
    return None


def compare_png(stored: str, now: str) -> str | None:
    """None if two base64-coded pictures look the same, else one line saying how they differ."""
    a, b = (np.asarray(Image.open(io.BytesIO(base64.b64decode(s))).convert("RGB"), dtype=float) for s in (stored, now))
    if a.shape != b.shape:
        return f"picture of {a.shape[1]}×{a.shape[0]} pixels became {b.shape[1]}×{b.shape[0]}"
    difference = np.abs(a - b).mean(axis=2)
    h, w = (-n % 8 for n in difference.shape)
    blocks = np.pad(difference, ((0, h), (0, w)))
    worst = blocks.reshape(blocks.shape[0] // 8, 8, -1, 8).mean(axis=(1, 3)).max()
    if difference.mean() > MEAN_LEVELS or worst > BLOCK_LEVELS:
        return f"picture differs: mean {difference.mean():.2f} levels, worst 8×8 block {worst:.1f}"
    return None


def flatten(outputs) -> dict[str, list[str]]:
    """Outputs of a cell as {kind: [text, …]}; a kind is a MIME type, stdout, stderr, or an error's name or message."""
    flat = {}
    for out in outputs:
        if out["output_type"] == "stream":  # may arrive in pieces
            flat[out["name"]] = [flat.get(out["name"], [""])[0] + out["text"]]
            continue
        for key, value in {**out, **out.get("data", {})}.items():
            if key in ("ename", "evalue") or ("/" in key and key not in IGNORED):
                flat.setdefault(key, []).append("".join(value) if isinstance(value, list) else str(value))
        if "scrapbook" in out.get("metadata", {}):
            flat.setdefault("glued names", []).append(out["metadata"]["scrapbook"]["name"])
    return flat


def differences(stored, now) -> list[str]:
    """What two lists of notebook outputs do not share, one line each; stderr is always a difference."""
    stored, now, found = flatten(stored), flatten(now), []
    for key in sorted(stored.keys() | now.keys()):
        a, b = stored.get(key, []), now.get(key, [])
        if key == "stderr":
            found.append(f"stderr: {(b or a)[0]!r}")
        elif len(a) != len(b):
            found.append(f"{key}: {len(a)} stored, {len(b)} now")
        else:
            compare = compare_png if key.endswith("image/png") else compare_text
            found += [f"{key}: {said}" for x, y in zip(a, b, strict=True) if (said := compare(x, y))]
    return found


class TolerantCell(IPyNbCell):
    """A notebook cell as a test; nbval runs it, `differences` judges it."""

    def runtest(self):
        if self.cell.execution_count is None:
            self.raise_cell_error("the stored cell was never run: nothing to compare with", self.cell.source)
        super().runtest()

    def compare_outputs(self, test, ref, skip_compare=None):
        self.comparison_traceback = differences(ref, test)
        return not self.comparison_traceback


class Chapter(IPyNbFile):
    """A notebook whose cells are tolerant, and numbered as Jupyter shows them: from [1]."""

    def collect(self):
        for cell in super().collect():
            number = cell.cell_num + 1
            yield TolerantCell.from_parent(self, name=f"cell [{number}]", cell_num=number, cell=cell.cell,
                                           options=cell.options)


@pytest.hookimpl(wrapper=True)
def pytest_collect_file():
    collectors = yield
    for collector in collectors:
        if type(collector) is IPyNbFile:
            collector.__class__ = Chapter
    return collectors
