"""Writing generated data to a folder in the formats of mmseg and mmdet."""

from __future__ import annotations

import json
import os

from ...utils.coco_panoptic import id2rgb
from ...utils.files import write_whole
from . import coco
from .categories import CLASSES, PALETTE, THING_CLASSES
from .folder import FolderLayout, write_folder
from .matte import generate_matte
from .room import generate_room
from .scene import generate_scene

_SCENES = FolderLayout(
    'scenes',
    version=1,
    files={
        subset: (
            f'images/{subset}/scene_{{}}.jpg',
            f'annotations/{subset}/scene_{{}}.png',
            f'panoptic/{subset}/scene_{{}}.png',
        )
        for subset in ('training', 'validation')
    },
    summaries={
        subset: (f'annotations/instances_{subset}.json', f'annotations/panoptic_{subset}.json')
        for subset in ('training', 'validation')
    },
)
_ROOMS = FolderLayout(
    'rooms',
    version=1,
    files={
        subset: (f'images/{subset}/room_{{}}.jpg', f'annotations/{subset}/room_{{}}.png')
        for subset in ('train', 'test')
    },
    summaries={'train': (), 'test': ()},
)
_MATTES = FolderLayout(
    'mattes',
    version=1,
    files={
        'train': tuple(f'train/{folder}/matte_{{}}.png' for folder in ('fg', 'alpha', 'bg')),
        'test': tuple(f'test/{folder}/matte_{{}}.png' for folder in ('merged', 'alpha', 'trimaps')),
    },
    summaries={'train': (), 'test': ()},
)


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
    return write_folder(
        _SCENES,
        _write_scenes_of,
        root,
        num_train,
        num_val,
        size,
        seed,
        overwrite,
        classes=list(CLASSES),
        thing_classes=list(THING_CLASSES),
        palette=[list(color) for color in PALETTE],
    )


def _write_scenes_of(root, subset, indices, seed, size):
    images, instances, panoptic = [], [], []
    for index in indices:
        scene = generate_scene(index, seed, size)
        image_path, semantic_path, panoptic_path = _SCENES.paths(root, subset, index)
        _save_image(scene.image, image_path)
        _save_exactly(scene.semantic, semantic_path)
        _save_exactly(id2rgb(scene.panoptic), panoptic_path)
        images.append(
            {'id': index, 'file_name': image_path.name, 'height': size[0], 'width': size[1]}
        )
        instances += coco.instance_annotations(scene, index, first_id=len(instances) + 1)
        panoptic.append(coco.panoptic_annotation(scene, index, panoptic_path.name))
    common = {'info': {'description': f'sapa_mm generated scenes, seed {seed}'}, 'images': images}
    instances_name, panoptic_name = _SCENES.summaries[subset]
    for name, entries, categories in (
        (instances_name, instances, coco.thing_categories()),
        (panoptic_name, panoptic, coco.panoptic_categories()),
    ):
        content = {**common, 'annotations': entries, 'categories': categories}
        write_whole(root / name, json.dumps(content))


def write_rooms(
    root: str | os.PathLike,
    num_train: int = 1600,
    num_val: int = 100,
    size: tuple[int, int] = (160, 160),
    seed: int = 0,
    overwrite: bool = False,
) -> dict:
    """Write generated rooms in the folder layout of mmseg's ``NYUDataset``.

    The folder holds, for ``subset`` in train and test::

        images/{subset}/room_XXXXXXXX.jpg          the images
        annotations/{subset}/room_XXXXXXXX.png     depth in mm, 16 bit; 0 = not measured
        rooms.json                                 what the folder holds; written last

    The number in a file name is the ``index`` passed to ``generate_room``; the test set starts at
    50,000,000.

    A folder that is already complete for the same arguments is left unchanged. The remains of an
    interrupted call are replaced.

    Args:
        root (str or PathLike): Folder to write to; made if missing.
        num_train (int): Number of training rooms, 1 or more. Defaults to 1600.
        num_val (int): Number of test rooms, 1 or more. Defaults to 100.
        size (tuple[int, int]): Height and width of the images in pixels, each 32 or more.
            Defaults to (160, 160).
        seed (int): Seed, 0 or more. Defaults to 0.
        overwrite (bool): Whether to replace rooms written with other arguments, and to rewrite
            those written with the same. Defaults to False.

    Returns:
        dict: The content of ``rooms.json``: ``format_version``, ``num_train``, ``num_val``,
        ``size`` and ``seed``.

    Raises:
        OSError: If ``root`` is a file or cannot be written to.
        ValueError: If an argument is not as above, if ``root`` holds rooms written with other
            arguments and ``overwrite`` is False, or if it holds images or annotations that are not
            generated rooms, which are never replaced.
    """
    return write_folder(_ROOMS, _write_rooms_of, root, num_train, num_val, size, seed, overwrite)


