"""astropy without a network: what it ships is what it uses, however old it is."""

from astropy.utils import data, iers


def go_offline() -> None:
    """Forbid astropy every download and let no table of its expire. Call it before the first position."""
    data.conf.allow_internet = False
    iers.conf.auto_download = False
    iers.conf.auto_max_age = None
    iers.conf.iers_degraded_accuracy = "warn"
