"""The stand-in for the meteor model: bright pixels that hang together and keep to a line.

What a classical detector does: threshold the excess, join what touches, fit a line through column, row and frame, and
ask for enough light on it, at a meteor's speed. Not as good as the model, and said so in every answer.
"""

import math

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from astrod.judge.meteor_track import Way
from astrod_models.meteor import View

TITLE = "classical stand-in"

THRESHOLD = 6.0
"""Excess from which a pixel begins a region."""

_FEWEST_PX = 5
_MOST_REGIONS = 24
_SATURATED_SHARE = 0.05


def regions_of(view: View) -> list[NDArray[np.bool_]]:
    """Where something bright may be a light that moved: the brightest connected groups of pixels, widened a little.

    None where so much of the picture is bright that no line can be told from the rest.
    """
    bright = view.excess > THRESHOLD
    if bright.mean() > _SATURATED_SHARE:
        return []
    joined = ndimage.binary_dilation(bright, iterations=2)
    labels, count = ndimage.label(joined, structure=np.ones((3, 3)))
    if count == 0:
        return []
    numbers = np.arange(1, count + 1)
    many = ndimage.sum_labels(bright, labels, numbers)
    strength = ndimage.sum_labels(np.minimum(view.excess, 60.0) * bright, labels, numbers)
    order = [number for number in numbers[np.argsort(strength)[::-1]] if many[number - 1] >= _FEWEST_PX]
    places = ndimage.find_objects(labels)
    return [_widened(labels, number, places[number - 1]) for number in order[:_MOST_REGIONS]]


def _widened(labels: NDArray[np.int32], number: int, place: tuple[slice, slice]) -> NDArray[np.bool_]:
    """The pixels of one group and those at most two from it."""
    around = tuple(slice(max(0, axis.start - 2), axis.stop + 2) for axis in place)
    region = np.zeros(labels.shape, dtype=bool)
    region[around] = ndimage.binary_dilation(labels[around] == number, iterations=2)
    return region


def chance_of(way: Way, timed: bool) -> float:
    """A score from 0 to 1 that the light on a track is a meteor, by logistic cuts on its shape and its clock.

    `timed`: the frames of maximum are known; a line all in one of many frames is then hardly a meteor.
    """
    drawn_out = way.length_px / max(way.width, 0.5)
    score = _rising(math.log(max(way.strength, 1.0)), math.log(250.0), 0.5) * _rising(way.share, 0.6, 0.08)
    score *= _rising(drawn_out, 6.0, 1.5)
    if way.timed:
        score *= _rising(way.speed_px, 0.8, 0.15) * _rising(-float(way.frame.size), -150.0, 12.0)
        score *= _rising(float(way.frame.size), 3.5, 0.5)
    else:
        score *= (0.3 if timed else 0.6) * _rising(drawn_out, 12.0, 2.0) * gradual(way)
    return score


def plausibility(way: Way, many_frames: bool) -> float:
    """How far a track is one that a meteor can have, 0 to 1: drawn out, keeping to its line, moving.

    Wide limits: what the network says counts more. `many_frames`: the block has a hundred and more of them, so
    that a light all in one of them is no long exposure's.
    """
    likely = _rising(way.length_px / max(way.width, 0.7), 4.0, 0.8) * _rising(way.share, 0.3, 0.06)
    likely *= _rising(way.length_px, 5.0, 0.8)
    if not way.timed:
        likely *= _rising(way.extent_px / max(way.width, 0.7), 8.0, 1.0) * gradual(way)
    if way.timed:
        return likely * _rising(way.speed_px, 0.5, 0.08) * _rising(float(way.frame.size), 2.0, 0.4)
    return likely * (0.5 if many_frames else 1.0)


def gradual(way: Way) -> float:
    """How far the light comes and goes as a meteor's does, 0 to 1; a steady light that the shutter cut off does not."""
    return _rising(way.gradual, 0.14, 0.02)


def _rising(value: float, middle: float, width: float) -> float:
    """From 0 to 1 around `middle`."""
    return 1.0 / (1.0 + math.exp(-max(-60.0, min(60.0, (value - middle) / width))))
