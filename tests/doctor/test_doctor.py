"""`astrod doctor` finds each trouble that is planted, and nothing where there is none."""

import json
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from astrod.archive.archive import Archive
from astrod.cli import exits
from astrod.cli.main import main
from astrod.config.load import load
from astrod.core import data_paths
from astrod.daemon import resolve_name
from astrod.doctor.diagnosis import Diagnosis, sound
from astrod.doctor.examination import examine
from astrod.doctor.hardware import belief_troubles, coverage_troubles
from astrod.doctor.host import disk
from astrod.domain.exposure import Taken
from astrod.domain.identity import Night
from astrod.domain.trouble import TROUBLES
from astrod.rehearsal.observatory import Play, write_indi, write_simulated
from astrod.rehearsal.sites import known
from astrod.rehearsal.targets import Wish
from astrod.runtime.clock import WallClock
from astrod.runtime.timekeeping import ClockQuality
from astrod.versions import zoo_of
from astrod_drivers.indi.server import SIMULATORS, IndiServer, missing
from astrod_drivers.protocols import CameraInfo, MountBelief, SiteFix
from astrod_models.card import weights_folder
from tests.models.candidates import twin

DISCIPLINED = ClockQuality("host clock, NTP", 2_000)
PUJALT = known("pujalt")
NIGHT = Night.parse("2026-12-14")


