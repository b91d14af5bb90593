"""Riding along beside another program: each frame that it writes is judged, nothing is commanded.

`Ride` watches a folder, judges what has come to rest in it in a worker that may be killed, and tells of each frame,
of each night that is over, and of what stands in the way. It reads no configuration and writes nothing but its own
logbook in the owner's cache.
"""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from astrod import __version__
from astrod.domain.exposure import CONSEQUENCES
from astrod.domain.instant import HOUR_US, MINUTE_US, SECOND_US, iso, parse_iso
from astrod.domain.ride import THEN, Place, Ridden, nights, summary
from astrod.domain.sphere import sun_altitude_deg
from astrod.errors import InputInvalid, TellOperator
from astrod.frames.glance import Glance, glance
from astrod.frames.image import Fact
from astrod.frames.incoming import Arrival, Found, Incoming
from astrod.frames.logbook import Logbook
from astrod.runtime.clock import Clock
from astrod.runtime.offload import Cost, Offload, WorkerLost

if TYPE_CHECKING:  # NumPy comes along
    from astrod.appraise import Series

log = logging.getLogger(__name__)

FRAMES_LANE, FOLDER_LANE = "frames", "folder"
JUDGE = Cost(modelled_s=2.5, deadline_s=120.0)
LOOK = Cost(modelled_s=0.05, deadline_s=60.0)

REST_S = 2.0
"""A file that did not change for so long is looked at; its structure then tells whether it is whole."""
LOOK_EVERY_S = 1.0
LOOK_REST = 19.0
LOOK_AT_LEAST_EVERY_S = 60.0
"""After each look LOOK_REST times as long is waited as it took: a share with many files, far away, is not worn out."""
PATIENCE_S = 90.0
"""A file that is not whole and did not change for so long is named as cut short."""
ATTEMPTS = 2
"""A frame over which so many workers died is named and skipped."""
BEFORE_US = 12 * HOUR_US
"""A ride that begins judges frames that are no older than this: tonight's."""
DAWN_DEG = -6.0
SILENT_US = 10 * MINUTE_US
"""No night is summed up while frames arrive, whatever times they tell."""
QUIET_US = 2 * HOUR_US
"""Where no header tells the site, a night is taken to be over after so long without a frame."""

_LATITUDE = ("SITELAT", "LAT-OBS", "OBSGEO-B", "LATITUDE", "OBSLAT")
_LONGITUDE = ("SITELONG", "LONG-OBS", "OBSGEO-L", "LONGITUD", "OBSLONG")


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A file that its writer has not finished: what it lacks."""

    lacks: str


class Listener(Protocol):
    """Whoever is told. The calls come one after the other and must not wait."""

    def frame(self, found: dict[str, Any]) -> None:
        """A frame was looked at: what `judge_file` says of it, or its `error`."""

    def night(self, told: dict[str, Any]) -> None:
        """A night is over, or somebody asked: what `domain.ride.summary` says of it."""

    def trouble(self, text: str) -> None:
        """Something stands in the way; said once as long as it lasts."""


def judge_file(path: Path) -> dict[str, Any] | Unfinished:
    """In the worker: what there is to say of a file, as plain values; raises InputInvalid for what is no frame.

    The models' part is the object of `astrod judge --json`; `would` is what astrod would have done. Calibration
    frames and stacks are named as such and not judged.
    """
    seen = glance(path)
    if seen.lacks is not None:
        return Unfinished(seen.lacks)
    told = {"file": str(path), "sort": seen.sort, **facts_told(seen)}
    if seen.sort != "light":
        return told
    from astrod.appraise import report  # NumPy and the models: in the worker only

    said = report(path, series=_frames_before())
    return {**told, **said, "would": would(said)}


@cache
def _frames_before() -> "Series":
    """What this worker's frames tell of one another; a worker that is started anew learns it anew."""
    from astrod.appraise import Series

    return Series()


