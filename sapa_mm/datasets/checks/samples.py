"""Checks of a sample of a dataset's images, opened as its pipeline reads them."""

import contextlib
import inspect
import io
import os
import warnings
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from typing import Any

import numpy as np
from mmengine.dataset import BaseDataset
from mmengine.registry import DATASETS

from ...utils.coco_panoptic import read_id_map
from ...utils.configs import type_name
from ...utils.text import cut, first_of, one_line
from .channels import find_channel_problems
from .dataset_config import DatasetConfig, find_dataset
from .depth_maps import DepthCounts, DepthRange, read_depth
from .depth_models import find_truth_problems
from .label_maps import LabelCounts, read_labels
from .loading import MOST_PIXELS, Header, LoadingStep, format_size
from .mattes import MatteSample
from .report import ReportLine, has_errors

#: Numbers of images in the complete datasets, by class and by a part of their paths.
_COMPLETE_SIZES = {
    'ADE20KDataset': {'training': 20_210, 'validation': 2_000},
    'CocoDataset': {'train2017': 118_287, 'val2017': 5_000},
    'CocoPanopticDataset': {'train2017': 118_287, 'val2017': 5_000},
}

#: Number of images that are opened before a run.
_SOME = 8

#: How mmcv reads images that EXIF does not turn.
_AS_STORED = 'color_ignore_orientation'


def inspect_samples(
    config: dict,
    name: str,
    samples: int,
    seed: int,
    is_wrong: bool = False,
    ignored: Collection[int] = (),
    model: Any = None,
    described: Any = None,
    depth: DepthRange | None = None,
) -> Iterator[ReportLine]:
    """Check a sample of a dataset's images, with their annotations.

    Args:
        config (dict): The config of a dataset whose files all exist.
        name (str): The key of this config.
        samples (int): Number of images to open.
        seed (int): Seed for choosing them.
        is_wrong (bool): Whether errors of this dataset were found before. Defaults to False.
        ignored (Collection[int]): Labels of pixels to ignore, numbered as the pipeline passes them
            on; none for the host's default, 255.
        model (dict, optional): The config of the model, whose channels are compared.
            Defaults to None.
        described (Any): Has ``__len__`` and ``get_data_info`` as the dataset would; mmdet takes
            longer to make it from COCO files than all else does. Defaults to None, to load it.
        depth (DepthRange, optional): What model and metric expect of depth maps. Defaults to None.

    Yields:
        ReportLine: Errors and notes, and one line if there is no error.
    """
    kind = find_dataset(config.get('type'))
    if inspect.isclass(kind) and not issubclass(kind, BaseDataset):
        # It reads its images in its own way, and may take none of the options below.
        text = f'{kind.__name__} is no BaseDataset of mmengine, none of its images was opened'
        yield ReportLine('note', f'{name}: {text}')
        return
    try:
        dataset = _load(config, described)
        sample = _make_sample(dataset, config, name, ignored, depth)
    except Exception as error:
        # The host libraries parse files without validating their content.
        if not is_wrong:
            yield ReportLine('error', f'{name}: cannot be loaded: {one_line(error)}')
        return
    count = len(dataset)
    complete = _complete_size(config)
    if complete is not None and count != complete:
        whole = type_name(config['type'])
        text = f'{count:,} images; the whole {whole} has {complete:,} in this split'
        yield ReportLine('note', f'{name}: {text}')
    chosen = _choose(dataset, samples, seed)
    opened = [list(sample.open(index)) for index in chosen]
    # Those of a pipeline are the same for each image.
    problems = dict.fromkeys(problem for problems in opened for problem in problems)
    lines = [ReportLine('error', f'{name}: {problem}') for problem in cut(problems, 10)]
    lines += sample.summarize(is_complete=len(chosen) == count)
    if not is_wrong and not has_errors(lines):
        lines += find_channel_problems(config, name, dataset, sample.channels, model)
    if described is None and chosen and not is_wrong and not has_errors(lines):
        lines += sample.find_truth_problems(chosen, model)
    yield from lines
    if not is_wrong and not has_errors(lines):
        opened_count = len(chosen) - len(sample.unopened)
        text = f'{name}: {count:,} images, {opened_count:,} of them opened'
        text += ', with their annotations' if sample.with_annotations else ''
        text += f': {sample.description}' if sample.description else ''
        yield ReportLine('right', text)