class House:
    """An observatory's configuration and data, in which troubles are planted."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "astrod.toml"
        self.data = folder / "data"
        self.quality = DISCIPLINED

    def replace(self, old: str, new: str) -> None:
        """Change a piece of the configuration."""
        text = self.file.read_text()
        assert old in text, f"{old!r} is not there"
        self.file.write_text(text.replace(old, new))

    def append(self, tables: str) -> None:
        self.file.write_text(self.file.read_text() + tables)

    def archive(self) -> Path:
        """An archive with one frame that is on disk."""
        path = data_paths(self.data)["archive"]
        archive = Archive.open(path)
        intent = archive.begin_exposure(
            "pujalt", NIGHT, kind="light", rig="main", train="main", exposure_s=1.0, at_us=1
        )
        name = f"frames/{NIGHT}/{intent.id}_M31_1s.fits"
        frame = self.data / name
        frame.parent.mkdir(parents=True)
        frame.write_bytes(bytes(2880))
        archive.record_taken(Taken(intent.id, name, "ab", 2880, 1, 1.0), 2)
        archive.close()
        return path

    def ask_for(self, filter_name: str) -> None:
        """Let every target ask for another filter."""
        targets = self.folder / "targets.d" / "rehearsal.toml"
        targets.write_text(targets.read_text().replace("Luminance", filter_name))

    def found(self) -> list[Diagnosis]:
        """What the doctor says, notes of small weight left out."""
        examined = examine(load(self.file, resolve_name), WallClock(), lambda: self.quality)
        found = [diagnosis for each in examined for diagnosis in each.diagnoses]
        return [each for each in found if each.severity != "info" or each.code == "AST-304"]


@pytest.fixture
def house(tmp_path: Path) -> House:
    """A simulated observatory that nothing is wrong with."""
    write_simulated(tmp_path, PUJALT, Play(1, "clear", 484, 274, 11.6), tmp_path / "spool")
    found = House(tmp_path)
    found.archive()
    return found


def one(found: list[Diagnosis], code: str, *words: str) -> None:
    """Exactly this trouble was found, in these words, with something to do about it."""
    assert [each.code for each in found] == [code], found
    assert all(word in found[0].text for word in words), found[0].text
    assert found[0].cure
    assert found[0].code in TROUBLES


def test_nothing_is_wrong_with_a_sound_observatory(house: House) -> None:
    assert house.found() == []


def test_a_key_that_does_not_exist(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    house.replace("[night]", "[night]\nretakes_mx = 2")
    assert main(["--config", str(house.file), "doctor"]) == exits.CONFIG
    assert "did you mean" in capsys.readouterr().err


def test_a_folder_that_cannot_be_written(house: House) -> None:
    house.replace('data_dir = "data"', 'data_dir = "/proc/astrod"')
    one([found for found in house.found() if found.code == "AST-601"], "AST-601", "/proc/astrod")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount a small disk")
def test_a_disk_that_is_nearly_full(house: House, tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(small)], capture_output=True)
    if mounted.returncode != 0:
        pytest.skip(f"no tmpfs here: {mounted.stderr.decode().strip()}")
    try:
        house.replace('data_dir = "data"', f'data_dir = "{small}"')
        found = [each for each in house.found() if "free_min_gb" in each.text]
        one(found, "AST-304", str(small), "0.0 GB are free")
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_a_spool_without_room(house: House) -> None:
    examined = disk(load(house.file, resolve_name), frame_bytes=10**15)
    one(list(examined.diagnoses), "AST-304", "room for 0 frames")


def test_a_clock_that_nobody_keeps(house: House) -> None:
    house.quality = ClockQuality("host clock, not synchronised", None)
    one(house.found(), "AST-602", "not synchronised")


def test_a_clock_that_may_be_wrong_by_seconds(house: House) -> None:
    house.quality = ClockQuality("host clock, NTP", 4_000_000)
    one(house.found(), "AST-602", "4000 ms")


def test_a_model_that_is_not_what_its_card_says(house: House, tmp_path: Path) -> None:
    folder = tmp_path / "models"
    shutil.copytree(weights_folder(), folder)
    weights = folder / "quality.onnx"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    house.append(f'\n[models]\nfolder = "{folder}"\n')
    examined = examine(load(house.file, resolve_name), WallClock(), lambda: DISCIPLINED)
    found = [diagnosis for each in examined for diagnosis in each.diagnoses if diagnosis.code == "AST-401"]
    one(found, "AST-401", "quality")


def test_a_promoted_model_that_was_altered(house: House, tmp_path: Path) -> None:
    settings = load(house.file, resolve_name).settings.models
    zoo = zoo_of(settings)
    zoo.promote("quality", zoo.add("quality", twin(tmp_path / "new")).key)
    weights = zoo.in_force("quality").folder / "quality.onnx"
    weights.write_bytes(b"something else")
    examined = examine(load(house.file, resolve_name), WallClock(), lambda: DISCIPLINED)
    found = [diagnosis for each in examined for diagnosis in each.diagnoses if diagnosis.code == "AST-404"]
    one(found, "AST-404", "does not match its card")


def test_an_archive_that_is_damaged(house: House) -> None:
    path = data_paths(house.data)["archive"]
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    content = bytearray(path.read_bytes())
    content[4096:20480] = os.urandom(16384)
    path.write_bytes(content)
    assert "AST-603" in [found.code for found in house.found()]


def test_a_frame_that_is_recorded_and_gone(house: House) -> None:
    next((house.data / "frames").rglob("*.fits")).unlink()
    one(house.found(), "AST-604", "1 frames are recorded and not on disk")


def test_a_frame_that_nobody_recorded(house: House) -> None:
    (house.data / "frames" / str(NIGHT) / "pujalt-20261214-00077_M31_1s.fits").write_bytes(bytes(2880))
    one(house.found(), "AST-604", "1 frames are on disk and not recorded")


def test_frames_that_were_let_go_on_purpose_are_not_missed(house: House) -> None:
    next((house.data / "frames").rglob("*.fits")).unlink()
    house.replace("[storage]", "[storage]\nraw_days = 1")
    later = WallClock(offset_us=round(400 * 86400e6))
    examined = examine(load(house.file, resolve_name), later, lambda: DISCIPLINED)
    assert sound(examined), examined


def test_a_site_that_would_not_see_the_rain(house: House) -> None:
    seeing = ("rain_mm_h", "humidity_percent", "cloud_percent", "sky_temperature_c")
    lines = house.file.read_text().splitlines(keepends=True)
    house.file.write_text("".join(line for line in lines if not any(name in line for name in seeing)))
    one(house.found(), "AST-606", "rain")


def test_a_daemon_that_hangs(house: House) -> None:
    path = load(house.file, resolve_name).settings.daemon.socket
    path.parent.mkdir(parents=True, exist_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as deaf:
        deaf.bind(str(path))
        deaf.listen()
        one(house.found(), "AST-609", "gave no answer")


def test_a_mount_that_believes_to_be_elsewhere(house: House) -> None:
    site, now_us = load(house.file, resolve_name).site, 1_800_000_000_000_000
    place = site.place
    right = MountBelief(SiteFix(place.latitude_deg, place.longitude_deg, place.height_m), now_us)
    assert belief_troubles("mount", right, site, now_us) == ()
    assert belief_troubles("mount", MountBelief(), site, now_us) == ()
    mirrored = MountBelief(SiteFix(place.latitude_deg, -place.longitude_deg, place.height_m), now_us + 3_600_000_000)
    where, when = belief_troubles("mount", mirrored, site, now_us)
    assert "east is positive" in where.text
    assert "summer time" in when.text
    assert "astrod tells it" in where.cure and where.code == "AST-151"


def test_a_field_that_the_installed_indexes_do_not_cover(house: House, tmp_path: Path) -> None:
    loaded = load(house.file, resolve_name)
    train = loaded.site.rigs[0].trains[0]
    chip = CameraInfo("camera", 484, 274, 11.6, 16)
    bare = replace(loaded.settings.solve, index_dirs=(tmp_path / "none",), astap=None)
    (found,) = coverage_troubles(train, chip, bare)
    assert found.code == "AST-610" and found.severity == "info"
    assert "48' by 27'" in found.text and "0 index files" in found.text
    assert "too few to centre targets" in found.text
    assert "astrometry-data-tycho2-07" in found.cure
    (tiny,) = coverage_troubles(replace(train, focal_length_mm=4000.0), chip, bare)
    assert "5200" in tiny.cure
    assert coverage_troubles(train, chip, replace(bare, astap="/bin/true")) == ()


# -- on a real indiserver ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IndiServer]:
    if (reason := missing()) is not None:
        pytest.skip(reason)
    running = IndiServer()
    running.start([program for program, _ in SIMULATORS.values()], tmp_path_factory.mktemp("indi"))
    yield running
    running.stop()


@pytest.fixture
def indi(server: IndiServer, tmp_path: Path) -> House:
    """An observatory on INDI's simulators that nothing is wrong with."""
    write_indi(tmp_path, PUJALT, server.port, tmp_path / "spool", [Wish("Luminance", 5.0, 3)])
    return House(tmp_path)


