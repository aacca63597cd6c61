"""The loss of DepthFormer: errors of log depth over a whole batch."""

import torch
from mmseg.registry import MODELS
from sapa_ops.checks import check_positive
from torch import Tensor, nn


@MODELS.register_module()
class SigLoss(nn.Module):
    """Scale-invariant loss of log depth over all measured pixels of a batch together.

    A pixel is measured where its target is positive and finite, however large. There, with
    g = ln(pred + 0.001) - ln(target + 0.001)::

        loss = sqrt(var(g) + 0.15 * mean(g)^2)

    The variance is unbiased, so it takes two pixels; with fewer the loss is 0 * sum(pred). mmseg's
    ``SiLogLoss`` is another one: image by image, with a larger part of the mean taken off. As in
    the Monocular-Depth-Estimation-Toolbox, each process of a distributed run has its own batch.

    Args:
        warm_up (bool): Whether training begins with sqrt(0.15) * |mean(g)| alone. From a random
            start, a head that ends in a ReLU may otherwise fall to 0 everywhere and stay there.
            Defaults to False.
        warm_up_iters (int): Iterations that this takes. They are counted in a buffer, which
            checkpoints keep, so a resumed run goes on where it was. Defaults to 100.
        loss_weight (float): Factor of the loss. Defaults to 1.0.
        loss_name (str): Name in the log, which must begin with 'loss_'. Defaults to 'loss_sig'.

    Raises:
        ValueError: If warm_up is not a boolean, or warm_up_iters not a positive integer.
    """

    eps = 1e-3
    mean_weight = 0.15

    def __init__(
        self,
        warm_up: bool = False,
        warm_up_iters: int = 100,
        loss_weight: float = 1.0,
        loss_name: str = 'loss_sig',
    ):
        super().__init__()
        if not isinstance(warm_up, bool):
            raise ValueError(f'SigLoss: warm_up must be True or False, got {warm_up!r}')
        check_positive('SigLoss', warm_up_iters=warm_up_iters)
        self.warm_up_iters = warm_up_iters
        self.loss_weight = loss_weight
        self.loss_name = loss_name
        counter = torch.zeros((), dtype=torch.long) if warm_up else None
        self.register_buffer('iteration', counter)

    def forward(self, pred: Tensor, target: Tensor) -> Tensor:
        """Compute the loss, in float32 at least.

        Args:
            pred (Tensor): Depth, non-negative, of any shape.
            target (Tensor): True depth of the same shape and in the same unit; 0, or any value that
                is not positive or not finite, where there is no measurement.

        Returns:
            Tensor: The loss, a scalar.

        Raises:
            ValueError: If the shapes differ.
        """
        if pred.shape != target.shape:
            raise ValueError(
                f'SigLoss: pred must have the shape of target, got {tuple(pred.shape)} and '
                f'{tuple(target.shape)}'
            )
        pred = pred.to(torch.promote_types(pred.dtype, torch.float32))
        warming_up = self._count()
        measured = (target > 0) & target.isfinite()
        if measured.sum() < 2:
            return 0 * pred.sum()
        g = (pred[measured] + self.eps).log() - (target[measured] + self.eps).log()
        square = self.mean_weight * g.mean().square()
        if not warming_up:
            square = square + g.var()
        # The root has no gradient at 0.
        return self.loss_weight * square.clamp_min(torch.finfo(square.dtype).tiny).sqrt()

    def _load_from_state_dict(self, state_dict, prefix, *args, **kwargs):
        # Weights fit whether or not they were trained with a warm-up.
        if self.iteration is None:
            state_dict.pop(f'{prefix}iteration', None)
        else:
            state_dict.setdefault(f'{prefix}iteration', self.iteration)
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)

    def _count(self) -> bool:
        """Count an iteration of training; whether it belongs to the warm-up."""
        if self.iteration is None:
            return False
        warming_up = bool(self.iteration < self.warm_up_iters)
        if self.training:
            self.iteration += 1
        return warming_up
