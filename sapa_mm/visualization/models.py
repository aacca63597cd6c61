"""The trained models of a figure and their names."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mmengine.config import Config
from mmengine.dataset import Compose
from torch import nn

from ..engine.config import check_upsamplers, in_scope, read_config
from ..engine.images import image_pipeline
from ..engine.trained_model import TrainedModel, load_trained
from ..upsamplers import Upsampler
from ..utils.text import printable
from .input_image import InputImage
from .model_run import ModelRun, explain_failure, run_model

#: Libraries whose models can be drawn, by the default scope of their configs.
_SCOPES = ('mmseg', 'mmdet', 'mmengine')


@dataclass(frozen=True)
class NamedModel:
    """A trained model.

    Attributes:
        name (str): Its name in a figure.
        config (str): Its config file.
        trained (TrainedModel): The model.
    """

    name: str
    config: str
    trained: TrainedModel

    def run(self, image: InputImage) -> ModelRun:
        """Runs the model on an image; see ``.model_run.run_model``."""
        with in_scope(self.trained.cfg):
            pipeline = Compose(image_pipeline(self.trained.cfg))
        with explain_failure(self.name, image.pixels):
            sample = pipeline(dict(img_path=image.path, trimap_path=image.trimap, img_id=0))
        meta = self.trained.dataset_meta
        return run_model(self.name, self.trained.model, sample, image.pixels, meta)


def read_configs(
    models: Sequence[tuple[str, str]],
    cfg_options: dict | None = None,
    data_root: str | None = None,
) -> list[Config]:
    """Reads and checks the configs of models, before anything is built.

    Args:
        models (Sequence[tuple[str, str]]): Config and checkpoint of each model.
        cfg_options (dict, optional): Settings to override in all configs. Defaults to None.
        data_root (str, optional): Folder of the data in place of the configs', see
            ``read_config``. Defaults to None.

    Returns:
        list[Config]: The configs.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If a config cannot be read, or the configs are not of one library.
    """
    configs = []
    for config, _ in models:
        cfg = read_config(config, cfg_options, data_root)
        check_upsamplers(cfg)
        if cfg.get('default_scope') not in _SCOPES:
            raise ValueError(
                f'models: {config} has default_scope {cfg.get("default_scope")}; only models of '
                f'{", ".join(_SCOPES)} can be drawn'
            )
        configs.append(cfg)
    if len({cfg.default_scope for cfg in configs}) > 1:
        raise ValueError('models: all models must be of one library, such as mmseg')
    return configs


def load_models(
    models: Sequence[tuple[str, str]],
    cfg_options: dict | None = None,
    data_root: str | None = None,
) -> list[NamedModel]:
    """Builds models and names them by the titles of their upsamplers.

    Args:
        models (Sequence[tuple[str, str]]): Config and checkpoint of each model.
        cfg_options (dict, optional): Settings to override in all configs. Defaults to None.
        data_root (str, optional): Folder of the data in place of the configs', see
            ``read_config``. Defaults to None.

    Returns:
        list[NamedModel]: The models, with distinct names.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If a file cannot be read, or weights do not fit their config.
    """
    trained = [load_trained(*files, cfg_options, data_root) for files in models]
    configs = [config for config, _ in models]
    names = _distinct([upsampler_title(model.model) for model in trained], configs)
    return list(map(NamedModel, names, configs, trained))


def upsampler_title(model: nn.Module) -> str | None:
    """Title of the upsampler in a model, or None if it has none of sapa_mm."""
    kinds = dict.fromkeys(type(m) for m in model.modules() if isinstance(m, Upsampler))
    return ' + '.join(kind.title for kind in kinds) or None


def _distinct(titles: list[str | None], configs: list[str]) -> list[str]:
    stems = [printable(Path(config).stem) for config in configs]
    names = [
        stem if title is None else f'{title}, {stem}' if titles.count(title) > 1 else title
        for title, stem in zip(titles, stems, strict=True)
    ]
    # Several checkpoints of one config.
    return [
        f'{name}, model {number}' if names.count(name) > 1 else name
        for number, name in enumerate(names, 1)
    ]
