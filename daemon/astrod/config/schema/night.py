"""How a night is run, judged and kept, and the process that does so."""

from astrod.config.schema.key import Section, key
from astrod.config.settings import LogLevel, Provider, Scenario


class NightSection(Section):
    """How a night is run."""

    retakes_max: int = key(
        1, "How often an exposure that was rejected for no known cause is taken again.", when="live", ge=0, le=10
    )
    cloud_pause_s: float = key(
        120.0, "Pause between test frames while clouds stand in the way.", when="live", ge=5, le=3600
    )
    test_exposure_s: float = key(10.0, "Length of such a test frame.", when="live", gt=0, le=300)
    focus_at_start: bool = key(True, "Focus before the first exposure, where there is a focuser.", when="live")
    refocus_every_min: float = key(
        120.0, "Focus again after this long; 0 is only when frames ask for it.", when="live", ge=0, le=1440
    )
    refocus_temperature_c: float = key(
        2.0,
        "Focus again when the focuser's temperature has changed by this much; 0 is never.",
        when="live",
        ge=0,
        le=30,
    )
    refocus_fwhm_percent: float = key(
        25.0,
        "Focus again when the stars of good frames have grown by this much since the last run; 0 is never.",
        when="live",
        ge=0,
        le=500,
    )
    refocus_each_filter: bool = key(False, "Focus in each filter anew, where no filter_offsets are known.", when="live")
    cool_deadline_s: float = key(
        900.0,
        "A camera that has not reached its temperature by then observes as it is.",
        when="live",
        ge=0,
        le=7200,
    )
    plan_work_s: float = key(
        1.0,
        "Work that the solver may put into one plan, in its own deterministic seconds.",
        when="live",
        gt=0,
        le=60,
    )
    dither_px: float = key(
        0.0, "Move the field by up to so many pixels between exposures; 0 is never.", when="live", ge=0, le=500
    )
    dither_every: int = key(1, "Dither after so many exposures.", when="live", ge=1, le=1000)
    frames_in_flight_max: int = key(
        3, "So many frames may wait for their verdict; then the camera waits.", when="live", ge=1, le=10
    )


class CalibrationSection(Section):
    """Calibration frames, taken when the sky is of no use. Without this table none are taken, only counted."""

    darks: int = key(20, "Darks that make a set; 0 wants none.", when="restart", ge=0, le=200)
    biases: int = key(20, "Biases that make a set; 0 wants none.", when="restart", ge=0, le=500)
    flats: int = key(20, "Flats that make a set, for each filter; 0 wants none.", when="restart", ge=0, le=200)
    flat_darks: int = key(10, "Darks of a flat's length that make a set.", when="restart", ge=0, le=200)
    dark_days: float = key(180.0, "Darks and biases serve so many days.", when="restart", gt=0, le=3650)
    flat_days: float = key(14.0, "Flats serve so many days.", when="restart", gt=0, le=3650)
    flat_level_percent: float = key(
        40.0, "The level that flats are to have, of saturation_adu.", when="restart", gt=5, lt=90
    )
    flat_shortest_s: float = key(
        0.5, "No flat is shorter: a shutter's own travel would show.", when="restart", gt=0, le=60
    )
    flat_longest_s: float = key(20.0, "No flat is longer: stars would show.", when="restart", gt=0, le=600)
    frame_days: float = key(30.0, "Frames of so many days back are provided for.", when="restart", gt=0, le=3650)
    after_dawn_min: float = key(
        90.0,
        "After dawn darks are taken for no longer than this, before the cameras warm up.",
        when="restart",
        ge=0,
        le=360,
    )


