"""The engine of the studies: what is missing in a grid is computed by Dask and kept in CSV. See studies/README.md."""
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "chapters"))  # the studies import `course`

from .rows import grid  # noqa: E402

__all__ = ["ROOT", "grid"]
