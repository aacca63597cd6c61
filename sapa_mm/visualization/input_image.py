"""The image that models are run on, and its ground truth if known."""

import contextlib
import io
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.registry import DATASETS, TRANSFORMS
from mmengine.structures import PixelData
from torch.utils.data import Dataset

from ..datasets.checks import check_dataset
from ..engine.config import in_scope
from ..engine.images import read_image
from ..utils.coco_panoptic import IGNORE_INDEX, Segments, read_id_map
from ..utils.configs import single_datasets, without_pipelines


@dataclass(frozen=True)
class InputImage:
    """An image.

    Attributes:
        path (str): Its file.
        pixels (np.ndarray): RGB, uint8 (H, W, 3).
        truth (SegDataSample or DetDataSample, optional): Its ground truth, of the image's size.
            Defaults to None.
    """

    path: str
    pixels: np.ndarray
    truth: Any = None


def open_image(
    cfg: Config, image: str | None = None, truth: str | None = None, sample: int | None = None
) -> InputImage:
    """Opens an image file, or a sample of a config's validation set.

    Args:
        cfg (Config): A config of mmseg or mmdet.
        image (str, optional): An image file. Defaults to None.
        truth (str, optional): The image's annotation map, in the format of the config's dataset.
            Defaults to None.
        sample (int, optional): Index of a sample, instead of an image file. Defaults to None.

    Returns:
        InputImage: The image.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If a file cannot be read as an image, the annotation map has another size, or
            there is no such sample.
    """
    dataset_cfg = (cfg.get('val_dataloader') or {}).get('dataset')
    with in_scope(cfg):
        if sample is None:
            pixels = read_image(image, 'image')
            if truth is None:
                return InputImage(image, pixels)
            return InputImage(image, pixels, _read_truth(cfg, dataset_cfg, image, truth, pixels))
        if dataset_cfg is None:
            raise ValueError('sample: the config has no val_dataloader')
        check_dataset(dataset_cfg, 'val_dataloader.dataset')
        # pycocotools prints its progress.
        with contextlib.redirect_stdout(io.StringIO()):
            dataset = DATASETS.build(without_pipelines(dataset_cfg))
        return dataset_image(dataset, sample)


def dataset_image(dataset: Dataset, index: int) -> InputImage:
    """Opens a sample of a dataset.

    Args:
        dataset (Dataset): A dataset of mmseg or mmdet.
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
    if info.get('segments_info') is not None:
        truth = _panoptic_truth(info, num_classes)
    elif 'instances' in info:
        truth = _instance_truth(info)
    elif info.get('seg_map_path'):
        read_image(info['seg_map_path'], 'annotation')
        truth = _semantic_truth(info, pixels.shape[:2], num_classes)
    else:
        truth = None
    return InputImage(info['img_path'], pixels, truth)


def _read_truth(
    cfg: Config, dataset_cfg: dict | None, image: str, truth: str, pixels: np.ndarray
) -> Any:
    """Reads the annotation map of an image that belongs to no dataset."""
    if cfg.default_scope != 'mmseg':
        raise ValueError(
            'truth must be a label map, for configs of mmseg; the boxes and segments of a '
            'detector are in its dataset: use `sample`'
        )
    read_image(truth, 'truth')
    configs = [single for _, single in single_datasets(dataset_cfg, 'val_dataloader')]
    if not configs:
        raise ValueError('truth: the config has no val_dataloader that says how labels are stored')
    # The dataset knows how labels are numbered; its data need not be there.
    dataset = DATASETS.build({**configs[0], 'pipeline': [], 'lazy_init': True})
    info = dict(
        img_path=image,
        seg_map_path=truth,
        reduce_zero_label=dataset.reduce_zero_label,
        label_map=dataset.label_map,
    )
    return _semantic_truth(info, pixels.shape[:2], len(dataset.metainfo['classes']))


def _semantic_truth(info: dict, size: tuple[int, int], num_classes: int) -> Any:
    """Reads an annotation map as mmseg does, into a SegDataSample with ``gt_sem_seg``.

    Args:
        info (dict): ``seg_map_path``, ``reduce_zero_label`` and ``label_map``, as datasets of
            mmseg provide them.
        size (tuple[int, int]): Height and width of the image.
        num_classes (int): Number of classes of the dataset.

    Raises:
        ValueError: If the file is not a label map, has another size than the image, or contains a
            label that is neither a class nor 255.
    """
    from mmseg.structures import SegDataSample

    path = info['seg_map_path']
    load = TRANSFORMS.build(dict(type='mmseg.LoadAnnotations'))
    labels = load(dict(info, seg_fields=[]))['gt_seg_map']
    if labels.ndim != 2:
        raise ValueError(f'{path} is no label map: it has {labels.shape[2]} channels')
    if labels.shape != size:
        raise ValueError(
            '{} has {} x {} pixels, its image has {} x {} (height x width)'.format(
                path, *labels.shape, *size
            )
        )
    wrong = labels[(labels >= num_classes) & (labels != IGNORE_INDEX)]
    if wrong.size:
        raise ValueError(
            f'{path} has the label {wrong[0]} (numbered as the dataset is: '
            f'reduce_zero_label={info["reduce_zero_label"]}); allowed are 0..{num_classes - 1} '
            f'and {IGNORE_INDEX}'
        )
    truth = SegDataSample(metainfo=dict(ori_shape=size))
    truth.gt_sem_seg = PixelData(data=torch.from_numpy(labels.astype('int64'))[None])
    return truth


def _panoptic_truth(info: dict, num_classes: int) -> Any:
    """Reads a panoptic map into a DetDataSample; ``num_classes`` is the label of VOID."""
    from mmdet.structures import DetDataSample

    ids, labels = ([entry[key] for entry in info['segments_info']] for key in ('id', 'category'))
    segments = Segments.make(read_id_map(info['seg_map_path']), ids, labels)
    panoptic_map = torch.from_numpy(segments.to_panoptic_map(num_classes))
    truth = DetDataSample()
    truth.gt_panoptic_seg = PixelData(sem_seg=panoptic_map[None])
    return truth


def _instance_truth(info: dict) -> Any:
    """Puts the instances of an image, without crowds, into a DetDataSample as mmdet does."""
    instances = [instance for instance in info['instances'] if not instance['ignore_flag']]
    # Datasets of boxes have no masks.
    with_mask = bool(instances) and all('mask' in instance for instance in instances)
    load = TRANSFORMS.build(
        dict(type='mmdet.LoadAnnotations', with_bbox=True, with_mask=with_mask, box_type=None)
    )
    pack = TRANSFORMS.build(dict(type='mmdet.PackDetInputs', meta_keys=('ori_shape',)))
    size = (info['height'], info['width'])
    loaded = load(dict(info, instances=instances, ori_shape=size, img_shape=size))
    return pack(loaded)['data_samples']
