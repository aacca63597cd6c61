"""Exports a trained model to a file after checking its values."""

from collections.abc import Sequence

import numpy as np
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate
from mmengine.registry import DATASETS
from torch import nn

from ..datasets.checks import check_dataset
from ..engine.config import in_scope
from ..engine.images import image_pipeline, read_image
from ..engine.trained_model import load_trained
from ..utils.configs import without_pipelines
from ..utils.files import check_writable, whole_file
from ..utils.text import one_line
from .check_values import add_crops, check_sizes, compare, format_comparisons, is_accurate
from .description import describe
from .formats import format_of
from .kinds import wrap
from .trace import trace

_NUM_IMAGES = 3


def export_model(
    config: str,
    checkpoint: str,
    out: str,
    images: Sequence[str] = (),
    cfg_options: dict | None = None,
    data_root: str | None = None,
) -> str:
    """Exports a model after comparing the file with it on real images of five sizes.

    Args:
        config (str): The config file of a segmentor or depth estimator of mmseg.
        checkpoint (str): The checkpoint, or published weights.
        out (str): The file to write, ``.onnx`` or ``.pt2``; not written if its values are wrong.
        images (Sequence[str]): Image files to check it on. Defaults to (), the first three of the
            config's test set.
        cfg_options (dict, optional): Settings to override. Defaults to None.
        data_root (str, optional): Folder of the data in place of the config's, see
            ``read_config``. Defaults to None.

    Returns:
        str: A table of the comparisons.

    Raises:
        FileNotFoundError: If a file is missing.
        ImportError: If a package that the format needs is not installed.
        OSError: If no file can be written at ``out``.
        RuntimeError: If ``sapa_ops`` has no compiled operators.
        ValueError: If a file cannot be read, the model cannot be exported, or the file's values
            are not those of the model.
    """
    file_format = format_of(out)
    check_writable(out, 'out')
    for path in images:
        read_image(path, 'images')
    trained = load_trained(config, checkpoint, cfg_options, data_root)
    exported = wrap(trained.model)
    metadata = describe(trained.cfg, exported, trained.dataset_meta)
    inputs = _prepare(trained.cfg, trained.model, images or _test_images(trained.cfg))
    inputs = add_crops(inputs)
    traced = trace(exported)
    check_sizes(inputs, traced.min_size)

    with whole_file(out) as partial:
        file_format.write(traced, metadata, partial)
        comparisons = list(compare(exported, file_format.open(partial), inputs))
        table = format_comparisons(comparisons, exported.columns, file_format.runtime)
        if not is_accurate(comparisons):
            raise ValueError(
                f'{out} is not written: its values are not those of the model '
                f'({exported.tolerance}):\n{table}'
            )
    return table


def _test_images(cfg: Config) -> list[str]:
    advice = 'the file is checked on real images: name some with `images`'
    dataset = (cfg.get('test_dataloader') or {}).get('dataset')
    if dataset is None:
        raise ValueError(f'{advice} (the config has no test_dataloader)')
    try:
        with in_scope(cfg):
            check_dataset(dataset, 'test_dataloader.dataset')
            built = DATASETS.build(without_pipelines(dataset))
    except (FileNotFoundError, ValueError) as error:
        raise ValueError(f'{advice} ({error})') from error
    count = min(_NUM_IMAGES, len(built))
    return [built.get_data_info(index)['img_path'] for index in range(count)]


def _prepare(cfg: Config, model: nn.Module, paths: Sequence[str]) -> list[np.ndarray]:
    """Resizes and normalises images as in testing, to float32 (C, H, W)."""
    with in_scope(cfg):
        pipeline = Compose(image_pipeline(cfg))
    images = []
    for path in paths:
        try:
            data = model.data_preprocessor(pseudo_collate([pipeline(dict(img_path=path))]))
        except Exception as error:
            # OpenCV has its own errors, for example if a side becomes 0.
            raise ValueError(f'the test pipeline fails on {path}: {one_line(error)}') from error
        images.append(data['inputs'][0].numpy())
    return images
