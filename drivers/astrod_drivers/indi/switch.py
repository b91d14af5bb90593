"""Power outlets, relays and dew heaters through INDI.

INDI has no one property for power, so the address may name them:

    indi://localhost/Pegasus UPB?outlets=POWER_CONTROL,USB_PORT_CONTROL&levels=DEW_PWM

Without that, the properties of PROPERTIES that the driver has. Each switch of an any-of-many property is an outlet
by its label (where two share one, by its element); a pair of on and off is one outlet by its property's name. Each
number of a level property is an outlet that can be dimmed: its range is 0 to 100 %.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from astrod_drivers.errors import CommandRefused, DeviceMissing
from astrod_drivers.indi.device import IndiDevice
from astrod_drivers.indi.link import Link, Vector
from astrod_drivers.protocols import Switch, SwitchState

PROPERTIES = ("POWER_CONTROL", "POWER_CHANNELS", "POWER_OUTLETS", "POWER_PORTS", "USB_PORT_CONTROL", "DEW_CONTROL")
LEVELS = ("DEW_PWM", "DEW_LEVELS", "POWER_LEVELS")
PAIRS = (("INDI_ENABLED", "INDI_DISABLED"), ("ENABLE", "DISABLE"), ("ON", "OFF"))


@dataclass(frozen=True, slots=True)
class Outlet:
    """Where an outlet is: the property, the element that is on, and for a pair the one that is off."""

    vector: str
    element: str
    off: str | None = None


def outlets_of(vectors: Mapping[str, Vector], names: tuple[str, ...]) -> dict[str, Outlet]:
    """The outlets of those properties by the names that people gave them."""
    found: list[tuple[str, Outlet]] = []
    for name in names:
        vector = vectors.get(name)
        if vector is None:
            continue
        pair = next((pair for pair in PAIRS if set(pair) == set(vector.values)), None)
        if pair is not None and not vector.any_of_many:
            found.append((name, Outlet(name, *pair)))
        else:
            found += [(vector.labels.get(e, "").strip() or e, Outlet(name, e)) for e in vector.values]
    labels = [label for label, _ in found]
    return {label if labels.count(label) == 1 else outlet.element: outlet for label, outlet in found}


class IndiSwitch(IndiDevice, Switch):
    """See `protocols.Switch`."""

    kind = "switch"

    async def _prepare(self, link: Link) -> None:
        """A switch without an outlet is none; the message names what could be one."""
        if not self._outlets(link) and not self._levels(link):
            able = sorted(v.name for v in link.vectors.values() if v.writable and v.any_of_many)
            hint = f"it has {', '.join(able)}" if able else "it has no switches that are on or off each for itself"
            text = f"{self.address} has none of {', '.join(self._named('outlets', PROPERTIES))}: {hint}; name one"
            raise DeviceMissing(f"{text} as in ?outlets=NAME")

    def _named(self, option: str, usual: tuple[str, ...]) -> tuple[str, ...]:
        given = self.address.option(option)
        return tuple(name.strip() for name in given.split(",")) if given is not None else usual

    def _outlets(self, link: Link) -> dict[str, Outlet]:
        return outlets_of(link.vectors, self._named("outlets", PROPERTIES))

    def _levels(self, link: Link) -> dict[str, Outlet]:
        return outlets_of(link.vectors, self._named("levels", LEVELS))

    async def read(self) -> SwitchState:
        link = await self._heard()
        level = {name: self._percent(link, outlet) for name, outlet in self._levels(link).items()}
        on = {name: percent > 0.0 for name, percent in level.items()}
        on |= {name: link.vectors[o.vector].on(o.element) for name, o in self._outlets(link).items()}
        return SwitchState(on, level)

    def _percent(self, link: Link, outlet: Outlet) -> float:
        low, high = self._vector(link, outlet.vector).limits[outlet.element]
        value = self._number(link, outlet.vector, outlet.element)
        return 100.0 * (value - low) / (high - low) if high > low else value

    async def set(self, name: str, on: bool) -> None:
        link = await self._heard()
        outlet = self._outlets(link).get(name)
        if outlet is None:
            if name in self._levels(link):
                await self.dim(name, 100.0 if on else 0.0)
                return
            raise self._no_such(link, name)
        if outlet.off is not None:
            await self._set_switch(outlet.vector, outlet.element if on else outlet.off)
        elif self._vector(link, outlet.vector).any_of_many:
            await self._command(link, outlet.vector, lambda: link.send_switches(outlet.vector, {outlet.element: on}))
        else:
            await self._command(link, outlet.vector, lambda: link.send_switch(outlet.vector, outlet.element, on))

    async def dim(self, name: str, percent: float) -> None:
        link = await self._heard()
        outlet = self._levels(link).get(name)
        if outlet is None:
            if name in self._outlets(link):
                raise CommandRefused(f"{self.address}: {name!r} cannot be dimmed, only switched")
            raise self._no_such(link, name)
        if not 0.0 <= percent <= 100.0:
            raise CommandRefused(f"{self.address}: a level is 0..100 %, not {percent}")
        low, high = self._vector(link, outlet.vector).limits[outlet.element]
        value = low + percent / 100.0 * (high - low) if high > low else percent
        await self._set_numbers(outlet.vector, {outlet.element: value})

    def _no_such(self, link: Link, name: str) -> CommandRefused:
        there = ", ".join([*self._outlets(link), *self._levels(link)])
        return CommandRefused(f"{self.address} has no outlet {name!r}; it has {there}")
