"""A figure with one or two sliders: frames drawn beforehand on the page, widgets wherever a kernel runs."""
import base64
import html
import io
import itertools
import json
import math

import ipywidgets
import matplotlib.pyplot as plt
import numpy as np
from IPython.display import display
from matplotlib.figure import Figure
from PIL import Image

from .figures import hulls, marked, png
from .progress import progress

FRAMES, SIDE = 64, 16383  # the most frames of one figure; the most pixels that WebP allows along one side


def picture_of(drawn) -> tuple[Image.Image | None, str]:
    """What `draw` returned, as a picture and a sentence; TypeError if it is neither figure, image nor text."""
    picture, said = drawn if isinstance(drawn, tuple) else (None, drawn) if isinstance(drawn, str) else (drawn, "")
    if isinstance(picture, Figure):
        figure, picture = picture, Image.open(io.BytesIO(png(picture, bbox_inches=None))).convert("RGB")
        plt.close(figure)
    elif hasattr(picture, "__array__"):
        grey = np.asarray(picture, dtype=float).squeeze().clip(0, 1)
        picture = Image.fromarray((255 * grey).round().astype(np.uint8)).convert("RGB")
    if not isinstance(said, str) or not isinstance(picture, Image.Image) and drawn is not said:
        raise TypeError(f"draw: returned {type(drawn).__name__}, "
                        "wanted a figure, an image, text, or (one of them, text)")
    return picture, said


def words(value) -> str:
    """A value as the readout shows it: 8, 0.05, reflect."""
    return value if isinstance(value, str) else f"{value:g}"


