"""The paper's configs through every tool on real files, with other paths and fewer iterations.

The files are in ``layout.SAMPLES``. Each tour prints its log, which `pytest -rP` shows.
"""

import json
import time
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip('mmseg')
pytest.importorskip('mmdet')
pytest.importorskip('onnx')

import onnx
import torch
from mmdet.datasets import CocoDataset, CocoPanopticDataset
from mmseg.datasets import ADE20KDataset
from PIL import Image
from pycocotools.coco import COCO

from sapa_mm.engine.checkpoint import read_checkpoint
from sapa_mm.engine.config import read_config
from sapa_mm.engine.published import read_published
from sapa_mm.evaluation.matting_errors import matting_errors
from sapa_mm.visualization.input_image import open_image
from sapa_mm.visualization.tasks import TASKS
from sapa_mm.visualization.visualize import CHOICES

from ..support.configs import A2U_MATTING, CONFIGS, PATHS
from ..support.run_tool import call_run, call_tool
from ..support.shrunken import last_metrics
from .layout import (
    MISSING,
    SAMPLES,
    lay_out_ade20k,
    lay_out_camvid,
    lay_out_coco,
    lay_out_matting,
)

pytestmark = [
    pytest.mark.extended,
    pytest.mark.skipif(bool(MISSING), reason=f'no {", ".join(MISSING)} in {SAMPLES}'),
]
SEGFORMER = PATHS['segformer_mit-b1_sapa-d_8xb2-80k_ade20k-512x512']
CAMVID = PATHS['segformer_mobilenet-v2_sapa-d_1xb8-1200_camvid-192x192']
TWO_ITERATIONS = ['train_cfg.max_iters=2', 'train_cfg.val_interval=2']
TWO_ITERATIONS += ['default_hooks.checkpoint.interval=2']


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    """Folders of the data sets by name."""
    folder = tmp_path_factory.mktemp('data')
    lay_out_ade20k(folder / 'ade20k')
    lay_out_ade20k(folder / 'small', 'ADE_val_00000003')
    lay_out_coco(folder / 'coco')
    lay_out_camvid(folder / 'camvid')
    lay_out_matting(folder / 'matting', 'lemur')
    lay_out_matting(folder / 'photographs')
    return {path.name: path for path in folder.iterdir()}


class Tour:
    """A config on its way through the tools.

    Args:
        config (Path): The config.
        root (Path): Its data.
        folder (Path): Where everything is written.
        capfd: pytest's fixture.
    """

    def __init__(self, config, root, folder, capfd):
        self.config, self.root, self.folder, self._capfd = config, root, folder, capfd
        self.log = [config.stem]

    def call(self, tool, *args, code=0, root=None):
        """Run a tool and return what it printed; if it fails, in one line."""
        moved = [] if tool == 'complexity' else ['--data-root', root or self.root]
        begin = time.perf_counter()
        got = call_tool(tool, *args, *moved) or 0
        self._note(tool, args, begin, got)
        printed, error = self._capfd.readouterr()
        assert got == code, printed + error
        assert 'Traceback' not in error
        if code:
            (printed,) = [line for line in error.splitlines() if line.startswith('error: ')]
        return printed

    def run(self, tool, *args, options=(), root=None, config=None):
        """Train or test."""
        begin = time.perf_counter()
        call_run(
            tool, config or self.config, *args, '--data-root', root or self.root, options=options
        )
        self._note(tool, args, begin, 0)
        assert 'Traceback' not in self._capfd.readouterr().err

    def train(self, *options, pretrained='model.backbone'):
        """Train without first weights; the checkpoint, and another of nothing but its weights."""
        options = [f'{pretrained}.init_cfg=None', *options]
        self.run('train', '--work-dir', self.folder / 'run', options=options)
        (trained,) = (self.folder / 'run').glob('[!b]*_[12].pth')
        bare = self.folder / 'weights.pth'
        torch.save({'state_dict': read_checkpoint(str(trained))['state_dict']}, bare)
        return trained, bare

    def test(self, checkpoint, out, *more, **settings):
        """Test; return what was measured and drawn."""
        work_dir, drawn = self.folder / f'test-{out}', self.folder / f'drawn-{out}'
        files = ['--out', self.folder / out, '--show-dir', drawn, '--work-dir', work_dir]
        self.run('test', checkpoint, *files, *more, **settings)
        metrics = [json.loads(path.read_text()) for path in work_dir.glob('*/*.json')]
        return metrics[0] if metrics else {}, [
            path for path in drawn.rglob('*') if path.suffix in ('.jpg', '.png')
        ]

    def publish(self, checkpoint):
        """Publish; return names and colours of the classes."""
        self.call('publish', self.config, checkpoint, '--out', self.folder / 'published')
        (published,) = (self.folder / 'published').glob('*.safetensors')
        meta = read_published(str(published)).dataset_meta
        return list(meta['classes']), [list(colour) for colour in meta['palette']]

    def visualize(self, checkpoint, *figures):
        """Draw figures of SAPA-D."""
        for figure in figures:
            out = self.folder / (f'{figure}.html' if figure == 'gallery' else f'{figure}.png')
            args = [figure, '--model', self.config, checkpoint, '--sample', 0, '--out', out]
            if figure == 'kernel':
                assert 'which has no kernel over a window' in self.call('visualize', *args, code=2)
            else:
                self.call('visualize', *args)
                assert out.stat().st_size > 10_000

    def _note(self, tool, args, begin, code):
        words = [word for word in map(str, args) if word.startswith('--') or word in CHOICES]
        seconds = time.perf_counter() - begin
        self.log.append(f'{seconds:6.1f} s, exit status {code}: {tool}.py {" ".join(words)}')


