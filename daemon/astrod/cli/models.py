"""`astrod models …`: the models' versions, from the daemon where one runs, else from disk."""

import argparse
import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from astrod.api.client import DaemonNotRunning, call
from astrod.api.schema import (
    SCHEMA,
    Ack,
    DriftRow,
    ModelAnswer,
    ModelRow,
    ModelsAnswer,
    StandingRow,
    ThumbsAnswer,
    read,
)
from astrod.cli import exits
from astrod.cli.ink import Line, Span, Style, line, show, wrapped
from astrod.cli.screen import COLUMNS
from astrod.cli.tables import columns
from astrod.cli.verb import Verb, answer, config_root, who
from astrod.config.roots import socket_path
from astrod.errors import ConfigInvalid, InputInvalid, TellOperator

if TYPE_CHECKING:  # the configuration is read only where no daemon answers
    from astrod.config.settings import ModelSettings

WORK_S = 120.0


def _ask(args: argparse.Namespace, verb: str, wanted: dict[str, Any]) -> dict[str, Any]:
    return call(socket_path(config_root(args)), verb, wanted, WORK_S)


def _settings(args: argparse.Namespace) -> "ModelSettings":
    """By the configuration; where there is none and none is named, the shipped models alone."""
    from astrod.config.load import load
    from astrod.config.roots import find
    from astrod.config.settings import ModelSettings
    from astrod.daemon import resolve_name

    root = config_root(args)
    try:
        find(root)
    except ConfigInvalid:
        if root is not None:
            raise
        return ModelSettings(enabled=True, folder=None)
    return load(root, resolve_name).settings.models


def _locally(work: Callable[..., Any], *args: Any) -> Any:
    from astrod_models.zoo import ZooError

    try:
        return work(*args)
    except ZooError as fault:
        raise InputInvalid(str(fault)) from fault


# -- list, show, verify --------------------------------------------------------------------------------------


def _list(args: argparse.Namespace) -> int:
    try:
        told = read(ModelsAnswer, _ask(args, "models", {}))
    except DaemonNotRunning:
        from astrod.versions import list_models

        rows = [read(ModelRow, row) for row in _locally(list_models, _settings(args))]
        told = ModelsAnswer(schema=SCHEMA, site="", models=rows)
    return answer(args, told, lambda: list_lines(told))


def list_lines(told: ModelsAnswer) -> list[Line]:
    """A row for each model, and why one is not as it should be."""
    rows = [
        (
            row["name"],
            row["title"].removeprefix(f"{row['name']} ") if row["trusted"] else "refused",
            row["key"],
            "-" if row["bytes"] is None else f"{row['bytes'] / 1e3:.0f} kB",
            (row["sha256"] or "-")[:12],
            row["shadow"] or "-",
        )
        for row in told["models"]
    ]
    styles: list[Style] = ["" if row["trusted"] and not row["fault"] else "warn" for row in told["models"]]
    lines = columns(("model", "version", "from", "size", "sha256", "shadow"), rows, styles)
    for row in told["models"]:
        if row["fault"]:
            lines += _said(f"{row['name']}: {row['fault']}", "warn")
        if row["stand_in"]:
            lines += _said(f"{row['name']}: in its place: {row['stand_in']}", "warn")
    return lines


def _said(text: str, style: Style) -> list[Line]:
    return [line(Span(f" {row}", style)) for row in wrapped(text, COLUMNS - 2)]


def _show(args: argparse.Namespace) -> int:
    try:
        told = read(ModelAnswer, _ask(args, "model", {"name": args.name}))
    except DaemonNotRunning:
        from astrod.answers import model_answer
        from astrod.versions import show_model

        told = model_answer("", _locally(show_model, _settings(args), args.name))
    card = json.loads(told["card"] or "{}")
    if args.json:
        print(json.dumps({**told, "card": card}, ensure_ascii=False))
        return exits.DONE
    show(show_lines(told, card), sys.stdout)
    return exits.DONE


