"""What a study stored: course.studies.rows, course.studies.weights."""
from .machinery.studies import rows, weights

__all__ = ["rows", "weights"]
