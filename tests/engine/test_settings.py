"""Settings with which a run cannot train, or trains on other images, are told before it starts."""

import pytest
import torch
from mmengine.config import Config
from PIL import Image
from torch import nn

from sapa_mm.engine.batch_norm import explain_single_values
from sapa_mm.engine.config import ConfigError, check_upsamplers, in_scope, read_config
from sapa_mm.engine.settings import find_setting_problems, idle_worker_options, inspect_settings

from ..support.tool_configs import (
    DEPTH,
    MATTING,
    MMDET,
    MMSEG,
    write_ade,
    write_coco,
    write_config,
    write_mattes,
    write_nyu,
)

LOADER = 'train_dataloader'
HEAD = 'model.decode_head'


@pytest.fixture
def seg(tmp_path):
    pytest.importorskip('mmseg')
    write_ade(tmp_path / 'data', count=4)
    return str(write_config(tmp_path / 'seg.py', MMSEG, tmp_path / 'data'))


@pytest.fixture
def det(tmp_path):
    pytest.importorskip('mmdet')
    write_coco(tmp_path / 'coco', count=4)
    return str(write_config(tmp_path / 'det.py', MMDET, tmp_path / 'coco'))


@pytest.fixture
def depth(tmp_path):
    pytest.importorskip('mmseg')
    write_nyu(tmp_path / 'nyu', count=4)
    return str(write_config(tmp_path / 'depth.py', DEPTH, tmp_path / 'nyu'))


@pytest.fixture
def matting(tmp_path):
    pytest.importorskip('mmcv')
    write_mattes(tmp_path / 'mattes', count=4)
    return str(write_config(tmp_path / 'matting.py', MATTING, tmp_path / 'mattes'))


def problems(config, options=None, splits=('train', 'val'), **settings):
    cfg = read_config(config, options)
    cfg.update(settings)
    with in_scope(cfg):
        return [f'{line.kind}: {line.text}' for line in find_setting_problems(cfg, splits)]


def test_settings_that_are_right(seg, det, depth, matting):
    for splits in (('train', 'val'), ('test',)):
        for config in (seg, det, depth, matting):
            assert problems(config, splits=splits) == []


ONE = {f'{LOADER}.batch_size': 1}
REST = {f'{LOADER}.batch_size': 3, f'{LOADER}.sampler.type': 'DefaultSampler'}
CROP = {f'{LOADER}.dataset.pipeline.2.crop_size': (64, 64)}
LARGE = {**CROP, 'model.data_preprocessor.size': (64, 64)}


@pytest.mark.parametrize(
    ('options', 'start'),
    [
        (ONE, 'train_dataloader.batch_size is 1: '),
        (REST, 'train_dataloader.drop_last is not set, and the last batch of an epoch has one'),
    ],
)
def test_batch_norm_of_a_single_value(seg, options, start):
    (line,) = problems(seg, options)
    assert line.startswith(f'error: {start}')
    norm = 'batch norm decode_head.convs.3.bn has one value for each channel, (1, 8, 1, 1)'
    assert norm in line
    assert f'{LOADER}.dataset.pipeline.2.crop_size (32, 32)' in line


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'train_cfg.max_iters': -3}, 'train_cfg.max_iters must be a number of 1 or more, got -3'),
        ({'train_cfg.val_interval': 0}, 'train_cfg.val_interval must be a number of 1 or more, '),
        (
            {'train_cfg': {'_delete_': True, 'by_epoch': True, 'max_epochs': 1}},
            'train_dataloader.sampler: an epoch of InfiniteSampler never ends',
        ),
        (
            {'default_hooks.checkpoint.create_symlink': True},  # of mmcv
            'default_hooks.checkpoint.create_symlink: CheckpointHook has no such setting',
        ),
    ],
)
def test_settings_of_a_training_that_fail_late(seg, options, message):
    (line,) = problems(seg, options)
    assert line.startswith(f'error: {message}')


@pytest.mark.parametrize(
    'options',
    [
        {f'{HEAD}.norm_cfg': {'type': 'GN', 'num_groups': 2, '_delete_': True}},
        LARGE,
        {**REST, f'{LOADER}.drop_last': True},
        {**REST, f'{LOADER}.sampler.type': 'InfiniteSampler'},
        {f'{LOADER}.batch_size': 4},
        {**REST, 'train_cfg.max_iters': 1},
    ],
)
def test_batch_norm_of_more(seg, options):
    assert problems(seg, {**ONE, **options}) == []


