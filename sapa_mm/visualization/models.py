"""The models of a figure, and what they are called."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from mmengine.config import Config
from mmengine.dataset import Compose
from torch import nn

from ..engine.config import check_checkpoint, check_upsamplers, load_config
from ..engine.images import image_pipeline
from ..engine.trained_model import TrainedModel, load_trained
from ..upsamplers import Upsampler
from .observation import Observation, explain_failure, observe
from .subject import Subject

#: Libraries whose models can be looked at, by the default scope of their configs.
SCOPES = ('mmseg', 'mmdet')


@dataclass(frozen=True)
class NamedModel:
    """A trained model.

    Attributes:
        name (str): What it is called in a figure.
        config (str): Its config file.
        trained (TrainedModel): The model.
    """

    name: str
    config: str
    trained: TrainedModel

    def observe(self, subject: Subject) -> Observation:
        """Runs the model on an image; see :func:`.observation.observe`."""
        pipeline = Compose(image_pipeline(self.trained.cfg))
        with explain_failure(self.name, subject.image):
            sample = pipeline(dict(img_path=subject.path, img_id=0))
        model, meta = self.trained.model, complete_meta(self.trained.dataset_meta)
        return observe(self.name, model, sample, subject.image, meta)


def check_models(
    models: Sequence[tuple[str, str]], cfg_options: dict | None = None
) -> list[Config]:
    """Looks at configs and checkpoints before anything is built.

    Args:
        models (Sequence[tuple[str, str]]): Config and checkpoint of each model.
        cfg_options (dict, optional): Settings to override in all configs. Defaults to None.

    Returns:
        list[Config]: The configs.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If one cannot be read, or the configs are not of one library.
    """
    configs = []
    for config, checkpoint in models:
        cfg = load_config(config, None, cfg_options, 'none', 0)
        check_upsamplers(cfg.model, 'model')
        check_checkpoint(checkpoint, 'checkpoint')
        if cfg.get('default_scope') not in SCOPES:
            raise ValueError(
                f'config: {config} has default_scope {cfg.get("default_scope")}; models of '
                f'{" and ".join(SCOPES)} can be looked at'
            )
        configs.append(cfg)
    if len({cfg.default_scope for cfg in configs}) > 1:
        raise ValueError('models: all models must be of one library, mmseg or mmdet')
    return configs


def load_models(
    models: Sequence[tuple[str, str]], cfg_options: dict | None = None
) -> list[NamedModel]:
    """Builds models and names them by their upsamplers, as the paper calls these.

    Args:
        models (Sequence[tuple[str, str]]): Config and checkpoint of each model.
        cfg_options (dict, optional): Settings to override in all configs. Defaults to None.

    Returns:
        list[NamedModel]: The models, no two of a name.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If weights do not fit their config.
    """
    trained = [load_trained(*files, cfg_options) for files in models]
    configs = [config for config, _ in models]
    names = _distinct([upsampler_name(one.model) for one in trained], configs)
    return [NamedModel(*one) for one in zip(names, configs, trained, strict=True)]


def upsampler_name(model: nn.Module) -> str | None:
    """The title of the upsampler in a model; None if it has none of ours."""
    used = dict.fromkeys(type(part) for part in model.modules() if isinstance(part, Upsampler))
    return ' + '.join(kind.title for kind in used) or None


def _distinct(names: list[str | None], configs: list[str]) -> list[str]:
    stems = [Path(config).stem for config in configs]
    described = [
        stem if name is None else f'{name}, {stem}' if names.count(name) > 1 else name
        for name, stem in zip(names, stems, strict=True)
    ]
    # Two checkpoints of one config.
    return [
        f'{name}, model {number}' if described.count(name) > 1 else name
        for number, name in enumerate(described, 1)
    ]


def complete_meta(meta: dict) -> dict:
    """Names and colours of classes, with colours where a dataset has none.

    Args:
        meta (dict): ``classes``, and ``palette`` where known.

    Returns:
        dict: Both, a colour for each class.

    Raises:
        ValueError: If the classes are not known.
    """
    classes = meta.get('classes')
    if not classes:
        raise ValueError('neither the checkpoint nor the config says which classes there are')
    palette = meta.get('palette')
    if not isinstance(palette, (list, tuple)) or len(palette) < len(classes):
        palette = np.random.default_rng(0).integers(40, 256, (len(classes), 3)).tolist()
    return dict(meta, classes=tuple(classes), palette=[tuple(map(int, one)) for one in palette])
