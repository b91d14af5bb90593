"""The quality network: tiles, the whole frame and measurements, each through a small encoder, to the
logits of OUTPUTS.
"""

import torch
from torch import Tensor, nn

from astrod_models.quality import FEATURES, OUTPUTS, TILE_PX, WHOLE_CHANNELS

_COMPRESSION = 0.25


def _stage(inputs: int, outputs: int, size: int = 3, stride: int = 2) -> nn.Sequential:
    """Less resolution, more meaning."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, size, stride=stride, padding=size // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


def _pooled(maps: Tensor) -> Tensor:
    """Mean and maximum over the image."""
    return torch.cat([maps.mean(dim=(2, 3)), maps.amax(dim=(2, 3))], dim=1)


class QualityNet(nn.Module):  # type: ignore[misc]  # torch is not followed
    """Logits of OUTPUTS from `tiles` (B, any, 48, 48), `whole` (B, 3, 128, 128), and `features`."""

    def __init__(self, mean: Tensor, spread: Tensor) -> None:
        """`mean` and `spread` standardise the features; both from the training samples."""
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("spread", spread)
        self.tile = nn.Sequential(_stage(2, 16, 5), _stage(16, 32), _stage(32, 48), _stage(48, 64))
        self.frame = nn.Sequential(
            _stage(WHOLE_CHANNELS, 24, 7, stride=4), _stage(24, 32), _stage(32, 48), _stage(48, 64)
        )
        self.numbers = nn.Sequential(nn.Linear(len(FEATURES), 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU())
        self.straight = nn.Linear(2 * len(FEATURES), len(OUTPUTS))
        self.mixed = nn.Sequential(
            nn.Linear(256 + 128 + 64, 96), nn.ReLU(), nn.Dropout(0.15), nn.Linear(96, len(OUTPUTS))
        )

    def forward(self, tiles: Tensor, whole: Tensor, features: Tensor) -> Tensor:
        """As the class says."""
        return self.read(self.look(tiles), self.survey(whole), self.count(features))

    def look(self, tiles: Tensor) -> Tensor:
        """What the stars look like: mean and maximum over the tiles of what is seen in each."""
        flat = tiles.reshape(-1, 1, TILE_PX, TILE_PX)
        grown = torch.exp(flat / _COMPRESSION)
        sigmas = 0.5 * (grown - 1.0 / grown)  # sinh, which ONNX exporters lack
        shape = sigmas / (sigmas.amax(dim=(2, 3), keepdim=True) + 3.0)
        seen = _pooled(self.tile(torch.cat([flat, shape], dim=1))).reshape(*tiles.shape[:2], 128)
        return torch.cat([seen.mean(dim=1), seen.amax(dim=1)], dim=1)

    def survey(self, whole: Tensor) -> Tensor:
        """What lies over the frame as a whole."""
        return _pooled(self.frame(whole))

    def count(self, features: Tensor) -> Tensor:
        """What the measurements say; and, behind that, they themselves and their squares."""
        scaled = torch.clamp((features - self.mean) / self.spread, -5.0, 5.0)
        return torch.cat([self.numbers(scaled), scaled, scaled * scaled], dim=1)

    def read(self, looked: Tensor, surveyed: Tensor, counted: Tensor) -> Tensor:
        """The logits: what all three say together, and a plain regression on the measurements beside it.

        The regression keeps a wide star suspect and a round one innocent on cameras whose looks are new.
        """
        mixed = self.mixed(torch.cat([looked, surveyed, counted[:, :64]], dim=1))
        logits: Tensor = mixed + self.straight(counted[:, 64:])
        return logits


class Calibrated(nn.Module):  # type: ignore[misc]  # as above
    """The network with its temperatures: what is exported. Its output `probabilities` follows OUTPUTS."""

    def __init__(self, network: QualityNet, slope: Tensor, shift: Tensor) -> None:
        """`slope` and `shift`: one for each output, fitted on samples that training never saw."""
        super().__init__()
        self.network = network
        self.register_buffer("slope", slope)
        self.register_buffer("shift", shift)

    def forward(self, tiles: Tensor, whole: Tensor, features: Tensor) -> Tensor:
        """Probabilities."""
        logits: Tensor = self.network(tiles, whole, features)
        return torch.sigmoid(logits * self.slope + self.shift)


def parameters(network: nn.Module) -> int:
    """How many numbers the network has learned."""
    return sum(parameter.numel() for parameter in network.parameters())


OUTPUT_COUNT = len(OUTPUTS)
