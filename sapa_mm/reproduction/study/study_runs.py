"""The runs of a study, which share initial weights, batches and everything but the upsampler."""

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import cv2
import torch
from mmengine.config import Config
from mmengine.registry import MODELS
from mmengine.runner import set_random_seed

from ...datasets.checks import check_data
from ...engine.checkpoint import read_checkpoint
from ...engine.config import check_checkpoint, in_scope, read_config
from ...engine.data_root import move_data
from ...engine.loading import watch_pretrained
from ...utils.configs import datasets_of, nested_configs
from ...utils.files import check_writable, whole_file
from ...utils.text import first_of
from ..file_lock import file_lock
from ..generated_data import data_folder, make_missing_data
from ..launcher import Launcher
from ..small_models import schedule_options
from ..train_all import train_all
from ..training_result import TrainingResult
from ..training_run import OnProgress, TrainingRun
from .pixel_counts import PixelCounts
from .studies import Study, StudyRow
from .study_results import StudyFolder, StudyResult, check_same_row

_CHECKPOINTS = {
    'default_hooks.checkpoint.interval': 100,
    'default_hooks.checkpoint.max_keep_ckpts': 2,
}


#: What a result depends on.
_PARTS = (
    'model',
    'train_dataloader',
    'val_dataloader',
    'val_evaluator',
    'test_dataloader',
    'test_evaluator',
    'optim_wrapper',
    'param_scheduler',
    'train_cfg',
    'custom_hooks',
)


@dataclass(frozen=True)
class StudySettings:
    """How a study is run.

    Attributes:
        configs (str): Folder of the configs.
        out (str): Folder of the results.
        data_root (str | None): Folder of the data; None for ``data/study_NAME``, which is written
            if missing, or that of the configs. Defaults to None.
        iterations (int | None): Training iterations, a multiple of 4; None for those of the
            study. Defaults to None.
        weights (str | None): File of the backbone's weights in a study that starts from some; None
            for those of the config. Defaults to None.
        cfg_options (dict): Settings to override in all configs. Defaults to none.

    Raises:
        ValueError: If ``iterations`` is not as above.
    """

    configs: str
    out: str
    data_root: str | None = None
    iterations: int | None = None
    weights: str | None = None
    cfg_options: dict = field(default_factory=dict)

    def __post_init__(self):
        if self.iterations is not None and (self.iterations < 4 or self.iterations % 4):
            raise ValueError(
                'iterations must be a multiple of 4, to validate after each quarter, got '
                f'{self.iterations}'
            )

    def options(self, study: Study, length: float = 1) -> dict:
        """The settings that all runs of a study override, for a multiple of its length."""
        cfg = read_config(os.path.join(self.configs, study.config))
        iterations = round(length * (self.iterations or study.iterations))
        data_root = self.folder(study)
        starts = _starts_from_weights(cfg) and self.weights is not None
        weights = self.weights and os.path.abspath(self.weights)
        return {
            **({} if data_root is None else move_data(cfg, data_root)),
            **schedule_options(cfg, iterations),
            'train_cfg.val_interval': iterations // 4,
            **_CHECKPOINTS,
            **({'model.backbone.init_cfg.checkpoint': weights} if starts else {}),
            'custom_hooks.0.reseed': True,
            **study.cfg_options,
            **self.cfg_options,
        }

    def folder(self, study: Study) -> str | None:
        """The folder of a study's data; None for that of its config."""
        if study.generated is None:
            return self.data_root and os.path.abspath(self.data_root)
        return data_folder(self.data_root, f'study_{study.name}')