def strip_of(pictures: list[Image.Image], columns: int) -> Image.Image:
    """Pictures of one size in rows of `columns`; ValueError if the sizes differ or the whole is too big."""
    sizes = {picture.size for picture in pictures}
    (w, h), rows = pictures[0].size, len(pictures) // columns
    if len(sizes) > 1 or max(w * columns, h * rows) > SIDE:
        raise ValueError(f"draw: got frames of {sorted(sizes)} pixels in {rows} rows and {columns} columns, "
                         f"wanted one size and at most {SIDE} pixels along a side")
    strip = Image.new("RGB", (w * columns, h * rows))
    for i, picture in enumerate(pictures):
        strip.paste(picture, (i % columns * w, i // columns * h))
    return strip


def page(frames: list, at: int, first: list[int], parameters: dict, caption: str, alt: str) -> str:
    """The figure as HTML: a native control for each parameter, the frames in one lossless picture, the readouts.

    It needs no script and no style sheet to show one frame. The controls are hidden until a script answers to them.
    """
    escape = html.escape
    rows, columns = [*(len(values) for values in parameters.values()), 1][:2]
    controls = ""
    for (name, values), k in zip(parameters.items(), first):
        texts = [escape(words(value)) for value in values]
        if isinstance(values[0], str):
            options = "".join(f'<option value="{i}"{" selected" * (i == k)}>{t}</option>' for i, t in enumerate(texts))
            control, output = f'<select autocomplete="off">{options}</select>', ""
        else:
            control = (f'<input type="range" dir="ltr" min="0" max="{len(values) - 1}" value="{k}" autocomplete="off" '
                       f"aria-valuetext=\"{texts[k]}\" data-values='{json.dumps(texts, ensure_ascii=False)}'>")
            output = f"<output>{texts[k]}</output>"
        controls += f"<div><label><span>{escape(name.replace('_', ' '))}</span>{control}</label>{output}</div>\n"
    picture = pictures = ""
    if frames[0][0]:
        w, h = frames[0][0].size
        strip_of([p for p, _ in frames], columns).save(stream := io.BytesIO(), "WEBP", lossless=True, quality=100)
        data = base64.b64encode(stream.getvalue()).decode()
        (row, column), tall = divmod(at, columns), 100 * h / w
        margin = f"{-tall * row:g}% 0 {-tall * (rows - 1 - row):g}% {-100 * column}%"  # all but one frame is outside
        # inline-block: a browser that prints takes the frame for one piece, not for the height of all frames
        picture = (f'<div class="explore-frame" dir="ltr" style="display: inline-block; vertical-align: top; '
                   f'overflow: hidden; width: 100%; max-width: {w}px">'
                   f'<img src="data:image/webp;base64,{data}" alt="{escape(alt)}" loading="lazy" decoding="async" '
                   f'width="{w * columns}" height="{h * rows}" '
                   f'style="display: block; max-width: none; width: {100 * columns}%; margin: {margin}"></div>\n')
        boxes = [box for p, _ in frames for box in marked(p)]
        pictures = f' data-pictures="{hulls(boxes)}"'
    said = [text for _, text in frames]
    sentence = f'<p class="explore-said" aria-live="polite">{escape(said[at])}</p>\n' if any(said) else ""
    readouts = escape(json.dumps(said, ensure_ascii=False))
    return (f'<figure class="explore" data-shape="{rows} {columns}" data-said="{readouts}"{pictures}>\n'
            f'<div class="explore-controls" hidden="hidden">\n{controls}</div>\n{picture}{sentence}'
            f"<figcaption>{escape(caption)}</figcaption>\n</figure>")


def control(name: str, values: list, first: int):
    """The widget for one parameter: it takes every value in its range, not only those drawn for the page."""
    about = {"description": name.replace("_", " "), "value": values[first], "continuous_update": False,
             "style": {"description_width": "initial"}}
    if isinstance(values[0], str):
        return ipywidgets.Dropdown(options=values, value=values[first], description=about["description"])
    if all(isinstance(value, int) for value in values):
        return ipywidgets.IntSlider(min=min(values), max=max(values), step=math.gcd(*np.diff(values).tolist()), **about)
    return ipywidgets.FloatSlider(min=min(values), max=max(values), step=(max(values) - min(values)) / 200,
                                  readout_format=".3g", **about)


def widget(draw, first: list[int], parameters: dict, frame: tuple, caption: str, alt: str) -> ipywidgets.VBox:
    """Sliders over a picture, a sentence and a caption, which call `draw` whenever one moves."""
    controls = {name: control(name, values, at) for (name, values), at in zip(parameters.items(), first)}
    view, sentence = ipywidgets.HTML(), ipywidgets.HTML()
    words = ipywidgets.HTML(f"<em>{html.escape(caption)}</em>")

    def show(picture, said):
        if picture:
            picture.save(stream := io.BytesIO(), "PNG")
            data = base64.b64encode(stream.getvalue()).decode()
            view.value = (f'<img src="data:image/png;base64,{data}" alt="{html.escape(alt)}" '
                          f'width="{picture.width}" style="max-width: 100%; height: auto">')
        sentence.value = html.escape(said)

    def moved(_):
        try:
            show(*picture_of(draw(**{name: c.value for name, c in controls.items()})))
        except (ValueError, TypeError) as e:
            sentence.value = html.escape(f"{type(e).__name__}: {e}")

    for c in controls.values():
        c.observe(moved, "value")
    show(*frame)
    return ipywidgets.VBox([*controls.values(), *([view] if frame[0] else []), sentence, words])


def explore(draw, *, caption: str, alt: str, start: dict | None = None, **parameters) -> None:
    """Show what `draw` gives for each value of one or two parameters, under a control for each.

    Parameters
    ----------
    draw : function              takes the parameters by name; returns a matplotlib figure, an image (H, W) with grey
                                 levels in [0, 1], a text, or a tuple of figure or image and text: the readout
    caption, alt : str           the figure's caption, and a sentence that says what is to be seen
    start : dict, optional       {parameter: value} shown first; the middle value where it is not given
    parameters : sequences       the values drawn for the page: increasing numbers (a range input) or words (a choice);
                                 the widget, where a kernel runs, calls `draw` for any number between them

    Raises
    ------
    ValueError                   for no or three parameters, fewer than 2 or more than 64 frames, numbers that do not
                                 increase, a start that is not among the values, frames of several sizes
    TypeError                    if `draw` returns anything else
    """
    parameters = {name: [v.item() if hasattr(v, "item") else v for v in values] for name, values in parameters.items()}
    if not 1 <= len(parameters) <= 2:
        raise ValueError(f"explore: got {len(parameters)} parameters, wanted one or two")
    count = math.prod(map(len, parameters.values()))
    if min(map(len, parameters.values())) < 2 or count > FRAMES:
        raise ValueError(f"explore: got {count} frames, wanted two values or more of each and at most {FRAMES} frames")
    for name, values in parameters.items():
        if not isinstance(values[0], str) and not np.all(np.diff(values) > 0):
            raise ValueError(f"{name}: got {values}, wanted increasing numbers")
    wanted = {name: values[len(values) // 2] for name, values in parameters.items()} | (start or {})
    for name, value in wanted.items():
        if value not in parameters.get(name, []):
            raise ValueError(f"start: got {name} = {value!r}, wanted one of {parameters.get(name, list(parameters))}")
    cases = list(itertools.product(*parameters.values()))
    frames = [picture_of(draw(**dict(zip(parameters, case)))) for case in progress(cases, "frames")]
    at, first = cases.index(tuple(wanted.values())), [values.index(wanted[name]) for name, values in parameters.items()]
    box = widget(draw, first, parameters, frames[at], caption, alt)
    names = "; ".join(f"{name} = {', '.join(map(words, values))}" for name, values in parameters.items())
    view = {"model_id": box.model_id, "version_major": 2, "version_minor": 0}
    display({"text/plain": f"explore {names}", "text/html": page(frames, at, first, parameters, caption, alt),
             "application/vnd.jupyter.widget-view+json": view}, raw=True)