@pytest.fixture
def tour(data, tmp_path, capfd):
    """Start a tour, which prints its log at the end."""
    tours = []

    def start(config, name):
        tours.append(Tour(config, data[name], tmp_path, capfd))
        return tours[-1]

    yield start
    print('\n'.join(tours[0].log))


def check_truth(tour, classes, palette, segment, alpha, tolerance):
    """The largest segment of the first image is drawn where it is, in the colour of its name."""
    cfg = read_config(str(tour.config), None, str(tour.root))
    image = open_image(cfg, sample=0)
    meta = {'classes': classes, 'palette': [tuple(colour) for colour in palette]}
    (task,) = (task for task in TASKS if any(f'gt_{field}' in image.truth for field in task.fields))
    drawn = task.draw_sample(image.truth, 'gt', image.pixels, meta)
    mask, name = segment(tour.root, Path(image.path).stem)
    expected = (1 - alpha) * image.pixels + alpha * np.array(palette[classes.index(name)])
    assert np.median(np.abs(drawn - expected)[mask]) <= tolerance


def largest_label(classes, offset):
    """Find the class with most pixels in a label map."""

    def find(root, stem):
        (path,) = root.glob(f'annotations/val*/{stem}.png')
        labels = np.array(Image.open(path)).astype(int) - offset
        counts = np.bincount(labels[(labels >= 0) & (labels < len(classes))])
        return labels == counts.argmax(), classes[counts.argmax()]

    return find


def largest_instance(root, stem):
    coco = COCO(root / 'annotations/instances_val2017.json')
    annotations = coco.imgToAnns[int(stem)]
    largest = max((one for one in annotations if not one['iscrowd']), key=lambda one: one['area'])
    return coco.annToMask(largest).astype(bool), coco.cats[largest['category_id']]['name']


def largest_box(root, stem):
    """Its left side alone, which has the colour."""
    coco = COCO(root / 'annotations/instances_val2017.json')
    largest = max(coco.imgToAnns[int(stem)], key=lambda one: one['area'] * (1 - one['iscrowd']))
    x, y, _, height = (int(number) for number in largest['bbox'])
    image = coco.imgs[int(stem)]
    mask = np.zeros((image['height'], image['width']), bool)
    mask[y : y + height, x] = True
    return mask, coco.cats[largest['category_id']]['name']


def largest_segment(root, stem):
    content = json.loads((root / 'annotations/panoptic_val2017.json').read_text())
    (entry,) = (one for one in content['annotations'] if one['image_id'] == int(stem))
    names = {category['id']: category['name'] for category in content['categories']}
    largest = max(entry['segments_info'], key=lambda one: one['area'])
    png = np.array(Image.open(root / 'annotations/panoptic_val2017' / entry['file_name']))
    return png @ [1, 256, 256**2] == largest['id'], names[largest['category_id']]


@pytest.mark.parametrize(
    ('config', 'name', 'offset'),
    [
        (SEGFORMER, 'ade20k', 1),
        (PATHS['upernet_r50_sapa-d_8xb2-80k_ade20k-512x512'], 'ade20k', 1),
        (CAMVID, 'camvid', 0),
    ],
    ids=['segformer', 'upernet', 'camvid'],
)
def test_segmentation(tour, data, config, name, offset):
    tour = tour(config, name)
    metainfo = ADE20KDataset.METAINFO if offset else read_config(str(config)).dataset.metainfo
    classes, palette = list(metainfo['classes']), [list(colour) for colour in metainfo['palette']]
    assert 'right: val_dataloader.dataset: ' in tour.call('check_data', config)
    trained, bare = tour.train(*TWO_ITERATIONS)
    validated = last_metrics(tour.folder / 'run')
    metrics, drawn = tour.test(trained, 'maps')
    assert metrics['mIoU'] == pytest.approx(validated['mIoU'])
    maps = list((tour.folder / 'maps').iterdir())
    images = list((tour.root / 'images').glob('val*/*.jpg'))
    assert {path.stem for path in maps} == {path.stem for path in images}
    assert len(drawn) == len(images)
    for path in maps:
        labels = np.array(Image.open(path))
        assert labels.min() >= offset
        assert labels.max() < len(classes) + offset
    # One image is enough for what runs the model many times.
    small = None if config == CAMVID else data['small']
    if small:
        _, drawn = tour.test(trained, 'maps-tta', '--tta', root=small)
        assert len(drawn) == 1
    assert config.stem in tour.call('complexity', config)
    assert tour.publish(bare) == (classes, palette)
    onnx_file = tour.folder / 'model.onnx'
    tour.call('export', config, bare, '--out', onnx_file, root=small)
    described = {item.key: item.value for item in onnx.load(onnx_file).metadata_props}
    assert json.loads(described['classes']) == classes
    assert json.loads(described['palette']) == palette
    tour.visualize(bare, *(CHOICES if config == SEGFORMER else ['gallery']))
    check_truth(tour, classes, palette, largest_label(classes, offset), alpha=0.7, tolerance=1)