@pytest.mark.parametrize('task', ['seg', 'depth', 'matting'])
def test_test_batches_of_several_sizes(task, request, tmp_path):
    config, key = request.getfixturevalue(task), 'val_dataloader.batch_size'
    assert problems(config, {key: 3}) == []
    images = ['*/images/validation/3.jpg', '*/images/test/3.jpg', '*/test/merged/3.png']
    (path,) = (path for pattern in images for path in tmp_path.glob(pattern))
    for file in (path, *tmp_path.glob('mattes/test/[at]*/3.png')):
        Image.new('RGB', (40, 48)).save(file)
    # It is alone in the second batch of three.
    assert problems(config, {key: 3}) == problems(config) == []
    (line,) = problems(config, {key: 2})
    assert line.startswith('error: val_dataloader.batch_size is 2, but images of one batch have ')
    assert line.endswith(f'2{path.suffix} (64, 64) and {path} (48, 40): set it to 1')


def test_frozen_batch_norm(det):
    assert problems(det, {**ONE, f'{LOADER}.dataset.pipeline.2.prob': 0.0}) == []


def test_the_upsampler_whose_batch_norm_it_is(det):
    pytest.importorskip('sapa_mm.detection')
    neck = {'type': 'UpsampleFPN', 'upsample_cfg.type': 'index_net'}
    options = {f'model.neck.{key}': value for key, value in neck.items()}
    steps = [
        {'type': 'LoadImageFromFile'},
        {'type': 'LoadAnnotations', 'with_bbox': True},
        {'type': 'Resize', 'scale': (16, 16)},
        {'type': 'PackDetInputs'},
    ]
    (line,) = problems(det, {**options, **ONE, f'{LOADER}.dataset.pipeline': steps})
    assert '(IndexNet) has one value for each channel' in line
    assert f'{LOADER}.dataset.pipeline.2.scale (16, 16)' in line


def test_one_image_of_a_matting_model(matting):
    (line,) = problems(matting, ONE)
    assert 'batch norm dconv_pp.global_avg_pool.2 has one value for each channel' in line
    assert f'{LOADER}.dataset.pipeline.4.crop_size (32, 32)' in line


@pytest.mark.parametrize(('device', 'count'), [('cuda', 0), ('cpu', 1)])
@pytest.mark.parametrize(
    'options', [{f'{HEAD}.norm_cfg.type': 'SyncBN'}, {'sync_bn': 'torch'}], ids=['part', 'all']
)
def test_synchronised_batch_norm(seg, monkeypatch, device, count, options):
    monkeypatch.setattr('sapa_mm.engine.batch_norm.get_device', lambda: device)
    monkeypatch.setenv('WORLD_SIZE', '2')
    assert len(problems(seg, {**ONE, **options}, launcher='pytorch')) == count


def test_a_single_value_in_the_middle_of_a_run():
    cfg = Config({LOADER: {'batch_size': 2}})
    text = '^train_dataloader.batch_size is 2, .*use 2 images'
    with pytest.raises(ConfigError, match=text), explain_single_values(cfg):
        nn.BatchNorm2d(3)(torch.zeros(1, 3, 1, 1))
    with pytest.raises(ValueError, match='other'), explain_single_values(cfg):
        raise ValueError('other')


@pytest.mark.parametrize('split', ['train', 'val', 'test'])
def test_options_of_workers_that_are_not_there(seg, split):
    key = f'{split}_dataloader'
    options = {f'{key}.persistent_workers': True, f'{key}.prefetch_factor': 2}
    lines = problems(seg, options, splits=(split,))
    text = 'has no effect with num_workers=0'
    assert lines == [
        f'note: {key}.persistent_workers=True {text}',
        f'note: {key}.prefetch_factor=2 {text}',
    ]
    assert len(list(idle_worker_options(read_config(seg, options)))) == 2
    assert problems(seg, {**options, f'{key}.num_workers': 1}, splits=(split,)) == []


@pytest.mark.parametrize(
    ('key', 'value', 'least'),
    [
        ('batch_size', 0, 1),
        ('num_workers', -1, 0),
        ('batch_size', '2', 1),
        ('prefetch_factor', 0, 1),
    ],
)
def test_numbers_of_a_dataloader(seg, key, value, least):
    text = f'{LOADER}.{key} must be an integer of {least} or more, got {value!r}'
    assert problems(seg, {f'{LOADER}.{key}': value})[0] == f'error: {text}'


SIZE = 'model.data_preprocessor.size'


