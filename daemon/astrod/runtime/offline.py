"""Astropy without a network: the one place where it is configured.

Left alone, astropy asks two hosts for new Earth-rotation tables once the packaged ones are 30 days old, and
refuses every horizontal coordinate of "now" when it cannot have them. An observatory without a network must
go on for years, so: never download, never call a table too old, and past the table's end use its last values
(an error of well under a second of time in UT1, that is 15 arcseconds in azimuth, after some years).
"""

import os
import warnings
from pathlib import Path

_OUTDATED = (
    r"(?s).*polar motions? .*",
    r"(?s).*IERS data is valid.*",
    r"(?s).*leap-second (file|auto-update).*",
    r"(?s).*(Tried to get polar motions|[Dd]ubious year).*",
)
"""What astropy and ERFA say about times past their tables' end; it is known, and written down here."""


def go_offline() -> None:
    """Configure astropy for this process; call before anything asks it for coordinates or times.

    May be called any number of times. It imports astropy (0.3 s of CPU at first), so the control process and
    the command line leave it to those processes that compute. Gives astropy a home directory where there is
    none (a service without HOME), by setting HOME to `/`, where it writes nothing.
    """
    _give_home()
    from astropy.utils import data, iers

    iers.conf.auto_download = False
    iers.conf.auto_max_age = None
    iers.conf.iers_degraded_accuracy = "warn"
    data.conf.allow_internet = False
    for message in _OUTDATED:
        warnings.filterwarnings("ignore", message=message)


def _give_home() -> None:
    try:
        Path.home()
    except RuntimeError:
        os.environ["HOME"] = "/"
