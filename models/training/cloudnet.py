"""The cloud network: a small U-shaped net from the raster (192 cells) to the map (48 cells), and what the picture is.

What is far away counts: whether a patch without stars is a cloud depends on how many stars the rest shows. So the net
looks at the whole picture at its narrowest, where the facts join, and the map is drawn with that in mind.
"""

import torch
from torch import Tensor, nn

from astrod_models.cloud import CHANNELS, FACTS, STATES


def _block(inputs: int, outputs: int, size: int = 3, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, size, stride=stride, padding=size // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


class CloudNet(nn.Module):  # type: ignore[misc]  # torch is not followed
    """Logits of the map (B, 2, 48, 48: covered, sky) and of STATES (B, 3)."""

    def __init__(self, mean: Tensor, spread: Tensor) -> None:
        """`mean` and `spread` standardise the facts; both from the training samples."""
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("spread", spread)
        self.stem = _block(len(CHANNELS), 16, 5, 2)  # 96
        self.down1 = _block(16, 28, 3, 2)  # 48
        self.here = _block(28, 28)
        self.down2 = _block(28, 40, 3, 2)  # 24
        self.down3 = _block(40, 56, 3, 2)  # 12
        self.down4 = _block(56, 64, 3, 2)  # 6
        self.whole = nn.Sequential(nn.Linear(2 * 64 + len(FACTS), 40), nn.ReLU(inplace=True))
        self.up3 = _block(64 + 56 + 40, 40)
        self.up2 = _block(40 + 40, 24)
        self.up1 = _block(24 + 28, 24)
        self.map = nn.Conv2d(24, 2, 1)
        self.state = nn.Linear(40, len(STATES))

    def forward(self, raster: Tensor, facts: Tensor) -> tuple[Tensor, Tensor]:
        """As the class says."""
        at48 = self.here(self.down1(self.stem(raster)))
        at24 = self.down2(at48)
        at12 = self.down3(at24)
        at6 = self.down4(at12)
        known = torch.clamp((facts - self.mean) / self.spread, -4.0, 4.0)
        whole = self.whole(torch.cat([at6.mean(dim=(2, 3)), at6.amax(dim=(2, 3)), known], dim=1))
        around = whole[:, :, None, None].expand(-1, -1, 12, 12)
        drawn = self.up3(torch.cat([_grown(at6), at12, around], dim=1))
        drawn = self.up2(torch.cat([_grown(drawn), at24], dim=1))
        drawn = self.up1(torch.cat([_grown(drawn), at48], dim=1))
        return self.map(drawn), self.state(whole)


def _grown(maps: Tensor) -> Tensor:
    return nn.functional.interpolate(maps, scale_factor=2.0, mode="nearest")


class Calibrated(nn.Module):  # type: ignore[misc]  # as above
    """The network with its temperature: what is exported."""

    def __init__(self, network: CloudNet, slope: float, shift: float) -> None:
        """`slope` and `shift` of the map's first layer, fitted on samples that training never saw."""
        super().__init__()
        self.network = network
        self.slope, self.shift = slope, shift

    def forward(self, raster: Tensor, facts: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Probabilities: `cloud` and `sky` (B, 48, 48), `states` (B, 3)."""
        maps, states = self.network(raster, facts)
        cloud = torch.sigmoid(maps[:, 0] * self.slope + self.shift)
        return cloud, torch.sigmoid(maps[:, 1]), torch.sigmoid(states)


def parameters(network: nn.Module) -> int:
    """How many numbers the network has learned."""
    return sum(parameter.numel() for parameter in network.parameters())
