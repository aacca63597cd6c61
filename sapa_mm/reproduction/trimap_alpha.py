"""What a matting model must beat: the trimap alone."""

import torch
from mmengine.config import Config
from mmengine.registry import DATASETS, METRICS
from mmengine.structures import PixelData

from ..engine.config import in_scope


def evaluate_trimap(cfg: Config) -> dict[str, float]:
    """Evaluate, on the validation set, a matte of a half wherever the trimap is unknown.

    Args:
        cfg (Config): A config of a matting model.

    Returns:
        dict[str, float]: The metrics of its ``val_evaluator``.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If a file cannot be read.
    """
    with in_scope(cfg):
        validation = DATASETS.build(cfg.val_dataloader.dataset)
        metric = METRICS.build(cfg.val_evaluator)
    for index in range(len(validation)):
        sample = validation[index]['data_samples']
        # 128, the unknown, is not quite a half.
        alpha = torch.where(sample.trimap.data == 128, 0.5, sample.trimap.data / 255)
        sample.pred_alpha = PixelData(data=alpha)
        metric.process({}, [sample.to_dict()])
    return metric.evaluate(len(validation))
