"""A mount through Alpaca, where no simulator shows the case: slow drivers, equinoxes, permits that end in between."""

import asyncio
import time
from pathlib import Path

import pytest
from tests.drivers.test_alpaca_door import GOOD, Mouth, answer, driver

from astrod_drivers.equinox import icrs_of
from astrod_drivers.errors import CommandRefused, DeadlineMissed, PermitRefused, Unreachable
from astrod_drivers.permit import EpochCell
from astrod_drivers.protocols import Permit


class Said:
    """What the server answers, member by member; those in `mute` it never answers. `asked` is what it was asked."""

    def __init__(self, **members: object) -> None:
        self.members = {**GOOD, **members}
        self.mute: set[str] = set()
        self.asked: list[str] = []

    def __call__(self, path: str) -> bytes | None:
        member = path.rpartition("/")[2]
        self.asked.append(member)
        return None if member in self.mute else answer(self.members.get(member))


async def test_a_park_that_answers_only_when_it_is_done_counts_as_begun_when_the_mount_moves(tmp_path: Path) -> None:
    said = Said()
    async with Mouth(said) as mouth:
        mount = driver("mount", mouth.port, tmp_path)
        await mount.connect()
        said.mute = {"park"}
        said.members["slewing"] = True
        before_s = time.monotonic()
        await mount.park()
        assert time.monotonic() - before_s < 2.0
        said.members["slewing"] = False
        assert (await mount.read()).slewing  # it has not said that it is done
        await mount.park()  # a second word is not sent while the first is open
        assert said.asked.count("park") == 1
        said.mute = set()
        await mount.abort()  # overtakes it
        assert "abortslew" in said.asked
        assert not (await mount.read()).slewing


async def test_a_park_that_fails_at_once_is_refused(tmp_path: Path) -> None:
    said = Said(canpark=False)
    async with Mouth(said) as mouth:
        mount = driver("mount", mouth.port, tmp_path)
        await mount.connect()
        with pytest.raises(CommandRefused, match="cannot park"):
            await mount.park()


@pytest.mark.parametrize("system", [0, 1, 2])
async def test_the_mount_says_of_which_equinox_it_speaks(system: int, tmp_path: Path) -> None:
    async with Mouth(Said(equatorialsystem=system)) as mouth:
        mount = driver("mount", mouth.port, tmp_path)
        await mount.connect()
        state = await mount.read()
    ours = icrs_of(52.5, 40.0, mount.clock.now_us()) if system == 1 else (52.5, 40.0)
    assert (state.ra_deg, state.dec_deg) == pytest.approx(ours, abs=1e-4)


@pytest.mark.parametrize("system", [3, 4])
async def test_an_equinox_of_another_age_is_refused(system: int, tmp_path: Path) -> None:
    async with Mouth(Said(equatorialsystem=system)) as mouth:
        with pytest.raises(CommandRefused, match="set its driver to J2000"):
            await driver("mount", mouth.port, tmp_path).connect()


async def test_a_permit_that_ends_while_the_driver_asks_sends_nothing(tmp_path: Path) -> None:
    gate = EpochCell()
    permit = Permit(gate.become_safe())
    said = Said(tracking=False)

    def reply(path: str) -> bytes | None:
        if path.endswith("/atpark"):
            gate.become_unsafe()  # between the driver's first look and its command
        return said(path)

    async with Mouth(reply) as mouth:
        mount = driver("mount", mouth.port, tmp_path)
        mount._gate = gate
        await mount.connect()
        with pytest.raises(PermitRefused):
            await mount.slew(10.0, 20.0, permit)
    assert "slewtocoordinatesasync" not in said.asked
    assert said.asked.count("tracking") == 1  # asked, not set


async def test_threads_of_calls_given_up_do_not_pile_up(tmp_path: Path) -> None:
    said = Said()
    async with Mouth(said) as mouth:
        mount = driver("mount", mouth.port, tmp_path)
        await mount.connect()
        said.mute = {"rightascension"}
        for _ in range(40):  # more than the executor has threads
            with pytest.raises(DeadlineMissed):
                await mount._read(lambda device: device.RightAscension, 0.02)
        said.mute = set()
        async with asyncio.timeout(2.0):
            assert (await mount.read()).dec_deg == pytest.approx(40.0)


async def test_nothing_is_asked_before_it_is_connected(tmp_path: Path) -> None:
    async with Mouth(Said()) as mouth:
        mount = driver("mount", mouth.port, tmp_path)
        with pytest.raises(Unreachable, match="not connected"):
            await mount.read()
        await mount.connect()
        await mount.disconnect()
        await mount.disconnect()
        with pytest.raises(Unreachable, match="not connected"):
            await mount.park()
