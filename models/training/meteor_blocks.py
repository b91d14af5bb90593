"""Blocks and stills of stations that do not exist: skies, horizons, captions, codecs; and what they are labelled.

A sample is drawn at the network's own scale, a square of SIDE_PX, always by way of `astrod_models.meteor.view_of`,
so that what is learned from is what is judged.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, maximum_filter, zoom
from scipy.special import ndtri

from astrod_models.meteor import KINDS, MASK_PX, Block, view_of
from training import meteor_lights as lights
from training.meteor_lights import Scene

SIDE_PX = 160
FEWEST_LIT_PX = 8
UNSURE = 2
"""The label of what is there but too faint to demand or to forbid."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """What the network learns from: channels float16, a mask (3, SIDE/4, SIDE/4) and labels (3,), 0, 1 or UNSURE."""

    channels: NDArray[np.float16]
    mask: NDArray[np.uint8]
    labels: NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """A block, and which of its pixels each kind of light lit."""

    block: Block
    lit: dict[str, NDArray[np.bool_]]


def sample(rng: np.random.Generator, backgrounds: Sequence[Block] = (), stills: Sequence[Block] = ()) -> Sample:
    """One sample: over a sky of our own, or (half of them, where given) over a real block or still."""
    real = [kind for kind, listed in (("block", backgrounds), ("still", stills)) if listed]
    if real and rng.random() < 0.5:
        listed = backgrounds if rng.choice(real) == "block" else stills
        return labelled(over_real(rng, listed[int(rng.integers(len(listed)))]))
    return labelled(simulated(rng, SIDE_PX, SIDE_PX))


def labelled(drawn: Drawn) -> Sample:
    """The view's channels, with their labels."""
    view = view_of(drawn.block)
    rows, columns = (axis // MASK_PX for axis in view.channels.shape[1:])
    mask = np.zeros((len(KINDS), rows, columns), dtype=np.uint8)
    labels = np.zeros(len(KINDS), dtype=np.uint8)
    for index, kind in enumerate(KINDS):
        lit = np.pad(
            drawn.lit[kind],
            [(0, full - have) for full, have in zip(view.channels.shape[1:], drawn.lit[kind].shape, strict=True)],
        )
        cells = lit.reshape(rows, MASK_PX, columns, MASK_PX).sum(axis=(1, 3))
        many = int(lit.sum())
        labels[index] = 0 if many == 0 else UNSURE if many < FEWEST_LIT_PX else 1
        mask[index] = np.where(cells >= 2, labels[index], np.where(cells == 1, UNSURE, 0))
    return Sample(view.channels.astype(np.float16), mask, labels)


def simulated(rng: np.random.Generator, height: int, width: int, negative: bool = False) -> Drawn:
    """A block or a still of a station of our own. `negative`: without a meteor."""
    still = rng.random() < 0.4
    exposures = rng.random() < (0.4 if still else 0.22)
    count = _count(rng, exposures, still)
    star_sigma = float(np.exp(rng.uniform(np.log(0.55), np.log(2.4))))
    scene, spread = _sky(rng, height, width, count, star_sigma, exposures)
    _populate(rng, scene, star_sigma, exposures, negative)
    block = _recorded(rng, scene, spread)
    if still:
        block = Block(_compressed_still(rng, block.maximum))
    return Drawn(block, scene.lit)


def over_real(rng: np.random.Generator, block: Block, negative: bool = False) -> Drawn:
    """Lights over a random part of a real block or still, turned and mirrored at random."""
    part = _part(rng, block)
    maximum = part.maximum.astype(np.float64)
    timed = part.frame is not None and part.mean is not None and part.spread is not None
    star_sigma = float(np.exp(rng.uniform(np.log(0.8), np.log(1.6))))
    if timed:
        assert part.frame is not None and part.mean is not None and part.spread is not None
        base, noise = part.mean.astype(np.float64), np.maximum(part.spread.astype(np.float64), 0.5)
        scene = Scene(base, noise, maximum, part.frame.astype(np.int32), part.count, 255.0)
    else:
        rough = float(np.median(np.abs(maximum - gaussian_filter(maximum, 2.0)))) * 1.9 + 0.5
        scene = Scene(
            maximum - 2.0 * rough, np.full(maximum.shape, rough), maximum, np.zeros(maximum.shape, np.int32), 256, 255.0
        )
    _populate(rng, scene, star_sigma, False, negative, weather=False)
    if not timed:
        return Drawn(Block(np.clip(np.rint(scene.maximum), 0, 255).astype(np.uint8)), scene.lit)
    block = _recorded(rng, scene, noise, coarse=True)
    if rng.random() < 0.3:
        block = Block(_compressed_still(rng, block.maximum))
    return Drawn(block, scene.lit)


def _part(rng: np.random.Generator, block: Block) -> Block:
    """A square of SIDE_PX of a block, at its own scale or (a third of the time, where it is large) at half of it."""
    step = 2 if rng.random() < 0.3 and min(block.maximum.shape) >= 2 * SIDE_PX else 1
    side = SIDE_PX * step
    top, left = (int(rng.integers(0, max(1, axis - side + 1))) for axis in block.maximum.shape)
    turn, mirror = int(rng.integers(4)), bool(rng.integers(2))

    def cut(values: NDArray[np.generic] | None) -> NDArray[np.generic] | None:
        if values is None:
            return None
        piece = values[top : top + side, left : left + side]
        if step == 2:
            piece = piece[: piece.shape[0] // 2 * 2 : 2, : piece.shape[1] // 2 * 2 : 2]
        piece = np.pad(piece, [(0, SIDE_PX - axis) for axis in piece.shape], mode="symmetric")
        piece = np.rot90(piece, turn)
        return np.ascontiguousarray(piece[:, ::-1] if mirror else piece)

    maximum = cut(block.maximum)
    assert maximum is not None
    return Block(maximum, cut(block.frame), cut(block.mean), cut(block.spread), block.count)


def _count(rng: np.random.Generator, exposures: bool, still: bool) -> int:
    """How many frames a block has."""
    if exposures:
        return 1 if still else int(np.exp(rng.uniform(np.log(8.0), np.log(120.0))))
    return 256 if rng.random() < 0.65 else int(np.exp(rng.uniform(np.log(40.0), np.log(900.0))))


def _octaves(rng: np.random.Generator, height: int, width: int, coarsest: float) -> Floats:
    """A smooth random field of several scales, from 0 to 1."""
    total = np.zeros((height, width))
    scale, weight = coarsest, 1.0
    while scale > 3.0:
        small = rng.standard_normal((int(height / scale) + 4, int(width / scale) + 4))
        grown = zoom(small, scale, order=1)
        total += weight * grown[:height, :width]
        scale, weight = scale / 2.2, weight * 0.55
    low, high = np.percentile(total, (2.0, 98.0))
    return np.clip((total - low) / max(float(high - low), 1e-9), 0.0, 1.0)


def _stars(rng: np.random.Generator, height: int, width: int, sigma: float, drift: float) -> Floats:
    """Point sources of a steep brightness law, smeared by `drift` px in one direction; brightest about 1."""
    field = np.zeros((height, width))
    many = rng.poisson(height * width * float(np.exp(rng.uniform(np.log(1e-5), np.log(6e-3)))))
    bright = np.minimum((1.0 - rng.random(many)) ** -0.9 * 0.01, 3.0)
    angle, bend = rng.uniform(0.0, np.pi), rng.normal(0.0, 0.3)
    x, y = rng.uniform(0, width, many), rng.uniform(0, height, many)
    steps = max(1, int(drift / max(0.5, 0.8 * sigma)))
    for step in range(steps):
        along = (step / steps - 0.5) * drift
        turn = angle + bend * (x / width - 0.5)
        column = np.rint(x + along * np.cos(turn)).astype(int)
        row = np.rint(y + along * np.sin(turn)).astype(int)
        inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
        np.add.at(field, (row[inside], column[inside]), bright[inside])
    return gaussian_filter(field, sigma) * 2.0 * np.pi * sigma * sigma


def _sky(
    rng: np.random.Generator, height: int, width: int, count: int, star_sigma: float, exposures: bool
) -> tuple[Scene, Floats]:
    """An empty sky with all that stands or drifts in it; and its spread as the camera would report it."""
    white = 255.0
    level = float(np.exp(rng.uniform(np.log(6.0), np.log(150.0))))
    noise_level = float(np.exp(rng.uniform(np.log(0.4), np.log(9.0))))
    rows, columns = np.mgrid[:height, :width] / max(height, width)
    angle = rng.uniform(0.0, 2.0 * np.pi)
    tilt = rng.uniform(0.0, 1.2) * (np.cos(angle) * columns + np.sin(angle) * rows) ** 2
    base = level * (1.0 + tilt)
    drift = float(np.exp(rng.uniform(np.log(0.5), np.log(60.0)))) if exposures and rng.random() < 0.5 else 0.5
    stars = _stars(rng, height, width, star_sigma, drift)
    base = base + stars * noise_level * float(np.exp(rng.uniform(np.log(10.0), np.log(400.0))))
    noise = noise_level * np.sqrt(np.maximum(base, 1.0) / level) ** rng.uniform(0.0, 1.0)
    noise = noise * (1.0 + 0.25 * rng.random() * np.clip(stars * 40.0, 0.0, 1.0))
    if rng.random() < 0.35:
        base = base + noise_level * rng.uniform(2.0, 40.0) * _octaves(rng, height, width, rng.uniform(20.0, 120.0))
    base, noise = _horizon(rng, base, noise, noise_level)
    if rng.random() < 0.35:
        base = _lines(rng, base, noise_level)
    hot = rng.random(base.shape) < rng.choice([0.0, 1e-4, 1e-3])
    base = np.where(hot, base + noise_level * rng.uniform(5.0, 80.0, base.shape), base)
    base = np.minimum(base, white)
    noise = np.where(base >= white - 1.0, 0.3 * noise, noise)
    tall = np.maximum(rng.random(base.shape), 1e-9) ** (1.0 / count)
    field = ndtri(np.clip(tall, 1e-7, 1.0 - 1e-9))
    if rng.random() < 0.4:
        smooth = rng.uniform(0.35, 1.0)
        middle, scatter = field.mean(), field.std()
        field = gaussian_filter(field, smooth)
        field = (field - field.mean()) / max(float(field.std()), 1e-6) * scatter * rng.uniform(0.5, 1.0) + middle
    frame = rng.integers(0, count, base.shape).astype(np.int32)
    if rng.random() < 0.3 and not exposures:
        field, frame, noise = _codec(rng, field, frame, noise, count)
    scene = Scene(base, noise, np.minimum(base + noise * field, white), frame, count, white)
    spread = noise * (1.0 + 0.7 * rng.standard_normal(base.shape) / np.sqrt(max(2, count)))
    return scene, spread


def _horizon(rng: np.random.Generator, base: Floats, noise: Floats, noise_level: float) -> tuple[Floats, Floats]:
    """Trees, roofs and the dome's rim, dark or lit, sharp or waving."""
    if rng.random() > 0.35:
        return base, noise
    height, width = base.shape
    edge = height * rng.uniform(0.3, 0.95) + height * 0.15 * (_octaves(rng, 4, width, rng.uniform(10.0, 80.0))[0] - 0.5)
    if rng.random() < 0.4:  # a roof or a wall
        edge = height * rng.uniform(0.3, 0.95) + np.arange(width) * rng.normal(0.0, 0.6)
    below = np.arange(height)[:, None] > edge[None, :]
    texture = _octaves(rng, height, width, rng.uniform(5.0, 25.0))
    ground = base * rng.choice([rng.uniform(0.1, 0.8), rng.uniform(1.0, 3.0)])
    ground = ground + noise_level * rng.uniform(0.0, 15.0) * texture
    below = np.rot90(below, int(rng.integers(4))) if height == width else below
    rim = np.abs(gaussian_filter(below.astype(np.float64), 1.5) - 0.5) < 0.4
    waving = np.where(rim, 1.0 + rng.choice([0.0, rng.uniform(0.0, 6.0)]), 1.0)
    return np.where(below, ground, base), np.where(below, noise * rng.uniform(0.3, 1.0), noise) * waving


def _lines(rng: np.random.Generator, base: Floats, noise_level: float) -> Floats:
    """Wires, contrails, smears of the Moon, window frames: straight, and the same in all frames."""
    height, width = base.shape
    rows, columns = np.mgrid[:height, :width]
    angle = rng.uniform(0.0, np.pi) if rng.random() < 0.7 else float(rng.choice([0.0, 0.5])) * np.pi
    for _line in range(int(rng.integers(1, 5))):
        turn = angle + rng.normal(0.0, 0.15)
        away = (columns - rng.uniform(0, width)) * np.sin(turn) - (rows - rng.uniform(0, height)) * np.cos(turn)
        size = float(np.exp(rng.uniform(np.log(0.6), np.log(8.0))))
        strength = noise_level * rng.uniform(2.0, 30.0) * (1.0 if rng.random() < 0.6 else -0.5)
        base = base + strength * np.exp(-0.5 * (away / size) ** 2)
    return np.maximum(base, 0.0)


def _codec(
    rng: np.random.Generator, field: Floats, frame: NDArray[np.int32], noise: Floats, count: int
) -> tuple[Floats, NDArray[np.int32], Floats]:
    """What a video codec leaves of noise: less of it, in squares, which change only now and then."""
    size = int(rng.choice([4, 8, 16]))
    rows, columns = (-(-axis // size) for axis in field.shape)

    def squares(values: NDArray[np.generic]) -> NDArray[np.generic]:
        return values.repeat(size, axis=0).repeat(size, axis=1)[: field.shape[0], : field.shape[1]]

    some = rng.integers(0, count, 12)
    held = squares(rng.choice(some, (rows, columns)))
    still = squares(rng.random((rows, columns)) < rng.uniform(0.2, 0.9))
    offset = squares(rng.standard_normal((rows, columns)) * 0.5)
    noise = noise * squares(np.exp(rng.normal(-0.4, 0.4, (rows, columns))))
    return field * np.where(still, 0.5, 1.0) + offset, np.where(still, held, frame).astype(np.int32), noise


def _populate(
    rng: np.random.Generator, scene: Scene, star_sigma: float, exposures: bool, negative: bool, weather: bool = True
) -> None:
    """All that moves or flares, at random; a meteor in about half."""
    if rng.random() < 0.14:
        lights.satellite(rng, scene, star_sigma, exposures)
    if rng.random() < 0.14:
        lights.aircraft(rng, scene, star_sigma, exposures)
    if weather:
        if rng.random() < 0.2:
            _drifting_cloud(rng, scene)
        if rng.random() < 0.05:
            lights.rain(rng, scene, star_sigma)
        if rng.random() < 0.05:
            lights.flash(rng, scene)
    if rng.random() < 0.07:
        lights.insect(rng, scene, star_sigma)
    if rng.random() < 0.2:
        lights.sparks(rng, scene)
    if rng.random() < 0.1:
        lights.lamp(rng, scene, star_sigma)
    if not negative and rng.random() < 0.5:
        for _meteor in range(1 if rng.random() < 0.93 else 2):
            lights.meteor(rng, scene, star_sigma, exposures)
    if weather and rng.random() < 0.15:
        _caption(rng, scene)


def _drifting_cloud(rng: np.random.Generator, scene: Scene) -> None:
    """A cloud that moves: its edges leave ridges in the maximum, with frame numbers that run along."""
    height, width = scene.base.shape
    steps = min(scene.count, 12)
    far = int(rng.uniform(2, 40)) if scene.count > 1 else 1
    texture = _octaves(rng, height + far, width + far, rng.uniform(12.0, 100.0))
    strength = float(np.median(scene.noise)) * float(np.exp(rng.uniform(np.log(1.0), np.log(25.0))))
    texture = strength * np.clip(texture - rng.uniform(0.0, 0.6), 0.0, 1.0)
    turn = bool(rng.integers(2))
    for step in range(steps):
        moved = round(step / max(1, steps - 1) * far)
        down, right = (moved, 0) if turn else (moved // 2, moved)
        light = texture[down : down + height, right : right + width]
        scene.shine(rng, int(step * scene.count / steps), (slice(None), slice(None)), light, "cloud")


def _caption(rng: np.random.Generator, scene: Scene) -> None:
    """The station's name and the time in white letters, which change as time goes."""
    height, width = scene.base.shape
    tall = int(rng.integers(6, 16))
    across = max(3, int(tall * 0.6))
    top = int(rng.choice([0, 1, height - tall - 1, height - tall - 3]))
    left = int(rng.integers(0, width // 3))
    letters = int(rng.integers(4, 24))
    changing = rng.random(letters) < 0.4
    for number in range(letters):
        x = left + number * (across + 1)
        if x + across > width:
            break
        where = (slice(top, top + tall), slice(x, x + across))
        for _glyph in range(int(rng.integers(2, 6)) if changing[number] else 1):
            dots = zoom((rng.random((5, 4)) < 0.45).astype(np.float64), (tall / 5, across / 4), order=0)
            dots = np.resize(dots, (tall, across))
            value = scene.white * rng.uniform(0.6, 1.0) * dots - scene.base[where] * dots
            scene.shine(rng, int(rng.integers(0, scene.count)), where, np.maximum(value, 0.0), "caption")
            if not changing[number]:
                scene.base[where] += np.maximum(value, 0.0)


def _recorded(rng: np.random.Generator, scene: Scene, spread: Floats, coarse: bool | None = None) -> Block:
    """The block as a camera's program writes it: mean and spread with the lights in them, or (as RMS does) without the
    brightest frames; eight bits, or more.
    """
    count = scene.count
    share = float(rng.choice([0.0, 1.0])) if count > 4 else 0.0
    mean = scene.base + share * scene.added / count
    variance = spread**2 + share * np.maximum(scene.squared / count - (scene.added / count) ** 2, 0.0)
    mean = mean + scene.noise / np.sqrt(count) * rng.standard_normal(mean.shape)
    maximum, deviation = scene.maximum, np.sqrt(np.maximum(variance, 0.0))
    if coarse is None:
        coarse = rng.random() < 0.75
    if coarse:
        return Block(
            np.clip(np.rint(maximum), 0, 255).astype(np.uint8),
            scene.frame,
            np.clip(np.rint(mean), 0, 255).astype(np.uint8),
            np.maximum(np.rint(deviation), 1).astype(np.uint8),
            count,
        )
    depth = float(rng.choice([16.0, 257.0]))
    kept = tuple(np.clip(np.rint(values * depth), 0, 65535).astype(np.uint16) for values in (maximum, mean))
    return Block(kept[0], scene.frame, kept[1], (deviation * depth).astype(np.float32), count)


def _compressed_still(rng: np.random.Generator, maximum: NDArray[np.generic]) -> NDArray[np.generic]:
    """A still as it is passed on: another gamma, eight bits, JPEG; or as it is."""
    if rng.random() < 0.3:
        return maximum
    from PIL import Image

    values = maximum.astype(np.float64)
    values = values / max(float(values.max()), 1.0)
    values = 255.0 * values ** rng.uniform(0.45, 1.3)
    eight = np.clip(np.rint(values), 0, 255).astype(np.uint8)
    if rng.random() < 0.4:
        return eight
    memory = BytesIO()
    Image.fromarray(eight).save(memory, "JPEG", quality=int(rng.integers(35, 96)))
    return np.asarray(Image.open(memory))


def erased(rng: np.random.Generator, block: Block, track: Floats, reach_px: int = 9) -> Block:
    """The block without the light along `track` (n, 2: x, y): filled from random pixels of its surroundings.

    There the maximum becomes the mean and as many spreads as at a random place nearby; its frame number likewise.
    """
    assert block.frame is not None and block.mean is not None and block.spread is not None
    shape = block.maximum.shape
    along = np.zeros(shape, dtype=bool)
    longer = _extended(track)
    column = np.clip(np.rint(longer[:, 0]).astype(int), 0, shape[1] - 1)
    row = np.clip(np.rint(longer[:, 1]).astype(int), 0, shape[0] - 1)
    along[row, column] = True
    hole = maximum_filter(along, size=2 * reach_px + 1)
    around = maximum_filter(hole, size=41) & ~hole
    rows, columns = np.nonzero(around)
    picked = rng.integers(0, rows.size, int(hole.sum()))
    from_where = rows[picked], columns[picked]
    mean, spread = block.mean.astype(np.float64), np.maximum(block.spread.astype(np.float64), 0.5)
    height = (block.maximum.astype(np.float64) - mean) / spread
    quiet = np.median(spread[around])
    calm_spread = np.where(spread[hole] > 1.5 * quiet, quiet, spread[hole])
    maximum, frame, deviation = block.maximum.copy(), block.frame.copy(), block.spread.copy()
    level = np.minimum(mean[hole], np.percentile(mean[around], 99.0))
    white = np.iinfo(maximum.dtype).max if maximum.dtype.kind in "ui" else np.inf
    maximum[hole] = np.clip(np.rint(level + height[from_where] * calm_spread), 0, white)
    frame[hole] = rng.integers(0, block.count, int(hole.sum()))
    deviation[hole] = calm_spread
    mean_after = block.mean.copy()
    mean_after[hole] = level
    return Block(maximum, frame, mean_after, deviation, block.count)


def _extended(track: Floats) -> Floats:
    """Points each pixel along a track, a seventh (12 px at least) beyond its ends."""
    first, last = track[0], track[-1]
    length = max(float(np.hypot(*(last - first))), 1.0)
    unit = (last - first) / length
    far = max(12.0, length / 7.0)
    ends = np.vstack([first - unit * far, track, last + unit * far])
    steps = np.hypot(*np.diff(ends, axis=0).T)
    place = np.concatenate([[0.0], np.cumsum(steps)])
    fine = np.arange(0.0, place[-1], 1.0)
    return np.stack([np.interp(fine, place, ends[:, axis]) for axis in (0, 1)], axis=1)