def would(said: dict[str, Any]) -> dict[str, str]:
    """What astrod does after such a verdict: the decision, the consequence by name, and in words."""
    consequence = CONSEQUENCES[said["cause"]][1]
    words = THEN.get(consequence, consequence.replace("_", " "))
    return {"decision": said["verdict"], "then": consequence, "text": f"{said['verdict']}; {words}"}


def facts_told(seen: Glance) -> dict[str, Any]:
    """What the header tells of the exposure; what it does not tell is None or empty."""
    facts = seen.facts
    started_us = started_us_of(facts)
    place = dark_place(place_of(facts), started_us) if started_us is not None else None
    return {
        "started": iso(started_us) if started_us is not None else None,
        "exposure_s": next((number for key in ("EXPTIME", "EXPOSURE") if (number := _number(facts.get(key)))), 0.0),
        "object": str(facts.get("OBJECT", "")),
        "filter": str(facts.get("FILTER", "")),
        "camera": str(facts.get("INSTRUME", "")),
        "site": [place.latitude_deg, place.longitude_deg] if place else None,
    }


def started_us_of(facts: Mapping[str, Fact]) -> int | None:
    """When the exposure began, UTC, by DATE-OBS (with TIME-OBS or UT where it is a date alone); None if untold."""
    text = str(facts.get("DATE-OBS", "")).strip()
    if text and "T" not in text:
        text = f"{text}T{facts.get('TIME-OBS') or facts.get('UT') or ''}".strip().rstrip("T")
    try:
        return parse_iso(text) if "T" in text else None
    except (ValueError, OverflowError):
        return None


def place_of(facts: Mapping[str, Fact]) -> Place | None:
    """Where the header says that the telescope stands; None where it does not, or says 0, 0, as one not set does."""
    latitude = next((angle for key in _LATITUDE if (angle := _angle_deg(facts.get(key))) is not None), None)
    longitude = next((angle for key in _LONGITUDE if (angle := _angle_deg(facts.get(key))) is not None), None)
    if latitude is None or longitude is None or not (abs(latitude) <= 90.0 and abs(longitude) <= 360.0):
        return None
    if latitude == 0.0 and longitude == 0.0:
        return None
    return Place(latitude, (longitude + 180.0) % 360.0 - 180.0)


def dark_place(place: Place | None, at_us: int) -> Place | None:
    """The place if the Sun was down there; the one as far to the other side of Greenwich if it was down there instead.

    Some programs count longitude to the west. A place in daylight either way tells nothing about nights.
    """
    if place is None:
        return None
    for longitude_deg in (place.longitude_deg, -place.longitude_deg):
        if sun_altitude_deg(at_us, place.latitude_deg, longitude_deg) <= DAWN_DEG:
            return Place(place.latitude_deg, longitude_deg)
    return None


def _angle_deg(value: object) -> float | None:
    """Degrees of a number, or of a text as `-17 52 45` or `28:45:37.1`."""
    if isinstance(value, str):
        parts = value.replace(":", " ").split()
        try:
            numbers = [abs(float(part)) for part in parts[:3]]
        except ValueError:
            return None
        if not numbers:
            return None
        size = sum(number / 60.0**power for power, number in enumerate(numbers))
        return -size if value.strip().startswith("-") else size
    return _number(value)


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def ridden(found: dict[str, Any]) -> Ridden:
    """The row of a frame that was told of."""
    site = found.get("site")
    measured = found.get("measured") or {}
    error = found.get("error")
    return Ridden(
        file=str(found["file"]),
        sort="unreadable" if error else found.get("sort", "light"),
        at_us=parse_iso(found.get("started") or found["arrived"]),
        exposure_s=found.get("exposure_s") or 0.0,
        target=found.get("object", ""),
        filter=found.get("filter", ""),
        camera=found.get("camera", ""),
        place=Place(*site) if site else None,
        decision=found.get("verdict"),
        cause=found.get("cause", "none"),
        then=(found.get("would") or {}).get("then", "none"),
        quality=found.get("quality"),
        stars=measured.get("stars"),
        fwhm_px=measured.get("fwhm_px"),
        transparency=(found.get("transparency") or {}).get("share"),
        strange=bool((found.get("anomaly") or {}).get("flag")),
        why=str(error or ""),
    )


