"""What is found: our own Alpaca server, a real indiserver, serial devices by their lasting names; and nobody."""

import json
import socket
import sys
from pathlib import Path

import pytest

from astrod.cli import exits
from astrod.cli.main import main
from astrod.commissioning.discovery import Place, discover
from astrod.runtime.clock import WallClock
from astrod_drivers.indi.server import SIMULATORS, IndiServer, missing
from astrod_drivers.serialports import serial_ports
from tests.contract.alpaca_bench import free_port, running

LOOPBACK = "127.0.0.1"


def free_udp_port() -> int:
    """A UDP port that nobody has."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


async def test_our_alpaca_server_is_found_with_every_device_and_its_address() -> None:
    port, asked = free_port(), free_udp_port()
    command = [sys.executable, "-m", "astrod_drivers.sim.alpaca", "--discovery", f"{LOOPBACK}:{asked}"]
    with running([*command, "--port", str(port)], port):
        found = await discover([Place(LOOPBACK, 1)], WallClock(), asked)
    (server,) = [server for server in found.servers if server.protocol == "alpaca"]
    assert (server.host, server.port) == (LOOPBACK, port)
    kinds = {kind for device in server.devices for kind in device.kinds}
    assert {"mount", "camera", "focuser", "wheel", "roof", "weather"} <= kinds
    assert all(device.address.startswith(f"alpaca://{LOOPBACK}:{port}/") for device in server.devices)


@pytest.mark.indi
def test_a_real_indiserver_is_found_by_the_verb(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if (reason := missing()) is not None:
        pytest.skip(reason)
    server = IndiServer()
    server.start([program for program, _ in SIMULATORS.values()], tmp_path)
    try:
        place = f"localhost:{server.port}"
        assert main(["discover", place, "--json", "--discovery-port", "1"]) == exits.DONE
    finally:
        server.stop()
    answer = json.loads(capsys.readouterr().out)
    (found,) = [each for each in answer["servers"] if each["port"] == server.port]
    named = {device["name"]: device for device in found["devices"]}
    for kind, (_, name) in SIMULATORS.items():
        assert kind in named[name]["kinds"]
        assert named[name]["address"] == f"indi://{place}/{name}"


def test_nobody_is_said_and_is_no_failure(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["discover", "--discovery-port", "1"]) == exits.DONE
    assert capsys.readouterr().out.strip()


@pytest.mark.parametrize("text", ["hut.lan:", ":7624", "hut.lan:0", "hut.lan:x", "hut.lan:70000"])
def test_a_place_that_is_none(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["discover", text]) == exits.FAILED
    assert "write HOST or HOST:PORT" in capsys.readouterr().err


def test_serial_devices_go_by_the_names_that_stay_theirs(tmp_path: Path) -> None:
    for name in ("ttyUSB0", "ttyUSB1", "ttyACM0", "tty1"):
        (tmp_path / name).touch()
    for folder, name, device in (
        ("by-id", "usb-FTDI_FT232R_A10", "ttyUSB0"),
        ("by-path", "pci-0:1.1", "ttyUSB0"),
        ("by-path", "pci-0:1.2", "ttyUSB1"),
    ):
        (tmp_path / "serial" / folder).mkdir(parents=True, exist_ok=True)
        (tmp_path / "serial" / folder / name).symlink_to(tmp_path / device)
    found = {Path(port.device).name: str(Path(port.path).relative_to(tmp_path)) for port in serial_ports(tmp_path)}
    assert found == {
        "ttyUSB0": "serial/by-id/usb-FTDI_FT232R_A10",
        "ttyUSB1": "serial/by-path/pci-0:1.2",
        "ttyACM0": "ttyACM0",
    }
    assert serial_ports(tmp_path / "nowhere") == ()
