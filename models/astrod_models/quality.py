"""The quality model: is an exposure usable, and which fault does it show?

The network sees the frame three ways: native tiles around its clearest sources (shape of the stars), the
whole frame binned to 128 pixels (clouds, streaks), and classical measurements (numbers). All brightness is
in units of the sky's own noise, so camera, gain and depth do not matter. Outputs are calibrated
probabilities.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from astrod_models.card import Card, WeightsRefusedError
from astrod_models.session import Session, open_session

NAME = "quality"

ISSUES = ("clouds", "trailing", "defocus", "streak", "seeing", "glare", "leak", "dew")
OUTPUTS = (*ISSUES, "usable")
"""What the newest model says; an older one may know less, and its card says what (`means`)."""

FEATURES = (
    "log_stars",
    "log_density",
    "log_bright",
    "log_top_signal",
    "log_median_signal",
    "shaped",
    "log_fwhm",
    "fwhm_spread",
    "log_elongation",
    "coherence",
    "scatter",
    "hollow",
    "wings",
    "sky_spread",
    "sky_slope",
    "sky_fine",
    "noise_spread",
    "patchy",
    "empty",
    "log_longest",
    "log_long_count",
    "log_line",
    "log_hot",
    "log_saturated",
    "log_area",
    "log_size",
    "superpixel",
    "sky_peak",
    "sky_dip",
    "peak_edge",
    "log_level",
    "log_sharp",
    "log_standing",
    "core",
    "edge",
    "halo",
)
"""Names of the measurements that the newest model takes, in order; `astrod.measure` fills them. An older one takes
those that its card names (`features`).
"""

INPUTS = ("tiles", "whole", "features")

TILES = 10
TILE_PX = 48
WHOLE_PX = 128
WHOLE_CHANNELS = 3

_CEILING = 1.0e6
_FILLING = ((0.5, 0.5), (0.25, 0.25), (0.75, 0.75), (0.25, 0.75), (0.75, 0.25))


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """What the model is shown of a frame.

    `above` is the sky-subtracted plane in units of its noise, float32 (height, width); `sky` the background
    map less its median, same units, any coarser shape; `x`, `y` the sources worth a tile, best first, pixels
    of the plane; `features` holds FEATURES by name.
    """

    above: NDArray[np.float32]
    sky: NDArray[np.float64]
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    features: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Answer:
    """Calibrated probabilities: of each issue that the judge knows of, and that an owner would keep the frame."""

    issues: Mapping[str, float]
    usable: float

    @property
    def score(self) -> float:
        """0 to 100: the chance in percent that the frame is usable."""
        return 100.0 * self.usable


class Quality:
    """The quality model in force; raises card.WeightsRefusedError when there is none to trust."""

    def __init__(self, folder: Path | None = None) -> None:
        """Load from `folder`, or from astrod's own weights."""
        self._take(open_session(NAME, folder))

    @classmethod
    def of(cls, card: Card) -> "Quality":
        """The model of a card, wherever the card lies and whatever its file is called."""
        made = cls.__new__(cls)
        made._take(Session(card))
        return made

    def _take(self, session: Session) -> None:
        self._session = session
        card = session.card
        self.title = card.title
        self.thresholds = card.thresholds
        told = card.facts["model"]
        self._features, self._means = tuple(told.get("features", ())), tuple(told.get("means", ()))
        if not self._features or not set(self._features) <= set(FEATURES) or self._means[-1:] != ("usable",):
            raise WeightsRefusedError(
                f"the card of {card.title} names measurements or meanings that are not known here"
            )
        self._usual = {name: float(value) for name, value in card.facts.get("usual", {}).items()}

    def __call__(self, view: View) -> Answer:
        """Judge one frame."""
        return self._answer(self._feeds(view))

    def look(self, view: View) -> tuple[Answer, dict[str, Answer]]:
        """Judge one frame, and say what it would have been without each of INPUTS: nothing to be seen in the cut-outs
        or the whole, or the measurements as they usually are.
        """
        feeds = self._feeds(view)
        usual = np.array([[self._usual.get(name, 0.0) for name in self._features]], dtype=np.float32)
        blank = {"tiles": np.zeros_like(feeds["tiles"]), "whole": np.zeros_like(feeds["whole"]), "features": usual}
        hidden = INPUTS if self._usual else INPUTS[:2]
        return self._answer(feeds), {name: self._answer(feeds | {name: blank[name]}) for name in hidden}

    def _feeds(self, view: View) -> dict[str, NDArray[np.float32]]:
        tiles, whole, features = prepare(view, self._features)
        return {"tiles": tiles[None], "whole": whole[None], "features": features[None]}

    def _answer(self, feeds: Mapping[str, NDArray[np.float32]]) -> Answer:
        answers = self._session.run(feeds)["probabilities"][0]
        if len(answers) != len(self._means):
            raise WeightsRefusedError(f"{self.title} gives {len(answers)} answers, its card names {len(self._means)}")
        named = dict(zip(self._means, (float(value) for value in answers), strict=True))
        usable = named.pop("usable")
        return Answer(named, usable)