@dataclass(frozen=True, kw_only=True)
class StudyRun(TrainingRun):
    """A run of a row with one seed.

    Attributes:
        study (Study): The study.
        row (StudyRow): The row.
        seed (int): The random seed.
        settings (StudySettings): How it is run.
    """

    study: Study
    row: StudyRow
    seed: int
    settings: StudySettings

    @property
    def selection(self) -> list[str]:
        """The options of the tool that select this run."""
        title = self.row.title
        return ['--study', self.study.name, '--rows', title, '--seeds', f'{self.seed}']

    @property
    def folder(self) -> StudyFolder:
        """The folder of the study's results."""
        return StudyFolder(self.settings.out, self.study)

    @property
    def initial_weights(self) -> str:
        """The file of initial weights, one for all runs of a seed."""
        folder = os.path.dirname(self.work_dir)
        return os.path.abspath(os.path.join(folder, f'initial_seed-{self.seed}.pth'))

    def recipe(self) -> tuple[str, dict]:
        """The study's config, and the settings that give it the row's upsampler and seed."""
        own = self.row.own_settings(self.settings.configs)
        upsample_cfg = own.pop('upsample_cfg')
        return self.config, {
            **self.settings.options(self.study, self.row.length),
            **{f'model.decode_head.upsample_cfg.{k}': v for k, v in upsample_cfg.items()},
            **own,
            'randomness.seed': self.seed,
            'load_from': self.initial_weights,
        }

    def train(
        self, launcher: Launcher | None = None, on_progress: OnProgress | None = None
    ) -> TrainingResult:
        """See ``TrainingRun.train``; a result that is on record is not measured again."""
        if (kept := self.folder.read(self.row, self.seed)) is not None:
            return kept.training
        return super().train(launcher, on_progress)

    @property
    def state(self) -> str:
        """See ``TrainingRun.state``."""
        return super().state if self.folder.read(self.row, self.seed) is None else 'finished'

    def own_settings(self) -> dict:
        """The settings that distinguish the row, and its length."""
        iterations = self.recipe()[1]['train_cfg.max_iters']
        return {**self.row.own_settings(self.settings.configs), 'iterations': iterations}

    def _settings(self, launcher: Launcher) -> dict:
        # The same paths may have other data, or other weights, than when the run was started.
        weights = read_checkpoint(self.initial_weights, 'cpu')
        own = {'made_of': weights['made_of'], 'starts_from': _hash_tensors(weights['state_dict'])}
        return {**super()._settings(launcher), **own}

    def collect(self, training: TrainingResult) -> StudyResult:
        """Collect what is kept of a finished run."""
        return StudyResult(
            upsampler=self.row.upsampler,
            variant=self.row.variant,
            seed=self.seed,
            settings=self.own_settings(),
            initial_weights=hash_weights(self.initial_weights),
            training=training,
            validations=self.files.read_validations(),
            test=PixelCounts.from_json(self.files.read_test()),
        )


def make_initial_weights(run: StudyRun, settings: str) -> None:
    """Write the initial weights of a seed, backbone and head, unless they are there.

    Those of upsamplers are left out, since each has its own.

    Args:
        run (StudyRun): A run with that seed.
        settings (str): What they are made of; see ``describe_settings``.
    """
    path, made_of = run.initial_weights, hashlib.sha256(settings.encode()).hexdigest()
    with file_lock(f'{path}.lock'):
        if os.path.isfile(path) and torch.load(path, weights_only=True)['made_of'] == made_of:
            return
        options = {**run.settings.options(run.study), 'randomness.seed': run.seed}
        cfg = read_config(run.config, options)
        set_random_seed(run.seed)
        with in_scope(cfg):
            model = MODELS.build(cfg.model)
            watch_pretrained(model)
            model._dump_init_info = lambda: None  # prints a line for each weight
            model.init_weights()
        with whole_file(path) as partial:
            torch.save({'state_dict': model.state_dict(), 'made_of': made_of}, partial)


def hash_weights(path: str) -> str:
    """SHA-256 of the tensors of a file, in the order of their names.

    Raises:
        ValueError: If it is no checkpoint, or has other things than tensors.
    """
    content = read_checkpoint(path, 'cpu')
    weights = content.get('state_dict', content)
    if others := [name for name, value in weights.items() if not torch.is_tensor(value)]:
        raise ValueError(f'weights: {path} must have tensors only, {first_of(others)} are none')
    return _hash_tensors(weights)


