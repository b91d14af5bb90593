"""The archive against a model of the truth, through reopenings."""

import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from astrod.archive.archive import Archive
from astrod.archive.rows import Outcome
from astrod.domain.exposure import Intent, Judgement, Measured, Taken
from astrod.domain.identity import ExposureId, Night

NIGHTS = tuple(Night.parse(text) for text in ("2026-12-14", "2026-12-15"))
REQUESTS = ("M31/1", "M31/2", None)
MEASURED = Measured(9, 100.5, 3.25, None, 1.1, 2)


class ArchiveMachine(RuleBasedStateMachine):
    """Exposures begin, end, are taken and judged, in any order that the journey may bring about."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.archive = Archive.open(self.folder / "archive.db")
        self.begun: dict[str, Intent] = {}
        self.ended: dict[str, str] = {}
        self.taken_frames: dict[str, Taken] = {}
        self.verdicts: dict[str, Judgement] = {}
        self.last: dict[Night, int] = {}

    open_exposures: Bundle[Intent] = Bundle("open")
    frames: Bundle[Taken] = Bundle("frames")
    judged_frames: Bundle[Taken] = Bundle("judged")

    @rule(target=open_exposures, night=st.sampled_from(NIGHTS), request=st.sampled_from(REQUESTS))
    def begin(self, night: Night, request: str | None) -> Intent:
        intent = self.archive.begin_exposure(
            "pujalt", night, kind="light", rig="r", train="t", exposure_s=1.0, at_us=1, request=request
        )
        assert intent.id.counter == self.last.get(night, 0) + 1
        self.last[night] = intent.id.counter
        self.begun[str(intent.id)] = intent
        return intent

    @rule(night=st.sampled_from(NIGHTS), beyond=st.integers(-2, 3))
    def skip(self, night: Night, beyond: int) -> None:
        last = self.last.get(night, 0)
        if last + beyond >= 1:
            self.archive.skip_counters(ExposureId("pujalt", night, last + beyond))
            self.last[night] = max(last, last + beyond)

    @rule(intent=consumes(open_exposures), outcome=st.sampled_from(["failed", "aborted", "interrupted"]))
    def end(self, intent: Intent, outcome: Outcome) -> None:
        self.archive.end_exposure(intent.id, outcome, "because", 2)
        self.archive.end_exposure(intent.id, outcome, "said again", 3)
        self.ended[str(intent.id)] = outcome

    @rule(target=frames, intent=consumes(open_exposures), after_interruption=st.booleans())
    def take(self, intent: Intent, after_interruption: bool) -> Taken:
        if after_interruption:  # a restart found the frame on disk
            self.archive.end_exposure(intent.id, "interrupted", "restart", 2)
        taken = Taken(intent.id, f"frames/{intent.id}.fits", "ab", 2880, 5, 1.0)
        self.archive.record_taken(taken, 3)
        self.ended[str(intent.id)] = "taken"
        self.taken_frames[str(intent.id)] = taken
        return taken

    @rule(taken=frames)
    def take_again(self, taken: Taken) -> None:
        self.archive.record_taken(taken, 9)

    @rule(target=judged_frames, taken=consumes(frames), keep=st.booleans(), quality=st.floats(0, 100, width=32))
    def judge(self, taken: Taken, keep: bool, quality: float) -> Taken:
        verdict = Judgement(quality, "keep" if keep else "reject", "unknown", {"clouds": 0.1}, "m")
        self.archive.record_judged(taken.id, MEASURED, verdict, 4)
        self.verdicts[str(taken.id)] = verdict
        return taken

    @rule(taken=judged_frames)
    def judge_again(self, taken: Taken) -> None:
        self.archive.record_judged(taken.id, MEASURED, self.verdicts[str(taken.id)], 8)

    @rule()
    def reopen(self) -> None:
        self.archive.close()
        self.archive = Archive.open(self.folder / "archive.db")

    @invariant()
    def agrees_with_the_truth(self) -> None:
        rows = self.archive.frames()
        assert {str(row.id): row.intent for row in rows} == self.begun
        assert {str(row.id): row.outcome for row in rows if row.outcome} == self.ended
        assert {str(row.id): row.taken for row in rows if row.taken} == self.taken_frames
        assert {str(row.id): row.judgement for row in rows if row.judgement} == self.verdicts
        assert {str(one.id) for one in self.archive.unfinished()} == set(self.begun) - set(self.ended)
        waiting = set(self.taken_frames) - set(self.verdicts)
        assert {str(one.id) for one in self.archive.taken_unjudged()} == waiting

    @invariant()
    def counts_agree(self) -> None:
        for night in (None, *NIGHTS):
            kept = [n for n, verdict in self.verdicts.items() if verdict.decision == "keep"]
            waiting = [n for n in self.taken_frames if n not in self.verdicts]
            assert self.archive.kept_counts(night) == self.tally(kept, night)
            assert self.archive.pending_counts(night) == self.tally(waiting, night)

    def tally(self, exposures: list[str], night: Night | None) -> dict[str, int]:
        counts: dict[str, int] = {}
        for intent in (self.begun[name] for name in exposures):
            if intent.request is not None and night in (None, intent.id.night):
                counts[intent.request] = counts.get(intent.request, 0) + 1
        return counts

    def teardown(self) -> None:
        assert self.archive.integrity() == []
        self.archive.close()
        shutil.rmtree(self.folder)


TestArchive = ArchiveMachine.TestCase
TestArchive.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)
