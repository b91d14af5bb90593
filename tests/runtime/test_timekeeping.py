"""How good the clock is: the kernel's word, the owner's, gpsd's, and what they amount to together."""

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from astrod.domain.instant import HOUR_US, SECOND_US, iso
from astrod.domain.safety import ClockQuality
from astrod.runtime.clock import SimClock, VirtualLoop, WallClock
from astrod.runtime.timekeeping import (
    DRIFT,
    GPS_FRESH_US,
    PULSE_ERROR_US,
    SERIAL_ERROR_US,
    Gpsd,
    Receiver,
    Statements,
    Timekeeper,
    Word,
    kernel_word,
    weighed,
)
from astrod_drivers.indi.gps import Fix
from astrod_drivers.indi.server import IndiServer, missing
from astrod_drivers.protocols import SiteFix

NOW_US = 1_797_292_800 * SECOND_US


class StillClock(SimClock):
    """A clock that stands until it is moved: `boot_us` is the time since the host's start."""

    def __init__(self) -> None:
        super().__init__(VirtualLoop(), NOW_US)
        self._loop.close()
        self.boot_us = 0

    def now_us(self) -> int:
        return NOW_US + self.boot_us + self.offset_us

    def boottime_us(self) -> int:
        return self.boot_us


# -- what words amount to ------------------------------------------------------------------------------------


def test_without_a_word_the_error_is_unknown() -> None:
    assert weighed([]) == ClockQuality("host clock, not synchronised", None)


def test_the_best_word_counts_with_its_offset() -> None:
    assert weighed([Word("a", 500, 400), Word("b", -100, 600)]) == ClockQuality("b", 700)


def test_words_that_exclude_one_another_are_worth_nothing() -> None:
    found = weighed([Word("NTP", 0, 10_000), Word("phone", HOUR_US, 2 * SECOND_US)])
    assert found.error_us is None
    assert found.source == "NTP and phone are 3600.0 s apart"


@pytest.mark.parametrize(("ahead_us", "excluded"), [(30, False), (31, True), (-30, False), (-31, True)])
def test_words_exclude_one_another_beyond_both_their_errors(ahead_us: int, excluded: bool) -> None:
    assert Word("a", 0, 10).excludes(Word("b", ahead_us, 20)) is excluded


@given(st.integers(-10_000, 10_000), st.lists(st.tuples(st.integers(-500, 500), st.integers(500, 5_000)), min_size=1))
def test_the_error_that_is_stated_is_never_less_than_the_true_one(true_us: int, words: list[tuple[int, int]]) -> None:
    """Whenever each word is true (the clock is within its error), so is the whole."""
    found = weighed([Word(str(i), true_us + slip, error) for i, (slip, error) in enumerate(words)])
    assert found.error_us is not None and found.error_us >= abs(true_us)


def test_the_kernel_is_asked() -> None:
    word = kernel_word()
    assert word is None or (word.ahead_us == 0 and word.error_us >= 0)


# -- statements ----------------------------------------------------------------------------------------------


def test_a_statement_bounds_the_error_and_ages_with_the_clocks_drift(tmp_path: Path) -> None:
    clock = StillClock()
    book = Statements(tmp_path / "statement.json", clock, "this boot")
    assert book.word() is None
    book.state("ana", NOW_US - 3 * SECOND_US, 2 * SECOND_US)
    assert book.word() == Word("as ana stated", 3 * SECOND_US, 2 * SECOND_US)
    clock.boot_us += HOUR_US
    assert book.word() == Word("as ana stated", 3 * SECOND_US, 2 * SECOND_US + round(HOUR_US * DRIFT))


def test_a_clock_that_is_set_after_a_statement_moves_with_it(tmp_path: Path) -> None:
    clock = StillClock()
    book = Statements(tmp_path / "statement.json", clock, "this boot")
    book.state("ana", NOW_US - HOUR_US, SECOND_US)
    clock.offset_us -= HOUR_US  # the owner sets it right
    word = book.word()
    assert word is not None and word.ahead_us == 0 and word.bound_us == SECOND_US


