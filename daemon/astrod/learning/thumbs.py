"""The owner's thumbs on verdicts, as a set to train and to evaluate with."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from astrod.domain.exposure import Judgement, Thumb


@dataclass(frozen=True, slots=True)
class Labelled:
    """A frame with the owner's word on it: where it lies, what was said of it, and what the model was shown."""

    path: str
    thumb: Thumb
    judgement: Judgement | None
    features: Mapping[str, float]


def training_set(frames: Iterable[Labelled]) -> Iterator[dict[str, Any]]:
    """One plain object for each frame, for JSON lines: `file` and `usable` are what `astrod models eval` reads."""
    for frame in frames:
        said = frame.judgement
        yield {
            "id": str(frame.thumb.id),
            "file": frame.path,
            "usable": frame.thumb.up,
            "cause": frame.thumb.cause,
            "said": {"decision": said.decision, "cause": said.cause, "quality": said.quality, "model": said.model}
            if said
            else None,
            "features": dict(frame.features),
        }
