"""The driver that drivers/README.md writes in an hour: taken from the page, installed, loaded, driven."""

import asyncio
import os
import re
import sys
import tomllib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from astrod_drivers import plugins
from astrod_drivers.address import parse
from astrod_drivers.errors import AddressInvalid, BadAnswer, DeadlineMissed, DriverError, PermitRefused, Unreachable
from astrod_drivers.permit import EpochPage
from astrod_drivers.protocols import Permit
from astrod_drivers.remote import RemoteRoof
from astrod_drivers.session import Session, open_session

README = Path(__file__).parents[2] / "drivers" / "README.md"


def block(language: str, holding: str) -> str:
    """The page's code block in that language that holds that text."""
    blocks = re.findall(rf"```{language}\n(.*?)```", README.read_text(), re.DOTALL)
    (found,) = [text for text in blocks if holding in text]
    return str(found)


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The example as pip would leave it: its file, and a dist-info that declares the entry point."""
    project = tomllib.loads(block("toml", "entry-points"))["project"]
    site = tmp_path / "site"
    info = site / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir(parents=True)
    (site / "hut_roof.py").write_text(block("python", "class HutRoof"))
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    lines = [f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in entries.items())
             for group, entries in project["entry-points"].items()]  # fmt: skip
    (info / "entry_points.txt").write_text("\n".join(lines))
    monkeypatch.syspath_prepend(site)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(site), *filter(None, sys.path)]))  # for the child
    plugins.forget()
    yield site
    plugins.forget()


class Controller:
    """The roof's controller: moves at once, and can be told to say anything, or nothing."""

    def __init__(self) -> None:
        self.state = "CLOSED"
        self.says: str | None = None
        self.silent = False

    async def attend(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            self.state = {b"OPEN\n": "OPEN", b"CLOSE\n": "CLOSED"}.get(line, self.state)
            if not self.silent:
                writer.write(f"{self.says or self.state}\n".encode())
        writer.close()


@pytest.fixture
async def controller() -> AsyncIterator[tuple[Controller, int]]:
    controller = Controller()
    server = await asyncio.start_server(controller.attend, "127.0.0.1", 0)
    yield controller, server.sockets[0].getsockname()[1]
    server.close()


@pytest.fixture
async def session(installed: Path, controller: tuple[Controller, int], tmp_path: Path) -> AsyncIterator[Session]:
    address = f"hutroof://127.0.0.1:{controller[1]}/roof"
    session = open_session(address, "roof", spool=tmp_path, gate_path=tmp_path / "epoch")
    yield session
    await session.kill()


async def test_the_readmes_driver_opens_with_a_permit_and_closes_without(
    session: Session, controller: tuple[Controller, int], tmp_path: Path
) -> None:
    page = EpochPage(tmp_path / "epoch")
    await session.start()
    roof = session.device_as(RemoteRoof)
    assert (await roof.read()).aperture == "closed"
    await roof.open(Permit(page.become_safe()))
    assert controller[0].state == "OPEN"
    page.become_unsafe()
    await roof.close()
    assert (await roof.read()).aperture == "closed"
    with pytest.raises(PermitRefused):
        await roof.open(Permit(page.epoch))
    assert controller[0].state == "CLOSED"
    await roof.connect()  # again, as after a loss
    assert (await roof.read()).azimuth_deg is None


async def test_the_readmes_driver_tells_nonsense_and_silence(
    session: Session, controller: tuple[Controller, int]
) -> None:
    await session.start()
    roof = session.device_as(RemoteRoof)
    controller[0].says = "<html>"
    with pytest.raises(BadAnswer, match="html"):
        await roof.read()
    controller[0].says, controller[0].silent = None, True
    with pytest.raises(DeadlineMissed):
        await roof.read()
    with pytest.raises(Unreachable):
        await roof.read()
    controller[0].silent = False
    await roof.connect()
    assert (await roof.read()).aperture == "closed"


async def test_a_kind_that_the_driver_does_not_serve_ends_its_child(installed: Path, tmp_path: Path) -> None:
    session = open_session("hutroof://127.0.0.1:1/roof", "camera", spool=tmp_path, gate_path=tmp_path / "epoch")
    with pytest.raises(DriverError):
        await session.start()
    await session.kill()


def test_the_scheme_is_known_only_while_the_package_is_installed(installed: Path) -> None:
    assert plugins.schemes() == ("hutroof",)
    address = parse("hutroof://192.168.1.30:4001/roof?side=east")
    assert (address.host, address.port, address.device) == ("192.168.1.30", 4001, "roof")
    assert address.option("side") == "east"
    (installed / "hut_roof.py").parent.rename(installed.with_name("gone"))
    plugins.forget()
    with pytest.raises(AddressInvalid, match="no device address"):
        parse("hutroof://192.168.1.30:4001/roof")


def test_code_that_cannot_be_loaded_names_its_package(installed: Path, tmp_path: Path) -> None:
    (installed / "hut_roof.py").write_text("import no_such_module\n")
    address = parse("hutroof://127.0.0.1:1/roof")
    with pytest.raises(AddressInvalid, match=r"package astrod-hut-roof cannot be loaded .*no_such_module.*reinstall"):
        plugins.open_plugin("roof", address, clock=None, gate=None, spool=tmp_path)  # type: ignore[arg-type]
