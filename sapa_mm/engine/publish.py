"""A checkpoint made ready to be published."""

import json
import os

from mmengine.config import Config
from mmengine.registry import MODELS

from .checkpoint import read_checkpoint
from .load_config import check_upsamplers, load_config
from .published import write_published

_NAMED = 3


def publish(
    config: str, checkpoint: str, folder: str, metrics: str | None = None, cfg_options=None
) -> str:
    """Writes a checkpoint's weights, without the optimizer's state, as safetensors.

    Args:
        config (str): The config file that the checkpoint was trained with.
        checkpoint (str): The checkpoint.
        folder (str): Where to write.
        metrics (str, optional): A JSON file of metrics, such as ``tools/test.py`` writes, or the
            ``result.json`` of ``tools/reproduce.py``. Defaults to None.
        cfg_options (dict, optional): Settings to override. Defaults to None.

    Returns:
        str: The file, see :func:`~.published.write_published`.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If the config or a file cannot be read, or the weights are not those of the
            config's model.
    """
    cfg = load_config(config, None, cfg_options, 'none', 0)
    check_upsamplers(cfg.model, 'model')
    reached = _read_metrics(metrics) if metrics else {}
    content = read_checkpoint(checkpoint, 'cpu')
    state_dict = content.get('state_dict') if isinstance(content, dict) else None
    if not state_dict:
        raise ValueError(f'checkpoint {checkpoint} has no state_dict')
    _check_fit(cfg, state_dict, config, checkpoint)
    meta = content.get('meta', {}).get('dataset_meta') or {}
    return write_published(folder, cfg, state_dict, reached, meta)


def _check_fit(cfg: Config, state_dict: dict, config: str, checkpoint: str) -> None:
    """Compares names and shapes with those of the config's model."""
    model = cfg.model.copy()
    model.backbone.init_cfg = None
    wanted = {name: value.shape for name, value in MODELS.build(model).state_dict().items()}
    found = {name: value.shape for name, value in state_dict.items()}
    for what, names in (
        ('lacks', wanted.keys() - found.keys()),
        ('has, and the model has not,', found.keys() - wanted.keys()),
        ('has in another shape', {n for n in wanted.keys() & found if wanted[n] != found[n]}),
    ):
        if names:
            first = ', '.join(sorted(names)[:_NAMED])
            raise ValueError(
                f'checkpoint {checkpoint} is not of the model in {config}: it {what} '
                f'{len(names)} weights: {first}{", ..." if len(names) > _NAMED else ""}'
            )


def _read_metrics(path: str) -> dict[str, float]:
    if not os.path.isfile(path):
        raise FileNotFoundError(f'metrics: {path} is not a file')
    try:
        with open(path) as file:
            content = json.load(file)
    except ValueError as error:
        raise ValueError(f'metrics: {path} is no complete JSON file ({error})') from error
    content = content.get('metrics', content) if isinstance(content, dict) else {}
    return {name: value for name, value in content.items() if isinstance(value, (int, float))}
