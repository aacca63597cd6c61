"""A depth estimator that averages an image and its mirror."""

from typing import Any

from mmseg.models.segmentors import DepthEstimator
from mmseg.registry import MODELS
from torch import Tensor

_MODES = ('whole', 'whole_flip', 'slide', 'slide_flip')


@MODELS.register_module()
class FlipDepthEstimator(DepthEstimator):
    """mmseg's ``DepthEstimator`` with flip averaging of whole images, and sliding windows.

    ``test_cfg`` chooses by its ``mode``:

    - 'whole': the whole image;
    - 'whole_flip': the mean of the whole image and of its mirror, at any size, as DepthFormer is
      tested. mmseg's 'slide_flip' with a crop and stride of the size of the image gives the same;
    - 'slide': windows of ``crop_size`` every ``stride`` pixels, averaged where they overlap. In
      mmseg the result is thrown away, and the whole image predicted instead;
    - 'slide_flip': each window with its mirror.

    Args:
        **kwargs: Arguments of mmseg's ``DepthEstimator``.

    Raises:
        ValueError: If the mode is unknown, or needs a crop_size and a stride that test_cfg lacks.
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        mode = self._mode
        if mode not in _MODES:
            raise ValueError(
                f'FlipDepthEstimator: test_cfg.mode must be one of {", ".join(_MODES)}, '
                f'got {mode!r}'
            )
        missing = {'crop_size', 'stride'} - set(self.test_cfg or {})
        if mode.startswith('slide') and missing:
            raise ValueError(
                f'FlipDepthEstimator: test_cfg.mode={mode!r} needs {" and ".join(sorted(missing))}'
            )

    @property
    def _mode(self) -> str:
        return (self.test_cfg or {}).get('mode', 'whole')

    def inference(self, inputs: Tensor, batch_img_metas: list[dict[str, Any]]) -> Tensor:
        """Predict the depth of images.

        Args:
            inputs (Tensor): Images (N, 3, H, W), normalised.
            batch_img_metas (list[dict]): Their meta information.

        Returns:
            Tensor: Depth (N, 1, H, W).
        """
        return getattr(self, f'{self._mode}_inference')(inputs, batch_img_metas)

    def whole_flip_inference(self, inputs: Tensor, batch_img_metas: list[dict[str, Any]]) -> Tensor:
        """Average the predictions of whole images and of their mirrors; see ``inference``."""
        depth = self.whole_inference(inputs, batch_img_metas)
        mirrored = self.whole_inference(inputs.flip(3), batch_img_metas)
        return (depth + mirrored.flip(3)) / 2
