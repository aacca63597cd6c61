"""A hook that draws the upsamplers while a model trains."""

import copy

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from mmengine.dist import master_only
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.registry import HOOKS

from ..engine.images import read_picture
from ..utils.log import log_warning
from ..utils.text import one_line
from .features_figure import draw_features
from .model_run import predict_recorded


@HOOKS.register_module()
class UpsampleVisualizationHook(Hook):
    """Draws input, guide, output and kernels of a model's upsamplers during validation.

    The picture of the first validation image is passed to the runner's visualizer, which writes it
    to the config's backends, such as a folder or TensorBoard. Models without upsamplers of sapa_mm
    are skipped. Each picture takes one extra prediction; if it cannot be drawn, a warning says why,
    and the training goes on without pictures::

        custom_imports = dict(imports=[..., 'sapa_mm.visualization'])
        custom_hooks = [..., dict(type='UpsampleVisualizationHook', interval=1)]

    Args:
        interval (int): Draws in the first of every ``interval`` validations. Defaults to 1.
    """

    priority = 'LOW'

    def __init__(self, interval: int = 1):
        if interval < 1:
            raise ValueError(f'UpsampleVisualizationHook: interval must be 1 or more: {interval}')
        self.interval = interval
        self._validations = 0
        self._failed = False

    def after_val_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        """Draws in the first iteration of a validation.

        Args:
            runner (Runner): The runner.
            batch_idx (int): Index of the batch.
            data_batch (dict, optional): Inputs and data samples. Defaults to None.
            outputs (Sequence, optional): Unused. Defaults to None.
        """
        if batch_idx == 0:
            if self._validations % self.interval == 0 and not self._failed:
                self._try_to_draw(runner, data_batch)
            self._validations += 1

    @master_only
    def _try_to_draw(self, runner, data_batch: dict) -> None:
        try:
            self._draw(runner, data_batch)
        except Exception as error:
            # A picture must not end a training, whatever images and models it is of.
            self._failed = True
            text = f'UpsampleVisualizationHook draws nothing: {one_line(error)}'
            log_warning(text)

    def _draw(self, runner, data_batch: dict) -> None:
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        # Predicting changes the data sample, which the evaluator still needs.
        sample = {key: copy.deepcopy(values[0]) for key, values in data_batch.items()}
        prediction, calls, extent = predict_recorded(model, sample)
        if not calls:
            return
        image = read_picture(prediction.img_path)
        canvas = FigureCanvasAgg(draw_features(image, extent, calls))
        canvas.draw()
        picture = np.asarray(canvas.buffer_rgba())[..., :3]
        runner.visualizer.add_image('upsamplers', picture, runner.iter)
