"""Answers of a daemon in the middle of a night."""

from typing import Any


def quiet() -> dict[str, Any]:
    """All is well; an exposure is under way."""
    return {
        "schema": 1,
        "version": "0.1.0",
        "site": "pujalt",
        "title": "Observatori de Pujalt",
        "time": "2026-12-14T22:14:03.120Z",
        "night": "2026-12-14",
        "phase": "observing",
        "safety": {"safe": True, "reasons": [], "epoch": 3, "since": "2026-12-14T17:02:00Z"},
        "devices": [
            _device("mount", "mount", "tracking, west of the pier"),
            _device("main camera", "camera", "exposing, -10.0 °C at 43 %"),
            _device("focuser", "focuser", "step 36700"),
            _device("wheel", "wheel", "L"),
            _device("roof", "roof", "open"),
            _device("station", "weather", "wind 3.2 m/s, cloud 4 %"),
        ],
        "exposing": [
            {
                "id": "pujalt-20261214-00042",
                "rig": "main",
                "train": "main",
                "kind": "light",
                "target": "M 31",
                "request": "M 31/1",
                "filter": "L",
                "started": "2026-12-14T22:12:49Z",
                "exposure_s": 120.0,
                "elapsed_s": 74.1,
            }
        ],
        "guiding": [
            {"rig": "main", "star_lost": False, "rms_ra_arcsec": 0.45, "rms_dec_arcsec": 0.43, "rms_arcsec": 0.62}
        ],
        "plan": [
            _slot("22:10", "23:10", "M 31", "L", 28, "altitude 72°, airmass 1.05, moon 84° away"),
            _slot(
                "23:10",
                "00:30",
                "NGC 891",
                "L",
                38,
                "highest value now: altitude 68°; sets below 30° at 04:10",
            ),
            _slot("00:30", "02:00", "M 42", "Ha", 30, "altitude 43°, its best of the night"),
            _slot("02:00", "03:10", "M 81", "L", 33, "altitude 60° and rising"),
        ],
        "next": {"at": "2026-12-14T23:10:00Z", "what": "turn to NGC 891"},
        "frames": {"taken": 41, "kept": 38, "rejected": 3},
        "last_verdicts": [
            _verdict("22:06", "keep", "none", 88.0, 2.8, 431),
            _verdict("22:08", "reject", "trailing", 9.0, 5.7, 212),
            _verdict("22:10", "keep", "streak", 71.0, 2.9, 420),
            _verdict("22:12", "keep", "none", 87.0, 2.9, 412),
        ],
        "holds": [],
        "health": [],
    }


def clock() -> dict[str, Any]:
    """Nobody vouches for the clock."""
    return {
        "schema": 1,
        "time": "2026-12-14T22:01:05.000Z",
        "source": "host clock, not synchronised",
        "error_s": None,
        "error_max_s": 15.0,
        "slews_forbidden_by": ["clock: clock_error_s is not measured"],
    }


def troubled() -> dict[str, Any]:
    """Closed for wind, a server lost, an operator's pause."""
    status = quiet()
    status["phase"] = "closed for weather"
    status["safety"] = {
        "safe": False,
        "reasons": [
            "wind 15.2 m/s is above 12 m/s (station)",
            "safe again after 5 minutes of less than 9 m/s",
        ],
        "epoch": 4,
        "since": "2026-12-14T22:12:55Z",
    }
    status["devices"][2] |= {
        "state": "lost",
        "detail": "indiserver at localhost:7624 does not answer; reconnecting, 4th attempt in 8 s",
    }
    status["exposing"], status["guiding"] = [], []
    status["next"] = {"at": None, "what": "wait for safety"}
    status["holds"] = [
        {"name": "pause", "since": "2026-12-14T22:00:00Z", "until": "2026-12-15T02:30:00Z", "who": "ana"}
    ]
    status["health"] = [
        {"code": "AST-140", "severity": "info", "text": "no dark frames of this month", "remedy": ""},
        {
            "code": "AST-103",
            "severity": "critical",
            "text": "the focuser has not answered for 40 s; the night goes on without focusing",
            "remedy": "systemctl status indiserver; look at its power and USB cable",
        },
    ]
    return status


def _device(name: str, kind: str, detail: str) -> dict[str, Any]:
    return {"name": name, "kind": kind, "address": f"sim://{kind}", "state": "ready", "detail": detail}


def _slot(start: str, end: str, target: str, band: str, exposures: int, why: str) -> dict[str, Any]:
    return {
        "start": f"2026-12-14T{start}:00Z",
        "end": f"2026-12-14T{end}:00Z",
        "rig": "main",
        "target": target,
        "request": f"{target}/1",
        "filter": band,
        "exposure_s": 120.0,
        "exposures": exposures,
        "why": why,
    }


