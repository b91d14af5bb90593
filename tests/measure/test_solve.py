"""Plate solving: our own matching on rendered and real frames, astrometry.net and ASTAP behind their one door."""

import math
import os
import shutil
import stat
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from astrod.domain.plate import Expected, PlateSolution
from astrod.frames.image import read_image
from astrod.measure import solve
from astrod.measure.index import NEAR_STARS, IndexStars, coverage, index_files
from astrod.measure.match import Spots, deproject, match, project
from astrod.rehearsal.stars import simulated_stars
from astrod_drivers.sim.render import render
from astrod_drivers.sim.scene import Pointing, Scene, Sensor

INDEX = Path("/usr/share/astrometry")
SMALL = Sensor(484, 274, 11.6)
needs_index = pytest.mark.skipif(
    not index_files([INDEX]) or shutil.which("solve-field") is None,
    reason="Debian's astrometry.net and astrometry-data-tycho2 are not installed",
)


def frame(scene: Scene) -> Any:
    return SimpleNamespace(
        pixels=render(scene), mask=None, bayer=scene.sensor.bayer, exposure_s=scene.exposure_s, saturation_adu=None
    )


def beside(ra_deg: float, dec_deg: float, off_deg: float, angle: float) -> tuple[float, float]:
    """A place that far from another."""
    return deproject(3600.0 * off_deg * complex(math.cos(angle), math.sin(angle)), ra_deg, dec_deg)


SIM = solve.Solver(stars=simulated_stars, solve_field=None)


@pytest.mark.parametrize(("sensor", "seed"), [(SMALL, 1), (SMALL, 2), (Sensor(), 3), (Sensor(bayer="RGGB"), 4)])
def test_a_frame_is_solved_to_a_fraction_of_a_pixel(sensor: Sensor, seed: int) -> None:
    dice = np.random.default_rng(seed)
    ra_deg, dec_deg, rotation_deg = dice.uniform(0.0, 360.0), dice.uniform(-30.0, 80.0), dice.uniform(0.0, 360.0)
    scene = Scene(sensor=sensor, exposure_s=3.0, pointings=(Pointing(0.0, ra_deg, dec_deg, rotation_deg),), seed=seed)
    seen = solve.spots_of(frame(scene))
    guess = beside(ra_deg, dec_deg, 0.5, dice.uniform(0.0, 6.28))
    found = solve.near(seen, Expected(*guess, 1.02 * scene.scale_arcsec, 1.0), SIM)
    assert found is not None
    assert found.off_arcsec(ra_deg, dec_deg) < 0.6 * scene.scale_arcsec
    assert abs((found.rotation_deg - rotation_deg + 180.0) % 360.0 - 180.0) < 0.1
    assert found.scale_arcsec_px == pytest.approx(scene.scale_arcsec, rel=0.002)
    assert found.parity == "direct"
    assert found.residual_arcsec < scene.scale_arcsec


def test_a_mirrored_frame_is_solved_and_said_to_be_mirrored() -> None:
    scene = Scene(sensor=SMALL, exposure_s=3.0, pointings=(Pointing(0.0, 200.0, 40.0, 30.0),))
    seen = frame(scene)
    seen.pixels = np.ascontiguousarray(seen.pixels[:, ::-1])
    found = solve.near(solve.spots_of(seen), Expected(200.3, 40.1, scene.scale_arcsec, 1.0), SIM)
    assert found is not None
    assert found.parity == "mirrored"
    assert found.off_arcsec(200.0, 40.0) < scene.scale_arcsec


@given(seed=st.integers(0, 10_000))
@settings(max_examples=6, deadline=None)
def test_stars_of_no_sky_are_never_solved(seed: int) -> None:
    dice = np.random.default_rng(seed)
    nonsense = Spots(dice.uniform(-960.0, 960.0, 60), dice.uniform(-540.0, 540.0, 60), 1920, 1080)
    place = Expected(dice.uniform(0.0, 360.0), dice.uniform(-60.0, 80.0), 1.5, 0.5)
    assert match(nonsense, place, simulated_stars) is None


def test_the_wrong_place_and_too_few_stars_are_not_solved() -> None:
    scene = Scene(sensor=SMALL, exposure_s=3.0, pointings=(Pointing(0.0, 200.0, 40.0, 30.0),))
    seen = solve.spots_of(frame(scene))
    assert solve.near(seen, Expected(230.0, 10.0, scene.scale_arcsec, 1.0), SIM) is None
    few = Spots(seen.x_px[:4], seen.y_px[:4], seen.width_px, seen.height_px)
    assert solve.near(few, Expected(200.0, 40.0, scene.scale_arcsec, 1.0), SIM) is None
    assert solve.near(seen, Expected(200.0, 40.0, scene.scale_arcsec, 1.0), solve.Solver()) is None


