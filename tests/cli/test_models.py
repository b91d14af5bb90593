"""`astrod models …` and `astrod thumb`: on disk where no daemon runs, and what a daemon's answers look like."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from astrod.answers import Answers, model_answer
from astrod.archive.archive import Archive
from astrod.cli import exits
from astrod.cli.ink import Line
from astrod.cli.main import main
from astrod.cli.models import eval_lines, list_lines, show_lines
from astrod.config.settings import ModelSettings
from astrod.curation import Curation
from astrod.domain.exposure import Judgement, Measured, Taken
from astrod.domain.identity import Night
from astrod.errors import InputInvalid
from astrod.evaluation import files_in, read_labels
from astrod.health import Health
from astrod.recording import Recording
from astrod.runtime.clock import SimClock, VirtualLoop, run_virtual
from astrod.runtime.offload import VirtualOffload
from astrod.runtime.trace import Trace
from astrod.versions import show_model
from astrod_drivers.sim.render import render
from astrod_drivers.sim.scene import Optics, Scene, Sensor
from astrod_models.card import weights_folder
from tests.config.observatory import GOOD, TARGETS, lay
from tests.models.candidates import identity, twin
from tests.models.candidates import lay as lay_model
from tests.ridealong.fitsfiles import fits_bytes, save

CLEAR = Scene(sensor=Sensor(width_px=484, height_px=274), optics=Optics(300.0, 75.0, 0.35), exposure_s=60.0)


@pytest.fixture
def site(tmp_path: Path) -> Path:
    folder = tmp_path / "site"
    folder.mkdir()
    keys = '[daemon]\nrun_dir = "run"\n[storage]\ndata_dir = "data"\n'
    return lay(folder, GOOD + keys, targets_sky=TARGETS)


def run(site: Path, *words: str) -> int:
    return main(["--config", str(site), *words])


def text(lines: list[Line]) -> str:
    return "\n".join("".join(span.text for span in row) for row in lines)


def test_a_models_life_without_a_daemon(site: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    candidate = str(twin(tmp_path / "new", "9"))
    assert run(site, "models", "shadow", "quality", candidate) == exits.DONE
    assert run(site, "models", "promote", "quality") == exits.FAILED
    assert "--anyway promotes it unseen" in capsys.readouterr().err
    assert run(site, "models", "promote", "quality", "--anyway") == exits.DONE
    assert "quality 9" in capsys.readouterr().out
    assert run(site, "models", "list", "--json") == exits.DONE
    row = next(one for one in json.loads(capsys.readouterr().out)["models"] if one["name"] == "quality")
    assert (row["title"], row["trusted"], row["versions"]) == ("quality 9", True, 2)
    assert run(site, "models", "rollback", "quality") == exits.DONE
    assert run(site, "models", "rollback", "quality") == exits.FAILED
    capsys.readouterr()
    assert run(site, "models", "show", "quality", "--json") == exits.DONE
    told = json.loads(capsys.readouterr().out)
    assert [version["in_force"] for version in told["all"]] == [True, False]
    assert told["card"]["limits"]
    assert run(site, "models", "shadow", "quality", "off") == exits.DONE
    assert (site / "data" / "models").is_dir()


def test_a_file_that_does_not_match_its_card_is_refused_and_its_stand_in_named(
    site: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(site, "models", "promote", "quality", str(twin(tmp_path / "new", "9")), "--anyway") == exits.DONE
    weights = next((site / "data" / "models" / "quality").glob("9-*/quality.onnx"))
    weights.write_bytes(b"something else")
    capsys.readouterr()
    assert run(site, "models", "verify", "quality") == exits.FAILED
    out = capsys.readouterr().out
    assert "refused" in out
    assert "does not match its card" in out
    assert "in its place: quality" in out
    assert run(site, "models", "list") == exits.DONE
    assert "does not match its card" in capsys.readouterr().out
    misfit = lay_model(tmp_path / "misfit", identity(), "9")
    assert run(site, "models", "shadow", "quality", str(misfit)) == exits.FAILED
    assert "is refused" in capsys.readouterr().err


def test_the_shipped_models_are_sound(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ASTROD_CONFIG", raising=False)
    main(["models", "verify", "--json"])
    rows = [json.loads(row) for row in capsys.readouterr().out.splitlines()]
    there = {path.stem for path in weights_folder().glob("*.onnx")}
    assert "quality" in there
    assert {row["name"] for row in rows if row["sound"]} == there


def test_a_model_is_tried_on_files_beside_its_stand_in(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "frames"
    folder.mkdir()
    for name, scene in {"good": CLEAR, "blank": Scene(sensor=CLEAR.sensor, exposure_s=0.001)}.items():
        np.save(folder / f"{name}.npy", render(scene))
    (folder / "broken.fits").write_bytes(b"nothing")
    labels = tmp_path / "labels.csv"
    labels.write_text("file,usable\ngood.npy,true\nblank.npy,false\n")
    said = main(["models", "eval", "quality", str(folder), "--labels", str(labels), "--json"])
    out, err = capsys.readouterr()
    told = json.loads(out)
    assert said == exits.FAILED
    assert "broken.fits" in err
    assert (told["files"], told["judged"], told["labelled"]) == (3, 2, 2)
    assert told["scores"]["good_kept"]["count"] == told["scores"]["bad_refused"]["count"] == 1
    assert "good kept" in text(eval_lines(told))
    assert main(["models", "eval", "nothing", str(folder)]) == exits.FAILED


def test_the_meteor_model_is_tried_on_pictures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    noise = np.random.default_rng(3).normal(60.0, 4.0, (240, 320)).astype(np.uint16)
    save(tmp_path / "empty.fits", fits_bytes(noise))
    labels = tmp_path / "labels.csv"
    labels.write_text("file,meteor\nempty.fits,no\n")
    assert main(["models", "eval", "meteor", str(tmp_path), "--labels", str(labels), "--json"]) == exits.DONE
    told = json.loads(capsys.readouterr().out)
    assert told["scores"]["bad_refused"]["count"] == told["labelled"] == 1
    assert "others let by" in text(eval_lines(told))


@pytest.mark.parametrize("content", ["", "file\na.fits\n", '{"file": "a.fits", "usable": "perhaps"}', '{"file"'])
def test_labels_that_say_nothing_are_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "labels"
    path.write_text(content)
    if content:
        with pytest.raises(InputInvalid, match="needs `file` and `usable`"):
            read_labels(path)
    else:
        assert read_labels(path) == {}


def test_labels_go_by_the_whole_path_first_and_by_a_name_that_is_there_once(tmp_path: Path) -> None:
    path = tmp_path / "labels.jsonl"
    rows = [("/a/1.fits", True), ("/b/1.fits", False), ("/b/2.fits", True)]
    path.write_text("".join(json.dumps({"file": file, "usable": usable}) + "\n" for file, usable in rows))
    said = read_labels(path)
    assert said["/a/1.fits"] is True
    assert said["/b/1.fits"] is False
    assert said["2.fits"] is True
    assert "1.fits" not in said


def test_files_are_taken_from_folders_in_order(tmp_path: Path) -> None:
    for name in ("b.fits.gz", "a.npy", "deep/c.fit", "d.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    found = [path.name for path in files_in([tmp_path, Path("named.xyz")])]
    assert found == ["a.npy", "b.fits.gz", "c.fit", "named.xyz"]


def test_training_without_what_it_needs_says_how(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "train", "nothing", "--out", str(tmp_path)]) == exits.FAILED
    assert "checkout" in capsys.readouterr().err


# -- a daemon's side -----------------------------------------------------------------------------------------


@dataclass
class _Site:
    name: str = "pujalt"


@dataclass
class _Storage:
    data_dir: Path


@dataclass
class _Core:
    """What the answers about models ask of the core."""

    curation: Curation
    recording: Recording
    clock: SimClock
    storage: _Storage
    site: _Site = field(default_factory=_Site)


def answers(folder: Path, *asked: tuple[str, dict[str, Any]]) -> list[Any]:
    """What a daemon with one judged frame answers, one after the other; refusals as their text."""

    async def ask(loop: VirtualLoop) -> list[Any]:
        clock = SimClock(loop, 1_797_300_000_000_000)
        archive = Archive.open(folder / "archive.db")
        offload = VirtualOffload(clock, seed=1)
        recording = Recording(archive, offload)
        health = Health(clock, Trace(clock))
        settings = ModelSettings(True, None, folder / "models")
        curation = Curation(settings, recording, offload, health, clock)
        core: Any = _Core(curation, recording, clock, _Storage(folder))
        intent = archive.begin_exposure(
            "pujalt", Night.parse("2026-12-14"), kind="light", rig="main", train="main", exposure_s=60, at_us=5
        )
        archive.record_taken(Taken(intent.id, "frames/a.fits", "ab", 2880, 7, 60.0), 8)
        judgement = Judgement(95.0, "keep", "none", {}, "quality 2")
        archive.record_judged(intent.id, Measured(5, 1.0, 1.0, 2.0, 1.0), judgement, 9, {"log_stars": 1.0})
        nobody: Any = None
        handlers = Answers(core, nobody, nobody, nobody).handlers()
        said: list[Any] = []
        try:
            for verb, args in asked:
                try:
                    said.append(await handlers[verb](args))
                except InputInvalid as refusal:
                    said.append(str(refusal))
        finally:
            archive.close()
        return said

    return run_virtual(ask)  # type: ignore[no-any-return]


FRAME = "pujalt-20261214-00001"


def test_thumbs_are_given_shown_and_taken_back(tmp_path: Path) -> None:
    down, frames, out, none, gone = answers(
        tmp_path,
        ("thumb", {"id": FRAME, "word": "down", "cause": "clouds", "who": "ana"}),
        ("frames", {"limit": 5}),
        ("thumbs", {}),
        ("thumb", {"id": FRAME, "word": "none"}),
        ("thumbs", {}),
    )
    assert down["text"] == f"{FRAME} has thumb down: clouds"
    assert [(row["thumb"], row["thumb_cause"]) for row in frames["frames"]] == [("down", "clouds")]
    assert json.loads(out["lines"][0])["usable"] is False
    assert "no thumb" in none["text"]
    assert gone["lines"] == []


@pytest.mark.parametrize(
    ("args", "refusal"),
    [
        ({"id": "nonsense", "word": "up"}, "is no exposure id"),
        ({"id": "pujalt-20261214-00009", "word": "up"}, "no frame that was taken"),
        ({"id": FRAME, "word": "perhaps"}, "is no word on a frame"),
        ({"id": FRAME, "word": "down", "cause": "gremlins"}, "is no cause"),
    ],
)
def test_a_thumb_that_says_nothing_is_refused(tmp_path: Path, args: dict[str, str], refusal: str) -> None:
    assert refusal in answers(tmp_path, ("thumb", args))[0]


def test_a_daemon_tells_of_its_models_and_what_the_shadow_lacks(tmp_path: Path) -> None:
    models, shadow, model, early, wrong, relative = answers(
        tmp_path,
        ("models", {}),
        ("model_shadow", {"name": "quality", "file": str(twin(tmp_path / "new", "9"))}),
        ("model", {"name": "quality"}),
        ("model_promote", {"name": "quality"}),
        ("model", {"name": "quantity"}),
        ("model_shadow", {"name": "quality", "file": "new/quality.onnx"}),
    )
    assert "quality" in text(list_lines(models))
    assert "in the shadow of" in shadow["text"]
    assert model["standing"]["lacks"]
    shown = text(show_lines(model, json.loads(model["card"])))
    assert "0 of 100 frames were judged by both" in shown
    assert "limits" in shown
    assert "is not ready" in early
    assert "there is no model 'quantity'" in wrong
    assert "whole path" in relative


def test_what_is_on_disk_is_shown_as_a_daemon_would(tmp_path: Path) -> None:
    told = model_answer("", {**show_model(ModelSettings(True, None), "quality"), "drift": []})
    assert told["model"]["name"] == "quality"
    assert told["standing"] is None
