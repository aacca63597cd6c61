"""Warning of a training whose loss is zero."""

from typing import Any

import torch
from mmengine.hooks import Hook

from ..utils.log import log_warning


class ZeroLossHook(Hook):
    """Warn once a run if the loss of an iteration is exactly zero.

    A model does not fit its data so well. Mostly all labels of the batch are ignored, as those of
    masks of 0 and 255 with ``reduce_zero_label``, and the accuracy that is logged means nothing; or
    its depth maps have no measured pixels, its trimaps no unknown ones.
    """

    def __init__(self) -> None:
        self._warned = False

    def after_train_iter(
        self, runner, batch_idx: int, data_batch: Any = None, outputs: dict | None = None
    ) -> None:
        """Look at ``outputs['loss']``, which mmengine has fetched from the device for its log."""
        loss = (outputs or {}).get('loss')
        if self._warned or loss is None or torch.as_tensor(loss).item() != 0:
            return
        self._warned = True
        log_warning(
            f'The loss of iteration {runner.iter + 1} is 0: nothing is learnt from its batch. Are '
            'all of its labels ignored, its depth maps empty, or its trimaps without unknown '
            'pixels? tools/check_data.py tells what there is.'
        )