@given(
    ra=st.floats(0.0, 359.9),
    dec=st.floats(-85.0, 85.0),
    east=st.floats(-7200.0, 7200.0),
    north=st.floats(-7200.0, 7200.0),
)
def test_projection_and_back_is_where_it_was(ra: float, dec: float, east: float, north: float) -> None:
    there = deproject(complex(east, north), ra, dec)
    back = project(np.array([there[0]]), np.array([there[1]]), ra, dec)[0]
    assert abs(back - complex(east, north)) < 1e-4


def test_a_rich_field_has_more_bright_stars_than_the_place_it_is_for() -> None:
    def bright(ra_deg: float, dec_deg: float) -> int:
        ra, _ = simulated_stars(ra_deg, dec_deg, 4.0, 1500)
        there, _ = simulated_stars(ra_deg, dec_deg, 0.2, 1500)
        return int(np.count_nonzero(np.isin(there, ra)))

    places = solve.rich_fields(11.888, -25.288, 0.45, SIM)  # NGC 253, far from the Milky Way
    assert len(places) > 5
    assert all(
        PlateSolution(*place, 0, 1, "direct", 0, 0, "").off_arcsec(11.888, -25.288) < 5 * 3600.0 for place in places
    )
    assert bright(*places[0]) >= bright(11.888, -25.288)


# -- astrometry.net ------------------------------------------------------------------------------------------

REAL = solve.Solver(IndexStars((INDEX,)), (INDEX,), deadline_s=30.0)
WIDE = Sensor(1024, 768, 24.0)
"""3.5 by 2.6 degrees at 400 mm: wide enough for the real stars of the simulated sky, which end at V 9.5."""


@needs_index
def test_a_lost_mount_is_found_blind_and_both_solvers_agree() -> None:
    scene = Scene(sensor=WIDE, exposure_s=0.3, pointings=(Pointing(0.0, 84.0, 35.0, 250.0),))
    seen = frame(scene)
    spots = solve.spots_of(seen)
    lost = Expected(250.0, -40.0, scene.scale_arcsec, 1.0)
    found = solve.blind(seen, spots, lost, REAL)
    assert found is not None
    assert found.by == "astrometry.net"
    assert found.off_arcsec(84.0, 35.0) < 2.0 * scene.scale_arcsec
    assert abs((found.rotation_deg - 250.0 + 180.0) % 360.0 - 180.0) < 0.3
    ours = solve.near(spots, Expected(84.5, 35.3, scene.scale_arcsec, 1.5), REAL)
    assert ours is not None
    assert ours.off_arcsec(found.ra_deg, found.dec_deg) < scene.scale_arcsec
    assert ours.parity == found.parity
    assert not list(Path("/tmp").glob(f"astrod-solve-{os.getpid()}-*"))


@needs_index
def test_what_is_covered_and_what_to_install() -> None:
    assert coverage([INDEX], 210.0, 160.0).covered
    missing = coverage([], 210.0, 160.0)
    assert not missing.covered
    assert "apt-get install" in missing.advice
    tiny = coverage([INDEX], 8.0, 6.0)
    assert not tiny.covered
    assert "5200" in tiny.advice
    assert tiny.stars < NEAR_STARS < coverage([INDEX], 210.0, 160.0).stars
    narrow = coverage([INDEX], 25.4, 20.3)  # INDI's camera simulator behind 900 mm
    assert not narrow.covered and "5200" in narrow.advice and narrow.stars < 2.0 * NEAR_STARS


@needs_index
@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "expected", "place"),
    [
        ("seestar/Light_M_94_10.0s_IRCUT_20250326-212046.fit.gz", (193.04, 40.97, 2.393), (192.7777, 41.1168)),
        ("panoptes/pocs_tests_data_solved.fits.gz", (303.5, 46.3, 10.3), (303.2034, 46.0180)),
        ("hatp32/HATP-32171220013343.FITS.gz", (31.31, 46.77, 5.2), (31.2492, 46.7415)),
    ],
)
def test_real_frames_are_solved(name: str, expected: tuple[float, float, float], place: tuple[float, float]) -> None:
    path = Path(__file__).parents[3] / "shared/data/frames" / name
    if not path.exists():
        pytest.skip(f"{path} is not here")
    found = solve.near(solve.spots_of(read_image(path)), Expected(*expected, 1.0), REAL)
    assert found is not None
    assert found.off_arcsec(*place) < 15.0


