"""Tracks: where a light was, frame by frame, and what it was; with the classical stand-in, so without weights."""

import numpy as np
import pytest

from astrod.domain.sighting import Sighting
from astrod.judge.meteor import later, linked, sight
from astrod.judge.meteor_track import bright_pixels, same_light, way_through
from astrod_models.meteor import Block, view_of
from tests.sighting.blocks import METEOR, SATELLITE, Light, block_of, frames_of


def classical(block: Block) -> Sighting:
    return sight(block, enabled=False)


def worst_px(light: Light, sighting: Sighting) -> float:
    """The largest distance of the best track's points from where the light truly was."""
    return max(
        float(np.hypot(point.x - light.place(point.frame)[0], point.y - light.place(point.frame)[1]))
        for point in sighting.tracks[0].points
    )


@pytest.mark.parametrize(
    "light",
    [
        METEOR,
        Light(x=200.0, y=20.0, vx=-9.0, vy=5.0, first=100, frames=14, peak=120.0),
        Light(x=30.0, y=140.0, vx=1.2, vy=-0.9, first=200, frames=40, peak=50.0),
        Light(x=120.0, y=150.0, vx=0.1, vy=-6.0, first=0, frames=20, peak=70.0),
    ],
    ids=["usual", "fast", "slow", "upwards"],
)
def test_a_meteor_is_where_it_was_in_each_frame(light: Light) -> None:
    found = classical(block_of(frames_of(light)))
    assert found.meteor
    track = found.tracks[0]
    assert worst_px(light, found) < 2.5
    first, last = track.frames
    assert abs(first - light.first) <= 3 and abs(last - (light.first + light.frames - 1)) <= 3
    assert track.speed_px == pytest.approx(np.hypot(light.vx, light.vy), rel=0.06)
    turned = track.angle_deg - np.degrees(np.arctan2(light.vy, light.vx))
    assert abs((turned + 180.0) % 360.0 - 180.0) < 3.0
    curve = [point.light for point in track.points]
    assert max(curve[len(curve) // 4 : -len(curve) // 4]) > 1.3 * np.mean([curve[0], curve[-1]])


def test_a_satellite_that_goes_through_the_whole_block_is_no_meteor() -> None:
    found = classical(block_of(frames_of(SATELLITE)))
    assert not found.meteor
    assert all(track.kind != "meteor" for track in found.tracks)


def test_an_empty_sky_shows_nothing() -> None:
    found = classical(block_of(frames_of()))
    assert not found.meteor and found.tracks == ()


def test_rows_read_in_turn_move_the_frame_number_and_nothing_else() -> None:
    block = block_of(frames_of(METEOR))
    plain, turned = classical(block), sight(block, rows_in_turn=True, enabled=False)
    for one, two in zip(plain.tracks[0].points, turned.tracks[0].points, strict=True):
        assert (one.x, one.y) == (two.x, two.y)
        assert two.frame - one.frame == pytest.approx(one.y / 160.0, abs=1e-3)


def test_pieces_of_one_light_are_the_same_light_and_two_lights_are_not() -> None:
    other = Light(x=60.0, y=130.0, vx=4.0, vy=-2.5, first=150)
    view = view_of(block_of(frames_of(METEOR, other)))
    bright = bright_pixels(view)
    columns = np.broadcast_to(np.arange(view.columns), view.excess.shape)
    rows = np.broadcast_to(np.arange(view.rows)[:, None], view.excess.shape)
    upper = rows < 92
    begin = way_through(bright, upper & (columns > 50) & (columns < 85))
    end = way_through(bright, upper & (columns > 90) & (columns < 130))
    else_where = way_through(bright, ~upper & (columns > 50) & (columns < 130))
    assert begin is not None and end is not None and else_where is not None
    assert same_light(begin, end)
    assert not same_light(begin, else_where)


def test_a_light_that_goes_on_into_the_next_block_is_one_track() -> None:
    video = frames_of(Light(first=90, frames=20), count=200)
    one, two = classical(block_of(video[:100])), classical(block_of(video[100:]))
    assert one.meteor and two.meteor
    tracks = linked([one.tracks, later(two, 100).tracks])
    assert len(tracks) == 1
    frames = [point.frame for point in tracks[0].points]
    assert frames == sorted(frames)
    assert frames[0] < 95 and frames[-1] > 104


def test_a_still_shows_the_line_but_no_time() -> None:
    still = Block(frames_of(Light(peak=150.0)).max(axis=0))
    found = classical(still)
    assert found.tracks
    track = found.tracks[0]
    assert track.speed_px is None
    assert {point.frame for point in track.points} == {0.0}
    begin, end = METEOR.place(METEOR.first), METEOR.place(METEOR.first + METEOR.frames - 1)
    low, high = sorted((track.points[0], track.points[-1]), key=lambda point: point.x)
    assert np.hypot(low.x - begin[0], low.y - begin[1]) < 9.0
    assert np.hypot(high.x - end[0], high.y - end[1]) < 9.0


@pytest.mark.parametrize(("even", "kinds"), [(True, {"aircraft", "satellite"}), (False, {"meteor"})])
def test_in_a_still_a_light_cut_off_short_is_no_meteor(even: bool, kinds: set[str]) -> None:
    rng = np.random.default_rng(4)
    sky = rng.normal(50.0, 3.0, (200, 300))
    rows, columns = np.mgrid[:200, :300]
    for step in np.linspace(0.0, 1.0, 240):
        light = 25.0 if even else 40.0 * np.sin(np.pi * step) ** 1.5
        spot = (columns - 90.0 - 120.0 * step) ** 2 + (rows - 60.0 - 70.0 * step) ** 2
        sky = sky + light * np.exp(-0.5 * spot / 1.2**2) / 3.0
    found = classical(Block(np.clip(sky, 0, 255).astype(np.uint8)))
    assert found.tracks and {track.kind for track in found.tracks} <= kinds
    assert found.meteor is not even
