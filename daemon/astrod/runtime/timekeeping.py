"""How good the host's clock is: who says so, and the error that follows from it.

The kernel tells what NTP or chrony (and a PPS through chrony) make of it; a gpsd, or a GPS receiver behind an
indiserver, tells what it sees; an owner's phone may state the time where there is neither. Each word is how far the
clock is ahead, give or take. Words that exclude one another are worth nothing: then the error is unknown, which counts
as too great.
"""

import asyncio
import ctypes
import ctypes.util
import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from astrod.domain.instant import SECOND_US, parse_iso
from astrod.domain.safety import ClockQuality
from astrod.runtime.clock import Clock
from astrod_drivers.address import parse
from astrod_drivers.indi.gps import Fix, IndiGps
from astrod_drivers.protocols import SiteFix

log = logging.getLogger(__name__)

_UNSYNCHRONISED = 5  # TIME_ERROR, <sys/timex.h>
DRIFT = 100e-6
"""A quartz left alone is off by no more than this, in seconds a second; the kernel itself assumes 500 ppm."""
GPS_FRESH_US = 30 * SECOND_US
SERIAL_ERROR_US = SECOND_US
"""How late a receiver's sentence may come over its serial line, when no pulse tells."""
PULSE_ERROR_US = 10_000
GPSD_AGAIN_S = 10.0
GPSD_SILENT_S = 30.0
GPSD_WATCH = b'?WATCH={"enable":true,"json":true,"pps":true};\n'
LINE_LIMIT = 1 << 16


class _Timex(ctypes.Structure):
    """The head of `struct timex` (adjtimex(2)); the rest is padding that the kernel may write."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_char * 256),
    )


@dataclass(frozen=True, slots=True)
class Word:
    """What one source says: the host's clock is ahead of UTC by `ahead_us`, give or take `error_us`."""

    source: str
    ahead_us: int
    error_us: int

    @property
    def bound_us(self) -> int:
        """How wrong the clock is at most, by this word."""
        return abs(self.ahead_us) + self.error_us

    def excludes(self, other: "Word") -> bool:
        """Whether both cannot be true."""
        return abs(self.ahead_us - other.ahead_us) > self.error_us + other.error_us


Witness = Callable[[], Word | None]
"""A source of time; None while it has nothing to say."""


def weighed(words: Sequence[Word]) -> ClockQuality:
    """What follows from all the words there are: the best one, or nothing when any two exclude each other."""
    for i, first in enumerate(words):
        for second in words[i + 1 :]:
            if first.excludes(second):
                apart_s = abs(first.ahead_us - second.ahead_us) / SECOND_US
                return ClockQuality(f"{first.source} and {second.source} are {apart_s:.1f} s apart", None)
    if not words:
        return ClockQuality("host clock, not synchronised", None)
    best = min(words, key=lambda word: word.bound_us)
    return ClockQuality(best.source, best.bound_us)


# -- the kernel ------------------------------------------------------------------------------------------------


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(ctypes.util.find_library("c"), use_errno=True)


def kernel_word() -> Word | None:
    """The kernel's opinion of its own clock now, which NTP and chrony keep up to date; None where nobody does."""
    timex = _Timex()
    state = _libc().adjtimex(ctypes.byref(timex))
    if state < 0 or state == _UNSYNCHRONISED:
        return None
    return Word("host clock, NTP", 0, int(timex.maxerror))


# -- the owner's word --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Statement:
    """What somebody said the time was, at a moment of ours. It counts within one boot of the host, and its error
    grows as the clock drifts and by whatever the clock is set to afterwards.
    """

    who: str
    utc_us: int
    error_us: int
    our_utc_us: int
    boot_us: int
    boot: str

    def word(self, now_us: int, boot_us: int) -> Word:
        """What it says of the clock now."""
        elapsed_us = boot_us - self.boot_us
        set_since_us = (now_us - self.our_utc_us) - elapsed_us
        ahead_us = self.our_utc_us - self.utc_us + set_since_us
        return Word(f"as {self.who} stated", ahead_us, self.error_us + round(elapsed_us * DRIFT))


class Statements:
    """Where the last statement is kept: a file in the runtime folder, which ends with the boot it is good for."""

    def __init__(self, path: Path, clock: Clock, boot: str) -> None:
        self._path, self._clock, self._boot = path, clock, boot

    def state(self, who: str, utc_us: int, error_us: int) -> None:
        """Keep what somebody says the time is now. Raises OSError when it cannot be kept, ValueError for no error."""
        if error_us <= 0:
            raise ValueError("a time without an error is no measurement; give one over 0")
        now = self._clock.now_us(), self._clock.boottime_us()
        kept = asdict(Statement(who, utc_us, error_us, *now, self._boot))
        draft = self._path.with_suffix(".new")
        draft.write_text(json.dumps(kept))
        draft.replace(self._path)

    def word(self) -> Word | None:
        """See `Witness`."""
        try:
            said = Statement(**json.loads(self._path.read_text()))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError) as fault:
            log.warning("what was stated of the time cannot be read and is left aside: %s", fault)
            return None
        if not self._boot or said.boot != self._boot:
            return None
        return said.word(self._clock.now_us(), self._clock.boottime_us())


# -- gpsd ------------------------------------------------------------------------------------------------------


