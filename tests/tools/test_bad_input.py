"""A user's mistake ends in one line that names it, and exit code 2."""

import os
import re
import uuid

import pytest
import torch

from ..support.run_tool import TOOLS
from ..support.tool_configs import MMDET, MMSEG, write_ade, write_coco, write_config


@pytest.fixture
def seg(tmp_path):
    pytest.importorskip('mmseg')
    write_ade(tmp_path / 'data', count=2)
    return write_config(tmp_path / 'seg.py', MMSEG, tmp_path / 'data')


@pytest.fixture
def det(tmp_path):
    pytest.importorskip('mmdet')
    write_coco(tmp_path / 'coco', count=2)
    return write_config(tmp_path / 'det.py', MMDET, tmp_path / 'coco')


@pytest.fixture
def checkpoint(tmp_path):
    torch.save({'state_dict': {}}, tmp_path / 'weights.pth')
    return tmp_path / 'weights.pth'


def test_missing_config(error_of):
    assert error_of('train', 'no.py') == 'error: config: no.py is not a file'


def test_options_that_are_no_pairs(error_of, seg):
    assert "takes key=value pairs, got 'oops'" in error_of('train', seg, '--cfg-options', 'oops')


def test_options_that_do_not_fit(error_of, seg):
    option = 'train_dataloader.dataset.pipeline.9.type=x'
    assert '--cfg-options do not fit' in error_of('train', seg, '--cfg-options', option)


@pytest.mark.parametrize(
    ('option', 'message'),
    [
        ('optim_wrapper.optimizer.lr=fast', 'TypeError: '),
        ('optim_wrapper.optimizer.type=Adamw', '(TypeError|KeyError): '),
        (
            'param_scheduler.0.type=PolyLr',
            'KeyError: .PolyLr is not in the mmseg::',
        ),
        ('train_cfg.max_iters=2.5', 'AssertionError: .max_iters. should be a integer'),
    ],
)
def test_wrong_values_deep_in_a_config(error_of, seg, option, message):
    error = error_of('train', seg, '--cfg-options', option)
    assert re.search(f'^error: (config: .*seg.py: )?{message}', error)


@pytest.mark.parametrize('tool', ['train', 'test'])
def test_metrics_that_do_not_exist(error_of, seg, checkpoint, tool):
    """mmseg would say so after all images."""
    arguments = (seg, checkpoint) if tool == 'test' else (seg,)
    option = f'{"val" if tool == "train" else tool}_evaluator.iou_metrics=[mIoU,IoU]'
    error = error_of(tool, *arguments, '--cfg-options', option)
    assert error.endswith("_evaluator.iou_metrics: allowed are mIoU, mDice, mFscore, got ['IoU']")


def test_missing_images(error_of, seg, tmp_path):
    error = error_of('train', seg, '--cfg-options', 'val_dataloader.dataset.data_root=elsewhere')
    assert 'val_dataloader.dataset.data_prefix.img_path: no folder' in error
    assert str(tmp_path / 'elsewhere' / 'images' / 'validation') in error
    assert 'point at the data with --data-root FOLDER' in error


def test_truncated_annotations(error_of, det, tmp_path):
    os.truncate(tmp_path / 'coco' / 'boxes.json', 100)
    error = error_of('train', det)
    assert 'train_dataloader.dataset.ann_file:' in error
    assert 'boxes.json is not a complete JSON file' in error


def test_amp_without_an_accelerator(error_of, seg, monkeypatch):
    monkeypatch.setattr('sapa_mm.engine.training.get_device', lambda: 'cpu')
    assert '--amp needs an accelerator' in error_of('train', seg, '--amp')


def test_auto_scale_lr_without_a_base(error_of, seg):
    assert '--auto-scale-lr needs' in error_of('train', seg, '--auto-scale-lr')


def test_missing_checkpoints(error_of, seg):
    assert '--resume: no.pth does not exist' in error_of('train', seg, '--resume', 'no.pth')
    assert 'checkpoint: no.pth does not exist' in error_of('test', seg, 'no.pth')
    option = 'load_from=no.pth'
    assert 'load_from: no.pth does not exist' in error_of('train', seg, '--cfg-options', option)
    option = (
        'model.backbone.init_cfg.type=Pretrained',
        'model.backbone.init_cfg.checkpoint=no.pth',
    )
    error = error_of('train', seg, '--cfg-options', *option)
    assert 'model.backbone.init_cfg.checkpoint: no.pth does not exist' in error


