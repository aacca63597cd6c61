"""Foregrounds with alpha and backgrounds to train on, and composed images to test on."""

import os
from collections.abc import Iterable
from glob import glob
from typing import Any

import numpy as np
from mmengine.dataset import BaseDataset
from mmengine.fileio import join_path, list_from_file
from mmengine.registry import DATASETS
from mmengine.utils import is_abs

from ..utils.text import accent_hint, first_of

_SUFFIXES = ('.bmp', '.jpeg', '.jpg', '.png', '.tif', '.tiff', '.webp')


@DATASETS.register_module()
class MattingDataset(BaseDataset):
    """Layers to compose images of, or images with trimaps.

    ``data_prefix`` says which:

    - to train: ``fg_path``, ``alpha_path`` and ``bg_path``. There is a sample for each foreground,
      with ``fg_path`` (``img_path``, too) and ``alpha_path``; each time it is taken, a background
      and another foreground are drawn: ``bg_path``, ``other_fg_path`` and ``other_alpha_path``.
    - to test: ``img_path``, ``trimap_path`` and, where there is a truth, ``alpha_path``. There is
      a sample for each image, with these.

    A folder may be several, by wildcards, and ``**`` is any folders or none: ``Training_set/**/fg``
    is that of Composition-1k as Adobe delivers it, and ``Training_set/fg``. Files of one name,
    whatever their endings, belong together. Images ``NAME_0.png``, ``NAME_1.png`` ... may share the
    alpha ``NAME.png``, as those of Composition-1k do.

    Args:
        ann_file (str): A list of names of the foregrounds or images, one a line. Defaults to '',
            all of the folder.
        bg_file (str): A list of names of the backgrounds, likewise. Defaults to ''.
        data_root (str): Folder that other paths start from. Defaults to ''.
        data_prefix (dict[str, str]): The folders. Defaults to those of a plain folder to train on:
            ``dict(fg_path='fg', alpha_path='alpha', bg_path='bg')``.
        **kwargs: Other arguments of ``BaseDataset``.

    Attributes:
        backgrounds (list[str]): Paths of the backgrounds, in the list's order; none to test.

    Raises:
        FileNotFoundError: If there is no such folder or list.
        ValueError: If data_prefix has other keys, a folder has no image, a name of a list or the
            alpha or trimap of an image is missing, or two files have one name.
    """

    _KEYS = (('fg_path', 'alpha_path', 'bg_path'), ('img_path', 'trimap_path', 'alpha_path'))

    def __init__(
        self,
        ann_file: str = '',
        bg_file: str = '',
        data_root: str = '',
        data_prefix: dict[str, str] | None = None,
        **kwargs,
    ):
        if data_prefix is None:
            data_prefix = dict(fg_path='fg', alpha_path='alpha', bg_path='bg')
        keys = set(data_prefix)
        if not any(keys == set(known) for known in (*self._KEYS, ('img_path', 'trimap_path'))):
            raise ValueError(
                'MattingDataset: data_prefix must have fg_path, alpha_path and bg_path, or '
                f'img_path, trimap_path and perhaps alpha_path, got {", ".join(sorted(keys))}'
            )
        self.bg_file = bg_file
        self.backgrounds: list[str] = []
        super().__init__(ann_file=ann_file, data_root=data_root, data_prefix=data_prefix, **kwargs)

    def load_data_list(self) -> list[dict[str, Any]]:
        """Find the files.

        Returns:
            list[dict]: The paths of each sample.
        """
        first = 'fg_path' if 'fg_path' in self.data_prefix else 'img_path'
        images = self._paths(first, self.ann_file, 'ann_file')
        data = {'img_path': images}
        for key in self.data_prefix:
            if key == 'bg_path':
                self.backgrounds = self._paths(key, self.bg_file, 'bg_file')
            else:
                data[key] = images if key == first else self._partners(key, images)
        return [dict(zip(data, paths, strict=True)) for paths in zip(*data.values(), strict=True)]

    def prepare_data(self, idx: int) -> Any:
        """Get a sample after the pipeline, with a background and another foreground drawn.

        Args:
            idx (int): The index of the sample.

        Returns:
            Any: What the pipeline returns.
        """
        info = self.get_data_info(idx)
        if 'fg_path' in info:
            draw = np.random.randint  # what mmengine seeds
            info['bg_path'] = self.backgrounds[draw(len(self.backgrounds))]
            other = self.get_data_info(draw(len(self)))
            info['other_fg_path'] = other['fg_path']
            info['other_alpha_path'] = other['alpha_path']
        return self.pipeline(info)

    def _join_prefix(self) -> None:
        super()._join_prefix()
        if self.bg_file and not is_abs(self.bg_file) and self.data_root:
            self.bg_file = join_path(self.data_root, self.bg_file)

    def _paths(self, key: str, list_file: str, list_name: str) -> list[str]:
        """The paths of the images of a folder, or of those in a list, in its order."""
        paths = self._listed(key)
        if not list_file:
            return paths
        found = {os.path.basename(path): path for path in paths}
        if not os.path.isfile(list_file):
            raise FileNotFoundError(f'MattingDataset: {list_name}: {list_file} is not a file')
        try:
            lines = list_from_file(list_file, encoding='utf-8-sig')
        except UnicodeDecodeError as error:
            text = f'{list_name}: {list_file} must be a text in UTF-8: {error}'
            raise ValueError(f'MattingDataset: {text}') from error
        names = [line.strip() for line in lines if line.strip()]
        if not names:
            raise ValueError(f'MattingDataset: {list_name}: {list_file} has no names')
        self._refuse_missing([name for name in names if name not in found], key, found, list_file)
        return [found[name] for name in names]

    def _partners(self, key: str, images: list[str]) -> list[str]:
        """The files of a folder that have the names of the images."""
        found = {_stem(path): path for path in self._listed(key)}
        partners = [_partner(_stem(image), found, key == 'alpha_path') for image in images]
        missing = [
            os.path.basename(image)
            for image, partner in zip(images, partners, strict=True)
            if partner is None
        ]
        self._refuse_missing(missing, key, found, 'the images')
        return partners

    def _listed(self, key: str) -> list[str]:
        """The images in a folder, or in several by wildcards; each name must be there once."""
        pattern = self.data_prefix[key]
        folders = [pattern] if os.path.isdir(pattern) else sorted(glob(pattern, recursive=True))
        folders = [folder for folder in folders if os.path.isdir(folder)]
        if not folders:
            raise FileNotFoundError(f'MattingDataset: data_prefix.{key}: no folder {pattern}')
        paths = [
            os.path.join(folder, name)
            for folder in folders
            for name in sorted(os.listdir(folder))
            if name.lower().endswith(_SUFFIXES) and not name.startswith('.')
        ]
        if not paths:
            raise ValueError(
                f'MattingDataset: data_prefix.{key}: no image in {pattern}, of the endings '
                f'{", ".join(_SUFFIXES)}'
            )
        names: dict[str, str] = {}
        for path in paths:
            other = names.setdefault(_stem(path), path)
            if other != path and key != 'bg_path':
                raise ValueError(
                    f'MattingDataset: data_prefix.{key}: {other} and {path} have one name, which '
                    'tells what belongs together'
                )
        return paths

    def _refuse_missing(self, missing: list[str], key: str, found: Iterable[str], of: str) -> None:
        if missing:
            hint = accent_hint(missing[0], found)
            raise ValueError(
                f'MattingDataset: data_prefix.{key}: {self.data_prefix[key]} lacks '
                f'{len(missing)} of {of}: {first_of(missing)}{hint}'
            )


def _stem(path: str) -> str:
    return os.path.splitext(os.path.basename(path))[0]


def _partner(stem: str, found: dict[str, str], shared: bool) -> str | None:
    """The file of an image's name; one that several images share lacks their number."""
    name, _, number = stem.rpartition('_')
    if stem not in found and shared and number.isdecimal():
        stem = name
    return found.get(stem)
