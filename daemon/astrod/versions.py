"""The versions of the models on disk: listed, shown, verified, promoted, rolled back.

Plain calls for the daemon's worker, and for commands that no daemon answers. They raise `astrod_models.zoo.ZooError`.
"""

import json
from functools import cache
from pathlib import Path
from typing import Any

from astrod.config.settings import ModelSettings
from astrod_models.card import WeightsRefusedError, weights_folder
from astrod_models.zoo import SHIPPED, Version, Zoo, ZooError, misfit

STAND_INS = {
    "anomaly": "uneven noise, and lines out of level (`astrod.judge.anomaly`)",
    "cloud": "star counts against the rest of the picture, and roughness (`astrod.judge.cloud`)",
    "meteor": "bright pixels that keep to a line (`astrod.judge.meteor_classical`)",
    "quality": "cuts on the measurements (`astrod.judge.classical`)",
    "realbogus": "a logistic fit to measured features (`astrod.judge.realbogus`)",
}
"""What judges where a model cannot, by model: the models that this astrod knows."""
DEFAULT_STAND_IN = "its classical stand-in"


def zoo_of(settings: ModelSettings) -> Zoo:
    """The models by the configuration."""
    return Zoo(settings.owned, settings.folder or weights_folder(), tuple(STAND_INS))


@cache
def engine_fault(settings: ModelSettings) -> str | None:
    """Run the models of this process as the configuration wants; returns why the CPU runs them instead, or None."""
    from astrod_models.session import Engine, choose

    return choose(Engine(settings.provider, settings.threads))


def in_force(settings: ModelSettings, name: str) -> Version:
    """The version to judge by now."""
    return zoo_of(settings).in_force(name)


def list_models(settings: ModelSettings) -> list[dict[str, Any]]:
    """Each model: its version in force, whether it can be trusted, what stands in for it."""
    zoo = zoo_of(settings)
    return [_listed(zoo, name, settings.enabled) for name in zoo.names()]


def _listed(zoo: Zoo, name: str, enabled: bool) -> dict[str, Any]:
    now, choice = zoo.in_force(name), zoo.choice(name)
    return {
        "name": name,
        "key": now.key,
        "title": now.title,
        "trusted": now.refused is None,
        "fault": now.refused or now.passed_over,
        "stand_in": stand_in_of(name) if now.refused or not enabled else None,
        "bytes": now.card.weights.stat().st_size if now.card and not now.refused else None,
        "sha256": now.card.sha256 if now.card else None,
        "shadow": choice.shadow,
        "versions": len(zoo.versions(name)),
    }


def stand_in_of(name: str) -> str:
    """What judges where a model cannot."""
    return STAND_INS.get(name, DEFAULT_STAND_IN)


def show_model(settings: ModelSettings, name: str) -> dict[str, Any]:
    """All of one model that lies on disk: its versions and its card; what the archive knows is not here."""
    zoo = zoo_of(settings)
    versions = zoo.versions(name)
    choice, now = zoo.choice(name), zoo.in_force(name)
    return {
        **_listed(zoo, name, settings.enabled),
        "before": list(choice.before),
        "folder": str(now.folder),
        "all": [
            {"key": one.key, "title": one.title, "in_force": one.key == now.key, "refused": one.refused}
            for one in versions
        ],
        "card": plain(now.card.facts) if now.card else {},
    }


def plain(value: Any) -> Any:
    """A card's values as JSON has them; dates become text."""
    return json.loads(json.dumps(value, default=str))


def choose_shadow(settings: ModelSettings, name: str, file: Path | None) -> str:
    """Judge the model in a file in the shadow from now on, or none; what is now so, in words. Raises ZooError."""
    zoo = zoo_of(settings)
    if file is None:
        zoo.set_shadow(name, None)
        return f"{name}: nothing is judged in the shadow any more"
    added = zoo.add(name, file)
    zoo.set_shadow(name, added.key)
    return f"{added.title} ({added.key}) is judged in the shadow of {zoo.in_force(name).title} from the next frame on"


def promote_model(settings: ModelSettings, name: str, file: Path | None) -> str:
    """Put the candidate, or the model in a file, in force; what is now so, in words; by no rule. Raises ZooError."""
    zoo = zoo_of(settings)
    key = zoo.add(name, file).key if file is not None else zoo.choice(name).shadow
    if key is None:
        raise ZooError(f"{name} has no candidate in the shadow; name a file")
    before = zoo.in_force(name)
    promoted = zoo.promote(name, key)
    back = f"`astrod models rollback {name}` brings back {before.title}"
    return f"{promoted.title} ({key}) is in force from the next frame on; {back}"


def roll_back_model(settings: ModelSettings, name: str) -> str:
    """Put the version in force that was before; what is now so, in words. Raises ZooError."""
    back = zoo_of(settings).roll_back(name)
    return f"{back.title} ({back.key}) is in force again from the next frame on"


def verify_models(settings: ModelSettings, names: list[str]) -> list[dict[str, Any]]:
    """Every version of each model: whether it matches its card, can be run, and fits this astrod. Raises ZooError."""
    from astrod_models.session import Session  # NumPy and ONNX Runtime: only where models are loaded

    zoo = zoo_of(settings)
    told = []
    for name in names or zoo.names():
        shipped = zoo.version(name, SHIPPED)
        for version in zoo.versions(name):
            fault = version.refused or misfit(version.card, shipped.card)
            provider = None
            if fault is None and version.card is not None:
                try:
                    provider = Session(version.card).provider
                except WeightsRefusedError as refused:
                    fault = str(refused)
            in_force_now = zoo.choice(name).now == version.key
            told.append(
                {
                    "name": name,
                    "key": version.key,
                    "title": version.title,
                    "has_card": version.card is not None,
                    "sound": fault is None,
                    "fault": fault,
                    "provider": provider,
                    "in_force": in_force_now,
                    "instead": None if fault is None or not in_force_now else _instead(zoo, name, version.key),
                }
            )
    return told


def _instead(zoo: Zoo, name: str, key: str) -> str:
    """What judges in place of a version that is refused."""
    other = zoo.in_force(name)
    return other.title if other.key != key and not other.refused else stand_in_of(name)
