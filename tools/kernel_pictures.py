"""Write the pictures of <kernel-editor>, small enough to be loaded when the figure comes into view.

    python tools/kernel_pictures.py

Each file is a script that keeps the levels 0 to 255, row by row, as base64: a page opened from disk may run a script,
but not read the pixels of an image file.
"""
import base64
import sys
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
STATIC = ROOT / "chapters/_static"
NAMES = ("photo", "ct_slice")  # licences in imgs/LEDGER.md; also where an original lies beside its stand-in
SIDE = 112                     # pixels; drawn twice as large


def levels(name: str, root: Path = ROOT) -> bytes:
    """Grey levels of imgs/NAME.png, resized to SIDE × SIDE pixels like `course.load_grey` does."""
    with Image.open(root / f"imgs/{name}.png") as picture:
        return picture.convert("L").resize((SIDE, SIDE)).tobytes()


def main() -> None:
    for name in NAMES:
        text = base64.b64encode(levels(name)).decode()
        script = f'/* imgs/{name}.png, {SIDE}×{SIDE} grey levels; tools/kernel_pictures.py */\n' \
                 f'KernelEditor.levels.{name} = "{text}";\n'
        (STATIC / f"kernel-{name}.js").write_text(script, encoding="utf-8")
        print(f"kernel-{name}.js: {len(script.encode()):,} bytes", file=sys.stderr)


if __name__ == "__main__":
    main()
