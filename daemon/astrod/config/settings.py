"""What the configuration says beyond the site itself, as plain frozen values. Paths are absolute.

`schema.py` says what each field means; the names are the same.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Scenario = Literal["clear", "mixed", "cloudy"]
Provider = Literal["cpu", "cuda", "tensorrt"]
LogLevel = Literal["debug", "info", "warning", "error"]


@dataclass(frozen=True, slots=True)
class NightSettings:
    """[night]: how a night is run."""

    retakes_max: int
    cloud_pause_s: float
    test_exposure_s: float
    focus_at_start: bool
    refocus_every_min: float
    refocus_temperature_c: float
    refocus_fwhm_percent: float
    refocus_each_filter: bool
    cool_deadline_s: float
    plan_work_s: float
    frames_in_flight_max: int
    dither_px: float = 0.0
    dither_every: int = 1


@dataclass(frozen=True, slots=True)
class CalibrationSettings:
    """[calibration]: how many calibration frames make a set and for how many days it serves.

    `scheduled` False (no such table): the ledger is kept and nothing is taken.
    """

    scheduled: bool = False
    biases: int = 20
    darks: int = 20
    flats: int = 20
    flat_darks: int = 10
    dark_days: float = 180.0
    flat_days: float = 14.0
    frame_days: float = 30.0
    flat_level_percent: float = 40.0
    flat_shortest_s: float = 0.5
    flat_longest_s: float = 20.0
    after_dawn_min: float = 90.0


@dataclass(frozen=True, slots=True)
class ModelSettings:
    """[models]: `folder` None holds the shipped ones; `owned` is where the owner's versions lie, None for nowhere.

    The last four are the rule by which a candidate in the shadow is promoted (`astrod.learning.promotion`).
    """

    enabled: bool
    folder: Path | None
    owned: Path | None = None
    provider: Provider = "cpu"
    threads: int = 1
    shadow_frames: int = 100
    shadow_thumbs: int = 5
    shadow_keep_percent: float = 97.0
    promote_by_rule: bool = False


@dataclass(frozen=True, slots=True)
class SolveSettings:
    """[solve]: how frames are solved. `solve_field` and `astap` are None where they are not to be used."""

    index_dirs: tuple[Path, ...] = ()
    solve_field: str | None = "solve-field"
    astap: str | None = None
    deadline_s: float = 60.0
    lights: bool = True


@dataclass(frozen=True, slots=True)
class StorageSettings:
    """[storage]: where data lie and what may be deleted; 0 days is never."""

    data_dir: Path
    spool_dir: Path
    free_min_gb: float
    raw_days: int
    quarantine_days: int
    telemetry_days: int


@dataclass(frozen=True, slots=True)
class DaemonSettings:
    """[daemon]: the process itself."""

    run_dir: Path
    socket: Path
    log_level: LogLevel
    housekeeping_after_noon_min: float


@dataclass(frozen=True, slots=True)
class SimulatorSettings:
    """[simulator]: the simulated observatory behind `sim://` addresses."""

    seed: int
    weather: Scenario
    width_px: int
    height_px: int
    pixel_um: float
    filters: tuple[str, ...]
    pointing_arcmin: float = 3.0
    meteors_per_hour: float = 5.0


@dataclass(frozen=True, slots=True)
class Settings:
    """All of the above."""

    night: NightSettings
    models: ModelSettings
    storage: StorageSettings
    daemon: DaemonSettings
    simulator: SimulatorSettings
    solve: SolveSettings = field(default_factory=SolveSettings)
    calibration: CalibrationSettings = field(default_factory=CalibrationSettings)
