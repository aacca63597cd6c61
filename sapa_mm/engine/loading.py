"""Loading weights into a model, and saying what does not fit."""

import functools
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from mmengine.config import Config
from mmengine.runner import checkpoint as mmengine_checkpoint
from torch import nn

from ..utils.config_text import parse_config
from ..utils.configs import type_name
from ..utils.log import log_info, log_warning
from ..utils.tasks import model_task
from ..utils.text import first_of, one_line
from .checkpoint import CheckpointError
from .compare_settings import compare_classes, compare_settings
from .older_weights import GEOMETRY, trained_geometry, warn_at_odd_sizes


@dataclass
class LoadedWeights:
    """Which weights were loaded into a module, and which were not.

    Attributes:
        wanted (list[str]): Names of the module's weights.
        found (Mapping[str, Any] | None): The state dict; None if none was loaded.
        missing (list[str]): Weights of the module that the state dict lacks.
        left_over (list[str]): Weights that the module lacks.
        misfits (list[str]): Weights of another shape, with the shapes.
        geometry (str): The rule for odd sizes in training, see ``trained_geometry``.
    """

    wanted: list[str]
    found: Mapping[str, Any] | None = None
    missing: list[str] = field(default_factory=list)
    left_over: list[str] = field(default_factory=list)
    misfits: list[str] = field(default_factory=list)
    geometry: str = GEOMETRY

    @property
    def count(self) -> int:
        """The number of weights that were loaded."""
        if self.found is None:
            return 0
        return len(self.wanted) - len(self.missing) - len(self.misfits)

    @property
    def problems(self) -> list[str]:
        """What does not fit, in words; empty if all does."""
        return [
            f'{problem} ({len(names)}): {first_of(names)}'
            for problem, names in (
                ('lacks weights of the model', self.missing),
                ('has weights that the model lacks', self.left_over),
                ('has weights of another shape', self.misfits),
            )
            if names
        ]

    def explain(self, names: Collection[str], advice: str = '') -> str:
        """Say why no weight was loaded.

        Args:
            names (Collection[str]): The names in the file.
            advice (str): What to do if the names have a prefix; ``{}`` stands for it.
                Defaults to ''.

        Returns:
            str: What the file has instead, and where the weights are, if it has them.
        """
        text = f'has none of the {len(self.wanted)} weights needed'
        if self.misfits:
            return f'{text}; those of their names have another shape: {first_of(self.misfits)}'
        text += f'; it has {first_of(list(names))}'
        for key, value in (self.found or {}).items():
            if isinstance(value, Mapping) and not set(self.wanted).isdisjoint(value):
                return f'{text}; the weights are under the key {key!r}: save these alone'
        if prefix := _common_prefix(names, self.wanted):
            return f'{text}; its names have the prefix {prefix!r}{advice.format(repr(prefix))}'
        if prefix := _common_prefix(self.wanted, names):
            return f'{text}; these are the weights of {prefix[:-1]!r} alone'
        return text


def _common_prefix(longer: Collection[str], shorter: Collection[str]) -> str:
    """Find the prefix that most of the names have."""
    names = set(shorter)
    prefixes = Counter(
        name[: match.end()]
        for name in longer
        for match in re.finditer(r'\.', str(name))
        if name[match.end() :] in names
    )
    return max(prefixes, key=lambda prefix: prefixes[prefix], default='')


@contextmanager
def watch_loading(module: nn.Module) -> Iterator[LoadedWeights]:
    """Watch what is loaded into a module, by torch's own loading or mmengine's.

    Both call torch's hooks, after modules have renamed the weights of other projects.

    Args:
        module (nn.Module): The module.

    Yields:
        LoadedWeights: Filled in once weights have been loaded.
    """
    loaded = LoadedWeights(list(filter(_is_weight, module.state_dict())))
    errors: list[str] = []

    def before(state_dict, prefix, local_metadata, strict, missing, unexpected, messages):
        nonlocal errors
        loaded.found, errors = state_dict, messages

    def after(module, keys):
        loaded.missing = list(filter(_is_weight, keys.missing_keys))
        loaded.left_over = list(filter(_is_weight, keys.unexpected_keys))
        loaded.misfits = [
            _describe_misfit(text) for text in errors if 'num_batches_tracked' not in text
        ]

    handles = [
        module._register_load_state_dict_pre_hook(before),
        module.register_load_state_dict_post_hook(after),
    ]
    try:
        yield loaded
    finally:
        for handle in handles:
            handle.remove()