@pytest.mark.indi
@pytest.mark.xdist_group("doctor")
@pytest.mark.parametrize(
    ("plant", "code", "words"),
    [
        (lambda house: house.replace("CCD Simulator", "CDD Simulator"), "AST-201", ("camera", "CCD Simulator")),
        (lambda house: house.ask_for("Lumynance"), "AST-205", ("Lumynance", "Red")),
        (
            lambda house: house.replace("limits = [", 'limits = [{ name = "sky_brightness_mag", low = 1.0 },'),
            "AST-101",
            ("sky_brightness_mag",),
        ),
    ],
    ids=["a name that is not on the server", "a filter that is not in the wheel", "a limit on what is not measured"],
)
def test_devices(indi: House, plant: Callable[[House], None], code: str, words: tuple[str, ...]) -> None:
    plant(indi)
    one(indi.found(), code, *words)


@pytest.mark.indi
@pytest.mark.xdist_group("doctor")
def test_a_sound_observatory_and_one_whose_server_is_down(indi: House, server: IndiServer) -> None:
    assert indi.found() == []
    indi.replace(f":{server.port}/Focuser", ":9/Focuser")
    one(indi.found(), "AST-201", "focuser", "no indiserver answers at", ":9;")


@pytest.mark.indi
@pytest.mark.xdist_group("doctor")
def test_a_real_mount_that_was_told_another_place(indi: House, server: IndiServer) -> None:
    setprop = ["indi_setprop", "-p", str(server.port)]
    subprocess.run([*setprop, "Telescope Simulator.CONNECTION.CONNECT=On"], check=True, timeout=20)
    place = PUJALT.place
    for east_deg, found in ((360.0 - place.longitude_deg, True), (place.longitude_deg, False)):
        site = f"LAT={place.latitude_deg};LONG={east_deg};ELEV={place.height_m}"
        subprocess.run([*setprop, f"Telescope Simulator.GEOGRAPHIC_COORD.{site}"], check=True, timeout=20)
        if found:
            one(indi.found(), "AST-151", "east is positive")
        else:
            assert indi.found() == []


@pytest.mark.indi
@pytest.mark.xdist_group("doctor")
def test_an_override_of_the_weather(indi: House, server: IndiServer) -> None:
    device = "Weather Simulator"
    for name in ("CONNECTION.CONNECT=On", "WEATHER_OVERRIDE.OVERRIDE=On"):
        subprocess.run(["indi_setprop", "-p", str(server.port), f"{device}.{name}"], check=True, timeout=20)
    try:
        one(indi.found(), "AST-101", "WEATHER_OVERRIDE")
    finally:
        off = f"{device}.WEATHER_OVERRIDE.OVERRIDE=Off"
        subprocess.run(["indi_setprop", "-p", str(server.port), off], check=True, timeout=20)


@pytest.mark.indi
@pytest.mark.xdist_group("doctor")
def test_the_verb_says_it_all(indi: House) -> None:
    command = [sys.executable, "-m", "astrod.cli.main", "--config", str(indi.file), "doctor"]
    ran = subprocess.run([*command, "--json"], capture_output=True, text=True, timeout=120)
    told = json.loads(ran.stdout)
    wanted = {"configuration", "folders", "disk", "clock", "models", "archive", "sensors", "network", "daemon"}
    assert wanted <= {each["what"] for each in told["examined"]}
    assert ran.returncode == (exits.DONE if told["sound"] else exits.FAILED)
    network = next(each for each in told["examined"] if each["what"] == "network")
    assert [trouble["code"] for trouble in network["troubles"]] == ["AST-607"]  # indiserver binds every interface
    plain = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert "-> " in plain.stdout
    assert plain.returncode == ran.returncode
