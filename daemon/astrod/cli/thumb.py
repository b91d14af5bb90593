"""`astrod thumb`."""

import argparse

from astrod.api.client import call
from astrod.api.schema import Ack, read
from astrod.cli import exits
from astrod.cli.verb import Verb, config_root, who
from astrod.config.roots import socket_path


def _run(args: argparse.Namespace) -> int:
    wanted = {"id": args.id, "word": args.word, "cause": args.cause, "who": who()}
    said = call(socket_path(config_root(args)), "thumb", wanted)
    print(read(Ack, said)["text"] or "done")
    return exits.DONE


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("id", metavar="ID", help="the frame, as `astrod frames` names it")
    parser.add_argument("word", choices=("up", "down", "none"), help="worth keeping, not, or take the word back")
    parser.add_argument("--cause", metavar="CAUSE", help="what is wrong with it: clouds, defocus, trailing, streak…")


VERB = Verb(
    name="thumb",
    summary="say whether a frame is worth keeping, whatever the verdict was",
    text=(
        "Your word is recorded beside the verdict and changes nothing of tonight. A candidate model in the shadow must "
        "agree with it as often as the model in force before it is promoted, and `astrod models thumbs` gives the "
        "frames with a thumb out to train and to evaluate with. A second word replaces the first."
    ),
    example="astrod thumb pujalt-20261214-00042 down --cause clouds",
    run=_run,
    options=_options,
)
