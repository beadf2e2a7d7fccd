"""Sphinx extension: the landing page's pictures, cut from the chapters' figures.

    python tools/cards.py          writes _build/cards/*.png alone

A panel is a picture or a plot inside a figure, found by its ink and counted from 0 in reading order, so nothing moves
when a figure is drawn again. A figure that is gone, or has fewer panels, is an error that names it.
"""
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps
from scipy import ndimage

import notebooks

ROOT = Path(__file__).resolve().parent.parent
WIDTH, HEIGHT, GAP = 320, 200, 4  # pixels of a card
SIDE = 200                        # pixels of a picture at the top of the page
TOP = "cross_domain", "routes", {"fbp": 1, "sinogram": 3, "refined": 4, "truth": 0}
# chapter: figure without "fig-CHAPTER-", its panels (of three the first is large), and left, top, right, bottom of each
ALL = 0, 0, 1, 1
CARDS = {"end_to_end": ("measurement", [1, 0], (.3, .05, .8, .55)), "loss_design": ("crops", [2, 5], ALL),
         "convolutions": ("edges", [0, 1, 2], ALL), "receptive_field": ("trained", [0, 1], ALL),
         "cnn": ("patch", [3, 4], ALL), "residual_learning": ("parts", [1, 3], (.1, .2, .55, .8)),
         "unet": ("shortcut", [2, 3], ALL), "unet_variants": ("gates", [2, 4], (.08, .15, .53, .75)),
         "cross_domain": ("sinogram", [1, 2, 0], (.04, .04, .96, .92)), "mri": ("pictures", [1, 3], ALL),
         "vision_transformers": ("weights", [0, 1, 2], ALL),
         "output_constraints": ("bone", [0, 2], (.28, .3, .72, .9)),
         "data_consistency": ("hard", [2, 5], ALL), "limits": ("organ", [2, 0, 1], ALL)}


def panels(chapter: str, name: str, root: Path = ROOT) -> list[Image.Image]:
    """The panels of a chapter's stored figure, in reading order."""
    for cell in notebooks.code_cells(notebooks.read(root / f"chapters/{chapter}.ipynb")):
        if cell.metadata.get("mystnb", {}).get("figure", {}).get("name") == f"fig-{chapter}-{name}":
            stored = notebooks.of_kind(cell.outputs, "image/png")
            if not stored:
                break
            figure = notebooks.decode(stored[0])
            ink = ndimage.label(np.asarray(figure).min(2) < 253, np.ones((3, 3)))[0]
            boxes = [box for box in ndimage.find_objects(ink) if min(s.stop - s.start for s in box) > 60]
            boxes.sort(key=lambda box: (round(box[0].stop / 40), box[1].start))
            return [figure.crop((x.start, y.start, x.stop, y.stop)) for y, x in boxes]
    raise ValueError(f"card of {chapter}: no stored figure fig-{chapter}-{name}; see CARDS in tools/cards.py")


def card(parts: list[Image.Image], zoom: tuple) -> Image.Image:
    """Two or three panels, the same part of each, cut to fill a card without stretching; the gaps are transparent."""
    w, h, side, rest = (WIDTH - GAP) // 2, (HEIGHT - GAP) // 2, WIDTH * 2 // 3 - GAP, WIDTH - WIDTH * 2 // 3
    boxes = {2: [(0, 0, w, HEIGHT), (WIDTH - w, 0, w, HEIGHT)],
             3: [(0, 0, side, HEIGHT), (side + GAP, 0, rest, h), (side + GAP, HEIGHT - h, rest, h)]}
    picture = Image.new("RGBA", (WIDTH, HEIGHT))
    for part, (x, y, width, height) in zip(parts, boxes[len(parts)], strict=True):
        part = part.crop([round(z * s) for z, s in zip(zoom, part.size * 2)])
        picture.paste(ImageOps.fit(part, (width, height), Image.Resampling.NEAREST), (x, y))
    return picture


def cards(root: Path = ROOT) -> None:
    """Write the pictures of the landing page to root/_build/cards, for the chapters that are there."""
    out = root / "_build/cards"
    out.mkdir(parents=True, exist_ok=True)
    for chapter, (figure, which, zoom) in CARDS.items():
        if not (root / f"chapters/{chapter}.ipynb").exists():
            continue  # the page that wants its picture complains
        found = panels(chapter, figure, root)
        if len(found) <= max(which):
            raise ValueError(f"card of {chapter}: fig-{chapter}-{figure}: got {len(found)} panels, wanted {which}")
        card([found[k] for k in which], zoom).save(out / f"{chapter}.png")
        for name, k in TOP[2].items() if chapter == TOP[0] else ():
            panel = panels(chapter, TOP[1], root)[k]
            panel.resize((SIDE, SIDE), Image.Resampling.NEAREST).save(out / f"top_{name}.png")


def setup(app):
    app.connect("builder-inited", lambda app: cards(Path(app.srcdir)))
    return {"parallel_read_safe": True}


if __name__ == "__main__":
    cards()
