"""What two or more chapters need and no chapter teaches: pictures, blur, metrics, training, figures, glued numbers."""
import math
import warnings
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F
from IPython.display import display
from matplotlib_inline.backend_inline import set_matplotlib_formats
from PIL import Image, ImageOps, UnidentifiedImageError

IMGS = Path(__file__).resolve().parent.parent / "imgs"
ORIGINALS = {"photo.png": "GoPro.jpg", "ct_slice.png": "Mayo.png"}  # stand-in: the original picture that replaces it
EIGHT_BIT = {"L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr", "1"}  # Pillow modes with a known white
MAX_PIXELS = 50_000_000

BINOMIAL = torch.tensor([[1.0, 2.0, 1.0], [2.0, 4.0, 2.0], [1.0, 2.0, 1.0]]) / 16


def course_asset_path(name: str) -> Path:
    """Path of a file in `imgs/`, whatever the working directory; an original picture laid there wins over its stand-in.

    Parameters
    ----------
    name : str                   file name, as in `imgs/LEDGER.md`

    Raises
    ------
    FileNotFoundError            saying where it looked and what is there
    """
    for candidate in (ORIGINALS.get(name), name):
        if candidate and (IMGS / candidate).is_file():
            return IMGS / candidate
    there = ", ".join(sorted(p.name for p in IMGS.glob("*"))) if IMGS.is_dir() else "no such folder"
    raise FileNotFoundError(f"picture {name!r}: not found in {IMGS} (there: {there})")


def load_grey(name: str, size: int) -> torch.Tensor:
    """A picture of `imgs/` in grey, upright, resized to a square by Pillow's default resampling, 8-bit levels / 255.

    Parameters
    ----------
    name : str                   file name in `imgs/`; see `course_asset_path`
    size : int                   side of the result in pixels

    Returns
    -------
    Tensor (1, 1, size, size)    float32 in [0, 1]

    Raises
    ------
    FileNotFoundError            if there is no such picture
    ValueError                   naming the file, if it cannot be decoded, has transparent pixels, more than 8 bits
                                 per channel (no grey level is known to be white) or more than 50 million pixels
    """
    if not isinstance(size, int) or size < 1:
        raise ValueError(f"size: got {size!r}, wanted a positive number of pixels")
    path = course_asset_path(name)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as picture:
                if picture.width * picture.height > MAX_PIXELS:
                    raise Image.DecompressionBombError(f"{picture.width}×{picture.height} pixels")
                picture.load()
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as e:
        raise ValueError(f"{path.name}: too large ({e}), wanted at most {MAX_PIXELS:,} pixels") from None
    except UnidentifiedImageError:
        raise ValueError(f"{path.name}: {path.stat().st_size} bytes that are no picture Pillow can read, "
                         "wanted PNG or JPEG") from None
    except (OSError, SyntaxError, ValueError) as e:
        raise ValueError(f"{path.name}: damaged picture ({e}), wanted a whole PNG or JPEG") from None
    if picture.mode not in EIGHT_BIT:
        raise ValueError(f"{path.name}: pixels of mode {picture.mode!r}, wanted 8 bits per channel")
    if picture.has_transparency_data and picture.convert("RGBA").getextrema()[3][0] < 255:
        raise ValueError(f"{path.name}: has transparent pixels, wanted an opaque picture")
    picture = ImageOps.exif_transpose(picture)
    if picture.mode != "L":
        picture = picture.convert("RGB").convert("L")
    levels = np.asarray(picture.resize((size, size)), dtype=np.float32)
    return torch.from_numpy(levels / 255)[None, None]


