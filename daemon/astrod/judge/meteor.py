"""What the meteor model's answer means: which lights moved through a block, and whether one was a meteor."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from astrod.domain.sighting import Kind, Sighting, Track, TrackPoint
from astrod.judge.meteor_classical import TITLE, chance_of, gradual, plausibility, regions_of
from astrod.judge.meteor_edge import is_edge
from astrod.judge.meteor_track import Bright, Way, bright_pixels, same_light, way_through
from astrod_models.card import WeightsRefusedError
from astrod_models.meteor import CELL_PX, KINDS, MASK_PX, Answer, Block, Meteor, View, view_of

METEOR_FROM = 0.5
"""Score from which something is called a meteor, where the model's card names no other."""

_MASK_FROM = 0.4
_MOST_REGIONS = 16
_LONG_FRAMES = 200
"""Eight seconds at 25 frames a second: hardly a meteor lasts as long."""

_LONG_SHARE = 0.8
_SEAM_FRAMES = 12
_MANY_FRAMES = 100
_TRACK_COUNTS = 0.3
_STILL_DOUBT = 0.35


@dataclass(frozen=True, slots=True, eq=False)
class _Candidate:
    """A region of the view (its pixels), the chances of KINDS in it, and the track through it, if there is one."""

    region: NDArray[np.bool_]
    chances: tuple[float, ...]
    way: Way | None


def sight(block: Block, rows_in_turn: bool = False, weights: Path | None = None, enabled: bool = True) -> Sighting:
    """What a block or a still shows.

    By the meteor model of the folder `weights` (default: the one shipped), loaded once in a process; by the
    classical stand-in where models are not `enabled`, or this one is missing or refused: `model` says why.
    `rows_in_turn` adds row / rows to each point's frame number, as RMS does for sensors that are read row
    after row.
    """
    view = view_of(block)
    bright = bright_pixels(view)
    model = _model(weights) if enabled else "models are switched off"
    if isinstance(model, str):
        found = [_Candidate(region, (), way_through(bright, region)) for region in regions_of(view)]
        title, threshold = f"{TITLE} ({model})", METEOR_FROM
    else:
        found = _candidates(view, bright, model(view))
        title, threshold = model.title, model.thresholds.get("meteor", METEOR_FROM)
    tracks = [_track(view, one, rows_in_turn) for one in _merged(bright, found) if one.way is not None]
    if block.mean is None:
        tracks = [track for track in tracks if not is_edge(block.maximum, track)]
    tracks.sort(key=lambda track: (track.kind != "meteor", -track.score))
    return _sighting(tracks, title, threshold)


def _sighting(tracks: Sequence[Track], title: str, threshold: float) -> Sighting:
    meteors = [track for track in tracks if track.kind == "meteor"]
    score = max((track.score for track in meteors), default=0.0)
    shown = tuple(
        track for track in tracks if track.kind != "other" and (track.kind != "meteor" or track.score >= threshold)
    )
    if score >= threshold:
        why = meteors[0].why
    elif tracks:
        why = f"no meteor; likeliest: {tracks[0].why}"
    else:
        why = "nothing that moved along a line"
    return Sighting(score >= threshold, score, why, title, shown)


@cache
def _model(weights: Path | None) -> Meteor | str:
    """The model, or the reason why there is none."""
    try:
        return Meteor(weights)
    except WeightsRefusedError as refused:
        return str(refused)


def meteor_fault(weights: Path | None = None) -> str | None:
    """Why the meteor model cannot be used; None when it can."""
    model = _model(weights)
    return model if isinstance(model, str) else None