@pytest.mark.parametrize(
    ('options', 'text'),
    [
        ({SIZE: (64, 64)}, 'note: {size} is (64, 64), {crop} (32, 32) {hw}: 75% of each training'),
        ({SIZE: (32, 48)}, 'note: {size} is (32, 48), {crop} (32, 32) {hw}: 33% of each training'),
        ({SIZE: (16, 16)}, 'note: {size} is (16, 16), {crop} (32, 32) {hw}: smaller images are'),
        (
            {SIZE: None, f'{SIZE}_divisor': 64},
            'note: {size}_divisor is 64, {crop} (32, 32) {hw}: 75% of each training image',
        ),
        (
            {SIZE: None},
            'error: {pre} must have one of size and size_divisor, got size None and size_divisor N',
        ),
        ({SIZE: 32}, 'error: {size} must be (height, width), got 32'),
        (
            {'model.data_preprocessor.test_cfg.size': (32, 32)},
            'error: {pre}.test_cfg must have one of size and size_divisor, got size (32, 32) and',
        ),
    ],
)
def test_padding_of_crops(seg, options, text):
    crop = f'{LOADER}.dataset.pipeline.2.crop_size'
    names = {'size': SIZE, 'pre': SIZE[:-5], 'crop': crop, 'hw': '(height, width)'}
    (line,) = problems(seg, options)
    assert line.startswith(text.format(**names))


def test_padding_that_is_meant(seg):
    # A divisor pads little, and after the crop another step may set the size.
    assert problems(seg, {SIZE: None, f'{SIZE}_divisor': 32}) == []
    resize = {'type': 'Resize', 'scale': (64, 32)}
    options = {f'{LOADER}.dataset.pipeline.4': resize}
    (line,) = problems(seg, options)
    assert f'{LOADER}.dataset.pipeline.4.scale (32, 64) (height, width): smaller' in line
    resize['keep_ratio'] = True
    assert problems(seg, options) == []


@pytest.mark.parametrize(
    ('sizes', 'text'),
    [
        ({'crop_size': (32, 32)}, 'model.test_cfg must have crop_size and stride'),
        ({'crop_size': 32, 'stride': 32}, 'model.test_cfg must have crop_size and stride'),
        (
            {'crop_size': (32, 32), 'stride': (40, 32)},
            'model.test_cfg: stride (40, 32) must not exceed crop_size (32, 32)',
        ),
    ],
)
def test_sliding_windows(seg, sizes, text):
    options = {'model.test_cfg': {'mode': 'slide', **sizes}}
    assert problems(seg, options, splits=('test',))[0].startswith(f'error: {text}')


def test_sliding_windows_of_depth_models(depth):
    windows = {'mode': 'slide_flip', 'crop_size': (32, 32), 'stride': (40, 32)}
    (line,) = problems(depth, {'model.test_cfg': windows}, splits=('test',))
    assert line.startswith('error: model.test_cfg: stride (40, 32) must not exceed crop_size')
    windows.update(mode='slide', stride=(16, 16))
    assert problems(depth, {'model.test_cfg': windows}, splits=('test',)) == []
    stock = {'model.type': 'DepthEstimator', 'model.test_cfg': windows}
    (line,) = problems(depth, stock, splits=('test',))
    assert line.startswith('note: model.test_cfg.mode slide: DepthEstimator throws the windows')


def test_ways_to_test_that_there_are_not(seg, depth):
    """mmseg fails on the first image, after the first part of a training."""
    for config, options, text in (
        (seg, {'model.test_cfg.mode': 'slide_flip'}, 'whole, slide for EncoderDecoder, got'),
        (
            depth,
            {'model.type': 'DepthEstimator', 'model.test_cfg.mode': 'whole_flip'},
            "whole, slide, slide_flip for DepthEstimator, got 'whole_flip'",
        ),
    ):
        line = problems(config, options, splits=('val',))[0]
        assert line.startswith(f'error: model.test_cfg.mode must be one of {text}')
        lines = problems(config, options, splits=('train',))
        assert not any('must be one of' in line for line in lines)


def test_padding_after_a_fixed_cut(depth):
    """A size before it is no longer that of the images."""
    cut = {'type': 'FixedCrop', 'rows': (0, 32), 'columns': (0, 32), 'img_shape': (64, 64)}
    resize = {'type': 'Resize', 'scale': (64, 64)}
    steps = f'{LOADER}.dataset.pipeline'
    assert problems(depth, {f'{steps}.2': resize, f'{steps}.3': cut}) == []


