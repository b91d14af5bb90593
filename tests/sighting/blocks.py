"""Blocks of video for tests: a noisy sky with stars, and lights that move over it."""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from astrod_models.meteor import Block


@dataclass(frozen=True, slots=True)
class Light:
    """A light at (x, y) in frame `first`, gone after `frames`, at (vx, vy) pixels per frame."""

    x: float = 60.0
    y: float = 50.0
    vx: float = 4.0
    vy: float = 2.5
    first: int = 40
    frames: int = 15
    peak: float = 60.0
    width: float = 1.1

    def place(self, frame: float) -> tuple[float, float]:
        """Where it is in a frame."""
        return self.x + self.vx * (frame - self.first), self.y + self.vy * (frame - self.first)


METEOR = Light()
SATELLITE = Light(x=40.0, y=30.0, vx=0.35, vy=0.25, first=0, frames=256, peak=40.0)


@cache
def frames_of(
    *lights: Light, shape: tuple[int, int] = (160, 224), count: int = 256, seed: int = 1
) -> NDArray[np.uint8]:
    """The video, (count, height, width); drawn once, so not to be changed."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    sky = 40.0 + 0.05 * columns
    for _star in range(12):
        x, y = rng.uniform(0, shape[1]), rng.uniform(0, shape[0])
        sky = sky + 40.0 * rng.random() * np.exp(-0.5 * ((columns - x) ** 2 + (rows - y) ** 2) / 1.2)
    video = np.empty((count, *shape), dtype=np.uint8)
    for frame in range(count):
        image = sky + 3.0 * rng.standard_normal(shape)
        for light in lights:
            since = frame - light.first
            if 0 <= since < light.frames:
                x, y = light.place(frame)
                curve = 0.4 + 0.6 * np.sin(np.pi * (since + 0.5) / light.frames)
                for part in np.linspace(-0.5, 0.5, 5):
                    u, v = x + part * light.vx, y + part * light.vy
                    across = np.exp(-0.5 * ((np.arange(shape[1]) - u) / light.width) ** 2)
                    down = np.exp(-0.5 * ((np.arange(shape[0]) - v) / light.width) ** 2)
                    image += light.peak * curve / 3.0 * down[:, None] * across
        video[frame] = np.clip(np.rint(image), 0, 255)
    video.setflags(write=False)
    return video


def block_of(video: NDArray[np.uint8]) -> Block:
    """What RMS keeps of it: 8 bits each, mean and spread without the brightest frame."""
    count = len(video)
    top = video.max(axis=0).astype(np.float64)
    total, squares = video.sum(axis=0, dtype=np.float64), (video.astype(np.float64) ** 2).sum(axis=0)
    mean = (total - top) / (count - 1)
    spread = np.sqrt(np.maximum((squares - top**2) / (count - 1) - mean**2, 0.0))
    return Block(
        video.max(axis=0),
        video.argmax(axis=0).astype(np.uint8),
        np.rint(mean).astype(np.uint8),
        np.maximum(np.rint(spread), 1.0).astype(np.uint8),
        count,
    )
