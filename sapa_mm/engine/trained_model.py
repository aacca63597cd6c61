"""The model of a config with the weights of a checkpoint, refused where the two do not fit."""

from dataclasses import dataclass
from typing import Any

from mmengine.config import Config
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import DATASETS, MODELS
from torch import nn

from ..datasets.checks.files import single_datasets
from ..utils.nested_configs import nested_configs
from .checkpoint import read_checkpoint
from .config import check_upsamplers, load_config
from .published import model_settings

_NAMED = 3


@dataclass(frozen=True)
class TrainedModel:
    """A model that is ready to predict.

    Attributes:
        cfg (Config): Its config.
        model (nn.Module): The model with its weights, on the CPU, in evaluation mode.
        dataset_meta (dict): Names and colours of the classes, as the checkpoint, else the config's
            dataset has them; may be empty.
    """

    cfg: Config
    model: nn.Module
    dataset_meta: dict


def load_trained(config: str, checkpoint: str, cfg_options: dict | None = None) -> TrainedModel:
    """Builds the model of a config and loads a checkpoint, or published weights, into it.

    Args:
        config (str): The config file that the checkpoint was trained with.
        checkpoint (str): The checkpoint, a file.
        cfg_options (dict, optional): Settings to override. Defaults to None.

    Returns:
        TrainedModel: The model; synchronised batch norms are plain ones.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If the config or the checkpoint cannot be read, or the weights are not those of
            the config's model.
    """
    cfg = load_config(config, None, cfg_options, 'none', 0)
    check_upsamplers(cfg.model, 'model')
    content = read_checkpoint(checkpoint, 'cpu')
    state_dict = content.get('state_dict') if isinstance(content, dict) else None
    if not state_dict:
        raise ValueError(f'checkpoint: {checkpoint} has no state_dict')
    model = revert_sync_batchnorm(_build(cfg))
    problem = _load(model, state_dict)
    if problem:
        raise ValueError(f'checkpoint: {checkpoint} is not of the model in {config}: it {problem}')
    meta = content.get('meta', {})
    # Published weights say what their model was.
    other = meta.get('model') and _first_difference(meta['model'], model_settings(cfg), 'model')
    if other:
        raise ValueError(f'checkpoint: {checkpoint} is not of the model in {config}: {other}')
    meta = meta.get('dataset_meta') or _dataset_meta(cfg)
    model.dataset_meta = meta
    return TrainedModel(cfg, model.eval(), meta)


def _build(cfg: Config) -> nn.Module:
    """The model, without fetching the weights that a training would start from."""
    model = cfg.model.copy()
    for _, part in nested_configs(model, 'model'):
        for key in ('init_cfg', 'pretrained'):
            if part.get(key) is not None:
                part[key] = None
    return MODELS.build(model)


def _load(model: nn.Module, state_dict: dict[str, Any]) -> str | None:
    """Loads the weights; returns what is wrong with them, if anything is."""
    wanted = {name: value.shape for name, value in model.state_dict().items()}
    reshaped = {n for n in wanted.keys() & state_dict.keys() if wanted[n] != state_dict[n].shape}
    fitting = {name: value for name, value in state_dict.items() if name not in reshaped}
    # Which names are known is the modules' to say: they take those of other projects, too.
    keys = model.load_state_dict(fitting, strict=False)
    for what, names in (
        ('lacks', set(keys.missing_keys) - reshaped),
        ('has, and the model has not,', keys.unexpected_keys),
        ('has in another shape', reshaped),
    ):
        if names:
            first = ', '.join(sorted(names)[:_NAMED])
            return f'{what} {len(names)} weights: {first}{", ..." if len(names) > _NAMED else ""}'
    return None


def _first_difference(published: Any, given: Any, name: str) -> str | None:
    """Where the settings of published weights and of a config part, if they do."""
    if isinstance(published, dict) and isinstance(given, dict):
        for key in {**published, **given}:
            if published.get(key) != given.get(key):
                return _first_difference(published.get(key), given.get(key), f'{name}.{key}')
        return None
    return f'{name} is {given!r}, it was trained with {published!r}'


def _dataset_meta(cfg: Config) -> dict:
    for key in ('test_dataloader', 'val_dataloader', 'train_dataloader'):
        for _, dataset in single_datasets((cfg.get(key) or {}).get('dataset'), key):
            defaults = getattr(DATASETS.get(dataset['type']), 'METAINFO', {})
            return {**defaults, **dataset.get('metainfo', {})}
    return {}
