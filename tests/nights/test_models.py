"""A short night with a candidate in the shadow, and one with a promoted model."""

from pathlib import Path

import pytest

from astrod.archive.archive import Archive
from astrod.domain.identity import Night
from astrod_models.zoo import Zoo
from tests.models.candidates import twin
from tests.nights.observatories import Sketch, assert_in_order

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

NIGHT = "2026-12-14"


def test_a_candidate_judges_each_frame_after_its_verdict_and_a_promoted_model_judges_by_itself(tmp_path: Path) -> None:
    sketch = Sketch(tmp_path / "night", seed=5).dark_for(14, NIGHT)
    zoo = Zoo(sketch.folder / "data" / "models")
    candidate = zoo.add("quality", twin(tmp_path / "nine", "9"))
    zoo.promote("quality", zoo.add("quality", twin(tmp_path / "eight", "8")).key)
    zoo.set_shadow("quality", candidate.key)
    assert_in_order(sketch.play(NIGHT))
    archive = Archive.open(sketch.folder / "data" / "archive.db")
    try:
        rows = archive.frames(Night.parse(NIGHT))
        judged = [row for row in rows if row.judgement is not None and row.intent.kind == "light"]
        assert judged
        assert {row.judgement.model for row in judged if row.judgement} == {"quality 8"}
        shadowed = archive.shadowed(candidate.key, "quality 8")
        assert len(shadowed) >= len(judged) - 1, "the last one may be cut off by dawn"
        assert all(row.now == row.shadow for row in shadowed), "it is the same network"
        assert all(row.features for row in archive.judged())
    finally:
        archive.close()