# -- programs that misbehave, and ASTAP by a stand-in that speaks its command line ----------------------------


def program(folder: Path, script: str) -> str:
    path = folder / "solver"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


SPOTS = Spots(np.arange(20.0), np.arange(20.0), 100, 100)
FRAME = SimpleNamespace(pixels=np.arange(10_000, dtype=np.uint16).reshape(100, 100), mask=None, bayer=None)
FRAME.exposure_s = FRAME.saturation_adu = None


def test_a_program_that_hangs_is_killed_with_its_children(tmp_path: Path) -> None:
    name = program(tmp_path, f'sleep 300 & echo $! > "{tmp_path}/child"; wait')
    solver = solve.Solver(astap=name, deadline_s=0.5)
    began = time.monotonic()
    solve._GRACE_S, grace = 0.5, solve._GRACE_S
    try:
        assert solve.blind(FRAME, SPOTS, Expected(10.0, 20.0, 3.0, 1.0), solver) is None
    finally:
        solve._GRACE_S = grace
    assert time.monotonic() - began < 10.0
    child = int((tmp_path / "child").read_text())
    for _ in range(50):
        if not Path(f"/proc/{child}").exists() or "Z" in Path(f"/proc/{child}/stat").read_text().split()[2]:
            break
        time.sleep(0.05)
    else:
        pytest.fail("its child lives on")


def test_astap_is_asked_as_its_manual_says_and_its_answer_understood(tmp_path: Path) -> None:
    script = f"""echo "$@" > "{tmp_path}/asked"
while [ $# -gt 0 ]; do case "$1" in -o) out="$2";; -f) test -s "$2" || exit 1;; esac; shift; done
cat > "$out.wcs" <<EOF
SIMPLE  =                    T / file does conform
CRPIX1  =                 50.5 / X of reference pixel
CRPIX2  =                 50.5 / Y of reference pixel
CRVAL1  =                150.0 / RA of reference pixel (deg)
CRVAL2  =                -20.0 / DEC of reference pixel (deg)
CD1_1   =    -8.3333333333E-04 / CD matrix
CD1_2   =                  0.0 / CD matrix
CD2_1   =                  0.0 / CD matrix
CD2_2   =    -8.3333333333E-04 / CD matrix
PLTSOLVD=                    T / ASTAP
END
EOF"""
    solver = solve.Solver(astap=program(tmp_path, script), deadline_s=5.0)
    found = solve.hinted(FRAME, SPOTS, Expected(150.1, -20.1, 3.0, 2.0), solver)
    assert found is not None
    assert found.by == "ASTAP"
    assert (found.ra_deg, found.dec_deg) == pytest.approx((150.0, -20.0), abs=1e-6)
    assert found.scale_arcsec_px == pytest.approx(3.0)
    assert found.rotation_deg == pytest.approx(0.0, abs=1e-6)
    assert found.parity == "direct"
    asked = (tmp_path / "asked").read_text()
    assert "-ra 10.006667 -spd 69.90000" in asked
    assert "-r 2.00" in asked


@pytest.mark.parametrize("answer", ["", "CRVAL1  = nonsense", "CRVAL1  = 1\nCRVAL2  = 99\nCRPIX1  = 1\nCRPIX2  = 1"])
def test_a_program_that_answers_nonsense_solves_nothing(tmp_path: Path, answer: str) -> None:
    script = f"""while [ $# -gt 0 ]; do case "$1" in -o) out="$2";; esac; shift; done
printf '{answer}\\nCD1_1   = 1\\nCD1_2   = 0\\nCD2_1   = 0\\nCD2_2   = nan\\n' > "$out.wcs" """
    solver = solve.Solver(astap=program(tmp_path, script), deadline_s=5.0)
    assert solve.blind(FRAME, SPOTS, Expected(150.0, -20.0, 3.0, 2.0), solver) is None


def test_what_a_killed_worker_left_behind_goes_with_the_next_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    left = tmp_path / "astrod-solve-999999999-abc"
    left.mkdir()
    mine = tmp_path / f"astrod-solve-{os.getppid()}-abc"
    mine.mkdir()
    solver = solve.Solver(astap=program(tmp_path, "exit 1"), deadline_s=5.0)
    assert solve.blind(FRAME, SPOTS, Expected(150.0, -20.0, 3.0, 2.0), solver) is None
    assert not left.exists()
    assert mine.exists()
