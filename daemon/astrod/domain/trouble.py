"""Known troubles: a code, how bad, what it means, what to do. `status`, `doctor` and the log speak in these."""

from dataclasses import dataclass
from typing import Literal

Severity = Literal["info", "warning", "critical"]


@dataclass(frozen=True, slots=True)
class Trouble:
    """A known trouble. `remedy` is an instruction to the owner."""

    code: str
    severity: Severity
    meaning: str
    remedy: str


_ALL = (
    Trouble("AST-101", "warning", "A weather source gives no fresh reading; the site counts as unsafe.",
            "Check that the station has power and that its driver runs; `astrod status` names its address."),
    Trouble("AST-102", "warning", "Something that is watched, and only told of, is outside its limits or unknown.",
            "The text names the source and the limit; its [[weather]] table in the configuration says what it is for."),
    Trouble("AST-110", "critical", "The roof did not close.",
            "Go there or look at a camera. Close it by hand, then `astrod resume`; astrod keeps trying."),
    Trouble("AST-111", "warning", "The roof did not open; astrod closed it again and tries later.",
            "Look at the roof's drive and limit switches; the log has what its driver said."),
    Trouble("AST-112", "warning", "The roof closed by itself; astrod parks and opens it again.",
            "If nobody pressed a button, look at the roof's driver: one that starts anew forgets where the roof is."),
    Trouble("AST-113", "warning", "A telescope's cover did not close.",
            "Look at the cover's motor and driver; the roof closed without waiting for it."),
    Trouble("AST-114", "warning", "The roof closed by its second path; the first hung or failed.",
            "Find out what happened to the roof's own driver before the next night: one path is left."),
    Trouble("AST-120", "critical", "A mount did not park.",
            "Look at the mount before anything moves; a roof that needs it parked stays where it is until it is."),
    Trouble("AST-121", "warning", "The mount does not report the place it was sent to.",
            "Check the mount's alignment, site and time; astrod tries another target."),
    Trouble("AST-122", "critical", "The roof was closed over a mount that is not parked, as on_stuck_mount asks.",
            "Go there before anything moves again; the mount may touch the roof."),
    Trouble("AST-130", "critical", "The control loop stalled; safety closed the site without it.",
            "Nothing to do now: systemd restarts the daemon. Send the log with a report if it happens again."),
    Trouble("AST-131", "critical", "The safety process ended; astrod stops, closing by its closer.",
            "Nothing to do now: systemd restarts the daemon. Send the log with a report if it happens again."),
    Trouble("AST-140", "critical", "Nothing slews: the clock's error is unknown or too great, or a sensor asks for it.",
            "Give the host the time (chrony, NTP, a GPS through gpsd), or state it with `astrod clock`; see [time]."),
    Trouble("AST-141", "critical", "A mount believes in another place or time than the site's; it does not slew.",
            "Correct what the text names, in the mount or under [site]; `mount_master` says who tells whom."),
    Trouble("AST-142", "warning", "The host's clock was set while astrod ran.",
            "Let one service discipline the clock, slowly (chrony's makestep at start only); frames tell their error."),
    Trouble("AST-201", "warning", "A device cannot be reached; astrod keeps trying.",
            "Check cable, power and driver (for INDI: that indiserver runs and names the device so)."),
    Trouble("AST-202", "warning", "An exposure brought no frame.",
            "astrod takes another. If it repeats, power-cycle the camera and look at its cable."),
    Trouble("AST-203", "info", "A camera did not reach its temperature.",
            "Choose a warmer camera.cool_to_c for the season, or check the cooler's supply."),
    Trouble("AST-204", "warning", "Focusing found no minimum; the old focus is kept.",
            "Check focuser.start_position and focuser.step: the sweep must pass through focus."),
    Trouble("AST-205", "warning", "A request asks for a filter that the wheel does not have.",
            "Correct the filter's name in targets.d, or name the wheel's filters in its driver; they must match."),
    Trouble("AST-206", "critical", "A device did not come back although all was tried; the night goes on without it.",
            "Look at its cable and supply; astrod tries on at leisure. Without its mount or camera a rig rests."),
    Trouble("AST-301", "critical", "A frame could not be written.",
            "Free space on the data disk, or make it writable; the pixels wait in the spool until then."),
    Trouble("AST-302", "warning", "A frame failed the validity gate and lies in quarantine.",
            "Its header in the quarantine folder says why. Repeated frames mean a camera driver to restart."),
    Trouble("AST-303", "critical", "The archive cannot be written.",
            "Free space or repair the disk; astrod starts no exposure that it cannot record."),
    Trouble("AST-304", "info", "The disk will be full before the night is over.",
            "Move old nights away; `astrod frames` shows how much a night takes."),
    Trouble("AST-305", "info", "Calibration frames are missing or too old.",
            "astrod takes darks in bad weather and after dawn; `astrod calibrations` names what is missing."),
    Trouble("AST-401", "info", "Frames are judged by the classical stand-in, without a model.",
            "Install the model that the log names again (`models/weights`); its digest must match its card."),
    Trouble("AST-402", "warning", "The judging worker died or was too slow; it was started again.",
            "If it repeats, the host is out of memory: close other programs or use a smaller binning."),
    Trouble("AST-403", "info", "The planner failed or was too slow; frames are chosen by dispatch.",
            "Nothing to do for the night. Send the log with a report."),
    Trouble("AST-501", "warning", "A reload of the configuration failed; the old one stays in force.",
            "Run `astrod config check`, mend what it names, and reload again."),
)  # fmt: skip

TROUBLES: dict[str, Trouble] = {trouble.code: trouble for trouble in _ALL}


@dataclass(frozen=True, slots=True)
class Finding:
    """A trouble that is there now, with its particulars."""

    code: str
    text: str
    since_us: int

    @property
    def trouble(self) -> Trouble:
        return TROUBLES[self.code]
