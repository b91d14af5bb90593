"""The cloud network: what each cell of the map and its surroundings show, in the light of the whole picture.

Whether a patch without stars is a cloud depends on how many stars the rest shows. So the surroundings of a cell at
several scales and the whole picture are averaged beforehand (`astrod_models.cloud.features_of`), and the network is a
perceptron that all cells share: half a minute of one core trains it, milliseconds run it.
"""

import torch
from torch import Tensor, nn

from astrod_models.cloud import CELL_FEATURES, PICTURE_FEATURES, STATES

_PICTURE = 16


class CloudNet(nn.Module):  # type: ignore[misc]  # torch is not followed
    """Logits of each cell (N, 2: covered, sky) and of STATES (B, 3), from features standardised by `mean`, `spread`."""

    def __init__(self, cells: tuple[Tensor, Tensor], pictures: tuple[Tensor, Tensor]) -> None:
        """Means and spreads of the features of cells and of pictures, both from the training samples."""
        super().__init__()
        self.register_buffer("cell_mean", cells[0])
        self.register_buffer("cell_spread", cells[1])
        self.register_buffer("picture_mean", pictures[0])
        self.register_buffer("picture_spread", pictures[1])
        self.picture = nn.Sequential(
            nn.Linear(len(PICTURE_FEATURES), 48), nn.ReLU(), nn.Dropout(0.1), nn.Linear(48, _PICTURE), nn.ReLU()
        )
        self.cell = nn.Sequential(
            nn.Linear(len(CELL_FEATURES) + _PICTURE, 128),
            nn.ReLU(),
            nn.Dropout(0.1),
            nn.Linear(128, 64),
            nn.ReLU(),
            nn.Linear(64, 2),
        )
        self.state = nn.Linear(_PICTURE, len(STATES))

    def forward(self, cells: Tensor, picture: Tensor) -> tuple[Tensor, Tensor]:
        """Cells (B, N, features) of pictures (B, features): logits (B, N, 2) and (B, 3)."""
        seen = torch.clamp((cells - self.cell_mean) / self.cell_spread, -4.0, 4.0)
        whole = self.picture(torch.clamp((picture - self.picture_mean) / self.picture_spread, -4.0, 4.0))
        known = whole[:, None, :].expand(-1, cells.shape[1], -1)
        return self.cell(torch.cat([seen, known], dim=2)), self.state(whole)


class Calibrated(nn.Module):  # type: ignore[misc]  # as above
    """The network with its temperature: what is exported, for the cells of one picture."""

    def __init__(self, network: CloudNet, slope: float, shift: float) -> None:
        """`slope` and `shift` of what is covered, fitted on samples that training never saw."""
        super().__init__()
        self.network = network
        self.slope, self.shift = slope, shift

    def forward(self, cells: Tensor, picture: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Probabilities: `cloud` and `sky` (N,), `states` (1, 3)."""
        maps, states = self.network(cells[None], picture)
        cloud = torch.sigmoid(maps[0, :, 0] * self.slope + self.shift)
        return cloud, torch.sigmoid(maps[0, :, 1]), torch.sigmoid(states)


def parameters(network: nn.Module) -> int:
    """How many numbers the network has learned."""
    return sum(parameter.numel() for parameter in network.parameters())
