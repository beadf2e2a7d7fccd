"""Draw a page of text: 256 x 256 pixels, 8-bit grey, letters from 9 to 30 pixels high, dark on light.

Usage: python draw_text.py [OUTPUT.png]        Licence: CC0 1.0.
"""
import sys
from pathlib import Path

import matplotlib
from PIL import Image, ImageDraw, ImageFont

FONT = f"{matplotlib.get_data_path()}/fonts/ttf/DejaVuSans.ttf"
LINES = [(30, "What is sharp"), (22, "looks sharp in a row."), (17, "A blur takes away the thin"),
         (14, "strokes first. Whoever reads on"), (12, "guesses what the letters were, and a"),
         (11, "network guesses, too: from the pictures"), (10, "that trained it. If no letter was among them,"),
         (9, "then an e may turn into an o, and a 3 into an 8,"), (9, "and nothing tells: 1318 or 1813, 0.5 or 0.6?"),
         (12, "Do not trust a number"), (17, "that was restored: 38 865")]

image = Image.new("L", (256, 256), 235)
draw, top = ImageDraw.Draw(image), 8
for size, line in LINES:
    draw.text((6, top), line, fill=25, font=ImageFont.truetype(FONT, size))
    top += round(1.45 * size)
image.save(sys.argv[1] if sys.argv[1:] else Path(__file__).with_name("text.png"), optimize=True)
