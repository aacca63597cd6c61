"""Generated scenes of several sizes in one dataset, as real ones have them."""

import json

from PIL import Image

from sapa_mm.datasets import generate_scene, id2rgb
from sapa_mm.datasets.scenes import coco

SIZES = [(70, 57), (64, 96), (81, 65), (99, 50)]


def write_mixed_scenes(root):
    """Write the same scenes for training and validation, in the layout of ``write_scenes``."""
    for subset in ('training', 'validation'):
        for folder in ('images', 'panoptic'):
            (root / folder / subset).mkdir(parents=True)
        images, instances, panoptic = [], [], []
        for index, size in enumerate(SIZES):
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
