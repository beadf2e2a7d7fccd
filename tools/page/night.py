"""Figures in the colours of the dark theme, their intensities as they are.

`png` of the helper's `figures` has left in each stored figure where its intensities lie. Around them light and dark
change places. The picture of the other theme is not shown, and as it comes only when near, it costs the reader no byte.
"""
import io
import re
from pathlib import Path

import numpy as np
from PIL import Image

from page.cache import cached

GROUND = 18  # level of the dark theme's ground
IMAGE = re.compile(r'<img [^>]*?src="[^"]*_images/([\w-]+\.webp)"[^>]*>')
EXPLORABLE = re.compile(
    r'<figure class="explore" data-shape="(\d+) (\d+)"[^>]*? data-pictures="([^"]*)">.*?</figure>', re.S)


def by_night(picture: Image.Image, boxes: str, rows: int = 1, columns: int = 1) -> Image.Image:
    """A picture of `rows` × `columns` figures by night: lightness is turned round, hues stay, and so do all boxes.

    Parameters
    ----------
    boxes : str                  left, top, right and bottom as fractions of a figure, "0.1 0 0.5 0.9, …"
    """
    levels = np.asarray(picture.convert("RGB"), dtype=np.int16)
    night = 255 - levels.max(2, keepdims=True) - levels.min(2, keepdims=True) + levels
    night = np.rint(GROUND + night * ((255 - GROUND) / 255)).astype(np.uint8)
    w, h = picture.width // columns, picture.height // rows
    for box in filter(None, boxes.split(", ")):
        left, top, right, bottom = (round(float(side) * size) for side, size in zip(box.split(), (w, h, w, h)))
        for y, x in np.ndindex(rows, columns):
            inside = np.s_[y * h + top:y * h + bottom, x * w + left:x * w + right]
            night[inside] = levels[inside]
    return Image.fromarray(night)


def pairs(app, body: str) -> str:
    """The body, with a picture for the dark theme behind each figure that can have one."""
    folder, sources = Path(app.outdir, "_images"), {name: uri for uri, name in app.builder.images.items()}

    def pair(image, name, *about):
        file = folder / name.replace(".webp", "-night.webp")

        def make(data):
            by_night(Image.open(io.BytesIO(data)), *about).save(stream := io.BytesIO(), "WEBP", lossless=True)
            return stream.getvalue()

        source = folder / name if name.startswith("frames-") else Path(app.srcdir, sources[name])
        folder.mkdir(exist_ok=True)
        file.write_bytes(cached(source.read_bytes(), f"night {GROUND} {about}", make))
        lazy = image if "loading=" in image else image.replace("<img ", '<img loading="lazy" ', 1)
        return image.replace("<img ", '<img data-by="day" ', 1) + lazy.replace(
            "<img ", '<img data-by="night" ', 1).replace(name, file.name)

    def figure(match):
        if match[1] in sources:
            with Image.open(Path(app.srcdir, sources[match[1]])) as picture:
                if "pictures" in picture.info:
                    return pair(match[0], match[1], picture.info["pictures"])
        return match[0]

    def explorable(match):
        rows, columns, boxes = match.groups()
        return IMAGE.sub(lambda image: pair(image[0], image[1], boxes, int(rows), int(columns)), match[0], count=1)

    return EXPLORABLE.sub(explorable, IMAGE.sub(figure, body))
