"""Lights that move through a block of frames: meteors, aircraft, satellites, and what is none of these.

Each light is drawn frame by frame into a `Scene`, which keeps what a camera's block keeps: maximum, its frame,
sum and sum of squares. Places are pixels, brightness is the scene's own units, time is frames.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from astrod_models.meteor import KINDS

Floats = NDArray[np.float64]

LIT_SIGMA = 2.0
"""A pixel is lit by a light where that is this far above its noise, and is what made the maximum."""


@dataclass(slots=True, eq=False)
class Scene:
    """A block in the making. `base` is the sky of a frame, `noise` its scatter; `white` where pixels saturate."""

    base: Floats
    noise: Floats
    maximum: Floats
    frame: NDArray[np.int32]
    count: int
    white: float
    added: Floats = field(init=False)
    squared: Floats = field(init=False)
    lit: dict[str, NDArray[np.bool_]] = field(init=False)

    def __post_init__(self) -> None:
        """Nothing is lit yet."""
        self.added = np.zeros_like(self.base)
        self.squared = np.zeros_like(self.base)
        self.lit = {kind: np.zeros(self.base.shape, dtype=bool) for kind in KINDS}

    def shine(self, rng: np.random.Generator, when: int, where: tuple[slice, slice], light: Floats, kind: str) -> None:
        """Add `light` to one frame's pixels; `kind` is one of KINDS or anything else for what has no label."""
        noise = self.noise[where]
        value = np.minimum(self.base[where] + light + noise * rng.standard_normal(light.shape), self.white)
        brighter = value > self.maximum[where]
        self.maximum[where][brighter] = value[brighter]
        self.frame[where][brighter] = when
        self.added[where] += light
        self.squared[where] += light * light
        if kind in self.lit:
            self.lit[kind][where] |= brighter & (light > LIT_SIGMA * noise)


@dataclass(frozen=True, slots=True, eq=False)
class Path:
    """A light's way: for each frame `when` where it is at its begin (x, y) and at its end (u, v), how bright it is
    (`peak`: at the middle of a pixel's width of trail), and `width`, the sigma of its image.
    """

    when: NDArray[np.int32]
    x: Floats
    y: Floats
    u: Floats
    v: Floats
    peak: Floats
    width: float


def draw(rng: np.random.Generator, scene: Scene, path: Path, kind: str) -> None:
    """Draw a light into the frames it is seen in."""
    height, width = scene.base.shape
    reach = 3.5 * path.width + 1.0
    for index in range(path.when.size):
        x, y, u, v = path.x[index], path.y[index], path.u[index], path.v[index]
        left, right = int(max(0, min(x, u) - reach)), int(min(width, max(x, u) + reach + 1))
        top, bottom = int(max(0, min(y, v) - reach)), int(min(height, max(y, v) + reach + 1))
        if left >= right or top >= bottom or path.peak[index] <= 0.0:
            continue
        steps = max(2, int(np.ceil(np.hypot(u - x, v - y) / max(0.5, 0.8 * path.width))))
        share = (np.arange(steps) + 0.5) / steps
        across = np.exp(-0.5 * ((np.arange(left, right) - (x + (u - x) * share)[:, None]) / path.width) ** 2)
        down = np.exp(-0.5 * ((np.arange(top, bottom) - (y + (v - y) * share)[:, None]) / path.width) ** 2)
        image = down.T @ across
        image *= path.peak[index] / max(float(image.max()), 0.3)
        scene.shine(rng, int(path.when[index]), (slice(top, bottom), slice(left, right)), image, kind)


