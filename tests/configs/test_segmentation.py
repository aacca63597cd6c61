"""The segmentation configs: what they say, and a run from training to testing."""

import json
import shutil
import sys
from pathlib import Path

import pytest

pytest.importorskip('mmseg')

import mmseg
from mmengine.config import Config

from sapa_mm.datasets import CLASSES, PALETTE
from sapa_mm.engine import read_checkpoint
from sapa_mm.engine.testing import prepare_testing, run_testing
from sapa_mm.engine.training import prepare_training, run_training

from ..support.configs import PATHS, load, names_in, write_with_safe_loading
from ..support.run_tool import finish
from ..support.shrunken import last_metrics, shrunken

NAMES = names_in('segformer', 'upernet')
PAPER = [name for name in NAMES if 'ade20k' in name]
SCENES = [name for name in NAMES if 'scenes' in name]
CAMVID = [name for name in NAMES if 'camvid' in name]
METHODS = [
    'bilinear', 'deconv', 'pixel-shuffle', 'carafe', 'index-net', 'a2u', 'fade', 'dysample',
    'sapa-i', 'sapa-b', 'sapa-d',
]  # fmt: skip
# Tables 10 to 12; tests/analysis compares them with the tables.
ABLATIONS = [
    *(
        f'sapa-b-{part}'
        for part in ('none', 'relu', 'sigmoid', 'softplus', 'd16', 'd64', 'k3', 'k7')
    ),
    *(f'sapa-d-{part}' for part in ('unguided', 'dof4', 'dof4-grid', 'grid')),
]


def find(model, method):
    """The one config of a model and an upsampler."""
    (name,) = (name for name in NAMES if name.startswith(f'{model}_{method}_'))
    return name


def test_every_row_is_there():
    assert sorted(PAPER + SCENES + CAMVID) == sorted(NAMES)
    methods = {
        'segformer_mit-b1': METHODS + ABLATIONS,
        'segformer_mit-tiny': METHODS,
        'segformer_mobilenet-v2': [*METHODS, 'nearest'],
        'upernet_r50': METHODS,
        'upernet_r101': ['bilinear', 'sapa-d'],
        'upernet_r18-small': ['bilinear', 'sapa-d'],
    }
    expected = sorted(f'{model}_{method}' for model in methods for method in methods[model])
    assert sorted('_'.join(name.split('_')[:3]) for name in NAMES) == expected


@pytest.mark.parametrize('name', NAMES)
def test_head_and_size(name):
    cfg = load(name)
    head = 'UpsampleUPerHead' if name.startswith('upernet') else 'UpsampleSegformerHead'
    assert cfg.model.decode_head.type == head
    crop = cfg.crop_size
    assert tuple(cfg.model.data_preprocessor.size) == tuple(crop)
    assert f'-{crop[0]}x{crop[1]}' in name


@pytest.mark.parametrize('name', NAMES)
def test_name_tells_the_schedule(name):
    """..._{gpus}xb{batch}-{iterations}_{dataset}-..."""
    cfg = load(name)
    gpus_and_batch, iterations = name.split('_')[-2].split('-')
    iterations = int(iterations.replace('k', '000'))
    assert iterations == cfg.train_cfg.max_iters == cfg.param_scheduler[-1].end
    gpus, batch = map(int, gpus_and_batch.split('xb'))
    assert cfg.train_dataloader.batch_size == batch
    if 'auto_scale_lr' in cfg:
        assert cfg.auto_scale_lr.base_batch_size == gpus * batch


@pytest.mark.parametrize('name', PAPER)
def test_paper_configs_keep_the_recipe(name):
    cfg = load(name)
    init_cfg = cfg.model.backbone.init_cfg
    assert init_cfg.type == 'Pretrained'
    if name.startswith('upernet'):
        depth = 101 if '_r101_' in name else 50
        assert cfg.model.backbone.depth == depth
        assert init_cfg.checkpoint == f'open-mmlab://resnet{depth}_v1c'
    else:
        assert init_cfg.checkpoint.startswith('https://')
    for dataloader in (cfg.val_dataloader, cfg.test_dataloader):
        aligned = dict(type='ResizeToMultiple', size_divisor=32)
        assert aligned in dataloader.dataset.pipeline

    upsample_cfg = cfg.model.decode_head.upsample_cfg
    # Section 3.7: group normalisation in SegFormer.
    normed = name.startswith('segformer') and upsample_cfg.type.startswith('sapa')
    assert upsample_cfg.get('pre_norm', False) is normed


@pytest.mark.parametrize(
    'model', ['segformer_mit-b1', 'segformer_mit-tiny', 'segformer_mobilenet-v2', 'upernet_r50']
)
def test_rows_differ_in_the_upsampler_only(model):
    base, *others = (load(find(model, method)).to_dict() for method in METHODS)
    for cfg in (base, *others):
        del cfg['model']['decode_head']['upsample_cfg']
    assert all(cfg == base for cfg in others)


