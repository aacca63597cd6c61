"""Write a figure of trained models on an image to a file."""

import os
from collections.abc import Sequence

from mmengine.config import Config
from mmengine.registry import MODELS

from ..datasets.checks.dataset_config import find_class
from ..engine.config import in_scope
from ..utils.configs import type_name
from ..utils.files import check_writable, whole_file, write_whole
from ..utils.tasks import model_task
from .figures import FIGURES, draw, make_gallery
from .input_image import InputImage, open_image
from .model_run import ModelRun
from .models import load_models, read_configs

#: What can be drawn: a figure, or all of them on a page.
CHOICES = (*FIGURES, 'gallery')
_SUFFIXES = ('.png', '.pdf', '.svg')
_DPI = 110


def visualize(
    figure: str,
    models: Sequence[tuple[str, str]],
    out: str,
    image: str | None = None,
    truth: str | None = None,
    sample: int | None = None,
    position: Sequence[int] | None = None,
    upsampler: int | None = None,
    channels: Sequence[int] | None = None,
    cfg_options: dict | None = None,
    data_root: str | None = None,
    trimap: str | None = None,
) -> None:
    """Draws a figure of trained models on an image.

    Args:
        figure (str): One of CHOICES.
        models (Sequence[tuple[str, str]]): Config and checkpoint of each model.
        out (str): The file to write, whole or not at all: PNG, PDF or SVG; HTML for a gallery.
        image (str, optional): An image file; give this or ``sample``. Defaults to None.
        truth (str, optional): The image's label map, depth map or alpha matte, in the format of the
            first config's dataset. Defaults to None.
        sample (int, optional): Index in the first config's validation set. Defaults to None.
        position (Sequence[int], optional): See ``.figures.draw``.
        upsampler (int, optional): See ``.figures.draw``.
        channels (Sequence[int], optional): See ``.figures.draw``.
        cfg_options (dict, optional): Settings to override in all configs. Defaults to None.
        data_root (str, optional): Folder of the data in place of the configs', see
            ``read_config``. Defaults to None.
        trimap (str, optional): The image's trimap, which matting models need. Defaults to None.

    Raises:
        FileNotFoundError: If a file is missing.
        OSError: If no file can be written at ``out``.
        ValueError: If an argument is out of range, a file cannot be read, weights do not fit their
            config, the models are of several tasks, or the figure cannot be drawn of them.
    """
    options = dict(position=position, upsampler=upsampler, channels=channels)
    options = {name: value for name, value in options.items() if value is not None}
    _check_request(figure, len(models), out, options)
    if (image is None) == (sample is None):
        raise ValueError('give one of `image` and `sample`')
    for name, file in (('truth', truth), ('trimap', trimap)):
        if file is not None and image is None:
            raise ValueError(f'`{name}` goes with `image`; a `sample` has its own')

    configs = read_configs(models, cfg_options, data_root)
    if image is not None:
        _check_trimap(configs, trimap)
    input_image = open_image(configs[0], image, truth, sample, trimap)
    _check_position(position, input_image)
    loaded = load_models(models, cfg_options, data_root)
    runs = [model.run(input_image) for model in loaded]
    _check_task(runs)
    if figure == 'gallery':
        write_whole(out, make_gallery(input_image, loaded, runs, **options))
    else:
        drawn = draw(figure, input_image, runs, **options)
        with whole_file(out) as partial:
            drawn.savefig(partial, dpi=_DPI)


def _check_request(figure: str, num_models: int, out: str, options: dict) -> None:
    kinds = FIGURES.values() if figure == 'gallery' else [FIGURES[figure]]
    suffixes = ('.html',) if figure == 'gallery' else _SUFFIXES
    if os.path.splitext(out)[1] not in suffixes:
        raise ValueError(f'out: {figure} is written as {" or ".join(suffixes)}, got {out}')
    check_writable(out, 'out')
    if figure != 'gallery' and FIGURES[figure].of_one_model and num_models != 1:
        raise ValueError(f'models: {figure} is a figure of one model, got {num_models}')
    for name in options:
        if not any(name in kind.options for kind in kinds):
            raise ValueError(f'`{name}` does not apply to {figure}')


def _check_trimap(configs: Sequence[Config], trimap: str | None) -> None:
    for cfg in configs:
        with in_scope(cfg):
            kind = find_class(MODELS, cfg.model.get('type'))
        if (model_task(kind) == 'matting') != (trimap is not None):
            name = type_name(cfg.model.get('type'))
            raise ValueError(
                f'trimap: {name} needs the trimap of `image`'
                if trimap is None
                else f'trimap: {name} takes none, only matting models do'
            )


def _check_position(position: Sequence[int] | None, image: InputImage) -> None:
    height, width = image.pixels.shape[:2]
    if position is None or (0 <= position[0] < height and 0 <= position[1] < width):
        return
    raise ValueError(
        f'position must be in the image, rows 0..{height - 1} and columns 0..{width - 1}, '
        f'got {" ".join(map(str, position))}'
    )


def _check_task(runs: Sequence[ModelRun]) -> None:
    drawn = {run.task.drawn: run.name for run in runs}
    if len(drawn) > 1:
        listed = '; '.join(f'{name} predicts {what}' for what, name in drawn.items())
        raise ValueError(f'models: all models must be of one task, {listed}')
