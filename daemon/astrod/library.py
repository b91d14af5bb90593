"""The calibration frames at hand, of any origin: which serve a frame, and the masters made of them.

Frames are told apart by their headers. For each frame that asks, those that suit it are combined once and kept; those
that do not are refused with the reason. Nothing is written here.
"""

import math
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from astrod.domain.setup import Setup, SetupKind, dark_factor, fits, serves_flat
from astrod.errors import InputInvalid
from astrod.frames.image import Image, read_image
from astrod.frames.label import Label
from astrod.measure.calibrate import Detector, Recipe, overscan_level
from astrod.measure.level import FULL_ADU, level
from astrod.measure.masters import Master, as_flat, combine, with_hot
from astrod.measure.noise import Transfer, from_pairs, from_sky
from astrod.measure.plane import Corner, green_diagonal
from astrod.measure.sources import sky, sources

_IN_MEMORY_BYTES = 300_000_000
_FOR_FLATS: tuple[SetupKind, ...] = ("flat_dark", "dark")
_LOOK_PX, _MOST_STARS = 512, 8
_ODD_LEVEL = 0.15
"""A calibration frame whose level differs by more than this from the others' (and ten times their noise) is another."""


@dataclass(frozen=True, slots=True, eq=False)
class Pixels:
    """A frame's pixels as they are calibrated: trimmed; `levelled` where overscan was taken off.

    `greens` are the two green pixels of each 2×2 cell, None for mono.
    """

    values: NDArray[Any]
    mask: NDArray[np.bool_] | None
    levelled: bool
    image: Image
    greens: tuple[Corner, Corner] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """What a frame is calibrated with: the recipe, the detector, what was `used` by kind, in words, what is `missing`
    and why, what was `refused` and why, and what is in `doubt`.
    """

    recipe: Recipe
    detector: Detector
    used: Mapping[str, str]
    missing: tuple[str, ...]
    refused: tuple[str, ...]
    doubts: tuple[str, ...]


@dataclass(eq=False)
class _Asked:
    """The books of one frame's request."""

    used: dict[str, str] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    refused: dict[str, int] = field(default_factory=dict)
    doubts: dict[str, None] = field(default_factory=dict)

    def refuse(self, kind: SetupKind, reason: str) -> None:
        words = f"{kind.replace('_', '-')}: {reason}"
        self.refused[words] = self.refused.get(words, 0) + 1


def load(label: Label) -> Pixels:
    """Read a frame; overscan taken off and trimmed as its header says. Raises InputInvalid."""
    image = read_image(label.path)
    values, mask = image.pixels, image.mask
    levelled = False
    if label.overscan is not None:
        over = label.overscan
        part = values[over.top : over.bottom, over.left : over.right]
        if part.shape[0] == values.shape[0] and part.shape[1] < values.shape[1]:
            values = values.astype(np.float32) - overscan_level(part)
            levelled = True
    if label.image is not None:
        cut = slice(label.image.top, label.image.bottom), slice(label.image.left, label.image.right)
        values, mask = np.ascontiguousarray(values[cut]), None if mask is None else np.ascontiguousarray(mask[cut])
    greens = green_diagonal(image.bayer, image.pixels)
    if greens is not None and label.image is not None and (label.image.top + label.image.left) % 2:
        greens = ((0, 1), (1, 0)) if greens[0] == (0, 0) else ((0, 0), (1, 1))  # the trim moved the pattern by one
    return Pixels(values, mask, levelled, image, greens)


