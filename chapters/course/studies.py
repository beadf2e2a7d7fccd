"""The stored rows of a study: course.studies.rows."""
from .machinery.studies import rows

__all__ = ["rows"]
