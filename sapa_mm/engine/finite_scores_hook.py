"""Warning of predictions whose scores are not numbers."""

from collections.abc import Sequence
from typing import Any

from mmengine.hooks import Hook

from ..utils.log import log_warning


class FiniteScoresHook(Hook):
    """Warn once a run if scores of semantic segmentation are NaN or infinite.

    The class with the largest score is then a class as any other, mostly the first one: label maps,
    pictures and metrics look normal. (Detections with such scores disappear.)
    """

    def __init__(self) -> None:
        self._warned = False

    def after_val_iter(
        self, runner, batch_idx: int, data_batch: Any = None, outputs: Sequence | None = None
    ) -> None:
        """Check the scores of a batch of validation; see ``check_scores``."""
        self._warned = self._warned or check_scores(outputs or ())

    def after_test_iter(
        self, runner, batch_idx: int, data_batch: Any = None, outputs: Sequence | None = None
    ) -> None:
        """Check the scores of a batch of testing; see ``check_scores``."""
        self.after_val_iter(runner, batch_idx, data_batch, outputs)


def check_scores(samples: Sequence) -> bool:
    """Warn if the scores of a prediction are NaN or infinite.

    Args:
        samples (Sequence[SegDataSample or DetDataSample]): Predictions; those without
            ``seg_logits`` are not looked at.

    Returns:
        bool: Whether it has warned.
    """
    for sample in samples:
        scores = getattr(sample, 'seg_logits', None)
        if scores is not None and not scores.data.isfinite().all():
            place = getattr(sample, 'img_path', 'an image')
            log_warning(
                f'The scores of {place} are NaN or infinite: its label map means nothing. Has the '
                'training diverged, or float16 overflowed?'
            )
            return True
    return False
