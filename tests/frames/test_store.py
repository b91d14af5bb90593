"""A frame is on disk whole, under its own name, once, or not at all."""

import contextlib
import dataclasses
import errno
import hashlib
import itertools
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from astrod.domain.exposure import Taken
from astrod.domain.identity import ExposureId
from astrod.errors import Bug, InputInvalid, TellOperator
from astrod.frames.store import FrameStore, file_name, safe_part, write_whole
from tests.frames.exposures import NIGHT, exposure_of, noise, spooled


def test_keeps_pixels_header_and_checksums(tmp_path: Path) -> None:
    pixels, facts = noise(), exposure_of(42)
    taken = FrameStore(tmp_path).keep(spooled(tmp_path, pixels), "npy", facts)
    path = tmp_path / taken.path
    assert taken.path == "frames/2026-12-14/pujalt-20261214-00042_M-42_L_300s.fits"
    assert taken.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert taken.size_bytes == path.stat().st_size and taken.size_bytes % 2880 == 0
    with fits.open(path, checksum=True) as hdus:  # a wrong checksum is a warning, and warnings are errors here
        hdus.verify("exception")
        assert hdus[0].data.dtype == np.uint16
        np.testing.assert_array_equal(hdus[0].data, pixels)
        assert hdus[0].header["EXPID"] == str(facts.intent.id)
        assert {"CHECKSUM", "DATASUM"} <= set(hdus[0].header)


def test_same_frame_gives_the_same_bytes(tmp_path: Path) -> None:
    raw = spooled(tmp_path, noise())
    digests = {FrameStore(tmp_path / place).keep(raw, "npy", exposure_of()).sha256 for place in ("a", "b")}
    assert len(digests) == 1


def test_keeping_twice_returns_the_first(tmp_path: Path) -> None:
    store, raw = FrameStore(tmp_path), spooled(tmp_path, noise())
    first = store.keep(raw, "npy", exposure_of())
    stamp = (tmp_path / first.path).stat().st_mtime_ns
    assert store.keep(raw, "npy", exposure_of()) == first
    assert store.find(first.id) == first
    assert (tmp_path / first.path).stat().st_mtime_ns == stamp
    assert raw.exists()


def test_another_exposure_never_takes_a_name(tmp_path: Path) -> None:
    store, facts = FrameStore(tmp_path), exposure_of()
    first = store.keep(spooled(tmp_path, noise(1)), "npy", facts)
    before = (tmp_path / first.path).read_bytes()
    later = dataclasses.replace(facts, started_us=facts.started_us + 1)
    with pytest.raises(Bug, match="rolled back"):
        store.keep(spooled(tmp_path, noise(2)), "npy", later)
    assert (tmp_path / first.path).read_bytes() == before


def test_names_sort_in_order_of_time_and_are_safe(tmp_path: Path) -> None:
    names = [file_name(exposure_of(n, target=t)) for n, t in ((2, "a"), (10, "Z"), (900, "../é/ñ*?"))]
    assert names == sorted(names)
    assert names[2] == "pujalt-20261214-00900_e-n_L_300s.fits"
    assert safe_part("NGC 7000/Hα+OIII.") == "NGC-7000-Halpha+OIII"
    short = dataclasses.replace(exposure_of(1, "dark", None, sky=False, filter=None), exposure_s=0.05)
    assert file_name(short) == "pujalt-20261214-00001_dark_0.05s.fits"


def indi_fits(path: Path, data: np.ndarray[tuple[int, ...], np.dtype[np.generic]], **cards: str) -> Path:
    hdu = fits.PrimaryHDU(data)
    hdu.header.update(cards)
    hdu.writeto(path, overwrite=True)
    return path


