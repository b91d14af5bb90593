"""ASCOM Alpaca devices: HTTP and JSON over the network, in driver hosts only (`astrod_drivers.host`).

    link            questions to one server, each with a deadline that holds for the whole answer
    device          what all devices share: connecting, asking, commanding
    values          what may be believed of an answer
    imagebytes      pixels, straight from the network into a file
    mount, camera … one module for each kind
    devices         which of them serves what
    discovery       servers that answer a broadcast, and what they have

The words are alpyca's (its `Telescope`, `Camera`, …), the wire under them is ours: decision 0009 says why.

This package file imports nothing, so that the daemon may ask what is served without loading alpyca.
"""

TYPES = {
    "mount": "telescope",
    "camera": "camera",
    "focuser": "focuser",
    "wheel": "filterwheel",
    "rotator": "rotator",
    "roof": "dome",
    "cover": "covercalibrator",
    "switch": "switch",
    "weather": "observingconditions",
    "safety_monitor": "safetymonitor",
}
"""Alpaca's word for each kind of device that astrod drives."""

SERVED = tuple(TYPES)