def _is_weight(name: str) -> bool:
    """Whether a name is that of a weight, which must be there.

    Counters of batch norm may be missing in mmengine, and torch sets them to 0; mmcv 1 kept the
    averages of its ``EMAHook`` under names without dots; the preprocessor's constants are settings.
    """
    return not re.match(r'ema_[^.]*$|data_preprocessor\.|.*num_batches_tracked', name)


def _describe_misfit(message: str) -> str:
    shapes = r'size mismatch for (.*?): .*?(\[.*?\]).*?(\[.*?\])'
    match = re.search(shapes, message, re.DOTALL)
    return f'{match[1]} {match[2]} instead of {match[3]}' if match else message.strip()


def load_weights(model: nn.Module, checkpoint: Any, label: str) -> LoadedWeights:
    """Load what fits of a checkpoint into a model, as mmengine does.

    Args:
        model (nn.Module): The model.
        checkpoint (Any): What the file holds.
        label (str): What error messages call it: the argument and the file.

    Returns:
        LoadedWeights: What was loaded.

    Raises:
        CheckpointError: If nothing was.
    """
    weights = _mapping(checkpoint).get('state_dict', checkpoint)
    if not _mapping(weights) or not all(isinstance(name, str) for name in weights):
        raise CheckpointError(f'{label} has no state_dict with weights')
    try:
        with watch_loading(model) as loaded:
            mmengine_checkpoint._load_checkpoint_to_model(model, checkpoint, logger='silent')
    except ValueError as error:
        # Upsamplers refuse the weights of options that they were not built with.
        raise CheckpointError(f'{label}: {error}') from error
    if not loaded.count:
        raise CheckpointError(f'{label} {loaded.explain(weights)}')
    if not_finite := [
        name
        for name, value in model.state_dict().items()
        if value.is_floating_point() and not value.isfinite().all()
    ]:
        # A class is the largest of its scores, whatever they are: the metrics look plausible.
        text = f'{label} has weights with NaN or infinity ({len(not_finite)}):'
        log_warning(f'{text} {first_of(not_finite)}')
    loaded.geometry = trained_geometry(checkpoint, model)
    if loaded.geometry != GEOMETRY:
        warn_at_odd_sizes(model, label)
    return loaded


def check_model(
    model: nn.Module,
    checkpoint: Any,
    cfg: Config,
    classes: Any,
    label: str,
    allow_partial: bool | None = None,
) -> LoadedWeights:
    """Load a checkpoint into the model that it must be of.

    Args:
        model (nn.Module): The model.
        checkpoint (Any): What the file holds. The config in it is read as text, not run.
        cfg (Config): The model's config.
        classes (Any): Names of the classes of its data; None if unknown.
        label (str): What messages call the checkpoint: the argument and the file.
        allow_partial (bool, optional): Whether to warn if it is of another model. Defaults to None:
            no, and the error does not name this argument.

    Returns:
        LoadedWeights: What was loaded.

    Raises:
        CheckpointError: If no weight fits, or the checkpoint is of another model.
    """
    loaded = load_weights(model, checkpoint, label)
    problems = [f'it {problem}' for problem in loaded.problems]
    if model_task(model) == 'depth':
        classes = None  # those of NYUDataset are kinds of rooms, on which no output depends
    problems += _compare_meta(_mapping(checkpoint.get('meta')), cfg, classes, label)
    if not problems:
        return loaded
    place = cfg.filename or 'the config'
    what = f'{label} does not fit the model in {place}: {"; ".join(problems)}'
    if not allow_partial:
        advice = 'give the config and `cfg_options` that it was trained with'
        if allow_partial is not None:
            advice += ', or `allow_partial` to load what fits'
        raise CheckpointError(f'{what}; {advice}')
    log_warning(f'{what}; loaded {loaded.count} of {len(loaded.wanted)} weights')
    return loaded


