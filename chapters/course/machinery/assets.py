"""Which files of imgs/ are pictures. Without torch, because tools/ asks too."""
from pathlib import Path

ORIGINALS = {"photo.png": "GoPro.jpg", "ct_slice.png": "Mayo.png"}  # stand-in: the original picture that replaces it
# What people lay there as a picture; load_grey says which of them it cannot read.
SUFFIXES = {".png", ".jpg", ".jpeg", ".jfif", ".tif", ".tiff", ".webp", ".gif", ".bmp", ".ppm", ".pgm", ".avif",
            ".heic", ".jp2", ".dcm"}


def pictures(folder: Path) -> list[Path]:
    """The pictures of a folder, by their suffix in any case; nothing hidden, and nothing that only looks like one."""
    return sorted(p for p in folder.iterdir()
                  if p.suffix.lower() in SUFFIXES and not p.name.startswith(".") and p.is_file())


def originals(name: str, folder: Path) -> list[Path]:
    """The originals in a folder that replace the stand-in of this name: their name counts, not case and kind."""
    wanted = Path(ORIGINALS.get(name, "")).stem.lower()
    return [p for p in pictures(folder) if p.stem.lower() == wanted]
