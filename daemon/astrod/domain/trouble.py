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
    Trouble("AST-123", "critical", "A rig comes to none of its targets, one after another.",
            "Look at the mount: limits, alignment, clutches, its own park or lock. Other rigs go on; this one keeps "
            "trying, a target a minute."),
    Trouble("AST-130", "critical", "The control loop stalled; safety closed the site without it.",
            "Nothing to do now: systemd restarts the daemon. Send the log with a report if it happens again."),
    Trouble("AST-131", "critical", "The safety process ended; astrod stops, closing by its closer.",
            "Nothing to do now: systemd restarts the daemon. Send the log with a report if it happens again."),
    Trouble("AST-140", "warning", "Frames cannot be solved; the rig points by the mount's own word.",
            "Under clouds: nothing. Else install index files for your field (`astrod doctor` names them), or "
            "check focal_length_mm and pixel size: they must be right to 4 %."),
    Trouble("AST-141", "warning", "A target does not come to the middle of the field.",
            "Look at clutches, balance and backlash of the mount; a centre_within_arcsec below what it can do "
            "costs time for nothing."),
    Trouble("AST-142", "critical", "The mount did not change sides at the meridian; it was stopped and parked.",
            "Look at it before it moves again. Targets past the meridian wait; those in the east go on. Check the "
            "mount's own flip settings and flip_after_deg."),
    Trouble("AST-143", "warning", "The camera does not stand at the position angle that a target asks for.",
            "Look at the rotator and its cable, and whether frames are solved (AST-140); the frames are taken as they "
            "stand, and are good but for their angle."),
    Trouble("AST-150", "critical", "Nothing slews: the clock's error is unknown or too great, or a sensor asks for it.",
            "Give the host the time (chrony, NTP, a GPS through gpsd), or state it with `astrod clock`; see [time]."),
    Trouble("AST-151", "critical", "A mount believes in another place or time than the site's; it does not slew.",
            "Correct what the text names, in the mount or under [site]; `mount_master` says who tells whom."),
    Trouble("AST-152", "warning", "The host's clock was set while astrod ran.",
            "Let one service discipline the clock, slowly (chrony's makestep at start only); frames tell their error."),
    Trouble("AST-153", "warning", "The GPS receiver is elsewhere than the site of the configuration.",
            "Correct latitude_deg and longitude_deg under [site]: plans, safety's Sun and each mount go by them. Or "
            "the receiver is a simulator; do not start one."),
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
    Trouble("AST-230", "warning", "The guider fails; exposures go on unguided, or wait where guiding is required.",
            "The text has the guider's own words. Check the guide camera, its focus, and that the mount takes pulses."),
    Trouble("AST-231", "info", "The guide star is lost, as behind a cloud.",
            "Nothing to do: it is looked for. If the sky is clear, look at the guide camera's focus and cover."),
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
    Trouble("AST-404", "warning", "The model or the processor that the owner chose for it cannot be used.",
            "The shipped model judges, or the CPU runs it, in its place. `astrod models verify` says what is wrong; "
            "`astrod models rollback NAME` takes the choice back."),
    Trouble("AST-405", "info", "What a model is shown, or what it says, has drifted from what it was made with.",
            "Look at what the text names (`astrod models show`): new optics, a filter, a light leak? If the verdicts "
            "are wrong, say so with `astrod thumb`, and train again."),
    Trouble("AST-406", "info", "Frames show hot pixels, stray light or dew.",
            "The text says which and how much. Hot pixels: take darks, cool. Stray light: look for lamps and gaps; an "
            "amplifier's glow goes with the darks. Dew: heat the glass."),
    Trouble("AST-407", "info", "A frame that was kept shows something that is not usual, and that no fault explains.",
            "Look at it where the text says: a reflection, something on the sensor's window, a failing amplifier, or a "
            "discovery. `astrod judge --json FILE` names all its strange parts."),
    Trouble("AST-411", "warning", "A watch of the whole sky brings no pictures.",
            "Look at its camera, or at the program that writes its pictures; the night goes on without it."),
    Trouble("AST-412", "warning", "A watch did not find the meteor of our own that was laid into its picture.",
            "No meteors then means nothing. Look at the picture for dew, a lamp, cloud; else send it with a report."),
    Trouble("AST-501", "warning", "A reload of the configuration failed; the old one stays in force.",
            "Run `astrod config check`, mend what it names, and reload again."),
    Trouble("AST-601", "critical", "A folder that astrod writes to cannot be written.",
            "Make it, mount its disk read-write, or give it to astrod's account: `chown -R astrod FOLDER`."),
    Trouble("AST-602", "warning", "Nobody keeps the computer's clock right, or it may be wrong by too much.",
            "Install chrony, or `timedatectl set-ntp true`; without a network, a GPS receiver with gpsd and chrony."),
    Trouble("AST-603", "critical", "The archive is damaged.",
            "Stop astrod, copy the file and its -wal away, then `sqlite3 archive.db .recover`, or restore a copy."),
    Trouble("AST-604", "warning", "What the archive says of frames and what is on disk differ.",
            "Put the files back from a copy; check the disk with dmesg and smartctl if nobody moved them."),
    Trouble("AST-606", "warning", "No sensor with a limit can see a danger coming that the roof should shut out.",
            "Add a limit under [[weather.limits]], or a sensor that measures it, or stay with the telescope."),
    Trouble("AST-607", "info", "A device server on this computer listens to the whole network.",
            "Let the firewall admit this computer alone, for instance `nft` or `ufw deny in PORT`."),
    Trouble("AST-608", "info", "The configuration is right, but perhaps not what was meant.",
            "Read the note; change the key, or leave it as it is."),
    Trouble("AST-609", "critical", "A daemon is there and does not answer, or does not let this account ask.",
            "Join its group if that is what it says; else `systemctl restart astrod`, and send its log with a report."),
    Trouble("AST-610", "info", "The installed index files cannot solve a train's field when its mount is lost.",
            "Install what the text names, or name ASTAP in solve.astap; until then a lost mount stays lost."),
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
