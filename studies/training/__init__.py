"""One training on as many devices as there are; see the page "One training on many devices"."""
from ..engine import ROOT

__all__ = ["ROOT"]