@pytest.mark.parametrize(
    ('config', 'dataset', 'metric', 'segment', 'tolerance'),
    [
        ('faster-rcnn_r50_fpn-sapa-d_1x_coco', CocoDataset, 'coco/bbox_mAP', largest_box, 40),
        ('mask-rcnn_r50_fpn-sapa-d_1x_coco', CocoDataset, 'coco/segm_mAP', largest_instance, 35),
        (
            'panoptic-fpn_r50_sapa-d_1x_coco',
            CocoPanopticDataset,
            'coco_panoptic/PQ',
            largest_segment,
            1,
        ),
    ],
    ids=['faster-rcnn', 'mask-rcnn', 'panoptic-fpn'],
)
def test_detection(tour, config, dataset, metric, segment, tolerance):
    tour = tour(PATHS[config], 'coco')
    classes = list(dataset.METAINFO['classes'])
    palette = [list(colour) for colour in dataset.METAINFO['palette']]
    whole = SAMPLES / 'coco_tiny' if 'rcnn' in config else None
    assert 'right: val_dataloader.dataset: ' in tour.call('check_data', tour.config, root=whole)
    trained, bare = tour.train('train_cfg.max_epochs=1')
    validated = last_metrics(tour.folder / 'run')
    metrics, drawn = tour.test(trained, 'predictions.pkl')
    assert metrics.get(metric) == pytest.approx(validated.get(metric))
    assert len(drawn) == 2
    if segment is largest_box:
        tour.test(trained, 'tta.pkl', '--tta')
    else:
        error = tour.call('test', tour.config, trained, '--tta', code=2)
        assert error.startswith('error: --tta')
    assert config in tour.call('complexity', tour.config)
    assert tour.publish(bare) == (classes, palette)
    error = tour.call('export', tour.config, bare, '--out', tour.folder / 'model.onnx', code=2)
    assert 'only segmentors and depth estimators of mmseg' in error
    # The gallery has all figures.
    tour.visualize(bare, *(CHOICES if segment is largest_instance else ['gallery']))
    check_truth(tour, classes, palette, segment, alpha=0.6, tolerance=tolerance)


def test_matting(tour, data):
    """Photographs of up to 1.2 million pixels with trimaps.

    The one with an alpha has an image and a trimap of four channels, and 102 for unknown.
    """
    tour = tour(CONFIGS / A2U_MATTING.format('sapa-d'), 'matting')
    assert 'right: val_dataloader.dataset: ' in tour.call('check_data', tour.config)
    trained, bare = tour.train(*TWO_ITERATIONS, pretrained='model')
    validated = last_metrics(tour.folder / 'run')
    metrics, drawn = tour.test(trained, 'alphas')
    assert len(drawn) == 1
    alpha, truth, trimap = (
        np.array(Image.open(folder / 'lemur.png').convert('L'))
        for folder in (
            tour.folder / 'alphas',
            SAMPLES / 'matting/alpha',
            SAMPLES / 'matting/trimaps',
        )
    )
    assert set(np.unique(trimap)) == {0, 102, 255}
    expected = matting_errors(alpha / 255, truth / 255, trimap)
    assert expected['SAD'] > 0
    for name, value in expected.items():
        assert metrics[name] == pytest.approx(validated[name])
        assert metrics[name] == pytest.approx(value)
    # Photographs without a truth.
    without = tour.folder / 'without.py'
    without.write_text(
        f'_base_ = {str(tour.config)!r}\n'
        'prefix = dict(_delete_=True, img_path="test/merged", trimap_path="test/trimaps")\n'
        "steps = ('LoadMattingImage', 'LoadTrimap', 'PackMattingInputs')\n"
        'pipeline = [dict(type=step) for step in steps]\n'
        'test_dataloader = dict(dataset=dict(data_prefix=prefix, pipeline=pipeline))\n'
    )
    tour.test(trained, 'photographs', root=data['photographs'], config=without)
    for path in (SAMPLES / 'matting/trimaps').iterdir():
        trimap = np.array(Image.open(path).convert('L'))
        alpha = np.array(Image.open(tour.folder / 'photographs' / path.name))
        known = (trimap == 0) | (trimap == 255)
        assert np.array_equal(alpha[known], trimap[known])
    assert tour.config.stem in tour.call('complexity', tour.config)
    tour.call('publish', tour.config, bare, '--out', tour.folder / 'published')
    tour.visualize(bare, *CHOICES)
    tour.call('export', tour.config, bare, '--out', tour.folder / 'model.onnx')
