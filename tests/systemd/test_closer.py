"""The closer without a daemon, and what `run` answers systemd for a configuration that is wrong."""

import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from astrod.config.load import load
from astrod.core import data_paths
from astrod.daemon import close_now, refused, resolve_name
from astrod.domain.site import Site
from astrod.runtime.clock import WallClock
from astrod_drivers.permit import EpochPage
from astrod_drivers.wire import encode

EXAMPLE = Path(__file__).parents[2] / "etc/examples/sim"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed observatory whose simulated hardware is not up; systemd's state folder is its data."""
    shutil.copytree(EXAMPLE, tmp_path / "etc")
    for name, below in (("STATE_DIRECTORY", "etc/data"), ("RUNTIME_DIRECTORY", "etc/run")):
        (tmp_path / below).mkdir()
        monkeypatch.setenv(name, str(tmp_path / below))
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    return tmp_path / "etc"


def _site(folder: Path) -> Site:
    return load(folder, resolve_name).site


def _was_good(folder: Path, site: Site) -> None:
    data_paths(folder / "data")["site"].write_text(json.dumps(encode(site)))


def _with_a_real_mount(site: Site) -> Site:
    """Half simulated, half not: it cannot be closed while the simulated half is not up."""
    rig = replace(site.rigs[0], mount=replace(site.rigs[0].mount, address="indi://localhost:1/Mount"))
    return replace(site, rigs=(rig,))


def _break(folder: Path) -> None:
    with (folder / "astrod.toml").open("a") as file:
        file.write("[nite]\n")


def test_nothing_stands_open_where_the_simulated_hardware_is_not_up(folder: Path) -> None:
    assert close_now(folder) == 0


def test_a_broken_configuration_is_closed_by_the_last_good_one(folder: Path) -> None:
    _was_good(folder, _site(folder))
    _break(folder)
    assert close_now(folder) == 0


def test_a_last_good_site_cut_short_falls_back_to_the_configuration(folder: Path) -> None:
    data_paths(folder / "data")["site"].write_text('{"name": "puj')
    assert close_now(folder) == 0


def test_the_last_good_site_counts_before_an_edit_that_no_daemon_has_taken_up(folder: Path) -> None:
    _was_good(folder, _with_a_real_mount(_site(folder)))
    assert close_now(folder) == 1


def test_without_any_good_configuration_there_is_nothing_to_close_by(folder: Path) -> None:
    _break(folder)
    assert close_now(folder) == 78


def test_by_hand_a_broken_configuration_moves_nothing(folder: Path) -> None:
    _was_good(folder, _with_a_real_mount(_site(folder)))
    _break(folder)
    assert refused(folder) == 78


def test_systemd_hears_78_only_once_the_site_is_closed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(folder / "nobody"))
    site = _site(folder)
    _was_good(folder, _with_a_real_mount(site))
    _break(folder)
    assert refused(folder) == 1
    _was_good(folder, site)
    assert refused(folder) == 78


# -- after a crash -------------------------------------------------------------------------------------------


@pytest.fixture
def left(folder: Path) -> Iterator[tuple[EpochPage, int]]:
    """A site that would take closing, whose safety process holds its lock; the page and the lock."""
    _was_good(folder, _with_a_real_mount(_site(folder)))
    lock = os.open(folder / "run" / "safety.pid", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    yield EpochPage(folder / "run" / "epoch"), lock
    os.close(lock)


def _beat(page: EpochPage, safety_s: float, control_s: float) -> None:
    """Both loops made progress so long ago."""
    now_us = WallClock().boottime_us()
    page.beat_safety(now_us - round(safety_s * 1e6))
    page.beat_control(now_us - round(control_s * 1e6))


def _stands_back(folder: Path) -> bool:
    return close_now(folder) == 0  # closing this site fails: half of its hardware is not there


def test_after_a_crash_the_closer_stands_back_while_safety_lives(
    folder: Path, left: tuple[EpochPage, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    page, _ = left
    for result, stands_back in ((None, False), ("success", False), ("signal", True)):
        if result is not None:
            monkeypatch.setenv("SERVICE_RESULT", result)
        page.become_safe()
        _beat(page, 0.0, 4.0)
        assert _stands_back(folder) is stands_back, result
        assert page.safe is stands_back, "while it stands back, permits are safety's to take"


@pytest.mark.parametrize("why", ["safety is dead", "safety hangs", "control was silent before", "nobody ever beat"])
def test_the_closer_relies_on_no_safety_process_that_might_not_close(
    folder: Path, left: tuple[EpochPage, int], monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    page, lock = left
    monkeypatch.setenv("SERVICE_RESULT", "signal")
    if why != "nobody ever beat":
        _beat(page, 5.0 if why == "safety hangs" else 0.5, 25.0 if why.startswith("control") else 4.0)
    if why == "safety is dead":
        fcntl.flock(lock, fcntl.LOCK_UN)
    assert not _stands_back(folder)
