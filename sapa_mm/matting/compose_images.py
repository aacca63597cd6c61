"""Composing images to test on, once, as files."""

import math
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.utils import track_iter_progress
from PIL import Image, ImageOps

from ..utils.composition import compose
from ..utils.files import check_writable, write_image
from ..utils.text import one_line
from .matting_dataset import MattingDataset
from .matting_files import read_gray
from .trimap import trimap_of_alpha


def compose_comp1k(root: str, backgrounds: str, overwrite: bool = False) -> int:
    """Compose the test images of Composition-1k by Adobe's rule.

    The background of line 20f + k of ``test_bg_names.txt`` lies behind foreground f; it is enlarged
    (bicubic) if it is smaller, and cut at the top left. The images are
    ``Test_set/merged/NAME_k.png``. Existing ones are kept.

    Args:
        root (str): Adobe's folder, with ``Test_set/Adobe-licensed images/{fg,alpha}``, or the two
            anywhere in ``Test_set``, and the lists ``Test_set/test_{fg,bg}_names.txt``.
        backgrounds (str): ``JPEGImages`` of PASCAL VOC 2012.
        overwrite (bool): Whether to compose existing images again. Defaults to False.

    Returns:
        int: The number of images that were composed.

    Raises:
        OSError: If a folder or list is missing, or nothing can be written there.
        ValueError: If a file of a list is missing or cannot be read, the backgrounds are not as
            many for each foreground, or a foreground and its alpha have two sizes.
    """
    test_set = os.path.join(root, 'Test_set')
    lists = [os.path.join(test_set, f'test_{kind}_names.txt') for kind in ('fg', 'bg')]
    dataset = MattingDataset(
        *lists,
        data_prefix=dict(
            fg_path=os.path.join(test_set, '**', 'fg'),
            alpha_path=os.path.join(test_set, '**', 'alpha'),
            bg_path=os.path.abspath(backgrounds),
        ),
    )
    if len(dataset.backgrounds) % len(dataset):
        raise ValueError(
            f'{lists[1]} must have as many names for each of the {len(dataset)} foregrounds, got '
            f'{len(dataset.backgrounds)}'
        )
    return _compose_all(dataset, dataset.backgrounds, Path(test_set, 'merged'), overwrite)


def compose_plain(
    root: str, num_backgrounds: int = 20, seed: int = 0, overwrite: bool = False
) -> int:
    """Compose test images from a plain folder ``fg/``, ``alpha/``, ``bg/``, and make trimaps.

    As for Composition-1k, but the backgrounds of each foreground are drawn, and so are the sizes
    of the ellipses, 1 to 29, by which alpha's 255 and 0 are eroded to a trimap. The images are
    ``merged/NAME_k.png`` and ``trimaps/NAME_k.png``. Existing ones are kept.

    Args:
        root (str): The folder.
        num_backgrounds (int): Images of each foreground. Defaults to 20.
        seed (int): The same makes the same images. Defaults to 0.
        overwrite (bool): Whether to compose existing images again. Defaults to False.

    Returns:
        int: The number of images that were composed.

    Raises:
        OSError: If a folder is missing, or nothing can be written there.
        ValueError: If num_backgrounds or seed is not as above, a file is missing or unfit, or a
            foreground has the name of an image of another one.
    """
    for name, value, low in (('num_backgrounds', num_backgrounds, 1), ('seed', seed, 0)):
        if value < low:
            raise ValueError(f'{name} must be {low} or more, got {value}')
    dataset = MattingDataset(data_root=root)
    rng = np.random.default_rng(seed)
    count = len(dataset) * num_backgrounds
    backgrounds = rng.choice(dataset.backgrounds, count).tolist()
    sizes = rng.integers(1, 30, (count, 2)).tolist()
    composed = _compose_all(dataset, backgrounds, Path(root, 'merged'), overwrite)
    for number, (fg_size, bg_size) in enumerate(sizes):
        info = dataset.get_data_info(number // num_backgrounds)
        path = Path(root, 'trimaps', _name(info, number % num_backgrounds))
        if overwrite or not path.exists():
            trimap = trimap_of_alpha(read_gray(info['alpha_path']), fg_size, bg_size)
            write_image(path, trimap)
    return composed


def _compose_all(
    dataset: MattingDataset, backgrounds: Sequence[str], folder: Path, overwrite: bool
) -> int:
    """Compose each foreground with its share of the backgrounds; returns the number of images."""
    check_writable(str(folder), 'root', is_folder=True)
    share = len(backgrounds) // len(dataset)
    infos = [dataset.get_data_info(index) for index in range(len(dataset))]
    owners = {_name(info, k): info['fg_path'] for info in infos for k in range(share)}
    for info in infos:
        name = f'{Path(info["fg_path"]).stem}.png'
        if name in owners:
            raise ValueError(
                f'{info["fg_path"]} has the name of an image of {owners[name]}, {name}, which '
                'would be tested with its alpha; rename one of them'
            )

    def compose_one(index: int) -> int:
        own = backgrounds[index * share : (index + 1) * share]
        return _compose_one(infos[index], own, folder, overwrite)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        counts = pool.map(compose_one, range(len(dataset)))
        return sum(track_iter_progress((counts, len(dataset))))


def _compose_one(
    info: dict[str, Any], backgrounds: Sequence[str], folder: Path, overwrite: bool
) -> int:
    paths = {folder / _name(info, k): background for k, background in enumerate(backgrounds)}
    missing = [path for path in paths if overwrite or not path.exists()]
    if not missing:
        return 0
    fg = np.asarray(ImageOps.exif_transpose(_open(info['fg_path'])))  # as in training
    alpha = read_gray(info['alpha_path'])
    if alpha.shape != fg.shape[:2]:
        raise ValueError(
            f'{info["alpha_path"]} must have the size of {info["fg_path"]}, {fg.shape[:2]} '
            f'(height, width), got {alpha.shape}'
        )
    for path in missing:
        image = compose(fg, _fit_background(_open(paths[path]), alpha.shape), alpha)
        write_image(path, image)
    return len(missing)


def _name(info: dict[str, Any], k: int) -> str:
    """The file's name of image k of a foreground."""
    return f'{Path(info["fg_path"]).stem}_{k}.png'


def _open(path: str) -> Image.Image:
    """Read by Pillow, as Adobe's script does: OpenCV may decode and enlarge JPEG otherwise."""
    try:
        with Image.open(path) as file:
            return file.convert('RGB')
    except (OSError, SyntaxError, ValueError) as error:
        raise ValueError(f'{path} cannot be read as an image: {one_line(error)}') from error


def _fit_background(background: Image.Image, size: tuple[int, int]) -> np.ndarray:
    height, width = size
    ratio = max(width / background.width, height / background.height)
    if ratio > 1:
        sides = math.ceil(background.width * ratio), math.ceil(background.height * ratio)
        background = background.resize(sides, Image.Resampling.BICUBIC)
    return np.asarray(background.crop((0, 0, width, height)))
