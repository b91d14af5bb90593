"""The lists of `astrod plan`, `targets` and `frames`, from the daemon's answers to lines. Pure."""

from collections.abc import Sequence

from astrod.api.schema import (
    CalibrationRow,
    CalibrationsAnswer,
    DetectionRow,
    DetectionsAnswer,
    FrameRow,
    FramesAnswer,
    OffsetRow,
    OffsetsAnswer,
    PlanAnswer,
    TargetRow,
    TargetsAnswer,
    WatchRow,
)
from astrod.cli.ink import Line, Span, Style, line, wrapped
from astrod.cli.screen import COLUMNS, clock

_PROGRESS: dict[str, Style] = {"done": "good", "partial": "", "untouched": "dim"}


def columns(head: Sequence[str], rows: Sequence[Sequence[str]], styles: Sequence[Style]) -> list[Line]:
    """A table with a style for each row."""
    widths = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]
    all_styles: list[Style] = ["bold", *styles]
    texts = [_row(row, widths) for row in (head, *rows)]
    return [line(Span(text, style)) for text, style in zip(texts, all_styles, strict=True)]


def _row(cells: Sequence[str], widths: Sequence[int]) -> str:
    return " " + "  ".join(cell.ljust(size) for cell, size in zip(cells, widths, strict=True))


def plan_lines(answer: PlanAnswer) -> list[Line]:
    """The plan's slots, each with its why; then what has no slot, and why not."""
    made = f", made {clock(answer['made'])} UTC by {answer['by']}" if answer["made"] else ""
    lines = [line(Span(f" Plan of night {answer['night']}{made}", "bold"))]
    if not answer["plan"]:
        lines.append(line(Span(" nothing is planned", "dim")))
    for slot in answer["plan"]:
        exposures = f"{slot['filter'] or ''} {slot['exposures']} × {slot['exposure_s']:g} s".strip()
        lines.append(
            line(
                f" {clock(slot['start'])}–{clock(slot['end'])}  ",
                Span(slot["target"], "bold"),
                f"  {exposures}  ({slot['rig']})",
            )
        )
        lines += [line(Span(f"              {row}", "dim")) for row in wrapped(slot["why"], COLUMNS - 15) if row]
    if answer["refused"]:
        lines.append(line(Span(" Not tonight", "bold")))
    for request, why in sorted(answer["refused"].items()):
        lines.append(line(f" {request}: {why}"))
    return lines


def targets_lines(answer: TargetsAnswer) -> list[Line]:
    """Targets with their requests, and how far each has come."""
    if not answer["targets"]:
        return [line(Span(" no target is configured; add one to targets.d", "dim"))]
    rows: list[tuple[str, ...]] = []
    styles: list[Style] = []
    for target in answer["targets"]:
        for index, request in enumerate(target["requests"]):
            name, ra, dec, priority = _place_cells(target) if index == 0 else ("", "", "", "")
            what = f"{request['filter'] or '-'} {request['exposure_s']:g} s"
            rows.append((name, ra, dec, priority, what, f"{request['kept']}/{request['count']}", request["progress"]))
            styles.append(_PROGRESS.get(request["progress"], ""))
    return columns(("target", "RA", "Dec", "prio", "request", "kept", ""), rows, styles)


def _place_cells(target: TargetRow) -> tuple[str, str, str, str]:
    return target["name"], hours(target["ra_deg"]), degrees(target["dec_deg"]), f"{target['priority']:g}"


def hours(ra_deg: float) -> str:
    """`00h42.7m`, to a tenth of a minute of time."""
    tenths = round(ra_deg / 15.0 * 600) % 14400
    return f"{tenths // 600:02d}h{tenths % 600 / 10:04.1f}m"


def degrees(dec_deg: float) -> str:
    """`+41°16'`."""
    minutes = round(abs(dec_deg) * 60)
    return f"{'-' if dec_deg < 0 else '+'}{minutes // 60:02d}°{minutes % 60:02d}'"


def frames_lines(answer: FramesAnswer) -> list[Line]:
    """Frames, oldest first."""
    if not answer["frames"]:
        return [line(Span(" no frame yet", "dim"))]
    rows = [_frame_cells(frame) for frame in answer["frames"]]
    styles: list[Style] = ["warn" if frame["decision"] == "reject" else "" for frame in answer["frames"]]
    head = ("started", "frame", "target", "filter", "s", "verdict", "quality", "FWHM", "stars", "guided", "thumb")
    return columns(head, rows, styles)


