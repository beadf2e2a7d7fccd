"""The two networks that several chapters train: the CNN of `cnn` and `residual_learning`, the UNet of `unet`."""
import torch
import torch.nn.functional as F
from torch import nn


class CNN(nn.Module):
    """Convolutions 3×3 with ReLU between them; by default x_hat = y + f(y), which starts at x_hat = y.

    Parameters
    ----------
    depth : int                  number of convolutions; the receptive field is 2 depth + 1 pixels wide
    channels : int               feature maps between them
    residual : bool              add f(y) to the input, the last layer starting at zero; else x_hat = f(y)
    padding_mode : str           as in `torch.nn.Conv2d`
    planes : int                 channels P of input and output: 1 for grey images, 2 for complex ones

    Notes: maps (B, P, H, W) to (B, P, H, W). Taught in `cnn` and `residual_learning`.
    Source: he2016deep for the residual form.
    """

    def __init__(self, depth: int = 3, channels: int = 16, *, residual: bool = True, padding_mode: str = "zeros",
                 planes: int = 1):
        super().__init__()
        widths = [planes] + [channels] * (depth - 1) + [planes]
        layers = []
        for a, b in zip(widths, widths[1:]):
            layers += [nn.Conv2d(a, b, 3, padding=1, padding_mode=padding_mode), nn.ReLU()]
        self.layers = nn.Sequential(*layers[:-1])
        self.residual = residual
        if residual:
            zero(self.layers[-1])

    def forward(self, y: torch.Tensor) -> torch.Tensor:
        return y + self.layers(y) if self.residual else self.layers(y)


class UNet(nn.Module):
    """Encoder and decoder of L levels with skips; by default x_hat = y + f(y), which starts at x_hat = y.

    Parameters
    ----------
    levels : int                 L, how often the grid is halved; H and W must be multiples of 2^L
    channels : int               feature maps on the finest grid; every level down has twice as many
    skips : bool                 join the encoder's features to the decoder's
    residual : bool              add f(y) to the input, the last layer starting at zero; else x_hat = f(y)
    slope : float                of the activation below zero: 0.1 is a leaky ReLU, 0 a ReLU
    planes : int                 channels P of input and output: 1 for grey images, 2 for complex ones

    Notes: maps (B, P, H, W) to (B, P, H, W). Taught in `unet`.
    Source: ronneberger2015unet, with convolutions of stride 2 in place of pooling, and one convolution per stage.
    """

    def __init__(self, levels: int = 2, channels: int = 8, *, skips: bool = True, residual: bool = True,
                 slope: float = 0.1, planes: int = 1):
        super().__init__()
        self.skips, self.residual, self.slope = skips, residual, slope
        c = [channels * 2**k for k in range(levels + 1)]
        stages = range(levels)
        self.first = nn.Conv2d(planes, c[0], 3, padding=1)
        self.down = nn.ModuleList(nn.Conv2d(c[k], c[k + 1], 3, stride=2, padding=1) for k in stages)
        self.up = nn.ModuleList(nn.ConvTranspose2d(c[k + 1], c[k], 2, stride=2) for k in reversed(stages))
        self.join = nn.ModuleList(nn.Conv2d(c[k] * (1 + skips), c[k], 3, padding=1) for k in reversed(stages))
        self.last = nn.Conv2d(c[0], planes, 3, padding=1)
        if residual:
            zero(self.last)

    def forward(self, y: torch.Tensor) -> torch.Tensor:
        E = [self.activate(self.first(y))]  # finest first: (B, c, H, W), (B, 2c, H/2, W/2), …
        for down in self.down:
            E.append(self.activate(down(E[-1])))
        D = E.pop()
        for up, join in zip(self.up, self.join):
            D, e = self.activate(up(D)), E.pop()
            D = self.activate(join(torch.cat([D, e], dim=1) if self.skips else D))
        return y + self.last(D) if self.residual else self.last(D)

    def activate(self, h: torch.Tensor) -> torch.Tensor:
        return F.leaky_relu(h, self.slope)


def zero(layer: nn.Module) -> None:
    """Set weight and bias of a layer to zero."""
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)


def parameter_count(model: nn.Module) -> int:
    """Number of trainable weights and biases."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)