def test_takes_the_data_of_a_drivers_fits_and_its_row_order(tmp_path: Path) -> None:
    pixels = noise()
    raw = indi_fits(tmp_path / "indi.fits", pixels, ROWORDER="BOTTOM-UP", OBJECT="junk")
    taken = FrameStore(tmp_path).keep(raw, "fits", exposure_of())
    with fits.open(tmp_path / taken.path) as hdus:
        np.testing.assert_array_equal(hdus[0].data, pixels)
        assert (hdus[0].header["ROWORDER"], hdus[0].header["OBJECT"]) == ("BOTTOM-UP", "M 42")


def test_eight_bit_and_whole_float_counts_are_widened(tmp_path: Path) -> None:
    for counter, dtype in enumerate((np.uint8, np.int32, np.float32), start=1):
        data = (noise() % 200).astype(dtype)
        raw = indi_fits(tmp_path / f"{counter}.fits", data)
        taken = FrameStore(tmp_path).keep(raw, "fits", exposure_of(counter))
        with fits.open(tmp_path / taken.path) as hdus:
            np.testing.assert_array_equal(hdus[0].data, data.astype(np.uint16))


def bad_raws(folder: Path) -> Iterator[tuple[Path, str]]:
    whole = indi_fits(folder / "whole.fits", noise()).read_bytes()
    (folder / "cut.fits").write_bytes(whole[:4000])
    yield folder / "cut.fits", "fits"
    (folder / "empty").write_bytes(b"")
    yield folder / "empty", "fits"
    yield folder / "empty", "npy"
    (folder / "text").write_bytes(b"no frame at all")
    yield folder / "text", "fits"
    yield folder / "text", "npy"
    yield folder / "absent", "npy"
    yield folder / "absent", "fits"
    yield indi_fits(folder / "cube.fits", np.zeros((2, 9, 9), np.uint16)), "fits"
    yield indi_fits(folder / "nan.fits", np.full((9, 9), np.nan, np.float32)), "fits"
    yield indi_fits(folder / "signed.fits", np.full((9, 9), -1, np.int16)), "fits"
    np.save(folder / "object.npy", np.array([{}]), allow_pickle=True)
    yield folder / "object.npy", "npy"


def test_what_is_no_frame_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    store = FrameStore(tmp_path / "root")
    for raw, fmt in bad_raws(tmp_path):
        with pytest.raises(InputInvalid):
            store.keep(raw, fmt, exposure_of())  # type: ignore[arg-type]
    assert store.scan() == []


def test_quarantine_moves_the_frame_with_its_reason(tmp_path: Path) -> None:
    store, raw, pixels = FrameStore(tmp_path), tmp_path / "spooled.npy", noise()
    path = store.quarantine(spooled(tmp_path, pixels), "npy", exposure_of(), "the roof was not open")
    assert path.startswith("quarantine/2026-12-14/pujalt-20261214-00001_")
    assert not raw.exists()
    with fits.open(tmp_path / path, checksum=True) as hdus:
        np.testing.assert_array_equal(hdus[0].data, pixels)
        assert hdus[0].header["REJECTED"] == "the roof was not open"
    assert store.quarantine(raw, "npy", exposure_of(), "the roof was not open") == path
    assert store.scan() == [] and store.find(exposure_of().intent.id) is None


def test_quarantine_keeps_what_it_cannot_read(tmp_path: Path) -> None:
    store, raw = FrameStore(tmp_path), tmp_path / "raw"
    raw.write_bytes(b"half a fr")
    path = tmp_path / store.quarantine(raw, "fits", exposure_of(), "it is cut short")
    assert path.read_bytes() == b"half a fr" and not raw.exists()
    assert path.with_suffix(".txt").read_text().startswith("it is cut short\n")


def test_sweep_takes_halves_and_nothing_else(tmp_path: Path) -> None:
    store = FrameStore(tmp_path)
    taken = store.keep(spooled(tmp_path, noise()), "npy", exposure_of())
    half = (tmp_path / taken.path).with_name(".pujalt-20261214-00002_M31_1s.fits.part")
    half.write_bytes(b"SIMPLE")
    assert store.sweep() == [half.relative_to(tmp_path).as_posix()]
    assert store.sweep() == []
    assert [found.id for found in store.scan()] == [taken.id]


