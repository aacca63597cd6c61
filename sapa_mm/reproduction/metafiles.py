"""The index of the configs that OpenMMLab's ``mim`` reads, made from the configs and the paper."""

import os
from collections.abc import Iterator
from glob import glob
from typing import Any

import yaml
from mmengine.config import Config

from ..utils.configs import upsampled_part
from .paper_tables import PAPER_TABLES

INDEX = 'model-index.yml'
_METAFILE = 'metafile.yml'
_PAPER = {
    'Title': 'On Point Affiliation in Feature Upsampling',
    'Authors': 'Wenze Liu, Hao Lu, Yuliang Liu, Zhiguo Cao',
}
_COLLECTIONS = {
    'a2u_matting': 'A2U matting',
    'depthformer': 'DepthFormer',
    'faster_rcnn': 'Faster R-CNN',
    'mask_rcnn': 'Mask R-CNN',
    'panoptic_fpn': 'Panoptic FPN',
    'segformer': 'SegFormer',
    'upernet': 'UPerNet',
}
_GENERATED = {
    'mattes': 'generated mattes',
    'rooms': 'generated rooms',
    'scenes': 'generated scenes',
}
_DATASETS = {
    'ADE20KDataset': 'ADE20K',
    'MattingDataset': 'Composition-1k',
    'NYUDataset': 'NYU Depth V2',
}


def make_metafiles(configs: str) -> dict[str, str]:
    """Make the index and a metafile for each folder of configs.

    The figures are the paper's and labelled so; no trained weights are listed.

    Args:
        configs (str): Folder of the configs.

    Returns:
        dict[str, str]: Texts by path, relative to the folder that ``configs`` is in.
    """
    files = {
        f'configs/{folder}/{_METAFILE}': _to_yaml(_describe_folder(configs, folder))
        for folder in _COLLECTIONS
    }
    return {INDEX: _to_yaml({'Import': list(files)}), **files}


def _describe_folder(configs: str, folder: str) -> dict:
    collection = f'{_COLLECTIONS[folder]} with sapa_mm'
    paths = sorted(glob(os.path.join(configs, folder, '*.py')))
    return {
        'Collections': [{'Name': collection, 'Paper': _PAPER, 'Metadata': {}}],
        'Models': [_describe_config(path, folder, collection) for path in paths],
    }


def _describe_config(path: str, folder: str, collection: str) -> dict:
    # The modules would import mmseg and mmdet, which are not needed here.
    cfg = Config.fromfile(path, import_custom_modules=False)
    name = os.path.splitext(os.path.basename(path))[0]
    _, part = upsampled_part(cfg.model)
    loop = cfg.train_cfg
    by_epoch = 'max_epochs' in loop
    metadata = {
        'Training Data': _dataset(cfg),
        'Architecture': [name.split('_')[1].upper(), _COLLECTIONS[folder]],
        'Upsampler': part.upsample_cfg.type,
        'Epochs' if by_epoch else 'Iterations': loop.max_epochs if by_epoch else loop.max_iters,
        'Batch Size': cfg.auto_scale_lr.base_batch_size,
        **dict(_paper_figures(f'{folder}/{name}.py')),
    }
    config = f'configs/{folder}/{name}.py'
    return {'Name': name, 'In Collection': collection, 'Config': config, 'Metadata': metadata}


def _dataset(cfg: Config) -> str:
    dataset = cfg.train_dataloader.dataset
    generated = _GENERATED.get(os.path.basename(dataset.data_root.rstrip('/')))
    return generated or _DATASETS.get(dataset.type, 'COCO 2017')


def _paper_figures(config: str) -> Iterator[tuple[str, Any]]:
    rows = [
        (table.number, row)
        for table in PAPER_TABLES.values()
        for row in table.rows
        if row.config == config
    ]
    if rows:
        yield 'Paper Tables', [str(number) for number, _ in rows]
        # The main table has more digits than the ablations, which come after it.
        figures = {}
        for _, row in rows:
            for name, figure in row.figures.items():
                # Increments keep their sign.
                value = figure if figure.startswith('+') else float(figure)
                figures.setdefault(f'Paper {name}', value)
        yield from figures.items()


def _to_yaml(content: dict) -> str:
    head = '# Made by tools/make_metafiles.py.\n'
    return head + yaml.safe_dump(content, sort_keys=False, width=100, allow_unicode=True)
