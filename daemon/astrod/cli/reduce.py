"""`astrod reduce`."""

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from astrod.cli import exits
from astrod.cli.ink import Line, Span, cut, line, show
from astrod.cli.verb import Verb
from astrod.errors import InputInvalid

if TYPE_CHECKING:
    from astrod.domain.setup import SetupKind

_KINDS: tuple["SetupKind", ...] = ("bias", "dark", "flat", "flat_dark")


def _run(args: argparse.Namespace) -> int:
    from astrod.reduction import CATALOGUES, INDEX_DIRS, Settings, files_in, reduce

    kinds = {path: kind for kind in _KINDS for path in files_in(getattr(args, kind) or [])}
    files = [path for path in files_in(args.files) if path not in kinds]
    if args.out is not None and args.out.exists() and not args.out.is_dir():
        raise InputInvalid(f"{args.out}: is a file; name a folder with --out")
    settings = Settings(
        out=args.out,
        kinds=kinds,
        catalogue=args.catalogue or CATALOGUES,
        index_dirs=tuple(args.index) if args.index else INDEX_DIRS,
        place=None if args.at is None else tuple(args.at),
        scale_arcsec_px=args.scale,
        linearity=tuple(args.linearity or ()),
        search=not args.no_search,
        cosmics=not args.no_cosmics,
    )
    failed = not files
    if not files:
        print("no frames there: name FITS or .npy files, or a folder that holds some", file=sys.stderr)
    for found in reduce(files, settings):
        if "error" in found:
            failed = True
            print(found["error"], file=sys.stderr)
        if args.json:
            print(json.dumps(found, ensure_ascii=False), flush=True)
        elif "error" not in found:
            show([report_line(found)], sys.stdout)
            for remark in found.get("remarks", []):
                show([line(f"   {remark}")], sys.stdout)
    return exits.FAILED if failed else exits.DONE


def report_line(found: dict[str, Any]) -> Line:
    """One reduced file: name, how it was calibrated, where it looks, how deep it is."""
    name = f" {cut(Path(found['file']).name, 36):<36}  "
    if found["kind"] != "light":
        served = f"{found['kind'].replace('_', '-')}, served {found.get('served', 0)} times"
        return line(name, served)
    used = found["calibration"]["used"]
    solved, point = found["solved"], found["zero_point"]
    parts = [f"{found['sources']} sources"]
    if found["fwhm_px"] is not None:
        parts.append(f"FWHM {found['fwhm_px']:.1f} px")
    if solved is not None:
        parts.append(f'{solved["ra_deg"]:.4f} {solved["dec_deg"]:+.4f}, {solved["residual_arcsec"]:.2f}"')
    if point is not None:
        parts.append(f"zero point {point['magnitude']:.2f} ± {point['error']:.2f} {point['band']}")
    if found["limiting_magnitude"] is not None:
        parts.append(f"to {found['limiting_magnitude']:.1f} mag")
    calibrated = Span("+".join(used) or "uncalibrated", "good" if {"flat"} & set(used) else "warn")
    return line(name, calibrated, "  " + ", ".join(parts))


def _options(parser: argparse.ArgumentParser) -> None:
    def folder_or_file(name: str, text: str) -> None:
        parser.add_argument(name, nargs="+", type=Path, metavar="PATH", help=text)

    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="FITS or .npy frames, or folders of them")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="write calibrated FITS, catalogues and masters here")
    folder_or_file("--bias", "bias frames or masters, whatever their headers say")
    folder_or_file("--dark", "darks, likewise")
    folder_or_file("--flat", "flats, likewise")
    folder_or_file("--flat-dark", "darks for the flats, likewise")
    parser.add_argument("--catalogue", type=Path, metavar="FOLDER", help="imported ones (/var/lib/astrod/catalogue)")
    parser.add_argument("--index", type=Path, action="append", metavar="FOLDER", help="astrometry.net index files")
    parser.add_argument("--at", type=float, nargs=2, metavar=("RA", "DEC"), help="where the frames look, degrees")
    parser.add_argument("--scale", type=float, metavar="ARCSEC", help="arcseconds per pixel")
    parser.add_argument(
        "--linearity", type=float, nargs="+", metavar="C", help="true = seen (1 + C1 seen + C2 seen²…), ADU above bias"
    )
    parser.add_argument("--no-search", action="store_true", help="do not search the sky for frames that are lost")
    parser.add_argument("--no-cosmics", action="store_true", help="do not look for cosmic rays")


VERB = Verb(
    name="reduce",
    summary="calibrate frames, solve them and list what is in them",
    text=(
        "Needs no configuration and no daemon. Calibration frames among the files are told by their headers, combined "
        "and used where camera, size, binning, gain, exposure and temperature agree; a frame that none suits is "
        "reduced all the same, and the report says what was not done and why. Solving and magnitudes go by catalogues "
        "on this machine: astrometry.net's Tycho-2 index files, and what `astrod catalogue import` brought; with fewer "
        "than eight clean stars the zero point is unknown. With --json one object a line for each file, in order. A "
        "file that cannot be used is named, the others are reduced, and the exit code is 1. Raw files are never "
        "changed."
    ),
    example="astrod reduce --json --out reduced night/",
    run=_run,
    options=_options,
    reads=True,
)
