"""What is wrong with the settings of a config, told before a model is built."""

import inspect
from collections.abc import Iterable, Iterator

from mmengine.config import Config
from mmengine.hooks import CheckpointHook

from ..datasets.checks.report import ReportLine, has_errors, raise_error
from ..utils.configs import datasets_of, nested_configs, type_name
from ..utils.files import check_writable
from .batch_norm import find_single_values
from .config import ConfigError, build_model, check_upsamplers
from .image_sizes import find_size_problems

#: What mmengine takes together or not at all.
_LOOPS = (
    ('train_dataloader', 'train_cfg', 'optim_wrapper'),
    ('val_dataloader', 'val_cfg', 'val_evaluator'),
    ('test_dataloader', 'test_cfg', 'test_evaluator'),
)
#: Options of a dataloader that torch refuses without worker processes.
_OF_WORKERS = ('persistent_workers', 'prefetch_factor', 'multiprocessing_context')
#: Parts of a config that write files, with the keys of the folders, and of the files, they write.
_WRITERS = ('visualizer', 'vis_backends', 'default_hooks', 'custom_hooks', 'test_evaluator')
_FOLDERS = ('save_dir', 'out_dir', 'output_dir')
_FILES = ('outfile_prefix', 'out_file_path')


def check_settings(cfg: Config, splits: Iterable[str]) -> None:
    """Check the settings of a run.

    Args:
        cfg (Config): The config. Its default scope must be the current one.
        splits (Iterable[str]): What the run reads: 'train', 'val', 'test'.

    Raises:
        ValueError: With the first error. Notes are logged as warnings.
    """
    raise_error(find_setting_problems(cfg, tuple(splits)))


def inspect_settings(cfg: Config) -> Iterator[ReportLine]:
    """Check all settings of a config, and build its model.

    Args:
        cfg (Config): The config. Its default scope must be the current one.

    Yields:
        ReportLine: An error for each problem, and notes.
    """
    lines = list(find_setting_problems(cfg, ('train', 'val', 'test')))
    yield from lines
    if not has_errors(lines):
        try:
            build_model(cfg)
        except ConfigError as error:
            yield ReportLine('error', str(error))


def find_setting_problems(cfg: Config, splits: tuple[str, ...]) -> Iterator[ReportLine]:
    """Find settings with which a run fails, or trains on other images than its config says.

    Args:
        cfg (Config): The config. Its default scope must be the current one.
        splits (tuple[str]): What the run reads: 'train', 'val', 'test'.

    Yields:
        ReportLine: Each error or note.
    """
    yield from _loops(cfg)
    if 'train' in splits:
        yield from _lengths(cfg)
        yield from _checkpoint_hooks(cfg)
    for split in splits:
        yield from _dataloader(cfg, split)
    yield from _places(cfg, splits)
    yield from find_size_problems(cfg, splits)
    try:
        check_upsamplers(cfg)
    except ConfigError as error:
        yield ReportLine('error', str(error))
        return
    if 'train' in splits:
        yield from find_single_values(cfg)


def idle_worker_options(cfg: Config) -> Iterator[tuple[str, str]]:
    """Find the options for worker processes in dataloaders that have none.

    Args:
        cfg (Config): The config.

    Yields:
        tuple[str, str]: The key of the dataloader, and the option.
    """
    for key in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        loader = cfg.get(key) or {}
        if not loader.get('num_workers'):
            yield from ((key, option) for option in _OF_WORKERS if loader.get(option))


def _loops(cfg: Config) -> Iterator[ReportLine]:
    for keys in _LOOPS:
        missing = [key for key in keys if cfg.get(key) is None]
        if missing and len(missing) < len(keys):
            there = [key for key in keys if key not in missing]
            yield ReportLine(
                'error',
                f'config: it has {" and ".join(there)}, but no {" and no ".join(missing)}; set all '
                'three, or none',
            )


def _lengths(cfg: Config) -> Iterator[ReportLine]:
    loop = cfg.get('train_cfg') or {}
    for name in ('max_iters', 'max_epochs', 'val_interval'):
        number = loop.get(name, 1)
        if isinstance(number, bool) or not isinstance(number, (int, float)) or number < 1:
            text = f'train_cfg.{name} must be a number of 1 or more, got {number!r}'
            yield ReportLine('error', text)
    sampler = (cfg.get('train_dataloader') or {}).get('sampler') or {}
    by_epoch = loop.get('by_epoch') or type_name(loop.get('type')) == 'EpochBasedTrainLoop'
    if by_epoch and type_name(sampler.get('type')) == 'InfiniteSampler':
        yield ReportLine(
            'error',
            'train_dataloader.sampler: an epoch of InfiniteSampler never ends; take '
            'DefaultSampler, or train_cfg.type IterBasedTrainLoop',
        )


def _checkpoint_hooks(cfg: Config) -> Iterator[ReportLine]:
    """Find settings that mmengine's hook hands to its runner, which fails on all of them."""
    known = {'type', 'priority', '_delete_', *inspect.signature(CheckpointHook).parameters}
    for part in ('default_hooks', 'custom_hooks'):
        for key, hook in nested_configs(cfg.get(part), part):
            if type_name(hook.get('type')) == 'CheckpointHook':
                for name in sorted(hook.keys() - known):
                    text = f'{key}.{name}: CheckpointHook has no such setting'
                    yield ReportLine('error', text)


def _dataloader(cfg: Config, split: str) -> Iterator[ReportLine]:
    key = f'{split}_dataloader'
    loader = cfg.get(key) or {}
    for name, least in (('batch_size', 1), ('num_workers', 0), ('prefetch_factor', 1)):
        number = loader.get(name, least)
        if number is None and name == 'prefetch_factor':
            continue
        if isinstance(number, bool) or not isinstance(number, int) or number < least:
            text = f'{key}.{name} must be an integer of {least} or more, got {number!r}'
            yield ReportLine('error', text)
    for name, dataset in datasets_of(cfg, split):
        if not isinstance(pipeline := dataset.get('pipeline', []), (list, tuple)):
            text = f'{name}.pipeline must be a list of steps, got {pipeline!r}'
            yield ReportLine('error', text)
    for name, option in idle_worker_options(Config({key: loader})):
        text = f'{name}.{option}={loader[option]} has no effect with num_workers=0'
        yield ReportLine('note', text)


def _places(cfg: Config, splits: tuple[str, ...]) -> Iterator[ReportLine]:
    evaluators = [f'{split}_evaluator' for split in splits if split != 'train']
    for part in (*_WRITERS[:-1], *evaluators):
        for key, nested in nested_configs(cfg.get(part), part):
            for name in (*_FOLDERS, *_FILES):
                path = nested.get(name)
                if not isinstance(path, str) or '://' in path or nested.get('backend_args'):
                    continue
                # Files are named by what follows their prefix.
                place = f'{path}.json' if name == 'outfile_prefix' else path
                try:
                    check_writable(place, f'{key}.{name}', is_folder=name in _FOLDERS)
                except OSError as error:
                    yield ReportLine('error', str(error))