def prepare(
    view: View, names: tuple[str, ...] = FEATURES
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """The network's inputs: tiles (TILES, 48, 48), whole (3, 128, 128), and the measurements of these names."""
    features = np.array([view.features[name] for name in names], dtype=np.float32)
    return tiles_of(view), whole_of(view), np.nan_to_num(features, posinf=20.0, neginf=-20.0)


def tiles_of(view: View) -> NDArray[np.float32]:
    """Native cut-outs around the clearest sources; where there are too few, of the frame's middle and
    quarters.
    """
    height, width = view.above.shape
    half = TILE_PX // 2
    tiles = np.zeros((TILES, TILE_PX, TILE_PX), dtype=np.float32)
    for index, (x, y) in enumerate(_tile_centres(view, width, height)):
        left, top = x - half, y - half
        cut = view.above[max(0, top) : top + TILE_PX, max(0, left) : left + TILE_PX]
        down, right = max(0, -top), max(0, -left)
        tiles[index, down : down + cut.shape[0], right : right + cut.shape[1]] = cut
    return _compressed(tiles)


def _tile_centres(view: View, width: int, height: int) -> list[tuple[int, int]]:
    """Whole-pixel centres, sources first, no two within half a tile of each other; then the fixed filling."""
    chosen: list[tuple[int, int]] = []
    apart = TILE_PX // 2
    for x, y in zip(np.rint(view.x).astype(int).tolist(), np.rint(view.y).astype(int).tolist(), strict=True):
        if len(chosen) == TILES:
            break
        if all(max(abs(x - u), abs(y - v)) >= apart for u, v in chosen):
            chosen.append((min(max(x, 0), width - 1), min(max(y, 0), height - 1)))
    filling = [(int(width * u), int(height * v)) for u, v in _FILLING]
    while len(chosen) < TILES:
        chosen.append(filling[len(chosen) % len(filling)])
    return chosen


def whole_of(view: View) -> NDArray[np.float32]:
    """The frame binned by a whole factor to 128 pixels at most: mean, maximum, and the sky's own level."""
    above = view.above
    factor = max(1, -(-max(above.shape) // WHOLE_PX))
    rows, columns = (max(1, axis // factor) for axis in above.shape)
    cut = above[: rows * factor, : columns * factor]
    if cut.size == 0:
        cut, factor, rows, columns = above, 1, *above.shape
    blocks = cut.reshape(rows, factor, columns, factor)
    whole = np.zeros((WHOLE_CHANNELS, WHOLE_PX, WHOLE_PX), dtype=np.float32)
    for row, block in enumerate(blocks):  # row by row: clipping the frame at once would copy all of it
        clipped = np.clip(block, -_CEILING, _CEILING)
        whole[0, row, :columns] = _compressed(clipped.mean(axis=2).mean(axis=0) * np.float32(factor))
        whole[1, row, :columns] = _compressed(clipped.max(axis=2).max(axis=0))
    whole[2, :rows, :columns] = _compressed(_resized(view.sky, rows, columns))
    return whole


def _resized(grid: NDArray[np.float64], rows: int, columns: int) -> NDArray[np.float32]:
    """The nearest entries of `grid` on a raster of rows × columns."""
    row = np.minimum(((np.arange(rows) + 0.5) / rows * grid.shape[0]).astype(int), grid.shape[0] - 1)
    column = np.minimum(((np.arange(columns) + 0.5) / columns * grid.shape[1]).astype(int), grid.shape[1] - 1)
    return grid[np.ix_(row, column)].astype(np.float32)


def _compressed(sigmas: NDArray[np.float32]) -> NDArray[np.float32]:
    """Noise units to the network's range: linear near 0, logarithmic far from it."""
    return np.arcsinh(np.clip(sigmas, -_CEILING, _CEILING)) * np.float32(0.25)
