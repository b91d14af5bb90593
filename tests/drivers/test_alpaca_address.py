"""Alpaca addresses as owners write them."""

import pytest

from astrod_drivers.address import Address, parse
from astrod_drivers.errors import AddressInvalid


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("alpaca://192.168.1.20:11111/telescope/0", Address("alpaca", "192.168.1.20", 11111, "telescope/0")),
        ("alpaca://scope.local/Camera/1", Address("alpaca", "scope.local", 11111, "camera/1")),
        ("alpaca://[fe80::1]:4567/dome/00/", Address("alpaca", "fe80::1", 4567, "dome/0")),
    ],
)
def test_addresses_are_understood_and_written_back(text: str, address: Address) -> None:
    assert parse(text) == address
    assert parse(str(address)) == address


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("alpaca://host/mount/0", "'mount' is no type of device that astrod drives; there are telescope, camera"),
        ("alpaca://host/telescope", "write the device's number, for instance telescope/0"),
        ("alpaca://host/telescope/-1", "write the device's number"),
        ("alpaca://host/telescope/²", "write the device's number"),
        ("alpaca:///telescope/0", "lacks a host; write alpaca://HOST:PORT/TYPE/NUMBER"),
        ("alpaca://host", "lacks a device; write alpaca://HOST:PORT/TYPE/NUMBER"),
        ("alpaca://host:99999/telescope/0", "no valid port; the usual one is 11111"),
        ("alpaca://[::1/telescope/0", "no device address"),
        ("ascom://host/telescope/0", r"write indi://HOST:PORT/DEVICE NAME, alpaca://HOST:PORT/TYPE/NUMBER, "),
    ],
)
def test_errors_name_the_form(text: str, says: str) -> None:
    with pytest.raises(AddressInvalid, match=says):
        parse(text)
