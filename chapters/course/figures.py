"""One look for all figures."""
import matplotlib.pyplot as plt
import torch
from matplotlib_inline.backend_inline import set_matplotlib_formats


def set_style() -> None:
    """One look for all figures: at most 8 inches wide, PNG without a version stamp, grey pictures unsmoothed."""
    set_matplotlib_formats("png", bbox_inches="tight", metadata={"Software": None})
    plt.rcParams.update({
        "figure.figsize": (7, 3), "figure.dpi": 120, "font.size": 10, "axes.titlesize": 10,
        "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "grid.alpha": 0.3,
        "lines.linewidth": 2, "legend.frameon": False, "image.cmap": "gray", "image.interpolation": "nearest",
        "axes.prop_cycle": plt.cycler(color=["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00"]),
    })


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
