#!/usr/bin/env python3
"""An INDI driver program with a power box and a motorised cover, which Debian's simulators lack.

indiserver starts it as it starts any driver and speaks INDI's XML with it over standard input and output. The cover
takes a second to move; the power box remembers its switches and the levels of its two dew heaters.
"""

import os
import sys
import threading
from datetime import UTC, datetime
from xml.etree import ElementTree
from xml.sax.saxutils import quoteattr

CLOCK_AHEAD_S = float(os.environ.get("GADGETS_CLOCK_AHEAD_S", "0"))
MOVE_S = 1.0
WRITE = threading.Lock()


class Property:
    """One INDI vector: `kind` is Switch, Number or Text; `elements` maps names to (label, value)."""

    def __init__(self, kind: str, name: str, elements: dict[str, tuple[str, str]], rule: str = "OneOfMany") -> None:
        self.kind, self.name, self.rule, self.state = kind, name, rule, "Idle"
        self.labels = {element: label for element, (label, _) in elements.items()}
        self.values = {element: value for element, (_, value) in elements.items()}

    def define(self, device: str) -> None:
        rule = f' rule="{self.rule}"' if self.kind == "Switch" else ""
        extra = ' format="%g" min="0" max="255" step="1"' if self.kind == "Number" else ""
        inner = "".join(
            f"<def{self.kind} name={quoteattr(e)} label={quoteattr(self.labels[e])}{extra}>{v}</def{self.kind}>"
            for e, v in self.values.items()
        )
        self._write(device, "def", rule + ' perm="rw"', inner)

    def tell(self, device: str, state: str = "Ok") -> None:
        self.state = state
        inner = "".join(f"<one{self.kind} name={quoteattr(e)}>{v}</one{self.kind}>" for e, v in self.values.items())
        self._write(device, "set", "", inner)

    def _write(self, device: str, verb: str, extra: str, inner: str) -> None:
        stamp = datetime.fromtimestamp(datetime.now(UTC).timestamp() + CLOCK_AHEAD_S, UTC)
        head = f'{verb}{self.kind}Vector device={quoteattr(device)} name={quoteattr(self.name)} state="{self.state}"'
        text = f'<{head} timestamp="{stamp:%Y-%m-%dT%H:%M:%S}"{extra}>{inner}</{verb}{self.kind}Vector>\n'
        with WRITE:
            sys.stdout.write(text)
            sys.stdout.flush()


def switch(name: str, rule: str = "OneOfMany", **elements: tuple[str, str]) -> Property:
    return Property("Switch", name, elements, rule)


BASE = ("CONNECTION", "DEVICE_PORT")
GADGETS = {
    "Power Box": [
        Property("Text", "DEVICE_PORT", {"PORT": ("Port", "/dev/ttyUSB0")}),
        Property("Text", "FIRMWARE", {"SERIAL_NUMBER": ("Serial number", "PB-0042")}),
        switch("POWER_CONTROL", "AnyOfMany", P1=("Camera", "Off"), P2=("Mount", "On")),
        switch("AUTO_DEW", INDI_ENABLED=("Enabled", "Off"), INDI_DISABLED=("Disabled", "On")),
        Property("Number", "DEW_PWM", {"A": ("Dew main", "0"), "B": ("Dew guide", "51")}),
    ],
    "Lid": [
        switch("CAP_PARK", PARK=("Park", "On"), UNPARK=("Unpark", "Off")),
        switch("FLAT_LIGHT_CONTROL", FLAT_LIGHT_ON=("On", "Off"), FLAT_LIGHT_OFF=("Off", "On")),
        Property("Number", "FLAT_LIGHT_INTENSITY", {"FLAT_LIGHT_INTENSITY_VALUE": ("Value", "0")}),
    ],
}
CONNECTIONS = {name: switch("CONNECTION", CONNECT=("On", "Off"), DISCONNECT=("Off", "On")) for name in GADGETS}


def defined(device: str) -> list[Property]:
    """What the device has now: all of it once it is connected, as drivers do."""
    connected = CONNECTIONS[device].values["CONNECT"] == "On"
    own = [prop for prop in GADGETS[device] if connected or prop.name in BASE]
    return [CONNECTIONS[device], *own]


def obey(message: ElementTree.Element) -> None:
    device = message.get("device")
    for name in GADGETS if device is None else [device] if device in GADGETS else []:
        if message.tag == "getProperties":
            for prop in defined(name):
                prop.define(name)
        elif message.tag.startswith("new"):
            for prop in [p for p in defined(name) if p.name == message.get("name")]:
                change(name, prop, {one.get("name", ""): (one.text or "").strip() for one in message})


def change(device: str, prop: Property, wanted: dict[str, str]) -> None:
    if prop.kind == "Switch" and prop.rule == "OneOfMany" and "On" in wanted.values():
        prop.values = dict.fromkeys(prop.values, "Off")
    before = len(defined(device))
    prop.values |= {element: value for element, value in wanted.items() if element in prop.values}
    if prop.name == "CAP_PARK":
        prop.tell(device, "Busy")
        threading.Timer(MOVE_S, prop.tell, (device,)).start()
    else:
        prop.tell(device)
    if prop.name == "CONNECTION" and len(defined(device)) > before:
        for late in defined(device)[before:]:
            late.define(device)


def main() -> None:
    parser = ElementTree.XMLPullParser(["start", "end"])
    parser.feed("<indi>")
    depth = 0
    while chunk := os.read(0, 65536):
        parser.feed(chunk)
        for event, element in parser.read_events():
            depth += 1 if event == "start" else -1
            if event == "end" and depth == 1:
                obey(element)


if __name__ == "__main__":
    main()
