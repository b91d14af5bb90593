"""What guiding has learnt of a mount: a calibration for each side of the pier, kept over restarts.

A file under the data root, replaced atomically. What it holds counts only for the guide camera and optic that it was
learnt with; losing it costs a calibration of two minutes, so a disk that refuses is logged and no more.
"""

import json
import logging
from dataclasses import asdict
from pathlib import Path
from typing import Any

from astrod.domain.guiding import Calibration, Vector

log = logging.getLogger(__name__)


class GuideBook:
    """The calibrations of one rig. `path` None keeps them in memory; `optic` names what they were learnt with."""

    def __init__(self, path: Path | None, optic: str) -> None:
        self._path, self._optic = path, optic
        self._known = self._load()

    def find(self, pier_side: str) -> Calibration | None:
        """The calibration for that side, if there is one."""
        return self._known.get(pier_side)

    def keep(self, calibration: Calibration) -> None:
        """Remember it, in place of the one for its side."""
        self._known[calibration.pier_side] = calibration
        self._save()

    def forget(self, pier_side: str) -> None:
        """It proved wrong: the next guiding on that side calibrates first."""
        if self._known.pop(pier_side, None) is not None:
            self._save()

    def clear(self) -> None:
        """Forget all: the camera was turned, or the owner asks for it."""
        self._known.clear()
        self._save()

    def _save(self) -> None:
        if self._path is None:
            return
        text = json.dumps({"optic": self._optic, "sides": [asdict(known) for known in self._known.values()]})
        draft = self._path.with_suffix(".new")
        try:
            draft.write_text(text)
            draft.replace(self._path)
        except OSError as fault:
            log.warning("the guide calibration cannot be kept over a restart: %s", fault)

    def _load(self) -> dict[str, Calibration]:
        if self._path is None:
            return {}
        try:
            kept = json.loads(self._path.read_text())
            if kept["optic"] != self._optic:
                return {}
            found = [_calibration(facts) for facts in kept["sides"]]
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, KeyError, TypeError) as fault:
            log.warning("the guide calibration cannot be read, the next guiding calibrates: %s", fault)
            return {}
        return {calibration.pier_side: calibration for calibration in found if calibration.trouble() is None}


def _calibration(facts: dict[str, Any]) -> Calibration:
    def vector(key: str) -> Vector:
        x, y = facts[key]
        return float(x), float(y)

    return Calibration(vector("west"), vector("north"), float(facts["dec_deg"]), str(facts["pier_side"]))