def test_a_statement_counts_within_one_boot_only(tmp_path: Path) -> None:
    path, clock = tmp_path / "statement.json", StillClock()
    Statements(path, clock, "that boot").state("ana", NOW_US, SECOND_US)
    assert Statements(path, clock, "this boot").word() is None
    assert Statements(path, clock, "that boot").word() is not None
    Statements(path, clock, "").state("ana", NOW_US, SECOND_US)
    assert Statements(path, clock, "").word() is None  # a host that does not tell its boot


@pytest.mark.parametrize("error_us", [0, -1])
def test_a_time_without_an_error_is_refused(tmp_path: Path, error_us: int) -> None:
    with pytest.raises(ValueError, match="over 0"):
        Statements(tmp_path / "s.json", StillClock(), "b").state("ana", NOW_US, error_us)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"who": 1}'])
def test_a_statement_that_cannot_be_read_says_nothing(tmp_path: Path, text: str) -> None:
    path = tmp_path / "s.json"
    path.write_text(text)
    assert Statements(path, StillClock(), "b").word() is None


# -- gpsd ----------------------------------------------------------------------------------------------------


def report(**facts: Any) -> bytes:
    return json.dumps(facts).encode() + b"\n"


def offset(kind: str, ahead_s: float) -> bytes:
    ahead_ns = round(ahead_s * 1e9)
    real_s = NOW_US // SECOND_US
    clock_s, clock_ns = divmod(real_s * 10**9 + ahead_ns, 10**9)
    return report(
        **{"class": kind}, device="/dev/ttyS0", real_sec=real_s, real_nsec=0, clock_sec=clock_s, clock_nsec=clock_ns
    )


@pytest.mark.parametrize(("kind", "error_us"), [("PPS", PULSE_ERROR_US), ("TOFF", SERIAL_ERROR_US)])
def test_gpsd_tells_how_far_the_clock_is_ahead(kind: str, error_us: int) -> None:
    gpsd = Gpsd("localhost", 2947, StillClock())
    assert gpsd.word() is None
    gpsd.hear(offset(kind, 1.25))
    assert gpsd.word() == Word(f"gpsd, {kind}", 1_250_000, error_us)


def test_a_fix_tells_the_time_and_an_old_one_tells_nothing() -> None:
    clock = StillClock()
    gpsd = Gpsd("localhost", 2947, clock)
    gpsd.hear(report(**{"class": "TPV"}, mode=1, time=iso(NOW_US)))
    assert gpsd.word() is None  # no fix
    gpsd.hear(report(**{"class": "TPV"}, mode=3, time=iso(NOW_US - SECOND_US), ept=0.5))
    assert gpsd.word() == Word("gpsd, TPV", SECOND_US, SERIAL_ERROR_US + SECOND_US // 2)
    clock.boot_us += GPS_FRESH_US + 1
    assert gpsd.word() is None


def test_a_pulse_is_not_replaced_by_a_sentence_while_it_is_fresh() -> None:
    clock = StillClock()
    gpsd = Gpsd("localhost", 2947, clock)
    gpsd.hear(offset("PPS", 0.001))
    gpsd.hear(offset("TOFF", 0.4))
    word = gpsd.word()
    assert word is not None and word.ahead_us == 1000
    clock.boot_us += GPS_FRESH_US
    gpsd.hear(offset("TOFF", 0.4))
    word = gpsd.word()
    assert word is not None and word.ahead_us == 400_000


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"not json\n",
        b"[1, 2]\n",
        b"\xff\xfe\n",
        report(**{"class": "VERSION"}, release="3.25"),
        report(**{"class": "PPS"}, real_sec="soon"),
        report(**{"class": "TOFF"}),
        report(**{"class": "TPV"}, mode=3, time="yesterday"),
        report(**{"class": "TPV"}, mode="three", time=iso(NOW_US)),
        report(**{"class": "TPV"}, mode=3),
    ],
)
def test_what_is_no_report_of_time_is_left_aside(line: bytes) -> None:
    gpsd = Gpsd("localhost", 2947, StillClock())
    gpsd.hear(line)
    assert gpsd.word() is None