def show_lines(told: ModelAnswer, card: Mapping[str, Any]) -> list[Line]:
    """One model: its versions, its limits and scores by its card, its shadow, its drift."""
    row = told["model"]
    lines = [line(Span(f" {row['title']}", "bold"), f"  from {told['folder']}")]
    if row["fault"]:
        lines += _said(row["fault"], "warn")
    for version in told["all"]:
        mark = "in force" if version["in_force"] else "shadow" if version["key"] == row["shadow"] else ""
        lines.append(line(f"   {version['key']:<20} {version['title']:<16} ", Span(mark, "good")))
        if version["refused"]:
            lines += _said(f"  refused: {version['refused']}", "warn")
    if told["before"]:
        lines.append(line(f" before it: {', '.join(reversed(told['before']))}"))
    lines += _standing_lines(row["shadow"], told["standing"]) + _drift_lines(told["drift"]) + card_lines(card)
    return lines


def _standing_lines(shadow: str | None, standing: StandingRow | None) -> list[Line]:
    if shadow is None:
        return []
    if standing is None:
        return [line(f" shadow {shadow}: what it has shown, the daemon knows")]
    text = (
        f"shadow {shadow}: {standing['frames']} frames judged by both, {standing['alike']} alike; right on"
        f" {standing['shadow_right']} of {standing['thumbs']} thumbs (in force: {standing['in_force_right']}); keeps"
        f" {standing['good_kept']} of {standing['good']} good frames"
    )
    rest = "the rule lets it be promoted" if standing["passes"] else "; ".join(standing["lacks"])
    return _said(text, "") + _said(f"  {rest}", "good" if standing["passes"] else "dim")


def _drift_lines(drift: list[DriftRow]) -> list[Line]:
    if not drift:
        return [line(Span(" drift: too few frames in the last days, or no reference in the card", "dim"))]
    return [
        line(Span(f" drift: {row['name']}, {row['outside']:.0%} outside, index {row['psi']:.2f}", "warn"))
        for row in drift
        if row["drift"]
    ] or [line(f" drift: none in {max(row['frames'] for row in drift)} frames")]


def card_lines(card: Mapping[str, Any]) -> list[Line]:
    """A card's limits and scores."""
    lines = [line(Span(" limits", "bold"))] if card.get("limits") else []
    for limit in card.get("limits", ()):
        lines += _said(f"· {limit}", "")
    scores = card.get("scores", {})
    if scores:
        lines.append(line(Span(" scores", "bold")))
    for name, table in scores.items():
        values = (
            ", ".join(f"{key} {_value(value)}" for key, value in table.items()) if isinstance(table, dict) else table
        )
        lines += _said(f"· {name}: {values}", "")
    return lines


def _value(value: object) -> str:
    if isinstance(value, Mapping):
        return "(" + ", ".join(f"{key} {_value(inner)}" for key, inner in value.items()) + ")"
    return str(value)


def _verify(args: argparse.Namespace) -> int:
    from astrod.versions import engine_fault, verify_models

    settings = _settings(args)
    fault = engine_fault(settings)
    if fault:
        print(f"astrod: {fault}", file=sys.stderr)
    rows = _locally(verify_models, settings, [args.name] if args.name else [])
    if args.json:
        for row in rows:
            print(json.dumps(row, ensure_ascii=False))
    else:
        show([verify_line(row) for row in rows], sys.stdout)
    return exits.DONE if all(row["sound"] for row in rows) else exits.FAILED


def verify_line(row: Mapping[str, Any]) -> Line:
    """One version: sound, or refused with the reason and what judges in its place."""
    name = f" {row['name']:<12} {row['key']:<20} "
    if row["sound"]:
        return line(name, Span("sound", "good"), f"  {row['title']}, {row['provider']}")
    instead = f"; in its place: {row['instead']}" if row["instead"] else ""
    return line(name, Span("refused", "bad"), f"  {row['fault']}{instead}")


# -- eval, train ---------------------------------------------------------------------------------------------


def _eval(args: argparse.Namespace) -> int:
    from astrod.evaluation import EVALUATED, evaluate, files_in, read_labels
    from astrod.versions import zoo_of

    if args.name not in EVALUATED:
        raise InputInvalid(f"{args.name} is tried on files by its own verb; here {', '.join(EVALUATED)} can be")
    labels = read_labels(args.labels) if args.labels else {}
    zoo = zoo_of(_settings(args))
    version = _locally(zoo.version, args.name, args.key) if args.key else _locally(zoo.in_force, args.name)
    if version.refused:
        raise InputInvalid(f"{version.name} {version.key} is refused: {version.refused}")
    told = evaluate(version, list(files_in(args.files)), labels)
    for text in told["unreadable"]:
        print(text, file=sys.stderr)
    if args.json:
        print(json.dumps(told, ensure_ascii=False))
    else:
        show(eval_lines(told), sys.stdout)
    return exits.FAILED if told["unreadable"] or not told["judged"] else exits.DONE


