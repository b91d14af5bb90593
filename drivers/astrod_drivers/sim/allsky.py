"""The simulated all-sky camera: it stands in the open, needs nobody's leave, and sees the clouds that are coming."""

import zlib
from pathlib import Path

import numpy as np

from astrod_drivers.errors import CommandRefused, DriverError
from astrod_drivers.protocols import CameraInfo, CameraState, Clock, Permit, RawFrame, Shot
from astrod_drivers.sim.fisheye import Lens, Meteor, WholeSky, save
from astrod_drivers.sim.setup import ObservatorySetup
from astrod_drivers.sim.weather import Climate

HOUR_US = 3_600_000_000


class SimAllSky:
    """Implements `protocols.Camera`: no cooler, no shutter, no binning; a shot needs no permit."""

    def __init__(self, setup: ObservatorySetup, climate: Climate, clock: Clock, spool: Path) -> None:
        self._setup, self._climate, self._clock, self._spool = setup, climate, clock, spool
        self._lens = Lens()
        self._shot: Shot | None = None
        self._began_us = self._end_us = 0

    async def connect(self) -> None:
        """Always there."""

    async def disconnect(self) -> None:
        """Nothing to let go of."""

    async def describe(self) -> CameraInfo:
        """See `protocols.Camera.describe`."""
        return CameraInfo("Simulated all-sky", self._lens.width_px, self._lens.height_px, 3.75, 16, None, False, None)

    async def read(self) -> CameraState:
        """See `protocols.Camera.read`."""
        remaining_s = max(0.0, (self._end_us - self._clock.now_us()) / 1e6) if self._shot else 0.0
        air_c = self._climate.at(self._clock.now_us()).temperature_c
        return CameraState(remaining_s > 0.0, remaining_s, round(air_c + 6.0, 1), False, None)

    async def cool(self, target_c: float | None) -> None:
        """See `protocols.Camera.cool`; there is no cooler."""
        if target_c is not None:
            raise CommandRefused("this camera has no cooler")

    async def expose(self, shot: Shot, permit: Permit) -> None:
        """See `protocols.Camera.expose`. No permit is asked for: nothing is opened and nothing moves."""
        now_us = self._clock.now_us()
        if self._shot is not None and now_us < self._end_us:
            raise CommandRefused("another exposure is under way; abort it or wait for its end")
        self._shot, self._began_us, self._end_us = shot, now_us, now_us + round(shot.exposure_s * 1e6)

    async def fetch(self, exposure_id: str) -> RawFrame:
        """See `protocols.Camera.fetch`."""
        shot, began_us = self._shot, self._began_us
        if shot is None or shot.exposure_id != exposure_id:
            raise CommandRefused(f"there is no frame {exposure_id[:80]!r} to fetch: never exposed, aborted or dropped")
        while (rest_us := self._end_us - self._clock.now_us()) > 0:
            await self._clock.sleep(rest_us / 1e6)
            if self._shot is not shot:
                raise CommandRefused(f"exposure {exposure_id} was aborted; there is no frame")
        path = self._spool / f"{exposure_id}.npy"
        try:
            save(self.sky(began_us, shot.exposure_s), path)
        except OSError as fault:
            raise DriverError(f"the picture {exposure_id} could not be written, look at the spool: {fault}") from fault
        self._shot = None
        return RawFrame(exposure_id, path, "npy", began_us, 0, shot.exposure_s)

    async def abort(self) -> None:
        """See `protocols.Camera.abort`."""
        self._shot = None

    def lose_power(self) -> None:
        """An exposure under way is lost."""
        self._shot = None

    # -- the truth -------------------------------------------------------------------------------------------

    def sky(self, began_us: int, exposure_s: float) -> WholeSky:
        """All that a picture of that exposure depends on."""
        setup = self._setup
        end_us = began_us + round(exposure_s * 1e6)
        return WholeSky(
            setup.seed,
            setup.site,
            began_us,
            exposure_s,
            self._lens,
            self._climate.cloud(began_us),
            setup.dark_sky_mag,
            setup.town_light,
            self.meteors(began_us, end_us),
        )

    def meteors(self, began_us: int, end_us: int) -> tuple[Meteor, ...]:
        """The meteors that begin within a span of time."""
        hours = range(began_us // HOUR_US, end_us // HOUR_US + 1)
        return tuple(m for hour in hours for m in self._of_hour(hour) if began_us <= m.at_us < end_us)

    def _of_hour(self, hour: int) -> list[Meteor]:
        seed = np.random.SeedSequence((abs(self._setup.seed), zlib.crc32(b"meteors"), hour))
        random = np.random.Generator(np.random.PCG64(seed))
        return [_meteor(random, hour) for _ in range(int(random.poisson(self._setup.meteors_per_hour)))]


def _meteor(random: np.random.Generator, hour: int) -> Meteor:
    """One at a random place over 25 degrees, in a random direction; magnitudes as shower meteors have them."""
    azimuth, altitude = float(random.uniform(0.0, 360.0)), float(random.uniform(30.0, 80.0))
    length, turn = float(random.uniform(6.0, 25.0)), float(random.uniform(0.0, 2.0 * np.pi))
    end_altitude = float(np.clip(altitude + length * np.sin(turn), 25.0, 88.0))
    end_azimuth = azimuth + length * np.cos(turn) / max(0.2, float(np.cos(np.radians(altitude))))
    return Meteor(
        at_us=hour * HOUR_US + int(random.integers(0, HOUR_US)),
        azimuth_deg=azimuth,
        altitude_deg=altitude,
        end_azimuth_deg=end_azimuth,
        end_altitude_deg=end_altitude,
        lasts_s=float(random.uniform(0.3, 1.2)),
        mag=float(np.clip(1.5 - random.exponential(1.2), -5.0, 2.0)),
    )
