"""The losses of A2U matting, over the unknown pixels of a trimap."""

import torch
from mmengine.registry import MODELS
from torch import Tensor, nn


class _UnknownPixelsLoss(nn.Module):
    """An error of each pixel, averaged over the unknown pixels of an image, then over images.

    Args:
        loss_weight (float): Factor of the loss. Defaults to 0.5.
    """

    eps = 1e-12

    def __init__(self, loss_weight: float = 0.5):
        super().__init__()
        self.loss_weight = loss_weight

    def mean_error(self, difference: Tensor, unknown: Tensor) -> Tensor:
        """Average sqrt(d² + 1e-12), summed over channels, in float32 at least.

        Args:
            difference (Tensor): d, (N, C, H, W).
            unknown (Tensor): bool (N, 1, H, W).

        Returns:
            Tensor: A scalar. The number of unknown pixels counts one more than there are.
        """
        error = (difference.square() + self.eps).sqrt() * unknown
        return self.loss_weight * (error.sum((1, 2, 3)) / (unknown.sum((1, 2, 3)) + 1)).mean()


@MODELS.register_module()
class AlphaLoss(_UnknownPixelsLoss):
    """Difference between predicted and true alpha at the unknown pixels.

    With ρ(d) = sqrt(d² + 1e-12) and m = 1 at the unknown pixels, the mean over images of::

        loss_weight * Σ m ρ(pred - target) / (Σ m + 1)

    Args:
        loss_weight (float): Factor of the loss. Defaults to 0.5, as in A2U matting.
    """

    def forward(self, pred: Tensor, target: Tensor, unknown: Tensor) -> Tensor:
        """Compute the loss, in float32 at least.

        Args:
            pred (Tensor): Alpha (N, 1, H, W), not clamped.
            target (Tensor): True alpha (N, 1, H, W) in [0, 1].
            unknown (Tensor): bool (N, 1, H, W).

        Returns:
            Tensor: The loss, a scalar.
        """
        return self.mean_error(_float(pred) - target, unknown)


@MODELS.register_module()
class CompositionLoss(_UnknownPixelsLoss):
    """Difference between the image and one composed by the predicted alpha.

    The mean over images of, with ρ and m as in ``AlphaLoss``::

        loss_weight * Σ_rgb Σ m ρ(pred * fg + (1 - pred) * bg - merged) / (Σ m + 1)

    The three colours are summed, not averaged.

    Args:
        loss_weight (float): Factor of the loss. Defaults to 0.5, as in A2U matting.
    """

    def forward(
        self, pred: Tensor, fg: Tensor, bg: Tensor, merged: Tensor, unknown: Tensor
    ) -> Tensor:
        """Compute the loss, in float32 at least.

        Args:
            pred (Tensor): Alpha (N, 1, H, W), not clamped.
            fg (Tensor): Colours of the foreground (N, 3, H, W) in [0, 1].
            bg (Tensor): Those of the background.
            merged (Tensor): Those of the image.
            unknown (Tensor): bool (N, 1, H, W).

        Returns:
            Tensor: The loss, a scalar.
        """
        pred = _float(pred)
        return self.mean_error(pred * fg + (1 - pred) * bg - merged, unknown)


def _float(pred: Tensor) -> Tensor:
    return pred.to(torch.promote_types(pred.dtype, torch.float32))