def straight(
    rng: np.random.Generator, scene: Scene, speed: float, frames: int, bend: float = 0.0, through: bool = False
) -> tuple[NDArray[np.int32], Floats, Floats, Floats, Floats]:
    """Frame numbers and places of something that goes its way at `speed` px/frame for `frames` frames.

    Its middle lies in the scene. `through`: it is there in all frames. `bend`: turn over the whole way, radians.
    """
    height, width = scene.base.shape
    frames = scene.count if through else min(frames, scene.count)
    start = 0 if through else int(rng.integers(-frames // 3, max(1, scene.count - frames + frames // 3)))
    middle_x, middle_y = rng.uniform(0.08, 0.92) * width, rng.uniform(0.08, 0.92) * height
    anchor = rng.uniform(0.0, 1.0) if through or rng.random() < 0.5 else 0.5  # which part of its way is in the middle
    angle = rng.uniform(0.0, 2.0 * np.pi)
    time = np.arange(frames + 1, dtype=np.float64)
    turn = angle + bend * (time / max(1, frames) - 0.5)
    dx, dy = speed * np.cos(turn), speed * np.sin(turn)
    x, y = np.cumsum(dx), np.cumsum(dy)
    at = round(anchor * frames)
    x, y = x - x[at] + middle_x, y - y[at] + middle_y
    when = np.arange(frames) + start
    seen = (when >= 0) & (when < scene.count)
    return when[seen].astype(np.int32), x[:-1][seen], y[:-1][seen], x[1:][seen], y[1:][seen]


def meteor(
    rng: np.random.Generator,
    scene: Scene,
    image_sigma: float,
    exposures: bool,
    signal: float | None = None,
    pace: float | None = None,
) -> None:
    """A meteor: quick, short, its light curve skewed, now and then a flare or a glow that stays behind.

    `exposures`: the frames are so long that one holds all of it. `signal`: its peak over the noise; `pace`: its pixels
    per frame; both random where not given.
    """
    if exposures:
        frames, speed = 1 if rng.random() < 0.85 else 2, float(np.exp(rng.uniform(np.log(8.0), np.log(250.0))))
    else:
        speed = pace or float(np.exp(rng.uniform(np.log(0.8), np.log(28.0))))
        frames = int(np.exp(rng.uniform(np.log(3.0), np.log(110.0))))
        frames = int(np.clip(frames, 7.0 / speed, 500.0 / speed)) + 1
    if scene.count == 1:
        frames = 1
    fine = 24 if frames <= 2 else 1  # a long exposure holds the whole light curve: it is drawn in pieces
    when, x, y, u, v = straight(rng, scene, speed, frames, bend=rng.normal(0.0, 0.04))
    if not when.size:
        return
    if fine > 1:
        when, x, y, u, v = _pieces(when, x, y, u, v, fine)
    noise = float(np.median(scene.noise))
    peak = noise * (signal if signal is not None else float(np.exp(rng.uniform(np.log(3.5), np.log(90.0)))))
    place = (np.arange(when.size) + 0.5) / when.size
    rise, fall = rng.uniform(0.3, 2.5), rng.uniform(0.3, 1.8)
    curve = place**rise * (1.0 - place) ** fall
    curve /= curve.max()
    for _flare in range(int(rng.poisson(0.35))):
        curve += rng.uniform(0.3, 3.0) * np.exp(-0.5 * ((place - rng.uniform(0.4, 1.0)) / rng.uniform(0.01, 0.06)) ** 2)
    curve = curve / curve.max() * peak
    if rng.random() < 0.3:
        curve *= rng.uniform(0.75, 1.25, curve.size)
    width = image_sigma * rng.uniform(0.9, 1.5) * (1.0 + 0.25 * max(0.0, np.log(peak / noise / 20.0)))
    draw(rng, scene, Path(when, x, y, u, v, curve, width), "meteor")
    if rng.random() < 0.15 and not exposures:
        after = np.minimum(when + rng.integers(1, 4), scene.count - 1).astype(np.int32)
        draw(rng, scene, Path(after, x, y, u, v, 0.25 * curve, 1.4 * width), "meteor")


def _pieces(
    when: NDArray[np.int32], x: Floats, y: Floats, u: Floats, v: Floats, fine: int
) -> tuple[NDArray[np.int32], Floats, Floats, Floats, Floats]:
    """The same way in `fine` pieces per frame."""
    share = np.arange(fine + 1) / fine
    xs, ys = x[:, None] + (u - x)[:, None] * share, y[:, None] + (v - y)[:, None] * share
    return when.repeat(fine), xs[:, :-1].ravel(), ys[:, :-1].ravel(), xs[:, 1:].ravel(), ys[:, 1:].ravel()


def aircraft(rng: np.random.Generator, scene: Scene, image_sigma: float, exposures: bool) -> None:
    """An aircraft: slow, there before and after, steady lamps and flashing ones side by side."""
    speed = rng.uniform(2.0, 60.0) if exposures else float(np.exp(rng.uniform(np.log(0.1), np.log(1.6))))
    when, x, y, u, v = straight(rng, scene, speed, scene.count, bend=rng.normal(0.0, 0.05), through=True)
    if exposures:
        when, x, y, u, v = _pieces(when, x, y, u, v, 32)
    noise = float(np.median(scene.noise))
    top = noise * float(np.exp(rng.uniform(np.log(5.0), np.log(200.0))))
    steady = top * rng.choice([0.0, rng.uniform(0.1, 0.6), 1.0])
    size = image_sigma * rng.uniform(1.0, 2.0)
    if steady > 0.0:
        draw(rng, scene, Path(when, x, y, u, v, np.full(when.size, steady), size), "aircraft")
    for _lamp in range(int(rng.integers(1, 3))):
        period = rng.uniform(0.3, 0.6) * 25 if not exposures else rng.uniform(3.0, 24.0)
        period *= float(rng.choice([1.0, 2.0, 3.0]))
        flashing = ((np.arange(when.size) + rng.uniform(0.0, period)) % period) < rng.uniform(1.0, 3.0)
        aside_x, aside_y = rng.normal(0.0, 1.5 * size, 2)
        which = np.flatnonzero(flashing)
        lamp = Path(
            when[which],
            x[which] + aside_x,
            y[which] + aside_y,
            u[which] + aside_x,
            v[which] + aside_y,
            np.full(which.size, top),
            size,
        )
        draw(rng, scene, lamp, "aircraft")


def satellite(rng: np.random.Generator, scene: Scene, image_sigma: float, exposures: bool) -> None:
    """A satellite: slow, even or slowly varying; now and then a glint, or several in one row."""
    speed = rng.uniform(1.0, 60.0) if exposures else float(np.exp(rng.uniform(np.log(0.05), np.log(0.7))))
    glint = rng.random() < 0.3
    frames = int(rng.uniform(0.2, 0.7) * scene.count) + 1
    when, x, y, u, v = straight(rng, scene, speed, frames, through=not glint or exposures)
    if not when.size:
        return
    if exposures and glint:
        when, x, y, u, v = _pieces(when, x, y, u, v, 12)
    noise = float(np.median(scene.noise))
    peak = noise * float(np.exp(rng.uniform(np.log(3.5), np.log(60.0))))
    place = (np.arange(when.size) + 0.5) / when.size
    if glint:
        curve = np.exp(-0.5 * ((place - rng.uniform(0.3, 0.7)) / rng.uniform(0.08, 0.2)) ** 2)
    else:
        curve = 1.0 + rng.uniform(0.0, 0.5) * np.sin(2.0 * np.pi * (rng.uniform(0.0, 3.0) * place + rng.random()))
    train = int(rng.integers(2, 6)) if rng.random() < 0.08 else 1
    gap = rng.uniform(8.0, 40.0)
    way = np.hypot(u - x, v - y).mean() + 1e-9
    for number in range(train):
        dx, dy = (u - x) / way * gap * number, (v - y) / way * gap * number
        path = Path(when, x + dx, y + dy, u + dx, v + dy, peak * curve, image_sigma * rng.uniform(0.9, 1.2))
        draw(rng, scene, path, "satellite")


def insect(rng: np.random.Generator, scene: Scene, image_sigma: float) -> None:
    """An insect, a bird or a bat near the lens: wide, curved, its brightness beating."""
    speed = float(np.exp(rng.uniform(np.log(2.0), np.log(30.0))))
    frames = int(rng.uniform(3, 30))
    when, x, y, u, v = straight(rng, scene, speed, frames, bend=rng.normal(0.0, 1.6))
    if not when.size:
        return
    beat = 1.0 + rng.uniform(0.0, 0.9) * np.sin(np.arange(when.size) * rng.uniform(0.5, 3.0))
    peak = float(np.median(scene.noise)) * float(np.exp(rng.uniform(np.log(3.0), np.log(40.0))))
    draw(rng, scene, Path(when, x, y, u, v, peak * beat, image_sigma + rng.uniform(2.5, 9.0)), "insect")


def rain(rng: np.random.Generator, scene: Scene, image_sigma: float) -> None:
    """Rain or snow in a lamp's light: many short, wide, parallel streaks, each in one frame."""
    angle, length, size = rng.normal(np.pi / 2, 0.3), rng.uniform(4.0, 40.0), image_sigma + rng.uniform(0.5, 3.0)
    many = int(rng.uniform(5, 40))
    height, width = scene.base.shape
    turn = angle + rng.normal(0.0, 0.06 if rng.random() < 0.6 else 0.6, many)
    x, y = rng.uniform(0, width, many), rng.uniform(0, height, many)
    peak = float(np.median(scene.noise)) * np.exp(rng.uniform(np.log(3.0), np.log(15.0), many))
    when = rng.integers(0, scene.count, many).astype(np.int32)
    long = length * rng.uniform(0.5, 1.5, many)
    draw(rng, scene, Path(when, x, y, x + long * np.cos(turn), y + long * np.sin(turn), peak, size), "rain")


def sparks(rng: np.random.Generator, scene: Scene) -> None:
    """Cosmic rays and flickering pixels: a pixel or a few, in one frame."""
    many = int(rng.uniform(1, 14))
    height, width = scene.base.shape
    x, y = rng.uniform(0, width, many), rng.uniform(0, height, many)
    angle, long = rng.uniform(0.0, np.pi, many), rng.exponential(1.2, many)
    peak = float(np.median(scene.noise)) * np.exp(rng.uniform(np.log(4.0), np.log(80.0), many))
    when = rng.integers(0, scene.count, many).astype(np.int32)
    draw(rng, scene, Path(when, x, y, x + long * np.cos(angle), y + long * np.sin(angle), peak, 0.4), "spark")


def lamp(rng: np.random.Generator, scene: Scene, image_sigma: float) -> None:
    """A lamp, a firework, a headlight: it stands still, small or wide, and comes and goes."""
    height, width = scene.base.shape
    x, y = rng.uniform(0, width), rng.uniform(0, height)
    frames = np.flatnonzero(rng.random(scene.count) < rng.uniform(0.02, 0.3))[:60].astype(np.int32)
    if not frames.size:
        return
    peak = float(np.median(scene.noise)) * float(np.exp(rng.uniform(np.log(5.0), np.log(150.0))))
    shake = rng.normal(0.0, rng.uniform(0.0, 1.5), (2, frames.size))
    size = image_sigma * float(np.exp(rng.uniform(0.0, np.log(8.0))))
    u, v = x + shake[0], y + shake[1]
    draw(rng, scene, Path(frames, u, v, u + 0.01, v, np.full(frames.size, peak), size), "lamp")


def flash(rng: np.random.Generator, scene: Scene) -> None:
    """Lightning, or the gain's jump: one frame, or all after it, brighter everywhere."""
    when = int(rng.integers(0, scene.count))
    rows = np.linspace(-1.0, 1.0, scene.base.shape[0])[:, None]
    strength = float(np.median(scene.noise)) * rng.uniform(1.0, 12.0) * (1.0 + 0.5 * rng.normal() * rows)
    light = np.maximum(strength + np.zeros_like(scene.base), 0.0)
    scene.shine(rng, when, (slice(None), slice(None)), light, "flash")
