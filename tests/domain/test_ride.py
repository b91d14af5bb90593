"""What a night of another program's frames came to."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from astrod.domain.instant import HOUR_US, MINUTE_US, parse_iso
from astrod.domain.ride import Place, Ridden, cut, nights, summary

EVENING_US = parse_iso("2026-12-14T20:00:00")


def frame(minute: int, *, cause: str = "none", then: str = "none", fwhm_px: float = 3.0, stars: int = 200) -> Ridden:
    return Ridden(
        file=f"{minute:04d}.fits",
        sort="light",
        at_us=EVENING_US + minute * MINUTE_US,
        exposure_s=60.0,
        target="M 31",
        filter="L",
        decision="keep" if cause in ("none", "streak") else "reject",
        cause=cause,
        then=then,
        quality=90.0 if cause == "none" else 5.0,
        stars=stars,
        fwhm_px=fwhm_px,
    )


def test_a_night_is_counted_by_cause_and_by_time() -> None:
    frames = [frame(minute) for minute in range(6)]
    frames += [frame(minute, cause="defocus", then="refocus_and_retake") for minute in range(6, 11)]
    frames += [frame(11, cause="unknown", then="retake_once")]
    frames.append(Ridden("dark.fits", "calibration", EVENING_US + HOUR_US))
    frames.append(Ridden("half.fits", "unreadable", EVENING_US + HOUR_US, why="cut short"))
    told = summary(frames)
    assert (told["frames"]["judged"], told["frames"]["kept"], told["frames"]["rejected"]) == (12, 6, 6)
    assert told["frames"]["calibration"] == 1
    assert told["frames"]["unreadable"] == [{"file": "half.fits", "why": "cut short"}]
    assert told["rejected_by_cause"] == {"defocus": 5, "unknown": 1}
    assert told["time"]["rejected_s_by_cause"] == {"defocus": 300.0, "unknown": 60.0}
    assert told["time"]["after_warning_s"] == 180.0, "the first two of five were lost anyhow"
    assert told["night"] == "2026-12-14"
    assert told["strange"] == []


def test_what_is_strange_and_how_clear_it_was_are_told() -> None:
    frames = [replace(frame(minute), transparency=0.5 + 0.01 * minute) for minute in range(3)]
    frames.append(replace(frame(5), strange=True))
    told = summary(frames)
    assert told["strange"] == ["0005.fits"]
    assert told["hours"][0]["transparency"] == 0.51


def test_trends_are_told_of_kept_frames_by_the_hour() -> None:
    frames = [frame(minute, fwhm_px=2.0 + minute / 60.0, stars=300 - minute) for minute in range(0, 120, 5)]
    told = summary(frames)["fields"][0]
    assert told["fwhm_px"]["per_hour"] == 1.0
    assert told["stars"]["per_hour"] == -60.0
    assert "per_hour" not in summary(frames[:3])["fields"][0]["fwhm_px"]


def test_cuts_refuse_what_lies_far_out_and_never_in_a_small_group() -> None:
    frames = [frame(minute, fwhm_px=3.0 + 0.01 * (minute % 3)) for minute in range(10)]
    odd = [frame(20, fwhm_px=9.0), frame(21, stars=3)]
    assert cut([*frames, *odd]) == {"0020.fits": "wide stars", "0021.fits": "few stars"}
    assert cut([*frames[:2], *odd]) == {}


def test_nights_are_parted_by_the_noon_of_the_site() -> None:
    place = Place(-31.0, 149.0)  # noon is at 02:04 UTC there, and midnight at 14:04
    hours = [10, 14, 18, 34, 38]
    frames = [Ridden(f"{hour}.fits", "light", hour * HOUR_US, place=place, decision="keep") for hour in hours]
    assert [[one.file for one in night] for night in nights(frames)] == [
        ["10.fits", "14.fits", "18.fits"],
        ["34.fits", "38.fits"],
    ]


@given(st.lists(st.integers(0, 2000), unique=True, max_size=40))
def test_every_frame_is_in_one_night_and_in_one_count(minutes: list[int]) -> None:
    frames = [frame(minute, cause="clouds" if minute % 3 else "none", then="pause_for_cloud") for minute in minutes]
    found = nights(frames)
    assert sorted(one.file for night in found for one in night) == sorted(one.file for one in frames)
    told = [summary(night) for night in found]
    assert sum(one["frames"]["judged"] for one in told) == len(frames)
    for one in told:
        assert one["frames"]["kept"] + sum(one["rejected_by_cause"].values()) == one["frames"]["judged"]
        assert 0.0 <= one["time"]["after_warning_s"] <= one["time"]["rejected_s"] <= one["time"]["exposed_s"]
        assert sum(hour["judged"] for hour in one["hours"]) == one["frames"]["judged"]
