"""The book's pictures, read in grey."""
import warnings
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError

IMGS = Path(__file__).resolve().parents[2] / "imgs"
ORIGINALS = {"photo.png": "GoPro.jpg", "ct_slice.png": "Mayo.png"}  # stand-in: the original picture that replaces it
EIGHT_BIT = {"L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr", "1"}  # Pillow modes with a known white
MAX_PIXELS = 50_000_000


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
