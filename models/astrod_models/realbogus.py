"""The real-or-bogus model: does a candidate of difference imaging show a real brightening?

A triplet is science, reference and difference around the candidate. The score is the probability that light really
appeared at its middle: a point source in the difference that science has and the reference has not, or has less of. A
fading, a difference of the wrong sign and a triplet turned round score low; who looks for fadings exchanges science
and reference and negates the difference.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from astrod_models.session import Session, open_session
from astrod_models.stamps import Stamps, features_of, stamps_of, view_of

NAME = "realbogus"

BATCH = 128
"""Triplets at a time; more would take memory and no less time."""


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """For each triplet the probability of a real brightening, NaN where it cannot be told, and then why not."""

    values: NDArray[np.float64]
    reasons: tuple[str | None, ...]


class RealBogus:
    """The model in force; raises card.WeightsRefusedError when there is none to trust."""

    def __init__(self, folder: Path | None = None) -> None:
        """Load from `folder`, or from astrod's own weights."""
        self._session: Session = open_session(NAME, folder)
        self.title = self._session.card.title
        self.thresholds = self._session.card.thresholds

    def __call__(self, triplets: NDArray[Any]) -> Scores:
        """Judge triplets (N, S, S, 3); raises ValueError for arrays of another shape or type."""
        stamps = [stamps_of(triplets[first : first + BATCH]) for first in range(0, max(1, len(triplets)), BATCH)]
        return joined([scored(part, self._probabilities(part)) for part in stamps])

    def _probabilities(self, stamps: Stamps) -> NDArray[np.float64]:
        if not len(stamps):
            return np.empty(0)
        feeds = {"view": view_of(stamps), "features": features_of(stamps)}
        return self._session.run(feeds)["probabilities"].astype(np.float64)


def scored(stamps: Stamps, probabilities: NDArray[np.float64]) -> Scores:
    """Probabilities with those blanked that stand for nothing."""
    told = np.array([reason is None for reason in stamps.reasons], dtype=bool)
    return Scores(np.where(told, probabilities, np.nan), stamps.reasons)


def joined(parts: list[Scores]) -> Scores:
    """The scores of several batches, in order."""
    reasons = tuple(reason for part in parts for reason in part.reasons)
    return Scores(np.concatenate([part.values for part in parts]), reasons)
