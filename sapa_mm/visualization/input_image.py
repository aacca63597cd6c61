"""The image that models are run on, and its ground truth if known."""

import contextlib
import copy
import io
from dataclasses import dataclass
from typing import Any

import numpy as np
from mmengine.config import Config
from mmengine.registry import DATASETS
from torch.utils.data import Dataset

from ..datasets.checks import check_dataset
from ..engine.config import in_scope
from ..engine.images import read_image
from ..utils.configs import single_datasets
from .tasks import TASKS
from .tasks.task import check_size


@dataclass(frozen=True)
class InputImage:
    """An image.

    Attributes:
        path (str): Its file.
        pixels (np.ndarray): RGB, uint8 (H, W, 3).
        truth (BaseDataElement, optional): Its ground truth, of the image's size. Defaults to None.
        trimap (str, optional): The file of its trimap, for matting. Defaults to None.
    """

    path: str
    pixels: np.ndarray
    truth: Any = None
    trimap: str | None = None


def open_image(
    cfg: Config,
    image: str | None = None,
    truth: str | None = None,
    sample: int | None = None,
    trimap: str | None = None,
) -> InputImage:
    """Opens an image file, or a sample of a config's validation set.

    Args:
        cfg (Config): A config of a model.
        image (str, optional): An image file. Defaults to None.
        truth (str, optional): The image's annotation map, in the format of the config's dataset.
            Defaults to None.
        sample (int, optional): Index of a sample, instead of an image file. Defaults to None.
        trimap (str, optional): The image's trimap, for matting. Defaults to None.

    Returns:
        InputImage: The image.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If a file cannot be read as an image, the annotation map or the trimap has
            another size, or there is no such sample.
    """
    dataset_cfg = (cfg.get('val_dataloader') or {}).get('dataset')
    with in_scope(cfg):
        if sample is None:
            pixels = read_image(image, 'image')
            if trimap is not None:
                check_size(trimap, read_image(trimap, 'trimap').shape[:2], pixels.shape[:2])
            if truth is None:
                return InputImage(image, pixels, None, trimap)
            return InputImage(image, pixels, _read_truth(dataset_cfg, image, truth, pixels), trimap)
        if dataset_cfg is None:
            raise ValueError('sample: the config has no val_dataloader')
        check_dataset(dataset_cfg, 'val_dataloader.dataset')
        # pycocotools prints its progress.
        with contextlib.redirect_stdout(io.StringIO()):
            dataset = DATASETS.build(_without_images(dataset_cfg))
        return dataset_image(dataset, sample)


def dataset_image(dataset: Dataset, index: int) -> InputImage:
    """Opens a sample of a dataset.

    Args:
        dataset (Dataset): A dataset of mmengine, mmseg or mmdet.
        index (int): Index of the sample.

    Returns:
        InputImage: The image, with ground truth if the dataset has annotations.

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
    pixels = read_image(info['img_path'], 'image')
    # mmdet's ConcatDataset has a list of the parts' own.
    meta = dataset.metainfo[0] if isinstance(dataset.metainfo, list) else dataset.metainfo
    num_classes = len(meta.get('classes') or ())
    for task in TASKS:
        if task.has_truth(info):
            size = pixels.shape[:2]
            truth = task.read_truth(info, size, num_classes, lambda: dataset[index])
            break
    else:
        truth = None
    return InputImage(info['img_path'], pixels, truth, info.get('trimap_path'))


def _without_images(dataset: dict) -> dict:
    """Copies the config of a dataset with only those steps that the tasks' ground truth needs."""
    dataset = copy.deepcopy(dataset)
    for _, single in single_datasets(dataset, 'dataset'):
        steps = single.get('pipeline') or ()
        single['pipeline'] = [step for task in TASKS for step in task.truth_steps(steps)]
    return dataset


def _read_truth(dataset_cfg: dict | None, image: str, truth: str, pixels: np.ndarray) -> Any:
    """Reads the annotation map of an image that belongs to no dataset."""
    read_image(truth, 'truth')
    configs = [single for _, single in single_datasets(dataset_cfg, 'val_dataloader')]
    if not configs:
        raise ValueError('truth: the config has no val_dataloader that says how labels are stored')
    # The dataset knows how labels are numbered; its data need not be there.
    dataset = DATASETS.build({**_without_images(configs[0]), 'lazy_init': True})
    prefix = getattr(dataset, 'data_prefix', None) or {}
    task = next((task for task in TASKS if task.truth_key in prefix), None)
    if task is None:
        known = ' or '.join(task.truth_key for task in TASKS if task.truth_key)
        raise ValueError(
            f'truth needs a dataset in val_dataloader whose data_prefix has {known}; the boxes and '
            'segments of a detector are in its dataset: use `sample`'
        )
    info = {key: getattr(dataset, key, None) for key in ('reduce_zero_label', 'label_map')}
    info.update(img_path=image, seg_fields=[])
    info[task.truth_key] = truth
    num_classes = len(dataset.metainfo.get('classes') or ())
    return task.read_truth(info, pixels.shape[:2], num_classes, lambda: dataset.pipeline(info))
