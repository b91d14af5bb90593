"""The catalogue of faults as tables for the documentation, written from the simulator's own."""

from collections.abc import Callable

from astrod_drivers.protocols import KINDS
from astrod_drivers.sim.faults import CATALOGUE, Entry

_HEAD = "| kind | device | what happens | amount | modes | ends by |\n|---|---|---|---|---|---|"


def _row(kind: str, entry: Entry) -> str:
    on = "any" if set(entry.on) == set(KINDS) else ", ".join(entry.on) or "none"
    amount = f"{entry.amount}, {entry.usual:g}" if entry.usual is not None else ""
    ends = "once" if entry.once else entry.until
    modes = ", ".join(f"`{mode}`" for mode in entry.modes)
    return f"| `{kind}` | {on} | {entry.does} | {amount} | {modes} | {ends} |"


def _table(belongs: Callable[[Entry], bool]) -> str:
    return "\n".join([_HEAD, *(_row(kind, entry) for kind, entry in CATALOGUE.items() if belongs(entry))])


def of_calls() -> str:
    """What comes between the daemon and a device."""
    return _table(lambda entry: entry.where == "call")


def of_truth() -> str:
    """What happens to the devices and the sky themselves."""
    return _table(lambda entry: entry.where == "truth")


def of_host() -> str:
    """What happens to the computer that the daemon runs on."""
    return _table(lambda entry: entry.where == "host")
