"""The one screen of `astrod status`: from the daemon's answer to lines of 80 columns. Pure.

Order and places never change, so that a tired eye finds things: the night, safety, devices, what is exposed
now, the last verdicts, what comes next, trouble.
"""

from collections.abc import Iterator

from astrod.api.schema import Device, Exposing, Finding, GuidingRow, Slot, Status, Verdict
from astrod.cli.ink import Line, Span, Style, cut, line, width, wrapped

COLUMNS = 80
_LABEL = 10
_BODY = COLUMNS - _LABEL
_CELL = 35
_BAR = 36
_AMOUNTS = ((4, 3), (3, 2), (2, 1), (1, 1))
"""How many verdicts and slots to show, the most first; trouble and safety are never shortened."""
_GOOD_STATES = frozenset({"ready", "busy"})
_SEVERITIES: dict[str, Style] = {"critical": "bad", "warning": "warn", "info": "dim"}
_ORDER = ("critical", "warning", "info")


def render(status: Status, rows: int | None = None) -> list[Line]:
    """The screen. `status` comes from `api.schema.read(Status, …)`, so every key is there.

    Where it would not fit into `rows`, fewer verdicts and slots are shown.
    """
    lines: list[Line] = []
    for verdicts, slots in _AMOUNTS:
        lines = _screen(status, verdicts, slots)
        if rows is None or len(lines) <= rows:
            break
    return lines


def _screen(status: Status, verdicts: int, slots: int) -> list[Line]:
    return [
        _header(status),
        line(Span("─" * COLUMNS, "dim")),
        *_block("Safety", _safety(status)),
        *_block("Holds", _holds(status)),
        *_block("Devices", _devices(status["devices"])),
        *_block("Now", _now(status)),
        *_block("Frames", _frames(status, verdicts)),
        *_block("Next", _next(status, slots)),
        *_block("Trouble", _trouble(status["health"])),
    ]


def clock(text: str | None) -> str:
    """`22:14` of a UTC ISO text."""
    return text[11:16] if text and len(text) >= 16 else "--:--"


def _header(status: Status) -> Line:
    title = status["title"] or status["site"] or "astrod"
    right = f"{status['time'][11:19]} UTC" if len(status["time"]) >= 19 else ""
    left = [
        Span(" "),
        Span(cut(title, 24), "bold"),
        Span(f" · night {cut(status['night'] or 'unknown', 10)}"),
    ]
    if status["phase"]:
        left += [Span(" · "), Span(cut(status["phase"], 20), "bold")]
    gap = COLUMNS - width(tuple(left)) - len(right) - 1
    return line(*left, " " * max(gap, 1), Span(right, "dim"))


def _block(label: str, body: Iterator[Line]) -> Iterator[Line]:
    """A labelled block; an empty body gives no line."""
    head = Span(f" {label:<{_LABEL - 1}}", "dim")
    for spans in body:
        yield line(head, *spans)
        head = Span(" " * _LABEL)


def _safety(status: Status) -> Iterator[Line]:
    safety = status["safety"]
    since = f"  since {clock(safety['since'])}" if safety["since"] else ""
    if safety["safe"]:
        yield line(Span("SAFE", "good"), Span(since, "dim"))
    else:
        yield line(Span("UNSAFE", "bad"), Span(since, "dim"))
        if not safety["reasons"]:
            yield line("no reason known; unknown is unsafe")
    for reason in safety["reasons"]:
        for row in wrapped(reason, _BODY):
            yield line(row)


def _holds(status: Status) -> Iterator[Line]:
    for hold in status["holds"]:
        until = f" until {clock(hold['until'])} UTC" if hold["until"] else ""
        by = f" by {hold['who']}" if hold["who"] else ""
        yield line(
            Span(cut(f"{hold['name']}{until}", 40), "warn"),
            Span(cut(f"{by} since {clock(hold['since'])}", 28), "dim"),
        )


def _devices(devices: list[Device]) -> Iterator[Line]:
    """The troubled first, each with all it says; the others two to a line where they fit."""
    for device in devices:
        if device["state"] not in _GOOD_STATES:
            yield from _troubled(device)
    yield from _pairs([_sound(device) for device in devices if device["state"] in _GOOD_STATES])
    if not devices:
        yield line(Span("none connected yet", "dim"))


def _pairs(cells: list[Line]) -> Iterator[Line]:
    left: Line = ()
    for cell in cells:
        if left and width(cell) < _CELL and width(left) < _CELL:
            yield line(*left, " " * (_CELL - width(left)), *cell)
            left = ()
        else:
            yield from [left] if left else []
            left = cell
    yield from [left] if left else []


def _troubled(device: Device) -> Iterator[Line]:
    mark = Span("○ ", "warn") if device["state"] in ("connecting", "off") else Span("✗ ", "bad")
    said = f"{device['state'] or 'unknown'}{': ' if device['detail'] else ''}{device['detail']}"
    rows = wrapped(f"{device['name']} {said}", _BODY - 2)
    yield line(mark, rows[0])
    for row in rows[1:]:
        yield line("  ", row)


def _sound(device: Device) -> Line:
    text = cut(f"{device['name']}  {device['detail'] or device['state']}", _BODY - 2)
    return line(Span("● ", "good"), text)


def _now(status: Status) -> Iterator[Line]:
    if not status["exposing"]:
        yield line(Span("no exposure under way", "dim"))
    several = len(status["exposing"]) > 1
    for exposing in status["exposing"]:
        yield from _exposing(exposing, several)
    for guiding in status["guiding"]:
        yield _guiding(guiding, len(status["guiding"]) > 1)