def eval_lines(told: Mapping[str, Any]) -> list[Line]:
    """Counts, and where labels are, who is right."""
    says = ", ".join(f"{word} {count}" for word, count in told["says"].items()) or "nothing"
    lines = [
        line(Span(f" {told['model']}", "bold"), f"  {told['judged']} of {told['files']} files judged: {says}"),
        line(f" its stand-in says yes to {told['stand_in_yes']} of {told['judged']}"),
    ]
    if not told["labelled"]:
        return [*lines, line(Span(" nobody said which are good: give --labels to know who is right", "dim"))]
    for who_judges, scores in (("model", told["scores"]), ("stand-in", told["stand_in_scores"])):
        parts = [
            f"{words} {share['hits']}/{share['count']} ({share['interval'][0]:.0%} to {share['interval'][1]:.0%})"
            for words, share in zip(told["words"], (scores["good_kept"], scores["bad_refused"]), strict=True)
            if share
        ]
        parts += [f"AUC {scores['auc']:.3f}"] if scores["auc"] is not None else []
        lines.append(line(f" {who_judges:<9} {', '.join(parts)}"))
    return lines


def _train(args: argparse.Namespace) -> int:
    from importlib.util import find_spec

    from astrod_models.card import weights_folder

    root = weights_folder().parent
    script = root / "training" / f"{args.name}.py"
    if not script.is_file():
        raise TellOperator(
            f"{script} is not there: models are trained in a checkout of astrod, `make models` or "
            "`astrod models train NAME` from its environment"
        )
    if find_spec("torch") is None:
        raise TellOperator("training needs PyTorch: install astrod with its extra, `pip install 'astrod[train]'`")
    args.out.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", f"training.{args.name}", "--out", str(args.out.resolve())]
    ran = subprocess.run([*command, "--quick"] if args.quick else command, cwd=root.parent, check=False)
    if ran.returncode:
        return exits.FAILED
    print(f"now: astrod models shadow {args.name} {args.out / args.name}.onnx")
    return exits.DONE


# -- shadow, promote, rollback, thumbs -----------------------------------------------------------------------


def _wish(args: argparse.Namespace, verb: str, wanted: dict[str, Any], alone: Callable[[], str]) -> int:
    """Ask the daemon; where none runs, do it on disk: it counts from the daemon's first frame on."""
    try:
        text = read(Ack, _ask(args, verb, {"name": args.name, "who": who(), **wanted}))["text"]
    except DaemonNotRunning:
        text = _locally(alone)
    print(text or "done")
    return exits.DONE


def _file(path: Path | None) -> str | None:
    return None if path is None else str(path.resolve())


def _shadow(args: argparse.Namespace) -> int:
    from astrod.versions import choose_shadow

    file = None if str(args.file) == "off" else args.file
    return _wish(args, "model_shadow", {"file": _file(file)}, lambda: choose_shadow(_settings(args), args.name, file))


def _promote(args: argparse.Namespace) -> int:
    def alone() -> str:
        from astrod.versions import promote_model

        if not args.anyway:
            raise InputInvalid("no daemon is running to say what the candidate has shown; --anyway promotes it unseen")
        return promote_model(_settings(args), args.name, args.file)

    return _wish(args, "model_promote", {"file": _file(args.file), "anyway": args.anyway}, alone)


def _rollback(args: argparse.Namespace) -> int:
    from astrod.versions import roll_back_model

    return _wish(args, "model_rollback", {}, lambda: roll_back_model(_settings(args), args.name))


def _thumbs(args: argparse.Namespace) -> int:
    lines = read(ThumbsAnswer, _ask(args, "thumbs", {}))["lines"]
    if args.file is None:
        print("\n".join(lines), end="\n" if lines else "")
        return exits.DONE
    try:
        args.file.write_text("".join(f"{one}\n" for one in lines), encoding="utf-8")
    except OSError as fault:
        raise InputInvalid(f"{args.file} cannot be written: {fault.strerror}") from fault
    print(f"{len(lines)} frames with a thumb in {args.file}")
    return exits.DONE


def _name(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="the model, as `astrod models list` names it")


