"""`astrod catalogue import`."""

import argparse
import json
import sys
from pathlib import Path

from astrod.cli import exits
from astrod.cli.verb import Verb


def _run(args: argparse.Namespace) -> int:
    from astrod.measure.catalogue import import_table
    from astrod.reduction import CATALOGUES

    folder = args.catalogue or CATALOGUES
    for file in args.files:
        made = import_table(file, folder, args.name)
        if args.json:
            told = {"file": str(file), "name": made.name, "folder": str(made.folder), "bands": list(made.bands)}
            print(json.dumps(told | {"stars": made.stars, "epoch": made.epoch}), flush=True)
        else:
            sys.stdout.write(f"{file}: {made.name} now holds {made.stars} stars ({', '.join(made.bands)})\n")
    return exits.DONE


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="tables: CSV, ECSV, FITS, VOTable, Parquet")
    parser.add_argument("--catalogue", type=Path, metavar="FOLDER", help="where they lie (/var/lib/astrod/catalogue)")
    parser.add_argument("--name", help="the catalogue's name (else told by its columns)")


VERB = Verb(
    name="catalogue import",
    summary="add catalogue stars that you fetched to those on this machine",
    text=(
        "astrod fetches nothing by itself. Ask the Gaia archive, VizieR or MAST for a cone around your fields and save "
        "it as CSV, ECSV, FITS or VOTable; Parquet needs pyarrow installed. Columns are known by the names that Gaia, "
        "VizieR, ATLAS-RefCat2 and APASS give them; proper motions are used where there are any. Stars that are there "
        "already are replaced."
    ),
    example="astrod catalogue import gaia-m31.csv --catalogue catalogue",
    run=_run,
    options=_options,
    reads=True,
)