def _verdict(at: str, decision: str, cause: str, quality: float, fwhm_px: float, stars: int) -> dict[str, Any]:
    return {
        "id": f"pujalt-20261214-000{at[3:]}",
        "at": f"2026-12-14T{at}:30Z",
        "target": "M 31",
        "filter": "L",
        "exposure_s": 120.0,
        "quality": quality,
        "decision": decision,
        "cause": cause,
        "stars": stars,
        "fwhm_px": fwhm_px,
    }


def plan() -> dict[str, Any]:
    """The plan of that night."""
    return {
        "schema": 1,
        "site": "pujalt",
        "night": "2026-12-14",
        "made": "2026-12-14T21:58:00Z",
        "by": "cp-sat",
        "plan": quiet()["plan"],
        "refused": {"M 8/1": "only in daylight", "M 33/2": "no time left beside worthier requests"},
    }


def targets() -> dict[str, Any]:
    """Two targets."""
    requests = [
        {"id": "M 31/1", "filter": "L", "exposure_s": 120.0, "count": 40, "kept": 38, "progress": "partial"},
        {"id": "M 31/2", "filter": "Ha", "exposure_s": 300.0, "count": 10, "kept": 10, "progress": "done"},
    ]
    m31 = {
        "name": "M 31",
        "ra_deg": 10.6847,
        "dec_deg": 41.2687,
        "priority": 2.0,
        "rig": None,
        "requests": requests,
    }
    bare = {
        "id": "M 83/1",
        "filter": None,
        "exposure_s": 60.0,
        "count": 5,
        "kept": 0,
        "progress": "untouched",
    }
    m83 = {
        "name": "M 83",
        "ra_deg": 204.2538,
        "dec_deg": -29.8654,
        "priority": 1.0,
        "rig": None,
        "requests": [bare],
    }
    return {"schema": 1, "site": "pujalt", "targets": [m31, m83]}


def frames() -> dict[str, Any]:
    """A kept frame, a rejected one, one without a verdict yet."""
    kept = {
        "id": "pujalt-20261214-00040",
        "night": "2026-12-14",
        "kind": "light",
        "target": "M 31",
        "request": "M 31/1",
        "filter": "L",
        "exposure_s": 120.0,
        "started": "2026-12-14T22:08:00Z",
        "path": "frames/2026-12-14/pujalt-20261214-00040_M-31_L_120s.fits",
        "quality": 88.0,
        "decision": "keep",
        "cause": "none",
        "stars": 431,
        "fwhm_px": 2.8,
        "guide_rms_arcsec": 0.62,
        "thumb": None,
        "thumb_cause": None,
    }
    rejected = kept | {"id": "pujalt-20261214-00041", "decision": "reject", "cause": "clouds", "quality": 6.0}
    rejected |= {"stars": 0, "fwhm_px": None, "thumb": "down", "thumb_cause": "clouds"}
    fresh = kept | dict.fromkeys(("quality", "decision", "cause", "stars", "fwhm_px", "guide_rms_arcsec"))
    fresh |= {"id": "pujalt-20261214-00042"}
    return {"schema": 1, "site": "pujalt", "night": "2026-12-14", "frames": [kept, rejected, fresh]}


def detections() -> dict[str, Any]:
    """A watch that sees clouds, one that has seen nothing yet, and two meteors."""
    roof = {
        "name": "roof",
        "source": "sim://allsky",
        "seen": "2026-12-14T23:15:00.000Z",
        "cloud_percent": 41.0,
        "why": "",
    }
    mute = {"name": "east", "source": "rtsp://camera/1", "seen": None, "cloud_percent": None, "why": ""}
    meteor = {
        "time": "2026-12-14T22:07:31.000Z",
        "watch": "roof",
        "kind": "meteor",
        "score": 0.97,
        "length_px": 84.2,
        "begins": [101.2, 54.3],
        "ends": [130.0, 40.9],
        "model": "meteor 1",
        "picture": "detections/roof-1797290851000000.jpg",
    }
    bare = meteor | {"begins": None, "ends": None, "picture": None}
    return {"schema": 1, "site": "pujalt", "night": None, "watches": [roof, mute], "detections": [meteor, bare]}


def offsets() -> dict[str, Any]:
    """Two filters of the owner's, one of which runs have told too, and one that only runs have told."""
    row = {"rig": "main", "train": "main", "by": "configured", "pairs": None, "scatter": None, "applied": True}
    learned = row | {"by": "learned", "pairs": 7, "scatter": 4.4}
    rows = [
        row | {"filter": "L", "steps": 0},
        row | {"filter": "R", "steps": 12},
        learned | {"filter": "R", "steps": 15, "applied": False},
        learned | {"filter": "Ha", "steps": -25},
    ]
    return {"schema": 1, "site": "pujalt", "offsets": rows}
