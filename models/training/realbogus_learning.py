"""How the real-or-bogus network learns from mixtures of examples, and what it says of others."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray

from training.realbogus_examples import Examples, code_digest, joined
from training.realbogus_network import RealBogusNet

BATCH = 64
NUMBERS_DROPPED = 0.15
WEAK_REAL, WEAK_BOGUS = 0.97, 0.04
"""Targets of alerts that only another classifier called real or bogus."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Mixture:
    """Examples, how often each is drawn (sums to 1), and what is wanted of each."""

    examples: Examples
    chances: Floats
    targets: NDArray[np.float32]


def mixture(parts: list[tuple[Examples, float, float]]) -> Mixture:
    """Of each part: the examples, their share of a batch, and the share of real ones among them."""
    chances, targets = [], []
    for examples, share, real_share in parts:
        each = np.where(examples.real, 1.0, _evened(examples.kind))
        real = each[examples.real].sum()
        each *= np.where(examples.real, real_share / max(real, 1e-9), (1.0 - real_share) / max(each.sum() - real, 1e-9))
        chances.append(each / each.sum() * share)
        wanted = examples.real.astype(np.float32)
        weak = examples.of_kind("alert") | examples.of_kind("alert bogus")
        targets.append(np.where(weak, np.where(examples.real, WEAK_REAL, WEAK_BOGUS), wanted).astype(np.float32))
    together = np.concatenate(chances)
    return Mixture(joined([part for part, *_shares in parts]), together / together.sum(), np.concatenate(targets))


def _evened(kind: NDArray[np.int16]) -> Floats:
    """Weights by which rare kinds of bogus are drawn more often than they are, by the root of their number."""
    _kinds, which, counts = np.unique(kind, return_inverse=True, return_counts=True)
    weights: Floats = (1.0 / np.sqrt(counts))[which]
    return weights


def fresh(examples: Examples, seed: int) -> RealBogusNet:
    """An untrained network for features like these."""
    torch.manual_seed(seed)
    middle = np.median(examples.features, axis=0)
    spread = examples.features.std(axis=0) + 1e-3
    network = RealBogusNet(torch.from_numpy(middle), torch.from_numpy(spread))
    return cast(RealBogusNet, network.to(memory_format=torch.channels_last))


def learn(network: RealBogusNet, mixed: Mixture, steps: int, rate: float, seed: int) -> float:
    """Learn in place for so many batches; returns the mean loss of the last tenth. Cut-outs turn and mirror."""
    generator = torch.Generator().manual_seed(seed)
    rng = np.random.default_rng(seed)
    optimiser = torch.optim.AdamW(network.parameters(), lr=rate, weight_decay=2e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=max(steps, 10), pct_start=0.2)
    torch.manual_seed(seed)
    network.train()
    drawn = rng.choice(len(mixed.examples), size=(steps, BATCH), p=mixed.chances)
    losses = []
    for where in drawn:
        view = turned(torch.from_numpy(mixed.examples.view[where].astype(np.float32)), int(rng.integers(8)))
        features = _disturbed(network, torch.from_numpy(mixed.examples.features[where]), generator)
        logits = network(view, features)
        loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, torch.from_numpy(mixed.targets[where]))
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 2.0)
        optimiser.step()
        schedule.step()
        losses.append(float(loss.detach()))
    network.eval()
    return float(np.mean(losses[-max(1, steps // 10) :]))


@dataclass(frozen=True, slots=True)
class Stages:
    """Networks after each stage, kept in the cache: a run that was broken off goes on where it was."""

    folder: Path
    tag: str

    def after(self, name: str, network: RealBogusNet, teach: Callable[[], float]) -> RealBogusNet:
        """The network as it is once taught; `teach` is not called where an earlier run did."""
        path = self.folder / f"realbogus-{name}-{self.tag}.pt"
        if path.exists():
            network.load_state_dict(torch.load(path, weights_only=True))
            network.eval()
            return network
        teach()
        self.folder.mkdir(parents=True, exist_ok=True)
        torch.save(network.state_dict(), path)
        return network


def stages(what: str, folder: Path) -> Stages:
    """The stages of this code and of `what`, which names sizes and seeds."""
    here = Path(__file__).parent
    code = b"".join((here / f"realbogus_{name}.py").read_bytes() for name in ("learning", "network"))
    tag = hashlib.sha256(f"{what} {code_digest()}".encode() + code).hexdigest()[:12]
    return Stages(folder, tag)


def turned(view: torch.Tensor, way: int) -> torch.Tensor:
    """One of the eight orientations of a square."""
    out = torch.rot90(view, way % 4, (2, 3))
    if way >= 4:
        out = out.flip(3)
    return out.contiguous(memory_format=torch.channels_last)


def _disturbed(network: RealBogusNet, features: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Measurements a little wrong, and now and then all of them missing, so that they are not leant on."""
    shaken = features + 0.08 * network.spread * torch.randn(features.shape, generator=generator)
    missing = torch.rand((len(features), 1), generator=generator) < NUMBERS_DROPPED
    return torch.where(missing, network.mean, shaken)


def logits_of(network: RealBogusNet, examples: Examples, ways: tuple[int, ...] = (0,)) -> Floats:
    """What the network says of each example, the mean over these orientations."""
    answers = []
    with torch.no_grad():
        for first in range(0, len(examples), 256):
            part = slice(first, first + 256)
            view = torch.from_numpy(examples.view[part].astype(np.float32))
            features = torch.from_numpy(examples.features[part])
            answers.append(np.mean([network(turned(view, way), features).numpy() for way in ways], axis=0))
    return np.concatenate(answers).astype(np.float64) if answers else np.empty(0)
