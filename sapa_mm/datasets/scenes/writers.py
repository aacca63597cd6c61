"""Writing generated scenes to a folder in the formats of mmseg and mmdet."""

from __future__ import annotations

import json
import os
from pathlib import Path

from ...utils.coco_panoptic import id2rgb
from ...utils.files import check_writable, find_partial, write_whole
from . import coco
from .categories import CLASSES, PALETTE, THING_CLASSES
from .scene import Scene, check_count, check_size, generate_scene

FORMAT_VERSION = 1
"""Incremented whenever the files or the scenes of a seed change."""

VALIDATION_START = 50_000_000
"""Index of the first validation scene; neither subset depends on the other's size."""

RECORD = 'scenes.json'
_SUFFIXES = {'images': '.jpg', 'annotations': '.png', 'panoptic': '.png'}
_SUBSETS = ('training', 'validation')


def write_scenes(
    root: str | os.PathLike,
    num_train: int = 200,
    num_val: int = 50,
    size: tuple[int, int] = (160, 160),
    seed: int = 0,
    overwrite: bool = False,
) -> dict:
    """Write generated scenes in ADE20K's folder layout and in COCO's formats, all in one folder.

    The folder holds, for ``subset`` in training and validation::

        images/{subset}/scene_XXXXXXXX.jpg          the images
        annotations/{subset}/scene_XXXXXXXX.png     semantic maps, 8 bit: 0 = other, 1..C classes
        annotations/instances_{subset}.json         COCO instances, the classes that are things
        annotations/panoptic_{subset}.json          COCO panoptic
        panoptic/{subset}/scene_XXXXXXXX.png        its segment ids, id = R + 256 G + 65536 B
        scenes.json                                 what the folder holds; written last

    The number in a file name is the ``index`` passed to ``generate_scene``;
    validation starts at 50,000,000. Category ids are the same in all files.

    A folder that is already complete for the same arguments is left unchanged. The remains of an
    interrupted call are replaced.

    Args:
        root (str or PathLike): Folder to write to; made if missing.
        num_train (int): Number of training scenes, 1 or more. Defaults to 200.
        num_val (int): Number of validation scenes, 1 or more. Defaults to 50.
        size (tuple[int, int]): Height and width of the images in pixels, each 32 or more.
            Defaults to (160, 160).
        seed (int): Seed, 0 or more. Defaults to 0.
        overwrite (bool): Whether to replace scenes written with other arguments, and to rewrite
            those written with the same. Defaults to False.

    Returns:
        dict: The content of ``scenes.json``: ``format_version``, ``num_train``, ``num_val``,
        ``size``, ``seed``, ``classes``, ``thing_classes`` and ``palette``.

    Raises:
        OSError: If ``root`` is a file or cannot be written to.
        ValueError: If an argument is not as above, if ``root`` holds scenes written with other
            arguments and ``overwrite`` is False, or if it holds images or annotations that are not
            generated scenes, which are never replaced.
    """
    check_count('num_train', num_train, 1)
    check_count('num_val', num_val, 1)
    check_count('seed', seed, 0)
    size = check_size(size)
    if num_train > VALIDATION_START:
        raise ValueError(f'num_train must be at most {VALIDATION_START}, got {num_train}')
    root = Path(root)
    record = {
        'format_version': FORMAT_VERSION,
        'num_train': int(num_train),
        'num_val': int(num_val),
        'size': list(size),
        'seed': int(seed),
        'classes': list(CLASSES),
        'thing_classes': list(THING_CLASSES),
        'palette': [list(color) for color in PALETTE],
    }
    subsets = {
        'training': range(num_train),
        'validation': range(VALIDATION_START, VALIDATION_START + num_val),
    }
    existing = _read_record(root)
    if existing is not None and not overwrite:
        _check_same(root, existing, record)
        if _is_complete(root, subsets):
            return record
    check_writable(str(root), 'root', is_folder=True)
    _clear(root)
    for subset, indices in subsets.items():
        _write_subset(root, subset, indices, int(seed), size)
    write_whole(root / RECORD, json.dumps(record))
    return record


def _read_record(root):
    """Read the record of complete scenes; None if it is missing or damaged."""
    try:
        record = json.loads((root / RECORD).read_text())
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    return record if isinstance(record, dict) else None


def _check_same(root, existing, requested):
    for key, value in requested.items():
        if existing.get(key) != value:
            raise ValueError(
                f'{key}: {root} holds scenes with {key}={existing.get(key)!r}, asked for '
                f'{value!r}; `overwrite` replaces them; or choose another root'
            )


def _is_complete(root, subsets):
    for subset, indices in subsets.items():
        stems = {_stem(index) for index in indices}
        for folder, suffix in _SUFFIXES.items():
            if not stems <= {path.stem for path in (root / folder / subset).glob(f'*{suffix}')}:
                return False
        if not all(path.exists() for path in _annotation_files(root, subset)):
            return False
    return True


def _clear(root):
    """Remove earlier scenes, and nothing else."""
    own_files = [root / RECORD, *find_partial(root / RECORD)]
    for subset in _SUBSETS:
        for path in _annotation_files(root, subset):
            own_files += [path, *find_partial(path)]
        for folder, suffix in _SUFFIXES.items():
            own_files += (root / folder / subset).glob(f'scene_{"[0-9]" * 8}{suffix}')
    # Datasets read every file in these folders, so other files are an error; they are not deleted.
    for folder in _SUFFIXES:
        for path in sorted((root / folder).rglob('*')):
            if path not in own_files and not path.is_dir():
                raise ValueError(
                    f'root must be a folder without other images and annotations, '
                    f'got {root}, which holds {path.relative_to(root)}'
                )
    # The record is removed first: without it the folder counts as incomplete.
    for path in own_files:
        path.unlink(missing_ok=True)


def _annotation_files(root, subset):
    folder = root / 'annotations'
    return [folder / f'instances_{subset}.json', folder / f'panoptic_{subset}.json']


def _write_subset(root, subset, indices, seed, size):
    for folder in _SUFFIXES:
        (root / folder / subset).mkdir(parents=True, exist_ok=True)
    images, instances, panoptic = [], [], []
    for index in indices:
        scene = generate_scene(index, seed, size)
        stem = _stem(index)
        _write_pictures(root, subset, stem, scene)
        images.append(
            {'id': index, 'file_name': f'{stem}.jpg', 'height': size[0], 'width': size[1]}
        )
        instances += coco.instance_annotations(scene, index, first_id=len(instances) + 1)
        panoptic.append(coco.panoptic_annotation(scene, index, f'{stem}.png'))
    common = {'info': {'description': f'sapa_mm generated scenes, seed {seed}'}, 'images': images}
    instances_file, panoptic_file = _annotation_files(root, subset)
    for path, entries, categories in (
        (instances_file, instances, coco.thing_categories()),
        (panoptic_file, panoptic, coco.panoptic_categories()),
    ):
        content = {**common, 'annotations': entries, 'categories': categories}
        write_whole(path, json.dumps(content))


def _write_pictures(root, subset, stem, scene: Scene):
    from PIL import Image

    # Chroma subsampling would smear the borders, which are the point of the scenes.
    Image.fromarray(scene.image).save(
        root / 'images' / subset / f'{stem}.jpg', quality=95, subsampling=0
    )
    Image.fromarray(scene.semantic).save(root / 'annotations' / subset / f'{stem}.png')
    Image.fromarray(id2rgb(scene.panoptic)).save(root / 'panoptic' / subset / f'{stem}.png')


def _stem(index):
    return f'scene_{index:08d}'
