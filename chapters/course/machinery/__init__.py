"""What a chapter needs and a student need not read: files, figures, numbers, verdicts, how a patient is drawn."""
from .assets import ORIGINALS
from .checks import check

__all__ = ["ORIGINALS", "check"]
