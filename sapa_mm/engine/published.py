"""Published weights: a safetensors file with weights, config, metrics and a hash."""

import hashlib
import inspect
import json
import os
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from torch import Tensor

from .. import __version__
from ..utils.config_text import parse_config
from ..utils.files import whole_file
from ..utils.text import one_line
from .older_weights import GEOMETRY

SUFFIX = '.safetensors'
_HASH_DIGITS = 8
_HASHED_METADATA = ('config', 'dataset_meta', 'metrics', 'model')
_DICTS = ('dataset_meta', 'metrics', 'model')


class PublishedError(ValueError):
    """A file is damaged or does not hold published weights."""


@dataclass(frozen=True)
class Published:
    """The content of a file of published weights.

    Attributes:
        state_dict (dict[str, Tensor]): The weights, on the CPU.
        config (Config): Their config.
        metrics (dict[str, float]): Metrics that the weights reach; may be empty.
        dataset_meta (dict): Names and colours of the classes.
        sha256 (str): The hash of the weights.
    """

    state_dict: dict[str, Tensor]
    config: Config
    metrics: dict[str, float]
    dataset_meta: dict
    sha256: str


def write_published(
    folder: str,
    cfg: Config,
    state_dict: Mapping[str, Tensor],
    metrics: Mapping[str, float],
    dataset_meta: Mapping,
    geometry: str = GEOMETRY,
) -> str:
    """Write published weights; the file appears complete or not at all.

    Args:
        folder (str): Folder to write to; made if missing.
        cfg (Config): The config.
        state_dict (Mapping[str, Tensor]): The weights.
        metrics (Mapping[str, float]): Metrics that the weights reach.
        dataset_meta (Mapping): Names and colours of the classes.
        geometry (str): The rule for odd sizes in training, see ``older_weights.trained_geometry``.
            Defaults to the current one.

    Returns:
        str: The file, named after the config and the beginning of the weights' hash.

    Raises:
        ValueError: If the config or ``dataset_meta`` holds what is not plain data, see ``as_data``.
    """
    from safetensors.torch import save_file

    settings = cfg.to_dict()
    for key in ('work_dir', 'launcher', 'load_from', 'resume'):
        settings.pop(key, None)
    settings = {key: as_data(value, f'config: {key}') for key, value in settings.items()}
    dataset_meta = as_data(dict(dataset_meta), 'checkpoint: dataset_meta')
    # safetensors refuses tensors that share memory.
    weights = {
        name: value.detach().cpu().contiguous().clone() for name, value in state_dict.items()
    }
    sha256 = hash_weights(weights)
    metadata = {
        'format': 'pt',
        'sapa_mm': __version__,
        'config': json.dumps(settings),
        'metrics': json.dumps(dict(metrics)),
        'dataset_meta': json.dumps(dataset_meta),
        'model': json.dumps(settings['model']),
        'geometry': geometry,
        'sha256': sha256,
    }
    metadata['metadata_sha256'] = _hash_metadata(metadata)
    name = os.path.splitext(os.path.basename(cfg.filename or 'model'))[0]
    path = os.path.join(folder, f'{name}-{sha256[:_HASH_DIGITS]}{SUFFIX}')
    with whole_file(path) as partial:
        save_file(weights, partial, metadata)
        # safetensors makes files that only their owner can read.
        os.umask(umask := os.umask(0))
        os.chmod(partial, 0o666 & ~umask)
    return path


def read_published(path: str, name: str = 'weights') -> Published:
    """Read published weights and check them against their hash.

    No code is run: the config is data. Building a model from it trusts whoever made the file, since
    a ``type`` in it may be the dotted name of any function; ``load_trained`` takes your own config.

    Args:
        path (str): The file.
        name (str): What error messages call it. Defaults to 'weights'.

    Returns:
        Published: Weights, config, metrics and classes.

    Raises:
        FileNotFoundError: If there is no such file.
        PublishedError: If it is damaged, or does not hold published weights.
    """
    weights, metadata = read_weights(path, name)
    text = metadata['config']
    try:
        # Version 0.1 stored the text of a config file.
        settings = json.loads(text) if text.startswith('{') else parse_config(text)
        as_data(settings, 'config')  # for its keys
        config = Config(settings)
    except Exception as error:
        # mmengine may raise anything for settings that are none.
        raise PublishedError(
            f'{name}: the config of {path} cannot be read: {one_line(error)}'
        ) from error
    return Published(
        weights, config, metadata['metrics'], metadata['dataset_meta'], metadata['sha256']
    )