def blur(x: torch.Tensor, kernel: torch.Tensor = BINOMIAL) -> torch.Tensor:
    """Every channel of x filtered with one small kernel, zeros outside the picture: same shape, darker rim.

    y[i, j] = Σ_uv kernel[u, v] x[i + u − k, j + v − k], with kernel of side 2k + 1

    Parameters
    ----------
    x : Tensor (B, C, H, W)
    kernel : Tensor (K, K)       K odd; default the binomial kernel (1 2 1; 2 4 2; 1 2 1)/16

    Raises
    ------
    ValueError                   if the kernel is not square with an odd side, or x has not four axes

    Notes: a correlation, as in `torch.nn.functional.conv2d`; equal to a convolution for symmetric kernels.
    """
    if kernel.ndim != 2 or kernel.shape[0] != kernel.shape[1] or kernel.shape[0] % 2 == 0:
        raise ValueError(f"kernel: got shape {tuple(kernel.shape)}, wanted (K, K) with K odd")
    if x.ndim != 4:
        raise ValueError(f"x: got shape {tuple(x.shape)}, wanted (B, C, H, W)")
    channels = x.shape[1]
    weight = kernel.to(x).expand(channels, 1, *kernel.shape)  # (C, 1, K, K): one copy per channel
    return F.conv2d(x, weight, padding=kernel.shape[0] // 2, groups=channels)


def add_noise(x: torch.Tensor, sigma: float) -> torch.Tensor:
    """x plus Gaussian noise of standard deviation sigma from torch's global generator, clamped to [0, 1].

    Raises
    ------
    ValueError                   if sigma is negative
    """
    if sigma < 0:
        raise ValueError(f"sigma: got {sigma}, wanted a standard deviation of 0 or more")
    return (x + sigma * torch.randn_like(x)).clamp(0, 1)


def rmse(a: torch.Tensor, b: torch.Tensor) -> float:
    """Root of the mean squared difference of two tensors of the same shape, in grey levels of [0, 1].

    Raises
    ------
    ValueError                   if the shapes differ (a silent broadcast would hide it)
    """
    if a.shape != b.shape:
        raise ValueError(f"rmse: got shapes {tuple(a.shape)} and {tuple(b.shape)}, wanted the same")
    return (a - b).square().mean().sqrt().item()


def psnr(a: torch.Tensor, b: torch.Tensor) -> float:
    """Peak signal-to-noise ratio −20 log10(rmse) in dB for a white of 1; infinite for equal tensors.

    Raises
    ------
    ValueError                   if the shapes differ
    """
    error = rmse(a, b)
    return -20 * math.log10(error) if error else math.inf


def parameter_count(model: torch.nn.Module) -> int:
    """Number of trainable weights and biases."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def fit(model: torch.nn.Module, y: torch.Tensor, x: torch.Tensor, *, steps: int, lr: float,
        loss=F.mse_loss) -> torch.Tensor:
    """Train the model in place with Adam on all pairs at once (full batch), so that model(y) approaches x.

    Parameters
    ----------
    y, x : Tensor (B, C, H, W)   measurements (network input) and targets
    steps : int                  number of updates
    lr : float                   Adam's learning rate
    loss : callable              loss(model(y), x) -> scalar; default the mean squared error

    Returns
    -------
    Tensor (steps,)              the loss before each update

    Raises
    ------
    ValueError                   if y and x differ in length, steps < 1, or the loss stops being finite

    Notes: weights and pictures are laid out channels-last, and Adam runs fused: the same arithmetic, faster on a CPU.
    Source: Adam, kingma2015adam.
    """
    if len(y) != len(x):
        raise ValueError(f"fit: got {len(y)} measurements and {len(x)} targets, wanted pairs")
    if steps < 1:
        raise ValueError(f"steps: got {steps}, wanted at least one update")
    layout = torch.channels_last if y.ndim == 4 else torch.preserve_format
    model.to(memory_format=layout)
    y, x = y.contiguous(memory_format=layout), x.contiguous(memory_format=layout)
    optimiser = torch.optim.Adam(model.parameters(), lr=lr, fused=True)
    losses = torch.empty(steps)
    for step in range(steps):
        optimiser.zero_grad()
        value = loss(model(y), x)
        value.backward()
        optimiser.step()
        losses[step] = value.detach()
    if not losses.isfinite().all():
        first = int((~losses.isfinite()).nonzero()[0])
        raise ValueError(f"fit: the loss is {losses[first]:g} at update {first + 1}, wanted finite; try lr < {lr:g}")
    return losses


def spread(values) -> str:
    """'n = 10, mean 0.02841 ± 0.00153, range 0.02568 to 0.03015': four significant digits, sd with n − 1."""
    v = torch.as_tensor(values, dtype=torch.float64)
    if v.ndim != 1 or len(v) < 2:
        raise ValueError(f"spread: got shape {tuple(v.shape)}, wanted two or more numbers in a row")
    return f"n = {len(v)}, mean {v.mean():#.4g} ± {v.std():#.4g}, range {v.min():#.4g} to {v.max():#.4g}"


def glue(name: str, value) -> None:
    """Store a number or word in the notebook under a name, for the prose: {glue:text}`name:.3f`.

    Parameters
    ----------
    value : int, float, str or a tensor of one element

    Raises
    ------
    ValueError                   if a number is not finite

    Notes: the record that MyST-NB's own `glue` stores, without importing Sphinx into the kernel.
    """
    value = value.item() if hasattr(value, "item") else value
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"glue {name!r}: got {value}, wanted a finite number")
    prefix = "application/papermill.record/"
    display({prefix + "text/plain": repr(value)}, raw=True,
            metadata={"scrapbook": {"name": name, "mime_prefix": prefix}})


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
