"""Simulated pictures of all-sky cameras, with the truth about their clouds: wide in range, quick to draw.

Skies (airglow, Milky Way, towns, Moon, twilight), clouds of several families, stars of the bright-star catalogue at any
place and time, foregrounds, lenses, and what cameras and their software do to a picture: vignetting, noise, gamma,
captions, JPEG. Families named in UNSEEN are kept out of training, to say what an unknown sky or camera gives.
"""

import io
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy import ndimage

from astrod.measure.horizon import find_horizon
from astrod_models.cloud import GRID, Circle
from training.brightstars import Stars

Single = NDArray[np.float32]
Dice = np.random.Generator

CLOUDS = ("fractal", "cirrus", "rows", "sheet", "patches", "puffs", "cells", "billows")
LENSES = ("equidistant", "equisolid", "stereographic", "orthographic", "wide field")
UNSEEN_CLOUDS = ("cells", "billows")
UNSEEN_LENSES = ("orthographic",)

_TEXTURE = 512
_CATALOGUED = 5.5
"""Fainter stars are drawn at random: they count 2.8 times as many for each magnitude."""
_THIN, _THICK = 0.15, 0.55
"""Magnitudes of extinction below which a cell is clear, and from which it is covered."""


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """A picture (height, width) with its circle and the truth on the map's grid (48, 48).

    `covered` is 0 to 1, `known` False where it is not to be learned from (outside, foreground, day, wet window), `open`
    the share of sky not hidden by the foreground, `states` follows STATES.
    """

    picture: Single
    circle: Circle | None
    covered: Single
    known: NDArray[np.bool_]
    open: Single
    states: Single
    family: str


@dataclass(slots=True, eq=False)
class _Scene:
    """What is drawn so far: directions of the pixels (x east, y north, z up), radius in units of the circle's."""

    x: Single
    y: Single
    z: Single
    radius: Single
    circle: Circle | None
    width: int
    height: int
    lens: str
    zenith_deg: float
    turn: NDArray[np.float64]
    facts: dict[str, float] = field(default_factory=dict)

    def towards(self, direction: NDArray[np.float64]) -> Single:
        """The angle between each pixel and a direction, radians."""
        cosine = self.x * direction[0] + self.y * direction[1] + self.z * direction[2]
        return np.arccos(np.clip(cosine, -1.0, 1.0)).astype(np.float32)


def draw(dice: Dice, stars: Stars, unseen: bool = False) -> Drawn:
    """One picture; of families kept out of training if `unseen`."""
    scene = _scene(dice, unseen)
    kind = dice.random()
    if kind < 0.05:
        return _day(dice, scene)
    if kind < 0.09:
        return _shut(dice, scene)
    family = str(dice.choice(UNSEEN_CLOUDS if unseen else [c for c in CLOUDS if c not in UNSEEN_CLOUDS]))
    depth, family = _clouds(dice, scene, family)
    light = _night(dice, scene, depth)
    is_wet = dice.random() < 0.05
    light = _with_stars(dice, scene, stars, light, depth)
    front = _foreground(dice, scene, light)
    picture = _taken(dice, scene, light, is_wet)
    return _labelled(dice, scene, picture, depth, front, (0.0, 0.0, float(is_wet)), family)


def _labelled(
    dice: Dice,
    scene: _Scene,
    picture: Single,
    depth: Single,
    front: NDArray[np.bool_],
    states: tuple[float, ...],
    family: str,
) -> Drawn:
    """The truth on the grid of the map that is made of the circle which will be found."""
    circle = _found(dice, scene.circle, picture)
    covered = np.clip((1.086 * depth - _THIN) / (_THICK - _THIN), 0.0, 1.0)
    covered = covered * covered * (3.0 - 2.0 * covered)
    seen = (scene.radius <= 1.0) & (scene.z > -0.02)
    clear = seen & ~front
    cells = _cells(circle, scene.width, scene.height)
    count, open_, total = (_summed(cells, part) for part in (np.ones_like(depth), clear, np.where(clear, covered, 0.0)))
    inside = _summed(cells, seen)
    return Drawn(
        picture,
        circle,
        (total / np.maximum(open_, 1e-6)).astype(np.float32),
        (open_ > 0.5 * np.maximum(count, 1e-6)) & (sum(states) == 0.0),
        (open_ / np.maximum(inside if circle else count, 1e-6)).astype(np.float32),
        np.array(states, dtype=np.float32),
        family,
    )


def _found(dice: Dice, circle: Circle | None, picture: Single) -> Circle | None:
    """The circle as it will be known at night: as it is found in the picture, or set by hand with an error."""
    if circle is None:
        return None
    if dice.random() < 0.7:
        found = find_horizon(picture)
        if found is None:
            return None if dice.random() < 0.5 else circle
        off = np.abs(np.array([found.x, found.y, found.radius]) - circle).max()
        if off < 0.12 * circle[2]:
            return found.x, found.y, found.radius
    x, y, radius = circle
    error = dice.normal(0.0, 0.015, 3) * radius
    return x + error[0], y + error[1], radius + error[2]


