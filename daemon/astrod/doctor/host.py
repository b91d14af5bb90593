"""The computer: folders, disk, clock, models, the archive and the frames it names. Leaves everything as it was."""

import tempfile
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from astrod.archive.examination import claims, faults
from astrod.config.load import Loaded
from astrod.core import FRAME_BYTES, data_paths
from astrod.curation import QUALITY
from astrod.doctor.diagnosis import Diagnosis, Examined
from astrod.domain.identity import Night
from astrod.domain.safety import ClockQuality
from astrod.errors import AstrodError
from astrod.frames.retention import free_bytes
from astrod.frames.store import FrameStore

CLOCK_ERROR_US = 500_000
"""Half a second is 7.5 arcseconds of sky, and the most that a time stamp should be wrong by."""
SPOOLED = 3
NAMED = 3


def folders(loaded: Loaded) -> Examined:
    """Whether the folders that astrod writes to can be written to."""
    settings = loaded.settings
    wanted = {"data": settings.storage.data_dir, "spool": settings.storage.spool_dir, "run": settings.daemon.run_dir}
    found = [Diagnosis("AST-601", why) for name, folder in wanted.items() if (why := _unwritable(name, folder))]
    return Examined("folders", ", ".join(str(folder) for folder in wanted.values()), tuple(found))


def _unwritable(name: str, folder: Path) -> str | None:
    there = next(parent for parent in (folder, *folder.parents) if parent.exists())
    if not there.is_dir():
        return f"the {name} folder {folder}: {there} is a file"
    try:
        tempfile.TemporaryFile(dir=there).close()  # only writing shows that it can be written
    except OSError as fault:
        return f"the {name} folder {folder} cannot be written ({fault.strerror})"
    return None


def disk(loaded: Loaded, frame_bytes: int = FRAME_BYTES) -> Examined:
    """Whether there is room for a night, and in the spool for the frames on their way."""
    storage = loaded.settings.storage
    data, spool = _nearest(storage.data_dir), _nearest(storage.spool_dir)
    free_gb, found = free_bytes(data) / 1e9, []
    if free_gb < storage.free_min_gb:
        text = f"{storage.data_dir}: {free_gb:.1f} GB are free, and free_min_gb asks for {storage.free_min_gb:g}"
        found.append(Diagnosis("AST-304", text))
    room = free_bytes(spool) // frame_bytes
    if room < SPOOLED * len(loaded.site.rigs):
        text = f"{storage.spool_dir}: room for {room} frames on their way, where {SPOOLED} for each rig are needed"
        found.append(Diagnosis("AST-304", text, "Give the spool more memory, or name a folder on disk: spool_dir."))
    return Examined("disk", f"{free_gb:.1f} GB free for data", tuple(found))


def _nearest(folder: Path) -> Path:
    return next(parent for parent in (folder, *folder.parents) if parent.exists())


def clock(quality: Callable[[], ClockQuality]) -> Examined:
    """Whether anybody keeps the computer's clock right, and how well."""
    told = quality()
    if told.error_us is None:
        return Examined("clock", told.source, (Diagnosis("AST-602", f"{told.source}: nobody says how wrong it is"),))
    text = f"{told.source}, wrong by {told.error_us / 1e3:.0f} ms at most"
    found = (Diagnosis("AST-602", text),) if told.error_us > CLOCK_ERROR_US else ()
    return Examined("clock", text, found)


def models(loaded: Loaded) -> Examined:
    """Whether the models are there and are what their cards say."""
    from astrod.versions import list_models, verify_models  # ONNX Runtime comes along: only here
    from astrod_models.zoo import SHIPPED

    settings = loaded.settings.models
    if not settings.enabled:
        return Examined("models", "switched off; frames are judged by classical measures")
    found = [
        Diagnosis("AST-401", f"{row['name']}: {row['fault']}")
        for row in verify_models(settings, [])
        if row["fault"] and row["key"] == SHIPPED and (row["name"] == QUALITY or row["has_card"])
    ]  # a model that is not there at all is missed by whoever uses it
    rows = list_models(settings)
    found += [Diagnosis("AST-404", row["fault"]) for row in rows if row["trusted"] and row["fault"]]
    return Examined("models", ", ".join(row["title"] for row in rows if row["trusted"]) or "none", tuple(found))


def archive(loaded: Loaded, today: Night) -> Examined:
    """Whether the archive is sound and the frames it names are on disk. Reads beside a running daemon.

    Frames that the owner lets go after some days are not missed.
    """
    root = loaded.settings.storage.data_dir
    path = data_paths(root)["archive"]
    if not path.exists():
        return Examined("archive", "none yet: no night has been run")
    try:
        wrong = faults(path)
        if wrong:
            return Examined("archive", str(path), (Diagnosis("AST-603", f"{path}: {wrong[0]}"),))
        lost, strange = _differences(path, root, _oldest(loaded, today))
    except AstrodError as fault:
        return Examined("archive", str(path), (Diagnosis("AST-603", str(fault)),))
    found = []
    if lost:
        found.append(Diagnosis("AST-604", f"{len(lost)} frames are recorded and not on disk: {_some(lost)}"))
    if strange:
        text = f"{len(strange)} frames are on disk and not recorded: {_some(strange)}"
        found.append(Diagnosis("AST-604", text, "The next start of astrod records its own; move away the others."))
    return Examined("archive", f"{path}, sound", tuple(found))


def _oldest(loaded: Loaded, today: Night) -> str:
    """The folder of the oldest night whose frames must all be there."""
    days = loaded.settings.storage.raw_days
    return "" if days == 0 else f"frames/{today.date - timedelta(days=days - 1)}"


def _differences(path: Path, root: Path, since: str) -> tuple[list[str], list[str]]:
    """Frames that are recorded and not on disk whole, and frames on disk that nobody recorded."""
    recorded = claims(path)
    on_disk = {found.path: found.size_bytes for found in FrameStore(root).scan()}
    lost = sorted(name for name, size in recorded.items() if name >= since and on_disk.get(name) != size)
    return lost, sorted(set(on_disk) - set(recorded))


def _some(names: list[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
