"""The book's pictures, read in grey."""
import warnings
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError

from .assets import originals

IMGS = Path(__file__).resolve().parents[3] / "imgs"
EIGHT_BIT = {"L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr", "1"}  # Pillow modes with a known white
FORMATS = ["PNG", "JPEG", "TIFF", "WEBP", "GIF", "BMP", "PPM"]  # those whose depth bits_per_channel knows
MAX_PIXELS = 50_000_000


def course_asset_path(name: str) -> Path:
    """Path of a file in `imgs/`, whatever the working directory; an original picture laid there wins over its stand-in.

    Parameters
    ----------
    name : str                   file name, as in `imgs/LEDGER.md`

    Raises
    ------
    FileNotFoundError            saying where it looked and what is there
    ValueError                   if two originals are there for one name, as GoPro.jpg and GoPro.JPG
    """
    found = originals(name, IMGS) if IMGS.is_dir() else []
    if len(found) > 1:
        raise ValueError(f"picture {name!r}: got {' and '.join(p.name for p in found)}, wanted one original")
    for path in (*found, IMGS / name):
        if path.is_file():
            return path
    there = ", ".join(sorted(p.name for p in IMGS.glob("*"))) if IMGS.is_dir() else "no such folder"
    raise FileNotFoundError(f"picture {name!r}: not found in {IMGS} (there: {there})")


def bits_per_channel(picture: Image.Image, path: Path) -> int:
    """The depth in the file of an opened picture; Pillow turns some of the deeper ones into 8 bits without a word."""
    if picture.format == "PNG":
        with path.open("rb") as file:
            return file.read(25)[24]  # the ninth byte of the header chunk
    if picture.format == "TIFF":
        return max(picture.tag_v2.get(258, (1,)))  # BitsPerSample
    if picture.format == "PPM" and not isinstance(arguments := picture.tile[0].args, str):
        return arguments[1].bit_length()  # of the largest level
    return 8


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
    ValueError                   naming the file, if it cannot be decoded, has transparent pixels, several pages or
                                 frames, more than 8 bits per channel (no grey level is known to be white) or more
                                 than 50 million pixels
    """
    if not isinstance(size, int) or size < 1:
        raise ValueError(f"size: got {size!r}, wanted a positive number of pixels")
    path = course_asset_path(name)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=FORMATS) as picture:
                bits, frames = bits_per_channel(picture, path), getattr(picture, "n_frames", 1)
                if picture.width * picture.height > MAX_PIXELS:
                    raise Image.DecompressionBombError(f"{picture.width}×{picture.height} pixels")
                picture.load()
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as e:
        raise ValueError(f"{path.name}: too large ({e}), wanted at most {MAX_PIXELS:,} pixels") from None
    except UnidentifiedImageError:
        raise ValueError(f"{path.name}: {path.stat().st_size} bytes that are no picture Pillow can read here, "
                         "wanted PNG or JPEG with 8 bits per channel") from None
    except (OSError, SyntaxError, ValueError, IndexError) as e:
        raise ValueError(f"{path.name}: damaged picture ({e}), wanted a whole PNG or JPEG") from None
    if bits > 8:
        raise ValueError(f"{path.name}: {bits} bits per channel, wanted 8")
    if picture.mode not in EIGHT_BIT:
        raise ValueError(f"{path.name}: pixels of mode {picture.mode!r}, wanted 8 bits per channel")
    if frames > 1 and picture.format != "MPO":  # a camera's JPEG with a preview behind the picture
        raise ValueError(f"{path.name}: {frames} pages or frames, wanted a single picture")
    if picture.has_transparency_data and picture.convert("RGBA").getextrema()[3][0] < 255:
        raise ValueError(f"{path.name}: has transparent pixels, wanted an opaque picture")
    picture = ImageOps.exif_transpose(picture)
    if picture.mode != "L":
        picture = picture.convert("RGB").convert("L")
    levels = np.asarray(picture.resize((size, size)), dtype=np.float32)
    return torch.from_numpy(levels / 255)[None, None]
