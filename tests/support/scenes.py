"""Generated scenes of small sizes, and runs of seconds on them."""

import json

import pytest
from PIL import Image

pytest.importorskip('mmseg')

from sapa_mm.datasets import generate_scene, id2rgb, write_scenes
from sapa_mm.datasets.scenes import coco
from sapa_mm.reproduction.training_run import TrainingRun

from .configs import CONFIGS, SEGFORMER

CONFIG = str(CONFIGS / SEGFORMER.format('bilinear'))
MIXED_SIZES = [(70, 57), (64, 96), (81, 65), (99, 50)]


def write_few_scenes(root):
    """Write two scenes for training and two for validation.

    Returns:
        dict: Settings with which the small SegFormer trains two steps on them.
    """
    write_scenes(root, num_train=2, num_val=2, size=(80, 72))
    options = {f'{split}_dataloader.dataset.data_root': str(root) for split in ('train', 'val')}
    options |= {'train_dataloader.dataset.pipeline.2.crop_size': (64, 64)}
    options |= {'model.data_preprocessor.size': (64, 64), 'train_dataloader.batch_size': 2}
    options |= {'train_cfg.max_iters': 2, 'train_cfg.val_interval': 2}
    return options | {'default_hooks.checkpoint.interval': 1, 'randomness.seed': 3}


def few_steps(work_dir, options, **more):
    """A run of two steps."""
    return TrainingRun('a run', CONFIG, str(work_dir), {**options, **more})


def write_mixed_scenes(root):
    """Write scenes of several sizes, as real images have them, in the layout of ``write_scenes``.

    Those for training and for validation are the same.
    """
    for subset in ('training', 'validation'):
        for folder in ('images', 'panoptic'):
            (root / folder / subset).mkdir(parents=True)
        images, instances, panoptic = [], [], []
        for index, size in enumerate(MIXED_SIZES):
            scene = generate_scene(index, 0, size)
            stem = f'scene_{index}'
            Image.fromarray(scene.image).save(root / 'images' / subset / f'{stem}.jpg')
            png = id2rgb(scene.panoptic)
            Image.fromarray(png).save(root / 'panoptic' / subset / f'{stem}.png')
            images.append(
                {'id': index, 'file_name': f'{stem}.jpg', 'height': size[0], 'width': size[1]}
            )
            instances += coco.instance_annotations(scene, index, len(instances) + 1)
            panoptic.append(coco.panoptic_annotation(scene, index, f'{stem}.png'))
        for kind, annotations, categories in (
            ('instances', instances, coco.thing_categories()),
            ('panoptic', panoptic, coco.panoptic_categories()),
        ):
            (root / 'annotations').mkdir(exist_ok=True)
            content = dict(images=images, annotations=annotations, categories=categories)
            (root / 'annotations' / f'{kind}_{subset}.json').write_text(json.dumps(content))
    return root