def open_some(
    config: dict,
    name: str,
    ignored: Collection[int] = (),
    described: Any = None,
    model: Any = None,
    depth: DepthRange | None = None,
) -> Iterator[ReportLine]:
    """Open a few images with their annotations, as a run will.

    Args:
        config (dict): See ``inspect_samples``. Only datasets of mmseg and of mattes, which are made
            quickly, and those that are ``described`` are looked at.
        name (str): The key of this config.
        ignored (Collection[int]): See ``inspect_samples``. Defaults to none, the host's.
        described (Any): See ``inspect_samples``. Defaults to None.
        model (dict, optional): See ``inspect_samples``. Defaults to None.
        depth (DepthRange, optional): See ``inspect_samples``. Defaults to None.

    Yields:
        ReportLine: An error for each problem with one image, and what is odd in all depth maps or
        mattes.
    """
    bases = {base.__name__ for base in inspect.getmro(find_dataset(config.get('type')) or object)}
    if described is None and bases.isdisjoint(('BaseSegDataset', 'MattingDataset')):
        return
    try:
        dataset = _load(config, described)
        sample = _make_sample(dataset, config, name, ignored, depth)
    except Exception as error:
        yield ReportLine('error', f'{name}: cannot be loaded: {one_line(error)}')
        return
    chosen = _choose(dataset, _SOME, seed=0)
    for index in chosen:
        for problem in sample.open(index):
            yield ReportLine('error', f'{name}: {problem}')
    yield from sample.summarize_truth(is_complete=len(chosen) == len(dataset))
    if described is None and chosen:
        yield from sample.find_truth_problems(chosen, model)


def _load(config: dict, described: Any) -> Any:
    """Make a dataset, its images without annotations included, or give what describes it."""
    # pycocotools prints its progress.
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter('ignore')
        lazy = {} if described is None else {'lazy_init': True}
        dataset = DATASETS.build({**config, 'pipeline': [], 'filter_cfg': None, **lazy})
    return dataset if described is None else described


def _make_sample(
    dataset: Any, config: dict, name: str, ignored: Collection[int], depth: DepthRange | None
) -> '_Sample | MatteSample':
    if DatasetConfig(config, name).loader == 'MattingDataset':
        return MatteSample(dataset, config, name)
    return _Sample(dataset, config, name, ignored, depth)


def _choose(dataset: Any, samples: int, seed: int) -> list[int]:
    count = len(dataset)
    chosen = np.random.default_rng(seed).choice(count, min(samples, count), replace=False)
    return sorted(map(int, chosen))


def _complete_size(config: dict) -> int | None:
    paths = f'{config.get("ann_file", "")} {config.get("data_prefix", "")}'
    sizes = _COMPLETE_SIZES.get(type_name(config.get('type')), {})
    return next((size for fragment, size in sizes.items() if fragment in paths), None)


