"""The simulated camera: cooler, exposure, read-out, and the scene that its sensor saw.

A frame is rendered from the scene as it was while the shutter was open. So that this need not wait for the
end of the exposure, the scene is foretold when it starts and rendered at once; when the exposure ends and
all went as foretold, that frame is the frame. Otherwise it is rendered anew.
"""

import asyncio
import contextlib
import contextvars
import math
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from astrod_drivers.errors import CommandRefused, DriverError, PermitRefused
from astrod_drivers.protocols import CameraInfo, CameraState, Clock, Gate, Permit, RawFrame, Shot
from astrod_drivers.sim.faults import Phase
from astrod_drivers.sim.scene import Scene, Sensor
from astrod_drivers.sim.setup import CameraSetup
from astrod_drivers.sim.timeline import Timeline
from astrod_drivers.sim.weather import Climate

Renderer = Callable[[Scene, Path], Awaitable[None]]
Look = Callable[[int, Shot, Sensor, float], Scene]
"""What the train sees: from the start, the shot, the sensor as set and its temperature to the scene."""

_FILE_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9_.\-]{0,127}$")
_HELD = 3  # frames that wait to be fetched


@dataclass(frozen=True, slots=True)
class Cooling:
    """From a temperature towards a target; None: the cooler is off."""

    start_c: float
    target_c: float | None


@dataclass(eq=False)
class Exposure:
    """An exposure under way or waiting to be fetched."""

    shot: Shot
    started_us: int
    end_us: int
    read_out_us: int
    frame: asyncio.Task[RawFrame] | None = None
    drafts: list[asyncio.Task[None]] = field(default_factory=list)
    fetched: bool = False


