"""The real-or-bogus network: the candidate's middle at full size, the whole cut-out, and measurements; one logit."""

import torch
from torch import Tensor, nn

from astrod_models.stamps import COMPRESSION, FEATURES, SIDE

MIDDLE_PX = 31
_FIRST = SIDE // 2 - MIDDLE_PX // 2


def _stage(inputs: int, outputs: int, size: int = 3, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, size, stride=stride, padding=size // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


class RealBogusNet(nn.Module):  # type: ignore[misc]  # torch is not followed
    """Logit of "real" from `view` (B, 5, 63, 63) and `features` (B, 26)."""

    def __init__(self, mean: Tensor, spread: Tensor) -> None:
        """`mean` and `spread` standardise the features; both from the training samples."""
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("spread", spread)
        self.middle = nn.Sequential(
            _stage(6, 24), _stage(24, 32, stride=2), _stage(32, 40, stride=2), _stage(40, 48), nn.Flatten()
        )
        self.gathered = nn.Sequential(nn.Linear(48 * 64, 32), nn.ReLU(), nn.Dropout(0.2))
        self.whole = nn.Sequential(
            _stage(5, 16, 5, stride=2), _stage(16, 24, stride=2), _stage(24, 32, stride=2), _stage(32, 40, stride=2)
        )
        self.numbers = nn.Sequential(nn.Linear(len(FEATURES), 48), nn.ReLU(), nn.Linear(48, 32), nn.ReLU())
        self.read = nn.Sequential(nn.Linear(32 + 80 + 32, 64), nn.ReLU(), nn.Dropout(0.2), nn.Linear(64, 1))

    def forward(self, view: Tensor, features: Tensor) -> Tensor:
        """Logits (B,)."""
        middle = view[:, :, _FIRST : _FIRST + MIDDLE_PX, _FIRST : _FIRST + MIDDLE_PX]
        near = self.gathered(self.middle(torch.cat([middle, _shape(middle[:, 2:3])], dim=1)))
        far = self.whole(view)
        around = torch.cat([far.mean(dim=(2, 3)), far.amax(dim=(2, 3))], dim=1)
        counted = self.numbers(torch.clamp((features - self.mean) / self.spread, -4.0, 4.0))
        logits: Tensor = self.read(torch.cat([near, around, counted], dim=1))[:, 0]
        return logits


def _shape(difference: Tensor) -> Tensor:
    """The difference in units of its highest pixel near the middle, whatever its strength."""
    grown = torch.exp(difference / COMPRESSION)
    sigmas = 0.5 * (grown - 1.0 / grown)  # sinh, which ONNX exporters lack
    middle = MIDDLE_PX // 2
    peak = sigmas[:, :, middle - 1 : middle + 2, middle - 1 : middle + 2].abs().amax(dim=(2, 3), keepdim=True)
    return torch.clamp(sigmas / (peak + 3.0), -1.5, 1.5)


class Calibrated(nn.Module):  # type: ignore[misc]  # as above
    """The network with its temperature: what is exported. Its output `probabilities` is (B,)."""

    def __init__(self, network: RealBogusNet, slope: float, shift: float) -> None:
        """Probability = sigmoid(logit × slope + shift)."""
        super().__init__()
        self.network = network
        self.slope, self.shift = slope, shift

    def forward(self, view: Tensor, features: Tensor) -> Tensor:
        """Probabilities."""
        return torch.sigmoid(self.network(view, features) * self.slope + self.shift)


def parameters(network: nn.Module) -> int:
    """How many numbers the network has learned."""
    return sum(parameter.numel() for parameter in network.parameters())