def _write_rooms_of(root, subset, indices, seed, size):
    for index in indices:
        room = generate_room(index, seed, size)
        image_path, depth_path = _ROOMS.paths(root, subset, index)
        _save_image(room.image, image_path)
        _save_exactly(room.depth, depth_path)


def write_mattes(
    root: str | os.PathLike,
    num_train: int = 400,
    num_val: int = 48,
    size: tuple[int, int] = (160, 160),
    seed: int = 0,
    overwrite: bool = False,
) -> dict:
    """Write generated mattes in folders like those of Adobe's image matting data.

    The folder holds::

        train/{fg,alpha,bg}/matte_XXXXXXXX.png             foregrounds, their alpha, backgrounds
        test/{merged,alpha,trimaps}/matte_XXXXXXXX.png     composed images, alpha, trimaps
        mattes.json                                        what the folder holds; written last

    Alpha and trimaps are 8 bit; 255 is opaque. The number in a file name is the ``index`` passed to
    ``generate_matte``; the test set starts at 50,000,000.

    A folder that is already complete for the same arguments is left unchanged. The remains of an
    interrupted call are replaced.

    Args:
        root (str or PathLike): Folder to write to; made if missing.
        num_train (int): Number of training mattes, 1 or more. Defaults to 400.
        num_val (int): Number of test mattes, 1 or more. Defaults to 48.
        size (tuple[int, int]): Height and width of the images in pixels, each 32 or more.
            Defaults to (160, 160).
        seed (int): Seed, 0 or more. Defaults to 0.
        overwrite (bool): Whether to replace mattes written with other arguments, and to rewrite
            those written with the same. Defaults to False.

    Returns:
        dict: The content of ``mattes.json``: ``format_version``, ``num_train``, ``num_val``,
        ``size`` and ``seed``.

    Raises:
        OSError: If ``root`` is a file or cannot be written to.
        ValueError: If an argument is not as above, if ``root`` holds mattes written with other
            arguments and ``overwrite`` is False, or if it holds images that are not generated
            mattes, which are never replaced.
    """
    return write_folder(_MATTES, _write_mattes_of, root, num_train, num_val, size, seed, overwrite)


def _write_mattes_of(root, subset, indices, seed, size):
    for index in indices:
        matte = generate_matte(index, seed, size)
        images = {
            'train': (matte.foreground, matte.alpha, matte.background),
            'test': (matte.image, matte.alpha, matte.trimap),
        }
        paths = _MATTES.paths(root, subset, index)
        for image, path in zip(images[subset], paths, strict=True):
            _save_exactly(image, path)


def _save_image(image, path):
    from PIL import Image

    # Chroma subsampling would smear the borders, which are the point of the scenes.
    Image.fromarray(image).save(path, quality=95, subsampling=0)


def _save_exactly(values, path):
    from PIL import Image

    Image.fromarray(values).save(path)


WRITERS = {'scenes': write_scenes, 'rooms': write_rooms, 'mattes': write_mattes}
"""The functions that write each kind of generated data."""
