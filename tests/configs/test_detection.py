"""The detection configs: what they say."""

from pathlib import Path

import pytest

pytest.importorskip('mmdet')

from mmengine.config import Config

from sapa_mm.analysis.complexity import count_parameters
from sapa_mm.datasets import CLASSES, STUFF_CLASSES, THING_CLASSES
from sapa_mm.detection import UpsampleFPN, UpsampleFPNCARAFE

from ..support.configs import build_on_meta, load, names_in

NAMES = names_in('faster_rcnn', 'mask_rcnn', 'panoptic_fpn')
SCENES = [name for name in NAMES if 'scenes' in name]
PLAIN = 'faster-rcnn_r50_plain-fpn-sapa-d_1x_coco'
SAPA = ['sapa-i', 'sapa-b', 'sapa-d']
PEERS = ['deconv', 'pixel-shuffle', 'carafe', 'index-net', 'a2u', 'fade', 'dysample']
METHODS = ['nearest', *PEERS, *SAPA]
# Tables 12 and 13; tests/analysis compares them with the tables.
ABLATIONS = [
    f'faster-rcnn_r50_fpn-{method}_1x_coco'
    for method in (
        *(f'sapa-d-{part}' for part in ('unguided', 'dof1', 'grid', 'dof1-grid')),
        *(f'sapa-d-{part}' for part in ('g1', 'g2', 'g8', 'p2', 'p4', 'p16', 'p25')),
        'sapa-b-g4',
        'carafe-g4',
    )
]
PAPER = sorted({name for name in NAMES if name.endswith('_coco')} - {PLAIN, *ABLATIONS})
# Table 2: 9 points, 4 groups, offset DOF s².
SAPA_D = dict(num_points=9, groups=4, shared_offset=False, offset_init='origin')


def method_of(name):
    return next(method for method in METHODS if method in name)


def upsamplers_of(neck):
    return neck.upsamplers if isinstance(neck, UpsampleFPN) else neck.upsample_modules


def build_neck(name):
    return build_on_meta(name, 'model.neck')


def test_every_row_is_there():
    methods = {'r18-small': ['nearest', 'sapa-d'], 'r50': METHODS, 'r101': ['nearest', *SAPA]}
    expected = [
        model.format(depth, method)
        for model in ('faster-rcnn_{}_fpn-{}', 'mask-rcnn_{}_fpn-{}', 'panoptic-fpn_{}_{}')
        for depth in methods
        for method in methods[depth]
    ]
    found = ['_'.join(name.split('_')[:3]) for name in [*PAPER, *SCENES]]
    assert sorted(found) == sorted(expected)
    assert sorted([*PAPER, PLAIN, *ABLATIONS, *SCENES]) == sorted(NAMES)


class TestPaper:
    @pytest.mark.parametrize('name', [*PAPER, PLAIN])
    def test_neck(self, name):
        neck = build_neck(name)
        plain = 'panoptic' in name or name == PLAIN
        assert type(neck) is (UpsampleFPN if plain else UpsampleFPNCARAFE)
        built = upsamplers_of(neck)
        assert len(built) == (3 if plain else 4)
        if method_of(name) == 'sapa-d':
            assert all(getattr(built[-1], key) == value for key, value in SAPA_D.items())
            assert built[0].query.out_channels == 4 * 32
        assert load(name).model.data_preprocessor.pad_size_divisor == (32 if plain else 64)

    @pytest.mark.parametrize(
        'name', [name for name in (*PAPER, PLAIN) if method_of(name) not in PEERS]
    )
    def test_increment(self, name):
        """docs/reference.md, "Parameter columns". The tables' own figures are in tests/analysis."""
        neck = build_neck(name)
        nearest = 'panoptic-fpn_r50_nearest_1x_coco'
        if isinstance(neck, UpsampleFPNCARAFE):
            nearest = 'faster-rcnn_r50_fpn-nearest_1x_coco'
        increment = count_parameters(neck) - count_parameters(build_neck(nearest))
        each = {'nearest': 0, 'sapa-i': 0, 'sapa-b': 0.016, 'sapa-d': 0.140}[method_of(name)]
        assert increment / len(upsamplers_of(neck)) / 1e6 == pytest.approx(each, abs=5e-4)

    @pytest.mark.parametrize('name', [*PAPER, PLAIN])
    def test_recipe(self, name):
        cfg = load(name)
        depth = 101 if '_r101_' in name else 50
        assert cfg.model.backbone.depth == depth
        assert cfg.model.backbone.init_cfg.checkpoint == f'torchvision://resnet{depth}'
        assert cfg.train_cfg.max_epochs == 12
        assert (cfg.optim_wrapper.optimizer.lr, cfg.auto_scale_lr.base_batch_size) == (0.02, 16)
        assert cfg.train_dataloader.batch_size == 2
        nearest = load(name.replace(method_of(name), 'nearest')) if name != PLAIN else cfg
        one, other = cfg.to_dict(), nearest.to_dict()
        for config in (one, other):
            del config['model']['neck']['upsample_cfg']
        assert one == other


def test_same_as_mmdets_configs():
    """But for the neck, and what replaces panopticapi."""
    mmdet = pytest.importorskip('mmdet')
    stock_root = Path(mmdet.__file__).parent / '.mim' / 'configs'
    if not stock_root.exists():
        pytest.skip('this mmdet is installed without its configs')
    for own, stock in (
        ('faster-rcnn_r50_fpn-nearest_1x_coco', 'faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py'),
        ('mask-rcnn_r50_fpn-nearest_1x_coco', 'mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py'),
        ('panoptic-fpn_r50_nearest_1x_coco', 'panoptic_fpn/panoptic-fpn_r50_fpn_1x_coco.py'),
    ):
        ours, theirs = load(own), Config.fromfile(stock_root / stock)
        for part in ('backbone', 'rpn_head', 'roi_head', 'semantic_head', 'train_cfg', 'test_cfg'):
            assert without_none(ours.model.get(part)) == without_none(theirs.model.get(part)), part
        for part in ('train_cfg', 'param_scheduler', 'optim_wrapper', 'auto_scale_lr'):
            assert without_none(ours[part]) == without_none(theirs[part]), part
        for loader in ('train_dataloader', 'val_dataloader'):
            own_data, stock_data = (without_none(cfg[loader]) for cfg in (ours, theirs))
            for data in (own_data, stock_data):
                data['dataset']['pipeline'] = [
                    step
                    for step in data['dataset']['pipeline']
                    if 'Annotations' not in step['type']
                ]
            assert own_data == stock_data


def without_none(config):
    if isinstance(config, dict):
        return {k: without_none(v) for k, v in config.items() if v is not None}
    if isinstance(config, (list, tuple)):
        return [without_none(item) for item in config]
    return config


@pytest.mark.parametrize('name', SCENES)
def test_scenes_configs_know_the_classes(name):
    cfg = load(name)
    classes = CLASSES if 'panoptic' in name else THING_CLASSES
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        assert tuple(loader.dataset.metainfo.classes) == tuple(classes)
        assert len(loader.dataset.metainfo.palette) == len(classes)
    assert cfg.model.roi_head.bbox_head.num_classes == len(THING_CLASSES)
    if 'panoptic' in name:
        assert cfg.train_dataloader.dataset.metainfo.stuff_classes == STUFF_CLASSES
        assert cfg.model.panoptic_fusion_head.num_stuff_classes == len(STUFF_CLASSES)
    assert cfg.model.backbone.init_cfg is None
    iterations = int(name.split('_')[-2].split('-')[1])
    assert iterations == cfg.train_cfg.max_iters == cfg.param_scheduler[-1].end