def _cells(circle: Circle | None, width: int, height: int) -> NDArray[np.int64]:
    """The number of each pixel's cell on the map, GRID × GRID for those that lie in none."""
    if circle is None:
        x, y, side = (width - 1) / 2.0, (height - 1) / 2.0, float(max(width, height))
    else:
        x, y, side = circle[0], circle[1], 2.0 * circle[2]
    column = np.floor((np.arange(width) - x + side / 2.0) / side * GRID).astype(np.int64)
    row = np.floor((np.arange(height) - y + side / 2.0) / side * GRID).astype(np.int64)
    ok = ((row >= 0) & (row < GRID))[:, None] & ((column >= 0) & (column < GRID))[None, :]
    return np.where(ok, row[:, None] * GRID + column[None, :], GRID * GRID)


def _summed(cells: NDArray[np.int64], plane: NDArray[Any]) -> NDArray[np.float64]:
    """Sums over the cells of the map."""
    sums = np.bincount(cells.ravel(), weights=plane.ravel(), minlength=GRID * GRID + 1)
    return sums[:-1].reshape(GRID, GRID)


# --- lens -----------------------------------------------------------------------------------------------------------


def _scene(dice: Dice, unseen: bool) -> _Scene:
    """A lens on a sensor: a full, cropped or off-centre circle, or a rectangle that shows a part of the sky."""
    seen = [lens for lens in LENSES if lens not in UNSEEN_LENSES]
    odds = [0.4, 0.22, 0.18, 0.2]
    lens = str(dice.choice(UNSEEN_LENSES)) if unseen and dice.random() < 0.5 else str(dice.choice(seen, p=odds))
    size = float(np.exp(dice.uniform(np.log(180.0), np.log(620.0))))
    if lens == "wide field":
        return _wide_field(dice, size)
    radius = size / 2.0
    shape = dice.choice(["full", "cropped", "square"], p=[0.5, 0.3, 0.2])
    if shape == "cropped":
        height, width = size * dice.uniform(0.62, 0.95), size * dice.uniform(1.0, 1.25)
    else:
        height = size * dice.uniform(1.02, 1.2)
        width = height if shape == "square" else height * dice.uniform(1.0, 1.6)
    columns, rows = int(width), int(height)
    x = columns / 2.0 + size * dice.normal(0.0, 0.03)
    y = rows / 2.0 + size * dice.normal(0.0, 0.03)
    zenith_deg = dice.uniform(82.0, 92.0) if lens == "orthographic" else dice.uniform(75.0, 97.0)
    zenith_deg = min(zenith_deg, 88.0) if lens == "orthographic" else zenith_deg
    column, row = np.meshgrid(np.arange(columns, dtype=np.float32), np.arange(rows, dtype=np.float32))
    dx, dy = (column - np.float32(x)) / np.float32(radius), (row - np.float32(y)) / np.float32(radius)
    distance = np.hypot(dx, dy)
    theta = _unprojected(np.minimum(distance, 1.15), lens, np.deg2rad(zenith_deg))
    across = np.sin(theta) / np.maximum(distance, 1e-6)
    turn = _turned(dice, dice.normal(0.0, 3.0))
    vectors = np.stack([dx * across, -dy * across, np.cos(theta)])
    east, north, up = np.tensordot(turn.astype(np.float32), vectors, axes=1)
    return _Scene(east, north, up, distance, (x, y, radius), columns, rows, lens, zenith_deg, turn)


def _unprojected(distance: Single, lens: str, edge: float) -> Single:
    """The angle from the axis, radians, of a distance in units of the circle's radius."""
    if lens == "equisolid":
        return 2.0 * np.arcsin(np.clip(distance * np.sin(edge / 2.0), 0.0, 1.0))
    if lens == "stereographic":
        return 2.0 * np.arctan(distance * np.float32(np.tan(edge / 2.0)))
    if lens == "orthographic":
        return np.arcsin(np.clip(distance * np.sin(edge), 0.0, 1.0))
    return distance * np.float32(edge)


def _projected(theta: Single, lens: str, edge: float) -> Single:
    """`_unprojected` turned round."""
    if lens == "equisolid":
        return np.sin(theta / 2.0) / np.float32(np.sin(edge / 2.0))
    if lens == "stereographic":
        return np.tan(theta / 2.0) / np.float32(np.tan(edge / 2.0))
    if lens == "orthographic":
        return np.where(theta < np.pi / 2.0, np.sin(theta) / np.float32(np.sin(edge)), 9.0)
    return theta / np.float32(edge)


def _wide_field(dice: Dice, size: float) -> _Scene:
    """A rectangular picture that looks somewhere, often not far above the horizon."""
    columns = int(size * dice.uniform(0.9, 1.3))
    rows = int(columns * dice.choice([9 / 16, 3 / 4, 2 / 3, 1.0]))
    half = np.deg2rad(dice.uniform(28.0, 60.0))
    column, row = np.meshgrid(np.arange(columns, dtype=np.float32), np.arange(rows, dtype=np.float32))
    dx = (column - columns / 2.0) / np.float32(columns / 2.0)
    dy = (row - rows / 2.0) / np.float32(columns / 2.0)
    distance = np.hypot(dx, dy)
    theta = np.minimum(distance * np.float32(half), np.float32(1.5))
    across = np.sin(theta) / np.maximum(distance, 1e-6)
    turn = _turned(dice, 90.0 - dice.uniform(25.0, 90.0))
    east, north, up = np.tensordot(
        turn.astype(np.float32), np.stack([dx * across, -dy * across, np.cos(theta)]), axes=1
    )
    flat = np.zeros_like(distance)
    return _Scene(east, north, up, flat, None, columns, rows, "wide field", float(np.rad2deg(half)), turn)


