"""What a watch asks of its worker."""

from dataclasses import dataclass
from pathlib import Path

from astrod.domain.watching import SkySeen, WatchSetup
from astrod.watch.source import Glance


@dataclass(frozen=True, slots=True)
class Order:
    """What the worker is to look for in a glance.

    `album` is the folder for pictures of detections; `inject` asks for a meteor of our own to be laid in and found.
    `weights` is the folder of the models in force, None for those shipped; where they are not `enabled`, the classical
    stand-ins judge.
    """

    glance: Glance
    setup: WatchSetup
    album: Path
    inject: bool = False
    weights: Path | None = None
    enabled: bool = True


def look(order: Order) -> SkySeen:
    """In the worker: what a glance shows. Imported there, so that the control process stays small.

    Raises InputInvalid, naming the file, for what is no picture.
    """
    from astrod.watch.eyes import look_at

    return look_at(order)