class Gpsd:
    """A gpsd, by its JSON socket: TOFF and PPS tell how far the clock is ahead, else TPV's own time does."""

    def __init__(self, host: str, port: int, clock: Clock) -> None:
        self._host, self._port, self._clock = host, port, clock
        self._last: tuple[int, Word] | None = None

    def word(self) -> Word | None:
        """See `Witness`; an old fix says nothing."""
        if self._last is None or self._clock.boottime_us() - self._last[0] > GPS_FRESH_US:
            return None
        return self._last[1]

    async def watch(self) -> None:
        """Listen for ever, and connect again whenever gpsd is gone."""
        while True:
            try:
                await self._listen()
            except (OSError, TimeoutError, ValueError) as fault:
                log.debug("gpsd at %s:%d: %s", self._host, self._port, fault)
            await self._clock.sleep(GPSD_AGAIN_S)

    async def _listen(self) -> None:
        async with asyncio.timeout(GPSD_SILENT_S):
            reader, writer = await asyncio.open_connection(self._host, self._port, limit=LINE_LIMIT)
        try:
            writer.write(GPSD_WATCH)
            while True:
                async with asyncio.timeout(GPSD_SILENT_S):
                    line = await reader.readline()
                if not line:
                    return
                self.hear(line)
        finally:
            writer.close()

    def hear(self, line: bytes) -> None:
        """Take in one report; what is no report of time is left aside."""
        try:
            report = json.loads(line)
            word = self._understood(report) if isinstance(report, dict) else None
        except (ValueError, TypeError, KeyError) as fault:
            log.debug("gpsd said what cannot be read: %s", fault)
            return
        now_us = self._clock.boottime_us()
        if word is None:
            return
        if self._last is not None and now_us - self._last[0] < GPS_FRESH_US and word.error_us > self._last[1].error_us:
            return  # a pulse was heard lately; a late sentence adds nothing
        self._last = now_us, word

    def _understood(self, report: dict[str, Any]) -> Word | None:
        match report.get("class"):
            case "PPS" | "TOFF" as kind:
                real_us = int(report["real_sec"]) * SECOND_US + int(report["real_nsec"]) // 1000
                ours_us = int(report["clock_sec"]) * SECOND_US + int(report["clock_nsec"]) // 1000
                error_us = PULSE_ERROR_US if kind == "PPS" else SERIAL_ERROR_US
                return Word(f"gpsd, {kind}", ours_us - real_us, error_us)
            case "TPV" if report.get("mode", 0) >= 2 and isinstance(report.get("time"), str):
                own_us = round(float(report.get("ept", 0.0)) * SECOND_US)
                return Word("gpsd, TPV", self._clock.now_us() - parse_iso(report["time"]), SERIAL_ERROR_US + own_us)
        return None


# -- a GPS receiver behind an indiserver -----------------------------------------------------------------------


class Receiver:
    """A GPS receiver that an indiserver drives (`astrod_drivers.indi.gps`): its time, and its place."""

    def __init__(self, address: str, clock: Clock) -> None:
        self._gps, self._clock = IndiGps(parse(address), clock), clock
        self._last: tuple[int, Word] | None = None
        self.place: SiteFix | None = None

    def word(self) -> Word | None:
        """See `Witness`; an old fix says nothing."""
        if self._last is None or self._clock.boottime_us() - self._last[0] > GPS_FRESH_US:
            return None
        return self._last[1]

    async def watch(self) -> None:
        """Listen for ever."""
        await self._gps.watch(self.hear)

    def hear(self, fix: Fix) -> None:
        """Take in a fix. Its time is in whole seconds, and was told some time between our question and its answer."""
        if fix.place is not None:
            self.place = fix.place
        if fix.utc is None:
            return
        try:
            utc_us = parse_iso(fix.utc.rstrip("Zz") + "Z") + SECOND_US // 2
        except ValueError as fault:
            log.debug("the GPS told a time that is none: %s", fault)
            return
        took_us = max(0, fix.heard_us - fix.asked_us)
        ahead_us = fix.asked_us + took_us // 2 - utc_us
        self._last = self._clock.boottime_us(), Word("GPS", ahead_us, took_us // 2 + SECOND_US // 2 + SERIAL_ERROR_US)


# -- all of them -------------------------------------------------------------------------------------------------


class Timekeeper:
    """All witnesses of one host: the kernel, its owner (`statements`), a gpsd and a GPS receiver where there are such.
    `quality` is what headers and safety go by, `place` where the receiver is.
    """

    def __init__(
        self, kernel: Witness, statements: Statements, gpsd: Gpsd | None = None, receiver: Receiver | None = None
    ) -> None:
        self.statements = statements
        self._listeners = [each for each in (gpsd, receiver) if each is not None]
        self._witnesses = (kernel, statements.word, *(listener.word for listener in self._listeners))
        self._receiver = receiver

    @property
    def place(self) -> SiteFix | None:
        """Where the GPS receiver says that it is; None where there is none, or it has not said."""
        return self._receiver.place if self._receiver is not None else None

    def quality(self) -> ClockQuality:
        """How good the clock is now."""
        return weighed([word for witness in self._witnesses if (word := witness()) is not None])

    async def watch(self) -> None:
        """Listen to what has to be listened to, for ever."""
        async with asyncio.TaskGroup() as group:
            for listener in self._listeners:
                group.create_task(listener.watch())
            group.create_task(_for_ever())


async def _for_ever() -> None:
    await asyncio.Event().wait()


def timekeeper(clock: Clock, statements: Statements, gpsd: str | None, gps: str | None = None) -> Timekeeper:
    """The timekeeper of this host; `gpsd` is HOST:PORT, `gps` the address of a receiver."""
    host, _, port = (gpsd or "").rpartition(":")
    daemon = Gpsd(host, int(port), clock) if gpsd else None
    return Timekeeper(kernel_word, statements, daemon, Receiver(gps, clock) if gps else None)


def clock_quality() -> ClockQuality:
    """By the kernel's word alone, for whoever asks once."""
    word = kernel_word()
    return weighed([word] if word else [])
