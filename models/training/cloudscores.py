"""How good the cloud map is: against the truth of simulated pictures, beside baselines; and on real pictures.

Cells of one picture are not independent, so intervals (Wilson 1927) are of pictures, areas under the curve of cells.
"""

import csv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from astrod.domain.instant import DAY_US, HOUR_US
from astrod.judge.cloud import classical, features_of
from astrod.overcast import centres, survey, survey_plane
from astrod_drivers.protocols import SiteFix
from astrod_drivers.sim.fisheye import WholeSky, covered, render
from astrod_drivers.sim.scene import Cloud
from astrod_models.cloud import CHANNELS, FACTS, GRID, RASTER, STATES
from training.clouddata import QUANTUM, Samples
from training.scores import auc, wilson

Cells = NDArray[np.float32]
Baselines = dict[str, Callable[[Samples], Cells]]

CLEAR, COVERED = 0.1, 0.9
_NEAR = 0.15

THUMBS_CLEAR = (*range(84, 132, 2), *range(198, 222, 2))
THUMBS_COVERED = tuple(range(300, 640, 6))
"""Of the 703 thumbnails of a night: those that are clear, and those that are covered, to the eye."""


@dataclass(frozen=True, slots=True, eq=False)
class Map:
    """What was said of samples: the map (n, 48, 48) and the states (n, 3)."""

    cloud: Cells
    states: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Line:
    """One judge on one set. `near` of `pictures` have their covered share within 0.15 of the truth."""

    auc: float
    balanced: float
    near: int
    pictures: int
    bias: float


@dataclass(frozen=True, slots=True)
class Scores:
    """The model's line, the baselines', how honest the probabilities are, and the states found."""

    model: Line
    beside: dict[str, Line]
    calibration_error: float
    states: dict[str, tuple[int, int, int, int]]
    cells: int

    def toml(self) -> str:
        """As a section of the card."""
        low, high = wilson(self.model.near, self.model.pictures)
        text = f"pictures = {self.model.pictures}\ncells = {self.cells}\n"
        text += f"cells_auc = {self.model.auc:.3f}\ncells_balanced = {self.model.balanced:.3f}\n"
        text += f"fraction_near = {self.model.near}\nfraction_near_interval = [{low:.3f}, {high:.3f}]\n"
        text += f"fraction_bias = {self.model.bias:.3f}\ncalibration_error = {self.calibration_error:.3f}\n"
        for name, line in self.beside.items():
            text += f'"{name}" = {{ cells_auc = {line.auc:.3f}, cells_balanced = {line.balanced:.3f}, '
            text += f"fraction_near = {line.near} }}\n"
        for name, (hits, positives, alarms, negatives) in self.states.items():
            text += f'"{name}" = {{ found = {hits}, of = {positives}, false = {alarms}, of_others = {negatives} }}\n'
        return text


def scored(said: Map, truth: Samples, beside: Baselines) -> Scores:
    """The scores of a map on samples."""
    night = truth.known.any(axis=(1, 2))
    others = {name: _line(judge(truth), truth, night) for name, judge in beside.items()}
    states = {}
    for index, name in enumerate(STATES):
        is_so, told = truth.states[:, index] > 0.5, said.states[:, index] >= 0.5
        states[name] = (int((told & is_so).sum()), int(is_so.sum()), int((told & ~is_so).sum()), int((~is_so).sum()))
    error = _calibration_error(said.cloud[truth.known], truth.covered[truth.known])
    return Scores(_line(said.cloud, truth, night), others, error, states, int(truth.known.sum()))


def _line(cloud: Cells, truth: Samples, night: NDArray[np.bool_]) -> Line:
    sure = truth.known & ((truth.covered < CLEAR) | (truth.covered > COVERED))
    is_covered, told = truth.covered[sure] > 0.5, cloud[sure]
    hit = float((told[is_covered] >= 0.5).mean()) if is_covered.any() else 1.0
    free = float((told[~is_covered] < 0.5).mean()) if (~is_covered).any() else 1.0
    weight = truth.known[night]
    count = np.maximum(weight.sum(axis=(1, 2)), 1)
    share = (np.where(weight, cloud[night], 0.0)).sum(axis=(1, 2)) / count
    real = (np.where(weight, truth.covered[night], 0.0)).sum(axis=(1, 2)) / count
    near = int((np.abs(share - real) <= _NEAR).sum())
    area = auc(told.astype(np.float64), np.asarray(is_covered))
    return Line(area, 0.5 * (hit + free), near, int(night.sum()), float((share - real).mean()))