def _guiding(guiding: GuidingRow, several: bool) -> Line:
    """`guided to 0.62″ (RA 0.45″, Dec 0.43″)`."""
    whose = f"{guiding['rig']}: " if several else ""
    if guiding["star_lost"]:
        return line(f"{whose}", Span("guide star lost", "warn"))
    if guiding["rms_arcsec"] is None:
        return line(f"{whose}guided")
    axes = f"RA {guiding['rms_ra_arcsec']:.2f}″, Dec {guiding['rms_dec_arcsec']:.2f}″"
    return line(f"{whose}guided to {guiding['rms_arcsec']:.2f}″ RMS ({axes})")


def _exposing(exposing: Exposing, several: bool) -> Iterator[Line]:
    words = [
        exposing["target"] or exposing["kind"],
        exposing["filter"] or "",
        f"{exposing['exposure_s']:g} s",
    ]
    if exposing["kind"] not in ("light", "") and exposing["target"]:
        words.append(exposing["kind"])
    if several:
        words.append(f"{exposing['rig']}/{exposing['train']}")
    what = " · ".join(word for word in words if word)
    name = exposing["id"]
    yield line(Span(cut(what, _BODY - len(name) - 2), "bold"), "  ", Span(name, "dim"))
    yield _bar(exposing["elapsed_s"], exposing["exposure_s"])


def _bar(elapsed_s: float, exposure_s: float) -> Line:
    part = min(max(elapsed_s / exposure_s, 0.0), 1.0) if exposure_s > 0 else 1.0
    full = int(part * _BAR)
    said = f"{elapsed_s:.0f} of {exposure_s:g} s" if elapsed_s < exposure_s else "reading out"
    return line(Span("█" * full, "good"), Span("░" * (_BAR - full), "dim"), f"  {said}")


def _frames(status: Status, verdicts: int) -> Iterator[Line]:
    frames = status["frames"]
    rejected = Span(f"{frames['rejected']} rejected", "warn" if frames["rejected"] else "")
    yield line(f"{frames['taken']} taken · {frames['kept']} kept · ", rejected)
    last = status["last_verdicts"][-verdicts:]
    size = max((len(_frame_text(verdict)) for verdict in last), default=0)
    for verdict in reversed(last):
        yield _verdict_line(verdict, size)


def _frame_text(verdict: Verdict) -> str:
    words = [
        cut(verdict["target"] or "no target", 18),
        verdict["filter"] or "",
        f"{verdict['exposure_s']:g} s",
    ]
    return cut(" ".join(word for word in words if word), 30)


def _verdict_line(verdict: Verdict, size: int) -> Line:
    """`22:12  M 31 L 120 s  kept      87  FWHM 2.9 px, 412 stars`."""
    kept = verdict["decision"] == "keep"
    why = [] if verdict["cause"] in ("none", "") else [verdict["cause"]]
    if verdict["fwhm_px"] is not None:
        why.append(f"FWHM {verdict['fwhm_px']:.1f} px")
    if verdict["stars"] is not None:
        why.append(f"{verdict['stars']} stars")
    decision = Span("kept    " if kept else "rejected", "good" if kept else "warn")
    said = f" {verdict['quality']:3.0f}  {cut(', '.join(why), _BODY - size - 23)}"
    return line(Span(clock(verdict["at"]), "dim"), f"  {_frame_text(verdict):<{size}}  ", decision, said)


def _next(status: Status, slots: int) -> Iterator[Line]:
    coming, plan = status["next"], status["plan"]
    if coming is not None:
        when = [Span(clock(coming["at"]), "bold"), Span("  ")] if coming["at"] else []
        first, *rest = wrapped(coming["what"], _BODY - 7)
        yield line(*when, first)
        for row in rest:
            yield line(" " * width(tuple(when)), row)
    size = max((len(_slot_text(slot)) for slot in plan[:slots]), default=0)
    for slot in plan[:slots]:
        yield _slot_line(slot, size)
    if len(plan) > slots:
        yield line(Span(f"and {len(plan) - slots} more; see `astrod plan`", "dim"))
    if coming is None and not plan:
        yield line(Span("nothing is planned", "dim"))


def _slot_text(slot: Slot) -> str:
    count = f"{slot['exposures']} × {slot['exposure_s']:g} s" if slot["exposure_s"] else f"{slot['exposures']} ×"
    words = [cut(slot["target"], 18), slot["filter"] or "", count]
    return cut(" ".join(word for word in words if word), 32)


def _slot_line(slot: Slot, size: int) -> Line:
    """`22:31–23:10  NGC 891 L 10 × 120 s  altitude 62°…`."""
    start = Span(f"{clock(slot['start'])}–{clock(slot['end'])}", "dim")
    return line(start, f"  {_slot_text(slot):<{size}}  ", Span(cut(slot["why"], _BODY - size - 15), "dim"))


def _trouble(health: list[Finding]) -> Iterator[Line]:
    if not health:
        yield line(Span("none", "good"))
    for severity in (*_ORDER, None):
        for finding in health:
            if finding["severity"] == severity or (severity is None and finding["severity"] not in _ORDER):
                yield from _finding(finding)


def _finding(finding: Finding) -> Iterator[Line]:
    style = _SEVERITIES.get(finding["severity"], "warn")
    code = finding["code"] or "AST-?"
    rows = wrapped(finding["text"] or "no text", _BODY - len(code) - 2)
    yield line(Span(code, style), "  ", Span(rows[0], style))
    for row in rows[1:]:
        yield line(" " * (len(code) + 2), Span(row, style))
    if finding["remedy"]:
        first, *rest = wrapped(finding["remedy"], _BODY - 2)
        yield line("→ ", first)
        for row in rest:
            yield line("  ", row)
