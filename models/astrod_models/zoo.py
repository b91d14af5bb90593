"""The models that there are, and which version of each is in force: the shipped one, or one of the owner's.

The owner's versions lie in a folder of their own, each in `NAME/VERSION-DIGEST/` and never changed; `in-force.json`
beside them says which is in force, which were before it, and which is judged in the shadow. It is replaced whole, so
a crash leaves the old choice or the new. An upgrade of astrod touches none of it. A version that cannot be trusted is
passed over: then the shipped one is in force, and `Version.passed_over` says why.
"""

import json
import os
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from astrod_models.card import Card, WeightsRefusedError, read_card, verified_weights, weights_folder

SHIPPED = "shipped"
"""The key of the version that came with astrod."""
CHOICE_FILE = "in-force.json"
BEFORE_KEPT = 10

_NAME = re.compile(r"^[a-z][a-z0-9_]{0,31}$")


class ZooError(Exception):
    """What was asked for cannot be done; the message says why, and what can be."""


@dataclass(frozen=True, slots=True)
class Version:
    """A version of a model: its key, its folder, and its card where it can be read; else `refused` says why not.

    `passed_over` is why a version that the owner chose is not the one in force.
    """

    name: str
    key: str
    folder: Path
    card: Card | None
    refused: str | None = None
    passed_over: str | None = None

    @property
    def title(self) -> str:
        """Name and version, as verdicts quote them."""
        return self.card.title if self.card else f"{self.name} ({self.refused})"


@dataclass(frozen=True, slots=True)
class Choice:
    """What the owner chose for one model, by key; `before` are those that were in force, newest last."""

    now: str = SHIPPED
    before: tuple[str, ...] = ()
    shadow: str | None = None