def judged_by() -> str:
    """Who judges, for the logbook: this version of astrod with its quality model."""
    from astrod_models.card import WeightsRefusedError, read_card

    try:
        card = read_card("quality")
    except WeightsRefusedError as refused:
        return f"astrod {__version__}, {refused}"
    return f"astrod {__version__}, {card.title} {card.sha256[:12]}"


class Ride:
    """One ride along a folder."""

    def __init__(self, folder: Path, logbook: Logbook, listener: Listener, clock: Clock, offload: Offload) -> None:
        self._incoming = Incoming(folder, REST_S)
        self._folder, self._logbook, self._listener = folder, logbook, listener
        self._clock, self._offload = clock, offload
        self._frames: dict[str, Ridden] = {}
        self._unfinished: dict[Path, tuple[Arrival, float, str]] = {}
        self._told_nights: dict[str, int] = {}
        self._troubles: set[str] = set()
        self._pause_s = LOOK_EVERY_S
        self._heard_us = 0
        self.unread: dict[str, int] = {}
        self.failed = False
        """Whether some file could not be judged."""

    async def once(self) -> None:
        """Judge what is in the folder, in order of name, tell of each night, and return. Raises TellOperator."""
        while True:
            found = await self._look(0)
            for arrival in found.arrivals:
                await self._attend(arrival)
            if found.resting:
                break
            await self._clock.sleep(LOOK_EVERY_S)
        await self._give_up_unfinished(patience_s=0.0)
        self.tell_nights()

    async def go(self, stop: asyncio.Event) -> None:
        """Ride until told to stop. A folder that goes away is waited for; a night that ends is told of."""
        since_ns = (self._clock.now_us() - BEFORE_US) * 1000
        self._remember(since_ns // 1000)
        stopping = asyncio.create_task(stop.wait(), name="stop the ride")
        try:
            while not stop.is_set():
                await self._round(since_ns, stop)
                pause = asyncio.create_task(self._clock.sleep(self._pause_s), name="pause")
                await asyncio.wait({stopping, pause}, return_when=asyncio.FIRST_COMPLETED)
                pause.cancel()
        finally:
            stopping.cancel()
        self.tell_nights()

    def tell_nights(self, again: bool = False) -> None:
        """Tell of every night of which something is known that was not told of yet, or of all of them `again`."""
        if again:
            self._told_nights.clear()
        for frames in nights(self._frames.values()):
            self._tell(frames)

    async def _round(self, since_ns: int, stop: asyncio.Event) -> None:
        try:
            found = await self._look(since_ns)
        except (TellOperator, WorkerLost) as fault:
            self._hindered({str(fault)})
            return
        self._hindered({f"{barred}; what is in there is not judged" for barred in found.barred})
        for arrival in found.arrivals:
            if stop.is_set():
                return
            await self._attend(arrival)
        await self._give_up_unfinished(PATIENCE_S)
        self._tell_if_over()

    async def _look(self, since_ns: int) -> Found:
        began_s = self._clock.monotonic_s()
        found = await self._offload.run(FOLDER_LANE, LOOK, self._incoming.look, began_s, since_ns)
        took_s = self._clock.monotonic_s() - began_s
        self._pause_s = min(LOOK_AT_LEAST_EVERY_S, max(LOOK_EVERY_S, LOOK_REST * took_s))
        self.unread = found.unread
        return found

    def _remember(self, since_us: int) -> None:
        """Take up tonight's frames from the logbook: they count in the night's summary, and are not told again."""
        for found in self._logbook.said:
            row = ridden(found)
            if row.at_us >= since_us:
                self._frames[row.file] = row

    async def _attend(self, arrival: Arrival) -> None:
        """Judge a file that has come to rest, or say again what is known of it."""
        known = self._logbook.known(arrival)
        if known is not None:
            self._recognise(known.found, known.moved_from)
            return
        said = await self._judged(arrival)
        if isinstance(said, Unfinished):
            self._logbook.put_off(arrival)
            self._unfinished[arrival.path] = (arrival, self._clock.monotonic_s(), said.lacks)
            return
        self._unfinished.pop(arrival.path, None)
        self._say(arrival, said)

    def _recognise(self, found: dict[str, Any], moved_from: str | None) -> None:
        """A file that was told of before: told again where this run has not, counted once wherever it lies."""
        told = found["file"] in self._frames or (moved_from is not None and moved_from in self._frames)
        if moved_from is not None:
            self._frames.pop(moved_from, None)
        if told:
            self._frames[found["file"]] = ridden(found)
        else:
            self._take(found)

    async def _judged(self, arrival: Arrival) -> dict[str, Any] | Unfinished:
        while self._logbook.attempts(arrival) < ATTEMPTS:
            self._logbook.begin(arrival)
            try:
                return await self._offload.run(FRAMES_LANE, JUDGE, judge_file, arrival.path)
            except WorkerLost as fault:
                log.warning("%s: %s", arrival.path, fault)
            except InputInvalid as fault:
                return {"file": str(arrival.path), "error": str(fault)}
            except Exception as fault:  # one strange file is named; the ride and its night go on
                log.warning("%s: astrod's own fault", arrival.path, exc_info=fault)
                return {"file": str(arrival.path), "error": f"{arrival.path}: astrod's own fault: {fault!r}"}
        return {
            "file": str(arrival.path),
            "error": f"{arrival.path}: judging it ended its worker {ATTEMPTS} times; skipped. Is it very large?",
        }

    def _say(self, arrival: Arrival, said: dict[str, Any]) -> None:
        found = {**said, "arrived": iso(arrival.stamp[1] // 1000)}
        self._logbook.say(arrival, found)
        self._take(found)

    def _take(self, found: dict[str, Any]) -> None:
        row = ridden(found)
        self._frames.pop(row.file, None)
        self._frames[row.file] = row
        self.failed = self.failed or row.sort == "unreadable"
        self._heard_us = self._clock.now_us()
        self._listener.frame(found)

    async def _give_up_unfinished(self, patience_s: float) -> None:
        now_s = self._clock.monotonic_s()
        for path, (arrival, since_s, lacks) in list(self._unfinished.items()):
            if now_s - since_s >= patience_s:
                del self._unfinished[path]
                self._say(arrival, {"file": str(path), "error": f"{path}: cut short, {lacks}; copy it again"})

    def _tell_if_over(self) -> None:
        """Tell of the nights on which the Sun has risen since, or that have been quiet for long."""
        now_us = self._clock.now_us()
        if now_us - self._heard_us < SILENT_US:
            return
        for frames in nights(self._frames.values()):
            last = frames[-1]
            place = next((frame.place for frame in reversed(frames) if frame.place is not None), None)
            quiet_us = now_us - last.at_us - round(last.exposure_s * SECOND_US)
            if place is None:
                over = quiet_us > QUIET_US
            else:
                over = sun_altitude_deg(now_us, place.latitude_deg, place.longitude_deg) > DAWN_DEG
                over = over and quiet_us > SILENT_US
            if over:
                self._tell(frames)

    def _tell(self, frames: list[Ridden]) -> None:
        told = summary(frames)
        if self._told_nights.get(told["first"]) != len(frames):
            self._told_nights[told["first"]] = len(frames)
            self._listener.night({**told, "unread": self.unread})

    def _hindered(self, troubles: set[str]) -> None:
        """Say what stands in the way now and did not before."""
        for text in sorted(troubles - self._troubles):
            self._listener.trouble(text)
        self._troubles = troubles
