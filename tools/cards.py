"""Sphinx extension: the landing page's pictures, cut from the chapters' stored figures.

A chapter's metadata say what its card shows: book.card has `figure`, its name; `panels`, two or three, of three the
first is large; `zoom`, left, top, right and bottom of the part of each panel as fractions, all of it where it is not
given; and `alt`. A page that shows _build/panels/FIGURE-K.png gets panel K, and of FIGURE-K-L-M.png a row of three.
Panels are the pictures in a figure, counted from 0 in reading order.
"""
import re
from pathlib import Path

from PIL import Image, ImageOps

import notebooks

WIDTH, HEIGHT, GAP = 320, 200, 4  # pixels of a card
SMALLEST = 60                     # pixels; what is narrower is a colour bar


def panels(figure: str, chapters: list) -> list[Image.Image]:
    """The panels of a figure that one of these notebooks stores: `course.machinery.figures.png` left a note of them."""
    for cell in (cell for notebook in chapters for cell in notebooks.code_cells(notebook)):
        if cell.metadata.get("mystnb", {}).get("figure", {}).get("name") == figure:
            for picture in map(notebooks.decode, notebooks.of_kind(cell.outputs, "image/png")):
                boxes = [[round(float(side) * size) for side, size in zip(box.split(), picture.size * 2)]
                         for box in picture.info.get("pictures", "").split(", ") if box]
                boxes = [b for b in boxes if min(b[2] - b[0], b[3] - b[1]) > SMALLEST]
                boxes.sort(key=lambda b: (round(10 * (b[1] + b[3]) / picture.height), b[0]))  # row by row
                return [picture.crop(box) for box in boxes]
    raise ValueError(f"{figure}: no chapter stores this figure, wanted one with a picture")


def chosen(figure: str, which: list[int], chapters: list) -> list[Image.Image]:
    """These panels of a figure."""
    found = panels(figure, chapters)
    if len(found) <= max(which):
        raise ValueError(f"{figure}: has {len(found)} panels that are pictures, wanted {which}, counted from 0")
    return [found[k] for k in which]


def card(parts: list[Image.Image], zoom: list[float]) -> Image.Image:
    """Two or three panels, the same part of each, cut to fill a card without stretching; the gaps are transparent."""
    w, h, side, rest = (WIDTH - GAP) // 2, (HEIGHT - GAP) // 2, WIDTH * 2 // 3 - GAP, WIDTH - WIDTH * 2 // 3
    boxes = {2: [(0, 0, w, HEIGHT), (WIDTH - w, 0, w, HEIGHT)],
             3: [(0, 0, side, HEIGHT), (side + GAP, 0, rest, h), (side + GAP, HEIGHT - h, rest, h)]}
    picture = Image.new("RGBA", (WIDTH, HEIGHT))
    for part, (x, y, width, height) in zip(parts, boxes[len(parts)], strict=True):
        part = part.crop([round(z * s) for z, s in zip(zoom, part.size * 2)])
        picture.paste(ImageOps.fit(part, (width, height), Image.Resampling.NEAREST), (x, y))
    return picture


def cut(notebook) -> Image.Image:
    """The card of a chapter."""
    about = notebook.metadata.book.card
    return card(chosen(about.figure, about.panels, [notebook]), about.get("zoom", [0, 0, 1, 1]))


def row(parts: list[Image.Image]) -> Image.Image:
    """Panels side by side, as large as the first; the gaps are transparent."""
    w, h = parts[0].size
    picture = Image.new("RGBA", (len(parts) * (w + GAP) - GAP, h))
    for k, part in enumerate(parts):
        picture.paste(part.resize((w, h), Image.Resampling.NEAREST), (k * (w + GAP), 0))
    return picture


def draw(root: Path) -> None:
    """Write the cards to root/_build/cards, and the panels that pages ask for to root/_build/panels."""
    chapters = {path.stem: notebooks.read(path) for path in notebooks.chapters(root)}
    for folder in ("cards", "panels"):
        (root / "_build" / folder).mkdir(parents=True, exist_ok=True)
    for name, notebook in chapters.items():
        if "book" in notebook.metadata:
            try:
                cut(notebook).save(root / f"_build/cards/{name}.png")
            except ValueError as e:
                raise ValueError(f"chapters/{name}.ipynb, metadata book.card: {e}") from None
    for page in notebooks.sources(root):
        for figure, which in re.findall(r"_build/panels/([\w-]+?)((?:-\d+)+)\.png", notebooks.read_text(page)):
            parts = chosen(figure, [int(k) for k in which[1:].split("-")], list(chapters.values()))
            row(parts).save(root / f"_build/panels/{figure}{which}.png")


def setup(app):
    app.connect("builder-inited", lambda app: draw(Path(app.srcdir)))
    return {"parallel_read_safe": True}
