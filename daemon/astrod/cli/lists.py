"""`astrod plan`, `astrod targets`, `astrod frames`, `astrod detections`, `astrod calibrations`, `astrod offsets`."""

import argparse
import re

from astrod.api.client import call
from astrod.api.schema import (
    CalibrationsAnswer,
    DetectionsAnswer,
    FramesAnswer,
    OffsetsAnswer,
    PlanAnswer,
    TargetsAnswer,
    read,
)
from astrod.cli.tables import (
    calibrations_lines,
    detections_lines,
    frames_lines,
    offsets_lines,
    plan_lines,
    targets_lines,
)
from astrod.cli.verb import Verb, answer, config_root
from astrod.config.roots import socket_path

_NIGHT = re.compile(r"^\d{4}-\d{2}-\d{2}$")


def _plan(args: argparse.Namespace) -> int:
    plan = read(PlanAnswer, call(socket_path(config_root(args)), "plan"))
    return answer(args, plan, lambda: plan_lines(plan))


def _targets(args: argparse.Namespace) -> int:
    targets = read(TargetsAnswer, call(socket_path(config_root(args)), "targets"))
    return answer(args, targets, lambda: targets_lines(targets))


def _frames(args: argparse.Namespace) -> int:
    wanted = {"night": args.night, "limit": args.limit}
    frames = read(FramesAnswer, call(socket_path(config_root(args)), "frames", wanted))
    return answer(args, frames, lambda: frames_lines(frames))


def _detections(args: argparse.Namespace) -> int:
    wanted = {"night": args.night}
    found = read(DetectionsAnswer, call(socket_path(config_root(args)), "detections", wanted))
    return answer(args, found, lambda: detections_lines(found))


def _calibrations(args: argparse.Namespace) -> int:
    ledger = read(CalibrationsAnswer, call(socket_path(config_root(args)), "calibrations"))
    return answer(args, ledger, lambda: calibrations_lines(ledger))


def _offsets(args: argparse.Namespace) -> int:
    offsets = read(OffsetsAnswer, call(socket_path(config_root(args)), "offsets"))
    return answer(args, offsets, lambda: offsets_lines(offsets))


def _night(text: str) -> str:
    if not _NIGHT.match(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no night; write the date of its evening, 2026-12-14")
    return text


def _count(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= 100_000:
        raise argparse.ArgumentTypeError(f"{text!r} is no count; 1..100000")
    return int(text)


def _frames_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--night", type=_night, metavar="DATE", help="the night that began on this date; else the last one"
    )
    parser.add_argument("--limit", type=_count, default=20, metavar="N", help="the newest N only (default 20)")


def _detections_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--night", type=_night, metavar="DATE", help="the night that began on this date; else this one")


VERBS = (
    Verb(
        name="plan",
        summary="what is meant to be exposed tonight, and why",
        text=(
            "The plan is advice that is always ready; the decision is taken at each exposure, so the night "
            "may differ from it. Requests that get no time are listed with the reason."
        ),
        example="astrod plan",
        run=_plan,
        reads=True,
    ),
    Verb(
        name="targets",
        summary="the targets and how far each request has come",
        text=(
            "Counts are of frames judged usable, over all nights. A request is known by its place in the "
            "list of its target: append new exposures rather than insert them, or the counts go to another "
            "request."
        ),
        example="astrod targets --json",
        run=_targets,
        reads=True,
    ),
    Verb(
        name="frames",
        summary="the frames of a night with their verdicts",
        text=(
            "Oldest first. A night goes by the date of its evening, also after midnight. The frames' files "
            "lie under data_dir of [storage]; this verb asks the daemon, which must run."
        ),
        example="astrod frames --night 2026-12-14 --limit 50",
        run=_frames,
        options=_frames_options,
        reads=True,
    ),
    Verb(
        name="detections",
        summary="what crossed the sky tonight, and what the watches see of clouds",
        text=(
            "Meteors that a [[watch]] of the configuration saw, oldest first, with where they began and ended once "
            "its camera is calibrated. Their pictures lie under `detections` in data_dir of [storage]. A meteor that "
            "astrod lays into a picture to try itself is never listed."
        ),
        example="astrod detections --night 2026-12-14",
        run=_detections,
        options=_detections_options,
        reads=True,
    ),
    Verb(
        name="calibrations",
        summary="which darks, biases and flats the frames need, and what there is",
        text=(
            "One line for each set that the frames of the last `frame_days` need: how many frames it serves, how many "
            "it has of those wanted, and whether time has made it too old. Darks are taken in bad weather and after "
            "dawn where the configuration has a [calibration] table; without it they are only counted."
        ),
        example="astrod calibrations",
        run=_calibrations,
        reads=True,
    ),
    Verb(
        name="offsets",
        summary="by how much the focus of the filters differs",
        text=(
            "The offsets of the configuration, and those that focus runs have told: runs through two filters, soon "
            "after one another at like temperature, three times at least. Learned ones are applied where "
            "filter_offsets says nothing, unless learn_offsets is false. Runs through each filter come with "
            "refocus_each_filter."
        ),
        example="astrod offsets",
        run=_offsets,
        reads=True,
    ),
)
