"""What is in a frame, by classical means."""

from astrod.measure.frame import Features, measure

__all__ = ["Features", "measure"]
