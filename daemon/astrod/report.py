"""The morning's report of a night, as text: frames, where the dark minutes went, requests, what closed the site.

And that of a night beside another program: what its frames were worth, and what astrod would have done.
"""

from collections.abc import Mapping
from typing import Any


def told(title: str, summary: Mapping[str, Any]) -> str:
    """The report under `title`; `summary` is what `core.Core.summarise` makes."""
    minutes = summary["dark_minutes"]
    dark = sum(minutes.values()) or 1.0
    causes = ", ".join(f"{cause} {value:.0f} min ({100 * value / dark:.0f} %)" for cause, value in minutes.items())
    lines = [
        title,
        "  frames    {taken} taken, {kept} kept, {rejected} rejected, {retaken} taken again".format(
            **summary["frames"]
        ),
        f"  dark      {causes}",
        "  requests  {done} done, {partial} begun, {untouched} untouched".format(**summary["requests"]),
        f"  closed    {len(summary['closures'])} times",
        *(f"            {why}" for why in summary["closures"]),
        *_calibrations(summary.get("calibrations", {})),
    ]
    return "\n".join(lines)


def _calibrations(ledger: Mapping[str, Any]) -> list[str]:
    """What was taken under the roof, and what is still missing; nothing for a summary of before there was a ledger."""
    if not ledger:
        return []
    taken = ", ".join(f"{count} {kind.replace('_', '-')}" for kind, count in sorted(ledger["taken"].items()))
    lines = [
        f"  ledger    {ledger['complete']} of {ledger['sets']} calibration sets complete, taken: {taken or 'none'}"
    ]
    return [*lines, *(f"            lacks {text}" for text in ledger["missing"])]


def ride_told(summary: Mapping[str, Any]) -> str:
    """The report of a night beside another program; `summary` is what `domain.ride.summary` makes."""
    frames, time, cuts = summary["frames"], summary["time"], summary["cuts"]
    causes = ", ".join(f"{cause} {count}" for cause, count in summary["rejected_by_cause"].items())
    others = [f"{frames[name]} {word}" for name, word in (("calibration", "calibration"), ("stacks", "stacked"))]
    lines = [
        f"Night of {summary['night']}, {summary['first'][11:16]} to {summary['last'][11:16]} UTC, riding along",
        f"  frames    {frames['judged']} judged, {frames['kept']} kept, {frames['rejected']} rejected"
        + (f" ({causes})" if causes else ""),
        f"            not judged: {', '.join(others)}, {len(frames['unreadable'])} unreadable",
        f"  time      {_minutes(time['exposed_s'])} exposed, {_minutes(time['rejected_s'])} of it rejected",
        f"            acting on the verdicts would have spared up to {_minutes(time['after_warning_s'])}",
        *(f"  field     {_field(field)}" for field in summary["fields"]),
        *(f"  hour      {_hour(hour)}" for hour in summary["hours"]),
        *(f"  worst     {one['file']}: {one['cause']}, quality {one['quality']:.0f}" for one in summary["worst"]),
        *(f"  strange   {file}" for file in summary["strange"]),
        f"  cuts      on star count and FWHM, with the whole night known, would reject {cuts['rejected']}",
        f"            {cuts['both']} of them with astrod; astrod alone rejects {len(cuts['only_astrod'])}",
        *(f"            kept by astrod, cut for {one['why']}: {one['file']}" for one in cuts["only_cuts"][:5]),
        *(f"  unread    {one['why']}" for one in frames["unreadable"]),
        *_unread(summary.get("unread", {})),
    ]
    return "\n".join(lines)


def _minutes(seconds: float) -> str:
    return f"{seconds / 60.0:.0f} min" if seconds >= 90.0 else f"{seconds:.0f} s"


def _field(field: Mapping[str, Any]) -> str:
    what = " ".join(text for text in (field["target"], field["filter"]) if text) or "unnamed"
    told = f"{what}, {field['exposure_s']:g} s: {field['kept']} of {field['judged']} kept"
    for name, unit in (("fwhm_px", "FWHM {} px"), ("stars", "{} stars")):
        trend = field[name]
        if trend is not None:
            told += ", " + unit.format(f"{trend['median']:g}")
            told += f" ({trend['per_hour']:+g} in an hour)" if "per_hour" in trend else ""
    return told


def _hour(hour: Mapping[str, Any]) -> str:
    fwhm = "" if hour["fwhm_px"] is None else f", FWHM {hour['fwhm_px']:g} px"
    stars = "" if hour["stars"] is None else f", {hour['stars']:g} stars"
    clear = "" if hour["transparency"] is None else f", transparency {hour['transparency']:.0%}"
    return f"{hour['from'][11:16]}  {hour['kept']} of {hour['judged']} kept{fwhm}{stars}{clear}"


def _unread(unread: Mapping[str, int]) -> list[str]:
    if not unread:
        return []
    told = ", ".join(f"{count} {ending}" for ending, count in unread.items())
    return [f"  unread    {told}: have the capture program write FITS to have these judged"]