class ModelsSection(Section):
    """The models that judge frames. They advise; without them classical measures judge."""

    enabled: bool = key(True, "Use the models.", when="restart")
    folder: str | None = key(
        None,
        "Other models than the shipped ones: a folder with NAME.onnx and its card, NAME.toml.",
        when="restart",
        example="models",
    )
    provider: Provider = key(
        "cpu",
        "What runs the models; another than the CPU counts only where ONNX Runtime has it.",
        when="restart",
    )
    threads: int = key(1, "CPU threads that a model may take.", when="restart", ge=1, le=4)
    shadow_frames: int = key(
        100,
        "A candidate in the shadow is promoted after so many frames at the soonest.",
        when="restart",
        ge=10,
        le=100000,
    )
    shadow_thumbs: int = key(
        5, "So many of them must have a thumb, and it must agree with no fewer.", when="restart", ge=0, le=10000
    )
    shadow_keep_percent: float = key(97.0, "It must keep this share of the good frames.", when="restart", ge=50, le=100)
    promote_by_rule: bool = key(
        False, "Promote a candidate that has shown all that by itself, in the day; else only say so.", when="restart"
    )


class SolveSection(Section):
    """How frames are solved: where among the stars they are. Without any index the mount's own word is taken."""

    index_dirs: list[str] = key(
        ["/usr/share/astrometry"],
        "Folders with index files of astrometry.net (Debian: astrometry-data-tycho2); none there is no fault.",
        when="restart",
    )
    solve_field: str = key(
        "solve-field",
        "The program of astrometry.net that finds a mount that is lost; empty: not to be used.",
        when="restart",
    )
    astap: str | None = key(
        None,
        "The program ASTAP, where it is installed, for what astrometry.net cannot solve.",
        when="restart",
        example="/usr/bin/astap",
    )
    deadline_s: float = key(60.0, "Either program is ended after this long.", when="restart", ge=5, le=600)
    lights: bool = key(True, "Solve each light frame too: the validity gate then asks the sky.", when="restart")


class StorageSection(Section):
    """Where data lie, and what may be deleted. Relative paths start at the configuration's folder."""

    data_dir: str = key("/var/lib/astrod", "Frames, archive, products.", when="restart", min_length=1)
    spool_dir: str = key("/dev/shm/astrod", "Frames on their way, before they are kept.", when="restart", min_length=1)
    free_min_gb: float = key(5.0, "With less free than this, `status` calls for help.", when="restart", ge=0, le=100000)
    raw_days: int = key(0, "Delete raw frames after so many days; 0 is never.", when="restart", ge=0, le=36500)
    quarantine_days: int = key(
        90, "Delete quarantined frames after so many days; 0 is never.", when="restart", ge=0, le=36500
    )
    telemetry_days: int = key(365, "Delete telemetry after so many days; 0 is never.", when="restart", ge=0, le=36500)


class DaemonSection(Section):
    """The process itself."""

    run_dir: str = key("/run/astrod", "Sockets and other things of the moment.", when="restart", min_length=1)
    socket: str = key("astrod.sock", "The command line's socket, within run_dir.", when="restart", min_length=1)
    log_level: LogLevel = key("info", "The least that is logged.", when="restart")
    housekeeping_after_noon_min: float = key(
        30.0,
        "Report, retention and database upkeep run this long after the site's local noon.",
        when="restart",
        ge=0,
        le=360,
    )


class SimulatorSection(Section):
    """The simulated observatory behind `sim://` addresses; without any of them it is not started."""

    seed: int = key(1, "The same seed gives the same sky, weather and faults.", when="restart", ge=0, le=4294967295)
    weather: Scenario = key("clear", "The weather of the night.", when="restart")
    width_px: int = key(1936, "Width of its sensor.", when="restart", ge=64, le=16384)
    height_px: int = key(1096, "Height of its sensor.", when="restart", ge=64, le=16384)
    pixel_um: float = key(2.9, "Size of a pixel.", when="restart", ge=1, le=30)
    filters: list[str] = key(
        ["L", "R", "G", "B", "Ha"], "What is in its wheel.", when="restart", min_length=1, max_length=12
    )
    pointing_arcmin: float = key(3.0, "How far off its mount points, about.", when="restart", ge=0, le=120)
    meteors_per_hour: float = key(
        5.0, "Meteors that its all-sky camera, where a [[watch]] names one, may see.", when="restart", ge=0, le=1000
    )
