"""What the meteor model is worth: on the real station, on injected meteors, on skies without any; beside the stand-in.

Everything is judged by `astrod.judge.meteor.sight`, as at night: network, track and decision together.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from astrod.domain.sighting import Sighting
from astrod.frames.clip import stacks_of
from astrod.judge.meteor import sight
from astrod_models.meteor import MASK_PX, Block, Meteor, view_of
from training import meteor_lights as lights
from training.meteor_blocks import Drawn, simulated
from training.meteor_learning import say
from training.meteor_lights import Scene
from training.meteor_stations import Confirmed, confirmed, thumbnails

SEED = 70
FRAMES_PER_HOUR = 90_000
SIGNALS = (3.0, 4.5, 7.0, 12.0, 30.0)
PACES = (1.5, 4.0, 10.0, 22.0)
NEAR_PX = 6.0
HEIGHT, WIDTH = 360, 640

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Judge:
    """Whom we ask: the network of a folder, or (None) the classical stand-in."""

    name: str
    folder: Path | None

    def __call__(self, block: Block, rows_in_turn: bool = False) -> Sighting:
        """What it sees."""
        return sight(block, rows_in_turn, self.folder, enabled=self.folder is not None)


@dataclass(frozen=True, slots=True)
class Line:
    """One table of the card: a share with its counts, or plain numbers."""

    name: str
    shares: dict[str, tuple[int, int]] = field(default_factory=dict)
    numbers: dict[str, float] = field(default_factory=dict)

    def section(self) -> str:
        """As TOML; a share is hits, of how many, and its 95 % interval (Wilson)."""
        text = f'\n[scores."{self.name}"]\n'
        for key, (hits, count) in self.shares.items():
            low, high = wilson(hits, count)
            text += f'"{key}" = {{ hits = {hits}, of = {count}, interval = [{low:.3f}, {high:.3f}] }}\n'
        return text + "".join(f'"{key}" = {value:.3f}\n' for key, value in self.numbers.items())


def wilson(hits: int, count: int) -> tuple[float, float]:
    """The 95 % interval of a share (Wilson 1927)."""
    if count == 0:
        return 0.0, 1.0
    z, share = 1.96, hits / count
    middle = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z * np.sqrt(share * (1 - share) / count + z * z / (4 * count**2)) / (1 + z * z / count)
    return float(middle - half), float(middle + half)


def measured(unseen: Path, shipped: Path, root: Path, quick: bool = False) -> list[Line]:
    """All scores, for the card. `unseen` and `shipped` are folders of networks; `root` the real data's."""
    judges = [Judge("never saw the station", unseen), Judge("shipped", shipped), Judge("classical", None)]
    stacks = confirmed(root)[: 2 if quick else None]
    lines = []
    if stacks:
        lines += [real_stacks(stacks, judges), *still_stacks(stacks, judges), erased_stacks(stacks, judges)]
        lines += [clip(root, judges), localised(stacks, judges[:2])]
        lines += [
            *injected(stacks, [judges[0], judges[2]], 1 if quick else 3),
            thumbs(root, judges[1:], 60 if quick else 4),
        ]
    lines.append(quiet_skies(judges, 4 if quick else 30))
    return lines


def distance(track: Floats, found: Sighting) -> tuple[float, float] | None:
    """How far our best meteor is from a confirmed one, (n, 3): median over its points at the same time, and aside
    of our line; None where no meteor was found within 100 px.
    """
    best: tuple[float, float] | None = None
    for ours in found.tracks:
        if ours.kind != "meteor":
            continue
        frame, x, y = (np.array([getattr(point, name) for point in ours.points]) for name in ("frame", "x", "y"))
        if np.ptp(frame) > 0.0:
            u, v = (np.interp(track[:, 0], frame, values) for values in (x, y))
        else:
            nearest = [int(np.argmin(np.hypot(x - px, y - py))) for px, py in track[:, 1:]]
            u, v = x[nearest], y[nearest]
        timed = float(np.median(np.hypot(u - track[:, 1], v - track[:, 2])))
        fine_x, fine_y = (np.interp(np.linspace(0, 1, 500), np.linspace(0, 1, x.size), values) for values in (x, y))
        aside = float(np.median([np.hypot(fine_x - px, fine_y - py).min() for px, py in track[:, 1:]]))
        if aside < 100.0 and (best is None or aside < best[1]):
            best = timed, aside
    return best