class Library:
    """Calibration frames by kind. `faults` says of each frame that was found to be of no use why.

    `linearity` is the owner's polynomial (see `measure.calibrate.Recipe`).
    """

    def __init__(self, frames: Mapping[SetupKind, Sequence[Label]], linearity: tuple[float, ...] = ()) -> None:
        self._frames = {kind: list(labels) for kind, labels in frames.items()}
        self._linearity = linearity
        self._masters: dict[tuple[str, tuple[Path, ...]], Master] = {}
        self._transfers: dict[tuple[str | None, float | None, int, int], Transfer | None] = {}
        self.faults: dict[Path, str] = {}
        self.serving: dict[Path, int] = {}

    def masters(self) -> Iterable[tuple[str, tuple[Path, ...], Master]]:
        """All masters made so far: kind, of which frames, and the master."""
        for (kind, paths), master in self._masters.items():
            yield kind, paths, master

    def setup_of(self, path: Path) -> Setup:
        """How one of the calibration frames was taken. Raises StopIteration for a frame that is none."""
        return next(label.setup for labels in self._frames.values() for label in labels if label.path == path)

    def choose(self, light: Label, pixels: Pixels) -> Choice:
        """What a light frame is calibrated with."""
        asked = _Asked()
        if light.calibrated:
            asked.missing.append("calibration: its header says that it was calibrated before")
            detector = self._detector(light, pixels, Recipe(), None)
            return Choice(Recipe(), detector, {}, tuple(asked.missing), (), ())
        bias = self._bias(light.setup, asked)
        pedestal, dark, factor = self._dark(light.setup, bias, asked)
        flat = None
        if pedestal is None and not pixels.levelled:
            if self._frames.get("flat"):
                asked.missing.append("flat: not applied, for without a bias or dark the pedestal would be divided too")
        else:
            flat = self._flat(light.setup, pixels.levelled, asked)
        recipe = Recipe(pedestal, dark, factor, flat, self._linearity if pedestal or pixels.levelled else ())
        if self._linearity and not recipe.linearity:
            asked.missing.append("linearity: not applied, the pedestal is unknown")
        detector = self._detector(light, pixels, recipe, bias)
        refused = tuple(f"{words} ({count} frames)" if count > 1 else words for words, count in asked.refused.items())
        return Choice(recipe, detector, asked.used, tuple(asked.missing), refused, tuple(asked.doubts))

    # -- kinds -----------------------------------------------------------------------------------------------

    def _suiting(self, kind: SetupKind, setup: Setup, asked: _Asked) -> list[Label]:
        """The frames of a kind that suit a setup; combined ones before raw ones."""
        suiting = []
        for label in self._frames.get(kind, []):
            if label.path in self.faults:
                asked.refuse(kind, self.faults[label.path])
                continue
            found = fits(kind, label.setup, setup)
            if found.refused is not None:
                asked.refuse(kind, found.refused)
                continue
            asked.doubts.update(dict.fromkeys(f"{kind.replace('_', '-')}: {doubt}" for doubt in found.doubts))
            suiting.append(label)
        combined = [label for label in suiting if label.combined > 1]
        return [max(combined, key=lambda label: label.combined)] if combined else suiting

    def _bias(self, setup: Setup, asked: _Asked) -> Master | None:
        labels = self._suiting("bias", setup, asked)
        return self._master("bias", labels, asked) if labels else None

    def _dark(self, setup: Setup, bias: Master | None, asked: _Asked) -> tuple[Master | None, Master | None, float]:
        """The pedestal, a dark without it, and that one's factor."""
        ranked: list[tuple[float, float, list[Label]]] = []
        for seconds, labels in _by_exposure(self._suiting("dark", setup, asked)):
            factor = dark_factor(seconds, setup.exposure_s, bias is not None)
            if isinstance(factor, str):
                for _label in labels:
                    asked.refuse("dark", factor)
            else:
                ranked.append((abs(math.log(factor)), factor, labels))
        for _distance, factor, labels in sorted(ranked, key=lambda entry: entry[:2]):
            if factor == 1.0:
                master = self._master("dark", labels, asked)
                if master is not None:
                    return master, None, 1.0
            elif bias is not None:
                master = self._scaled(labels, bias, asked)
                if master is not None:
                    asked.used["dark"] += f", scaled by {factor:.3g}"
                    return bias, master, factor
        if bias is None:
            asked.missing.append("bias and dark: none suits; the pedestal stays in")
        else:
            asked.missing.append("dark: none suits; dark current and hot pixels stay in")
        return bias, None, 1.0

    def _scaled(self, labels: list[Label], bias: Master, asked: _Asked) -> Master | None:
        """A dark without its bias, for scaling; its hot pixels known."""
        master = self._master("dark", labels, asked)
        if master is None:
            return None
        values = master.values - bias.values
        return replace(
            master, values=values, sigma=math.hypot(master.sigma, bias.sigma), level=master.level - bias.level
        )

    def _flat(self, setup: Setup, levelled: bool, asked: _Asked) -> Master | None:
        labels = self._suiting("flat", setup, asked)
        if not labels:
            asked.missing.append("flat: none suits; vignetting and dust stay in")
            return None
        if labels[0].combined > 1:
            return self._master("flat", labels[:1], asked)
        quiet = _Asked()
        flat_setup = labels[0].setup
        darks = [
            label
            for kind in _FOR_FLATS
            for label in self._suiting(kind, flat_setup, quiet)
            if serves_flat(label.setup.exposure_s, flat_setup.exposure_s)
        ]
        pedestal = self._master("flat_dark", darks, quiet) if darks else self._bias(flat_setup, quiet)
        if pedestal is None and not levelled:
            asked.missing.append("flat: not applied, for no bias or dark suits the flats themselves")
            return None
        return self._master("flat", labels, asked, pedestal)

    # -- masters ---------------------------------------------------------------------------------------------

    def _master(
        self, kind: SetupKind, labels: list[Label], asked: _Asked, pedestal: Master | None = None
    ) -> Master | None:
        """The master of these frames, made once; frames of no use are left out, None where none is left."""
        labels = [label for label in labels if label.path not in self.faults]
        key = kind, tuple(label.path for label in labels)
        if labels and key not in self._masters:
            made = self._made(kind, labels, pedestal)
            if made is not None:
                self._masters[key] = made
        labels = [label for label in labels if label.path not in self.faults]
        master = self._masters.get(key)
        if master is None:
            asked.missing.append(f"{kind.replace('_', '-')}: no frame is of use")
            return None
        for label in labels:
            self.serving[label.path] = self.serving.get(label.path, 0) + 1
        asked.used[kind] = _told(labels, master)
        return master

    def _made(self, kind: SetupKind, labels: list[Label], pedestal: Master | None) -> Master | None:
        with tempfile.TemporaryDirectory(prefix="astrod-masters-") as scratch:
            frames = self._stack(kind, labels, Path(scratch))
            if not frames:
                return None
            try:
                master = combine(frames, None if pedestal is None else pedestal.values, normalise=kind == "flat")
            except InputInvalid as fault:
                for label in labels:
                    self.faults.setdefault(label.path, str(fault))
                return None
            finally:
                frames.clear()
        combined = max(label.combined for label in labels)
        if combined > master.frames:
            master = replace(master, frames=combined, noise=master.sigma * math.sqrt(combined))
        if kind == "flat":
            return as_flat(master, labels[0].setup.bayer is not None)
        return with_hot(master, labels[0].setup.exposure_s) if kind == "dark" else master

    def _stack(self, kind: SetupKind, labels: list[Label], scratch: Path) -> list[NDArray[Any]]:
        """The frames' pixels, those of no use noted and left out; on disk where they would fill the memory."""
        frames: list[NDArray[Any]] = []
        levels: list[tuple[Label, float, float]] = []
        size = 0
        for number, label in enumerate(labels):
            try:
                pixels = load(label)
                measured, wrong = level(pixels.image, dark=kind != "flat")
                if wrong is not None and label.combined == 1:
                    raise InputInvalid(wrong)
                if kind != "flat" and _shows_stars(pixels):
                    raise InputInvalid("stars are in it: the shutter or the cover was open")
            except InputInvalid as fault:
                self.faults[label.path] = str(fault)
                continue
            values = pixels.values
            size += values.nbytes
            if size > _IN_MEMORY_BYTES:
                spilled = np.memmap(scratch / f"{number}.raw", values.dtype, "w+", shape=values.shape)
                spilled[:] = values
                values = spilled
            frames.append(values)
            levels.append((label, measured.background or 0.0, measured.noise or 0.0))
        return frames if kind == "flat" else self._alike(frames, levels)

    def _alike(self, frames: list[NDArray[Any]], levels: list[tuple[Label, float, float]]) -> list[NDArray[Any]]:
        """Without those whose level is far from the others': another exposure, light, or a camera that settled."""
        if len(frames) < 3:
            return frames
        middle = float(np.median([found for _label, found, _noise in levels]))
        noise = float(np.median([noise for _label, _found, noise in levels]))
        kept = []
        for frame, (label, found, _noise) in zip(frames, levels, strict=True):
            if abs(found - middle) > max(_ODD_LEVEL * abs(middle), 10.0 * noise, 5.0):
                self.faults[label.path] = f"its level is {found:.0f} ADU, the others' {middle:.0f}"
            else:
                kept.append(frame)
        return kept

    # -- detector --------------------------------------------------------------------------------------------

    def _detector(self, light: Label, pixels: Pixels, recipe: Recipe, bias: Master | None) -> Detector:
        """Gain, read noise and saturation: by the header, else by calibration frames, else by the sky of the frame."""
        told = light.sensor
        read_adu = None
        if bias is not None and bias.frames > 1:
            read_adu = bias.noise
        saturation = told.saturation_adu or _clipping_level(pixels.image.pixels)
        if pixels.levelled:
            saturation = None if saturation is None else saturation - float(np.median(pixels.image.pixels))
        if told.gain_e_adu is not None:
            if told.read_noise_e is not None:
                read_adu = told.read_noise_e / told.gain_e_adu
            return Detector(told.gain_e_adu, read_adu, saturation, "header")
        key = light.setup.camera, light.setup.gain, light.setup.rows, light.setup.columns
        if key not in self._transfers:
            self._transfers[key] = self._transfer(light, pixels, recipe)
        found = self._transfers[key]
        if found is None:
            return Detector(None, read_adu, saturation, "unknown")
        read_adu = read_adu if read_adu is not None else found.read_noise_adu
        by = f"{found.by}: {found.gain_e_adu:.3g} ± {found.error_e_adu:.2g} e-/ADU"
        return Detector(found.gain_e_adu, read_adu, saturation, by)

    def _transfer(self, light: Label, pixels: Pixels, recipe: Recipe) -> Transfer | None:
        quiet = _Asked()
        flats, biases = (self._raw_pair(kind, light.setup, quiet) for kind in ("flat", "bias"))
        if flats is not None and biases is not None:
            found = from_pairs(flats, biases)
            if found is not None:
                return found
        pedestal = 0.0 if pixels.levelled else None
        if recipe.pedestal is not None:
            pedestal = recipe.pedestal.level
        return from_sky(pixels.values, pedestal, pixels.greens is not None)

    def _raw_pair(self, kind: SetupKind, setup: Setup, asked: _Asked) -> tuple[NDArray[Any], NDArray[Any]] | None:
        raw = [
            label
            for label in self._suiting(kind, setup, asked)
            if label.combined == 1 and label.path not in self.faults
        ]
        if len(raw) < 2:
            return None
        first, second = load(raw[0]), load(raw[1])
        return first.values, second.values


