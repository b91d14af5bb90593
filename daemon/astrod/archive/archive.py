"""The archive: the only memory of the observatory, in one SQLite file.

Every method is one transaction, on disk when it returns (several in `together` are one). A step that is
recorded twice with the same values is recorded once; with other values it is a Bug. Methods raise Retry when
the file is busy, TellOperator when a person must act (disk full, read-only, damaged), Bug for our own faults.
"""

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from astrod.archive.database import Database, Row
from astrod.archive.rows import (
    CALIBRATED_ALIKE,
    CALIBRATED_ALIKE_BY,
    FRAME_SQL,
    JUDGED_SQL,
    Command,
    Event,
    FrameRow,
    Hold,
    Judged,
    Outcome,
    Severity,
    Shadowed,
    detection_of,
    detection_row,
    exposure_row,
    frame_of,
    intent_of,
    judged_of,
    judged_row,
    plan_of,
    plan_text,
    shadow_row,
    shadowed_of,
    taken_of,
    taken_row,
)
from astrod.archive.schema import ARCHIVE, ARCHIVE_APPLICATION
from astrod.domain.calibration import WITHIN_EXPOSURE, CalibrationKind, Recipe, Stock, made_as
from astrod.domain.exposure import FrameKind, Intent, Judgement, Measured, Taken, Thumb
from astrod.domain.identity import ExposureId, Night
from astrod.domain.instant import DAY_US
from astrod.domain.minutes import Interval
from astrod.domain.offsets import FocusPoint
from astrod.domain.plan import Plan
from astrod.domain.watching import Detection
from astrod.errors import Bug, InputInvalid, TellOperator

PLANS_KEPT_DAYS = 30
SHOWN_KEPT_DAYS = 60
FOCUS_POINTS = 300
_MOST_COUNTER = 99_999


