"""Reads annotation files into a roidb, and image files into arrays."""

from .images import ImageError, image_size, read_image
from .readers import READERS
from .roidb import Record, Roidb, load_roidb, load_sources, save_roidb, select, split
from .statistics import statistics, statistics_table

__all__ = ["READERS", "ImageError", "Record", "Roidb", "image_size", "load_roidb", "load_sources", "read_image",
           "save_roidb", "select", "split", "statistics", "statistics_table"]