def real_stacks(stacks: Sequence[Confirmed], judges: Sequence[Judge]) -> Line:
    """Recall on the confirmed stacks, and the distance of our tracks from the confirmed ones."""
    line = Line("confirmed stacks (UK0006)")
    for judge in judges:
        seen, apart, aside = 0, [], []
        for stack in stacks:
            found = judge(stack.block, rows_in_turn=True)
            seen += found.meteor
            longest = max(stack.tracks, key=len)
            both = distance(longest, found)
            if both is not None:
                apart.append(both[0])
                aside.append(both[1])
        line.shares[f"{judge.name}: recall"] = (seen, len(stacks))
        line.shares[f"{judge.name}: track found"] = (len(apart), len(stacks))
        line.numbers[f"{judge.name}: median distance px"] = float(np.median(apart)) if apart else float("nan")
        line.numbers[f"{judge.name}: median distance aside px"] = float(np.median(aside)) if aside else float("nan")
    return line


def still_stacks(stacks: Sequence[Confirmed], judges: Sequence[Judge]) -> list[Line]:
    """The same stacks by their maximum alone, with the meteor and with it erased."""
    line = Line("the same stacks as stills")
    for judge in judges:
        whole = sum(judge(Block(stack.block.maximum)).meteor for stack in stacks)
        empty = sum(judge(Block(stack.erased(SEED).maximum)).meteor for stack in stacks)
        line.shares[f"{judge.name}: recall"] = (whole, len(stacks))
        line.shares[f"{judge.name}: flagged with the meteor erased"] = (empty, len(stacks))
    return [line]


def erased_stacks(stacks: Sequence[Confirmed], judges: Sequence[Judge]) -> Line:
    """False alarms where the confirmed meteors are taken out, twice each with other noise."""
    line = Line("confirmed stacks with the meteor erased")
    blocks = [stack.erased(SEED + round_) for stack in stacks for round_ in range(2)]
    for judge in judges:
        line.shares[f"{judge.name}: flagged"] = (sum(judge(block).meteor for block in blocks), len(blocks))
    return line


def localised(stacks: Sequence[Confirmed], judges: Sequence[Judge]) -> Line:
    """Where Grad-CAM and the mask look, against the confirmed track: their strongest cell, and all above half of it."""
    line = Line("localisation without a fit, px from the confirmed track")
    for judge in judges:
        model = Meteor(judge.folder)
        errors: dict[str, list[float]] = {}
        for stack in stacks:
            view = view_of(stack.block)
            answer = model(view)
            longest = max(stack.tracks, key=len)[:, 1:]
            for name, chart in (("Grad-CAM", answer.attention), ("mask", answer.mask[0])):
                row, column = np.unravel_index(int(chart.argmax()), chart.shape)
                upper = chart >= 0.5 * chart.max()
                rows, columns = np.nonzero(upper)
                away = [_from(longest, x, y) for x, y in zip(columns, rows, strict=True)]
                errors.setdefault(f"{name}, peak", []).append(_from(longest, float(column), float(row)))
                errors.setdefault(f"{name}, mean over its upper half", []).append(float(np.mean(away)))
        for name, values in errors.items():
            line.numbers[f"{judge.name}: {name}"] = float(np.median(values))
    return line


def _from(track: Floats, column: float, row: float) -> float:
    """Pixels from a cell's middle to the nearest point of a track."""
    x, y = (value * MASK_PX + 0.5 * (MASK_PX - 1) for value in (column, row))
    fine = np.linspace(0.0, 1.0, 400)
    place = np.linspace(0.0, 1.0, len(track))
    return float(np.hypot(np.interp(fine, place, track[:, 0]) - x, np.interp(fine, place, track[:, 1]) - y).min())


def injected(stacks: Sequence[Confirmed], judges: Sequence[Judge], rounds: int) -> list[Line]:
    """Recall against signal and speed: meteors injected into parts of the real stacks, their own meteors erased."""
    blocks = [stack.erased(SEED) for stack in stacks]
    by_signal = Line("injected over real stacks, by peak over noise")
    by_pace = Line("injected over real stacks, by pixels a frame (peak 7 and more)")
    for judge in judges:
        hits: dict[tuple[float, float], list[bool]] = {}
        for signal in SIGNALS:
            for pace in PACES:
                for turn in range(rounds):
                    rng = np.random.default_rng((SEED, int(10 * signal), int(10 * pace), turn))
                    drawn = _one_injected(rng, blocks[int(rng.integers(len(blocks)))], signal, pace)
                    if drawn.lit["meteor"].sum() >= 4:
                        hits.setdefault((signal, pace), []).append(_hit(judge(drawn.block), drawn))
        for signal in SIGNALS:
            found = [hit for (level, _pace), listed in hits.items() if level == signal for hit in listed]
            by_signal.shares[f"{judge.name}: {signal:g}"] = (sum(found), len(found))
        for pace in PACES:
            found = [hit for (level, speed), listed in hits.items() if speed == pace and level >= 7.0 for hit in listed]
            by_pace.shares[f"{judge.name}: {pace:g}"] = (sum(found), len(found))
    return [by_signal, by_pace]


