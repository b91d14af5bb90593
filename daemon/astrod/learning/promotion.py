"""When a model that was judged in the shadow may take the place of the one in force: a rule, and its numbers."""

from collections.abc import Iterable
from dataclasses import dataclass

from astrod.domain.exposure import Decision


@dataclass(frozen=True, slots=True)
class Rule:
    """What a candidate must show before it is promoted.

    It was judged beside the model in force on `frames` light frames; on at least `thumbs` of them the owner gave a
    thumb, and it agreed with no fewer of those; of the frames that are good (kept by the one in force and not thumbed
    down, or thumbed up) it keeps `kept_percent`.
    """

    frames: int = 100
    thumbs: int = 5
    kept_percent: float = 97.0


@dataclass(frozen=True, slots=True)
class Compared:
    """One frame that both have judged; `thumb` is the owner's word on it: True is up."""

    now: Decision
    shadow: Decision
    thumb: bool | None = None

    @property
    def is_good(self) -> bool:
        """Whether the frame is taken to be worth keeping."""
        return self.thumb is True or (self.now == "keep" and self.thumb is not False)


@dataclass(frozen=True, slots=True)
class Standing:
    """What the shadow has shown so far. `lacks` says in words what is missing for promotion; empty when nothing is."""

    frames: int
    alike: int
    thumbs: int
    now_right: int
    shadow_right: int
    good: int
    good_kept: int
    lacks: tuple[str, ...]

    @property
    def passes(self) -> bool:
        """Whether the rule lets the candidate be promoted."""
        return not self.lacks


def standing(rule: Rule, compared: Iterable[Compared]) -> Standing:
    """Hold a candidate against the rule."""
    pairs = list(compared)
    thumbed = [pair for pair in pairs if pair.thumb is not None]
    good = [pair for pair in pairs if pair.is_good]
    now_right = sum(1 for pair in thumbed if (pair.now == "keep") == pair.thumb)
    shadow_right = sum(1 for pair in thumbed if (pair.shadow == "keep") == pair.thumb)
    good_kept = sum(1 for pair in good if pair.shadow == "keep")
    lacks = []
    if len(pairs) < rule.frames:
        lacks.append(f"{len(pairs)} of {rule.frames} frames were judged by both")
    if len(thumbed) < rule.thumbs:
        lacks.append(f"{len(thumbed)} of {rule.thumbs} of them have a thumb (`astrod thumb`)")
    if shadow_right < now_right:
        lacks.append(f"it agrees with {shadow_right} of {len(thumbed)} thumbs, the model in force with {now_right}")
    if 100.0 * good_kept < rule.kept_percent * len(good):
        lacks.append(f"it keeps {good_kept} of {len(good)} good frames, {rule.kept_percent:g} % are asked for")
    alike = sum(1 for pair in pairs if pair.now == pair.shadow)
    return Standing(len(pairs), alike, len(thumbed), now_right, shadow_right, len(good), good_kept, tuple(lacks))
