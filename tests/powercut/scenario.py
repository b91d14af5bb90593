"""A short simulated night that says aloud, one line to standard error each, what it has promised.

The conductor's own log is the promise: `expose` once an exposure's number is allotted, `taken` once its frame is
kept and recorded, `judged` once its verdict is. Afterwards the archive is used as housekeeping uses it, the site for
the closer is replaced a few times (`good`), and the process ends without a goodbye.

Run as `python -m tests.powercut.scenario FOLDER`.
"""

import json
import logging
import os
import sys
from pathlib import Path

from astrod.archive.archive import Archive
from astrod.core import data_paths
from astrod.domain.identity import Night
from astrod.runtime.durable import replace_text
from tests.nights.observatories import Sketch

NIGHT = "2026-12-14"
MINUTES = 9.0


def site_text(turn: int) -> str:
    """Some text longer than a sector, another one each time."""
    return json.dumps([turn] * 1000)


def main(folder: Path) -> None:
    """Play the night with all its files under `folder`, then a checkpoint in mid work."""
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(message)s")
    logging.getLogger("astrod.runtime.trace").setLevel(logging.INFO)
    small = Sketch(folder, seed=5).dark_for(MINUTES, NIGHT).replace("width_px = 484", "width_px = 160")
    small.replace("height_px = 274", "height_px = 120").play(NIGHT)
    archive = Archive.open(data_paths(folder / "data")["archive"])
    for turn in range(4):
        if turn == 2:
            archive.upkeep(0)
        intent = archive.begin_exposure(
            "pujalt", Night.parse(NIGHT), kind="test", rig="main", train="main", exposure_s=1.0, at_us=turn
        )
        print(f"expose id={intent.id}", file=sys.stderr, flush=True)
        replace_text(folder / "data" / "site.good.json", site_text(turn))
        print(f"good id={turn}", file=sys.stderr, flush=True)
    os._exit(0)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