class _Sample:
    """Images of a dataset and their label maps, opened by the loading steps of its pipeline.

    Args:
        dataset (BaseDataset): The dataset.
        config (dict): Its config.
        name (str): The key of the config.
        ignored (Collection[int]): Labels of pixels to ignore; none for 255.
        depth (DepthRange, optional): What model and metric expect of depth maps.

    Attributes:
        unopened (list[str]): Images that were not opened.
        channels (dict[int, list[int]]): The others, by their number of channels.
        with_annotations (bool): Whether annotations were seen.
    """

    def __init__(
        self,
        dataset: Any,
        config: dict,
        name: str,
        ignored: Collection[int],
        depth: DepthRange | None,
    ) -> None:
        self._dataset, self._config, self._name = dataset, config, name
        self._image_step = LoadingStep.find('Image', config, name)
        self._depth_step = LoadingStep.find('DepthAnnotation', config, name)
        self._label_step = LoadingStep.find('Annotation', config, name, without=('Depth',))
        self._labels = LabelCounts(dataset, ignored)
        self._depths = DepthCounts(config, depth)
        self._turned: list[str] = []
        self._unproved = 0
        self.unopened: list[str] = []
        self.channels: dict[int, list[int]] = defaultdict(list)
        self.with_annotations = False

    def open(self, index: int) -> Iterator[str]:
        """Open an image and its annotation, and find what is wrong with them."""
        info = self._dataset.get_data_info(index)
        path = info['img_path']
        self.with_annotations |= 'instances' in info
        header = Header.read(path)
        if self._image_step is None or header.size[0] * header.size[1] > MOST_PIXELS:
            self.unopened.append(path)
            return
        try:
            header.check_whole(path)
            image = self._image_step.run(info)['img']
        except Exception as error:
            yield self._image_step.explain(error, path, header)
            return
        size = image.shape[1::-1]
        if self._turns(path, header):
            self._turned.append(path)
            self._unproved += header.orientation < 5 or size[0] == size[1]
        self.channels[image.shape[2] if image.ndim == 3 else 1].append(index)
        stated = (info.get('width'), info.get('height'))
        if None not in stated and size != stated:
            sizes = f'is {format_size(size)}, its annotation says {format_size(stated)}'
            reason = self._orientation_reason(stated, size, path, header)
            yield f'{path} {sizes} (width x height){reason}'
        if image.dtype.kind == 'f' and not np.isfinite(image).all():
            yield f'{path} has pixels that are NaN or infinite'
        shape = image.shape
        del image
        yield from self._check_depth(info, shape, header)
        yield from self._check_annotation(info, shape, header)

    def _check_depth(self, info: dict, shape: tuple[int, ...], header: Header) -> Iterator[str]:
        path = info.get('depth_map_path')
        if path is None or self._depth_step is None:
            return
        map_header = Header.read(path)
        try:
            map_header.check_whole(path)
            maps = read_depth(self._depth_step.transform, info)
        except Exception as error:
            yield self._depth_step.explain(error, path, map_header)
            return
        if maps is None:
            return
        self.with_annotations = True
        yield from self._size_problems(path, maps[1], info, shape, header)
        yield from self._depths.add(path, *maps, map_header.mode)

    def _check_annotation(
        self, info: dict, shape: tuple[int, ...], header: Header
    ) -> Iterator[str]:
        path = info.get('seg_map_path')
        is_panoptic = 'segments_info' in info
        if is_panoptic and path is not None and self._label_step is None:
            # Nothing reads the name that mmdet derives; metrics take that of the JSON file.
            path = os.path.splitext(path)[0] + '.png'
            path = path if os.path.isfile(path) else None
        if path is None or (self._label_step is None and not is_panoptic):
            return
        map_header = Header.read(path)
        try:
            map_header.check_whole(path)
            if is_panoptic:
                maps = (read_id_map(path),) * 2
            else:
                maps = read_labels(self._label_step.transform, info)
        except Exception as error:
            if self._label_step is None:
                yield f'{path} cannot be read: {one_line(error)}'
            else:
                yield self._label_step.explain(error, path, map_header)
            return
        if maps is None:
            return
        self.with_annotations = True
        stored, loaded = maps
        yield from self._size_problems(path, loaded, info, shape, header)
        if is_panoptic:
            yield from _segment_problems(loaded, path, info)
        else:
            yield from self._labels.add(path, stored, loaded, map_header.mode)

    def _size_problems(
        self, path: str, loaded: np.ndarray, info: dict, shape: tuple[int, ...], header: Header
    ) -> Iterator[str]:
        """Compare the size of a map with that of its image."""
        size, map_size = shape[1::-1], loaded.shape[1::-1]
        if size != map_size:
            reason = self._orientation_reason(map_size, size, info['img_path'], header)
            if shape[1:] == loaded.shape:
                reason = f': its array is {shape}, and channels must be last'
            sizes = f'is {format_size(map_size)}, its image {format_size(size)}'
            yield f'{path} {sizes} (width x height){reason}'

    def _orientation_reason(
        self, size: tuple[int, ...], image_size: tuple[int, ...], path: str, header: Header
    ) -> str:
        """Explain a difference of sizes by EXIF, if that is what it is."""
        if header.orientation < 5 or size != image_size[::-1]:
            return ''
        orientation = f'the EXIF orientation {header.orientation} of the image'
        if not self._turns(path, header):
            return f': {orientation} is not obeyed when it is read (imdecode_backend, color_type)'
        reason = f': {orientation} turns it when it is read, and the annotation must be turned, too'
        if self._turns(path, header, _AS_STORED):
            return reason
        return f'{reason}; or read images with color_type={_AS_STORED!r}'

    def _turns(self, path: str, header: Header, color_type: str | None = None) -> bool:
        if header.orientation == 1:
            return False
        return self._image_step.turns(os.path.splitext(path)[1], header.format, color_type)

    def summarize(self, is_complete: bool) -> Iterator[ReportLine]:
        """Tell what is seen in all images together."""
        count = sum(map(len, self.channels.values()))
        if self._turned:
            text = f'{len(self._turned):,} of {count:,} images opened are turned by their EXIF '
            text += f'orientation when they are read (such as {self._turned[0]}), and annotations '
            text += 'must fit the upright images'
            if self._unproved:
                text += f'; for {self._unproved:,}, sizes cannot tell whether they do'
            yield ReportLine('note', f'{self._name}: {text}')
        if self.unopened and self._image_step is None:
            text = 'no image was opened: no step of the pipeline is known to load one'
            yield ReportLine('note', f'{self._name}: {text}')
        elif self.unopened:
            text = f'of more than {MOST_PIXELS // 10**6} megapixels were not opened'
            paths = first_of(self.unopened)
            yield ReportLine('note', f'{self._name}: {len(self.unopened)} images {text}: {paths}')
        yield from self._labels.summarize(self._name, is_complete)
        yield from self.summarize_truth(is_complete)

    @property
    def description(self) -> str:
        """What the depth maps have in common; '' without any."""
        return self._depths.description

    def summarize_truth(self, is_complete: bool) -> Iterator[ReportLine]:
        """Tell what is odd in all depth maps together."""
        yield from self._depths.summarize(self._name, is_complete)

    def find_truth_problems(self, indices: Sequence[int], model: Any) -> Iterator[ReportLine]:
        """Send an image through the whole pipeline; see the function of this name."""
        yield from find_truth_problems(self._config, self._name, self._dataset, indices[0], model)


def _segment_problems(id_map: np.ndarray, path: str, info: dict) -> Iterator[str]:
    ids = set(np.unique(id_map).tolist()) - {0}
    stated = {segment['id'] for segment in info['segments_info']}
    for text, difference in (
        ('segments that the JSON file lacks', ids - stated),
        ('no pixel of segments in the JSON file', stated - ids),
    ):
        if difference:
            yield f'{path} has {text}: {first_of(sorted(difference))}'
