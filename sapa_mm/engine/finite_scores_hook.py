"""Warning of predictions that are not numbers."""

from collections.abc import Sequence
from typing import Any

from mmengine.hooks import Hook

from ..utils.log import log_warning


class FiniteScoresHook(Hook):
    """Warn once a run if scores of semantic segmentation, depths or mattes are NaN or infinite.

    The class with the largest score is then a class as any other, mostly the first one: label maps,
    pictures and metrics look normal. A saved depth map or matte has holes. (Detections with such
    scores disappear.)
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
    """Warn if the scores, depths or mattes of a prediction are NaN or infinite.

    Args:
        samples (Sequence[BaseDataElement]): Predictions; those without ``seg_logits``,
            ``pred_depth_map`` and ``pred_alpha`` are not looked at.

    Returns:
        bool: Whether it has warned.
    """
    for sample in samples:
        for key, (values, result) in _CHECKED.items():
            found = getattr(sample, key, None)
            if found is not None and not found.data.isfinite().all():
                place = getattr(sample, 'img_path', 'an image')
                log_warning(
                    f'The {values} of {place} are NaN or infinite: its {result} means nothing. Has '
                    'the training diverged, or float16 overflowed?'
                )
                return True
    return False


#: What is looked at in a data sample, what it is called, and what is made of it.
_CHECKED = {
    'seg_logits': ('scores', 'label map'),
    'pred_depth_map': ('depths', 'depth map'),
    'pred_alpha': ('values of alpha', 'matte'),
}
