"""How transparent the sky was, from frames of one field: matched stars, and how much less light they gave.

One frame alone cannot tell thin cloud from a shorter exposure; beside another of the same field, camera and filter it
can.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

Floats = NDArray[np.float64]

_BRIGHTEST = 120
_VOTERS = 25
_NEAR_PX = 3.0
_LEAST_MATCHED = 6
_LEAST_SHARE = 0.3


@dataclass(frozen=True, slots=True, eq=False)
class Sighting:
    """A frame's clear stars, brightest first: pixels and flux in ADU, and its exposure."""

    x: Floats
    y: Floats
    flux: Floats
    exposure_s: float


@dataclass(frozen=True, slots=True)
class Transparency:
    """Light of the matched stars as a share of what the other frame had per second, and how many they are."""

    share: float
    stars: int


def transparency(seen: Sighting, other: Sighting) -> Transparency | None:
    """None where the fields do not match, or where the frames' exposures are not known. A shift is found, a turn is
    not.
    """
    if min(seen.flux.size, other.flux.size) < _LEAST_MATCHED or not min(seen.exposure_s, other.exposure_s) > 0.0:
        return None
    mine = np.stack([seen.x, seen.y], axis=1)[:_BRIGHTEST]
    theirs = np.stack([other.x, other.y], axis=1)[:_BRIGHTEST]
    shift = _shift(mine, theirs)
    distance, place = cKDTree(theirs).query(mine + shift)
    near = np.flatnonzero(distance <= _NEAR_PX)
    if near.size < max(_LEAST_MATCHED, _LEAST_SHARE * min(len(mine), len(theirs))):
        return None
    ratio = (seen.flux[near] / seen.exposure_s) / (other.flux[place[near]] / other.exposure_s)
    return Transparency(float(np.median(ratio)), int(near.size))


def _shift(mine: Floats, theirs: Floats) -> Floats:
    """The offset that brings most of the brightest stars onto others, by a vote of all pairs."""
    offsets = (theirs[None, :_VOTERS] - mine[:_VOTERS, None]).reshape(-1, 2)
    tree = cKDTree(offsets)
    votes = tree.query_ball_point(offsets, _NEAR_PX, return_length=True)
    best = offsets[int(np.argmax(votes))]
    return np.asarray(offsets[tree.query_ball_point(best, _NEAR_PX)].mean(axis=0))
