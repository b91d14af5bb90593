"""A model's card: the TOML file beside its weights that says what it is and what it is worth.

A card holds `[model]` (name, version, file, sha256, made_by, inputs, outputs), `[thresholds]`,
`[trained_on]`, `[scores.*]` with counts, and `limits`. Weights whose digest is not the card's are refused.
"""

import hashlib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any


class WeightsRefusedError(Exception):
    """The weights are missing, are not what their card says, or cannot be run. The message says which."""


@dataclass(frozen=True, slots=True)
class Card:
    """What a card says. `weights` is where the model's file should be."""

    name: str
    version: str
    weights: Path
    sha256: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    thresholds: Mapping[str, float] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """Name and version, as verdicts quote them."""
        return f"{self.name} {self.version}"


def weights_folder() -> Path:
    """Where the weights are: inside the installed package, or beside it in the source tree."""
    package = Path(__file__).resolve().parent
    installed = package / "weights"
    return installed if installed.is_dir() else package.parent / "weights"


@lru_cache(maxsize=16)
def _facts(text: str) -> Mapping[str, Any]:
    """A card's tables by its text, which is read anew for each frame and hardly ever another; not to be changed."""
    return tomllib.loads(text)


def read_card(name: str, folder: Path | None = None) -> Card:
    """The card NAME.toml of `folder` (default: astrod's own weights). Raises WeightsRefusedError."""
    path = (folder or weights_folder()) / f"{name}.toml"
    try:
        facts = _facts(path.read_text(encoding="utf-8"))
        model = facts["model"]
        return Card(
            name=str(model["name"]),
            version=str(model["version"]),
            weights=path.parent / str(model["file"]),
            sha256=str(model["sha256"]),
            inputs=tuple(model["inputs"]),
            outputs=tuple(model["outputs"]),
            thresholds={key: float(value) for key, value in facts.get("thresholds", {}).items()},
            facts=facts,
        )
    except FileNotFoundError as fault:
        raise WeightsRefusedError(f"no card {path.name} in {path.parent}") from fault
    except OSError as fault:
        raise WeightsRefusedError(f"card {path} cannot be read: {fault.strerror}") from fault
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, KeyError, TypeError, ValueError) as fault:
        raise WeightsRefusedError(f"card {path} is damaged: {fault!r}") from fault


def verified_weights(card: Card) -> bytes:
    """The bytes of the card's model file, checked against its digest. Raises WeightsRefusedError."""
    try:
        content = card.weights.read_bytes()
    except OSError as fault:
        raise WeightsRefusedError(f"weights {card.weights.name} cannot be read: {fault.strerror}") from fault
    digest = hashlib.sha256(content).hexdigest()
    if digest != card.sha256:
        raise WeightsRefusedError(f"{card.weights.name} does not match its card (sha256 {digest[:12]}…)")
    return content
