"""The models' care in the daemon: shadow, rule, promotion, thumbs and drift, with the real archive and real models."""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from astrod.archive.archive import Archive
from astrod.config.settings import ModelSettings
from astrod.curation import Curation
from astrod.domain.exposure import Intent, Judgement, Measured, Taken, Thumb
from astrod.domain.identity import Night
from astrod.domain.instant import DAY_US
from astrod.errors import InputInvalid
from astrod.health import Health
from astrod.journey import Seen, see_frame
from astrod.learning.drift import FRAMES
from astrod.recording import Recording
from astrod.runtime.clock import SimClock, VirtualLoop, run_virtual
from astrod.runtime.offload import VirtualOffload
from astrod.runtime.trace import Trace
from astrod.versions import zoo_of
from astrod_drivers.sim.render import render
from astrod_drivers.sim.scene import Optics, Scene, Sensor
from tests.models.candidates import shipped_copy, twin
from training.reference import add_reference

NIGHT = Night.parse("2026-12-14")
NOW_US = 1_797_300_000_000_000
CLEAR = Scene(sensor=Sensor(width_px=484, height_px=274), optics=Optics(300.0, 75.0, 0.35), exposure_s=60.0)
KEEP = Judgement(95.0, "keep", "none", {"clouds": 0.1}, "quality 2")
SEEN = Measured(120, 900.5, 12.0, 2.6, 1.08, 3)
TITLE = zoo_of(ModelSettings(True, None)).in_force("quality").title


@dataclass
class Bench:
    """A daemon's models on the simulated clock."""

    archive: Archive
    curation: Curation
    health: Health
    clock: SimClock
    settings: ModelSettings

    def codes(self) -> list[str]:
        return [finding.code for finding in self.health.findings]

    def frame(self, judgement: Judgement = KEEP, features: dict[str, float] | None = None) -> Intent:
        """A light frame that was judged."""
        intent = self.archive.begin_exposure(
            "pujalt", NIGHT, kind="light", rig="main", train="newton", exposure_s=60, at_us=5
        )
        self.archive.record_taken(Taken(intent.id, f"frames/{intent.id}.fits", "ab", 2880, 7, 60.0), 8)
        self.archive.record_judged(intent.id, SEEN, judgement, self.clock.now_us(), features)
        return intent


def play(root: Path, what: Callable[[Bench], Coroutine[Any, Any, None]], **changes: Any) -> None:
    async def run(loop: VirtualLoop) -> None:
        clock = SimClock(loop, NOW_US)
        archive = Archive.open(root / "archive.db")
        offload = VirtualOffload(clock, seed=1)
        health = Health(clock, Trace(clock))
        settings = replace(ModelSettings(True, None, root / "models", shadow_frames=10, shadow_thumbs=1), **changes)
        curation = Curation(settings, Recording(archive, offload), offload, health, clock)
        try:
            await what(Bench(archive, curation, health, clock, settings))
        finally:
            archive.close()

    run_virtual(run)