def _one_injected(rng: np.random.Generator, block: Block, signal: float, pace: float) -> Drawn:
    """A part of a stack with one meteor in it."""
    assert block.frame is not None and block.mean is not None and block.spread is not None
    top, left = (
        int(rng.integers(0, max(1, full - part + 1)))
        for full, part in zip(block.maximum.shape, (HEIGHT, WIDTH), strict=True)
    )
    here = (slice(top, top + HEIGHT), slice(left, left + WIDTH))
    noise = np.maximum(block.spread[here].astype(np.float64), 0.5)
    scene = Scene(
        block.mean[here].astype(np.float64),
        noise,
        block.maximum[here].astype(np.float64),
        block.frame[here].astype(np.int32),
        block.count,
        255.0,
    )
    lights.meteor(rng, scene, 1.1, False, signal, pace)
    maximum = np.clip(np.rint(scene.maximum), 0, 255).astype(np.uint8)
    return Drawn(Block(maximum, scene.frame, block.mean[here], block.spread[here], block.count), scene.lit)


def _hit(found: Sighting, drawn: Drawn) -> bool:
    """Whether a meteor was called, and its track lies on the injected light."""
    away = ndimage.distance_transform_edt(~drawn.lit["meteor"])
    rows, columns = away.shape
    for track in found.tracks:
        if track.kind == "meteor":
            steps = [
                away[min(max(round(p.y), 0), rows - 1), min(max(round(p.x), 0), columns - 1)] for p in track.points
            ]
            if np.median(steps) < NEAR_PX:
                return found.meteor
    return False


def thumbs(root: Path, judges: Sequence[Judge], step: int) -> Line:
    """How many of one night's thumbnails are flagged; some do hold meteors, which are not labelled."""
    listed = thumbnails(root)[::step]
    line = Line("thumbnails of one night, unlabelled (stills of 320 x 180)")
    for judge in judges:
        flagged = [index * step for index, block in enumerate(listed) if judge(block).meteor]
        line.shares[f"{judge.name}: flagged"] = (len(flagged), len(listed))
        say(f"{judge.name} flags thumbnails {flagged}")
    return line


def clip(root: Path, judges: Sequence[Judge]) -> Line:
    """The one clip of another station."""
    line = Line("clip of CZ0003, one meteor")
    for judge in judges:
        for path in sorted((root / "video").glob("*.mp4")):
            found = [
                judge(Block(stack.maximum, stack.frame, stack.mean, stack.spread, stack.count))
                for stack in stacks_of(path)
            ]
            line.shares[f"{judge.name}: found"] = (int(any(one.meteor for one in found)), 1)
            line.numbers[f"{judge.name}: score"] = max(one.score for one in found)
    return line


def quiet_skies(judges: Sequence[Judge], count: int) -> Line:
    """False alarms on simulated pictures without a meteor, full of everything else; of timed blocks by the hour."""
    line = Line("simulated pictures without a meteor")
    for judge in judges:
        blocks, stills, frames, alarms, still_alarms = 0, 0, 0, 0, 0
        for index in range(count):
            rng = np.random.default_rng((SEED + 1, index))
            drawn = simulated(rng, HEIGHT, WIDTH, negative=True)
            flagged = judge(drawn.block).meteor
            if drawn.block.frame is None:
                stills, still_alarms = stills + 1, still_alarms + flagged
            else:
                blocks, alarms, frames = blocks + 1, alarms + flagged, frames + drawn.block.count
        line.shares[f"{judge.name}: blocks flagged"] = (alarms, blocks)
        line.shares[f"{judge.name}: stills flagged"] = (still_alarms, stills)
        line.numbers[f"{judge.name}: false alarms an hour of 25 frames a second"] = (
            alarms * FRAMES_PER_HOUR / max(1, frames)
        )
    return line
