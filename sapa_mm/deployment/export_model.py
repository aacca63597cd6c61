"""Exports a trained model to a file after checking its values."""

from collections.abc import Sequence

from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate
from mmengine.registry import DATASETS

from ..datasets.checks import check_dataset
from ..engine.config import in_scope
from ..engine.images import image_pipeline, read_image
from ..engine.trained_model import load_trained
from ..utils.configs import without_pipelines
from ..utils.files import check_writable, whole_file
from ..utils.text import one_line
from .check_values import Inputs, add_crops, check_sizes, compare, format_comparisons, is_accurate
from .description import describe
from .exported_model import ExportedModel
from .formats import format_of
from .kinds import wrap
from .trace import trace

_NUM_IMAGES = 3
_PATHS = ('img_path', 'trimap_path')


def export_model(
    config: str,
    checkpoint: str,
    out: str,
    images: Sequence[str] = (),
    cfg_options: dict | None = None,
    data_root: str | None = None,
    trimaps: Sequence[str] = (),
) -> str:
    """Exports a model after comparing the file with it on real images of five sizes.

    Args:
        config (str): The config file of a segmentor or depth estimator of mmseg, or of a matting
            model.
        checkpoint (str): The checkpoint, or published weights.
        out (str): The file to write, ``.onnx`` or ``.pt2``; not written if its values are wrong.
        images (Sequence[str]): Image files to check it on. Defaults to (), the first three of the
            config's test set.
        cfg_options (dict, optional): Settings to override. Defaults to None.
        data_root (str, optional): Folder of the data in place of the config's, see
            ``read_config``. Defaults to None.
        trimaps (Sequence[str]): Of a matting model, the trimap of each of ``images``. Defaults to
            ().

    Returns:
        str: A table of the comparisons.

    Raises:
        FileNotFoundError: If a file is missing.
        ImportError: If a package that the format needs is not installed.
        OSError: If no file can be written at ``out``.
        ValueError: If a file cannot be read, the model cannot be exported, or the file's values
            are not those of the model.
    """
    file_format = format_of(out)
    check_writable(out, 'out')
    for name, paths in (('images', images), ('trimaps', trimaps)):
        for path in paths:
            read_image(path, name)
    trained = load_trained(config, checkpoint, cfg_options, data_root)
    exported = wrap(trained.model)
    metadata = describe(trained.cfg, exported, trained.dataset_meta)
    samples = _pair(exported, images, trimaps) or _test_samples(trained.cfg)
    inputs = add_crops(_prepare(trained.cfg, exported, samples))
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


def _pair(
    exported: ExportedModel, images: Sequence[str], trimaps: Sequence[str]
) -> list[dict[str, str]]:
    """What the test pipeline takes of each image."""
    needed = len(images) if 'trimap' in exported.inputs else 0
    if len(trimaps) != needed:
        name = type(exported.model).__name__
        raise ValueError(
            f'trimaps: {name} takes {needed or "none"} with {len(images)} `images`, got '
            f'{len(trimaps)}'
        )
    if not needed:
        return [dict(img_path=path) for path in images]
    pairs = zip(images, trimaps, strict=True)
    return [dict(img_path=image, trimap_path=trimap) for image, trimap in pairs]


def _test_samples(cfg: Config) -> list[dict[str, str]]:
    """Those of the first images of the test set."""
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
    infos = [built.get_data_info(index) for index in range(count)]
    return [{key: info[key] for key in _PATHS if key in info} for info in infos]


def _prepare(cfg: Config, exported: ExportedModel, samples: Sequence[dict]) -> list[Inputs]:
    """Resizes and normalises images as in testing."""
    with in_scope(cfg):
        pipeline = Compose(image_pipeline(cfg))
    images = []
    for sample in samples:
        try:
            batch = pseudo_collate([pipeline(dict(sample))])
            images.append(exported.prepare(exported.model.data_preprocessor(batch)))
        except Exception as error:
            # OpenCV has its own errors, for example if a side becomes 0.
            raise ValueError(
                f'the test pipeline fails on {sample["img_path"]}: {one_line(error)}'
            ) from error
    return images
