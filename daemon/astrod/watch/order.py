"""What a watch asks of its worker."""

from dataclasses import dataclass
from pathlib import Path

from astrod.config.settings import ModelSettings
from astrod.domain.watching import SkySeen, WatchSetup
from astrod.watch.source import Glance

SHIPPED_MODELS = ModelSettings(enabled=True, folder=None)


@dataclass(frozen=True, slots=True)
class Order:
    """What the worker is to look for in a glance.

    `album` is the folder for pictures of detections; `inject` asks for a meteor of our own to be laid in and found.
    Which version of a model judges is looked up when it is needed (`models`); where they are not enabled, the
    classical stand-ins judge.
    """

    glance: Glance
    setup: WatchSetup
    album: Path
    inject: bool = False
    models: ModelSettings = SHIPPED_MODELS


def look(order: Order) -> SkySeen:
    """In the worker: what a glance shows. Imported there, so that the control process stays small.

    Raises InputInvalid, naming the file, for what is no picture.
    """
    from astrod.watch.eyes import look_at

    return look_at(order)