def _calibration_error(said: Cells, truth: Cells) -> float:
    """The mean distance between what was said and what was so, over ten bins of what was said."""
    bins = np.minimum((said * 10).astype(int), 9)
    error = sum(abs(float((said[bins == b] - truth[bins == b]).sum())) for b in range(10))
    return error / max(1, said.size)


def baselines(train: Samples) -> Baselines:
    """Stars alone, the sky's level alone, all of the stand-in's measures, and chance; fitted on training cells."""
    names = {"stars alone": [0, 1, 2, 3, 5], "sky level alone": [0, 6, 7], "stand-in": list(range(9))}
    fits = {name: fitted(train, columns) for name, columns in names.items()}
    judges: Baselines = {name: _regression(weights) for name, weights in fits.items()}
    mean = float(train.covered[train.known].mean())
    judges["chance"] = lambda asked: np.full(asked.covered.shape, mean, dtype=np.float32)
    return judges


def _regression(weights: NDArray[np.float64]) -> Callable[[Samples], Cells]:
    def judge(asked: Samples) -> Cells:
        maps = [1.0 / (1.0 + np.exp(-np.clip(_features(asked, i) @ weights, -30, 30))) for i in range(len(asked))]
        return np.stack(maps).astype(np.float32)

    return judge


def _features(asked: Samples, index: int) -> NDArray[np.float64]:
    return features_of(asked.rasters[index].astype(np.float32) * np.float32(QUANTUM), asked.facts[index])


def fitted(train: Samples, columns: list[int]) -> NDArray[np.float64]:
    """A logistic regression on some of the stand-in's features, every picture counting alike; 0 for the others."""
    design, label, weight = [], [], []
    for index in range(min(len(train), 600)):
        known = train.known[index]
        if known.sum() >= 20:
            design.append(_features(train, index)[known])
            label.append(train.covered[index][known])
            weight.append(np.full(int(known.sum()), 1.0 / known.sum()))
    x, y, w = np.concatenate(design)[:, columns], np.concatenate(label), np.concatenate(weight)
    found = np.zeros(len(columns))
    for _step in range(15):
        chance = 1.0 / (1.0 + np.exp(-np.clip(x @ found, -30, 30)))
        slope = x.T @ (w * (y - chance)) - 1e-2 * found
        bend = (x * (w * chance * (1.0 - chance))[:, None]).T @ x + 1e-2 * np.eye(len(columns))
        found = found + np.linalg.solve(bend, slope)
    weights = np.zeros(9)
    weights[columns] = found
    return weights


def real_pictures(weights: Path, data: Path) -> dict[str, str]:
    """Real pictures that no part of this ever learned from, where they are: sections of the card by name."""
    sections = {"the simulated observatory's own camera": observatory(weights, 60)}
    mango = _mango(weights, data / "cloud")
    if mango:
        sections["MANGO airglow frames, clear or not"] = mango
    thumbs = _thumbs(weights, data / "meteor" / "thumbs")
    if thumbs:
        sections["one night of a meteor camera, by eye"] = thumbs
    return sections


def observatory(weights: Path | None, count: int) -> str:
    """Pictures of the simulated observatory's own all-sky camera, which shares no code with the training's."""
    dice = np.random.default_rng(71)
    sparse = np.add.outer(np.arange(GRID) % 3, 3 * (np.arange(GRID) % 3)) == 4  # neighbours tell much the same
    cells: dict[str, list[NDArray[np.float64]]] = {"model": [], "stand-in": [], "stars": [], "truth": []}
    near = pictures = 0
    for index in range(count):
        sky = _observatory_sky(dice, index)
        seen = survey_plane(render(sky).astype(np.float32), weights)
        if seen.raster.clipped > 0.3:
            continue
        pictures += 1
        x, y = centres(seen.raster)
        azimuth, altitude = sky.lens.direction(x, y)
        chance = seen.verdict.chance
        shown = seen.raster.seen & (altitude > 12.0) & sparse
        taken = np.array([covered(sky, *place) for place in zip(azimuth[shown], altitude[shown], strict=True)])
        magnitudes = -2.5 * np.log10(np.maximum(1.0 - taken, 1e-4))
        said = np.full(magnitudes.size, 0.5) if chance is None else np.nan_to_num(chance[shown], nan=0.5)
        cells["model"].append(said)
        cells["stand-in"].append(classical(seen.raster).cloud[shown].astype(np.float64))
        cells["stars"].append(-_cells_of(seen.raster.channels[CHANNELS.index("density")])[shown])
        cells["truth"].append(magnitudes)
        near += abs(float(said.mean()) - float(np.clip((magnitudes - 0.15) / 0.4, 0.0, 1.0).mean())) <= _NEAR
    magnitudes = np.concatenate(cells.pop("truth"))
    sure = (magnitudes < 0.15) | (magnitudes > 0.55)
    areas = {name: auc(np.concatenate(values)[sure], magnitudes[sure] > 0.3) for name, values in cells.items()}
    low, high = wilson(near, pictures)
    return (
        f"pictures = {pictures}\ncells = {int(sure.sum())}\ncells_auc = {areas['model']:.3f}\n"
        f"fraction_near = {near}\nfraction_near_interval = [{low:.3f}, {high:.3f}]\n"
        f"stand_in_auc = {areas['stand-in']:.3f}\nfew_stars_auc = {areas['stars']:.3f}\n"
    )