@pytest.mark.parametrize(
    ('key', 'name'),
    [
        ('val_evaluator.output_dir', 'folder'),
        ('visualizer.vis_backends.0.save_dir', 'folder'),
        ('default_hooks.checkpoint.out_dir', 'folder'),
        ('val_evaluator.outfile_prefix', 'folder/result'),
        ('val_evaluator.out_file_path', 'folder/result.pkl'),
    ],
)
def test_places_that_cannot_be_written_to(seg, tmp_path, key, name):
    (tmp_path / 'file').touch()
    place = tmp_path / 'file' / name
    lines = problems(seg, {key: str(place)})
    assert lines[0].startswith(f'error: {key}: {tmp_path / "file"} is not a folder, {place}')
    assert problems(seg, {key: str(tmp_path / name)}) == []


@pytest.mark.parametrize('gone', ['test_dataloader', 'val_cfg', 'test_evaluator', 'optim_wrapper'])
def test_parts_of_a_loop_that_are_missing(seg, gone):
    (line,) = problems(seg, **{gone: None})
    assert line.startswith('error: config: it has ')
    assert line.endswith(f', but no {gone}; set all three, or none')


@pytest.mark.parametrize(
    ('kind', 'upsample_cfg', 'text'),
    [
        ('FPN', {'type': 'sapa_d'}, "FPN of mmdet does not take {'type': 'sapa_d'}; .*'UpsampleF"),
        ('FPN', {'type': 'nearest'}, "FPN of mmdet .*'UpsampleFPN', with sapa_mm.detection"),
        ('FPN', 'nearest', "FPN of mmdet does not take 'nearest'; "),
        ('mmdet.FPN_CARAFE', {'type': 'fade'}, "type='UpsampleFPNCARAFE'"),
        ('PAFPN', {'type': 'sapa_b'}, 'PAFPN of mmdet .* are for UpsampleFPN, .*UpsampleUPerHead'),
    ],
)
def test_upsamplers_in_stock_modules(det, kind, upsample_cfg, text):
    options = {'model.neck.type': kind, 'model.neck.upsample_cfg': upsample_cfg}
    (line,) = problems(det, options)
    assert line.startswith('error: model.neck.upsample_cfg: ')
    with pytest.raises(ConfigError, match=text):
        check_upsamplers(read_config(det, options))


@pytest.mark.parametrize(
    ('kind', 'upsample_cfg'),
    [
        ('FPN', {'mode': 'nearest'}),
        ('FPN_CARAFE', {'type': 'carafe', 'up_kernel': 5, 'up_group': 1}),
        ('FPN_CARAFE', {'type': 'pixel_shuffle'}),
        ('SomebodysNeck', {'type': 'sapa_d'}),
    ],
)
def test_what_stock_modules_take(det, kind, upsample_cfg):
    options = {'model.neck.type': kind, 'model.neck.upsample_cfg': upsample_cfg}
    check_upsamplers(read_config(det, options))


@pytest.mark.parametrize(
    ('upsample_cfg', 'text'),
    [
        ({'type': 'carafe', 'kernel': 5}, 'carafe has no option kernel; allowed are '),
        ({'type': 'sapa'}, 'type must be one of a2u, '),
        ('carafe', 'must be a dict'),
    ],
)
def test_the_upsampler_of_a_model_of_ours(matting, upsample_cfg, text):
    (line,) = problems(matting, {'model.upsample_cfg': upsample_cfg})
    assert line.startswith('error: model.upsample_cfg')
    assert text in line


def test_a_stock_head(seg):
    (line,) = problems(seg, {f'{HEAD}.upsample_cfg': {'type': 'sapa_d'}})
    text = "type='UpsampleSegformerHead', with sapa_mm.segmentation in custom_imports"
    assert line.startswith(f'error: {HEAD}.upsample_cfg: SegformerHead of mmseg does not take')
    assert line.endswith(text)


def test_a_model_is_built_in_silence(seg, recwarn):
    """Modules of the hosts give advice, such as on ``avg_non_ignore``."""
    cfg = read_config(seg)
    with in_scope(cfg):
        assert list(inspect_settings(cfg)) == []
    assert [str(warning.message) for warning in recwarn] == []


def test_a_model_that_cannot_be_built(seg):
    cfg = read_config(seg, {f'{HEAD}.channels': 'many'})
    with in_scope(cfg):
        (line,) = inspect_settings(cfg)
    assert line.kind == 'error'
    assert line.text.startswith(f'config: the model of {seg} cannot be built: ')
