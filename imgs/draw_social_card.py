"""Draw the picture that a shared link to the book shows: 1200 x 630 pixels, mark, title, four stored reconstructions.

The reconstructions are cut from the chapter on cross-domain problems, as on the landing page, and only enlarged.
Usage: python draw_social_card.py [OUTPUT.png]        Licence: CC0 1.0.
"""
import sys
from pathlib import Path

from matplotlib import font_manager
from PIL import Image, ImageDraw, ImageFont

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tools"))
import notebooks  # noqa: E402
from cards import chosen  # noqa: E402

SIZE = 1200, 630
MARGIN, SIDE, CELL = 60, 255, 12        # pixels: border, side of a reconstruction, a sixteenth of the mark
BLUE, VERMILION, INK, GREY = "#0072b2", "#d55e00", "#222832", "#48566b"
TITLE = "Learned Image\nReconstruction"
LINE = "An executable course: small networks trained on the page,\n" \
       "claims measured over seeds, also where they fail"
FIGURE = "fig-cross_domain-routes"
CAPTIONS = {1: "back-projection", 3: "UNet on the views", 4: "back-projection, UNet", 0: "truth"}  # by panel


def font(size, weight="normal"):
    """Matplotlib's own DejaVu Sans, so that the card is the same on every machine."""
    face = font_manager.FontProperties(family="DejaVu Sans", weight=weight)
    return ImageFont.truetype(font_manager.findfont(face), size)


def draw_mark(draw, x, y):
    """The mark of chapters/_static/mark.svg: half a disc, and half of it in pixels, one of them wrong."""
    draw.pieslice((x, y, x + 14 * CELL, y + 15 * CELL), 90, 270, fill=BLUE)
    for column, row in ((8, 0), (8, 4), (8, 8), (8, 12), (12, 4), (12, 8)):
        left, top = x + column * CELL, y + row * CELL
        colour = VERMILION if (column, row) == (8, 4) else BLUE
        draw.rectangle((left, top, left + 3 * CELL - 1, top + 3 * CELL - 1), fill=colour)


def draw():
    """Return the card as a picture with a palette."""
    card = Image.new("RGB", SIZE, "white")
    pen = ImageDraw.Draw(card)
    draw_mark(pen, MARGIN, MARGIN)
    pen.multiline_text((290, 48), TITLE, INK, font(66, "bold"), spacing=4)
    pen.multiline_text((292, 208), LINE, GREY, font(25), spacing=6)
    chapter = notebooks.read(HERE.parent / "chapters/cross_domain.ipynb")
    gap = (SIZE[0] - 2 * MARGIN - 4 * SIDE) // 3
    for k, (part, caption) in enumerate(zip(chosen(FIGURE, list(CAPTIONS), [chapter]), CAPTIONS.values())):
        left = MARGIN + k * (SIDE + gap)
        card.paste(part.resize((SIDE, SIDE), Image.Resampling.NEAREST), (left, 306))
        pen.text((left, 570), caption, INK, font(23))
    return card.quantize(256, dither=Image.Dither.NONE)


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "social_card.png"
    draw().save(target, optimize=True)
