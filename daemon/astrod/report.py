"""The morning's report of a night, as text: frames, where the dark minutes went, requests, what closed the site."""

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