@pytest.fixture(scope="module")
def frame(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("frame") / "clear.npy"
    np.save(path, render(CLEAR))
    return path


def test_a_candidate_judges_in_the_shadow_and_is_promoted_by_its_rule(tmp_path: Path, frame: Path) -> None:
    async def what(bench: Bench) -> None:
        told = await bench.curation.set_shadow("quality", twin(tmp_path / "new", "9"))
        assert "in the shadow of" in told
        with pytest.raises(InputInvalid, match="0 of 10 frames"):
            await bench.curation.promote("quality", None, anyway=False)
        intents = []
        for _ in range(10):
            intents.append(bench.frame(replace(KEEP, model=TITLE)))
            bench.curation.consider(intents[-1], frame)
            await bench.clock.sleep(60.0)
        with pytest.raises(InputInvalid, match="have a thumb"):
            await bench.curation.promote("quality", None, anyway=False)
        bench.archive.set_thumb(Thumb(intents[0].id, up=True, cause=None, who="ana", at_us=1))
        found = await bench.curation.standing("quality")
        assert found is not None
        assert (found.frames, found.alike, found.good_kept, found.passes) == (10, 10, 10, True)
        await bench.curation.promote("quality", None, anyway=False)
        assert see_frame(frame, bench.settings).judgement.model == "quality 9", "from the next frame on"
        assert "in force again" in await bench.curation.roll_back("quality")
        assert see_frame(frame, bench.settings).judgement.model == TITLE
        assert [event.kind for event in bench.archive.events()] == ["models", "models"]

    play(tmp_path, what)


def test_a_candidate_that_throws_good_frames_away_is_not_promoted_and_nobody_listens_to_it(
    tmp_path: Path, frame: Path
) -> None:
    async def what(bench: Bench) -> None:
        await bench.curation.set_shadow("quality", twin(tmp_path / "new", "9", usable=1.1))
        for _ in range(10):
            intent = bench.frame(replace(KEEP, model=TITLE))
            bench.archive.set_thumb(Thumb(intent.id, up=True, cause=None, who="ana", at_us=1))
            bench.curation.consider(intent, frame)
            await bench.clock.sleep(60.0)
        found = await bench.curation.standing("quality")
        assert found is not None
        assert (found.good_kept, found.shadow_right, found.now_right) == (0, 0, 10)
        assert see_frame(frame, bench.settings).judgement.decision == "keep"
        with pytest.raises(InputInvalid, match="keeps 0 of 10 good frames"):
            await bench.curation.promote("quality", None, anyway=False)
        assert "is in force" in await bench.curation.promote("quality", None, anyway=True), "the owner's word"

    play(tmp_path, what)


def test_a_candidate_is_promoted_by_itself_where_that_is_wished(tmp_path: Path, frame: Path) -> None:
    async def what(bench: Bench) -> None:
        await bench.curation.set_shadow("quality", twin(tmp_path / "new", "9"))
        bench.curation.consider(bench.frame(replace(KEEP, model=TITLE)), frame)
        await bench.clock.sleep(60.0)
        await bench.curation.look_after()
        wished = bench.settings.promote_by_rule
        assert see_frame(frame, bench.settings).judgement.model == ("quality 9" if wished else TITLE)
        assert ("has passed its rule" in bench.archive.events()[-1].text) is not wished

    for wished in (False, True):
        folder = tmp_path / f"wished {wished}"
        folder.mkdir()
        play(folder, what, shadow_frames=1, shadow_thumbs=0, promote_by_rule=wished)


def test_while_a_frame_is_judged_in_the_shadow_the_next_one_is_let_by(tmp_path: Path, frame: Path) -> None:
    async def what(bench: Bench) -> None:
        await bench.curation.set_shadow("quality", twin(tmp_path / "new", "9"))
        first, second = bench.frame(replace(KEEP, model=TITLE)), bench.frame(replace(KEEP, model=TITLE))
        bench.curation.consider(first, frame)
        bench.curation.consider(second, frame)
        await bench.clock.sleep(60.0)
        found = await bench.curation.standing("quality")
        assert found is not None
        assert found.frames == 1

    play(tmp_path, what)


def test_a_promoted_model_that_is_damaged_is_told_and_the_shipped_one_judges(tmp_path: Path, frame: Path) -> None:
    async def what(bench: Bench) -> None:
        await bench.curation.promote("quality", twin(tmp_path / "new", "9"), anyway=True)
        weights = zoo_of(bench.settings).in_force("quality").folder / "quality.onnx"
        content = weights.read_bytes()
        weights.write_bytes(content[:-1])
        await bench.curation.check()
        assert bench.codes() == ["AST-404"]
        seen = see_frame(frame, bench.settings)
        assert (seen.judgement.model, "does not match" in str(seen.passed_over)) == (TITLE, True)
        weights.write_bytes(content)
        await bench.curation.check()
        assert bench.codes() == []

    play(tmp_path, what)


def test_without_any_model_the_stand_in_is_told_before_the_first_frame(tmp_path: Path) -> None:
    weights = shipped_copy(tmp_path / "weights")
    (weights / "quality.onnx").write_bytes(b"nothing")

    async def what(bench: Bench) -> None:
        await bench.curation.check()
        assert bench.codes() == ["AST-401"]
        rows = {row["name"]: row for row in await bench.curation.listed()}
        assert "classical" in rows["quality"]["stand_in"]

    play(tmp_path, what, folder=weights)


def test_an_engine_that_is_not_there_is_told_and_the_cpu_judges(tmp_path: Path, frame: Path) -> None:
    async def what(bench: Bench) -> None:
        seen = see_frame(frame, bench.settings)
        await bench.curation.check()
        assert seen.judgement.model == TITLE
        assert (bench.codes() == ["AST-404"]) is (seen.engine_fault is not None)

    play(tmp_path, what, provider="tensorrt")


def test_only_models_that_judge_light_frames_have_a_shadow(tmp_path: Path) -> None:
    async def what(bench: Bench) -> None:
        with pytest.raises(InputInvalid, match="only quality"):
            await bench.curation.set_shadow("meteor", tmp_path / "meteor.onnx")
        with pytest.raises(InputInvalid, match="is refused"):
            await bench.curation.set_shadow("quality", tmp_path / "none.onnx")

    play(tmp_path, what)


def drifting_weights(folder: Path) -> Path:
    """The shipped weights, with a reference in the card: FWHM between 1 and 2 px."""
    card = shipped_copy(folder) / "quality.toml"
    add_reference(card, 500, {"log_fwhm": np.linspace(0.0, 1.0, 1001)}, {})
    return folder


@pytest.mark.parametrize(
    ("count", "log_fwhm", "codes"),
    [(FRAMES + 20, 1.7, ["AST-405"]), (FRAMES + 20, 0.5, []), (FRAMES - 1, 1.7, [])],
    ids=["outside the card", "inside", "too few frames"],
)
def test_drift_is_told_once_there_are_enough_frames(
    tmp_path: Path, count: int, log_fwhm: float, codes: list[str]
) -> None:
    async def what(bench: Bench) -> None:
        with bench.archive.together():
            for _ in range(count):
                bench.frame(replace(KEEP, model=TITLE), {"log_fwhm": log_fwhm, "odd": float("nan")})
        await bench.curation.look_after()
        assert bench.codes() == codes
        told = await bench.curation.shown("quality")
        assert [row["drift"] for row in told["drift"]] == ([bool(codes)] if count >= FRAMES else [])

    play(tmp_path, what, folder=drifting_weights(tmp_path / "weights"))


def test_thumbs_go_out_as_a_training_set(tmp_path: Path) -> None:
    async def what(bench: Bench) -> None:
        intent = bench.frame(KEEP, {"log_fwhm": 1.25})
        bench.frame()
        bench.archive.set_thumb(Thumb(intent.id, up=True, cause=None, who="ana", at_us=1))
        bench.archive.set_thumb(Thumb(intent.id, up=False, cause="clouds", who="ana", at_us=2))
        rows = await bench.curation.export_thumbs(Path("/data"))
        assert [(row["file"], row["usable"], row["cause"]) for row in rows] == [
            (f"/data/frames/{intent.id}.fits", False, "clouds")
        ]
        assert rows[0]["features"] == {"log_fwhm": 1.25}
        row = bench.archive.frame(intent.id)
        assert row is not None
        assert row.thumb is not None
        assert (row.thumb.up, row.thumb.cause) == (False, "clouds")
        bench.archive.take_back_thumb(intent.id)
        assert await bench.curation.export_thumbs(Path("/data")) == []

    play(tmp_path, what)


def test_a_thumb_on_nothing_is_refused_and_old_numbers_are_forgotten(tmp_path: Path) -> None:
    async def what(bench: Bench) -> None:
        intent = bench.frame(KEEP, {"log_fwhm": 1.25})
        nobody = replace(intent.id, counter=77)
        with pytest.raises(InputInvalid, match="no frame that was taken"):
            bench.archive.set_thumb(Thumb(nobody, up=True, cause=None, who="ana", at_us=1))
        bench.archive.upkeep(bench.clock.now_us() + 30 * DAY_US)
        assert bench.archive.judged()[0].features == {"log_fwhm": 1.25}
        bench.archive.upkeep(bench.clock.now_us() + 100 * DAY_US)
        assert bench.archive.judged()[0].features == {}
        assert bench.archive.integrity() == []

    play(tmp_path, what)


def test_what_was_seen_is_what_astrod_judge_sees(frame: Path) -> None:
    seen = see_frame(frame, ModelSettings(True, None))
    assert isinstance(seen, Seen)
    assert seen.judgement.decision == "keep"
    assert "log_stars" in seen.features
    assert see_frame(frame, ModelSettings(False, None)).judgement.model.startswith("classical")
