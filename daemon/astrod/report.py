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
    ]
    return "\n".join(lines)
