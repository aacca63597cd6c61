"""What is known of one image of a matting data set."""

from mmengine.structures import BaseDataElement


class MattingSample(BaseDataElement):
    """An image's trimap and alpha, each a ``PixelData`` with ``data``.

    - ``trimap``: uint8 (1, H, W), 0 for the background, 255 for the foreground, 128 where it is
      unknown;
    - ``gt_alpha``: float32 (1, H, W) in [0, 1], the true alpha, where there is one;
    - ``gt_fg``, ``gt_bg``, ``gt_merged``: float32 (3, H, W) in [0, 1], in training: the colours of
      the foreground, of the background and of the image composed of them;
    - ``pred_alpha``: float32 (1, H, W) in [0, 1], what a model predicts.

    Metainfo: ``img_path``, ``trimap_path``, ``alpha_path`` (where there is a file), ``ori_shape``
    and ``img_shape``, both (H, W).
    """
