"""`astrod meteors`: one object per input, in order; what cannot be read is named and the others go on."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from astrod.cli.main import main
from astrod.frames.detectinfo import Detection, hough_form
from tests.sighting.blocks import METEOR, Light, frames_of
from tests.sighting.files import write_ff, write_video


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A stack with a meteor, one without, a text, a video with a meteor and a picture without."""
    folder = tmp_path_factory.mktemp("night")
    video = frames_of(METEOR)
    notes = folder / "notes.txt"
    notes.write_text("clear until two\n")
    Image.fromarray(frames_of(count=1)[0]).save(folder / "sky.png")
    return [
        write_ff(folder / "FF_XX0001_20260101_000000_000_0000000.fits.gz", video),
        write_ff(folder / "FF_XX0001_20260101_000010_240_0000256.fits", frames_of(seed=3)),
        notes,
        write_video(folder / "clip.mp4", video),
        folder / "sky.png",
    ]


def test_one_object_for_each_input_in_order(files: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["meteors", "--json", *map(str, files)])
    out, err = capsys.readouterr()
    found = [json.loads(line) for line in out.splitlines()]
    assert code == 1
    assert [one["file"] for one in found] == [str(path) for path in files]
    assert "notes.txt" in found[2]["error"] and "notes.txt" in err
    assert [one.get("meteor") for one in found] == [True, False, None, True, False]
    for one in (found[0], found[3]):
        track = one["tracks"][0]
        assert track["class"] == "meteor"
        assert 0.5 <= one["score"] <= 1.0
        assert (one["frames"], one["width"], one["height"]) == (256, 224, 160)
        for frame, x, y in track["points"]:
            in_turn = y / 160.0 if one is found[0] else 0.0
            assert np.hypot(x - METEOR.place(frame - in_turn)[0], y - METEOR.place(frame - in_turn)[1]) < 3.0
        x0, y0, x1, y1 = track["box"]
        assert 50 < x0 < 66 and 40 < y0 < 56 and 110 < x1 < 126 and 80 < y1 < 96
        assert track["px_per_frame"] == pytest.approx(np.hypot(METEOR.vx, METEOR.vy), rel=0.08)


def test_a_meteor_over_the_seam_of_two_blocks_is_one_track(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_video(tmp_path / "long.mp4", frames_of(Light(first=246, frames=20), count=400))
    assert main(["meteors", "--json", str(path)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["meteor"] and found["frames"] == 400
    tracks = [track for track in found["tracks"] if track["class"] == "meteor"]
    assert len(tracks) == 1
    assert tracks[0]["frames"][0] < 252 and tracks[0]["frames"][1] > 260


def test_pictures_and_the_networks_form_are_written(files: list[Path], tmp_path: Path) -> None:
    listed, folder = tmp_path / "FTPdetectinfo_XX0001.txt", tmp_path / "pictures"
    assert main(["meteors", "--ftpdetectinfo", str(listed), "--pictures", str(folder), *map(str, files[:2])]) == 0
    assert [path.name for path in folder.iterdir()] == ["FF_XX0001_20260101_000000_000_0000000.jpg"]
    with Image.open(next(folder.iterdir())) as picture:
        assert picture.size == (224, 160)
    lines = listed.read_text().splitlines()
    assert lines[0] == "Meteor Count = 000001"
    where = lines.index("FF_XX0001_20260101_000000_000_0000000.fits")
    assert re.fullmatch(r"XX0001 0001 00\d\d 0025\.00 000\.0 000\.0  00\.0 004\.\d \S{6} \S{6}", lines[where + 2])
    points = lines[where + 3 :]
    assert len(points) == int(lines[where + 2].split()[2])
    frame, column, row, *_angles, light, _magnitude = points[len(points) // 2].split()
    assert abs(float(column) - METEOR.place(float(frame) - float(row) / 160.0)[0]) < 3.0
    assert int(light) > 0


def test_the_hough_form_names_the_line() -> None:
    points = tuple((float(t), 100.0 + 2.0 * t, 50.0, 1.0) for t in range(5))
    rho, phi = hough_form(Detection("a", "XX0001", 25.0, 0.0, 2.0, points))
    assert (rho, phi) == (pytest.approx(50.0), pytest.approx(90.0))