def read_weights(path: str, name: str = 'weights') -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read weights and metadata of a published file and check the hash. No code is run.

    Args:
        path (str): The file.
        name (str): What error messages call it. Defaults to 'weights'.

    Returns:
        tuple[dict[str, Tensor], dict[str, Any]]: The weights, on the CPU, and the metadata: texts,
        but dicts of ``dataset_meta``, ``metrics`` and ``model``.

    Raises:
        FileNotFoundError: If there is no such file.
        PublishedError: If it is damaged, or does not hold published weights.
    """
    from safetensors import SafetensorError, safe_open

    label = f'{name}: {path}'
    if not os.path.isfile(path):
        raise FileNotFoundError(f'{label} does not exist')
    try:
        with safe_open(path, 'pt') as file:
            metadata = file.metadata() or {}
            weights = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise PublishedError(
            f'{label} is damaged, or not a safetensors file ({error}); fetch it again'
        ) from error
    missing = {*_HASHED_METADATA, 'sha256', 'metadata_sha256'} - metadata.keys()
    if missing:
        raise PublishedError(
            f'{label} has no {", ".join(sorted(missing))} in its metadata: it was not made '
            'by tools/publish.py'
        )
    for content, actual, expected in (
        ('weights', hash_weights(weights), metadata['sha256']),
        ('metadata', _hash_metadata(metadata), metadata['metadata_sha256']),
    ):
        if actual != expected:
            raise PublishedError(
                f'{label} is damaged, its {content} do not match their hash; fetch it again'
            )
    # Version 0.1 did not write it.
    metadata.setdefault('geometry', '1')
    return weights, {**metadata, **{key: _read_dict(metadata, key, label) for key in _DICTS}}


def _read_dict(metadata: Mapping[str, str], key: str, label: str) -> dict:
    try:
        content = as_data(json.loads(metadata[key]), key)  # no deeper than can be compared
    except (ValueError, RecursionError) as error:
        raise PublishedError(f'{label}: its {key} cannot be read: {one_line(error)}') from error
    if not isinstance(content, dict):
        raise PublishedError(f'{label}: its {key} must be a dict, got {type(content).__name__}')
    return content


def as_data(value: Any, name: str) -> Any:
    """Convert a setting to what JSON can hold.

    Args:
        value (Any): The setting.
        name (str): What the error message calls it.

    Returns:
        Any: The same, with lists in place of tuples and arrays, texts for numbers as keys of dicts,
        and dotted names of classes and functions, as mmengine writes them.

    Raises:
        ValueError: If there is anything else in it, such as a slice, or a function without a name.
    """
    if isinstance(value, (np.ndarray, np.generic)):
        value = value.tolist()
    if isinstance(value, dict) and all(map(_is_key, value)):
        return {str(key): as_data(item, f'{name}.{key}') for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [as_data(item, f'{name}.{index}') for index, item in enumerate(value)]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if inspect.isclass(value) or inspect.isroutine(value):
        dotted = f'{value.__module__}.{value.__qualname__}'
        if '<' not in dotted:
            return dotted
    raise ValueError(
        f'{name} is {reprlib.repr(value)}; published weights keep numbers, texts, lists, and dicts '
        'with plain keys'
    )


def _is_key(key: Any) -> bool:
    # mmengine writes configs as Python, with keys unescaped: a quote in one would let code in.
    text = str(key)
    return isinstance(key, (str, int)) and text.isprintable() and not {"'", '\\'} & set(text)


def _hash_metadata(metadata: Mapping[str, str]) -> str:
    names = (*_HASHED_METADATA, 'geometry')
    text = '\n'.join(metadata[name] for name in names if name in metadata)
    return hashlib.sha256(text.encode()).hexdigest()


def hash_weights(weights: Mapping[str, Tensor]) -> str:
    """Compute the SHA-256 of names, dtypes, shapes and values.

    Args:
        weights (Mapping[str, Tensor]): Weights on the CPU.

    Returns:
        str: 64 hexadecimal digits.
    """
    digest = hashlib.sha256()
    for name in sorted(weights):
        value = weights[name].contiguous()
        digest.update(f'{name} {value.dtype} {tuple(value.shape)}\n'.encode())
        digest.update(value.flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()
