"""The image that models are looked at on, and its truth where that is known."""

import contextlib
import io
from dataclasses import dataclass
from typing import Any

import numpy as np
from mmengine.config import Config
from mmengine.registry import DATASETS
from torch.utils.data import Dataset

from ..datasets.checks.files import check_dataset, single_datasets
from ..engine.images import read_image
from .detection_truth import detection_truth
from .segmentation_truth import segmentation_truth


@dataclass(frozen=True)
class Subject:
    """An image.

    Attributes:
        path (str): Its file.
        image (np.ndarray): RGB, uint8 (H, W, 3).
        truth (SegDataSample or DetDataSample, optional): As the dataset has it, of the image's
            size. Defaults to None.
    """

    path: str
    image: np.ndarray
    truth: Any = None


def open_subject(
    cfg: Config, image: str | None, truth: str | None = None, sample: int | None = None
) -> Subject:
    """Opens a photograph, or a sample of a config's validation set.

    Args:
        cfg (Config): The config; its default scope is the current one.
        image (str, optional): An image file.
        truth (str, optional): An annotation map of the image, as in the dataset of the config.
            Defaults to None.
        sample (int, optional): Index of a sample, in place of an image. Defaults to None.

    Returns:
        Subject: The image.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If a file is no image, the truth has another size, or there is no such sample.
    """
    if sample is None:
        picture = read_image(image, 'image')
        subject = Subject(image, picture)
        if truth is None:
            return subject
        if cfg.default_scope != 'mmseg':
            raise ValueError(
                'truth takes a label map, for configs of mmseg; the boxes and segments of a '
                'detector are in its dataset: use `sample`'
            )
        read_image(truth, 'truth')
        dataset = _annotated_as(cfg)
        info = dict(
            img_path=image,
            seg_map_path=truth,
            reduce_zero_label=dataset.reduce_zero_label,
            label_map=dataset.label_map,
        )
        num_classes = len(dataset.metainfo['classes'])
        return Subject(image, picture, segmentation_truth(info, picture.shape[:2], num_classes))
    dataset_cfg = _validation_set(cfg)
    if dataset_cfg is None:
        raise ValueError('sample: the config has no val_dataloader')
    check_dataset(dataset_cfg, 'val_dataloader.dataset')
    # pycocotools prints what it does.
    with contextlib.redirect_stdout(io.StringIO()):
        dataset = DATASETS.build({**dataset_cfg, 'pipeline': []})
    return subject_of(dataset, sample)


def subject_of(dataset: Dataset, index: int) -> Subject:
    """A sample of a dataset.

    Args:
        dataset (Dataset): One of mmseg or mmdet.
        index (int): Which of its samples.

    Returns:
        Subject: Image and truth.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If there is no such sample, or its files cannot be read.
    """
    if not 0 <= index < len(dataset):
        raise ValueError(
            f'sample must be in 0..{len(dataset) - 1}: the validation set has {len(dataset)} '
            f'images, got {index}'
        )
    info = dataset.get_data_info(index)
    image = read_image(info['img_path'], 'image')
    if 'instances' in info or 'segments_info' in info:
        truth = detection_truth(info, len(dataset.metainfo['classes']))
    elif info.get('seg_map_path'):
        read_image(info['seg_map_path'], 'annotation')
        num_classes = len(dataset.metainfo['classes'])
        truth = segmentation_truth(info, image.shape[:2], num_classes)
    else:
        truth = None
    return Subject(info['img_path'], image, truth)


def _validation_set(cfg: Config) -> dict | None:
    return (cfg.get('val_dataloader') or {}).get('dataset')


def _annotated_as(cfg: Config) -> Dataset:
    """The dataset that says how annotation maps are numbered; its data need not be there."""
    found = [dataset for _, dataset in single_datasets(_validation_set(cfg), 'val_dataloader')]
    if not found:
        raise ValueError('truth: the config has no val_dataloader that says how labels are kept')
    return DATASETS.build({**found[0], 'pipeline': [], 'lazy_init': True})
