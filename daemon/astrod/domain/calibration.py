"""Calibration frames: which dark, bias, flat and flat-dark each frame needs, and how that compares with what there is.

A dark takes away what the sensor gives without light, so it must have the light's exposure, gain, offset, binning and
temperature; a bias the same at no exposure; a flat takes away vignetting and dust, so it must have the filter, the
binning and the camera's rotation; and a flat has a dark of its own, of its own length.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

from astrod.domain.exposure import Intent

CalibrationKind = Literal["bias", "dark", "flat_dark", "flat"]
KINDS: tuple[CalibrationKind, ...] = get_args(CalibrationKind)
DARK_KINDS: tuple[CalibrationKind, ...] = ("bias", "dark", "flat_dark")
FOLDERS: Mapping[str, str] = {"bias": "biases", "dark": "darks", "flat_dark": "flat_darks", "flat": "flats"}
"""Where frames of a kind lie below their night's folder; lights lie in the night's folder itself."""

WITHIN_C = 1.0
WITHIN_EXPOSURE = 0.02
WITHIN_ROTATION_DEG = 2.0
DAY_FLAT_DARK = 0.25
"""Flats have lengths of all sorts; a dark within this share of a flat's length serves it."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """What makes two calibration frames interchangeable. `exposure_s` is 0 for a bias and for any flat.

    None means *not set*, which equals only itself. `temperature_c` is what the cooler was set to.
    """

    kind: CalibrationKind
    rig: str
    train: str
    exposure_s: float = 0.0
    binning: int = 1
    gain: float | None = None
    offset: float | None = None
    temperature_c: float | None = None
    filter: str | None = None
    rotation_deg: float | None = None

    def __post_init__(self) -> None:
        if self.kind in ("bias", "flat") and self.exposure_s != 0.0:
            raise ValueError(f"a recipe for a {self.kind} has no exposure, not {self.exposure_s} s")

    def __str__(self) -> str:
        words = [self.kind.replace("_", "-"), f"{self.exposure_s:g} s" if self.exposure_s else "", self.filter or ""]
        words += [f"{self.temperature_c:+g} C" if self.temperature_c is not None else ""]
        words += [f"gain {self.gain:g}" if self.gain is not None else "", f"bin {self.binning}", self.train]
        return " ".join(word for word in words if word)


@dataclass(frozen=True, slots=True)
class Stock:
    """So many frames of one recipe; `kind` "light" frames are counted by the recipe of the dark they need."""

    recipe: Recipe
    count: int


@dataclass(frozen=True, slots=True)
class Rules:
    """How many frames of each kind make a master, and after how many days they are too old."""

    counts: Mapping[CalibrationKind, int]
    days: Mapping[CalibrationKind, float]


@dataclass(frozen=True, slots=True)
class Need:
    """One line of the ledger: what is needed, for how many frames, and what there is of it."""

    recipe: Recipe
    frames: int
    wanted: int
    has: int
    expired: int

    @property
    def missing(self) -> int:
        """How many are to be taken."""
        return max(0, self.wanted - self.has)

    @property
    def standing(self) -> Literal["has", "lacks", "expired"]:
        """`expired` where there were enough and time has passed."""
        if not self.missing:
            return "has"
        return "expired" if self.has + self.expired >= self.wanted else "lacks"


def made_as(frame: Intent) -> Recipe:
    """The recipe by which a calibration frame was made. Raises ValueError for another kind of frame."""
    if frame.kind not in KINDS:
        raise ValueError(f"{frame.id} is a {frame.kind} frame, which calibrates nothing")
    kind: CalibrationKind = frame.kind
    return _recipe(frame, kind)


def needed_by(frame: Intent) -> tuple[Recipe, ...]:
    """What a frame is calibrated with: a light by three kinds, a flat by a dark of its length; others by nothing."""
    if frame.kind == "light":
        return _recipe(frame, "bias"), _recipe(frame, "dark"), _recipe(frame, "flat")
    return (_recipe(frame, "flat_dark"),) if frame.kind == "flat" else ()


def _recipe(frame: Intent, kind: CalibrationKind) -> Recipe:
    recipe = Recipe(
        kind,
        frame.rig,
        frame.train,
        binning=frame.binning,
        gain=frame.gain,
        offset=frame.offset,
        temperature_c=frame.temperature_c,
    )
    if kind == "flat":  # a flat may be warmer than its lights: vignetting has no temperature
        return replace(recipe, temperature_c=None, filter=frame.filter, rotation_deg=frame.rotation_deg)
    return recipe if kind == "bias" else replace(recipe, exposure_s=frame.exposure_s)


def serves(made: Recipe, wanted: Recipe) -> bool:
    """Whether a frame made by one recipe may stand for another."""
    same = ("kind", "rig", "train", "binning", "gain", "offset", "filter")
    if any(getattr(made, name) != getattr(wanted, name) for name in same):
        return False
    share = DAY_FLAT_DARK if wanted.kind == "flat_dark" else WITHIN_EXPOSURE
    return (
        abs(made.exposure_s - wanted.exposure_s) <= share * wanted.exposure_s
        and _near(made.temperature_c, wanted.temperature_c, WITHIN_C)
        and _near_angle(made.rotation_deg, wanted.rotation_deg)
    )


def _near(a: float | None, b: float | None, within: float) -> bool:
    return a == b if a is None or b is None else abs(a - b) <= within


def _near_angle(a: float | None, b: float | None) -> bool:
    if a is None or b is None:
        return a == b
    return abs((a - b + 180.0) % 360.0 - 180.0) <= WITHIN_ROTATION_DEG


def ledger(
    frames: Sequence[tuple[Intent, int]], fresh: Sequence[Stock], stale: Sequence[Stock], rules: Rules
) -> tuple[Need, ...]:
    """What the frames need and what there is of it, in the order in which it is best taken.

    `frames` are lights and flats, one of each sort with their number. Kinds of which the rules want none are left
    out. Biases come first (they cost nothing), then what serves the most frames.
    """
    wanted: dict[Recipe, int] = {}
    for frame, count in frames:
        for recipe in needed_by(frame):
            if rules.counts.get(recipe.kind, 0) > 0:
                like = next((other for other in wanted if serves(other, recipe)), recipe)
                wanted[like] = wanted.get(like, 0) + count
    needs = [
        Need(recipe, count, rules.counts[recipe.kind], _sum(fresh, recipe), _sum(stale, recipe))
        for recipe, count in wanted.items()
    ]
    return tuple(sorted(needs, key=lambda need: (KINDS.index(need.recipe.kind), -need.frames, str(need.recipe))))


def _sum(stock: Sequence[Stock], recipe: Recipe) -> int:
    return sum(entry.count for entry in stock if serves(entry.recipe, recipe))
