"""The detection configs: what they say, and that each one trains and tests."""

import copy
import json
import uuid
from pathlib import Path

import pytest

pytest.importorskip('mmdet')

from mmdet.registry import MODELS
from mmdet.utils import register_all_modules
from mmengine.config import Config

from sapa_mm import upsamplers
from sapa_mm.analysis.parameters import count_parameters
from sapa_mm.datasets import CLASSES, STUFF_CLASSES, THING_CLASSES, write_scenes
from sapa_mm.detection import UpsampleFPN, UpsampleFPNCARAFE
from sapa_mm.engine.prepare_training import prepare_training
from sapa_mm.engine.run import build_runner

ROOT = Path(__file__).parents[2] / 'configs'
FOLDERS = ('faster_rcnn', 'mask_rcnn', 'panoptic_fpn')
PATHS = {path.stem: path for folder in FOLDERS for path in (ROOT / folder).glob('*.py')}
PAPER = sorted(name for name in PATHS if name.endswith('_coco') and 'plain' not in name)
SCENES = sorted(name for name in PATHS if 'scenes' in name)
PLAIN = 'faster-rcnn_r50_plain-fpn-sapa-d_1x_coco'
UPSAMPLERS = {
    'nearest': upsamplers.Nearest,
    'sapa-i': upsamplers.SapaI,
    'sapa-b': upsamplers.SapaB,
    'sapa-d': upsamplers.SapaD,
}
# Table 2: 9 points, 4 groups, offset DOF s².
SAPA_D = dict(num_points=9, groups=4, shared_offset=False, offset_init='origin')


def load(name):
    return Config.fromfile(PATHS[name])


def method_of(name):
    return next(method for method in UPSAMPLERS if method in name)


def upsamplers_of(neck):
    return neck.upsamplers if isinstance(neck, UpsampleFPN) else neck.upsample_modules


def build_model(cfg):
    register_all_modules(init_default_scope=True)
    model_cfg = copy.deepcopy(cfg.model)
    model_cfg.backbone.init_cfg = None
    return MODELS.build(model_cfg)


def test_every_row_is_there():
    assert sorted([*PAPER, PLAIN, *SCENES]) == sorted(PATHS)
    for model in ('faster-rcnn_{}_fpn-{}', 'mask-rcnn_{}_fpn-{}', 'panoptic-fpn_{}_{}'):
        for depth in ('r50', 'r101'):
            for method in UPSAMPLERS:
                assert f'{model.format(depth, method)}_1x_coco' in PAPER
        for method in ('nearest', 'sapa-d'):
            assert any(name.startswith(model.format('r18-small', method)) for name in SCENES)


class TestPaper:
    @pytest.fixture(scope='class', params=[*PAPER, PLAIN])
    def name(self, request):
        return request.param

    @pytest.fixture(scope='class')
    def model(self, name):
        return build_model(load(name))

    def test_upsamplers(self, name, model):
        plain = 'panoptic' in name or name == PLAIN
        assert type(model.neck) is (UpsampleFPN if plain else UpsampleFPNCARAFE)
        built = upsamplers_of(model.neck)
        assert [type(module) for module in built] == [UPSAMPLERS[method_of(name)]] * (
            3 if plain else 4
        )
        if method_of(name) == 'sapa-d':
            assert all(getattr(built[-1], key) == value for key, value in SAPA_D.items())
            assert built[0].query.out_channels == 4 * 32
        assert load(name).model.data_preprocessor.pad_size_divisor == (32 if plain else 64)

    def test_parameters(self, name, model):
        """REFERENCE.md, sections 2 and 3: Tables 5 and 6 count trainable ones, Table 7 all."""
        million = count_parameters(model, trainable_only='panoptic' not in name) / 1e6
        if name == PLAIN:
            # The usual FPN has 41.5 M; three upsamplers of 0.14 M.
            assert round(million - 0.419, 1) == 41.5
            return
        base = {
            'faster-rcnn_r50': 46.84,
            'faster-rcnn_r101': 65.83,
            'mask-rcnn_r50': 49.48,
            'mask-rcnn_r101': 68.47,
            'panoptic-fpn_r50': 46.03,
            'panoptic-fpn_r101': 65.02,
        }['_'.join(name.split('_')[:2])]
        increment = {'nearest': 0, 'sapa-i': 0, 'sapa-b': 0.066, 'sapa-d': 0.559}[method_of(name)]
        if 'panoptic' in name:
            increment = {0.066: 0.049, 0.559: 0.419}.get(increment, 0)
        nearest = count_parameters(
            build_model(load(name.replace(method_of(name), 'nearest'))),
            trainable_only='panoptic' not in name,
        )
        assert round(nearest / 1e6, 2) == base
        assert round(million - nearest / 1e6, 3) == increment

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


