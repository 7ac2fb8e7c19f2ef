"""A synthetic data set from two portraits, for tests and first steps without a download; crowds of small data sets."""

from .crowds import write_crowds
from .data_set import portrait_collage, toy_scene, write_toy
from .portraits import Portrait, portraits

__all__ = ["Portrait", "portrait_collage", "portraits", "toy_scene", "write_crowds", "write_toy"]
