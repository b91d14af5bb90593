"""What a worker does with a watch's picture: clouds, meteors, and the meteor of our own that must be found."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from astrod.domain.sighting import Track
from astrod.domain.watching import OVERHEAD_DEG, Detection, SkyCover, SkySeen
from astrod.errors import InputInvalid
from astrod.frames.picture import write_annotated
from astrod.frames.stack import Stack, read_stack
from astrod.judge.meteor import sight
from astrod.measure.fisheye import Pointing
from astrod.measure.horizon import grey
from astrod.overcast import Calibration, cloud_map, read_calibration, survey_plane
from astrod.versions import in_force
from astrod.watch.order import Order
from astrod_models.meteor import Block

KEPT = ("meteor",)
"""What of all that crosses the sky goes into the archive."""
TRIED_SNR, TRIED_STILL_SNR = 8.0, 26.0
"""How far our own meteor stands above the noise: so that it is found six times of six in stacks of a real station, and
nine times of ten in stills of the simulated camera, which tell less.
"""
TRIED_SHARE = 0.1
"""How long it is, of the picture's shorter side."""
TRIED_FRAMES = 12
FOUND_WITHIN = 0.05
"""It is found when a track's middle is no farther from its own than this share of the shorter side."""


def look_at(order: Order) -> SkySeen:
    """Look at a glance. Raises InputInvalid, naming the file, for what is no picture."""
    stack = read_stack(order.glance.path)
    if stack is None:
        raise InputInvalid(f"{order.glance.path}: neither a picture nor an FF stack")
    calibration = read_calibration(Path(order.setup.calibration)) if order.setup.calibration else None
    cover = _cover(order, stack, calibration) if order.setup.clouds else None
    if not order.setup.meteors:
        return SkySeen(order.glance.at_us, cover)
    found = _detections(order, stack, None if calibration is None else calibration.pointing)
    return SkySeen(order.glance.at_us, cover, found, _finds_own(order, stack) if order.inject else None)


def _folder(order: Order, name: str) -> Path:
    """Where the version of a model lies that judges now."""
    return in_force(order.models, name).folder


# -- clouds --------------------------------------------------------------------------------------------------


def _cover(order: Order, stack: Stack, calibration: Calibration | None) -> SkyCover:
    plane = stack.maximum if stack.mean is None else stack.mean
    grey_plane = grey(np.asarray(plane, dtype=np.float32))
    seen = survey_plane(grey_plane, _folder(order, "cloud"), enabled=order.models.enabled)
    clouds = cloud_map(seen, calibration, order.glance.at_us)
    share = seen.verdict.fraction if clouds is None else clouds.covered_share(OVERHEAD_DEG)
    return SkyCover(order.glance.at_us, None if share is None else 100.0 * share, clouds, "; ".join(seen.verdict.why))


# -- what crosses the sky ------------------------------------------------------------------------------------


def _block(stack: Stack) -> Block:
    return Block(stack.maximum, stack.frame, stack.mean, stack.spread, stack.count)


def _detections(order: Order, stack: Stack, pointing: Pointing | None) -> tuple[Detection, ...]:
    seen = sight(_block(stack), stack.rows_in_turn, _folder(order, "meteor"), order.models.enabled)
    tracks = [track for track in seen.tracks if track.kind in KEPT]
    if not tracks:
        return ()
    picture = _write_picture(order, stack, tracks)
    return tuple(_detection(order, stack, track, pointing, seen.model, picture) for track in tracks)


def _detection(
    order: Order, stack: Stack, track: Track, pointing: Pointing | None, model: str, picture: str | None
) -> Detection:
    per_frame_s = order.glance.exposure_s / max(1, stack.count)
    points = tuple((round(p.frame * per_frame_s, 3), round(p.x, 2), round(p.y, 2)) for p in track.points)
    if len({second for second, _, _ in points}) == 1 and len(points) > 1:  # a still: some time while it was exposed
        points = ((0.0, *points[0][1:]), (order.glance.exposure_s, *points[-1][1:]))
    begins = ends = None
    if pointing is not None:
        x, y = np.array([points[0][1], points[-1][1]]), np.array([points[0][2], points[-1][2]])
        azimuth, altitude = pointing.horizontal(x, y)
        begins, ends = (float(azimuth[0]), float(altitude[0])), (float(azimuth[1]), float(altitude[1]))
    return Detection(
        order.setup.name, order.glance.at_us, track.kind, track.score, points, begins, ends, model, picture
    )


