"""Lays samples of real data out in the folders that the configs expect."""

import json
import os
from pathlib import Path

#: Samples of ADE20K, COCO, CamVid and matting as they are delivered.
SAMPLES = Path(os.environ.get('SAPA_MM_REAL_DATA', Path(__file__).parents[2] / '../shared/data'))
_NEEDED = ('ade20k_sample', 'camvid', 'coco_panoptic_sample', 'coco_tiny', 'matting')
MISSING = [name for name in _NEEDED if not (SAMPLES / name).is_dir()]


def lay_out_ade20k(root, pattern='*'):
    """Link images and label maps, the same for training and for validation."""
    for kind in ('images', 'annotations'):
        for split in ('training', 'validation'):
            _link(root / kind / split, (SAMPLES / 'ade20k_sample' / kind).glob(f'{pattern}.*'))


def lay_out_camvid(root, count=4):
    """Link a few images and label maps; those to test on are those of the validation."""
    for kind in ('images', 'annotations'):
        for split, source in (('train', 'train'), ('val', 'val'), ('test', 'val')):
            paths = sorted((SAMPLES / 'camvid' / kind / source).iterdir())
            _link(root / kind / split, paths[:count])


def lay_out_matting(root, pattern='*'):
    """Link photographs with trimaps; the one that has an alpha is the foreground, too.

    Backgrounds are the photographs themselves.
    """
    source = SAMPLES / 'matting'
    for kind, folder in (('images', 'merged'), ('trimaps', 'trimaps'), ('alpha', 'alpha')):
        _link(root / 'test' / folder, (source / kind).glob(f'{pattern}.*'))
    _link(root / 'train/fg', (source / 'images').glob('lemur.*'))
    _link(root / 'train/alpha', (source / 'alpha').iterdir())
    _link(root / 'train/bg', (source / 'images').iterdir())


def lay_out_coco(root, count=2):
    """Link images and write COCO's files, as they are but for the number of images.

    Panoptic maps are of two other images, for training and for validation.
    """
    instances, panoptic = SAMPLES / 'coco_tiny', SAMPLES / 'coco_panoptic_sample'
    (root / 'annotations').mkdir(parents=True)
    for split in ('train2017', 'val2017'):
        content = json.loads((instances / f'annotations/instances_{split}.json').read_text())
        images = _chosen(content, count)
        ids = {image['id'] for image in images}
        annotations = [part for part in content['annotations'] if part['image_id'] in ids]
        content = {**content, 'images': images, 'annotations': annotations}
        (root / f'annotations/instances_{split}.json').write_text(json.dumps(content))
        _link(root / split, [instances / split / image['file_name'] for image in images])
        _link(root / split, (panoptic / 'input_images').iterdir())
        for suffix in ('', '.json'):
            source = panoptic / f'panoptic_examples{suffix}'
            (root / f'annotations/panoptic_{split}{suffix}').symlink_to(source.resolve())


def _chosen(content, count):
    """The first images that have crowds, and then others."""
    crowds = {part['image_id'] for part in content['annotations'] if part['iscrowd']}
    return sorted(content['images'], key=lambda image: image['id'] not in crowds)[:count]


def _link(folder, paths):
    folder.mkdir(parents=True, exist_ok=True)
    for path in paths:
        (folder / path.name).symlink_to(path.resolve())
