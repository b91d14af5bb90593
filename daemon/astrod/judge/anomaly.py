"""What does not belong: the anomaly model's surprise as a score, and what is usual for one camera.

A frame alone is held against frames in general. Frames of one camera in their order teach what is usual at each place
of its sensor (an amplifier's glow, a dust ring), and how much they differ from one to the next; after LEARNED of them
the camera has its own limit, at the same rate of false alarms per frame. Until then every frame teaches, since what
this camera always shows must not stay strange; later none that is flagged.
"""

import io
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from astrod.domain.exposure import Strangeness, StrangeTile
from astrod_models.anomaly import STATISTICS, Anomaly, Ordinary, Scene, Surprise
from astrod_models.card import WeightsRefusedError

Floats = NDArray[np.float64]

LEARNED = 20
"""Frames after which a camera has its own limit."""

MOST_TILES = 12
_HALF_TRUSTED = 8.0
"""Frames after which a place's own mean counts as much as that of frames in general."""

_RATE = 0.02
_REMEMBERED = 10 * LEARNED
_EULER = 0.5772156649


class Evidence(Protocol):
    """What is needed of a measured frame; `astrod.measure.Features` is one."""

    @property
    def above(self) -> NDArray[np.float32]:
        """The plane above its sky, in units of the noise."""

    @property
    def known(self) -> Floats:
        """The stars: x, y and the radius that they fill."""

    @property
    def values(self) -> Mapping[str, float]:
        """The measurements by name."""


@dataclass(slots=True)
class Usual:
    """What is usual for one camera: for each place and binning how many frames and their mean STATISTICS; and the
    largest surprise of each frame that taught.
    """

    places: dict[tuple[int, int, int], tuple[int, Floats]] = field(default_factory=dict)
    largest: list[float] = field(default_factory=list)

    def packed(self) -> bytes:
        """All of it, for `unpacked`."""
        file = io.BytesIO()
        places = np.array([(*place, count) for place, (count, _) in self.places.items()], dtype=np.int64)
        means = np.array([mean for _, mean in self.places.values()], dtype=np.float32)
        np.savez(file, places=places, means=means, largest=np.array(self.largest[-_REMEMBERED:]))
        return file.getvalue()

    @classmethod
    def unpacked(cls, content: bytes) -> "Usual":
        """From `packed`; from nothing, one that has learned nothing."""
        if not content:
            return cls()
        with np.load(io.BytesIO(content), allow_pickle=False) as stored:
            places, means = stored["places"].tolist(), stored["means"].astype(np.float64)
            known = {(b, x, y): (count, mean) for (b, x, y, count), mean in zip(places, means, strict=True)}
            return cls(known, stored["largest"].tolist())

    @property
    def learned(self) -> bool:
        """Whether the camera has a limit of its own."""
        return len(self.largest) >= LEARNED

    @property
    def limit(self) -> float:
        """The surprise that one ordinary frame of this camera in so many exceeds, by the law of largest values
        (Gumbel).
        """
        if not self.learned:
            return 1.0
        seen = np.array(self.largest[-_REMEMBERED:])
        scale = float(seen.std()) * math.sqrt(6.0) / math.pi
        start = float(seen.mean()) - _EULER * scale
        return max(start - scale * math.log(-math.log1p(-_RATE)), 1.05 * float(np.median(seen)))

    def surprises(self, seen: Surprise, ordinary: Ordinary) -> Floats:
        """Each tile's surprise, from the mean of its own place as far as that is known."""
        moved = seen.statistics.copy()
        for row, place in enumerate(_places(seen)):
            count, mean = self.places.get(place, (0, np.zeros(len(STATISTICS))))
            if count:
                moved[row] -= (count / (count + _HALF_TRUSTED)) * (mean - ordinary.mean[place[0]])
        found = np.zeros(len(moved))
        for binning in np.unique(seen.binning).tolist():
            of = seen.binning == binning
            found[of] = ordinary.distance(binning, moved[of])
        return found

    def learn(self, seen: Surprise, largest: float) -> None:
        """Take up an ordinary frame."""
        self.largest.append(largest)
        for row, place in enumerate(_places(seen)):
            count, mean = self.places.get(place, (0, np.zeros(len(STATISTICS))))
            self.places[place] = (count + 1, mean + (seen.statistics[row] - mean) / (count + 1))


def strangeness(
    evidence: Evidence, scale_px: int, usual: Usual | None = None, weights: Path | None = None, enabled: bool = True
) -> Strangeness:
    """How strange a measured frame is; `scale_px` pixels of the frame make one of its plane.

    With `usual` it is held against that camera's frames, and may teach it. Where the model is missing,
    refused or not `enabled`, only the sensor's own failures are seen: uneven noise, lines out of level.
    """
    model = _model(weights) if enabled else "models are switched off"
    if isinstance(model, str):
        return _stand_in(evidence.values, model)
    seen = model(Scene(evidence.above, evidence.known))
    if usual is None:
        return _said(seen, seen.surprise, 1.0, scale_px, "frames in general")
    surprises, limit = usual.surprises(seen, model.ordinary), usual.limit
    basis = (
        "this camera's frames" if usual.learned else f"frames in general; learning, {len(usual.largest)} of {LEARNED}"
    )
    said = _said(seen, surprises, limit, scale_px, basis)
    if not (said.flag and usual.learned):
        usual.learn(seen, float(surprises.max()) if surprises.size else 0.0)
    return said


def _said(seen: Surprise, surprises: Floats, limit: float, scale_px: int, basis: str) -> Strangeness:
    order = np.argsort(-surprises, kind="stable")
    flagged = [int(row) for row in order if surprises[row] > limit][:MOST_TILES]
    tiles = tuple(
        StrangeTile(
            int(seen.x[row]) * scale_px,
            int(seen.y[row]) * scale_px,
            int(seen.side[row]) * scale_px,
            score_of(float(surprises[row]) / limit),
        )
        for row in flagged
    )
    largest = float(surprises.max()) / limit if surprises.size else 0.0
    return Strangeness(score_of(largest), largest > 1.0, tiles, basis)


def score_of(surprise: float) -> float:
    """0 to 1 from a surprise in units of its limit: 0.5 at the limit, and never the same for two surprises."""
    square = max(surprise, 0.0) ** 2
    return square / (1.0 + square)


def _places(seen: Surprise) -> list[tuple[int, int, int]]:
    return list(zip(seen.binning.tolist(), seen.x.tolist(), seen.y.tolist(), strict=True))


def _stand_in(values: Mapping[str, float], why: str) -> Strangeness:
    """By the unevenness of the noise over the frame and the rows and columns out of level."""
    score = max(score_of(values["noise_spread"] / 1.2), score_of(values["log_standing"] / 1.5))
    return Strangeness(score, score > 0.5, (), f"classical stand-in ({why})")


@cache
def _model(weights: Path | None) -> Anomaly | str:
    """The model, or the reason why there is none."""
    try:
        return Anomaly(weights)
    except WeightsRefusedError as refused:
        return str(refused)