def _turned(dice: Dice, tilt_deg: float) -> NDArray[np.float64]:
    """Camera to sky: tilted from the zenith, then turned about it by any angle; the picture's top stays up."""
    tilt, roll = np.deg2rad(tilt_deg), dice.uniform(0.0, 2.0 * np.pi)
    lean = np.array([[1, 0, 0], [0, np.cos(tilt), np.sin(tilt)], [0, -np.sin(tilt), np.cos(tilt)]])
    # the axis leans towards -y of the camera's upper edge: what is up in the picture is higher in the sky
    lean = lean.T if tilt_deg > 0 else lean
    return np.array([[np.cos(roll), -np.sin(roll), 0], [np.sin(roll), np.cos(roll), 0], [0, 0, 1.0]]) @ lean


# --- clouds ---------------------------------------------------------------------------------------------------------


@cache
def _textures(family: str) -> list[Single]:
    """Periodic fields of a family, ranks 0 to 1, drawn once."""
    dice = np.random.default_rng(sum(map(ord, family)))
    return [_texture(dice, family) for _ in range(12)]


def _texture(dice: Dice, family: str) -> Single:
    """One periodic field with ranks 0 to 1, so that a threshold is a share of the sky."""
    frequency = np.hypot(
        np.fft.fftfreq(_TEXTURE)[:, None] * _TEXTURE, (np.fft.rfftfreq(_TEXTURE) * _TEXTURE)[None, :]
    ).astype(np.float32)
    frequency[0, 0] = 1.0
    noise = np.fft.rfft2(dice.normal(size=(_TEXTURE, _TEXTURE)))
    slope = dice.uniform(1.15, 1.9)
    field_ = np.fft.irfft2(noise * frequency**-slope * (frequency >= 4.0))
    if family == "rows":
        ring = np.exp(-0.5 * ((frequency - dice.uniform(14.0, 30.0)) / dice.uniform(2.0, 7.0)) ** 2)
        field_ = field_ / field_.std() + dice.uniform(0.5, 1.2) * _unit(np.fft.irfft2(noise[::-1] * ring))
    elif family == "billows":
        other = np.fft.irfft2(np.fft.rfft2(dice.normal(size=(_TEXTURE, _TEXTURE))) * frequency**-1.5)
        field_ = -np.abs(_unit(field_)) + 0.4 * np.abs(_unit(other))
    elif family == "cells":
        points = dice.uniform(0, _TEXTURE, (int(dice.integers(60, 240)), 2))
        mark = np.ones((_TEXTURE, _TEXTURE), dtype=bool)
        mark[points[:, 0].astype(int), points[:, 1].astype(int)] = False
        far = ndimage.distance_transform_edt(np.tile(mark, (3, 3)))[_TEXTURE : 2 * _TEXTURE, _TEXTURE : 2 * _TEXTURE]
        field_ = -far / far.std() + 0.5 * _unit(field_)
    elif family == "puffs":
        field_ = _unit(np.maximum(_unit(field_), 0.0) ** 2)
    ranks = np.empty(_TEXTURE * _TEXTURE, dtype=np.float32)
    ranks[np.argsort(field_.ravel())] = np.linspace(0.0, 1.0, ranks.size, dtype=np.float32)
    return ranks.reshape(_TEXTURE, _TEXTURE)


