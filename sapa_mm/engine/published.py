"""Published weights: a safetensors file with weights, config, metrics and a hash."""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from mmengine.config import Config
from torch import Tensor

from .. import __version__
from ..utils.files import whole_file

SUFFIX = '.safetensors'
_HASH_DIGITS = 8
_HASHED_METADATA = ('config', 'dataset_meta', 'metrics', 'model')
_UNRELATED_TO_WEIGHTS = ('init_cfg', 'pretrained', 'train_cfg', 'test_cfg')


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
) -> str:
    """Write published weights; the file appears complete or not at all.

    Args:
        folder (str): Folder to write to; made if missing.
        cfg (Config): The config.
        state_dict (Mapping[str, Tensor]): The weights.
        metrics (Mapping[str, float]): Metrics that the weights reach.
        dataset_meta (Mapping): Names and colours of the classes.

    Returns:
        str: The file, named after the config and the beginning of the weights' hash.
    """
    from safetensors.torch import save_file

    # safetensors refuses tensors that share memory.
    weights = {
        name: value.detach().cpu().contiguous().clone() for name, value in state_dict.items()
    }
    sha256 = hash_weights(weights)
    settings = cfg.to_dict()
    for key in ('work_dir', 'launcher', 'load_from', 'resume'):
        settings.pop(key, None)
    metadata = {
        'format': 'pt',
        'sapa_mm': __version__,
        'config': Config(settings).pretty_text,
        'metrics': json.dumps(dict(metrics)),
        'dataset_meta': json.dumps(dict(dataset_meta)),
        'model': json.dumps(model_settings(cfg)),
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

    Reading the weights runs no code, but the config in the file is Python, like all OpenMMLab
    configs, and is executed; ``read_weights`` does not touch it.

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
    try:
        config = Config.fromstring(metadata['config'], '.py')
    except Exception as error:
        raise PublishedError(f'{name}: the config of {path} cannot be read: {error}') from error
    return Published(
        weights,
        config,
        json.loads(metadata['metrics']),
        json.loads(metadata['dataset_meta']),
        metadata['sha256'],
    )


def read_weights(path: str, name: str = 'weights') -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read weights and metadata of a published file and check the hash. No code is run.

    Args:
        path (str): The file.
        name (str): What error messages call it. Defaults to 'weights'.

    Returns:
        tuple[dict[str, Tensor], dict[str, str]]: The weights, on the CPU, and the metadata.

    Raises:
        FileNotFoundError: If there is no such file.
        PublishedError: If it is damaged, or does not hold published weights.
    """
    from safetensors import SafetensorError, safe_open

    if not os.path.isfile(path):
        raise FileNotFoundError(f'{name}: {path} does not exist')
    try:
        with safe_open(path, 'pt') as file:
            metadata = file.metadata() or {}
            weights = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise PublishedError(
            f'{name}: {path} is damaged or no safetensors file ({error}); fetch it again'
        ) from error
    missing = {*_HASHED_METADATA, 'sha256', 'metadata_sha256'} - metadata.keys()
    if missing:
        raise PublishedError(
            f'{name}: {path} has no {", ".join(sorted(missing))} in its metadata: it was not made '
            'by tools/publish.py'
        )
    for content, actual, expected in (
        ('weights', hash_weights(weights), metadata['sha256']),
        ('metadata', _hash_metadata(metadata), metadata['metadata_sha256']),
    ):
        if actual != expected:
            raise PublishedError(
                f'{name}: {path} is damaged, its {content} do not match their hash; fetch it again'
            )
    return weights, metadata


def model_settings(cfg: Config) -> dict:
    """Select the settings of a config's model that its weights depend on.

    Args:
        cfg (Config): The config.

    Returns:
        dict: The settings, as JSON types.
    """

    def settings(value):
        if isinstance(value, dict):
            return {k: settings(v) for k, v in value.items() if k not in _UNRELATED_TO_WEIGHTS}
        if isinstance(value, (list, tuple)):
            return [settings(item) for item in value]
        # Both batch norms have the same weights.
        return str(value).replace('SyncBN', 'BN') if isinstance(value, str) else value

    return json.loads(json.dumps(settings(cfg.to_dict()['model']), default=str))


def _hash_metadata(metadata: Mapping[str, str]) -> str:
    text = '\n'.join(metadata[name] for name in _HASHED_METADATA)
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
