"""The service's files, as far as they can be judged without a running systemd (for that: systemd/test-in-nspawn)."""

import shutil
import subprocess
from pathlib import Path

import pytest

from astrod.cli import exits
from astrod.cli.main import parser
from astrod.daemon import STOP_MARGIN_S, closer_s, moving_s
from astrod.domain.site import CameraSetup, MountSetup, Outlet, Place, Rig, RoofSetup, Site, Train

FOLDER = Path(__file__).parents[2] / "systemd"
UNIT = FOLDER / "astrod.service"
LAST_WORD = FOLDER / "astrod-close.service"


def _run(*command: str | Path) -> "subprocess.CompletedProcess[str]":
    if shutil.which(str(command[0])) is None:
        pytest.skip(f"no {command[0]} on this host")
    return subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=60, check=False)


def _settings(key: str, unit: Path = UNIT) -> list[str]:
    lines = [line.partition("=") for line in unit.read_text().splitlines() if not line.startswith(("#", "["))]
    return [value for name, equals, value in lines if equals and name == key]


def _minutes(key: str, unit: Path = UNIT) -> float:
    (value,) = _settings(key, unit)
    return float(value.removesuffix("min"))


@pytest.mark.parametrize("unit", [UNIT, LAST_WORD], ids=lambda unit: unit.name)
def test_systemd_finds_nothing_to_complain_of(unit: Path) -> None:
    said = _run("systemd-analyze", "verify", unit)
    assert (said.returncode, said.stderr) == (0, "")


def test_whoever_gives_up_gives_up_closed() -> None:
    assert _settings("OnFailure") == [LAST_WORD.name]
    assert _settings("ExecStart", LAST_WORD) == _settings("ExecStopPost")
    for key in ("User", "StateDirectory", "RuntimeDirectory", "RuntimeDirectoryPreserve", "SystemCallFilter"):
        assert _settings(key, LAST_WORD) == _settings(key)


@pytest.mark.parametrize("unit", [UNIT, LAST_WORD], ids=lambda unit: unit.name)
def test_the_service_is_confined_to_two_or_lower(unit: Path) -> None:
    said = _run("systemd-analyze", "security", "--offline=true", "--threshold=20", unit)
    assert said.returncode == 0, said.stdout[-300:]


def test_the_account_can_be_made(tmp_path: Path) -> None:
    said = _run("systemd-sysusers", "--dry-run", f"--root={tmp_path}", FOLDER / "astrod.sysusers")
    assert said.returncode == 0, said.stderr
    assert "user 'astrod'" in said.stderr


def test_the_folders_are_said_right(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").write_text("root:x:0:0::/root:/bin/sh\nastrod:x:990:990::/:/usr/sbin/nologin\n")
    (tmp_path / "etc/group").write_text("root:x:0:\nastrod:x:990:\n")
    said = _run("systemd-tmpfiles", "--create", "--dry-run", f"--root={tmp_path}", FOLDER / "astrod.tmpfiles")
    if "unrecognized option" in said.stderr:  # --dry-run is newer than Debian 12
        said = _run("systemd-tmpfiles", "--clean", f"--root={tmp_path}", FOLDER / "astrod.tmpfiles")
    assert (said.returncode, said.stderr) == (0, "")


@pytest.mark.parametrize("key", ["ExecStart", "ExecStopPost"])
def test_every_command_of_astrod_exists(key: str) -> None:
    (line,) = _settings(key)
    env, name, *words = line.split()
    assert (env, name) == ("/usr/bin/env", "astrod")
    assert callable(parser().parse_args(words).verb.run)  # usage errors raise SystemExit


def test_the_configurations_fault_is_not_tried_again() -> None:
    assert _settings("RestartPreventExitStatus") == [str(exits.CONFIG)]


def test_a_stop_leaves_time_to_park_and_close() -> None:
    """With all that a site can have, and each part as slow as it is unless the owner says otherwise."""
    outlet = Outlet("sim://switch", "all")
    mount = MountSetup("sim://mount", power=outlet, park_place=(0.0, 41.7))
    rig = Rig("main", mount, (Train("main", CameraSetup("sim://camera"), 400.0, 80.0),))
    roof = RoofSetup("sim://roof", interlock="solve", second_path="sim://roof2", power=outlet)
    site = Site("full", Place(41.7, 1.4, 700.0), (rig,), roof)
    assert _minutes("TimeoutStopSec") * 60 > max(moving_s(site)[1] + STOP_MARGIN_S, closer_s(site)) + 60.0
    assert _minutes("TimeoutStartSec", LAST_WORD) == _minutes("TimeoutStopSec")


def test_onnx_runtime_is_kept_from_phoning_home() -> None:
    assert any("ORT_DISABLE_TELEMETRY=1" in value.split() for value in _settings("Environment"))


def test_frames_and_the_clock_survive_the_hardening() -> None:
    assert not _settings("RemoveIPC"), "would delete frames in /dev/shm"
    assert not _settings("ProtectClock"), "would forbid adjtimex"
    assert not _settings("ProcSubset"), "would hide /proc/cpuinfo and the boot's id"
    assert _settings("SystemCallErrorNumber") == ["EPERM"]
    assert _settings("SystemCallFilter")[-1] == "adjtimex"


@pytest.mark.parametrize("script", ["test-in-nspawn", "packages"])
def test_the_scripts_are_shell(script: str) -> None:
    said = _run("bash", "-n", FOLDER / script)
    assert (said.returncode, said.stderr) == (0, "")
