"""Datasets as their configs describe them, before they are built."""

import inspect
import os
import shlex
from collections.abc import Callable, Generator, Mapping
from typing import Any

from mmengine.dataset import BaseDataset
from mmengine.fileio import list_from_file
from mmengine.registry import DATASETS, TRANSFORMS, Registry

from ...utils.configs import loads_labels, nested_configs
from .report import ReportLine

_HOSTS = ('mmcv.', 'mmdet.', 'mmengine.', 'mmseg.', 'sapa_mm.')
#: Yields problems and returns a path, if there is one.
Check = Generator[ReportLine, None, str | None]


def find_dataset(kind: Any) -> type | None:
    """Find the class of a dataset, in the current scope.

    Args:
        kind (Any): The ``type`` in its config: a name, or in newer configs the class.

    Returns:
        type or None: The class, or None if there is none of that name.
    """
    return find_class(DATASETS, kind)


def find_class(registry: Registry, kind: Any) -> type | None:
    """Find a class by its name in a registry, in the current scope; see ``find_dataset``."""
    if not isinstance(kind, str):
        return kind
    with registry.switch_scope_and_registry(None) as scoped:
        return scoped.get(kind)


def is_known_step(step: dict) -> bool:
    """Tell whether a step of a pipeline, with those inside of it, is of the hosts or ours.

    Args:
        step (dict): Its config.

    Returns:
        bool: Whether it is. Others may do anything.
    """
    kinds = [
        find_class(TRANSFORMS, one['type']) for _, one in nested_configs(step, '') if 'type' in one
    ]
    return all(kind is None or kind.__module__.startswith(_HOSTS) for kind in kinds)


def default_of(kind: type | None, argument: str) -> Any:
    """Get the default of an argument, in the first class that takes it.

    Args:
        kind (type, optional): A class. None for none.
        argument (str): The name of the argument.

    Returns:
        Any: The default. None if there is none, or neither the class nor its bases take it.
    """
    for base in inspect.getmro(kind or object):
        parameter = inspect.signature(base.__init__).parameters.get(argument)
        if parameter is not None:
            return None if parameter.default is parameter.empty else parameter.default
    return None


def read_metainfo(dataset: dict) -> dict:
    """Read what a dataset says of its classes, as mmengine does, before it is built.

    Args:
        dataset (dict): The config of a dataset that is no wrapper of others.

    Returns:
        dict: The ``METAINFO`` of its class with the config's ``metainfo``; a text that names a file
        stands for the lines of that file.

    Raises:
        OSError: If such a file cannot be read.
        ValueError: If it is not a text.
    """
    metainfo = dict(getattr(find_dataset(dataset.get('type')), 'METAINFO', {}))
    stated = dataset.get('metainfo')
    for key, value in stated.items() if isinstance(stated, Mapping) else ():
        is_file = isinstance(value, str) and os.path.isfile(value)
        metainfo[key] = list_from_file(value) if is_file else value
    return metainfo


def build_metainfo(dataset: dict) -> dict | None:
    """Read what a dataset says of its classes once it is built, without reading its data.

    Some read the names from a file of theirs, and some choose the colours that go with them.

    Args:
        dataset (dict): The config of a dataset that is no wrapper of others.

    Returns:
        dict or None: Its ``metainfo``; None if it cannot be built, or is no ``BaseDataset`` of
        mmengine and so reads its data when it is built.
    """
    kind = find_dataset(dataset.get('type'))
    if not (inspect.isclass(kind) and issubclass(kind, BaseDataset)):
        return None
    options = {'pipeline': [], 'lazy_init': True, 'test_mode': False}
    try:
        return dict(DATASETS.build({**dataset, **options}).metainfo)
    except Exception:  # a dataset of somebody's own may raise anything
        return None


class DatasetConfig:
    """The settings of a dataset, from its config and the defaults of its class.

    Args:
        config (dict): The config of the dataset.
        name (str): The key of the config.

    Attributes:
        config (dict): The config of the dataset.
        name (str): The key of the config.
    """

    def __init__(self, config: dict, name: str) -> None:
        self.config, self.name = config, name
        self._class = find_dataset(config.get('type'))

    @property
    def loader(self) -> str | None:
        """The name of the class whose ``load_data_list`` the dataset uses."""
        return self.definer('load_data_list')

    def definer(self, method: str) -> str | None:
        """Get the name of the class whose method the dataset uses."""
        for base in inspect.getmro(self._class or object):
            if method in vars(base):
                return base.__name__
        return None

    def setting(self, key: str) -> Any:
        """Get a setting from the config, or the default in the first class that takes it."""
        if key in self.config:
            return self.config[key]
        return default_of(self._class, key)

    def path(self, key: str) -> str | None:
        """Get the absolute path of a key such as 'data_prefix.img', if it has one."""
        outer, _, inner = key.partition('.')
        value = self.setting(outer)
        if inner:
            value = (value or {}).get(inner)
        if value is None or (value == '' and not inner):
            return None
        return os.path.abspath(os.path.join(self.setting('data_root') or '', value))

    def folder(self, key: str) -> Check:
        """Get the path of a key; report it if it is not a folder."""
        return self._existing(key, 'folder', os.path.isdir)

    def file(self, key: str) -> Check:
        """Get the path of a key; report it if it is not a file."""
        return self._existing(key, 'file', os.path.isfile)

    def _existing(self, key: str, kind: str, exists: Callable[[str], bool]) -> Check:
        path = self.path(key)
        if path is not None and not exists(path):
            text = f'{self.name}.{key}: no {kind} {path}; {self.advice()}'
            yield ReportLine('error', text)
            return None
        return path

    def loads_annotations(self) -> bool:
        """Tell whether the pipeline reads annotations; a test set may lack them."""
        return loads_labels(self.config.get('pipeline'))

    def advice(self) -> str:
        """Tell how to point at the data, or to make them if they are generated."""
        option = f'`cfg_options` {self.name}.data_root=FOLDER'
        if '.datasets.' not in self.name:  # `data_root` moves single datasets
            option = f'`data_root` FOLDER or {option}'
        advice = f'point at the data with {option}'
        root = self.setting('data_root') or ''
        made = [kind for kind in ('scenes', 'rooms', 'mattes') if kind in root.split(os.sep)]
        if made:
            tool = shlex.join(['python', 'tools/make_scenes.py', root, '--kind', made[0]])
            advice += f', or make the generated {made[0]}: {tool}'
        return advice