def log_loaded(loaded: LoadedWeights, label: str) -> None:
    """Log in one line what was loaded.

    Args:
        loaded (LoadedWeights): What was.
        label (str): Where the weights come from.
    """
    texts = [f'{label}: loaded {loaded.count} of {len(loaded.wanted)} weights']
    for what, names in (
        ('missing, left as initialised', loaded.missing),
        ('of another shape, left as initialised', loaded.misfits),
        ('not in the model, ignored', loaded.left_over),
    ):
        if names:
            texts.append(f'{what}: {len(names)} ({first_of(names)})')
    log = log_warning if loaded.missing or loaded.misfits else log_info
    log('; '.join(texts))


def watch_pretrained(model: nn.Module) -> None:
    """Log what modules load by ``init_cfg=dict(type='Pretrained', ...)``, once they do.

    Initialisation then raises a ``CheckpointError`` if that is nothing.

    Args:
        model (nn.Module): The model, not yet initialised.
    """
    for name, module in model.named_modules():
        init_cfg = getattr(module, 'init_cfg', None) or ()
        for cfg in [init_cfg] if isinstance(init_cfg, dict) else init_cfg:
            if type_name(cfg.get('type')) in ('Pretrained', 'PretrainedInit'):
                key = '.'.join(filter(None, ('model', name, 'init_cfg.checkpoint')))
                label = f'{key}: {cfg["checkpoint"]}'
                module.init_weights = functools.partial(_init_pretrained, module, label)


def _init_pretrained(module: Any, label: str) -> None:
    del module.init_weights  # the class has its own
    with watch_loading(module) as loaded:
        try:
            module.init_weights()
        except CheckpointError:
            raise
        except (AssertionError, RuntimeError, ValueError) as error:
            # No such prefix, weights of another shape, or of an option of an upsampler.
            problem = '; '.join(loaded.problems) or one_line(error)
            raise CheckpointError(f'{label}: {problem}') from error
    if loaded.found is None:
        return  # some modules copy weights by themselves
    if not loaded.count:
        raise CheckpointError(
            f'{label} {loaded.explain(loaded.found, ": give init_cfg prefix={}")}'
        )
    log_loaded(loaded, label)


def _compare_meta(meta: Mapping, cfg: Config, classes: Any, label: str) -> Iterator[str]:
    """Compare what a checkpoint says of its training with a config."""
    trained = meta.get('model')  # of published weights
    if 'cfg' in meta:
        try:
            trained = parse_config(meta['cfg'], keys=('model',)).get('model')
        except ValueError as error:
            log_warning(f"{label}: its meta['cfg'] cannot be compared: {error}")
    given = cfg.to_dict()['model']
    given = given.get('module', given)  # of the wrapper for test time augmentation
    differences = list(compare_settings(trained, given)) if _mapping(trained) else []
    if sure := [difference for difference in differences if difference.is_sure]:
        yield first_of(sure)
    if perhaps := [difference for difference in differences if not difference.is_sure]:
        log_warning(f'{label}: {first_of(perhaps)}; this may matter')
    if other_classes := compare_classes(read_dataset_meta(meta).get('classes'), classes):
        yield other_classes


def read_dataset_meta(meta: Any) -> dict[str, Any]:
    """Read names and colours of the classes from what a checkpoint says of its training.

    Args:
        meta (Any): Its ``meta``. mmseg 0.x and mmdet 2 kept CLASSES and PALETTE there.

    Returns:
        dict[str, Any]: The metadata of the dataset; empty if there are no names.
    """
    meta = _mapping(meta)
    old = {key: meta[key] for key in ('CLASSES', 'PALETTE') if key in meta}
    data = {
        str(key).lower(): value for key, value in _mapping(meta.get('dataset_meta', old)).items()
    }
    names = data.get('classes')
    if not isinstance(names, (list, tuple)) or not all(isinstance(name, str) for name in names):
        return {}
    try:
        np.asarray(data.get('palette'), np.uint8).reshape(-1, 3)
    except (TypeError, ValueError, OverflowError):
        data['palette'] = None  # not colours
    return data


def _mapping(value: Any) -> Mapping:
    return value if isinstance(value, Mapping) else {}