def _hash_tensors(weights: dict[str, torch.Tensor]) -> str:
    digest = hashlib.sha256()
    for name, value in sorted(weights.items()):
        digest.update(name.encode() + value.flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def list_study(
    studies: Sequence[Study],
    rows: Sequence[str],
    seeds: Sequence[int] | None,
    settings: StudySettings,
) -> list[StudyRun]:
    """List the runs of studies, all rows with the first seed first.

    Args:
        studies (Sequence[Study]): The studies.
        rows (Sequence[str]): Which rows, by their titles. Empty for all.
        seeds (Sequence[int] | None): Which of the rows' seeds; None for all.
        settings (StudySettings): How they are run.

    Returns:
        list[StudyRun]: The runs.

    Raises:
        OSError: If a config is missing, or ``out`` is no folder.
        OtherSettings: If the folder has results of other settings; whether those are of other data
            or weights is not looked at.
        ValueError: If no study has such a row, no row such a seed, or no study starts from weights.
    """
    titles = {row.title.lower(): row.title for study in studies for row in study.rows}
    if unknown := [name for name in rows if name.lower() not in titles]:
        allowed = '; '.join(titles.values())
        raise ValueError(f'rows: there is no row {"; ".join(unknown)}, allowed are {allowed}')
    wanted = {name.lower() for name in rows} or titles
    runs = [
        StudyRun(
            title=f'{study.name}: {row.title}, seed {seed}',
            config=os.path.join(settings.configs, study.config),
            work_dir=os.path.join(settings.out, 'work_dirs', study.name, f'{row.name}_seed-{seed}'),
            pictured=study.pictured,
            study=study,
            row=row,
            seed=seed,
            settings=settings,
        )
        for study in studies
        for row in study.rows
        if row.title.lower() in wanted
        for seed in row.seeds
        if seeds is None or seed in seeds
    ]
    if unknown := set(seeds or ()) - {run.seed for run in runs}:
        raise ValueError(f'seeds: the rows have no seed {", ".join(map(str, sorted(unknown)))}')
    if settings.weights is not None:
        check_checkpoint(settings.weights, 'weights')
        if not any(_starts_from_weights(_read(study, settings)) for study in studies):
            names = ', '.join(study.name for study in studies)
            raise ValueError(f'weights: no study starts from any, of {names}')
    for study in dict.fromkeys(run.study for run in runs):
        StudyFolder(settings.out, study).compare(describe_config(study, settings), 'asked for')
    return sorted(runs, key=lambda run: (studies.index(run.study), run.row.length, run.seed))


def list_states(runs: Sequence[StudyRun]) -> str:
    """List runs with their states, a line each."""
    width = max(len(run.title) for run in runs)
    return '\n'.join(f'{run.title:{width}}  {run.state}' for run in runs)


def run_study(
    studies: Sequence[Study],
    rows: Sequence[str],
    seeds: Sequence[int] | None,
    settings: StudySettings,
    launcher: Launcher,
) -> list[str]:
    """Train the rows of studies and keep a small file of each; see ``train_all``.

    Args:
        studies (Sequence[Study]): The studies.
        rows (Sequence[str]): Which rows, see ``list_study``.
        seeds (Sequence[int] | None): Which seeds, see ``list_study``.
        settings (StudySettings): How they are run.
        launcher (Launcher): How the processes are started.

    Returns:
        list[str]: An error message for each run that failed.

    Raises:
        OSError: If data, weights or a config is missing, or a folder cannot be written to.
        OtherSettings: If the folder has results of other settings.
        ValueError: If the weights do not fit, or several studies are given one folder of data; see
            also ``list_study``.
    """
    launcher.check_program()
    if launcher.world_size != 1:
        # More would change the batch, and the test set is read by one.
        raise ValueError(f'processes must be 1 in a study, got {launcher.world_size}')
    if settings.data_root is not None and len(studies) > 1:
        names = ', '.join(study.name for study in studies)
        raise ValueError(f'data_root takes the data of one study, got the studies {names}')
    runs = list_study(studies, rows, seeds, settings)
    check_writable(settings.out, 'out', is_folder=True)
    for study in dict.fromkeys(run.study for run in runs):
        if study.generated is not None:
            make_missing_data(settings.folder(study), 'scenes', **study.generated)
        folder = StudyFolder(settings.out, study)
        text = describe_settings(study, settings)
        folder.compare(text, 'asked for')
        for run in (run for run in runs if run.study is study):
            kept = folder.read(run.row, run.seed)
            if kept is not None:
                check_same_row(kept.settings, run.own_settings(), folder.path(run.row, run.seed))
            else:
                make_initial_weights(run, text)
                folder.compare_weights(run.seed, hash_weights(run.initial_weights))
        folder.claim(text)

    def keep_result(run: StudyRun, result: TrainingResult) -> None:
        if run.folder.read(run.row, run.seed) is None:
            run.folder.keep(run.row, run.collect(result), run.files.prediction)

    return train_all(runs, launcher, keep_result)


def describe_settings(study: Study, settings: StudySettings) -> str:
    """Describe what all runs of a study have in common: config, data, pretrained weights.

    Args:
        study (Study): The study.
        settings (StudySettings): How it is run.

    Returns:
        str: The description, in which no path of this machine is named.

    Raises:
        OSError: If weights are missing.
        ValueError: If a config cannot be read, or data are missing or unfit.
    """
    cfg = _read(study, settings)
    with in_scope(cfg):
        check_data(cfg, ('train', 'val', 'test'))
    lines = []
    for split in ('train', 'val', 'test'):
        for _, dataset in datasets_of(cfg, split):
            prefix = dataset.data_prefix
            for kind, part, suffix in (
                ('images', 'img_path', dataset.img_suffix),
                ('label maps', 'seg_map_path', dataset.seg_map_suffix),
            ):
                folder = os.path.join(dataset.data_root, prefix[part])
                count, digest = _hash_images(folder, suffix)
                lines.append(f'# {split}, {kind}: {count} {suffix}, SHA-256 of pixels {digest}')
    for key, nested in nested_configs(cfg.model, 'model'):
        checkpoint = nested.get('checkpoint')
        if isinstance(checkpoint, str):
            lines.append(f'# {key}.checkpoint: {_identify(checkpoint)}')
    return '\n'.join([*lines, describe_config(study, settings)])


def describe_config(study: Study, settings: StudySettings) -> str:
    """Describe the config that all runs of a study have in common; see ``describe_settings``."""
    whole = _read(study, settings).to_dict()
    lines = [f'{key} = {value!r}' for part in _PARTS for key, value in _leaves(whole[part], part)]
    return '\n'.join([*lines, ''])


def _read(study: Study, settings: StudySettings) -> Config:
    return read_config(os.path.join(settings.configs, study.config), settings.options(study))


def _starts_from_weights(cfg: Config) -> bool:
    return bool(cfg.model.backbone.init_cfg)


def _identify(checkpoint: str) -> str:
    """SHA-256 of a file's tensors, or the address of a download."""
    return checkpoint if '://' in checkpoint else f'SHA-256 of tensors {hash_weights(checkpoint)}'


def _hash_images(folder: str, suffix: str) -> tuple[int, str]:
    """Number of the images of a folder, and SHA-256 of their names and pixels."""
    digest = hashlib.sha256()
    names = sorted(name for name in os.listdir(folder) if name.endswith(suffix))
    for name in names:
        pixels = cv2.imread(os.path.join(folder, name), cv2.IMREAD_UNCHANGED)
        if pixels is None:
            raise ValueError(f'data_root: {os.path.join(folder, name)} is no image')
        digest.update(name.encode() + pixels.tobytes())
    return len(names), digest.hexdigest()


def _leaves(settings: Any, name: str) -> Iterator[tuple[str, Any]]:
    """The settings below a dotted key, without paths."""
    if isinstance(settings, (list, tuple)) and any(isinstance(item, dict) for item in settings):
        settings = dict(enumerate(settings))
    if not isinstance(settings, dict):
        yield name, list(settings) if isinstance(settings, tuple) else settings
        return
    for key, value in settings.items():
        if key not in ('data_root', 'checkpoint'):
            yield from _leaves(value, f'{name}.{key}')