class SimCamera:
    """Implements `protocols.Camera`. `look` says what there is to see, `render` makes the file."""

    def __init__(
        self,
        setup: CameraSetup,
        climate: Climate,
        look: Look,
        render: Renderer,
        clock: Clock,
        gate: Gate,
        spool: Path,
    ) -> None:
        self.setup = setup
        self._climate = climate
        self._look = look
        self._render = render
        self._clock = clock
        self._gate = gate
        self._spool = spool
        now_us = clock.now_us()
        self._cooling: Timeline[Cooling] = Timeline(now_us, Cooling(climate.at(now_us).temperature_c, None))
        self._current: Exposure | None = None
        self._held: dict[str, Exposure] = {}
        self._leftovers: set[asyncio.Task[None]] = set()

    async def connect(self) -> None:
        """Always there."""

    async def disconnect(self) -> None:
        """The camera stays as it is; an exposure under way goes on."""

    async def describe(self) -> CameraInfo:
        """See `protocols.Camera.describe`; `egain_e_per_adu` is at gain 0."""
        sensor = self.setup.sensor
        return CameraInfo(
            self.setup.model,
            sensor.width_px,
            sensor.height_px,
            sensor.pixel_um,
            16,
            sensor.bayer,
            self.setup.cooler is not None,
            sensor.egain_e_per_adu,
        )

    async def read(self) -> CameraState:
        """See `protocols.Camera.read`; reading out counts as exposing, with nothing remaining."""
        now_us = self._clock.now_us()
        _, cooling = self._cooling.at(now_us)
        temperature_c = self.temperature_c(now_us)
        power = None
        if self.setup.cooler is not None:
            below_c = self._climate.at(now_us).temperature_c - temperature_c
            power = (
                0.0 if cooling.target_c is None else min(100.0, max(0.0, 100.0 * below_c / self.setup.cooler.reach_c))
            )
            power = round(power, 1)
        exposing = self.exposing(now_us)
        remaining_s = max(0.0, (self._current.end_us - now_us) / 1e6) if exposing and self._current else 0.0
        return CameraState(exposing, remaining_s, round(temperature_c, 1), cooling.target_c is not None, power)

    async def cool(self, target_c: float | None) -> None:
        """See `protocols.Camera.cool`."""
        if self.setup.cooler is None:
            raise CommandRefused("this camera has no cooler; leave cool_to_c out of its configuration")
        if target_c is not None and not -60.0 <= target_c <= 40.0:
            raise CommandRefused(f"the cooler takes -60..40 C, not {target_c}")
        now_us = self._clock.now_us()
        self._cooling.add(now_us, Cooling(self.temperature_c(now_us), target_c))

    async def expose(self, shot: Shot, permit: Permit) -> None:
        """See `protocols.Camera.expose`. Gain is in 0.1 dB, 0 where none is given; offset in tens of ADU."""
        if shot.needs_permit and not self._gate.allows(permit):
            raise PermitRefused(f"expose: safety epoch {permit.epoch} is over; nothing was exposed")
        now_us = self._clock.now_us()
        self._check(shot, now_us)
        end_us = now_us + round(shot.exposure_s * 1e6)
        exposure = Exposure(shot, now_us, end_us, end_us + round(self.setup.readout_s * 1e6))
        self._current = exposure
        self._held[shot.exposure_id] = exposure
        while len(self._held) > _HELD:
            self._drop(next(iter(self._held)))
        # in a context of its own: the hardware is no part of the process that commands it
        exposure.frame = asyncio.get_running_loop().create_task(self._develop(exposure), context=contextvars.Context())
        exposure.frame.add_done_callback(_hear)

    async def fetch(self, exposure_id: str) -> RawFrame:
        """See `protocols.Camera.fetch`. Until its file is taken away, a frame can be fetched again."""
        exposure = self._held.get(exposure_id)
        if exposure is None or exposure.frame is None:
            raise CommandRefused(f"there is no frame {exposure_id[:80]!r} to fetch: never exposed, aborted or dropped")
        try:
            frame = await asyncio.shield(exposure.frame)
        except OSError as fault:
            text = f"the frame {exposure_id} could not be written, look at the spool: {fault}"
            raise DriverError(text) from fault
        except asyncio.CancelledError:
            if exposure.frame.cancelled():
                raise CommandRefused(f"exposure {exposure_id} was aborted; there is no frame") from None
            raise
        if not frame.path.exists():
            raise CommandRefused(f"the frame {exposure_id} was fetched before and its file is gone")
        exposure.fetched = True
        return frame

    async def abort(self) -> None:
        """See `protocols.Camera.abort`."""
        if self._current is not None and self.exposing(self._clock.now_us()):
            self._drop(self._current.shot.exposure_id)
            self._current = None

    def lose_power(self) -> None:
        """What the camera forgets without power, or when its driver dies: exposure and cooler's set point."""
        if self._current is not None and self.exposing(self._clock.now_us()):
            self._drop(self._current.shot.exposure_id)
            self._current = None
        self.reset_cooler()

    def reset_cooler(self) -> None:
        """The cooler is off, whatever it was told."""
        now_us = self._clock.now_us()
        self._cooling.add(now_us, Cooling(self.temperature_c(now_us), None))

    def doing(self, instant_us: int) -> Phase | None:
        """What it is doing, in the words of faults."""
        if self.exposing(instant_us):
            return "exposing" if self.shutter_open(instant_us) else "reading_out"
        _, cooling = self._cooling.at(instant_us)
        warm = cooling.target_c is not None and self.temperature_c(instant_us) > cooling.target_c + 0.5
        return "cooling" if warm else None

    async def close(self) -> None:
        """Drop every exposure and wait for the renderings under way."""
        for exposure_id in list(self._held):
            self._drop(exposure_id)
        self._current = None
        await asyncio.gather(*self._leftovers, return_exceptions=True)

    def exposing(self, instant_us: int) -> bool:
        """Whether an exposure or its read-out was under way."""
        return self._current is not None and self._current.started_us <= instant_us < self._current.read_out_us

    def shutter_open(self, instant_us: int) -> bool:
        """Whether light is being gathered."""
        return self._current is not None and self._current.started_us <= instant_us < self._current.end_us

    def ends_in_s(self, instant_us: int) -> float:
        """Seconds until the shutter closes; 0 without an exposure."""
        return max(0.0, (self._current.end_us - instant_us) / 1e6) if self._current is not None else 0.0

    def temperature_c(self, instant_us: int) -> float:
        """The sensor's temperature: a ramp to the target, or as far as the cooler reaches, or back to the
        air's.
        """
        began_us, cooling = self._cooling.at(instant_us)
        air_c = self._climate.at(instant_us).temperature_c
        if self.setup.cooler is None:
            return air_c + 4.0
        goal_c = air_c if cooling.target_c is None else max(cooling.target_c, air_c - self.setup.cooler.reach_c)
        step_c = self.setup.cooler.ramp_c_min * max(0, instant_us - began_us) / 60e6
        way_c = goal_c - cooling.start_c
        return goal_c if abs(way_c) <= step_c else cooling.start_c + math.copysign(step_c, way_c)

    # -- from a shot to a frame --

    def _check(self, shot: Shot, now_us: int) -> None:
        if self.exposing(now_us):
            raise CommandRefused("another exposure is under way; abort it or wait for its end")
        if not _FILE_NAME.match(shot.exposure_id):
            raise CommandRefused(f"{shot.exposure_id[:80]!r} cannot be a file's name; use letters, digits, - _ .")
        if shot.exposure_id in self._held:
            raise CommandRefused(f"there is a frame {shot.exposure_id} already; an exposure id is used once")
        if not 0.0 <= shot.exposure_s <= 7200.0:
            raise CommandRefused(f"the camera exposes for 0..7200 s, not {shot.exposure_s}")
        if shot.binning not in (1, 2, 3, 4):
            raise CommandRefused(f"the camera bins 1, 2, 3 or 4, not {shot.binning}")

    def _sensor(self, shot: Shot) -> Sensor:
        sensor = self.setup.sensor
        if shot.gain is not None:
            sensor = replace(sensor, egain_e_per_adu=sensor.egain_e_per_adu * 10.0 ** (-shot.gain / 200.0))
        return sensor if shot.offset is None else replace(sensor, bias_adu=10.0 * shot.offset)

    def _scene(self, exposure: Exposure) -> Scene:
        """The scene as it is known now."""
        middle_us = (exposure.started_us + exposure.end_us) // 2
        sensor = self._sensor(exposure.shot)
        scene = self._look(exposure.started_us, exposure.shot, sensor, round(self.temperature_c(middle_us), 2))
        return scene if self.setup.shutter else replace(scene, light=True)

    async def _develop(self, exposure: Exposure) -> RawFrame:
        shot = exposure.shot
        foretold = self._scene(exposure)
        early = self._spool / f"{shot.exposure_id}.early.npy"
        draft = self._start_draft(exposure, foretold, early)
        await self._clock.sleep(max(0.0, (exposure.read_out_us - self._clock.now_us()) / 1e6))
        seen = self._scene(exposure)
        if seen != foretold:
            self._discard(draft, early)
            early = self._spool / f"{shot.exposure_id}.late.npy"
            draft = self._start_draft(exposure, seen, early)
        await asyncio.shield(draft)
        path = self._spool / f"{shot.exposure_id}.npy"
        early.replace(path)
        return RawFrame(shot.exposure_id, path, "npy", exposure.started_us, 0, shot.exposure_s)

    def _start_draft(self, exposure: Exposure, scene: Scene, path: Path) -> asyncio.Task[None]:
        async def make() -> None:
            await self._render(scene, path)

        draft = asyncio.create_task(make())
        exposure.drafts.append(draft)
        return draft

    def _discard(self, draft: asyncio.Task[None], path: Path) -> None:
        """Throw a rendering away; where it is still under way, once it is there."""

        def throw(task: asyncio.Task[None]) -> None:
            self._leftovers.discard(task)
            _hear(task)
            path.unlink(missing_ok=True)

        self._leftovers.add(draft)
        draft.add_done_callback(throw)

    def _drop(self, exposure_id: str) -> None:
        """Forget an exposure; a frame that was fetched is the caller's, one that was not goes."""
        exposure = self._held.pop(exposure_id)
        if exposure.frame is not None and not exposure.frame.done():
            exposure.frame.cancel()
        for draft, kind in zip(exposure.drafts, ("early", "late"), strict=False):
            self._discard(draft, self._spool / f"{exposure_id}.{kind}.npy")
        if not exposure.fetched:
            (self._spool / f"{exposure_id}.npy").unlink(missing_ok=True)


def _hear(task: asyncio.Task[RawFrame] | asyncio.Task[None]) -> None:
    """Take note of a task's error, so that one nobody waits for does not surface at its death; `fetch`
    tells it.
    """
    with contextlib.suppress(asyncio.CancelledError):
        task.exception()
