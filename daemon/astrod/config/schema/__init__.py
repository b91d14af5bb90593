"""Every key of the configuration: its type, range, default, meaning, and when a change takes effect.

A key's unit is in its name. `when` says what a change needs:

* `live`     in force at the next exposure after `systemctl reload astrod`;
* `restart`  only a restart of the daemon; a reload names such keys and leaves them as they were.

`daemon/docs/configuration.md` and `etc/astrod.toml` are generated from here by `reference.py`.
"""

from pydantic import Field

from astrod.config.schema.key import (
    NAME,
    Address,
    Section,
    When,
    bounds_text,
    extra_of,
    is_list,
    options,
    section,
    sections,
    table_of,
)
from astrod.config.schema.night import (
    CalibrationSection,
    DaemonSection,
    ModelsSection,
    NightSection,
    SimulatorSection,
    SolveSection,
    StorageSection,
)
from astrod.config.schema.rig import (
    CameraSection,
    FocuserSection,
    GuiderSection,
    HeaterSection,
    IndiSection,
    LadderSection,
    MountSection,
    RigSection,
    RungSection,
    TrainSection,
)
from astrod.config.schema.site import (
    AgreementSection,
    DarknessSection,
    GeometrySection,
    LimitSection,
    PowerSection,
    RoofSection,
    SiteSection,
    TimeSection,
    WeatherSection,
)
from astrod.config.schema.target import ExposureSection, TargetSection
from astrod.config.schema.watch import WatchSection

__all__ = [
    "NAME",
    "Address",
    "AgreementSection",
    "CalibrationSection",
    "CameraSection",
    "DaemonSection",
    "DarknessSection",
    "Document",
    "ExposureSection",
    "FocuserSection",
    "GeometrySection",
    "GuiderSection",
    "HeaterSection",
    "IndiSection",
    "LadderSection",
    "LimitSection",
    "ModelsSection",
    "MountSection",
    "NightSection",
    "PowerSection",
    "RigSection",
    "RoofSection",
    "RungSection",
    "SimulatorSection",
    "SiteSection",
    "SolveSection",
    "StorageSection",
    "TargetSection",
    "TimeSection",
    "TrainSection",
    "WatchSection",
    "WeatherSection",
    "When",
    "bounds_text",
    "extra_of",
    "is_list",
    "options",
    "table_of",
]


class Document(Section):
    """The whole configuration, all files joined."""

    site: SiteSection = Field(..., description="The observatory.", json_schema_extra={"shown": True})
    darkness: DarknessSection = section("How dark it must be.", factory=DarknessSection)
    roof: RoofSection | None = section("The roof.", shown=True)
    weather: list[WeatherSection] = sections("The weather sources.", shown=True)
    agreement: list[AgreementSection] = sections("What two sources must agree on.")
    watch: list[WatchSection] = sections("What watches the whole sky.")
    time: TimeSection = section("Clocks, and what depends on them.", factory=TimeSection)
    power: PowerSection = section("How power is cycled.", factory=PowerSection)
    rig: list[RigSection] = sections("The rigs.", shown=True, least=1)
    ladder: list[LadderSection] = sections("Recovery ladders of the owner's own.")
    indi: IndiSection | None = section("Starting INDI drivers anew.")
    night: NightSection = section("How a night is run.", factory=NightSection)
    calibration: CalibrationSection | None = section("Calibration frames.")
    models: ModelsSection = section("The models.", factory=ModelsSection)
    solve: SolveSection = section("Plate solving.", factory=SolveSection)
    storage: StorageSection = section("Where data lie.", factory=StorageSection)
    daemon: DaemonSection = section("The process itself.", factory=DaemonSection)
    simulator: SimulatorSection = section("The simulated observatory.", factory=SimulatorSection)
    target: list[TargetSection] = sections("The targets; usually in files of their own, targets.d/*.toml.")