def test_first_weights_with_a_prefix(error_of, seg, tmp_path):
    """Those of a whole model, as weights of the backbone."""
    torch.save({'backbone.layers.0.0.projection.weight': torch.zeros(1)}, tmp_path / 'model.pth')
    key = 'model.backbone.init_cfg'
    options = (f'{key}.type=Pretrained', f'{key}.checkpoint=model.pth')
    error = error_of('train', seg, '--cfg-options', *options)
    assert error.startswith(f'error: {key}.checkpoint: model.pth has none of the ')
    assert error.endswith("its names have the prefix 'backbone.': give init_cfg prefix='backbone.'")


def test_truncated_checkpoint(error_of, seg, checkpoint):
    os.truncate(checkpoint, 300)
    assert f'checkpoint: {checkpoint} is truncated' in error_of('test', seg, checkpoint)


def test_out_of_the_wrong_kind(error_of, seg, det, checkpoint):
    assert '--out takes a folder' in error_of('test', seg, checkpoint, '--out', 'a.pkl')
    assert '--out takes a .pkl file' in error_of('test', det, checkpoint, '--out', 'folder')


@pytest.mark.parametrize(
    ('flag', 'folder', 'key'),
    [
        ('--out', 'annotations/validation', 'val_dataloader.dataset.data_prefix.seg_map_path'),
        ('--out', 'annotations', 'train_dataloader.dataset.data_prefix.seg_map_path'),
        ('--show-dir', 'images/training', 'train_dataloader.dataset.data_prefix.img_path'),
    ],
)
def test_predictions_into_the_data(error_of, seg, checkpoint, tmp_path, flag, folder, key):
    place = tmp_path / 'data' / folder
    error = error_of('test', seg, checkpoint, flag, place)
    assert error.startswith(f'error: {flag}: {place} has files of {key}, which would be overwr')


def test_places_that_cannot_be_written_to(error_of, seg, checkpoint, tmp_path):
    file = tmp_path / 'file'
    file.touch()
    message = f'{file} is not a folder, '
    for flag, place in (('--work-dir', file), ('--show-dir', file), ('--out', file / 'folder')):
        assert f'error: {flag}: {message}{place}' in error_of('test', seg, checkpoint, flag, place)
    assert f'error: --work-dir: {message}' in error_of('train', seg, '--work-dir', file)
    assert f'error: --out: {message}' in error_of('publish', seg, checkpoint, '--out', file)


@pytest.mark.parametrize('tool', ['train', 'test'])
@pytest.mark.parametrize('key', ['model', 'test_dataloader'])
def test_settings_in_the_place_of_a_dict(error_of, seg, checkpoint, tool, key):
    arguments = (seg, checkpoint) if tool == 'test' else (seg,)
    error = error_of(tool, *arguments, '--cfg-options', f'{key}=3')
    assert error.endswith(f'.py: {key} must be a dict(...), got 3')


@pytest.mark.parametrize(
    ('tool', 'option', 'message'),
    [
        ('train', 'model=None', '{config} has no model'),
        ('train', 'train_dataloader=None', '{config} has no train_dataloader'),
        ('train', 'test_dataloader=None', 'it has test_cfg and test_evaluator, but no test_datal'),
        ('test', 'test_dataloader=None', '{config} has no test_dataloader'),
        ('test', 'test_cfg.type=NoLoop', "{config}: KeyError: 'NoLoop is not in the "),
    ],
)
def test_parts_that_are_missing(error_of, seg, checkpoint, tool, option, message):
    arguments = (seg, checkpoint) if tool == 'test' else (seg,)
    options = (option, f'experiment_name={uuid.uuid4()}')
    error = error_of(tool, *arguments, '--cfg-options', *options)
    assert error.startswith(f'error: config: {message.format(config=seg)}')


def test_a_pipeline_that_is_none(error_of, seg):
    key = 'train_dataloader.dataset.pipeline'
    error = error_of('train', seg, '--cfg-options', f'{key}=None')
    assert error == f'error: {key} must be a list of steps, got None'


def test_model_that_cannot_be_built(error_of, seg, checkpoint):
    torch.save({'state_dict': {'weight': torch.zeros(1)}}, checkpoint)
    error = error_of('publish', seg, checkpoint, '--cfg-options', 'model.decode_head.in_channels=x')
    assert f'error: config: the model of {seg} cannot be built: ' in error


def test_tta_without_a_pipeline(error_of, seg, checkpoint):
    seg.write_text(seg.read_text().replace('tta_pipeline', 'other'))
    assert '--tta needs tta_pipeline' in error_of('test', seg, checkpoint, '--tta')


