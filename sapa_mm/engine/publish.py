"""A checkpoint made ready to be published."""

from ..utils.json_files import read_json
from .published import write_published
from .trained_model import load_trained


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
    reached = _read_metrics(metrics) if metrics else {}
    trained = load_trained(config, checkpoint, cfg_options)
    return write_published(
        folder, trained.cfg, trained.model.state_dict(), reached, trained.dataset_meta
    )


def _read_metrics(path: str) -> dict[str, float]:
    content = read_json(path, 'metrics')
    content = content.get('metrics', content) if isinstance(content, dict) else {}
    return {name: value for name, value in content.items() if isinstance(value, (int, float))}