def test_upernet_is_mmsegs():
    """But for the head's upsampler."""
    stock = Path(mmseg.__file__).parent / '.mim' / 'configs' / 'upernet'
    if not stock.exists():
        pytest.skip('this mmseg is installed without its configs')
    theirs = Config.fromfile(stock / 'upernet_r50_4xb4-80k_ade20k-512x512.py')
    ours = load(find('upernet_r50', 'bilinear'))
    assert theirs.model.pop('pretrained') == ours.model.backbone.pop('init_cfg').checkpoint
    ours.model.decode_head.type = 'UPerHead'
    del ours.model.decode_head.upsample_cfg
    assert ours.model.to_dict() == theirs.model.to_dict()
    for part in ('param_scheduler', 'train_cfg', 'val_cfg', 'test_cfg'):
        assert ours[part] == theirs[part], part
    assert ours.optim_wrapper.optimizer == theirs.optim_wrapper.optimizer


@pytest.mark.parametrize('name', SCENES)
def test_scenes_configs_know_the_classes(name):
    cfg = load(name)
    assert cfg.model.decode_head.num_classes == len(CLASSES)
    assert cfg.model.backbone.init_cfg is None
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        metainfo = loader.dataset.metainfo
        assert tuple(metainfo.classes) == tuple(CLASSES)
        assert [tuple(color) for color in metainfo.palette] == [tuple(color) for color in PALETTE]
        assert loader.dataset.reduce_zero_label is True


@pytest.mark.usefixtures('safe_loading')
def test_training_and_testing(scenes, tmp_path, monkeypatch):
    monkeypatch.setenv('LOCAL_RANK', '0')
    name = find('segformer_mit-tiny', 'sapa-d')
    options = {**shrunken(load(name), scenes), 'default_hooks.checkpoint.interval': 1}
    run = dict(cfg_options=options, work_dir=str(tmp_path))
    trained = run_training(prepare_training(str(PATHS[name]), **run))
    validated = last_metrics(tmp_path)

    checkpoint = str(tmp_path / 'iter_1.pth')
    # The optimizer keeps nothing of a parameter that no gradient reached.
    state = read_checkpoint(checkpoint)['optimizer']['state']
    assert len(state) == sum(1 for p in trained.parameters() if p.requires_grad)

    metrics = run_testing(prepare_testing(str(PATHS[name]), checkpoint, **run))
    assert metrics['mIoU'] == pytest.approx(validated['mIoU'], abs=1e-2)


NAME = find('segformer_mit-tiny', 'sapa-d')


def run_mmsegs_own(tool, config, scenes, work_dir, *args, iterations=2):
    """Run a tool of mmseg on a config that is unchanged but for what any user sets."""
    path = Path(mmseg.__file__).parent / '.mim' / 'tools' / tool
    if not path.exists():
        pytest.skip('this mmseg is installed without its tools')
    options = [
        *(f'{split}_dataloader.dataset.data_root={scenes}' for split in ('train', 'val', 'test')),
        f'train_cfg.max_iters={iterations}',
        f'train_cfg.val_interval={iterations}',
        'default_hooks.checkpoint.interval=2',
        'train_dataloader.batch_size=2',
        'train_dataloader.dataset.pipeline.2.crop_size=(64,64)',
        'model.data_preprocessor.size=(64,64)',
    ]
    command = [sys.executable, path, config, *args, '--work-dir', work_dir]
    return finish([*command, '--cfg-options', *options])


@pytest.fixture(scope='module')
def trained_by_mmseg(scenes, tmp_path_factory):
    work_dir = tmp_path_factory.mktemp('mmseg')
    run_mmsegs_own('train.py', PATHS[NAME], scenes, work_dir)
    return work_dir


def test_mmsegs_own_tool_trains_and_resumes(scenes, trained_by_mmseg, tmp_path):
    """With one more import, whatever the version of torch."""
    work_dir = shutil.copytree(trained_by_mmseg, tmp_path / 'run')
    (work_dir / 'last_checkpoint').write_text(str(work_dir / 'iter_2.pth'))
    config = write_with_safe_loading(NAME, tmp_path)
    log = run_mmsegs_own('train.py', config, scenes, work_dir, '--resume', iterations=4)
    assert 'resumed epoch: 0, iter: 2' in log
    assert (work_dir / 'iter_4.pth').exists()


@pytest.mark.extended
def test_mmsegs_own_tool_tests(scenes, trained_by_mmseg, tmp_path):
    checkpoint = trained_by_mmseg / 'iter_2.pth'
    config = write_with_safe_loading(NAME, tmp_path)
    run_mmsegs_own('test.py', config, scenes, tmp_path, checkpoint)
    (tested,) = (json.loads(path.read_text()) for path in tmp_path.glob('*/*.json'))
    trained = last_metrics(trained_by_mmseg)
    assert tested['mIoU'] == pytest.approx(trained['mIoU'], abs=1e-2)