def _write_picture(order: Order, stack: Stack, tracks: list[Track]) -> str | None:
    """An annotated picture in the album, named for the watch and the instant; None where it cannot be written."""
    name = f"{order.setup.name}-{order.glance.at_us}.jpg"
    lines = [([(point.x, point.y) for point in track.points], f"{track.kind} {track.score:.2f}") for track in tracks]
    try:
        order.album.mkdir(parents=True, exist_ok=True)
        write_annotated(order.album / name, stack.maximum, lines)
    except (OSError, InputInvalid):
        return None  # the detection itself is kept; a full disk has an alarm of its own
    return f"{order.album.name}/{name}"


# -- a meteor of our own -------------------------------------------------------------------------------------


def _finds_own(order: Order, stack: Stack) -> bool:
    """Whether a meteor that is laid into the picture is found where it was laid."""
    laid, middle = with_meteor(stack, order.glance.at_us)
    within = FOUND_WITHIN * min(stack.maximum.shape)
    seen = sight(_block(laid), laid.rows_in_turn, _folder(order, "meteor"), order.models.enabled)
    return any(
        math.hypot((t.box[0] + t.box[2]) / 2.0 - middle[0], (t.box[1] + t.box[3]) / 2.0 - middle[1]) <= within
        for t in seen.tracks
        if t.kind in KEPT
    )


def with_meteor(stack: Stack, seed: int) -> tuple[Stack, tuple[float, float]]:
    """The stack with a meteor across its middle, in a direction drawn by the seed, and the meteor's middle (x, y)."""
    random = np.random.default_rng(abs(seed))
    rows, columns = stack.maximum.shape
    side = min(rows, columns)
    turn, away = random.uniform(0.0, 2.0 * math.pi), random.uniform(0.05, 0.2) * side
    x, y = columns / 2.0 + away * math.cos(turn), rows / 2.0 + away * math.sin(turn)
    heading, length = random.uniform(0.0, math.pi), max(12.0, TRIED_SHARE * side)
    light, along = _line(rows, columns, (x, y), heading, length)
    plane = stack.maximum.astype(np.float64)
    base = plane if stack.mean is None else stack.mean.astype(np.float64)
    noise = _noise(base if stack.spread is None else stack.spread.astype(np.float64), stack.spread is not None)
    top = np.iinfo(stack.maximum.dtype).max if stack.maximum.dtype.kind in "ui" else np.inf
    height = (TRIED_STILL_SNR if stack.mean is None else TRIED_SNR) * noise
    lit = np.minimum(np.where(light > 0.05, np.maximum(plane, base + height * light), plane), top)
    maximum = lit.astype(stack.maximum.dtype)
    if stack.frame is None:
        return replace(stack, maximum=maximum), (x, y)
    began = stack.count // 3
    frame = np.where(lit > plane, began + np.rint(along * TRIED_FRAMES), stack.frame).astype(stack.frame.dtype)
    return replace(stack, maximum=maximum, frame=frame), (x, y)


def _line(
    rows: int, columns: int, middle: tuple[float, float], heading: float, length: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """A blurred line that brightens and then fades fast, and how far along it each pixel lies, 0 to 1."""
    down, right = np.mgrid[0:rows, 0:columns]
    dx, dy = right - middle[0], down - middle[1]
    along = (dx * math.cos(heading) + dy * math.sin(heading)) / length + 0.5
    beside = -dx * math.sin(heading) + dy * math.cos(heading)
    curve = np.where(
        (along > 0.0) & (along < 1.0), np.clip(along, 0.0, 1.0) ** 0.5 * (1.0 - np.clip(along, 0, 1) ** 6), 0.0
    )
    return curve * np.exp(-0.5 * (beside / 1.2) ** 2), np.clip(along, 0.0, 1.0)


def _noise(plane: NDArray[np.float64], is_spread: bool) -> float:
    """What the picture's noise is: the median spread, or the median difference of neighbours (Gaussian: x 1.05)."""
    if is_spread:
        return max(float(np.median(plane)), 1e-6)
    return max(1.0483 * float(np.median(np.abs(np.diff(plane, axis=1)))), 1e-6)
