"""Safety's memory on disks that are slow, hang or refuse: it is kept, and nobody waits for it."""

import os
import threading
from pathlib import Path

import pytest

from astrod.domain.safety import Observation, SourceState
from astrod.rig.safety.memory import Memory

PATIENCE_S = 10.0


def remembering(wind_m_s: float) -> dict[str, SourceState]:
    return {"station": SourceState(last=Observation(1, 1, {"wind_m_s": wind_m_s}), trusted=True)}


def wind(memory: Memory) -> float | None:
    last = memory.load()["station"].last
    return None if last is None else last.values["wind_m_s"]


def test_what_was_saved_last_is_what_is_remembered(tmp_path: Path) -> None:
    memory = Memory(tmp_path / "safety.json")
    for wind_m_s in range(200):
        memory.save(remembering(float(wind_m_s)))
    assert memory.settle(PATIENCE_S)
    assert wind(Memory(tmp_path / "safety.json")) == 199.0


def test_a_disk_that_hangs_is_told_of_once_waited_for_by_nobody_and_made_good(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "safety.json"
    memory = Memory(path)
    os.mkfifo(path.with_suffix(".new"))  # opening it to write hangs until somebody reads
    for wind_m_s in (1.0, 2.0, 3.0, 4.0):
        memory.save(remembering(wind_m_s))
        assert not memory.settle(0.05)
    assert sum("hangs" in record.message for record in caplog.records) == 1
    assert sum(thread.name == "safety's memory" for thread in threading.enumerate()) == 1

    reader = os.open(path.with_suffix(".new"), os.O_RDONLY)  # the disk comes back
    assert memory.settle(PATIENCE_S)
    os.close(reader)
    path.unlink()  # the pipe, which took the draft's place
    memory.save(remembering(5.0))
    assert memory.settle(PATIENCE_S)
    assert wind(Memory(path)) == 5.0


def test_a_disk_that_refuses_is_told_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    memory = Memory(tmp_path / "nowhere" / "safety.json")
    memory.save(remembering(1.0))
    assert memory.settle(PATIENCE_S)
    assert "cannot remember" in caplog.text
