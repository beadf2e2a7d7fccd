"""The engine of the studies: what is missing in a grid is computed by Dask and kept in CSV. See studies/README.md."""
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path += [str(ROOT / "chapters"), str(ROOT / "tools")]  # the studies import `course`, the engine a few tools

from .rows import grid  # noqa: E402

__all__ = ["ROOT", "grid"]
