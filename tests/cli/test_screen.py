"""The one screen."""

import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from astrod.api.schema import FramesAnswer, PlanAnswer, Status, TargetsAnswer, read
from astrod.cli.ink import Line, paint, show
from astrod.cli.screen import COLUMNS, render
from astrod.cli.tables import degrees, frames_lines, hours, plan_lines, targets_lines
from tests.cli import samples


def plain(lines: list[Line]) -> str:
    return "\n".join(paint(spans, colour=False) for spans in lines)


def test_a_quiet_night_at_a_glance() -> None:
    assert (
        plain(render(read(Status, samples.quiet())))
        == """\
 Observatori de Pujalt · night 2026-12-14 · observing              22:14:03 UTC
────────────────────────────────────────────────────────────────────────────────
 Safety   SAFE  since 17:02
 Devices  ● mount  tracking, west of the pier
          ● main camera  exposing, -10.0 °C at 43 %
          ● focuser  step 36700              ● wheel  L
          ● roof  open                       ● station  wind 3.2 m/s, cloud 4 %
 Now      M 31 · L · 120 s  pujalt-20261214-00042
          ██████████████████████░░░░░░░░░░░░░░  74 of 120 s
          guided to 0.62″ RMS (RA 0.45″, Dec 0.43″)
 Frames   41 taken · 38 kept · 3 rejected
          22:12  M 31 L 120 s  kept      87  FWHM 2.9 px, 412 stars
          22:10  M 31 L 120 s  kept      71  streak, FWHM 2.9 px, 420 stars
          22:08  M 31 L 120 s  rejected   9  trailing, FWHM 5.7 px, 212 stars
          22:06  M 31 L 120 s  kept      88  FWHM 2.8 px, 431 stars
 Next     23:10  turn to NGC 891
          22:10–23:10  M 31 L 28 × 120 s     altitude 72°, airmass 1.05, moon 8…
          23:10–00:30  NGC 891 L 38 × 120 s  highest value now: altitude 68°; s…
          00:30–02:00  M 42 Ha 30 × 120 s    altitude 43°, its best of the night
          and 1 more; see `astrod plan`
 Trouble  none"""
    )


def test_trouble_says_why_and_what_to_do_the_worst_first() -> None:
    text = plain(render(read(Status, samples.troubled())))
    assert " Safety   UNSAFE  since 22:12\n          wind 15.2 m/s is above 12 m/s (station)" in text
    assert "          ✗ " not in text.split("Devices")[0]
    assert " Devices  ✗ focuser lost: indiserver at localhost:7624 does not answer;" in text
    assert " Holds    pause until 02:30 UTC by ana since 22:00" in text
    assert text.index("AST-103") < text.index("→ systemctl status indiserver") < text.index("AST-140")


@pytest.mark.parametrize("rows", [24, 26])
def test_on_a_small_terminal_lists_give_way_and_trouble_does_not(rows: int) -> None:
    lines = render(read(Status, samples.troubled()), rows)
    assert len(lines) <= rows
    assert "look at its power and USB cable" in plain(lines)
    assert "22:12  M 31" in plain(lines)


def test_a_daemon_that_says_nothing_is_not_called_safe() -> None:
    text = plain(render(read(Status, {})))
    assert "UNSAFE" in text
    assert "unknown is unsafe" in text
    assert "no exposure under way" in text


def test_two_trains_expose_at_once() -> None:
    status = samples.quiet()
    second = status["exposing"][0] | {"train": "lens", "filter": None, "exposure_s": 60.0, "elapsed_s": 61.0}
    status["exposing"].append(second)
    text = plain(render(read(Status, status)))
    assert "M 31 · L · 120 s · main/main" in text
    assert "M 31 · 60 s · main/lens" in text
    assert "████  reading out" in text


@pytest.mark.parametrize("elapsed_s", [-5.0, 0.0, 60.0, 119.9, 120.0, 1e9])
def test_the_bar_stays_in_its_place(elapsed_s: float) -> None:
    status = samples.quiet()
    status["exposing"][0]["elapsed_s"] = elapsed_s
    (bar,) = [row for row in plain(render(read(Status, status))).splitlines() if "░" in row or "█" in row]
    assert bar.count("█") + bar.count("░") == 36