@pytest.fixture(scope='module')
def scenes(tmp_path_factory):
    root = tmp_path_factory.mktemp('scenes')
    write_scenes(root, num_train=2, num_val=2, size=(70, 57))
    return root


def shrunken(cfg, scenes):
    """Settings for one step on two scenes of some 64 pixels, with the classes of the scenes."""
    panoptic = 'semantic_head' in cfg.model
    kind = 'panoptic' if panoptic else 'instances'
    metainfo = dict(classes=CLASSES if panoptic else THING_CLASSES)
    if panoptic:
        metainfo.update(thing_classes=THING_CLASSES, stuff_classes=STUFF_CLASSES)
    options = {
        'model.backbone.init_cfg': None,
        'default_hooks.checkpoint.interval': -1,
        'default_hooks.checkpoint.save_last': False,
        'default_hooks.logger.interval': 1,
        'train_dataloader.batch_size': 2,
        'visualizer.name': str(uuid.uuid4()),
        'train_cfg.val_interval': 1,
        f'train_cfg.max_{"epochs" if "max_epochs" in cfg.train_cfg else "iters"}': 1,
    }
    if panoptic:
        for head in ('semantic_head', 'panoptic_fusion_head'):
            options[f'model.{head}.num_things_classes'] = len(THING_CLASSES)
            options[f'model.{head}.num_stuff_classes'] = len(STUFF_CLASSES)
    for split, loader in (
        ('training', 'train_dataloader'),
        ('validation', 'val_dataloader'),
        ('validation', 'test_dataloader'),
    ):
        dataset = dict(
            data_root=str(scenes),
            metainfo=metainfo,
            ann_file=f'annotations/{kind}_{split}.json',
        )
        options |= {f'{loader}.dataset.{key}': value for key, value in dataset.items()}
        options[f'{loader}.dataset.data_prefix.img'] = f'images/{split}/'
        if panoptic:
            options[f'{loader}.dataset.data_prefix.seg'] = f'panoptic/{split}/'
        options[f'{loader}.num_workers'] = 0
        options[f'{loader}.persistent_workers'] = False
        for step, transform in enumerate(cfg[loader].dataset.pipeline):
            if 'scale' in transform:
                options[f'{loader}.dataset.pipeline.{step}.scale'] = (64, 64)
    several = isinstance(cfg.val_evaluator, list)
    for number, metric in enumerate(cfg.val_evaluator if several else [cfg.val_evaluator]):
        key = f'val_evaluator.{number}' if several else 'val_evaluator'
        truth = 'panoptic' if metric.type == 'PanopticMetric' else 'instances'
        options[f'{key}.ann_file'] = str(scenes / 'annotations' / f'{truth}_validation.json')
        if truth == 'panoptic':
            options[f'{key}.seg_prefix'] = str(scenes / 'panoptic' / 'validation')
    return options


@pytest.mark.parametrize('name', [*PAPER, PLAIN, *SCENES])
def test_one_step_of_training_and_testing(name, scenes, tmp_path, monkeypatch):
    monkeypatch.setenv('LOCAL_RANK', '0')
    options = shrunken(load(name), scenes)
    cfg = prepare_training(str(PATHS[name]), work_dir=str(tmp_path), cfg_options=options)
    runner = build_runner(cfg)
    model = runner.train()
    # The optimizer keeps nothing of a parameter that no gradient reached.
    state = runner.optim_wrapper.optimizer.state
    kept = {'momentum_buffer', 'exp_avg'}
    for key, parameter in model.neck.named_parameters():
        (moments,) = (state[parameter][k] for k in kept & state[parameter].keys())
        assert moments.isfinite().all(), key
    metrics = last_metrics(tmp_path)
    panoptic = {'coco_panoptic/PQ', 'coco_panoptic/SQ_th', 'coco_panoptic/RQ_st'}
    if 'panoptic' in name:
        assert panoptic <= metrics.keys()
        assert all(0 <= metrics[key] <= 100 for key in panoptic)


def last_metrics(work_dir):
    (log,) = work_dir.glob('*/vis_data/scalars.json')
    return json.loads(log.read_text().splitlines()[-1])
