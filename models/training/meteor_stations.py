"""The real station's data, where it is there: stacks with their confirmed tracks, thumbnails, one clip.

../shared/data/meteor/{ff,thumbs,video}, tracks.csv (see its README for whose they are)
"""

import csv
import gzip
import json
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from astrod_models.meteor import Block
from training.meteor_blocks import erased

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Confirmed:
    """A stack and the tracks confirmed on it, each (n, 3): frame, x, y."""

    name: str
    block: Block
    tracks: tuple[Floats, ...]

    def erased(self, seed: int) -> Block:
        """The stack with its confirmed meteors taken out."""
        block, rng = self.block, np.random.default_rng(seed)
        for track in self.tracks:
            block = erased(rng, block, track[:, 1:])
        return block


def confirmed(folder: Path) -> list[Confirmed]:
    """All stacks under `folder`/ff; none where there are none."""
    tracks = _tracks(folder / "tracks.csv") if (folder / "tracks.csv").is_file() else {}
    return [
        Confirmed(path.name, _block(path), tuple(tracks.get(path.name.removesuffix(".gz"), ())))
        for path in sorted((folder / "ff").glob("FF_*.fits*"))
    ]


def _tracks(path: Path) -> dict[str, list[Floats]]:
    found: dict[str, list[Floats]] = {}
    with path.open(newline="", encoding="utf-8") as lines:
        for row in csv.DictReader(lines):
            track = np.array(json.loads(row["track"]), dtype=np.float64)[:, :3]
            found.setdefault(row["ff"], []).append(track)
    return found


def _block(path: Path) -> Block:
    content = path.read_bytes()
    content = gzip.decompress(content) if path.suffix == ".gz" else content
    with fits.open(BytesIO(content)) as hdus:
        planes = {hdu.name: np.array(hdu.data) for hdu in hdus[1:]}
        count = int(hdus[0].header.get("NFRAMES", 256))
    return Block(planes["MAXPIXEL"], planes["MAXFRAME"], planes["AVEPIXEL"], planes["STDPIXEL"], count)


def thumbnails(folder: Path) -> list[Block]:
    """All thumbnails under `folder`/thumbs, in order of time."""
    from PIL import Image

    return [Block(np.asarray(Image.open(path).convert("L"))) for path in sorted((folder / "thumbs").glob("*.png"))]
