"""Power outlets and heaters (Alpaca: switch). Those that can only be read, such as voltages, are no outlets."""

from dataclasses import dataclass
from typing import Any

from alpaca.switch import Switch as AlpycaSwitch

from astrod_drivers.alpaca.device import AlpacaDevice
from astrod_drivers.alpaca.values import flag, number, optional, whole
from astrod_drivers.errors import CommandRefused, DeviceMissing
from astrod_drivers.protocols import Switch, SwitchState

MOST_OUTLETS = 256


@dataclass(frozen=True, slots=True)
class Outlet:
    """One writable switch: its number on the device, and its range. `dims`: it knows more than on and off."""

    number: int
    low: float
    high: float
    dims: bool


class AlpacaSwitch(AlpacaDevice, Switch):
    """See `protocols.Switch`. Of outlets that share a name all but the first get their number appended.

    Alpaca knows one value for both, so an outlet that dims is off at its lowest; on again it is as it was last.
    """

    kind = "switch"
    model = AlpycaSwitch

    def _survey(self, device: Any) -> None:
        self._outlets: dict[str, Outlet] = {}
        self._last: dict[str, float] = {}
        for place in range(whole(device.MaxSwitch, "MaxSwitch", 0, MOST_OUTLETS)):
            # `optional`: servers that count more switches than they have
            if optional(lambda place=place: flag(device.CanWrite(place), "CanWrite")):  # type: ignore[misc]
                name = str(device.GetSwitchName(place)).strip() or str(place)
                self._outlets[f"{name} #{place}" if name in self._outlets else name] = _outlet(device, place)
        if not self._outlets:
            raise DeviceMissing(f"{self.address} has nothing that can be switched; check its setup")

    async def read(self) -> SwitchState:
        return await self._read_state(self._state)

    def _state(self, device: Any) -> SwitchState:
        on, level = {}, {}
        for name, outlet in self._outlets.items():
            value = number(device.GetSwitchValue(outlet.number), f"switch {name}", outlet.low, outlet.high)
            on[name] = value > outlet.low
            if on[name]:
                self._last[name] = value
            if outlet.dims:
                level[name] = 100.0 * (value - outlet.low) / (outlet.high - outlet.low)
        return SwitchState(on, level)

    async def set(self, name: str, on: bool) -> None:
        outlet = self._outlet(name)

        def go(device: Any) -> None:
            if outlet.dims:
                device.SetSwitchValue(outlet.number, self._last.get(name, outlet.high) if on else outlet.low)
            else:
                device.SetSwitch(outlet.number, on)

        await self._command("switching", go)

    async def dim(self, name: str, percent: float) -> None:
        outlet = self._outlet(name)
        if not outlet.dims:
            raise CommandRefused(f"{self.address}: {name!r} is on or off and cannot be dimmed")
        if not 0.0 <= percent <= 100.0:
            raise CommandRefused(f"{self.address}: {percent:g} % is outside 0..100")
        value = outlet.low + (outlet.high - outlet.low) * percent / 100.0
        await self._command("dimming", lambda device: device.SetSwitchValue(outlet.number, value))

    def _outlet(self, name: str) -> Outlet:
        self._live()
        if name not in self._outlets:
            raise CommandRefused(f"{self.address} has no outlet {name!r}; it has {', '.join(self._outlets)}")
        return self._outlets[name]


def _outlet(device: Any, place: int) -> Outlet:
    low = number(device.MinSwitchValue(place), "MinSwitchValue")
    high = number(device.MaxSwitchValue(place), "MaxSwitchValue", low)
    step = number(device.SwitchStep(place), "SwitchStep", 0.0)
    if high <= low:
        raise DeviceMissing(f"switch {place} ranges from {low:g} to {high:g}; correct the device's setup")
    return Outlet(place, low, high, dims=step < high - low)
