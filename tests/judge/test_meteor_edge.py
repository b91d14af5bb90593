"""An edge of brightness is no light, at whatever angle and depth; a light upon a slope is."""

import math

import numpy as np
import pytest

from astrod.domain.sighting import Track, TrackPoint
from astrod.judge.meteor_edge import is_edge

SIDE = 120


def drawn(angle_deg: float, step: float, light: float, scale: float) -> np.ndarray:
    """A picture with a step across its middle at an angle and a light along it, in units of its noise."""
    rows, columns = np.mgrid[0:SIDE, 0:SIDE]
    turn = math.radians(angle_deg)
    beside = -(columns - SIDE / 2) * math.sin(turn) + (rows - SIDE / 2) * math.cos(turn)
    picture = step / (1.0 + np.exp(-2.0 * beside)) + light * np.exp(-0.5 * (beside / 1.3) ** 2)
    return scale * (100.0 + picture + np.random.default_rng(3).normal(0.0, 1.0, picture.shape))


def along(angle_deg: float) -> Track:
    turn = math.radians(angle_deg)
    points = tuple(
        TrackPoint(0.0, SIDE / 2 + away * math.cos(turn), SIDE / 2 + away * math.sin(turn), 1.0)
        for away in (-30.0, 30.0)
    )
    return Track("meteor", 0.9, "", points, angle_deg, None)


@pytest.mark.parametrize("angle_deg", [0.0, 33.0, 90.0, 140.0])
@pytest.mark.parametrize("scale", [1.0, 250.0])
def test_a_step_is_an_edge_and_a_light_is_none(angle_deg: float, scale: float) -> None:
    track = along(angle_deg)
    assert is_edge(drawn(angle_deg, 20.0, 0.0, scale), track)
    assert not is_edge(drawn(angle_deg, 0.0, 6.0, scale), track)
    assert not is_edge(drawn(angle_deg, 4.0, 12.0, scale), track), "a light upon a slope"


def test_where_too_little_can_be_seen_nothing_is_called_an_edge() -> None:
    corner = tuple(TrackPoint(0.0, x, 0.0, 1.0) for x in (0.0, 60.0))
    assert not is_edge(np.full((SIDE, SIDE), np.nan), along(10.0))
    assert not is_edge(drawn(0.0, 20.0, 0.0, 1.0), Track("meteor", 0.9, "", corner, 0.0, None))
    assert not is_edge(np.zeros((1, 1)), along(10.0))