@given(st.binary(max_size=200))
def test_whatever_gpsd_says_it_breaks_nothing(line: bytes) -> None:
    gpsd = Gpsd("localhost", 2947, StillClock())
    gpsd.hear(line)
    assert gpsd.word() is None


async def test_gpsd_is_listened_to_over_its_socket_and_again_after_it_went(tmp_path: Path) -> None:
    asked: list[bytes] = []

    async def attend(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readline())
        now_s = WallClock().now_us() // SECOND_US
        writer.write(report(**{"class": "VERSION"}, release="3.25"))
        writer.write(report(**{"class": "TOFF"}, real_sec=now_s, real_nsec=0, clock_sec=now_s, clock_nsec=5_000_000))
        await writer.drain()
        await reader.read()
        writer.close()

    server = await asyncio.start_server(attend, "127.0.0.1", 0)
    clock = WallClock()
    gpsd = Gpsd("127.0.0.1", server.sockets[0].getsockname()[1], clock)
    keeper = Timekeeper(lambda: None, Statements(tmp_path / "s.json", clock, "b"), gpsd)
    assert keeper.quality().error_us is None
    watching = asyncio.create_task(keeper.watch())
    for _ in range(500):
        if gpsd.word() is None:
            await asyncio.sleep(0.01)
    assert keeper.quality() == ClockQuality("gpsd, TOFF", 5_000 + SERIAL_ERROR_US)
    assert json.loads(asked[0].removeprefix(b"?WATCH=").rstrip(b";\n"))["json"] is True
    watching.cancel()
    await asyncio.wait({watching})
    await asyncio.sleep(0.05)
    server.close()


# -- a GPS receiver behind an indiserver ---------------------------------------------------------------------


def receiver(clock: StillClock) -> Receiver:
    return Receiver("indi://localhost:1/GPS", clock)


def test_a_receivers_time_is_as_good_as_its_seconds_and_its_way_to_us() -> None:
    clock = StillClock()
    gps = receiver(clock)
    assert gps.word() is None
    told = iso(NOW_US - 3 * SECOND_US)[:19]  # our clock is some 3 s ahead of it
    gps.hear(Fix(NOW_US, NOW_US + 400_000, utc=told))
    word = gps.word()
    assert word is not None and word.source == "GPS"
    assert word.ahead_us == 3 * SECOND_US + 200_000 - SECOND_US // 2
    assert word.error_us == 200_000 + SECOND_US // 2 + SERIAL_ERROR_US
    clock.boot_us += GPS_FRESH_US + 1
    assert gps.word() is None


def test_what_a_receiver_tells_that_is_no_time_is_left_aside() -> None:
    gps = receiver(StillClock())
    for text in ("", "yesterday", "2026-13-40T00:00:00"):
        gps.hear(Fix(NOW_US, NOW_US, utc=text))
    assert gps.word() is None
    gps.hear(Fix(NOW_US, NOW_US, place=SiteFix(41.7, 1.4, 760.0)))
    assert gps.place == SiteFix(41.7, 1.4, 760.0)


@pytest.mark.indi
async def test_indis_own_gps_simulator_tells_time_and_place(tmp_path: Path) -> None:
    if (reason := missing()) is not None or shutil.which("indi_simulator_gps") is None:
        pytest.skip(reason or "indi_simulator_gps is not installed")
    server, clock = IndiServer(), WallClock()
    server.start(["indi_simulator_gps"], tmp_path)
    gps = Receiver(f"indi://localhost:{server.port}/GPS Simulator", clock)
    whole, hear = asyncio.Event(), gps.hear

    def note(fix: Fix) -> None:
        hear(fix)
        if gps.word() is not None and gps.place is not None:
            whole.set()

    gps.hear = note  # type: ignore[method-assign]
    watching = asyncio.create_task(gps.watch())
    try:
        async with asyncio.timeout(15.0):
            await whole.wait()
    finally:
        watching.cancel()
        await asyncio.wait({watching})
        server.stop()
    word = gps.word()
    assert word is not None and word.bound_us < 4 * SECOND_US
    assert gps.place is not None
    assert (gps.place.latitude_deg, round(gps.place.longitude_deg, 3)) == (51.0, -2.3)