words = st.text(st.characters(exclude_categories=["Cs"]), max_size=120)


@given(words, words, words, words, st.floats(0, 1e6), st.integers(0, 10**6))
def test_no_name_however_long_or_odd_breaks_the_screen(
    one: str, two: str, three: str, four: str, number: float, count: int
) -> None:
    status = samples.troubled()
    status |= {"title": one, "phase": two, "night": three}
    status["safety"]["reasons"] = [three, four]
    status["exposing"] = [samples.quiet()["exposing"][0] | {"target": one, "filter": two, "exposure_s": number}]
    status["devices"][0] |= {"name": one, "detail": two}
    status["devices"][1] |= {"name": three, "state": four, "detail": one}
    status["last_verdicts"][0] |= {"target": one, "cause": four, "stars": count, "fwhm_px": number}
    status["plan"][0] |= {
        "target": one,
        "filter": two,
        "why": three,
        "exposures": count,
        "exposure_s": number,
    }
    status["health"][0] |= {"text": one, "remedy": two, "severity": three}
    status["next"]["what"] = four
    text = plain(render(read(Status, status)))
    assert all(char.isprintable() or char == "\n" for char in text)
    assert max(len(row) for row in text.split("\n")) <= COLUMNS


class _Terminal(io.TextIOWrapper):
    """A stream that says it is a terminal."""

    def __init__(self, tty: bool, encoding: str) -> None:
        super().__init__(io.BytesIO(), encoding=encoding)
        self.tty = tty

    def isatty(self) -> bool:
        return self.tty

    def text(self) -> str:
        self.flush()
        buffer = self.buffer
        assert isinstance(buffer, io.BytesIO)
        return buffer.getvalue().decode(self.encoding)


def shown(tty: bool, encoding: str = "utf-8") -> str:
    out = _Terminal(tty, encoding)
    show(render(read(Status, samples.troubled())), out)
    return out.text()


def test_colours_on_a_terminal_only_and_never_against_no_color(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert "\x1b[1;31mUNSAFE\x1b[0m" in shown(tty=True)
    assert "\x1b" not in shown(tty=False)
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in shown(tty=True)


def test_a_terminal_without_unicode_gets_plain_signs() -> None:
    text = shown(tty=False, encoding="ascii")
    assert " Devices  x focuser lost" in text
    assert "> systemctl status indiserver" in text


def test_the_plan_with_its_reasons() -> None:
    text = plain(plan_lines(read(PlanAnswer, samples.plan())))
    assert "made 21:58 UTC by cp-sat" in text
    assert " 23:10–00:30  NGC 891  L 38 × 120 s  (main)\n              highest value now" in text
    assert text.endswith(" Not tonight\n M 33/2: no time left beside worthier requests\n M 8/1: only in daylight")


def test_targets_and_frames_are_tables() -> None:
    text = plain(targets_lines(read(TargetsAnswer, samples.targets())))
    assert " M 31    00h42.7m  +41°16'  2     L 120 s   38/40  partial" in text
    text = plain(frames_lines(read(FramesAnswer, samples.frames())))
    assert " 22:08    pujalt-20261214-00041  M 31    L       120  rejected: clouds  6" in text
    assert "not judged" in text
    assert "no frame yet" in plain(frames_lines(read(FramesAnswer, {})))
    assert "no target is configured" in plain(targets_lines(read(TargetsAnswer, {})))
    assert "nothing is planned" in plain(plan_lines(read(PlanAnswer, {})))


@pytest.mark.parametrize(
    ("ra_deg", "dec_deg", "text"),
    [(0.0, 0.0, "00h00.0m +00°00'"), (359.999, -0.5, "00h00.0m -00°30'"), (83.82, -5.39, "05h35.3m -05°23'")],
)
def test_coordinates_for_people(ra_deg: float, dec_deg: float, text: str) -> None:
    assert f"{hours(ra_deg)} {degrees(dec_deg)}" == text


def test_samples_are_of_the_schema() -> None:
    """Else the screens above would be of nothing."""
    kinds: list[tuple[Any, Any]] = [(FramesAnswer, samples.frames()), (TargetsAnswer, samples.targets())]
    for kind, sample in kinds:
        assert read(kind, sample) == sample