def _unit(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return (values - values.mean()) / values.std()


def _sampled(dice: Dice, scene: _Scene, family: str, stretch: float, scale: float) -> Single:
    """A family's field as seen from below on a curved layer."""
    texture = _textures(family)[int(dice.integers(12))]
    flat = 1.0 / (np.maximum(scene.z, 0.0) + np.float32(dice.uniform(0.06, 0.16)))
    angle = dice.uniform(0.0, 2.0 * np.pi)
    c, s = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    along, across = (c * scene.x + s * scene.y) * flat, (-s * scene.x + c * scene.y) * flat
    offset = dice.uniform(0.0, _TEXTURE, 2)
    coordinates = np.stack([along * np.float32(scale / stretch) + offset[0], across * np.float32(scale) + offset[1]])
    values: Single = ndimage.map_coordinates(texture, coordinates, order=1, mode="grid-wrap", output=np.float32)
    return values


def _clouds(dice: Dice, scene: _Scene, family: str) -> tuple[Single, str]:
    """The optical depth of the clouds in each pixel, and what the sky is called: clear, overcast or a family."""
    cover = dice.choice([0.0, 1.0, dice.uniform(0.02, 0.5), dice.uniform(0.3, 0.98)], p=[0.27, 0.18, 0.25, 0.3])
    if cover == 0.0:
        return np.zeros_like(scene.x), "clear"
    stretch, scale = _layout(dice, family)
    field_ = _sampled(dice, scene, family, stretch, scale)
    finer = dice.uniform(0.0, 0.35)
    field_ = (1.0 - finer) * field_ + finer * _sampled(dice, scene, "fractal", 1.0, 3.0 * scale)
    thickest = float(np.exp(dice.uniform(np.log(0.35 if family == "cirrus" else 0.7), np.log(9.0))))
    if cover == 1.0:
        depth = thickest * (0.35 + dice.uniform(0.05, 1.0) * field_) + 0.45
        return depth.astype(np.float32), "overcast"
    edge = float(np.exp(dice.uniform(np.log(0.04), np.log(0.9))))
    rise = np.clip((field_ - np.float32(1.0 - cover)) / np.float32(edge), 0.0, 1.0)
    depth = thickest * rise ** np.float32(dice.uniform(0.7, 1.8))
    if dice.random() < 0.3:  # a second, thinner layer
        other = _sampled(dice, scene, "cirrus", dice.uniform(2.0, 6.0), dice.uniform(20.0, 60.0))
        depth += dice.uniform(0.1, 1.0) * np.clip((other - dice.uniform(0.3, 0.8)) / 0.4, 0.0, 1.0)
    if dice.random() < 0.25:  # a front: on one side only
        side = dice.uniform(0.0, 2.0 * np.pi)
        place = (
            scene.x * np.float32(np.cos(side))
            + scene.y * np.float32(np.sin(side))
            - np.float32(dice.uniform(-0.6, 0.6))
        )
        depth *= np.clip(place / np.float32(dice.uniform(0.05, 0.4)) + 0.5, 0.0, 1.0)
    return depth.astype(np.float32), family


def _layout(dice: Dice, family: str) -> tuple[float, float]:
    """How drawn out the field is, and how many of its cells make a unit of the layer."""
    scale = float(np.exp(dice.uniform(np.log(20.0), np.log(180.0))))
    if family == "cirrus":
        return dice.uniform(2.5, 8.0), scale
    if family == "sheet":
        return dice.uniform(1.0, 3.0), 0.3 * scale
    if family == "rows":
        return dice.uniform(1.0, 2.5), dice.uniform(15.0, 60.0)
    return dice.uniform(1.0, 1.6), scale


# --- light ----------------------------------------------------------------------------------------------------------


def _direction(dice: Dice, low_deg: float, high_deg: float) -> NDArray[np.float64]:
    altitude, azimuth = np.deg2rad(dice.uniform(low_deg, high_deg)), dice.uniform(0.0, 2.0 * np.pi)
    return np.array([np.cos(altitude) * np.cos(azimuth), np.cos(altitude) * np.sin(azimuth), np.sin(altitude)])


def _night(dice: Dice, scene: _Scene, depth: Single) -> Single:
    """The sky's light through and from the clouds; 1 is the airglow overhead."""
    height = np.maximum(scene.z, 0.02)
    through = np.exp(-depth)
    sky = 1.0 + dice.uniform(0.0, 1.2) * (1.0 / np.maximum(height, 0.18) - 1.0) * np.float32(0.35)
    cloud = np.full_like(sky, dice.uniform(0.05, 0.7))
    sky += _milky_way(dice, scene)
    for part in (_towns, _moon, _twilight):
        more_sky, more_cloud = part(dice, scene, height, depth)
        sky += more_sky
        cloud += more_cloud
    if dice.random() < 0.25:  # airglow in waves: no cloud, though it looks like some
        waves = _sampled(dice, scene, "rows" if dice.random() < 0.5 else "fractal", 2.0, dice.uniform(6.0, 25.0))
        sky *= 1.0 + dice.uniform(0.05, 0.3) * (waves - 0.5)
    body = 1.0 - np.exp(-depth * np.float32(dice.uniform(0.4, 1.5)))
    texture = 1.0 + dice.uniform(0.0, 0.5) * np.tanh(0.5 * depth - 1.0)
    light: Single = (sky * through + cloud * body * texture).astype(np.float32)
    light *= np.exp(-np.float32(dice.uniform(0.0, 0.25)) / height)
    if dice.random() < 0.06:  # aurora
        light += dice.uniform(0.3, 4.0) * _sampled(dice, scene, "cirrus", 6.0, 30.0) ** 3 * (1.0 - height)
    return light


def _milky_way(dice: Dice, scene: _Scene) -> Single:
    """A patchy band along a great circle, brightest at its centre."""
    strength = float(np.exp(dice.uniform(np.log(0.02), np.log(0.9))))
    pole = _direction(dice, -90.0, 90.0)
    centre = np.cross(pole, _direction(dice, -90.0, 90.0))
    centre /= max(1e-9, float(np.linalg.norm(centre)))
    scene.facts.update({f"pole{axis}": float(pole[axis]) for axis in range(3)})
    latitude = scene.x * pole[0] + scene.y * pole[1] + scene.z * pole[2]
    towards = scene.x * centre[0] + scene.y * centre[1] + scene.z * centre[2]
    band = np.exp(-0.5 * (latitude / np.float32(dice.uniform(0.07, 0.2))) ** 2) * (0.45 + 0.55 * towards)
    rift = 1.0 - 0.6 * np.exp(-0.5 * (latitude / 0.05) ** 2) * (towards > 0.1)
    patches = _sampled(dice, scene, "fractal", 1.5, dice.uniform(25.0, 80.0))
    glow: Single = (strength * np.maximum(band, 0.0) * rift * (0.5 + patches)).astype(np.float32)
    return glow


def _towns(dice: Dice, scene: _Scene, height: Single, depth: Single) -> tuple[Single, Single]:
    """Domes of light on the horizon; clouds are lit from below, most where the dome is."""
    level = float(np.exp(dice.uniform(np.log(0.01), np.log(25.0))))
    dome = np.zeros_like(height)
    for _ in range(int(dice.integers(0, 4))):
        azimuth, wide = dice.uniform(0.0, 2.0 * np.pi), dice.uniform(0.2, 1.5)
        flat = np.sqrt(np.maximum(1.0 - height**2, 1e-6))
        along = (scene.x * np.float32(np.cos(azimuth)) + scene.y * np.float32(np.sin(azimuth))) / flat
        dome += dice.uniform(0.2, 1.0) * np.exp((along - 1.0) / wide - height / np.float32(dice.uniform(0.08, 0.5)))
    sky = level * (dice.uniform(0.05, 0.5) + dome * dice.uniform(0.3, 2.0))
    cloud = level * dice.uniform(0.3, 4.0) * (0.6 + dome * dice.uniform(0.3, 3.0))
    return sky.astype(np.float32), cloud.astype(np.float32)


def _moon(dice: Dice, scene: _Scene, height: Single, depth: Single) -> tuple[Single, Single]:
    """The Moon, in a third of the pictures: its scattered light, halo, ghosts, and clouds lit by it."""
    nothing = np.zeros_like(height)
    if dice.random() > 0.35:
        return nothing, nothing
    place = _direction(dice, 3.0, 88.0)
    level = float(np.exp(dice.uniform(np.log(0.1), np.log(30.0))))
    far = scene.towards(place)
    sky = level * (0.25 + np.exp(-far / dice.uniform(0.08, 0.3)) * dice.uniform(1.0, 6.0) + 0.4 * np.exp(-far / 0.8))
    cloud = level * dice.uniform(0.3, 2.5) * (0.5 + dice.uniform(1.0, 6.0) * np.exp(-far / dice.uniform(0.15, 0.6)))
    cloud *= np.exp(-0.25 * np.minimum(depth, 8.0))  # thick clouds are darker from below, their edges shine
    disc = 400.0 * level * np.exp(-((far / dice.uniform(0.012, 0.05)) ** 2)) * np.exp(-0.7 * depth)
    if dice.random() < 0.2:
        sky += level * dice.uniform(0.1, 0.6) * np.exp(-0.5 * ((far - 0.384) / 0.012) ** 2)
    # the disc is divided by what the clouds let through: it is multiplied by that with the sky's light again
    whole = sky + disc * np.exp(depth).clip(0, 50.0) + _ghosts(dice, scene, place, level)
    return whole.astype(np.float32), cloud.astype(np.float32)


def _ghosts(dice: Dice, scene: _Scene, place: NDArray[np.float64], level: float) -> Single:
    """Reflections in the lens, on the other side of the middle."""
    ghosts = np.zeros_like(scene.z)
    if dice.random() < 0.5:
        return ghosts
    axis = scene.turn @ np.array([0.0, 0.0, 1.0])
    for _ in range(int(dice.integers(1, 4))):
        mirrored = axis + (axis - place) * dice.uniform(-0.5, 1.2)
        mirrored /= np.linalg.norm(mirrored)
        size = dice.uniform(0.03, 0.25)
        far = scene.towards(mirrored)
        ring = np.exp(-0.5 * ((far - size) / 0.012) ** 2) if dice.random() < 0.4 else (far < size).astype(np.float32)
        ghosts += level * dice.uniform(0.03, 0.4) * ring
    return ghosts


def _twilight(dice: Dice, scene: _Scene, height: Single, depth: Single) -> tuple[Single, Single]:
    """The last or first light on one side, in a sixth of the pictures."""
    nothing = np.zeros_like(height)
    if dice.random() > 0.17:
        return nothing, nothing
    azimuth = dice.uniform(0.0, 2.0 * np.pi)
    level = float(np.exp(dice.uniform(np.log(0.3), np.log(100.0))))
    side = scene.x * np.float32(np.cos(azimuth)) + scene.y * np.float32(np.sin(azimuth))
    sky = level * np.exp(dice.uniform(0.3, 1.6) * side - height / np.float32(dice.uniform(0.25, 1.5)))
    cloud = level * dice.uniform(0.15, 2.0) * np.exp(dice.uniform(0.2, 1.5) * side)
    return sky.astype(np.float32), cloud.astype(np.float32)


# --- stars ----------------------------------------------------------------------------------------------------------


def _with_stars(dice: Dice, scene: _Scene, stars: Stars, light: Single, depth: Single) -> Single:
    """The stars of a random place and time through the clouds, on top of the light; sets the noise beside them."""
    turn, _ = np.linalg.qr(dice.normal(size=(3, 3)))
    vectors, magnitudes = stars.vectors @ turn.T, stars.magnitudes
    limit = dice.uniform(1.8, 7.5)
    if limit > _CATALOGUED:
        fainter = int(min(9_000, 3000 * 10 ** (0.45 * (limit + 0.5 - _CATALOGUED))))
        random = dice.normal(size=(fainter, 3))
        vectors = np.concatenate([vectors, random / np.linalg.norm(random, axis=1)[:, None]])
        rank = dice.random(fainter) * (10 ** (0.45 * (limit + 0.5 - _CATALOGUED)) - 1.0)
        magnitudes = np.concatenate([magnitudes, _CATALOGUED + np.log10(1.0 + rank) / 0.45])
    chosen = (vectors[:, 2] > 0.01) & (magnitudes < limit + 1.2)
    vectors, magnitudes = vectors[chosen], magnitudes[chosen]
    x, y, inside = _placed(scene, vectors)
    x, y, magnitudes, up = x[inside], y[inside], magnitudes[inside], vectors[inside, 2]
    grain = float(np.median(light[scene.radius <= 1.0])) * float(np.exp(dice.uniform(np.log(0.003), np.log(0.15))))
    scene.facts["grain"] = grain
    row = np.clip(np.rint(y).astype(np.int64), 0, scene.height - 1)
    column = np.clip(np.rint(x).astype(np.int64), 0, scene.width - 1)
    extinction = np.exp(-depth[row, column]) * 10 ** (-0.08 / np.maximum(up, 0.05))
    peak = 5.0 * grain * 10 ** (-0.4 * (magnitudes - limit)) * extinction * dice.uniform(0.7, 1.4, x.size)
    sigma = float(np.exp(dice.uniform(np.log(0.5), np.log(1.9))))
    _splat(light, x, y, peak.astype(np.float32), sigma, dice.uniform(0.0, 0.6) if dice.random() < 0.3 else 0.0, scene)
    return light


def _placed(
    scene: _Scene, vectors: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    """Pixels of directions, and which lie in the picture."""
    in_camera = vectors @ scene.turn  # the inverse of a rotation is its transpose
    theta = np.arccos(np.clip(in_camera[:, 2], -1.0, 1.0))
    edge = np.deg2rad(scene.zenith_deg)
    distance = np.asarray(
        _projected(theta, "equidistant" if scene.circle is None else scene.lens, edge), dtype=np.float64
    )
    flat = np.maximum(np.hypot(in_camera[:, 0], in_camera[:, 1]), 1e-9)
    if scene.circle is None:
        x0, y0, radius = scene.width / 2.0, scene.height / 2.0, scene.width / 2.0
        inside = distance < 1.6
    else:
        x0, y0, radius = scene.circle
        inside = distance < 1.0
    x = x0 + radius * distance * in_camera[:, 0] / flat
    y = y0 - radius * distance * in_camera[:, 1] / flat
    inside &= (x > -0.5) & (x < scene.width - 0.5) & (y > -0.5) & (y < scene.height - 0.5)
    return x, y, inside


def _splat(
    light: Single,
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    peak: Single,
    sigma: float,
    smear: float,
    scene: _Scene,
) -> None:
    """Add Gaussians; where `smear` is not 0 they grow towards the edge."""
    column, row = np.rint(x).astype(np.int64), np.rint(y).astype(np.int64)
    reach = 4
    offsets = np.arange(-reach, reach + 1)
    wide = sigma * (
        1.0 + smear * 2.0 * scene.radius[np.clip(row, 0, scene.height - 1), np.clip(column, 0, scene.width - 1)] ** 2
    )
    along_x = np.exp(-0.5 * ((offsets[None, :] + (column - x)[:, None]) / wide[:, None]) ** 2)
    along_y = np.exp(-0.5 * ((offsets[None, :] + (row - y)[:, None]) / wide[:, None]) ** 2)
    values = (peak * (sigma / wide) ** 2).astype(np.float32)[:, None, None] * along_y[:, :, None] * along_x[:, None, :]
    rows = row[:, None, None] + offsets[None, :, None]
    columns = column[:, None, None] + offsets[None, None, :]
    ok = (rows >= 0) & (rows < scene.height) & (columns >= 0) & (columns < scene.width)
    flat = np.broadcast_to(rows, ok.shape)[ok] * scene.width + np.broadcast_to(columns, ok.shape)[ok]
    light += np.bincount(flat, weights=values[ok], minlength=light.size).reshape(light.shape).astype(np.float32)


# --- foreground -----------------------------------------------------------------------------------------------------


def _foreground(dice: Dice, scene: _Scene, light: Single) -> NDArray[np.bool_]:
    """Ground, trees, houses, masts: darkens `light` in place and returns where they are."""
    front = scene.z < np.sin(np.deg2rad(dice.uniform(-3.0, 1.0)))
    if dice.random() < 0.75:
        azimuth = np.arctan2(scene.x, scene.y)
        profile = np.deg2rad(_profile(dice))
        index = ((azimuth / (2.0 * np.pi) % 1.0) * profile.size).astype(np.int64) % profile.size
        front |= scene.z < np.sin(profile)[index]
    level = np.median(light) * float(np.exp(dice.uniform(np.log(0.01), np.log(0.5))))
    if dice.random() < 0.2:
        level *= dice.uniform(2.0, 8.0)  # lit by lamps
    bark = _sampled(dice, scene, "fractal", 1.0, 150.0) if dice.random() < 0.5 else np.float32(0.5)
    light[front] = (level * (0.5 + np.broadcast_to(bark, light.shape)[front])).astype(np.float32)
    _wires(dice, scene, light, front)
    for _ in range(int(dice.integers(0, 4)) if dice.random() < 0.3 else 0):  # lamps
        x, y = dice.integers(0, scene.width), dice.integers(0, scene.height)
        if front[y, x]:
            light[max(0, y - 1) : y + 2, max(0, x - 1) : x + 2] += np.median(light) * dice.uniform(3.0, 100.0)
    return front


def _profile(dice: Dice) -> NDArray[np.float64]:
    """The altitude of the skyline, degrees, by azimuth: hills, trees, houses."""
    count = 720
    waves = np.fft.rfft(dice.normal(size=count)) * np.maximum(np.arange(count // 2 + 1), 1.0) ** -dice.uniform(0.7, 1.6)
    rough = np.fft.irfft(waves)
    profile = dice.uniform(-3.0, 8.0) + dice.uniform(1.0, 9.0) * rough / max(1e-9, float(rough.std()))
    for _ in range(int(dice.integers(0, 3))):
        start, wide = int(dice.integers(count)), int(dice.integers(5, 90))
        profile[np.arange(start, start + wide) % count] = dice.uniform(5.0, 38.0)
    return np.clip(profile, -5.0, 45.0)


def _wires(dice: Dice, scene: _Scene, light: Single, front: NDArray[np.bool_]) -> None:
    """Masts and wires: thin and dark; too thin to be foreground in the map."""
    for _ in range(int(dice.integers(1, 4)) if dice.random() < 0.15 else 0):
        angle, offset = dice.uniform(0.0, np.pi), dice.uniform(-0.5, 0.5) * min(scene.width, scene.height)
        row, column = np.indices(light.shape, dtype=np.float32)
        away = (column - scene.width / 2) * np.float32(np.cos(angle)) + (row - scene.height / 2) * np.float32(
            np.sin(angle)
        )
        line = np.abs(away - offset) < dice.uniform(0.5, 2.0)
        light[line] *= np.float32(dice.uniform(0.05, 0.6))


# --- camera ---------------------------------------------------------------------------------------------------------


def _taken(dice: Dice, scene: _Scene, light: Single, is_wet: bool) -> Single:
    """What camera, software and file format make of the light: values as a file would hold them."""
    grain = scene.facts.get("grain", 0.02 * float(np.median(light)))
    middle = max(float(np.median(light[scene.radius <= 1.0])), 1e-9)
    if is_wet:
        light = _wet(dice, light)
    light = light * (1.0 - dice.uniform(0.0, 0.6) * np.minimum(scene.radius, 1.0) ** dice.uniform(1.5, 4.0))
    if scene.circle is None:
        row, column = np.indices(light.shape, dtype=np.float32)
        corner = np.hypot(column / scene.width - 0.5, row / scene.height - 0.5) / 0.707
        light = light * (1.0 - dice.uniform(0.0, 0.6) * corner ** dice.uniform(1.5, 4.0))
    else:
        light = _surround(dice, scene, light, middle)
    read = grain * dice.uniform(0.2, 0.9)
    photon = np.sqrt(max(grain**2 - read**2, 0.0) / middle)
    noise = dice.normal(size=light.shape).astype(np.float32)
    if dice.random() < 0.12:  # a stack of maxima, as meteor cameras keep
        noise = np.float32(1.3) * np.maximum(noise, np.roll(noise, 7, axis=1)) + np.float32(1.0)
    picture = light + noise * np.sqrt(read**2 + photon**2 * np.maximum(light, 0.0))
    if dice.random() < 0.15:
        picture = ndimage.gaussian_filter(picture, dice.uniform(0.4, 0.9))
    for _ in range(int(dice.integers(1, 4)) if dice.random() < 0.1 else 0):
        _trail(dice, picture, grain)
    hot = dice.random(light.shape) < float(dice.choice([0.0, 1e-5, 2e-4, 1e-3], p=[0.35, 0.25, 0.2, 0.2]))
    picture[hot] += grain * dice.exponential(12.0, int(hot.sum()))
    return _filed(dice, scene, picture.astype(np.float32), middle, grain)


def _surround(dice: Dice, scene: _Scene, light: Single, middle: float) -> Single:
    """Dark outside the circle; often a paler ring around it, and a soft edge."""
    soft = dice.uniform(0.004, 0.05)
    edge = np.clip((1.0 + soft - scene.radius) / np.float32(2.0 * soft) + 0.5 * 0.0, 0.0, 1.0)
    light = light * edge
    if dice.random() < 0.5:
        ring = (scene.radius > 1.0) & (scene.radius < dice.uniform(1.02, 1.15))
        light[ring] += middle * dice.uniform(0.01, 0.12)
    return light


def _wet(dice: Dice, light: Single) -> Single:
    """Dew or frost on the window: everything blurred, lamps and Moon drawn into blotches."""
    blurred = ndimage.gaussian_filter(light, dice.uniform(0.01, 0.05) * max(light.shape))
    drops = ndimage.gaussian_filter(dice.normal(size=light.shape), dice.uniform(0.004, 0.02) * max(light.shape))
    blotches = 1.0 + dice.uniform(0.0, 0.35) * np.tanh(drops / max(1e-9, float(drops.std())))
    share = dice.uniform(0.85, 1.0)
    return ((share * blurred + (1.0 - share) * light) * blotches).astype(np.float32)


def _trail(dice: Dice, picture: Single, grain: float) -> None:
    """An aircraft, a satellite or a meteor."""
    height, width = picture.shape
    x, y, angle = dice.uniform(0, width), dice.uniform(0, height), dice.uniform(0, 2 * np.pi)
    steps = np.arange(0.0, dice.uniform(0.05, 0.7) * width, 0.5)
    column, row = (x + steps * np.cos(angle)).astype(int), (y + steps * np.sin(angle)).astype(int)
    ok = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    picture[row[ok], column[ok]] += grain * dice.uniform(3.0, 60.0)


def _filed(dice: Dice, scene: _Scene, picture: Single, middle: float, grain: float) -> Single:
    """Sixteen bits as they are, or eight bits stretched, with captions, through JPEG."""
    if dice.random() < 0.25:
        scale = dice.uniform(150.0, 12_000.0) / middle
        return np.clip(np.rint(picture * scale + dice.uniform(50.0, 1500.0)), 0, 65535).astype(np.float32)
    low = -dice.uniform(0.0, 3.0) * grain if dice.random() < 0.7 else dice.uniform(0.0, 0.4) * middle
    stretch = dice.uniform(0.35, 1.1)
    level = dice.uniform(12.0, 150.0) / 255.0
    values = np.clip((picture - low) / (middle - low), 0.0, None) ** np.float32(stretch) * np.float32(level)
    if dice.random() < 0.2:  # a soft shoulder instead of a hard clip
        values = np.tanh(values * 1.1) / np.tanh(1.1)
    bytes_ = np.clip(np.rint(values * 255.0 + dice.uniform(0.0, 12.0)), 0, 255).astype(np.uint8)
    image = Image.fromarray(bytes_)
    if dice.random() < 0.5:
        _caption(dice, scene, image)
    if dice.random() < 0.75:
        stream = io.BytesIO()
        image.save(stream, "JPEG", quality=int(dice.integers(45, 97)))
        image = Image.open(stream)
    return np.asarray(image).astype(np.float32)


def _caption(dice: Dice, scene: _Scene, image: Image.Image) -> None:
    """Date and exposure in a corner, letters of the compass on the circle."""
    pen = ImageDraw.Draw(image)
    ink = int(dice.integers(120, 256))
    size = float(dice.uniform(8.0, 8.0 + 0.03 * scene.height))
    lines = [
        f"2025-0{dice.integers(1, 9)}-1{dice.integers(0, 9)} 2{dice.integers(0, 4)}:{dice.integers(10, 59)}:07",
        f"Exp {dice.integers(1, 90)} s",
        f"Gain {dice.integers(0, 400)}",
        "Allsky",
    ][: int(dice.integers(1, 5))]
    x = float(dice.choice([4.0, scene.width - 9.0 * size]))
    y = float(dice.choice([4.0, scene.height - (1.3 * len(lines)) * size - 4.0]))
    for index, text in enumerate(lines):
        pen.text((x, y + 1.25 * size * index), text, fill=ink, font_size=size)
    if scene.circle is not None and dice.random() < 0.5:
        turn = dice.uniform(0.0, 2.0 * np.pi)
        for index, letter in enumerate("NESW"):
            angle = turn + index * np.pi / 2.0
            place = [
                scene.circle[i] + 0.93 * scene.circle[2] * part for i, part in enumerate((np.cos(angle), np.sin(angle)))
            ]
            pen.text((place[0], place[1]), letter, fill=ink, font_size=1.4 * size, anchor="mm")


# --- not a night sky ------------------------------------------------------------------------------------------------


def _day(dice: Dice, scene: _Scene) -> Drawn:
    """Daylight: a bright sky without stars, next to no noise, a foreground in the sun."""
    family = str(dice.choice(["fractal", "cirrus", "sheet", "puffs"]))
    depth, _ = _clouds(dice, scene, family)
    height = np.maximum(scene.z, 0.02)
    far = scene.towards(_direction(dice, -4.0, 80.0))
    sky = 0.6 + 0.5 * (1.0 - height) ** 2 + dice.uniform(0.5, 3.0) * np.exp(-far / dice.uniform(0.1, 0.4))
    sky += 30.0 * np.exp(-((far / dice.uniform(0.02, 0.09)) ** 2))
    cloud = dice.uniform(0.8, 2.2) * (1.0 + 1.5 * np.exp(-far / 0.4)) * np.exp(-0.12 * np.minimum(depth, 8.0))
    light = (sky * np.exp(-depth) + cloud * (1.0 - np.exp(-depth))).astype(np.float32)
    front = _foreground(dice, scene, light)
    bright = dice.uniform(0.15, 0.9) * (0.4 + 1.2 * _sampled(dice, scene, "fractal", 1.0, 200.0))
    light[front] = bright[front]
    scene.facts["grain"] = float(np.median(light)) * dice.uniform(0.001, 0.008)
    if dice.random() < 0.3:
        light *= np.float32(dice.uniform(1.5, 20.0))  # overexposed, as night settings are by day
        light = np.minimum(light, np.float32(1.6))
    picture = _taken(dice, scene, light, False)
    return _labelled(dice, scene, picture, depth, front, (1.0, 0.0, 0.0), "day")


def _shut(dice: Dice, scene: _Scene) -> Drawn:
    """Nothing of the sky: a closed roof, a cap, or no light at all; often a leak, a lamp, beams of the roof."""
    light = np.full((scene.height, scene.width), 1e-3, dtype=np.float32)
    kind = dice.random()
    if kind < 0.6:  # the roof from below, dimly lit
        light += dice.uniform(0.02, 1.0) * (0.5 + 0.5 * scene.z) ** dice.uniform(0.0, 2.0)
        for _ in range(int(dice.integers(1, 8))):
            angle, offset = dice.uniform(0, np.pi), dice.uniform(-1.0, 1.0)
            away = (
                scene.x * np.float32(np.cos(angle))
                + scene.y * np.float32(np.sin(angle))
                - offset * np.maximum(scene.z, 0.05)
            )
            light[np.abs(away) < dice.uniform(0.005, 0.05)] *= np.float32(dice.uniform(0.2, 2.5))
        for _ in range(int(dice.integers(0, 3))):
            far = scene.towards(_direction(dice, 0.0, 60.0))
            light += dice.uniform(0.1, 2.0) * np.exp(-far / np.float32(dice.uniform(0.01, 0.2)))
    elif kind < 0.8 and scene.circle is not None:
        scene.radius[:] = 0.0  # a cap: the circle is not seen either
    scene.facts["grain"] = float(np.median(light)) * dice.uniform(0.02, 0.4) + 1e-3
    picture = _taken(dice, scene, light, False)
    front = np.zeros(light.shape, dtype=bool)
    return _labelled(dice, scene, picture, np.zeros_like(scene.x), front, (0.0, 1.0, 0.0), "shut")
