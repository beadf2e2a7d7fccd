"""One look for all figures."""
import base64
import struct
import zlib

import matplotlib.pyplot as plt
import torch
from IPython.core.interactiveshell import InteractiveShell
from IPython.core.pylabtools import print_figure
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.transforms import Bbox
from matplotlib_inline.backend_inline import set_matplotlib_formats


def set_style() -> None:
    """One look for all figures: at most 8 inches wide, PNG without a version stamp, grey pictures unsmoothed."""
    set_matplotlib_formats("png")
    InteractiveShell.instance().display_formatter.formatters["image/png"].for_type(
        Figure, lambda figure: (data := png(figure)) and base64.b64encode(data).decode())
    plt.rcParams.update({
        "figure.figsize": (7, 3), "figure.dpi": 120, "font.size": 10, "axes.titlesize": 10,
        "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "grid.alpha": 0.3,
        "lines.linewidth": 2, "legend.frameon": False, "image.cmap": "gray", "image.interpolation": "nearest",
        "axes.prop_cycle": plt.cycler(color=["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00"]),
    })


def hulls(boxes: list[tuple]) -> str:
    """Boxes (left, top, right, bottom) as text, "0.1 0 0.5 0.9, …"; those that overlap become one around both."""
    def overlap(a, b):
        return max(a[0], b[0]) < min(a[2], b[2]) and max(a[1], b[1]) < min(a[3], b[3])

    apart = []
    for box in boxes:
        while over := [other for other in apart if overlap(other, box)]:
            apart = [other for other in apart if other not in over]
            left, top, right, bottom = zip(box, *over)
            box = min(left), min(top), max(right), max(bottom)
        apart.append(box)
    return ", ".join(" ".join(f"{round(side, 4):g}" for side in box) for box in sorted(apart))


def marked(picture) -> list[tuple]:
    """The boxes that `png` left in a picture; all of it where it is no such figure."""
    boxes = picture.info.get("pictures", "0 0 1 1")
    return [tuple(map(float, box.split())) for box in boxes.split(", ") if box]


def picture_boxes(figure: Figure, area: Bbox, size: tuple[int, int]) -> list[tuple]:
    """Where the intensities of a printed figure lie: (left, top, right, bottom) as fractions of the saved picture.

    Parameters
    ----------
    area : Bbox                  the part of the figure that was saved, in pixels of the figure
    size : (int, int)            width and height of the saved picture
    """
    boxes, (width, height) = [], size
    for artist in figure.findobj(lambda artist: isinstance(artist, (AxesImage, QuadMesh))):
        box = Bbox.intersection(artist.get_window_extent(), artist.axes.bbox)
        if box and artist.get_visible() and artist.axes.get_visible():
            left, right = (min(max(0, round(x - area.x0)), width) / width for x in (box.x0, box.x1))
            top, bottom = (min(max(0, height - round(y - area.y0)), height) / height for y in (box.y1, box.y0))
            boxes.append((left, top, right, bottom))
    return boxes


def png(figure: Figure, **options) -> bytes | None:
    """The PNG that IPython's `print_figure` makes, with a text "pictures": where its intensities lie, see `hulls`.

    Pages show such a figure in other colours by night, and leave intensities as they are.
    """
    data = print_figure(figure, metadata={"Software": None}, **options)
    if data is None:  # no axes, nothing to show
        return None
    area = figure.bbox
    if options.get("bbox_inches", "tight") == "tight":
        tight = figure.get_tightbbox().padded(plt.rcParams["savefig.pad_inches"])
        area = Bbox(tight.get_points() * figure.dpi)
    size = struct.unpack(">II", data[16:24])
    text = b"tEXtpictures\0" + hulls(picture_boxes(figure, area, size)).encode()
    return data[:33] + struct.pack(">I", len(text) - 4) + text + struct.pack(">I", zlib.crc32(text)) + data[33:]