def _maybe_name(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", nargs="?", help="one model alone; else all")


def _eval_options(parser: argparse.ArgumentParser) -> None:
    _name(parser)
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="files, or folders with files")
    parser.add_argument(
        "--labels", type=Path, metavar="FILE", help="JSON lines or CSV: `file`, and `usable` or `meteor`"
    )
    parser.add_argument("--key", metavar="KEY", help="another version than the one in force, by its key")


def _train_options(parser: argparse.ArgumentParser) -> None:
    _name(parser)
    parser.add_argument("--out", type=Path, default=Path("trained"), metavar="FOLDER", help="default: ./trained")
    parser.add_argument("--quick", action="store_true", help="with a few samples only, to try the script out")


def _shadow_options(parser: argparse.ArgumentParser) -> None:
    _name(parser)
    parser.add_argument("file", type=Path, metavar="FILE|off", help="the model's file with its card beside it, or off")


def _promote_options(parser: argparse.ArgumentParser) -> None:
    _name(parser)
    parser.add_argument("file", type=Path, nargs="?", metavar="FILE", help="a model's file; else the one in the shadow")
    parser.add_argument("--anyway", action="store_true", help="whatever it has shown, or not shown, in the shadow")


def _thumbs_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path, nargs="?", metavar="FILE", help="write them there; else print them")


VERBS = (
    Verb(
        name="models list",
        summary="the models, and which version of each judges",
        text="A model whose file does not match its card is refused; what judges in its place is named then.",
        example="astrod models list",
        run=_list,
        reads=True,
    ),
    Verb(
        name="models show",
        summary="a model's versions, card, candidate and drift",
        text=(
            "The card's limits and scores, each with what it was measured on. Of a candidate in the shadow: what it "
            "has shown, and what its promotion waits for. Of drift: which inputs of the last days' frames lie outside "
            "what the model was made with; nothing is said of few frames."
        ),
        example="astrod models show quality",
        run=_show,
        options=_name,
        reads=True,
    ),
    Verb(
        name="models verify",
        summary="hold every model against its card, and try to load it",
        text="Exit code 1 if one is refused. With --json one object a line for each version.",
        example="astrod models verify",
        run=_verify,
        options=_maybe_name,
        reads=True,
    ),
    Verb(
        name="models eval",
        summary="try a model on files, beside its stand-in",
        text=(
            "Counts of what it says; where --labels say which frames are usable (or which files hold a meteor), how "
            "often it is right about each kind, with 95 % intervals, and how often its stand-in is."
        ),
        example="astrod models eval quality night/ --labels labels.csv",
        run=_eval,
        options=_eval_options,
        reads=True,
    ),
    Verb(
        name="models shadow",
        summary="judge a candidate beside the model in force, or no more",
        text=(
            "The file is copied to the owner's models. The candidate judges each light frame after the verdict has "
            "been given and acted upon, where no other frame waits; both verdicts are recorded. It is refused unless "
            "it matches its card and takes and gives what the shipped model does."
        ),
        example="astrod models shadow quality trained/quality.onnx",
        run=_shadow,
        options=_shadow_options,
    ),
    Verb(
        name="models promote",
        summary="put the candidate in force",
        text=(
            "Allowed when it has judged shadow_frames frames of [models], agrees with the owner's thumbs as often as "
            "the model in force, and keeps its good frames; --anyway promotes it without. It counts from the next "
            "frame on, outlives restarts and upgrades, and the one before it is kept."
        ),
        example="astrod models promote quality",
        run=_promote,
        options=_promote_options,
    ),
    Verb(
        name="models rollback",
        summary="put the version in force that was before",
        text="As often as there is one before it; at last the shipped one. The daemon takes it up between two frames.",
        example="astrod models rollback quality",
        run=_rollback,
        options=_name,
    ),
    Verb(
        name="models train",
        summary="train a model again from scratch",
        text=(
            "Needs a checkout of astrod and its extra `train` (PyTorch, for the CPU). What it makes is put in force "
            "by nobody: judge it in the shadow first."
        ),
        example="astrod models train quality --out trained",
        run=_train,
        options=_train_options,
    ),
    Verb(
        name="models thumbs",
        summary="the frames with a thumb, as a set to train or evaluate with",
        text="One JSON object a line: file, usable, cause, what was said of it, and the numbers the model was shown.",
        example="astrod models thumbs thumbs.jsonl",
        run=_thumbs,
        options=_thumbs_options,
    ),
)
