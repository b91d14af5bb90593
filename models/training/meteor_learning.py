"""How the meteor network learns: samples kept in files, turned and mirrored, now and then without their clock."""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from astrod_models.meteor import CELL_PX, CHANNELS, KINDS, MASK_PX
from training.meteor_blocks import SIDE_PX, UNSURE, Sample
from training.meteor_network import MeteorNet

BATCH = 32
KIND_WEIGHTS = (1.0, 0.5, 0.5)
MASK_FAVOUR, CELL_FAVOUR = 3.0, 2.0
CLOCKLESS = 0.12
LEARNING_PX = 128
"""Side of the part of a sample that is learned from at a time."""

_TIMED = [CHANNELS.index(name) for name in ("coherence", "slope", "timed")]


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """Many samples; arrays as in `Sample`, one more axis in front."""

    channels: NDArray[np.float16]
    mask: NDArray[np.uint8]
    labels: NDArray[np.uint8]

    def __len__(self) -> int:
        """How many there are."""
        return len(self.labels)


def drawn(name: str, count: int, seed: int, draw: Callable[[np.random.Generator], Sample], cache: Path) -> Samples:
    """`count` samples, from the files under `cache` where they are there, else drawn and kept there.

    Each sample has a generator of its own, so that fewer or more of them leave the first ones as they are.
    """
    cache.mkdir(parents=True, exist_ok=True)
    channels, rest = cache / f"{name}-{count}-channels.npy", cache / f"{name}-{count}-labels.npz"
    if not rest.is_file():
        started = time.monotonic()
        shape = (count, len(CHANNELS), SIDE_PX, SIDE_PX)
        kept = np.lib.format.open_memmap(channels, mode="w+", dtype=np.float16, shape=shape)
        mask = np.zeros((count, len(KINDS), SIDE_PX // MASK_PX, SIDE_PX // MASK_PX), dtype=np.uint8)
        labels = np.zeros((count, len(KINDS)), dtype=np.uint8)
        for index in range(count):
            one = draw(np.random.default_rng((seed, index)))
            kept[index], mask[index], labels[index] = one.channels, one.mask, one.labels
        kept.flush()
        np.savez_compressed(rest, mask=mask, labels=labels)
        say(f"drew {count} {name} in {time.monotonic() - started:.0f} s")
    with np.load(rest) as parts:
        return Samples(np.load(channels, mmap_mode="r"), parts["mask"], parts["labels"])


def joined(parts: list[Samples]) -> "Mixture":
    """Several sets as one."""
    return Mixture(parts)


class Mixture:
    """Several sets of samples, read one batch at a time."""

    def __init__(self, parts: list[Samples]) -> None:
        """At least one."""
        self._parts = parts
        self._starts = np.cumsum([0, *(len(part) for part in parts)])

    def __len__(self) -> int:
        """How many samples there are in all."""
        return int(self._starts[-1])

    def batch(self, where: NDArray[np.intp]) -> tuple[torch.Tensor, torch.Tensor]:
        """Channels and mask as float tensors."""
        channels, masks = [], []
        for index in np.sort(where):
            number = int(np.searchsorted(self._starts, index, side="right")) - 1
            part, at = self._parts[number], int(index - self._starts[number])
            channels.append(np.asarray(part.channels[at], dtype=np.float32))
            masks.append(part.mask[at])
        return torch.from_numpy(np.stack(channels)), torch.from_numpy(np.stack(masks)).float()


def train(network: MeteorNet, samples: Mixture, epochs: int, rate: float, seed: int) -> None:
    """Learn in place: AdamW, one warm cycle."""
    generator = torch.Generator().manual_seed(seed)
    steps = epochs * (len(samples) // BATCH)
    optimiser = torch.optim.AdamW(network.parameters(), lr=rate, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=max(steps + 1, 20), pct_start=0.15)
    network.train()
    for epoch in range(epochs):
        started, total, rounds = time.monotonic(), 0.0, len(samples) // BATCH
        order = torch.randperm(len(samples), generator=generator).numpy()
        for first in range(0, rounds * BATCH, BATCH):
            channels, mask = _turned(*samples.batch(order[first : first + BATCH]), generator)
            labels = _labels_of(mask)
            channels = channels.contiguous(memory_format=torch.channels_last)
            loss = loss_of(network(channels), mask, labels)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 2.0)
            optimiser.step()
            schedule.step()
            total += float(loss.detach())
        say(f"  epoch {epoch + 1}: loss {total / max(1, rounds):.4f}, {time.monotonic() - started:.0f} s")
    network.eval()


def _turned(
    channels: torch.Tensor, mask: torch.Tensor, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """A part of each, turned and mirrored; brighter or fainter by a little; some without frame numbers."""
    room = (SIDE_PX - LEARNING_PX) // CELL_PX + 1
    down, right = (CELL_PX * int(value) for value in torch.randint(0, room, (2,), generator=generator))
    channels = channels[:, :, down : down + LEARNING_PX, right : right + LEARNING_PX]
    small, top, left = LEARNING_PX // MASK_PX, down // MASK_PX, right // MASK_PX
    mask = mask[:, :, top : top + small, left : left + small]
    turn, mirror = (int(value) for value in torch.randint(0, 4, (2,), generator=generator))
    channels, mask = torch.rot90(channels, turn, (2, 3)), torch.rot90(mask, turn, (2, 3))
    if mirror % 2:
        channels, mask = channels.flip(3), mask.flip(3)
    channels = channels.clone()
    channels[:, 0] *= 0.85 + 0.3 * torch.rand((len(channels), 1, 1), generator=generator)
    clockless = torch.rand(len(channels), generator=generator) < CLOCKLESS
    channels[clockless.nonzero()[:, 0][:, None], torch.tensor(_TIMED)[None]] = 0.0
    return channels, mask


def _labels_of(mask: torch.Tensor) -> torch.Tensor:
    """What is there in each part, (B, 3): 1 from three sure cells on, UNSURE with fewer."""
    sure, unsure = ((mask == value).sum(dim=(2, 3)) for value in (1, UNSURE))
    labels = torch.where((sure > 0) | (unsure > 0), float(UNSURE), 0.0)
    return torch.where(sure >= 3, 1.0, labels)


def loss_of(
    said: tuple[torch.Tensor, torch.Tensor, torch.Tensor], mask: torch.Tensor, labels: torch.Tensor
) -> torch.Tensor:
    """Cross entropy of the pooled logits, of the cells and of the mask; what is UNSURE counts nothing."""
    chances, cells, small = said
    coarse = functional.max_pool2d(torch.where(mask == UNSURE, 0.0, mask), CELL_PX // MASK_PX)
    unsure = functional.max_pool2d((mask == UNSURE).float(), CELL_PX // MASK_PX) * (1.0 - coarse)
    coarse = torch.where(unsure > 0.0, float(UNSURE), coarse)
    loss = torch.zeros(())
    for index, weight in enumerate(KIND_WEIGHTS):
        loss = loss + weight * (
            _entropy(chances[:, index], labels[:, index], 1.0)
            + 4.0 * _entropy(cells[:, index], coarse[:, index], CELL_FAVOUR)
            + 4.0 * _entropy(small[:, index], mask[:, index], MASK_FAVOUR)
        )
    return loss


def _entropy(logits: torch.Tensor, truth: torch.Tensor, favour: float) -> torch.Tensor:
    sure = truth != UNSURE
    return functional.binary_cross_entropy_with_logits(
        logits, torch.where(sure, truth, 0.0), weight=sure.float(), pos_weight=torch.tensor(favour)
    )


def say(text: str) -> None:
    """To whoever watches."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
