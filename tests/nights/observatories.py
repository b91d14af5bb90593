"""Observatories of all shapes on the simulated sky, and nights played at them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from astrod.domain.darkness import dark_time
from astrod.domain.identity import Night
from astrod.domain.instant import MINUTE_US, iso
from astrod.domain.site import Darkness
from astrod.rehearsal.night import SMALL, play_configured
from astrod.rehearsal.observatory import Play, Weather, write_simulated
from astrod.rehearsal.sites import KnownSite, known
from astrod.rehearsal.targets import COLOUR, Wish

PLAIN = (Wish(None, 120.0, 40),)
"""Exposures for a camera without a wheel."""

SECOND_RIG = """
[[rig]]
name = "second"

[rig.mount]
address = "sim://mount2"
settle_s = 2.0

[[rig.train]]
name = "second"
focal_length_mm = 300.0
aperture_mm = 70.0

[rig.train.camera]
address = "sim://camera2"
readout_s = 2.0
"""


class Sketch:
    """An observatory being written: start from the rehearsal's, take things away or put them in, then play."""

    def __init__(
        self,
        folder: Path,
        site: KnownSite | None = None,
        seed: int = 7,
        weather: Weather = "clear",
        wishes: Sequence[Wish] = COLOUR,
    ) -> None:
        self.folder = folder
        self.site = site or known("pujalt")
        self._spool = folder / "spool"
        self._spool.mkdir(parents=True)
        write_simulated(folder, self.site, Play(seed, weather, *SMALL), self._spool, wishes=wishes)
        self._file = folder / "astrod.toml"

    def replace(self, old: str, new: str) -> "Sketch":
        """Change a piece of the configuration that must be there once."""
        text = self._file.read_text()
        assert text.count(old) == 1, f"{old!r} is there {text.count(old)} times"
        self._file.write_text(text.replace(old, new))
        return self

    def without(self, table: str) -> "Sketch":
        """Take away a whole table, from its heading to the next."""
        text = self._file.read_text()
        start = text.index(table)
        self._file.write_text(text[:start] + text[text.index("\n[", start) + 1 :])
        return self

    def append(self, tables: str) -> "Sketch":
        """Put whole tables at the end."""
        self._file.write_text(self._file.read_text() + tables)
        return self

    def dark_for(self, minutes: float, night: str, after_dusk_min: float = 60.0) -> "Sketch":
        """Narrow the night to a window that begins this long after dusk."""
        dusk_us = dark_time(self.site.place, Darkness(), Night.parse(night)).dusk_us
        start_us = dusk_us + round(after_dusk_min * MINUTE_US)
        end_us = start_us + round(minutes * MINUTE_US)
        return self.append(f"\n[darkness]\nnot_before = {iso(start_us)}\nnot_after = {iso(end_us)}\n")

    def play(self, night: str, alone: bool = True) -> dict[str, Any]:
        """Play that night; returns its summary. Not `alone`, it starts three workers, which take seconds to come up."""
        return play_configured(self.folder, Night.parse(night), self._spool, self.site.seeing_arcsec, alone=alone)


def share_observed(summary: dict[str, Any]) -> float:
    """Observed minutes over all dark minutes."""
    minutes = summary["dark_minutes"]
    return float(minutes["observed"] / sum(minutes.values()))


def assert_in_order(summary: dict[str, Any]) -> None:
    """What holds for every night whatever its weather."""
    assert summary["invariants_broken"] == []
    assert summary["dark_minutes"]["unexplained"] == 0.0
    frames = summary["frames"]
    assert frames["kept"] + frames["rejected"] == frames["taken"]


if __name__ == "__main__":
    import json
    import sys

    started = Sketch(Path(sys.argv[1]), seed=int(sys.argv[2])).dark_for(float(sys.argv[3]), "2026-12-14")
    print(json.dumps(started.play("2026-12-14", alone=False)))