class Archive:
    """An open archive. Used by one thread at a time."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @classmethod
    def open(cls, path: Path) -> "Archive":
        """Open the archive, making or migrating it where needed.

        Raises TellOperator: written by a newer astrod, damaged, not ours, in use by another process, no leave
        to write. The file is left as it was found then.
        """
        return cls(Database(path, ARCHIVE, ARCHIVE_APPLICATION))

    def close(self) -> None:
        """Let go of the file; safe to repeat."""
        self._database.close()

    def together(self) -> AbstractContextManager[None]:
        """Record several things or none: `with archive.together(): ...`."""
        return self._database.transaction()

    # -- exposures -------------------------------------------------------------------------------------------

    def begin_exposure(
        self,
        site: str,
        night: Night,
        *,
        kind: FrameKind,
        rig: str,
        train: str,
        exposure_s: float,
        at_us: int,
        ra_deg: float | None = None,
        dec_deg: float | None = None,
        target: str | None = None,
        request: str | None = None,
        filter: str | None = None,  # noqa: A002 - the field's own word
        binning: int = 1,
        retake_of: str | None = None,
        gain: float | None = None,
        offset: float | None = None,
        temperature_c: float | None = None,
        rotation_deg: float | None = None,
    ) -> Intent:
        """Allot the next counter of this night and record the intent, before the shutter opens."""
        with self._database.transaction():
            intent = Intent(
                ExposureId(site, night, self._next_counter(site, night)),
                kind,
                rig,
                train,
                float(exposure_s),
                ra_deg,
                dec_deg,
                target=target,
                request=request,
                filter=filter,
                binning=binning,
                retake_of=retake_of,
                gain=gain,
                offset=offset,
                temperature_c=temperature_c,
                rotation_deg=rotation_deg,
            )
            self._database.insert("exposures", exposure_row(intent, at_us))
        return intent

    def _next_counter(self, site: str, night: Night) -> int:
        last = self._last_counter(site, night)
        if last >= _MOST_COUNTER:
            raise TellOperator(f"{site} has used its {_MOST_COUNTER} exposure numbers of {night}; stop until noon")
        self._database.upsert("counters", {"site": site, "night": str(night), "last": last + 1})
        return last + 1

    def _last_counter(self, site: str, night: Night) -> int:
        row = self._database.row("SELECT last FROM counters WHERE site = ? AND night = ?", site, str(night))
        return int(row["last"]) if row else 0

    def skip_counters(self, through: ExposureId) -> None:
        """Never allot this id or an earlier one of its night: a frame on disk has it."""
        with self._database.transaction():
            if through.counter > self._last_counter(through.site, through.night):
                row = {"site": through.site, "night": str(through.night), "last": through.counter}
                self._database.upsert("counters", row)

    def end_exposure(self, exposure: ExposureId, outcome: Outcome, reason: str, at_us: int) -> None:
        """Record how an exposure ended. `taken` needs the frame recorded first (`record_taken` does both)."""
        with self._database.transaction():
            row = self._exposure(exposure)
            if row["outcome"] == outcome:
                return
            if row["outcome"] is not None or outcome == "taken":
                raise Bug(f"{exposure} cannot end as {outcome}: it is recorded as {row['outcome'] or 'unfinished'}")
            self._end(exposure, outcome, reason, at_us)

    def _end(self, exposure: ExposureId, outcome: Outcome, reason: str | None, at_us: int) -> None:
        self._database.change(
            "UPDATE exposures SET outcome = ?, reason = ?, ended_us = ? WHERE id = ?",
            outcome,
            reason,
            at_us,
            str(exposure),
        )

    def record_taken(self, taken: Taken, at_us: int, pixels_digest: str | None = None) -> None:
        """The frame is on disk and synced; its exposure ends as taken, whatever was thought of it before.

        `pixels_digest` is what tells the frame should the camera deliver it again.
        """
        with self._database.transaction():
            row = self._exposure(taken.id)
            if row["quarantine_path"] is not None:
                raise Bug(f"{taken.id} is in quarantine ({row['quarantine_reason']}) and cannot be taken as well")
            if self._record_once("taken", taken_row(taken), at_us):
                self._end(taken.id, "taken", None, at_us)
                if pixels_digest is not None:
                    self._database.insert("digests", {"id": str(taken.id), "digest": pixels_digest})

    def record_guided(self, exposure: ExposureId, rms_ra_arcsec: float, rms_dec_arcsec: float) -> None:
        """How well the mount was guided while it was exposed; of a repeat the first word stands."""
        self._database.change(
            "INSERT OR IGNORE INTO guided (id, rms_ra_arcsec, rms_dec_arcsec) VALUES (?, ?, ?)",
            str(exposure),
            rms_ra_arcsec,
            rms_dec_arcsec,
        )

    def recent_digests(self, rig: str, train: str, limit: int) -> tuple[str, ...]:
        """The digests of the pixels of a camera's last frames, oldest first."""
        rows = self._database.rows(
            "SELECT digest FROM digests JOIN exposures USING (id) WHERE rig = ? AND train = ? "
            "ORDER BY begun_us DESC, id DESC LIMIT ?",
            rig,
            train,
            limit,
        )
        return tuple(row["digest"] for row in reversed(rows))

    def dark_level(self, like: Recipe) -> tuple[float | None, float | None]:
        """Level and spread, ADU, of the newest dark by that recipe (else of a bias by its like); None, None where there
        is none.
        """
        row = self._database.row(
            "SELECT background, noise FROM exposures JOIN judged USING (id)"
            " WHERE (kind = 'bias' OR kind = 'dark' AND abs(exposure_s - ?1) <= ?2 * ?1) AND decision = 'keep'"
            ' AND rig = ?3 AND train = ?4 AND binning = ?5 AND gain IS ?6 AND "offset" IS ?7 AND temperature_c IS ?8'
            " ORDER BY kind = 'dark' DESC, begun_us DESC, id DESC LIMIT 1",
            like.exposure_s,
            WITHIN_EXPOSURE,
            like.rig,
            like.train,
            like.binning,
            like.gain,
            like.offset,
            like.temperature_c,
        )
        return (row["background"], row["noise"]) if row else (None, None)

    def record_judged(
        self,
        exposure: ExposureId,
        measured: Measured,
        judgement: Judgement,
        at_us: int,
        features: Mapping[str, float] | None = None,
    ) -> None:
        """The verdict on a frame that was taken, with the numbers that its judge was shown."""
        with self._database.transaction():
            fresh = self._record_once("judged", judged_row(exposure, measured, judgement), at_us)
            if fresh and features:
                finite = {name: float(f"{value:.5g}") for name, value in features.items() if math.isfinite(value)}
                row = {"id": str(exposure), "features": json.dumps(finite), "recorded_us": at_us}
                self._database.insert("shown", row)

    def _record_once(self, table: str, row: Row, at_us: int) -> bool:
        """Insert a step's row; False when the same is there already. Another one there is a Bug."""
        there = self._database.row(f"SELECT * FROM {table} WHERE id = ?", row["id"])
        if there is None:
            self._database.insert(table, {**row, "recorded_us": at_us})
            return True
        other = [name for name, value in row.items() if there[name] != value]
        if other:
            raise Bug(f"{row['id']} is recorded as {table} with another {', '.join(other)}")
        return False

    def quarantined(self, exposure: ExposureId, path: str, reason: str, at_us: int) -> None:
        """The gate refused the frame and its pixels lie at `path`; the exposure ends as failed."""
        with self._database.transaction():
            row = self._exposure(exposure)
            if row["quarantine_path"] == path and row["quarantine_reason"] == reason:
                return
            if row["quarantine_path"] is not None or row["outcome"] == "taken":
                raise Bug(f"{exposure} cannot go to quarantine: it is taken or there already")
            self._database.change(
                "UPDATE exposures SET quarantine_path = ?, quarantine_reason = ?, quarantined_us = ? WHERE id = ?",
                path,
                reason,
                at_us,
                str(exposure),
            )
            self._end(exposure, "failed", reason, at_us)

    def _exposure(self, exposure: ExposureId) -> Row:
        row = self._database.row("SELECT * FROM exposures WHERE id = ?", str(exposure))
        if row is None:
            raise Bug(f"{exposure} was never begun")
        return row

    # -- commands toward danger ------------------------------------------------------------------------------

    def begin_command(self, device: str, what: str, at_us: int) -> int:
        """Record a command before it is given; returns its number."""
        with self._database.transaction():
            self._database.change("INSERT INTO commands (device, what, at_us) VALUES (?, ?, ?)", device, what, at_us)
            row = self._database.row("SELECT last_insert_rowid() AS number")
        return int(row["number"]) if row else 0

    def end_command(self, number: int, outcome: str, at_us: int) -> None:
        """What became of a command: "done", or in words why not. The first word stands."""
        self._database.change(
            "UPDATE commands SET outcome = ?, ended_us = ? WHERE number = ? AND outcome IS NULL", outcome, at_us, number
        )

    def unfinished_commands(self) -> list[Command]:
        """Commands that were given, or were about to be, when the daemon ended; oldest first."""
        rows = self._database.rows(
            "SELECT number, device, what, at_us FROM commands WHERE outcome IS NULL ORDER BY number"
        )
        return [Command(**row) for row in rows]

    # -- what became of them ---------------------------------------------------------------------------------

    def unfinished(self) -> list[Intent]:
        """Exposures that were begun and not ended, oldest first: what a restart must find out about."""
        rows = self._database.rows("SELECT * FROM exposures WHERE outcome IS NULL ORDER BY begun_us, id")
        return [intent_of(row) for row in rows]

    def taken_unjudged(self) -> list[Taken]:
        """Frames that wait for their verdict, oldest first."""
        rows = self._database.rows(
            "SELECT taken.* FROM taken LEFT JOIN judged USING (id) WHERE judged.id IS NULL "
            "ORDER BY taken.started_us, taken.id"
        )
        return [taken_of(row) for row in rows]

    def kept_counts(self, night: Night | None = None) -> dict[str, int]:
        """Frames judged worth keeping, by request, of one night or of all."""
        return self._counts("JOIN judged USING (id) WHERE judged.decision = 'keep'", night)

    def pending_counts(self, night: Night | None = None) -> dict[str, int]:
        """Frames taken and not judged yet, by request, of one night or of all."""
        return self._counts("JOIN taken USING (id) LEFT JOIN judged USING (id) WHERE judged.id IS NULL", night)

    def _counts(self, of: str, night: Night | None) -> dict[str, int]:
        rows = self._database.rows(
            f"SELECT request, count(*) AS n FROM exposures {of} AND request IS NOT NULL "
            "AND (?1 IS NULL OR night = ?1) GROUP BY request ORDER BY request",
            str(night) if night else None,
        )
        return {row["request"]: row["n"] for row in rows}

    def frames(self, night: Night | None = None, limit: int | None = None) -> list[FrameRow]:
        """Exposures and what became of them, of one night or of all, oldest first; with `limit` the last."""
        rows = self._database.rows(
            f"SELECT * FROM ({FRAME_SQL} WHERE ?1 IS NULL OR e.night = ?1 "
            "ORDER BY e.night DESC, e.counter DESC LIMIT ?2) ORDER BY night, counter",
            str(night) if night else None,
            -1 if limit is None else limit,
        )
        return [frame_of(row) for row in rows]

    def frame(self, exposure: ExposureId) -> FrameRow | None:
        """One exposure with what became of it."""
        row = self._database.row(f"{FRAME_SQL} WHERE e.id = ?", str(exposure))
        return frame_of(row) if row else None

    def retakes(self, request: str, night: Night | None = None) -> int:
        """How many exposures of a request were begun to repeat another, in one night or in all."""
        row = self._database.row(
            "SELECT count(*) AS n FROM exposures WHERE request = ?1 AND retake_of IS NOT NULL "
            "AND (?2 IS NULL OR night = ?2)",
            request,
            str(night) if night else None,
        )
        return int(row["n"]) if row else 0

    def retake_depth(self, exposure: ExposureId) -> int:
        """How many repeats lead to this exposure: 0 for a first attempt, 1 for its retake, and so on."""
        row = self._database.row(
            "WITH RECURSIVE line (id, retake_of, depth) AS ("
            " SELECT id, retake_of, 0 FROM exposures WHERE id = ?"
            " UNION ALL SELECT e.id, e.retake_of, depth + 1"
            " FROM exposures AS e JOIN line ON e.id = line.retake_of"
            ") SELECT max(depth) AS depth FROM line",
            str(exposure),
        )
        return int(row["depth"]) if row and row["depth"] is not None else 0

    # -- focus -----------------------------------------------------------------------------------------------

    def record_focus(self, rig: str, train: str, point: FocusPoint) -> None:
        """A focus run found this."""
        with self._database.transaction():
            self._database.insert("focus_points", {"rig": rig, "train": train, **dataclasses.asdict(point)})

    def focus_points(self, rig: str, train: str) -> list[FocusPoint]:
        """What the last focus runs of a train found, oldest first; older ones may be of other optics."""
        rows = self._database.rows(
            "SELECT filter, position, temperature_c, at_us FROM focus_points WHERE rig = ? AND train = ? "
            "ORDER BY number DESC LIMIT ?",
            rig,
            train,
            FOCUS_POINTS,
        )
        return [FocusPoint(**row) for row in reversed(rows)]

    # -- what models learn from ------------------------------------------------------------------------------

    def record_shadow(self, exposure: ExposureId, version: str, said: Judgement, at_us: int) -> None:
        """What a candidate says of a frame that was judged; of a repeat the last word stands."""
        with self._database.transaction():
            if self._database.row("SELECT id FROM judged WHERE id = ?", str(exposure)):
                self._database.upsert("shadowed", shadow_row(exposure, version, said, at_us))

    def shadowed(self, version: str, in_force: str) -> list[Shadowed]:
        """The light frames that a candidate and the model of that title have both judged, oldest first."""
        rows = self._database.rows(
            "SELECT s.id, j.decision AS now, s.decision AS shadow, h.up FROM shadowed AS s JOIN judged AS j USING (id)"
            " LEFT JOIN thumbs AS h USING (id) WHERE s.version = ? AND j.model = ? ORDER BY s.recorded_us, s.id",
            version,
            in_force,
        )
        return [shadowed_of(row) for row in rows]

    def set_thumb(self, thumb: Thumb) -> None:
        """The owner's word on a frame, in place of an earlier one. Raises InputInvalid for one that was not taken."""
        with self._database.transaction():
            if self._database.row("SELECT id FROM taken WHERE id = ?", str(thumb.id)) is None:
                raise InputInvalid(f"{thumb.id} is no frame that was taken; `astrod frames` names them")
            row = {**dataclasses.asdict(thumb), "id": str(thumb.id), "up": int(thumb.up)}
            self._database.upsert("thumbs", row)

    def take_back_thumb(self, exposure: ExposureId) -> None:
        """Forget the owner's word on a frame."""
        self._database.change("DELETE FROM thumbs WHERE id = ?", str(exposure))

    def judged(self, since_us: int = 0, thumbed: bool = False, model: str | None = None) -> list[Judged]:
        """Light frames judged since an instant, oldest first; only those with a thumb, or by one model."""
        rows = self._database.rows(
            f"{JUDGED_SQL} AND j.recorded_us >= ?1 AND (?2 = 0 OR h.up IS NOT NULL) AND (?3 IS NULL OR j.model = ?3)"
            " ORDER BY j.recorded_us, j.id",
            since_us,
            int(thumbed),
            model,
        )
        return [judged_of(row) for row in rows]

    # -- calibration frames ----------------------------------------------------------------------------------

    def sorts_of_frames(self, since_us: int) -> list[tuple[Intent, int]]:
        """Lights and flats taken since an instant: one of each sort that is calibrated alike, and their number."""
        rows = self._database.rows(
            f"SELECT {CALIBRATED_ALIKE}, min(id) AS id, min(ra_deg) AS ra_deg, min(dec_deg) AS dec_deg, count(*) AS n,"
            " NULL AS target, NULL AS request, NULL AS retake_of FROM exposures JOIN taken USING (id)"
            " LEFT JOIN judged USING (id) WHERE kind IN ('light', 'flat') AND begun_us >= ?"
            " AND (decision IS NULL OR decision = 'keep')"
            f" GROUP BY {CALIBRATED_ALIKE_BY} ORDER BY min(begun_us), id",
            since_us,
        )
        return [(intent_of(row), int(row["n"])) for row in rows]

    def calibration_stock(self, fresh_us: Mapping[CalibrationKind, int]) -> tuple[list[Stock], list[Stock]]:
        """The calibration frames that were kept: those begun since their kind's instant, and older ones."""
        fresh: list[Stock] = []
        stale: list[Stock] = []
        for kind, since_us in fresh_us.items():
            rows = self._database.rows(
                f"SELECT {CALIBRATED_ALIKE}, begun_us >= ?1 AS fresh, min(id) AS id, NULL AS ra_deg, NULL AS dec_deg,"
                " count(*) AS n, NULL AS target, NULL AS request, NULL AS retake_of"
                " FROM exposures JOIN taken USING (id) JOIN judged USING (id) WHERE kind = ?2 AND decision = 'keep'"
                f" GROUP BY {CALIBRATED_ALIKE_BY}, begun_us >= ?1 ORDER BY min(begun_us), id",
                since_us,
                kind,
            )
            for row in rows:
                (fresh if row["fresh"] else stale).append(Stock(made_as(intent_of(row)), int(row["n"])))
        return fresh, stale

    # -- the night -------------------------------------------------------------------------------------------

    def open_night(self, night: Night, at_us: int) -> None:
        """A night begins, or goes on after a restart: its first opening stands, a close is undone."""
        with self._database.transaction():
            self._database.change(
                "INSERT INTO nights (night, opened_us) VALUES (?, ?) ON CONFLICT DO UPDATE SET closed_us = NULL",
                str(night),
                at_us,
            )

    def close_night(self, night: Night, summary: Mapping[str, Any], at_us: int) -> None:
        """The night is over; `summary` (plain values) is what its report says."""
        text = json.dumps(summary, sort_keys=True)
        with self._database.transaction():
            changed = self._database.change(
                "UPDATE nights SET closed_us = ?, summary = ? WHERE night = ?", at_us, text, str(night)
            )
            if not changed:
                raise Bug(f"the night of {night} was never opened")

    def summary(self, night: Night) -> dict[str, Any] | None:
        """What `close_night` recorded; None before it."""
        row = self._database.row("SELECT summary FROM nights WHERE night = ?", str(night))
        return json.loads(row["summary"]) if row and row["summary"] else None

    def open_nights(self) -> list[Night]:
        """Nights that were opened and not closed: after a crash, the one to go on with or to close."""
        rows = self._database.rows("SELECT night FROM nights WHERE closed_us IS NULL ORDER BY night")
        return [Night.parse(row["night"]) for row in rows]

    def record_interval(self, night: Night, interval: Interval) -> None:
        """What a stretch of a rig's night went to."""
        self._database.insert("intervals", {"night": str(night), **dataclasses.asdict(interval)})

    def intervals(self, night: Night) -> list[Interval]:
        """A night's intervals in order of time."""
        rows = self._database.rows(
            "SELECT rig, start_us, end_us, cause, detail FROM intervals WHERE night = ? ORDER BY start_us, rowid",
            str(night),
        )
        return [Interval(**row) for row in rows]

    # -- detections ------------------------------------------------------------------------------------------

    def record_detections(self, detections: Sequence[Detection]) -> None:
        """Keep what a watch saw cross the sky; what was injected to try it is not kept."""
        with self._database.transaction():
            for detection in detections:
                if not detection.injected:
                    self._database.insert("detections", detection_row(detection))

    def detections(self, start_us: int, end_us: int) -> list[Detection]:
        """What was seen with start <= at < end, in order of time."""
        rows = self._database.rows(
            "SELECT * FROM detections WHERE at_us >= ? AND at_us < ? ORDER BY at_us, number", start_us, end_us
        )
        return [detection_of(row) for row in rows]

    # -- events, plans, holds --------------------------------------------------------------------------------

    def record_event(
        self, at_us: int, kind: str, severity: Severity, text: str, data: Mapping[str, Any] | None = None
    ) -> None:
        """Something a person may want to read; `data` holds plain values."""
        details = json.dumps(dict(data or {}), sort_keys=True)
        row = {"at_us": at_us, "kind": kind, "severity": severity, "text": text, "data": details}
        self._database.insert("events", row)

    def events(self, since_us: int | None = None, limit: int | None = None) -> list[Event]:
        """Events from an instant on, oldest first; with `limit` the last ones."""
        rows = self._database.rows(
            "SELECT * FROM (SELECT * FROM events WHERE ?1 IS NULL OR at_us >= ?1 "
            "ORDER BY at_us DESC, number DESC LIMIT ?2) ORDER BY at_us, number",
            since_us,
            -1 if limit is None else limit,
        )
        return [Event(**{**row, "data": json.loads(row["data"])}) for row in rows]

    def save_plan(self, plan: Plan) -> None:
        """Keep a plan as the latest."""
        self._database.insert("plans", {"made_us": plan.made_us, "plan": plan_text(plan)})

    def latest_plan(self) -> Plan | None:
        """The plan saved last."""
        row = self._database.row("SELECT plan FROM plans ORDER BY number DESC LIMIT 1")
        return plan_of(row["plan"]) if row else None

    def set_hold(self, name: str, on: bool, who: str, at_us: int, until_us: int | None = None) -> None:
        """Set or lift an operator's hold; it outlasts restarts."""
        with self._database.transaction():
            if on:
                self._database.upsert("holds", {"name": name, "who": who, "since_us": at_us, "until_us": until_us})
            else:
                self._database.change("DELETE FROM holds WHERE name = ?", name)

    def holds(self) -> tuple[Hold, ...]:
        """The holds in force, by name."""
        return tuple(Hold(**row) for row in self._database.rows("SELECT * FROM holds ORDER BY name"))

    # -- upkeep ----------------------------------------------------------------------------------------------

    def checkpoint(self) -> None:
        """Fold the write-ahead log into the file; blocks, so not on the way of an exposure."""
        self._database.checkpoint()

    def integrity(self) -> list[str]:
        """What is wrong with the file or with what it says; empty when all is well. Reads all of it."""
        return self._database.faults() or [
            f"{row['id']}: {fault}" for fault, sql in _CONTRADICTIONS.items() for row in self._database.rows(sql)
        ]

    def upkeep(self, now_us: int) -> None:
        """Daily housekeeping: forget old plans (never the last), refresh SQLite's statistics, checkpoint."""
        with self._database.transaction():
            self._database.change(
                "DELETE FROM plans WHERE made_us < ? AND number < (SELECT max(number) FROM plans)",
                now_us - PLANS_KEPT_DAYS * DAY_US,
            )
            self._database.change(
                "DELETE FROM commands WHERE at_us < ? AND outcome IS NOT NULL", now_us - PLANS_KEPT_DAYS * DAY_US
            )
            self._database.change("DELETE FROM shown WHERE recorded_us < ?", now_us - SHOWN_KEPT_DAYS * DAY_US)
        self._database.rows("PRAGMA optimize")
        self.checkpoint()


_CONTRADICTIONS = {
    "its number is above the night's counter": (
        "SELECT id FROM exposures JOIN counters USING (site, night) WHERE counter > last ORDER BY id"
    ),
    "its night has no counter": (
        "SELECT id FROM exposures LEFT JOIN counters USING (site, night) WHERE last IS NULL ORDER BY id"
    ),
    "it ended as taken and no frame is recorded": (
        "SELECT id FROM exposures LEFT JOIN taken USING (id) WHERE outcome = 'taken' AND path IS NULL ORDER BY id"
    ),
    "its frame is recorded and it did not end as taken": (
        "SELECT id FROM exposures JOIN taken USING (id) WHERE outcome IS NOT 'taken' ORDER BY id"
    ),
}
"""What no sequence of the methods above can bring about."""