@dataclass(frozen=True, slots=True)
class Zoo:
    """The shipped models and, where there is a folder `owned` for them, the owner's. `known` are models that ought to
    be there, so that one whose files are gone is missed; what a folder in the place of the shipped one lacks is taken
    from that.
    """

    owned: Path | None = None
    shipped: Path = field(default_factory=weights_folder)
    known: tuple[str, ...] = ()

    # -- what there is ---------------------------------------------------------------------------------------

    def names(self) -> list[str]:
        """Every model that is known, that came with astrod or that the owner has, in order of name."""
        found = {*self.known, *(path.stem for path in self.shipped.glob("*.toml"))}
        if self.owned is not None and self.owned.is_dir():
            found |= {path.name for path in self.owned.iterdir() if path.is_dir()}
        return sorted(name for name in found if _NAME.match(name))

    def versions(self, name: str) -> list[Version]:
        """All versions of a model, the shipped one first, then the owner's by key. Raises ZooError for no model."""
        self._known(name)
        found = [self.version(name, SHIPPED)]
        if self.owned is not None and (self.owned / name).is_dir():
            keys = sorted(path.name for path in (self.owned / name).iterdir() if path.is_dir())
            found += [self.version(name, key) for key in keys if not key.startswith(".")]
        return found

    def version(self, name: str, key: str) -> Version:
        """One version; its digest is checked, so `refused` says of what is in disorder with it."""
        folder = self._folder(name, key)
        try:
            card = read_card(name, folder)
        except WeightsRefusedError as refused:
            return Version(name, key, folder, None, str(refused))
        return Version(name, key, folder, card, fault_of(card))

    def choice(self, name: str) -> Choice:
        """What the owner chose; the shipped version where they chose nothing, or where the file is damaged."""
        said = self._choices().get(name)
        if not isinstance(said, Mapping):
            return Choice()
        now, shadow, before = said.get("now"), said.get("shadow"), said.get("before")
        return Choice(
            now if isinstance(now, str) else SHIPPED,
            tuple(key for key in before if isinstance(key, str)) if isinstance(before, list) else (),
            shadow if isinstance(shadow, str) else None,
        )

    def in_force(self, name: str) -> Version:
        """The version to judge by: the chosen one, or the shipped one where that cannot be trusted."""
        chosen = self.choice(name).now
        shipped = self.version(name, SHIPPED)
        if chosen == SHIPPED:
            return shipped
        own = self.version(name, chosen)
        fault = own.refused or misfit(own.card, shipped.card)
        return replace(shipped, passed_over=f"{name} {chosen}: {fault}") if fault else own

    def shadow(self, name: str) -> Version | None:
        """The candidate that is judged in the shadow; None where there is none, or none that can be trusted."""
        key = self.choice(name).shadow
        if key is None:
            return None
        candidate = self.version(name, key)
        fault = candidate.refused or misfit(candidate.card, self.version(name, SHIPPED).card)
        return replace(candidate, refused=fault) if fault else candidate

    def has_shadow(self, name: str) -> bool:
        """Whether a candidate is set, sound or not; costs next to nothing."""
        return self.choice(name).shadow is not None

    # -- what the owner does ---------------------------------------------------------------------------------

    def add(self, name: str, file: Path) -> Version:
        """Take in a version: FILE is its card or its weights, the other lies beside it. Raises ZooError.

        It is refused unless it matches its card and takes and gives what the shipped one does.
        """
        self._known(name)
        owned = self._owned()
        try:
            card = read_card(file.stem, file.resolve().parent)
            content = verified_weights(card)
        except WeightsRefusedError as refused:
            raise ZooError(f"{file} is refused: {refused}") from refused
        if card.name != name:
            raise ZooError(f"{file} is a model named {card.name}, not {name}")
        fault = misfit(card, self.version(name, SHIPPED).card)
        if fault:
            raise ZooError(f"{file} is refused: {fault}")
        key = f"{re.sub(r'[^A-Za-z0-9._]+', '_', card.version)}-{card.sha256[:8]}"
        try:
            _lay_down(owned / name / key, name, card, content, (file.with_suffix(".toml")).read_bytes())
        except OSError as wrong:
            raise ZooError(f"{owned / name} cannot be written: {wrong.strerror}") from wrong
        return self.version(name, key)

    def promote(self, name: str, key: str) -> Version:
        """Put a version in force; it leaves the shadow, and the one before it is remembered. Raises ZooError."""
        wanted = self._sound(name, key)
        choice = self.choice(name)
        if choice.now == key:
            raise ZooError(f"{wanted.title} is in force already")
        before = (*choice.before, choice.now)[-BEFORE_KEPT:]
        self._choose(name, Choice(key, before, None if choice.shadow == key else choice.shadow))
        return wanted

    def roll_back(self, name: str) -> Version:
        """Put the version in force that was before this one, or before that where it cannot be trusted any more.

        Raises ZooError where none was.
        """
        choice = self.choice(name)
        before = list(choice.before)
        if not before:
            raise ZooError(f"no other version of {name} was in force before")
        key = before.pop()
        while key != SHIPPED and self._fault(name, key):
            key = before.pop() if before else SHIPPED
        self._choose(name, Choice(key, tuple(before), choice.shadow))
        return self.version(name, key)

    def set_shadow(self, name: str, key: str | None) -> None:
        """Judge a version in the shadow from now on, or none. Raises ZooError."""
        choice = self.choice(name)
        if key is not None and self._sound(name, key).key == choice.now:
            raise ZooError(f"{name} {key} is in force: there is nothing to compare it with")
        self._choose(name, replace(choice, shadow=key))

    # -- the files -------------------------------------------------------------------------------------------

    def _known(self, name: str) -> None:
        if name not in self.names():
            raise ZooError(f"there is no model {name!r}; there are {', '.join(self.names()) or 'none at all'}")

    def _sound(self, name: str, key: str) -> Version:
        self._known(name)
        fault = self._fault(name, key)
        if fault:
            raise ZooError(f"{name} {key} is refused: {fault}")
        return self.version(name, key)

    def _fault(self, name: str, key: str) -> str | None:
        """Why a version cannot be used; None where it can."""
        found = self.version(name, key)
        return found.refused or misfit(found.card, self.version(name, SHIPPED).card)

    def _owned(self) -> Path:
        if self.owned is None:
            raise ZooError("no configuration names a place for the owner's models; give one with --config")
        return self.owned

    def _folder(self, name: str, key: str) -> Path:
        if key == SHIPPED or self.owned is None:
            return self.shipped if (self.shipped / f"{name}.toml").is_file() else weights_folder()
        return self.owned / name / Path(key).name

    def _choices(self) -> dict[str, Any]:
        if self.owned is None:
            return {}
        try:
            said = json.loads((self.owned / CHOICE_FILE).read_text(encoding="utf-8"))
        except (OSError, ValueError):  # none was made yet; of a damaged one nothing can be had
            return {}
        return said if isinstance(said, dict) else {}

    def _choose(self, name: str, choice: Choice) -> None:
        owned = self._owned()
        said = {"now": choice.now, "before": list(choice.before), "shadow": choice.shadow}
        text = json.dumps({**self._choices(), name: said}, indent=1, sort_keys=True) + "\n"
        try:
            owned.mkdir(parents=True, exist_ok=True)
            _write(owned / f".{CHOICE_FILE}", text.encode())
            (owned / f".{CHOICE_FILE}").replace(owned / CHOICE_FILE)
            _sync(owned)
        except OSError as wrong:
            raise ZooError(f"{owned / CHOICE_FILE} cannot be written: {wrong.strerror}") from wrong


