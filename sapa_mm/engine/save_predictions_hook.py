"""A hook that writes the predictions of a test as maps, and pictures."""

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from mmengine.hooks import Hook
from mmengine.registry import HOOKS

from ..utils.files import write_image
from ..utils.log import log_warning
from .depth_files import MAX_PNG_DEPTH, write_depth
from .depth_picture import draw_depth
from .images import read_picture
from .matting_files import write_alpha, write_cutout
from .matting_picture import draw_matting
from .pictures import add_picture


@HOOKS.register_module()
class SavePredictionsHook(Hook):
    """Writes the predictions as maps and pictures, a file for each image of the test set.

    Files are named after the images, in subfolders as these are: images of one name in different
    folders do not overwrite one another.

    Args:
        out (str, optional): The folder of maps: PNG label maps, numbered as those of the dataset,
            of 16 bits if there are more than 255 classes; depth maps, see ``write_depth``; alpha
            mattes, see ``write_alpha``. Detections have none. Defaults to None.
        show_dir (str, optional): The folder of pictures: depth maps, mattes and their errors, see
            ``draw_depth`` and ``draw_matting``; all else is drawn by the runner's visualizer,
            ground truth and prediction. An image that cannot be drawn is left out with a warning.
            Defaults to None.
        score_thr (float): Only detections of a higher score are drawn. Defaults to 0.3.
        out_format (str): The kind of file: 'png', depth in 16 bits of millimetres and alpha in 8
            bits; 'npy', depth in float32 of metres; 'rgba', the foregrounds of mattes, see
            ``write_cutout``. Defaults to 'png'.
    """

    priority = 'LOW'

    def __init__(
        self,
        out: str | None = None,
        show_dir: str | None = None,
        score_thr: float = 0.3,
        out_format: str = 'png',
    ):
        self.out = out
        self.show_dir = show_dir
        self.score_thr = score_thr
        self.out_format = out_format
        self._names: dict[str, str] = {}
        self._warned: set[str] = set()
        # How what a data sample has is written, and drawn where the visualizer does not.
        self._writers = {
            'pred_sem_seg': self._write_labels,
            'pred_depth_map': self._write_depth,
            'pred_alpha': self._write_matte,
        }
        self._drawers = {'pred_depth_map': self._draw_depth, 'pred_alpha': self._draw_matte}

    def before_test(self, runner) -> None:
        """Name the files of all images."""
        dataset = runner.test_dataloader.dataset
        if hasattr(dataset, 'get_data_info'):
            infos = (dataset.get_data_info(index) for index in range(len(dataset)))
            self._names = relative_names(info['img_path'] for info in infos)
        if self.out is not None:
            self._classes = len(dataset.metainfo.get('classes') or ())

    def after_test_iter(
        self, runner, batch_idx: int, data_batch: Any = None, outputs: Sequence | None = None
    ) -> None:
        """Write the files of a batch.

        Args:
            runner (Runner): The runner.
            batch_idx (int): Index of the batch.
            data_batch (Any): Unused.
            outputs (Sequence[BaseDataElement], optional): The predictions.

        Raises:
            ValueError: If ``out`` is given and there is no map.
        """
        for sample in outputs or ():
            # Of a dataset that does not list its images, the whole path.
            whole = os.path.splitext(os.path.abspath(sample.img_path))[0].lstrip(os.sep)
            name = self._names.get(sample.img_path, whole)
            if self.out is not None:
                self._write(sample, os.path.join(self.out, name))
            if self.show_dir is not None:
                self._draw(runner.visualizer, sample, os.path.join(self.show_dir, name))

    def _write(self, sample: Any, path: str) -> None:
        write = next((self._writers[key] for key in self._writers if key in sample), None)
        if write is None:
            raise ValueError(
                f'out: {sample.img_path} has no predicted map of labels, depth or alpha'
            )
        write(sample, path)

    def _write_labels(self, sample: Any, path: str) -> None:
        labels = sample.pred_sem_seg.data[0].cpu().numpy().astype(np.int64)
        # Files that are read with reduce_zero_label have the classes from 1 on.
        shift = int(bool(sample.get('reduce_zero_label', False)))
        kind = np.uint8 if self._classes + shift <= 256 else np.uint16
        write_image(f'{path}.png', (labels + shift).astype(kind))

    def _write_depth(self, sample: Any, path: str) -> None:
        depth = _values(sample.pred_depth_map)
        farthest = depth[np.isfinite(depth)].max(initial=0)
        if self.out_format == 'png' and farthest > MAX_PNG_DEPTH:
            self._warn_once(
                'out',
                f'{sample.img_path} has depths of up to {farthest:.6g} m, which become '
                f'{MAX_PNG_DEPTH} m, the most that 16 bits of millimetres hold; out_format npy '
                'keeps them',
            )
        write_depth(depth, f'{path}.{self.out_format}')

    def _write_matte(self, sample: Any, path: str) -> None:
        alpha = _values(sample.pred_alpha)
        if self.out_format == 'rgba':
            write_cutout(read_picture(sample.img_path), alpha, f'{path}.png')
        else:
            write_alpha(alpha, f'{path}.png')

    def _draw(self, visualizer: Any, sample: Any, path: str) -> None:
        try:
            picture = read_picture(sample.img_path)
        except ValueError as error:
            self._warn_once('show_dir', f'not drawn: {error}')
            return
        for key, draw in self._drawers.items():
            if key in sample:
                # Little compression: it takes longer than all else.
                write_image(f'{path}.png', draw(sample, picture), compress_level=1)
                return
        # mmseg's pictures are areas of colour, which JPEG blurs.
        suffix = os.path.splitext(sample.img_path)[1]
        if 'pred_sem_seg' in sample or suffix.lower() not in ('.jpg', '.jpeg', '.png'):
            suffix = '.png'
        add_picture(visualizer, picture, sample, self.score_thr, out_file=f'{path}{suffix}')

    def _draw_depth(self, sample: Any, picture: np.ndarray) -> np.ndarray:
        truth = _values(sample.gt_depth_map) if 'gt_depth_map' in sample else None
        return draw_depth(picture, _values(sample.pred_depth_map), truth)

    def _draw_matte(self, sample: Any, picture: np.ndarray) -> np.ndarray:
        truth = _values(sample.gt_alpha) if 'gt_alpha' in sample else None
        trimap = sample.trimap.data[0].cpu().numpy()
        return draw_matting(picture, trimap, _values(sample.pred_alpha), truth)

    def _warn_once(self, argument: str, text: str) -> None:
        if argument not in self._warned:
            log_warning(f'{argument}: {text}; the same is not said again')
        self._warned.add(argument)


def _values(pixels: Any) -> np.ndarray:
    """The values (H, W) of a map, float32."""
    return pixels.data.float().squeeze(0).cpu().numpy()


def relative_names(paths: Iterable[str]) -> dict[str, str]:
    """Name files after images, without their suffix, below the folder that all images are in.

    Args:
        paths (Iterable[str]): The images.

    Returns:
        dict[str, str]: A name such as 'a/0' of each path; with the suffix, 'a/0.jpg', where two
        images in a folder differ by nothing else.
    """
    absolute = {path: os.path.abspath(path) for path in paths}
    files = set(absolute.values())
    folder = os.path.commonpath({os.path.dirname(path) for path in files}) if files else ''
    counts = Counter(os.path.splitext(path)[0] for path in files)
    names = {}
    for path, file in absolute.items():
        stem = os.path.splitext(file)[0]
        names[path] = os.path.relpath(stem if counts[stem] == 1 else file, folder)
    return names
