"""A track through a view: a straight line that a light goes at a steady speed, and where it was in each frame.

A pixel of a block tells when it was brightest, so the light's way is a line in column, row and frame. It is
found by consensus among pairs of bright pixels, refined by least squares (a parabola where it lasts), followed
both ways for as long as pixels keep to it, and measured frame by frame. A still has no frames: there it is a line
in the picture.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from astrod_models.meteor import FEWEST_TIMED, View

Floats = NDArray[np.float64]

FAINTEST = 2.5
"""Excess over the surroundings, in units of their scatter, from which a pixel has a say."""

UNTOLD = 1.0
"""`gradual` where it cannot be told."""

_PAIRS = 400
_MOST_PIXELS = 500
_ASIDE_PX = 2.5
_WIDEST_PX = 9.0
_CURVED_FRAMES = 10
_GAP_FRAMES = 3
_GAP_PX = 8
_CEILING = 60.0
_EDGE_PX = 5.0
_PROFILE_PX = 16.0


@dataclass(frozen=True, slots=True, eq=False)
class Way:
    """A fitted track, in the view's pixels.

    At `frame` (n,) the light is at `x`, `y`, and is `light` bright (the view's own units). `velocity` is pixels
    per frame (of a still: a unit vector along the line, whose sense means nothing). `share` is how much of the
    region's brightness keeps to the line, `width` the scatter across it, `strength` the summed excess of its
    pixels, `timed` whether frames are known. `extent_px` is how far the light is drawn out: the length of an even
    line whose light scatters as much along it, small where a star outshines all else. `gradual`, of a still, is the
    share of its length in which the light comes and goes: a shutter cuts a steady light off short, a meteor burns
    up and dies away.
    """

    frame: Floats
    x: Floats
    y: Floats
    light: Floats
    velocity: tuple[float, float]
    share: float
    width: float
    strength: float
    timed: bool
    extent_px: float
    gradual: float = UNTOLD

    @property
    def length_px(self) -> float:
        """From the first to the last place."""
        return float(np.hypot(self.x[-1] - self.x[0], self.y[-1] - self.y[0]))

    @property
    def speed_px(self) -> float:
        """Pixels per frame."""
        return float(np.hypot(*self.velocity))


@dataclass(frozen=True, slots=True, eq=False)
class Bright:
    """The pixels of a view that have a say: place, frame, weight (the excess, bounded) and flux.

    `size` is the view's width and height.
    """

    x: Floats
    y: Floats
    t: Floats
    weight: Floats
    flux: Floats
    timed: bool
    size: tuple[int, int]

    def part(self, chosen: NDArray[np.bool_]) -> "Bright":
        """Those of them that are chosen."""
        return Bright(
            self.x[chosen],
            self.y[chosen],
            self.t[chosen],
            self.weight[chosen],
            self.flux[chosen],
            self.timed,
            self.size,
        )


def bright_pixels(view: View) -> Bright:
    """All pixels of the view above FAINTEST."""
    rows, columns = np.nonzero(view.excess > FAINTEST)
    timed = view.frame is not None and view.count >= FEWEST_TIMED
    frame = view.frame[rows, columns].astype(np.float64) if timed and view.frame is not None else np.zeros(rows.size)
    weight = np.minimum(view.excess[rows, columns].astype(np.float64), _CEILING)
    flux = view.flux[rows, columns].astype(np.float64)
    size = (view.columns, view.rows)
    return Bright(columns.astype(np.float64), rows.astype(np.float64), frame, weight, flux, timed, size)


def way_through(bright: Bright, region: NDArray[np.bool_]) -> Way | None:
    """The track of the light in `region` (view's shape); None where there is no line to be found.

    It may reach beyond the region at both ends.
    """
    own = bright.part(region[bright.y.astype(np.intp), bright.x.astype(np.intp)])
    if own.x.size < 4:
        return None
    if own.timed and np.ptp(own.t[own.weight > 0.3 * own.weight.max()]) >= 2:
        return _timed_way(bright, own)
    return _still_way(bright, own)


@dataclass(frozen=True, slots=True, eq=False)
class _Motion:
    """Where a light is: polynomials in frames since `t0`, lowest power first; `aside_px` is its half width."""

    x: Floats
    y: Floats
    t0: float
    aside_px: float

    def place(self, t: Floats) -> tuple[Floats, Floats]:
        """Columns and rows at these frames."""
        away = np.asarray(t) - self.t0
        return _polynomial(self.x, away), _polynomial(self.y, away)

    def off(self, pixels: Bright) -> tuple[Floats, Floats, Floats]:
        """How far pixels are from the light at their frame, along its way and aside; and its speed then."""
        away = pixels.t - self.t0
        vx, vy = _slope(self.x, away), _slope(self.y, away)
        speed = np.maximum(np.hypot(vx, vy), 1e-9)
        x, y = self.place(pixels.t)
        dx, dy = pixels.x - x, pixels.y - y
        return (dx * vx + dy * vy) / speed, (dx * vy - dy * vx) / speed, speed

    def near(self, pixels: Bright, slack: float = 1.0) -> NDArray[np.bool_]:
        """Which pixels keep to it: little aside, and along it as far as the light goes in one frame."""
        along, aside, speed = self.off(pixels)
        return np.asarray((np.abs(aside) < slack * self.aside_px) & (np.abs(along) < slack * (0.75 * speed + 2.5)))


def _polynomial(coefficients: Floats, away: Floats) -> Floats:
    total = np.zeros_like(away)
    for coefficient in coefficients[::-1]:
        total = total * away + coefficient
    return total


def _slope(coefficients: Floats, away: Floats) -> Floats:
    return _polynomial(coefficients[1:] * np.arange(1, coefficients.size), away)


def _timed_way(bright: Bright, own: Bright) -> Way | None:
    motion = _consensus(own)
    if motion is None:
        return None
    for slack in (2.0, 1.5, 1.0, 1.0):
        near = motion.near(own, slack)
        if near.sum() < 4 or np.ptp(own.t[near]) < 1:
            return None
        motion = _least_squares(own.part(near), motion)
    sure = own.part(motion.near(own))
    if not sure.x.size:
        return None
    share = float(sure.weight.sum() / own.weight.sum())
    for _round in range(2):
        along = bright.part(motion.near(bright))
        if not along.x.size:
            return None
        first, last = _reach(along.t, along.weight, sure.t)
        inside = along.part((along.t >= first) & (along.t <= last))
        if inside.x.size < 4:
            return None
        motion = _least_squares(inside, motion)
    return _measured(bright, motion, first, last, share)


def _consensus(own: Bright) -> _Motion | None:
    """A steady motion, by the pair of pixels with the most weight near the line through it."""
    rng = np.random.default_rng(own.x.size)
    strong = np.argsort(own.weight)[::-1][:_MOST_PIXELS]
    chance = own.weight[strong] / own.weight[strong].sum()
    one, two = (rng.choice(strong, _PAIRS, p=chance) for _ in range(2))
    apart = own.t[two] - own.t[one]
    one, two, apart = one[apart != 0], two[apart != 0], apart[apart != 0]
    if not one.size:
        return None
    vx, vy = (own.x[two] - own.x[one]) / apart, (own.y[two] - own.y[one]) / apart
    motions = [
        _Motion(np.array([own.x[a], u]), np.array([own.y[a], v]), float(own.t[a]), _ASIDE_PX)
        for a, u, v in zip(one, vx, vy, strict=True)
    ]
    some = own.part(np.isin(np.arange(own.x.size), strong))
    scores = np.array([some.weight[motion.near(some)].sum() for motion in motions])
    return motions[int((scores / (1.0 + 0.02 * np.hypot(vx, vy))).argmax())]


def _least_squares(pixels: Bright, before: _Motion) -> _Motion:
    """The weighted fit of column and row against frame: straight and steady, or from ten frames on a parabola.

    What was there before where there is no range of frames.
    """
    total = pixels.weight.sum()
    t0 = float((pixels.weight * pixels.t).sum() / total)
    away = pixels.t - t0
    span = float(np.ptp(pixels.t))
    if (pixels.weight * away * away).sum() / total < 0.05:
        return before
    degree = 2 if span >= _CURVED_FRAMES and np.unique(pixels.t).size >= _CURVED_FRAMES // 2 else 1
    scaled = np.vander(away / max(span, 1.0), degree + 1, increasing=True)
    weighted = scaled * pixels.weight[:, None]
    normal = scaled.T @ weighted + 1e-9 * total * np.eye(degree + 1)
    powers = max(span, 1.0) ** np.arange(degree + 1)
    x, y = (np.linalg.solve(normal, weighted.T @ values) / powers for values in (pixels.x, pixels.y))
    fitted = _Motion(x, y, t0, before.aside_px)
    _along, aside, _speed = fitted.off(pixels)
    rough = float(np.sqrt((pixels.weight**2 * aside**2).sum() / (pixels.weight**2).sum()))
    return _Motion(x, y, t0, float(np.clip(2.2 * rough, _ASIDE_PX, _WIDEST_PX)))


def _reach(t: Floats, weight: Floats, sure: Floats) -> tuple[int, int]:
    """The first and last frame, followed from the sure ones outwards over short gaps.

    From the middle of the sure frames (weighted by nothing but their number), so that one stray pixel far off
    does not count.
    """
    last_frame = int(t.max())
    per_frame = np.bincount(t.astype(np.intp), weights=weight, minlength=last_frame + 1)
    present = np.flatnonzero(per_frame > 3.0)
    start = int(np.median(sure))
    first = last = start
    for frame in present[present > start]:
        if frame - last > _GAP_FRAMES:
            break
        last = int(frame)
    for frame in present[present < start][::-1]:
        if first - frame > _GAP_FRAMES:
            break
        first = int(frame)
    return first, last


def _measured(bright: Bright, motion: _Motion, first: int, last: int, share: float) -> Way | None:
    """Centroids frame by frame where there is light, places on the fitted way where there is none."""
    along = bright.part(motion.near(bright) & (bright.t >= first) & (bright.t <= last))
    if not along.x.size:
        return None
    frames = np.arange(first, last + 1, dtype=np.float64)
    slot = (along.t - first).astype(np.intp)
    total = np.bincount(slot, weights=along.weight, minlength=frames.size)
    with np.errstate(invalid="ignore", divide="ignore"):
        x = np.bincount(slot, weights=along.weight * along.x, minlength=frames.size) / total
        y = np.bincount(slot, weights=along.weight * along.y, minlength=frames.size) / total
    fitted_x, fitted_y = motion.place(frames)
    bare = total < 6.0
    x, y = np.where(bare, fitted_x, x), np.where(bare, fitted_y, y)
    light = _summed(slot, along.flux, frames.size)
    _along, aside, _speed = motion.off(along)
    width = float(np.sqrt((along.weight * aside * aside).sum() / along.weight.sum()))
    ends_x, ends_y = motion.place(frames[[0, -1]])
    passed = max(frames[-1] - frames[0], 1.0)
    velocity = (float(ends_x[1] - ends_x[0]) / passed, float(ends_y[1] - ends_y[0]) / passed)
    extent = _extent(along.x, along.y, along.weight)
    return Way(frames, x, y, light, velocity, share, width, float(along.weight.sum()), True, extent)


def _extent(x: Floats, y: Floats, weight: Floats) -> float:
    """The length of an even line whose light would scatter as much."""
    away = (x - np.average(x, weights=weight)) ** 2 + (y - np.average(y, weights=weight)) ** 2
    return float(np.sqrt(12.0 * np.average(away, weights=weight)))


def _summed(slot: NDArray[np.intp], flux: Floats, size: int) -> Floats:
    """The light of each slot; negative pixels count nothing."""
    return np.asarray(np.bincount(slot, weights=np.maximum(flux, 0.0), minlength=size), dtype=np.float64)


def _still_way(bright: Bright, own: Bright) -> Way | None:
    """A straight line in the picture, by weighted principal axis, pixels far from it left out by and by."""
    near = np.ones(own.x.size, dtype=bool)
    x0 = y0 = cos = sin = half = 0.0
    for aside_px in (12.0, 6.0, 4.0, 0.0, 0.0):
        if near.sum() < 4:
            return None
        weight = own.weight[near]
        x0, y0 = np.average(own.x[near], weights=weight), np.average(own.y[near], weights=weight)
        dx, dy = own.x[near] - x0, own.y[near] - y0
        angle = 0.5 * np.arctan2(2.0 * (weight * dx * dy).sum(), (weight * (dx * dx - dy * dy)).sum())
        cos, sin = float(np.cos(angle)), float(np.sin(angle))
        rough = np.sqrt(np.average((dx * sin - dy * cos) ** 2, weights=weight**2))
        half = aside_px or float(np.clip(2.2 * rough, _ASIDE_PX, _WIDEST_PX))
        near = np.abs((own.x - x0) * sin - (own.y - y0) * cos) < half
    share = float(own.weight[near].sum() / own.weight.sum())
    aside = (bright.x - x0) * sin - (bright.y - y0) * cos
    along = (bright.x - x0) * cos + (bright.y - y0) * sin
    line = np.abs(aside) < half
    sure = (own.x[near] - x0) * cos + (own.y[near] - y0) * sin
    low, high = _ends(along[line], bright.weight[line], sure)
    if high - low < 3.0:
        return None
    on = line & (along >= low) & (along <= high)
    steps = np.linspace(low, high, int(np.clip((high - low) / 8.0, 2, 32)))
    slot = np.clip(np.rint((along[on] - low) / (high - low) * (steps.size - 1)).astype(np.intp), 0, steps.size - 1)
    light = _summed(slot, bright.flux[on], steps.size)
    width = float(np.sqrt(np.average(aside[on] ** 2, weights=bright.weight[on])))
    frame = np.full(steps.size, float(np.median(own.t[near])))
    strength = float(bright.weight[on].sum())
    extent = _extent(bright.x[on], bright.y[on], bright.weight[on])
    gradual = _gradual(along[line], bright.flux[line], (low, high), _at_edge(bright, (x0, y0), (cos, sin), (low, high)))
    x, y = x0 + steps * cos, y0 + steps * sin
    return Way(frame, x, y, light, (cos, sin), share, width, strength, False, extent, gradual)


def _at_edge(
    bright: Bright, middle: tuple[float, float], unit: tuple[float, float], ends: tuple[float, float]
) -> tuple[bool, bool]:
    """Whether the line's ends lie at the picture's edge, where it would go on unseen."""
    wide, tall = bright.size
    places = [(middle[0] + end * unit[0], middle[1] + end * unit[1]) for end in ends]
    first, last = (min(x, y, wide - 1.0 - x, tall - 1.0 - y) < _EDGE_PX for x, y in places)
    return first, last


def _gradual(along: Floats, flux: Floats, ends: tuple[float, float], at_edge: tuple[bool, bool]) -> float:
    """The share of a line's length in which its light rises to, and falls from, most of its brightness."""
    low, high = ends
    if high - low < _PROFILE_PX or all(at_edge):
        return UNTOLD
    size = int(high - low) + 9
    slot = (along - low + 4.0).astype(np.intp)
    inside = (slot >= 0) & (slot < size)
    smooth = max(3, round(0.06 * size))
    profile = np.convolve(_summed(slot[inside], flux[inside], size), np.full(smooth, 1.0 / smooth), "same")
    profile /= max(float(np.percentile(profile, 85.0)), 1e-9)
    lit, full = np.flatnonzero(profile > 0.15), np.flatnonzero(profile > 0.6)
    if not full.size:
        return UNTOLD
    rise, fall = float(full[0] - lit[0]), float(lit[-1] - full[-1])
    counted = 2.0 * fall if at_edge[0] else 2.0 * rise if at_edge[1] else rise + fall
    return counted / max(float(lit[-1] - lit[0]), 1.0)


def _ends(along: Floats, weight: Floats, sure: Floats) -> tuple[float, float]:
    """How far the light on a line goes without a gap, from the middle of the sure part outwards."""
    low, high = np.floor(along.min()), np.ceil(along.max())
    lit = np.bincount((along - low).astype(np.intp), weights=weight, minlength=int(high - low) + 1)
    places = np.flatnonzero(lit > FAINTEST)
    start = round(float(np.median(sure)) - low)
    first = last = start
    for place in places[places > start]:
        if place - last > _GAP_PX:
            break
        last = int(place)
    for place in places[places < start][::-1]:
        if first - place > _GAP_PX:
            break
        first = int(place)
    return float(first + low), float(last + low)


def same_light(one: Way, two: Way) -> bool:
    """Whether two tracks are pieces of one: each continues the other's line, in time too."""
    if one.timed != two.timed:
        return False
    longer, shorter = (one, two) if one.strength >= two.strength else (two, one)
    vx, vy = longer.velocity
    speed = max(longer.speed_px, 1e-9)
    middle_t, middle_x, middle_y = longer.frame.mean(), longer.x.mean(), longer.y.mean()
    elapsed = shorter.frame - middle_t if longer.timed else np.zeros(shorter.frame.size)
    dx, dy = shorter.x - middle_x - vx * elapsed, shorter.y - middle_y - vy * elapsed
    aside, along = np.abs(dx * vy - dy * vx) / speed, np.abs(dx * vx + dy * vy) / speed
    far = float(np.hypot(shorter.x - middle_x, shorter.y - middle_y).max())
    near = aside < 3.5 + 0.02 * far
    if longer.timed:
        near &= along < 2.0 * speed + 6.0 + 0.02 * far
        return bool(near.mean() > 0.6)
    return bool(near.mean() > 0.6 and far < 1.5 * longer.length_px + 20.0)