def _by_exposure(labels: Sequence[Label]) -> list[tuple[float | None, list[Label]]]:
    groups: dict[float | None, list[Label]] = {}
    for label in labels:
        groups.setdefault(label.setup.exposure_s, []).append(label)
    return list(groups.items())


def _told(labels: Sequence[Label], master: Master) -> str:
    seconds = labels[0].setup.exposure_s
    parts = [f"{master.frames} frames", f"{seconds:g} s" if seconds else ""]
    if len(labels) == 1:
        parts[0] = labels[0].path.name
    return ", ".join(part for part in parts if part)


def _shows_stars(pixels: Pixels) -> bool:
    """Whether the middle of a dark or bias holds what is no hot pixel, and many of it."""
    values = pixels.values
    if pixels.greens is not None:
        rows, columns = (axis // 2 * 2 for axis in values.shape)
        first, second = (values[top:rows:2, left:columns:2].astype(np.float32) for top, left in pixels.greens)
        values = first + second
    top, left = (max(0, (axis - _LOOK_PX) // 2) for axis in values.shape)
    part = np.ascontiguousarray(values[top : top + _LOOK_PX, left : left + _LOOK_PX], dtype=np.float32)
    try:
        found = sources(sky(part, None), None)
    except InputInvalid:  # no noise, or all structure: that is no sky
        return False
    starlike = ~found.hot & (found.area >= 6.0) & (found.a < 3.0 * found.b) & (found.signal > 10.0)
    return int(np.count_nonzero(starlike)) > _MOST_STARS


def _clipping_level(values: NDArray[Any]) -> float | None:
    """The highest value, where several pixels share it and it is far over the usual: full well or converter's end."""
    top = values.max()
    if float(top) >= FULL_ADU:
        return float(top)
    sample = values[::8, ::8]
    middle = float(np.median(sample))
    noise = 1.4826 * float(np.median(np.abs(sample - middle))) + 1.0
    shared = np.count_nonzero(values == top) >= 4
    return float(top) if shared and float(top) > middle + 50.0 * noise else None