@pytest.mark.parametrize('tool', ['train', 'test'])
@pytest.mark.parametrize(
    ('option', 'message'),
    [
        ('type=sapa_x', 'upsample_cfg: type must be one of a2u, bilinear, .*sapa_d'),
        ('colour=1', 'upsample_cfg: bilinear has no option colour; allowed are align_corners'),
    ],
)
def test_wrong_upsampler(error_of, seg, checkpoint, tool, option, message):
    arguments = (seg, checkpoint) if tool == 'test' else (seg,)
    head = ('type=UpsampleSegformerHead', 'upsample_cfg.type=bilinear', f'upsample_cfg.{option}')
    options = [f'model.decode_head.{part}' for part in head]
    error = error_of(tool, *arguments, '--cfg-options', *options)
    assert re.match(f'error: model.decode_head.{message}', error)


def test_resuming_what_cannot_be_resumed(error_of, seg, checkpoint, tmp_path):
    assert 'has only weights' in error_of('train', seg, '--resume', checkpoint)
    work_dir = tmp_path / 'run'
    work_dir.mkdir()
    (work_dir / 'iter_3.pth').write_bytes(checkpoint.read_bytes()[:50])
    error = error_of('train', seg, '--work-dir', work_dir, '--resume')
    assert 'none of the checkpoints' in error
    assert 'iter_3.pth is truncated' in error


def test_what_is_no_config(error_of, tmp_path):
    (tmp_path / 'notes.md').write_text('# Notes')
    assert 'notes.md cannot be read' in error_of('train', tmp_path / 'notes.md')
    (tmp_path / 'broken.py').write_text('model = dict(')
    assert 'broken.py cannot be read' in error_of('train', tmp_path / 'broken.py')
    (tmp_path / 'empty.py').write_text('a = 1')
    assert 'empty.py has no model' in error_of('train', tmp_path / 'empty.py')


def test_wrong_number_of_scenes(error_of, tmp_path):
    assert 'error: --train must be' in error_of('make_scenes', tmp_path / 'scenes', '--train', 0)


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (
            ('--table', 3, '--rows', 'Magic'),
            '--rows: Table 3 has no row Magic; allowed are 1 to 10',
        ),
        (('--gpus', 2), "launcher 'none' starts one process, got gpus 2 and nodes 1"),
        (('--scenes', '--iterations', 1), '--iterations must be 2 or more, got 1'),
        (
            ('--table', 10, '--out', TOOLS / 'train.py'),
            f'--out: {TOOLS / "train.py"} is not a folder, ',
        ),
    ],
)
def test_tables_that_cannot_be_run(error_of, arguments, message):
    pytest.importorskip('mmseg')
    assert f'error: {message}' in error_of('reproduce', 'run', *arguments)


@pytest.mark.parametrize(
    ('tool', 'arguments'),
    [
        ('demo', ()),
        ('compare_upsamplers', ('--task', 'depth')),
        ('reproduce', ('run', '--scenes', '--table', 10)),
    ],
)
@pytest.mark.parametrize('flag', ['--out', '--data-root'])
def test_runs_on_generated_data_in_the_place_of_a_file(error_of, tmp_path, tool, arguments, flag):
    pytest.importorskip('mmseg')
    (tmp_path / 'file').touch()
    assert f'error: {flag}: {tmp_path}/file is not a folder, ' in error_of(
        tool, *arguments, flag, 'file'
    )


def test_commands_for_a_folder_in_the_place_of_a_file(error_of, tmp_path):
    pytest.importorskip('mmseg')
    (tmp_path / 'file').touch()
    error = error_of('reproduce', 'commands', '--table', 10, '--out', 'file/results')
    assert f'error: --out: {tmp_path}/file is not a folder, ' in error
    error = error_of('make_scenes', 'file/scenes', '--train', 1, '--val', 1)
    assert f'error: root: {tmp_path}/file is not a folder, ' in error


def test_seeds_of_a_comparison(error_of):
    pytest.importorskip('mmseg')
    message = 'error: --seeds must be from 0 to 2**32 - 1, got -1'
    assert error_of('compare_upsamplers', '--task', 'depth', '--seeds', 0, -1) == message


def test_launcher_options_with_an_open_quote(error_of):
    pytest.importorskip('mmseg')
    error = error_of('reproduce', 'run', '--launcher', 'pytorch', '--launcher-options', "'a")
    assert 'error: argument --launcher-options: invalid' in error