def panels(count: int, *, width: float = 2.4, height: float = 2.4):
    """A row of `count` axes, at most 8 inches wide in all; width and height of one panel in inches.

    Returns
    -------
    figure, array of Axes (count,)
    """
    if count < 1:
        raise ValueError(f"count: got {count}, wanted at least one panel")
    figure, axes = plt.subplots(1, count, figsize=(min(8, width * count), height), layout="constrained", squeeze=False)
    return figure, axes[0]


def draw_image(axes, x: torch.Tensor, title: str, *, window: tuple[float, float] = (0, 1), **imshow):
    """Draw one grey picture (H, W), or (1, 1, H, W), without ticks, in a stated grey window; returns the artist."""
    artist = axes.imshow(x.detach().squeeze().numpy(), vmin=window[0], vmax=window[1], **imshow)
    axes.set(title=title, xticks=[], yticks=[])
    axes.grid(False)
    axes.spines[:].set_visible(False)
    return artist


def show(images: dict[str, torch.Tensor], *, window: tuple[float, float] = (0, 1)) -> None:
    """Show pictures side by side in one shared grey window; keys are the titles."""
    _, axes = panels(len(images))
    for ax, (title, x) in zip(axes, images.items(), strict=True):
        draw_image(ax, x, title, window=window)
    plt.show()


def band(axes, steps, curves: torch.Tensor, label: str, **line):
    """Draw the mean of several runs as a line and their range as a band of the same colour; returns the line.

    Parameters
    ----------
    steps : sequence (S,)        values of the horizontal axis
    curves : Tensor (n, S)       one row per run

    Raises
    ------
    ValueError                   if curves are not rows over steps
    """
    if curves.ndim != 2 or curves.shape[1] != len(steps):
        raise ValueError(f"curves: got shape {tuple(curves.shape)}, wanted (runs, {len(steps)})")
    artist, = axes.plot(steps, curves.mean(0), label=label, **line)
    axes.fill_between(steps, curves.min(0).values, curves.max(0).values, color=artist.get_color(), alpha=0.2, lw=0)
    return artist


def diagram(boxes: dict[str, tuple], arrows: dict[str, str], *, size: tuple[float, float]) -> None:
    """Draw a network: boxes, and arrows with what they carry written on them.

    Parameters
    ----------
    boxes : {name: (text, column, row)}  row 0 is at the top; columns and rows may be fractions
    arrows : {"a b": text}               from box a to box b
    size : (float, float)                inches; up to 4 in width the text can be read on a phone

    Raises
    ------
    ValueError                   if an arrow has other ends than two boxes
    """
    figure, ax = plt.subplots(figsize=size, layout="constrained")
    at = {name: place for name, (_, *place) in boxes.items()}
    drawn = {name: ax.text(*at[name], text, ha="center", va="center", bbox={"boxstyle": "round", "fc": "#d6e6f2"})
             for name, (text, *_) in boxes.items()}
    for named, text in arrows.items():
        if len(pair := named.split()) != 2 or not set(pair) <= set(boxes):
            raise ValueError(f"arrows: got {named!r}, wanted two names out of {', '.join(boxes)}")
        a, b = pair
        ends = {"patchA": drawn[a].get_bbox_patch(), "patchB": drawn[b].get_bbox_patch(), "shrinkA": 0, "shrinkB": 0}
        ax.annotate("", at[b], at[a], arrowprops={"arrowstyle": "-|>", "fc": "black", **ends})
        ax.text(*((p + q) / 2 for p, q in zip(at[a], at[b])), text, ha="center", va="center", fontsize=9,
                bbox={"fc": "white", "ec": "none", "pad": 1})
    columns, rows = zip(*at.values())
    ax.set(xlim=(min(columns) - 0.5, max(columns) + 0.5), ylim=(max(rows) + 0.5, min(rows) - 0.5))
    ax.axis("off")
    plt.show()
