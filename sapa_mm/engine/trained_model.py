"""Loading a checkpoint into the model of its config, and publishing the weights."""

from dataclasses import dataclass

from mmengine.config import Config
from mmengine.model import revert_sync_batchnorm
from torch import nn

from ..datasets.checks.dataset_config import build_metainfo, read_metainfo
from ..utils.configs import datasets_of
from ..utils.files import check_writable, read_json
from .checkpoint import read_checkpoint
from .config import build_model, in_scope, read_config
from .loading import check_model, read_dataset_meta
from .published import write_published


@dataclass(frozen=True)
class TrainedModel:
    """A model ready to predict.

    Attributes:
        cfg (Config): Its config.
        model (nn.Module): The model with its weights, on the CPU, in evaluation mode.
        dataset_meta (dict): Names and colours of the classes, from the checkpoint or else from the
            config's dataset; may be empty.
        geometry (str): The rule for odd sizes in training, see ``trained_geometry``.
    """

    cfg: Config
    model: nn.Module
    dataset_meta: dict
    geometry: str


def load_trained(
    config: str,
    checkpoint: str,
    cfg_options: dict | None = None,
    data_root: str | None = None,
) -> TrainedModel:
    """Build the model of a config and load a checkpoint, or published weights, into it.

    Args:
        config (str): The config file that the checkpoint was trained with.
        checkpoint (str): The checkpoint file.
        cfg_options (dict, optional): Settings to override. Defaults to None.
        data_root (str, optional): Folder of the data in place of the config's, see
            ``read_config``. Defaults to None.

    Returns:
        TrainedModel: The model, with plain batch norms in place of synchronised ones.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If the config or the checkpoint cannot be read, or the weights are not those of
            the config's model.
    """
    cfg = read_config(config, cfg_options, data_root)
    content = read_checkpoint(checkpoint, 'cpu')
    model = revert_sync_batchnorm(build_model(cfg))
    own = _dataset_meta(cfg)
    with in_scope(cfg):
        loaded = check_model(model, content, cfg, own.get('classes'), f'checkpoint: {checkpoint}')
    model.dataset_meta = meta = read_dataset_meta(content.get('meta')) or own
    return TrainedModel(cfg, model.eval(), meta, loaded.geometry)


def publish(
    config: str,
    checkpoint: str,
    folder: str,
    metrics: str | None = None,
    cfg_options: dict | None = None,
    data_root: str | None = None,
) -> str:
    """Write a checkpoint's weights, without the optimizer's state, as safetensors.

    Args:
        config (str): The config file that the checkpoint was trained with.
        checkpoint (str): The checkpoint.
        folder (str): Where to write.
        metrics (str, optional): A JSON file of metrics, such as ``tools/test.py`` writes, or the
            ``result.json`` of ``tools/reproduce.py``. Defaults to None.
        cfg_options (dict, optional): Settings to override. Defaults to None.
        data_root (str, optional): Folder of the data in place of the config's, see
            ``read_config``. Defaults to None.

    Returns:
        str: The file, see ``write_published``.

    Raises:
        OSError: If a file is missing, or ``folder`` cannot be written to.
        ValueError: If the config or a file cannot be read, the metrics are none, or the weights
            are not those of the config's model.
    """
    values = _read_metrics(metrics) if metrics else {}
    check_writable(folder, 'folder', is_folder=True)
    trained = load_trained(config, checkpoint, cfg_options, data_root)
    return write_published(
        folder,
        trained.cfg,
        trained.model.state_dict(),
        values,
        trained.dataset_meta,
        trained.geometry,
    )


def _read_metrics(path: str) -> dict[str, float]:
    content = read_json(path, 'metrics')
    if isinstance(content, dict):
        content = content.get('metrics', content)
    named = content.items() if isinstance(content, dict) else ()
    numbers = {name: value for name, value in named if isinstance(value, (int, float))}
    if not numbers:
        raise ValueError(f'metrics: {path} has no numbers by name, such as {{"mIoU": 45.5}}')
    return numbers


def _dataset_meta(cfg: Config) -> dict:
    """Names and colours of the classes of the first dataset that has some, as in training."""
    for split in ('test', 'val', 'train'):
        for _, dataset in datasets_of(cfg, split):
            with in_scope(cfg):
                meta = build_metainfo(dataset) or read_metainfo(dataset)
            if isinstance(meta.get('classes'), (list, tuple)):
                return meta
    return {}