def _frame_cells(frame: FrameRow) -> tuple[str, ...]:
    return (
        clock(frame["started"]),
        frame["id"],
        frame["target"] or frame["kind"],
        frame["filter"] or "-",
        f"{frame['exposure_s']:g}",
        _verdict(frame),
        "-" if frame["quality"] is None else f"{frame['quality']:.0f}",
        "-" if frame["fwhm_px"] is None else f"{frame['fwhm_px']:.1f}",
        "-" if frame["stars"] is None else str(frame["stars"]),
        "-" if frame["guide_rms_arcsec"] is None else f"{frame['guide_rms_arcsec']:.2f}″",
        "-" if frame["thumb"] is None else " ".join(filter(None, (frame["thumb"], frame["thumb_cause"]))),
    )


def _verdict(frame: FrameRow) -> str:
    if frame["decision"] is None:
        return "not judged"
    word = "kept" if frame["decision"] == "keep" else "rejected"
    return word if frame["cause"] in (None, "none", "") else f"{word}: {frame['cause']}"


def detections_lines(answer: DetectionsAnswer) -> list[Line]:
    """Each watch with its last word on clouds, then what crossed the sky, oldest first."""
    lines = [line(" ", _watch_words(watch)) for watch in answer["watches"]]
    if not answer["watches"]:
        lines.append(line(Span(" nothing watches the sky; see [[watch]] in the configuration", "dim")))
    if not answer["detections"]:
        return [*lines, line(Span(" nothing crossed it", "dim"))]
    rows = [_detection_cells(found) for found in answer["detections"]]
    styles: list[Style] = ["" for _ in rows]
    head = ("time", "watch", "kind", "score", "from az alt", "to az alt", "px", "picture")
    return [*lines, *columns(head, rows, styles)]


def _watch_words(watch: WatchRow) -> str:
    if watch["seen"] is None:
        return f"{watch['name']}: no picture yet ({watch['source']})"
    cover = "cannot tell clouds" if watch["cloud_percent"] is None else f"{watch['cloud_percent']:.0f} % cloud"
    return f"{watch['name']}: {cover} at {clock(watch['seen'])}" + (f", {watch['why']}" if watch["why"] else "")


def _detection_cells(found: DetectionRow) -> tuple[str, ...]:
    def place(angles: list[float] | None) -> str:
        return "-" if angles is None else f"{angles[0]:.1f} {angles[1]:.1f}"

    return (
        clock(found["time"]),
        found["watch"],
        found["kind"],
        f"{found['score']:.2f}",
        place(found["begins"]),
        place(found["ends"]),
        f"{found['length_px']:.0f}",
        found["picture"] or "-",
    )


def calibrations_lines(answer: CalibrationsAnswer) -> list[Line]:
    """The sets, in the order in which they are taken."""
    if not answer["sets"]:
        return [line(Span(" no frame yet that needs calibrating", "dim"))]
    rows = [_set_cells(row) for row in answer["sets"]]
    styles: list[Style] = ["" if row["standing"] == "has" else "warn" for row in answer["sets"]]
    lines = columns(("kind", "train", "s", "filter", "bin", "gain", "C", "serves", "has", "standing"), rows, styles)
    return lines if answer["scheduled"] else [*lines, line(Span(" counted only: there is no [calibration]", "dim"))]


def _set_cells(row: CalibrationRow) -> tuple[str, ...]:
    return (
        row["kind"].replace("_", "-"),
        row["train"],
        f"{row['exposure_s']:g}" if row["exposure_s"] else "-",
        row["filter"] or "-",
        str(row["binning"]),
        "-" if row["gain"] is None else f"{row['gain']:g}",
        "-" if row["temperature_c"] is None else f"{row['temperature_c']:+g}",
        str(row["frames"]),
        f"{row['has']} of {row['wanted']}",
        row["standing"],
    )


def offsets_lines(answer: OffsetsAnswer) -> list[Line]:
    """Each train's filters; what the configuration overrules is dim."""
    if not answer["offsets"]:
        return [line(Span(" no offset is configured, and no focus runs tell one yet", "dim"))]
    rows = [_offset_cells(row) for row in answer["offsets"]]
    styles: list[Style] = ["" if row["applied"] else "dim" for row in answer["offsets"]]
    return columns(("train", "filter", "steps", "by", "pairs", "scatter"), rows, styles)


def _offset_cells(row: OffsetRow) -> tuple[str, ...]:
    return (
        row["train"],
        row["filter"],
        f"{row['steps']:+d}",
        row["by"] if row["applied"] else f"{row['by']}, overruled",
        "-" if row["pairs"] is None else str(row["pairs"]),
        "-" if row["scatter"] is None else f"{row['scatter']:g}",
    )