def _candidates(view: View, bright: Bright, answer: Answer) -> list[_Candidate]:
    """Where the mask says that a light moved: connected cells, the likeliest meteors first."""
    sure = answer.mask.max(axis=0)
    labels, count = ndimage.label(sure > _MASK_FROM, structure=np.ones((3, 3)))
    if count == 0:
        return []
    numbers = np.arange(1, count + 1)
    weight = ndimage.sum_labels(answer.mask[0], labels, numbers) + 0.3 * ndimage.sum_labels(sure, labels, numbers)
    found = []
    for number in (np.argsort(weight)[::-1] + 1)[:_MOST_REGIONS]:
        small = labels == number
        wide = ndimage.binary_dilation(small, iterations=1)
        region = wide.repeat(MASK_PX, axis=0).repeat(MASK_PX, axis=1)[: view.rows, : view.columns]
        found.append(_Candidate(region, _chances(answer, small), way_through(bright, region)))
    return found


def _chances(answer: Answer, small: NDArray[np.bool_]) -> tuple[float, ...]:
    """The chances of KINDS in a region: the mask's mean over it, held up by the class map's best cell there."""
    ratio = CELL_PX // MASK_PX
    rows, columns = (axis // ratio for axis in small.shape)
    cells = ndimage.binary_dilation(small.reshape(rows, ratio, columns, ratio).any(axis=(1, 3)), iterations=1)
    return tuple(
        math.sqrt(float(answer.cells[index][cells].max()) * float(np.quantile(answer.mask[index][small], 0.75)))
        for index in range(len(KINDS))
    )


def _merged(bright: Bright, found: Sequence[_Candidate]) -> list[_Candidate]:
    """Pieces of one light joined: fitted again through all of them."""
    kept: list[_Candidate] = []
    for one in sorted(found, key=lambda candidate: -(candidate.way.strength if candidate.way else 0.0)):
        for index, other in enumerate(kept):
            if one.way is not None and other.way is not None and same_light(other.way, one.way):
                region = one.region | other.region
                chances = tuple(max(pair) for pair in zip(one.chances, other.chances, strict=True))
                kept[index] = _Candidate(region, chances, way_through(bright, region) or other.way)
                break
        else:
            kept.append(one)
    return kept


def _track(view: View, candidate: _Candidate, rows_in_turn: bool) -> Track:
    """The track in the image's pixels, with its class and the reason for it."""
    way = candidate.way
    assert way is not None
    kind, score, why = _kind(view, way, candidate.chances)
    middle = 0.5 * (view.factor - 1)
    x, y = way.x * view.factor + middle, way.y * view.factor + middle
    frame = way.frame + (y / (view.rows * view.factor) if rows_in_turn and way.timed else 0.0)
    points = tuple(
        TrackPoint(round(float(f), 4), round(float(u), 2), round(float(v), 2), round(float(light), 2))
        for f, u, v, light in zip(frame, x, y, way.light, strict=True)
    )
    angle = math.degrees(math.atan2(way.velocity[1], way.velocity[0]))
    speed = way.speed_px * view.factor if way.timed else None
    return Track(kind, score, why, points, angle % (360.0 if way.timed else 180.0), speed)


def _kind(view: View, way: Way, chances: tuple[float, ...]) -> tuple[Kind, float, str]:
    """What the light was, the chance that it was a meteor, and why."""
    timed = view.frame is not None and view.count >= _MANY_FRAMES
    score = _score(way, chances[0], timed) if chances else chance_of(way, timed)
    said = _words(way)
    other: Kind
    if way.timed and (way.frame.size > _LONG_FRAMES or way.frame.size > _LONG_SHARE * view.count >= 20):
        other = "aircraft" if _blinks(way) else "satellite"
        return other, 0.1 * score, f"{other}: {said}, too long for a meteor"
    if not way.timed and gradual(way) < 0.5 and (not chances or max(chances) > _MASK_FROM):
        other = "aircraft" if not chances or chances[1] >= chances[2] else "satellite"
        return other, score, f"{other}: {said}, its light cut off short at its ends, not burning up and dying away"
    if not chances:
        kind: Kind = "meteor" if score >= METEOR_FROM else "other"
        return kind, score, f"{kind}: {said}"
    best = int(np.argmax(chances))
    if best > 0 and chances[best] > 0.3:
        kind = "aircraft" if KINDS[best] == "aircraft" else "satellite"
        return kind, min(score, 1.0 - chances[best]), f"{kind}: {said}, the network's word ({chances[best]:.2f})"
    return "meteor", score, f"meteor: {said}, the network's word ({score:.2f})"


def _score(way: Way, chance: float, many_frames: bool) -> float:
    """The network's chance and the track's own, together.

    Where frames are known the track is a witness of its own, and counts a third; in a still it is none, and the
    network must be surer.
    """
    told = _logit(chance * plausibility(way, many_frames))
    if way.timed:
        told = (1.0 - _TRACK_COUNTS) * told + _TRACK_COUNTS * _logit(chance_of(way, many_frames))
    else:
        told -= _STILL_DOUBT
    return 1.0 / (1.0 + math.exp(-told))


def _logit(chance: float) -> float:
    """The logarithm of the odds, bounded."""
    bounded = min(max(chance, 0.02), 0.98)
    return math.log(bounded / (1.0 - bounded))


def _words(way: Way) -> str:
    if way.timed:
        return f"{way.frame.size} frames, {way.length_px:.0f} px at {way.speed_px:.1f} px a frame"
    return f"a line of {way.length_px:.0f} px, its time unknown"


def _blinks(way: Way) -> bool:
    """Whether the light comes and goes: in many frames it is a small part of its usual brightness."""
    usual = float(np.median(way.light[way.light > 0.0])) if (way.light > 0.0).any() else 0.0
    return bool((way.light < 0.3 * usual).mean() > 0.3)


def later(sighting: Sighting, first: int) -> Sighting:
    """The sighting with its frames counted in a video whose frame `first` is the block's frame 0."""
    moved = tuple(
        replace(track, points=tuple(replace(point, frame=point.frame + first) for point in track.points))
        for track in sighting.tracks
    )
    return replace(sighting, tracks=moved)


def linked(blocks: Sequence[tuple[Track, ...]]) -> list[Track]:
    """The tracks of blocks that follow one another, frames counted through: what goes on across a seam is one track.

    Meteors first, the likeliest first.
    """
    done: list[Track] = []
    for tracks in blocks:
        fresh = []
        for track in tracks:
            before = next((one for one in done if _goes_on(one, track)), None)
            if before is None:
                fresh.append(track)
            else:
                done[done.index(before)] = _as_one(before, track)
        done += fresh
    return sorted(done, key=lambda track: (track.kind != "meteor", -track.score))


def _goes_on(before: Track, after: Track) -> bool:
    """Whether `after` begins where `before` ended, and goes the same way."""
    if before.speed_px is None or after.speed_px is None:
        return False
    end, begin = before.points[-1], after.points[0]
    elapsed = begin.frame - end.frame
    turn = math.radians(before.angle_deg)
    aside = math.hypot(
        begin.x - end.x - before.speed_px * elapsed * math.cos(turn),
        begin.y - end.y - before.speed_px * elapsed * math.sin(turn),
    )
    turned = abs((after.angle_deg - before.angle_deg + 180.0) % 360.0 - 180.0)
    alike = abs(after.speed_px - before.speed_px) < 0.3 * max(after.speed_px, before.speed_px) + 0.1
    return 0.0 < elapsed <= _SEAM_FRAMES and aside < 6.0 + 2.0 * before.speed_px and turned < 20.0 and alike


def _as_one(before: Track, after: Track) -> Track:
    """Two pieces of one light: a meteor only if both look like one and it does not last too long."""
    stronger = before if len(before.points) >= len(after.points) else after
    points = before.points + after.points
    long = points[-1].frame - points[0].frame > _LONG_FRAMES
    kind = stronger.kind if not (long and stronger.kind == "meteor") else "satellite"
    score = max(before.score, after.score) if kind == "meteor" else min(before.score, after.score)
    return replace(stronger, kind=kind, score=score, points=points, why=f"{stronger.why}; across two blocks")