def _observatory_sky(dice: np.random.Generator, index: int) -> WholeSky:
    """Any night, clouds of any cover and thickness, a dark site or a town; a third of them clear, a fifth overcast."""
    cover = float(dice.choice([0.0, 0.999, dice.uniform(0.1, 0.9)], p=[0.3, 0.2, 0.5]))
    cloud = Cloud(
        cover=cover, thickness_mag=float(dice.uniform(0.6, 6.0)), seed=index, height_m=dice.uniform(1500, 9000)
    )
    return WholeSky(
        seed=index,
        site=SiteFix(float(dice.uniform(-50.0, 60.0)), 0.0, 500.0),
        at_us=(20_700 + int(dice.integers(0, 365))) * DAY_US + int(dice.uniform(-3.0, 3.0) * HOUR_US),
        exposure_s=float(dice.uniform(3.0, 15.0)),
        cloud=cloud if cover else None,
        dark_sky_mag=float(dice.uniform(19.5, 21.8)),
        town_light=float(np.exp(dice.uniform(np.log(0.1), np.log(5.0)))),
    )


def _cells_of(channel: NDArray[np.float32]) -> NDArray[np.float64]:
    """A channel on the map's grid."""
    side = RASTER // GRID
    return channel.reshape(GRID, side, GRID, side).mean(axis=(1, 3)).astype(np.float64)


def _mango(weights: Path, folder: Path) -> str:
    labels = folder / "mango_labels.csv"
    if not labels.exists():
        return ""
    with labels.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["clear_sky"] in ("Y", "N")]
    pictures = [folder / "mango" / (row["name"].rsplit(".", 1)[0] + ".fits.gz") for row in rows]
    return _told(pictures, [row["clear_sky"] == "N" for row in rows], weights)


def _thumbs(weights: Path, folder: Path) -> str:
    sets = ((THUMBS_CLEAR, False), (THUMBS_COVERED, True))
    pictures = [(folder / f"{number:04d}.png", covered) for numbers, covered in sets for number in numbers]
    there = [(path, covered) for path, covered in pictures if path.exists()]
    return _told([path for path, _ in there], [covered for _, covered in there], weights) if there else ""


def _told(pictures: list[Path], covered: list[bool], weights: Path) -> str:
    """How the covered share separates pictures, and how many fall on the right side of a half; beside baselines."""
    shares, stand_ins, stars, truth, mapless = [], [], [], [], 0
    for path, is_covered in zip(pictures, covered, strict=True):
        seen = survey(path, weights=weights)
        stand_ins.append(float(classical(seen.raster).cloud[seen.raster.seen].mean()))
        stars.append(-float(seen.raster.facts[FACTS.index("log_stars")]))
        truth.append(is_covered)
        mapless += seen.verdict.fraction is None
        shares.append(0.5 if seen.verdict.fraction is None else seen.verdict.fraction)
    is_so, said = np.array(truth, dtype=bool), np.array(shares)
    hits, free = int((said[is_so] > 0.5).sum()), int((said[~is_so] < 0.5).sum())
    low, high = wilson(hits + free, is_so.size)
    return (
        f"covered_told = {hits}\ncovered = {int(is_so.sum())}\nclear_told = {free}\nclear = {int((~is_so).sum())}\n"
        f"right_interval = [{low:.3f}, {high:.3f}]\nwithout_a_map = {mapless}\nauc = {auc(said, is_so):.3f}\n"
        f"stand_in_auc = {auc(np.array(stand_ins), is_so):.3f}\nfew_stars_auc = {auc(np.array(stars), is_so):.3f}\n"
    )
