"""Reading good configurations."""

from pathlib import Path

import pytest

from astrod.config.load import load
from astrod.errors import ConfigInvalid
from tests.config.observatory import GOOD, TARGETS, lay


def test_the_domain_gets_what_the_files_say(tmp_path: Path) -> None:
    found = load(lay(tmp_path, targets_sky=TARGETS))
    site = found.site
    assert (site.name, site.title, site.place.height_m) == ("home", "home", 760.0)
    assert site.roof is not None
    assert site.roof.needs_parked
    assert [(limit.name, limit.high, limit.margin) for limit in site.weather[0].limits] == [
        ("wind_m_s", 12.0, 2.0),
        ("rain_mm_h", 0.0, 0.0),
    ]
    train = site.rigs[0].trains[0]
    assert (train.wheel, train.focuser, train.camera.cool_to_c) == ("sim://wheel", None, None)
    target = found.targets[0]
    assert target.ra_deg == pytest.approx(10.68333, abs=1e-5)
    assert target.dec_deg == pytest.approx(41.26889, abs=1e-5)
    assert [(r.id, r.filter, r.exposure_s, r.count) for r in target.requests] == [("M 31/1", "L", 120.0, 40)]


def test_relative_paths_start_at_the_folder_and_absolute_ones_stay(tmp_path: Path) -> None:
    text = GOOD + '[storage]\ndata_dir = "data"\nspool_dir = "/dev/shm/x"\n[daemon]\nrun_dir = "run"\n'
    settings = load(lay(tmp_path, text)).settings
    assert settings.storage.data_dir == tmp_path / "data"
    assert settings.storage.spool_dir == Path("/dev/shm/x")
    assert settings.daemon.socket == tmp_path / "run" / "astrod.sock"


def test_a_main_file_of_any_name_takes_the_folders_beside_it(tmp_path: Path) -> None:
    lay(tmp_path, targets_sky=TARGETS)
    (tmp_path / "astrod.toml").rename(tmp_path / "other.toml")
    found = load(tmp_path / "other.toml")
    assert [path.name for path in found.files] == ["other.toml", "sky.toml"]


def test_a_later_file_wins_and_the_override_is_told(tmp_path: Path) -> None:
    lay(tmp_path, conf_b="[site]\nheight_m = 800\n", conf_a="[site]\nheight_m = 790\ntitle = 'A'\n")
    found = load(tmp_path)
    assert found.site.place.height_m == 800.0
    assert found.site.title == "A"
    assert found.overrides == (
        "conf.d/a.toml:2: [site] height_m replaces astrod.toml:5",
        "conf.d/b.toml:2: [site] height_m replaces conf.d/a.toml:2",
    )


def test_a_part_changes_one_limit_and_adds_a_source_by_name(tmp_path: Path) -> None:
    part = """
[[weather]]
name = "station"
limits = [{ name = "wind_m_s", high = 9 }]
[[weather]]
name = "cloud"
address = "indi://localhost/AAG"
"""
    site = load(lay(tmp_path, conf_local=part)).site
    assert [source.name for source in site.weather] == ["station", "cloud"]
    assert [(limit.name, limit.high, limit.margin) for limit in site.weather[0].limits] == [
        ("wind_m_s", 9.0, 2.0),
        ("rain_mm_h", 0.0, 0.0),
    ]


def test_the_digest_follows_every_file(tmp_path: Path) -> None:
    first = load(lay(tmp_path)).digest
    assert load(tmp_path).digest == first
    assert load(lay(tmp_path, targets_sky=TARGETS)).digest != first


def test_the_environment_names_the_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASTROD_CONFIG", str(lay(tmp_path)))
    assert load().folder == tmp_path


def test_an_empty_variable_counts_for_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ASTROD_CONFIG", "")
    monkeypatch.setattr("astrod.config.roots.DEFAULT_ROOT", Path("/nowhere/astrod"))
    with pytest.raises(ConfigInvalid, match="/nowhere/astrod: is not there; name a file or folder with --config"):
        load()


def test_names_are_resolved_by_what_is_given(tmp_path: Path) -> None:
    text = '[[target]]\nname = "Vega"\nexposures = [{ exposure_s = 1, count = 1 }]\n'
    found = load(lay(tmp_path, targets_a=text), lambda name: (279.2, 38.8) if name == "Vega" else (0.0, 0.0))
    assert (found.targets[0].ra_deg, found.targets[0].dec_deg) == (279.2, 38.8)


def test_notes_say_what_is_right_but_perhaps_not_meant(tmp_path: Path) -> None:
    south = TARGETS.replace("+41d", "-61d").replace("M 31", "Deep south")
    notes = load(lay(tmp_path, targets_sky=south)).notes
    assert notes == ("Deep south never rises above 25° here (at best -13°)",)
    assert load(lay(tmp_path, targets_sky="")).notes[0].startswith("there is no target")


def test_configurations_that_are_no_exceptions(tmp_path: Path) -> None:
    """No roof, no wheel, no focuser, no weather, alt-az, a DSLR beside an OSC camera, two rigs."""
    text = """
[site]
name = "field"
latitude_deg = -30
longitude_deg = 149
height_m = 1100
roof = "none"
[[rig]]
name = "altaz"
mount = { address = "indi://localhost/A", kind = "altaz" }
[[rig.train]]
name = "dslr"
focal_length_mm = 135
aperture_mm = 67.5
camera = { address = "indi://localhost/Canon", bayer = "RGGB" }
[[rig.train]]
name = "osc"
focal_length_mm = 500
aperture_mm = 100
camera = { address = "indi://localhost/ZWO", cool_to_c = -5 }
[[rig]]
name = "second"
mount = { address = "indi://other:7625/A" }
[[rig.train]]
name = "dslr"
focal_length_mm = 85
aperture_mm = 50
camera = { address = "indi://other:7625/Nikon" }
"""
    site = load(lay(tmp_path, text)).site
    assert site.roof is None
    assert site.weather == ()
    assert [rig.mount.kind for rig in site.rigs] == ["altaz", "equatorial"]
    assert [len(rig.trains) for rig in site.rigs] == [2, 1]
    assert site.rigs[0].trains[0].camera.cool_to_c is None


def test_moments_narrow_the_night(tmp_path: Path) -> None:
    text = GOOD + "[darkness]\nnot_before = 2026-12-14T22:00:00Z\nnot_after = 2026-12-15T01:30:00+01:00\n"
    darkness = load(lay(tmp_path, text)).site.darkness
    assert darkness.not_before_us == 1_797_285_600_000_000
    assert darkness.not_after_us == darkness.not_before_us + int(2.5 * 3600e6)