def test_scan_tells_complete_frames_from_others(tmp_path: Path) -> None:
    store = FrameStore(tmp_path)
    for counter in (3, 1, 2):
        taken = store.keep(spooled(tmp_path, noise(counter)), "npy", exposure_of(counter))
    path = tmp_path / taken.path
    os.truncate(path, path.stat().st_size - 2880)
    (path.parent / "notes.fits").write_bytes(b"the owner's own")
    found = store.scan(NIGHT)
    assert [(one.id.counter, one.complete) for one in found] == [(1, True), (2, False), (3, True)]
    assert store.scan(NIGHT.next) == []
    with pytest.raises(TellOperator, match="cut short"):
        store.find(ExposureId("pujalt", NIGHT, 2))


# -- disks that fail -----------------------------------------------------------------------------------------


@contextlib.contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    folder.mkdir()
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    if subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("no small disk can be mounted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_loses_nothing_and_says_what_to_do(tmp_path: Path) -> None:
    pixels = noise(shape=(256, 256))  # 131 kB; two fit on the disk
    raw = spooled(tmp_path, pixels)
    with small_disk(tmp_path / "disk", "400k") as disk:
        store = FrameStore(disk)
        kept: list[Taken] = []
        with pytest.raises(TellOperator, match="disk is full; free some space"):
            kept.extend(store.keep(raw, "npy", exposure_of(counter)) for counter in itertools.count(1))
        assert kept and raw.exists()
        assert [store.find(taken.id) for taken in kept] == kept
        assert all(found.complete for found in store.scan()) and len(store.scan()) == len(kept)
        assert not list(disk.glob("**/.*.part"))


def test_a_read_only_disk_is_named(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "400k") as disk:
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        with pytest.raises(TellOperator, match="mounted read-write"):
            FrameStore(disk).keep(spooled(tmp_path, noise()), "npy", exposure_of())


def test_a_failing_disk_leaves_no_half(tmp_path: Path) -> None:
    def breaks_off() -> Iterator[bytes]:
        yield b"SIMPLE"
        raise OSError(errno.EIO, "Input/output error")

    with pytest.raises(OSError, match="Input/output"):
        write_whole(tmp_path / "frame.fits", breaks_off())
    assert list(tmp_path.iterdir()) == []


def test_writing_over_a_frame_is_refused(tmp_path: Path) -> None:
    write_whole(tmp_path / "frame.fits", iter([b"first"]))
    with pytest.raises(FileExistsError):
        write_whole(tmp_path / "frame.fits", iter([b"second"]))
    assert (tmp_path / "frame.fits").read_bytes() == b"first"


def test_syncs_the_file_before_its_name_and_the_folder_after(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The order on which outlasting a power cut rests, as the kernel sees it."""
    calls: list[str] = []
    fsync, rename = os.fsync, Path.rename

    def seen_fsync(handle: int) -> None:
        calls.append("sync " + Path(f"/proc/self/fd/{handle}").readlink().name)
        fsync(handle)

    def seen_rename(path: Path, to: Path) -> Path:
        calls.append(f"rename {to.name}")
        return rename(path, to)

    monkeypatch.setattr(os, "fsync", seen_fsync)
    monkeypatch.setattr(Path, "rename", seen_rename)
    write_whole(tmp_path / "night" / "frame.fits", iter([b"pixels"]))
    made = f"sync {tmp_path.name}"
    assert calls == [made, "sync .frame.fits.part", "rename frame.fits", "sync night"]


def test_the_module_is_light() -> None:
    code = (
        "import sys, astrod.frames.store, astrod.frames.retention\n"
        "print([m for m in ('numpy', 'astropy') if m in sys.modules])"
    )
    paths = os.pathsep.join(path for path in sys.path if path)
    done = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": paths}, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