def fault_of(card: Card) -> str | None:
    """Why the card's weights cannot be trusted; None when they match it. Reads the file when it has changed."""
    try:
        state = card.weights.stat()
    except OSError as fault:
        return f"weights {card.weights.name} cannot be read: {fault.strerror}"
    return _digest_fault(card.weights, card.sha256, state.st_size, state.st_mtime_ns)


@lru_cache(maxsize=64)
def _digest_fault(weights: Path, sha256: str, size: int, changed_ns: int) -> str | None:
    """See `fault_of`; size and time of change tell whether the file is the one that was read before."""
    try:
        verified_weights(Card("", "", weights, sha256, (), ()))
    except WeightsRefusedError as refused:
        return str(refused)
    return None


def misfit(card: Card | None, shipped: Card | None) -> str | None:
    """Why a model cannot take the place of the shipped one; None where this astrod can work with it.

    A model whose card says what its inputs and answers are is tried as it would be used (`TRIALS`); any other must
    take and give what the shipped one does, for that is what this version of astrod was written for. Where the shipped
    one cannot be read nothing can be said against the other.
    """
    if card is None or shipped is None or card.sha256 == shipped.sha256 or fault_of(shipped):
        return None
    pair = tuple((one.sha256, one.inputs, one.outputs, repr(one.facts["model"])) for one in (card, shipped))
    if pair not in _COMPARED:
        trial = TRIALS.get(card.name)
        fault = _tried(card, trial) if trial else _compared(card, shipped)
        _COMPARED[pair] = f"{fault}; train it again for this version" if fault else None
    return _COMPARED[pair]


_COMPARED: dict[tuple[object, ...], str | None] = {}
"""What `misfit` found of models, by their digests and cards: to load two for each frame would be a waste."""


def _try_quality(card: Card) -> None:
    import numpy as np

    from astrod_models.quality import FEATURES, Quality, View  # NumPy and ONNX Runtime: only where models are tried

    nowhere = np.zeros(0)
    frame = View(np.zeros((64, 64), dtype=np.float32), np.zeros((2, 2)), nowhere, nowhere, dict.fromkeys(FEATURES, 0.0))
    Quality.of(card)(frame)


TRIALS: Mapping[str, Callable[[Card], None]] = {"quality": _try_quality}
"""How a model is tried on an empty input, by name. They raise WeightsRefusedError."""


def _tried(card: Card, trial: Callable[[Card], None]) -> str | None:
    try:
        trial(card)
    except WeightsRefusedError as fault:
        return f"it cannot be used here: {fault}"
    return None


def _compared(card: Card, shipped: Card) -> str | None:
    """See `misfit`: ports, shapes and the meaning of the answers."""
    from astrod_models.session import Session  # as above

    try:
        ships = Session(shipped)
    except WeightsRefusedError:
        return None
    try:
        owns = Session(card)
    except WeightsRefusedError as refused:
        return str(refused)
    for own, like in ((owns.inputs, ships.inputs), (owns.outputs, ships.outputs)):
        by_name = {port.name: port for port in like}
        for port in own:
            wanted = by_name.pop(port.name, None)
            if wanted is None or not port.takes(wanted):
                return f"it has {port} where this astrod has {wanted or 'nothing'}"
        if by_name:
            return f"it lacks {', '.join(map(str, by_name.values()))}"
    means, wanted_means = (one.facts["model"].get("means") for one in (card, shipped))
    if means != wanted_means:
        return f"its answers mean {means}, this astrod reads {wanted_means}"
    return None


def _lay_down(folder: Path, name: str, card: Card, content: bytes, card_text: bytes) -> None:
    """Weights and card into a folder of their own, whole or not at all. One that is there already stays."""
    if folder.is_dir():
        return
    draft = folder.with_name(f".{folder.name}")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    _write(draft / card.weights.name, content)
    _write(draft / f"{name}.toml", card_text)
    _sync(draft)
    draft.replace(folder)
    _sync(folder.parent)


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
