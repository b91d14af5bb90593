"""What an owner may say of recovery: outlets, ladders, the FIFO; and that safety gets all of it."""

from pathlib import Path

import pytest

from astrod.config.load import load
from astrod.domain.recovery import DEFAULT, Ladder, Rung
from astrod.domain.site import IndiSetup, Outlet, Site
from astrod.errors import ConfigInvalid
from astrod_drivers.wire import decode, encode
from tests.config.observatory import GOOD, lay

BOX = "indi://localhost:7624/Power Box"
MORE = """
[[ladder]]
kind = "camera"
again_s = 40.0
good_min = 30.0
rungs = [{ step = "reconnect", tries = 3 }, { step = "power_cycle", wait_s = 20.0, deadline_s = 90.0 }]

[indi]
fifo = "/run/indi/fifo"
drivers = { "ZWO CCD" = "indi_asi_ccd" }
"""


def powered(text: str) -> str:
    return text.replace('address = "sim://camera"', f'address = "sim://camera"\npower = "{BOX}#Outlet 3"')


def test_outlets_ladders_and_the_fifo_reach_the_domain_and_safety(tmp_path: Path) -> None:
    site = load(lay(tmp_path, powered(GOOD) + MORE), None).site
    assert site.outlets() == (Outlet(BOX, "Outlet 3"),)
    rungs = (Rung("reconnect", tries=3), Rung("power_cycle", wait_s=20.0, deadline_s=90.0))
    assert site.ladder("camera") == Ladder(rungs, again_s=40.0, good_s=1800.0)
    assert site.ladder("focuser") == DEFAULT
    assert site.indi == IndiSetup("/run/indi/fifo", {"ZWO CCD": "indi_asi_ccd"})
    assert decode(Site, encode(site), "site") == site


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (powered(GOOD).replace("#Outlet 3", ""), "names no outlet"),
        (powered(GOOD).replace(BOX, "Power Box"), "no device address"),
        (GOOD + MORE.replace('"camera"', '"cammera"'), "cammera"),
        (GOOD + MORE.replace('"power_cycle"', '"kick"'), "kick"),
        (GOOD + MORE + MORE[: MORE.index("[indi]")], "taken already; each kind is used once"),
    ],
)
def test_what_cannot_be_is_said(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(ConfigInvalid, match=words):
        load(lay(tmp_path, text), None)
