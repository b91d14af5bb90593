"""The meteor network: convolutions only, a class map pooled to chances, a mask, and its own Grad-CAM.

The chances are pooled by a soft maximum over the cells of the class map, which is linear in the last layer: so the
weights of the last layer in Grad-CAM are the linear weights themselves. For the layer before, the gradient is
computed by an explicit backward pass (transposed convolutions, masks where ReLU was off), part of the exported
graph, so that at run time no automatic differentiation is needed.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from astrod_models.meteor import CHANNELS, KINDS

SHARPNESS = 4.0
"""Of the soft maximum: large follows the one strongest cell, small hears many weak ones."""


class Stage(nn.Module):  # type: ignore[misc]  # torch is not followed
    """A convolution, normalised, then ReLU; `residual` adds its input."""

    def __init__(self, inputs: int, outputs: int, size: int = 3, stride: int = 1, dilation: int = 1) -> None:
        """Residual where shape and stride allow."""
        super().__init__()
        self.convolution = nn.Conv2d(
            inputs, outputs, size, stride=stride, padding=dilation * (size // 2), dilation=dilation, bias=False
        )
        self.norm = nn.BatchNorm2d(outputs)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, maps: Tensor) -> Tensor:
        """As the class says."""
        grown = functional.relu(self.norm(self.convolution(maps)))
        return maps + grown if self.residual else grown

    def kernel(self) -> Tensor:
        """The convolution's weights with the normalisation of inference folded in."""
        scale = self.norm.weight / torch.sqrt(self.norm.running_var + self.norm.eps)
        return self.convolution.weight * scale[:, None, None, None]

    def back(self, gradient: Tensor, before: Tensor, after: Tensor) -> Tensor:
        """The gradient at the input, from that at the output; `before` and `after` are input and output."""
        grown = after - before if self.residual else after
        through = gradient * (grown > 0).to(gradient.dtype)
        stride = self.convolution.stride[0]
        spread = functional.conv_transpose2d(
            through,
            self.kernel(),
            stride=stride,
            padding=self.convolution.padding,
            output_padding=stride - 1,
            dilation=self.convolution.dilation,
        )
        return gradient + spread if self.residual else spread


class MeteorNet(nn.Module):  # type: ignore[misc]  # as above
    """Logits of KINDS, their map at 1/16, and mask logits at 1/4, from channels (B, 6, 16 h, 16 w)."""

    def __init__(self) -> None:
        """Untrained."""
        super().__init__()
        self.stem = Stage(len(CHANNELS), 16, 5, stride=2)
        self.fine = nn.Sequential(Stage(16, 24, stride=2), Stage(24, 24))
        self.middle = nn.Sequential(Stage(24, 40, stride=2), Stage(40, 40), Stage(40, 40, dilation=2))
        self.deep = nn.Sequential(
            Stage(40, 64, stride=2), Stage(64, 64), Stage(64, 64, dilation=2), Stage(64, 64, dilation=4)
        )
        self.classes = nn.Conv2d(64, len(KINDS), 1)
        self.lift_deep = nn.Conv2d(64, 24, 1)
        self.lift_middle = nn.Conv2d(40, 24, 1)
        self.blend = Stage(24, 24)
        self.mask = nn.Conv2d(24, len(KINDS), 1)

    def layers(self, channels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The features at 1/4, 1/8 and 1/16."""
        fine = self.fine(self.stem(channels))
        middle = self.middle(fine)
        return fine, middle, self.deep(middle)

    def forward(self, channels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Pooled logits (B, 3), map (B, 3, h, w), mask logits (B, 3, 4 h, 4 w)."""
        fine, middle, deep = self.layers(channels)
        cells = self.classes(deep)
        return pooled(cells), cells, self.masked(fine, middle, deep)

    def masked(self, fine: Tensor, middle: Tensor, deep: Tensor) -> Tensor:
        """The mask's logits."""
        coarse = self.lift_middle(middle) + functional.interpolate(
            self.lift_deep(deep), scale_factor=2.0, mode="nearest"
        )
        logits: Tensor = self.mask(self.blend(fine + functional.interpolate(coarse, scale_factor=2.0, mode="nearest")))
        return logits


def pooled(cells: Tensor) -> Tensor:
    """The soft maximum over a map: the mean of e^(s·logit), its logarithm over s, plus a constant for the area.

    The constant makes one sure cell count the same in an image of any size.
    """
    flat = cells.flatten(2) * SHARPNESS
    return torch.logsumexp(flat, dim=2) / SHARPNESS


class Eye(nn.Module):  # type: ignore[misc]  # as above
    """What is exported: calibrated chances, cells, mask, and the attention of the first kind.

    The attention is the product, by geometric mean, of Grad-CAM at the last layer (1/16) and at the one before (1/8),
    each scaled to its maximum, at the mask's size.
    """

    def __init__(self, network: MeteorNet, slope: Tensor, shift: Tensor) -> None:
        """`slope` and `shift` calibrate each logit; both (3,)."""
        super().__init__()
        self.network = network
        self.register_buffer("slope", slope)
        self.register_buffer("shift", shift)

    def forward(self, channels: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """chances (B, 3), cells (B, 3, h, w), mask (B, 3, 4 h, 4 w), attention (B, 1, 4 h, 4 w)."""
        fine, middle, deep = self.network.layers(channels)
        cells = self.network.classes(deep)
        chances = torch.sigmoid(pooled(cells) * self.slope + self.shift)
        calibrated = torch.sigmoid(cells * self.slope[:, None, None] + self.shift[:, None, None])
        mask = torch.sigmoid(self.network.masked(fine, middle, deep))
        return chances, calibrated, mask, self.attention(middle, deep, cells)

    def attention(self, middle: Tensor, deep: Tensor, cells: Tensor) -> Tensor:
        """Multi-layer Grad-CAM, 0 to 1."""
        last = scaled(functional.relu((deep * self.last_weights()).sum(dim=1, keepdim=True)))
        weights = self.middle_gradient(middle, cells).mean(dim=(2, 3), keepdim=True)
        before = scaled(functional.relu((middle * weights).sum(dim=1, keepdim=True)))
        last = functional.interpolate(last, scale_factor=4.0, mode="bilinear", align_corners=False)
        before = functional.interpolate(before, scale_factor=2.0, mode="bilinear", align_corners=False)
        return torch.sqrt(last * before)

    def last_weights(self) -> Tensor:
        """Grad-CAM's weights of the last layer: the linear weights of the first kind."""
        return self.network.classes.weight[:1]

    def middle_gradient(self, middle: Tensor, cells: Tensor) -> Tensor:
        """The gradient of the first kind's pooled logit at the middle layer, by hand."""
        first = cells[:, :1]
        share = torch.softmax((first * SHARPNESS).flatten(2), dim=2).reshape(first.shape)
        gradient = share * self.network.classes.weight[:1]
        inputs = [middle]
        for stage in self.network.deep:
            inputs.append(stage(inputs[-1]))
        for stage, before, after in reversed(list(zip(self.network.deep, inputs[:-1], inputs[1:], strict=True))):
            gradient = stage.back(gradient, before, after)
        return gradient


def scaled(maps: Tensor) -> Tensor:
    """Each map by its maximum."""
    return maps / (maps.amax(dim=(2, 3), keepdim=True) + 1e-6)


def parameters(network: nn.Module) -> int:
    """How many numbers the network has learned."""
    return sum(parameter.numel() for parameter in network.parameters())
