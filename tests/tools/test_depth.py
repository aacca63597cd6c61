"""tools/train.py and tools/test.py on depth models, and mmseg's own."""

import json
import shutil
import sys
import uuid
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

pytest.importorskip('mmseg')

import mmseg

from sapa_mm.engine import read_checkpoint
from sapa_mm.engine.published import read_published
from sapa_mm.evaluation.depth_metric import MonocularDepthMetric

from ..support.run_tool import call_run, call_script, call_tool
from ..support.tool_configs import DEPTH, write_config, write_nyu

LAST = 'iter_4.pth'


@pytest.fixture(scope='module')
def run(tmp_path_factory):
    """The folder of a run that was stopped and resumed."""
    folder = tmp_path_factory.mktemp('depth')
    write_nyu(folder / 'data')
    config = write_config(folder / 'config.py', DEPTH, folder / 'data')
    work_dir = ['--work-dir', folder / 'run']
    call_run('train', config, *work_dir, options=['train_cfg.max_iters=2'])
    call_run('train', config, *work_dir, '--resume')
    return folder


def measure(run, name, *args, options=()):
    """Test the run and return the metrics."""
    work_dir = run / name
    call_run('test', run / 'config.py', run / 'run' / LAST, '--work-dir', work_dir, *args,
             options=options)  # fmt: skip
    return read_metrics(work_dir)


def read_metrics(work_dir):
    (path,) = work_dir.glob('*/*.json')
    metrics = json.loads(path.read_text())
    return {name: metrics[name] for name in MonocularDepthMetric.METRICS}


def fails(capfd, name, *args):
    """Call a tool that ends with one line of error, and return that line."""
    assert call_tool(name, *args, f'visualizer.name={uuid.uuid4()}') == 2
    (line,) = [line for line in capfd.readouterr().err.splitlines() if line.startswith('error: ')]
    return line


def test_a_resumed_run_ends_as_an_uninterrupted_one(run, tmp_path):
    resumed = read_checkpoint(str(run / 'run' / LAST))
    options = [f'randomness.seed={resumed["meta"]["seed"]}']
    call_run('train', run / 'config.py', '--work-dir', tmp_path, options=options)
    expected = read_checkpoint(str(tmp_path / LAST))['state_dict']
    assert expected['decode_head.loss_decode.iteration'] == 4  # of the warm-up
    assert resumed['state_dict'].keys() == expected.keys()
    assert all(torch.equal(resumed['state_dict'][key], expected[key]) for key in expected)


def test_the_best_checkpoint_is_that_of_the_first_metric(run):
    log = max((run / 'run').glob('*/vis_data/scalars.json')).read_text().splitlines()
    scores = [line['d1'] for line in map(json.loads, log) if 'd1' in line]
    (best,) = (run / 'run').glob('best_*.pth')
    assert best.name.startswith('best_d1_iter_')
    assert scores
    hub = read_checkpoint(str(run / 'run' / LAST))['message_hub']
    assert hub['runtime_info']['best_score'] >= scores[-1]


def test_depth_is_measured_saved_and_drawn(run):
    """The files say what the metrics say."""
    saved = ['--out', run / 'out', '--show-dir', run / 'drawn']
    metrics = measure(run, 'measured', *saved)
    measure(run, 'arrays', '--out', run / 'arrays', '--out-format', 'npy')
    metric = MonocularDepthMetric()
    for index in range(4):
        image = Image.open(run / 'out' / f'{index}.png')
        assert (image.mode, image.size) == ('I;16', (64, 64))
        depth = np.load(run / 'arrays' / f'{index}.npy')
        assert depth.dtype == np.float32
        np.testing.assert_allclose(np.asarray(image) / 1e3, depth, atol=5.1e-4)
        truth = np.asarray(Image.open(run / 'data/annotations/test' / f'{index}.png')) / 1e3
        maps = {'pred_depth_map': depth, 'gt_depth_map': truth}
        sample = {key: {'data': torch.tensor(value)[None]} for key, value in maps.items()}
        metric.process(None, [sample])
        picture = np.asarray(Image.open(run / 'drawn' / f'{index}.png'))
        assert picture.shape == (2 * 352, 8 + 2 * 328 + 80, 3)
    values = metric.compute_metrics(metric.results)
    assert metrics == pytest.approx(values, abs=1e-6)


def test_flips_are_averaged_once(run, monkeypatch):
    """By --tta, or by the config; together they are the same."""
    plain = measure(run, 'plain')
    flipped = measure(run, 'flipped', options=['model.test_cfg.mode=whole_flip'])
    added = measure(run, 'added', '--tta')
    assert added == flipped
    assert added['abs_rel'] != plain['abs_rel']
    said = []
    monkeypatch.setattr('sapa_mm.utils.log._log', lambda text, _: said.append(text))
    both = measure(run, 'both', '--tta', options=['model.test_cfg.mode=whole_flip'])
    assert both == flipped
    assert said == ['tta: changes nothing, model.test_cfg.mode whole_flip averages flips already']


def test_flips_of_a_model_that_cannot(run, tmp_path, capfd):
    arguments = [run / 'config.py', run / 'run' / LAST, '--tta', '--work-dir', tmp_path]
    error = fails(capfd, 'test', *arguments, '--cfg-options', 'model.type=DepthEstimator')
    assert error == (
        'error: --tta needs model.type FlipDepthEstimator, or a model.test_cfg.mode that averages '
        'flips; the config has DepthEstimator and whole'
    )


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['--out-format', 'npy'], '--out-format: npy has no effect without --out'),
        (
            ['--out', 'out', '--out-format', 'npy', '--cfg-options', 'model.type=EncoderDecoder'],
            '--out-format: npy is for depth maps, EncoderDecoder predicts none',
        ),
        (['--out', 'depths.pkl'], '--out takes a folder (of maps) for FlipDepthEstimator, got'),
        (['--out', '{data}/annotations/test'], '--out: {data}/annotations/test has files of'),
        (['--show-dir', '{data}/images'], '--show-dir: {data}/images has files of'),
    ],
)
def test_places_that_do_not_suit(run, tmp_path, capfd, arguments, message):
    arguments = [part.format(data=run / 'data') for part in arguments]
    files = [run / 'config.py', run / 'run' / LAST, '--work-dir', tmp_path]
    error = fails(capfd, 'test', *files, *arguments, '--cfg-options')
    assert error.startswith(f'error: {message.format(data=run / "data")}')


def test_images_without_truth_in_several_folders(run, tmp_path, monkeypatch):
    for part in ('a', 'b'):
        shutil.copytree(run / 'data/images/test', tmp_path / 'images' / part)
    (tmp_path / 'config.py').write_text(f"""
_base_ = {str(run / 'config.py')!r}
test_dataloader = dict(dataset=dict(_delete_=True,
    type='NYUDataset', data_root={str(tmp_path)!r}, data_prefix=dict(img_path='images'),
    pipeline=[dict(type='LoadImageFromFile'), dict(type='PackSegInputs')]))
""")
    said = []
    monkeypatch.setattr('sapa_mm.utils.log._log', lambda text, _: said.append(text))
    out, drawn = tmp_path / 'out', tmp_path / 'drawn'
    arguments = ['--work-dir', tmp_path / 'run', '--out', out, '--show-dir', drawn, '--tta']
    call_run('test', tmp_path / 'config.py', run / 'run' / LAST, *arguments)
    files = [f'{part}/{index}.png' for part in ('a', 'b') for index in range(4)]
    for folder in (out, drawn):
        assert sorted(str(p.relative_to(folder)) for p in folder.rglob('*.png')) == files
    assert Image.open(drawn / 'a/0.png').height == 352  # no truth, no error
    assert said[-1] == (
        'Left out: MonocularDepthMetric: test_dataloader.dataset loads no labels to measure against'
    ).replace('dataset loads', 'dataset.pipeline loads')


def test_a_batch_without_truth_teaches_nothing(run, tmp_path):
    data = tmp_path / 'data'
    shutil.copytree(run / 'data', data)
    for path in sorted((data / 'annotations/train').iterdir())[1:]:
        depth = np.zeros((64, 64), np.uint16)
        depth[:2, 0] = 2000  # measured, but cut off
        Image.fromarray(depth).save(path)
    options = ['train_dataloader.dataset.pipeline.2.crop_size=(8,8)', 'train_cfg.max_iters=3']
    arguments = [run / 'config.py', '--work-dir', tmp_path / 'run', '--data-root', data]
    call_run('train', *arguments, options=[*options, 'model.data_preprocessor.size=(32,32)'])
    log = max((tmp_path / 'run').glob('*/*.log')).read_text()
    assert log.count('is 0: nothing is learnt from its batch') == 1
    weights = read_checkpoint(str(tmp_path / 'run/iter_3.pth'))['state_dict']
    assert all(value.isfinite().all() for value in weights.values())


@pytest.mark.parametrize('name', ['D1', 'mIoU'])
def test_metrics_that_there_are_not(run, tmp_path, capfd, name):
    options = ['--cfg-options', f'default_hooks.checkpoint.save_best={name}']
    error = fails(capfd, 'train', run / 'config.py', '--work-dir', tmp_path, *options)
    assert error == (
        f'error: default_hooks.checkpoint.save_best: the validation has no metric {name}; it has '
        'd1, d2, d3, abs_rel, sq_rel, rmse, rmse_log, log10, silog'
    )


@pytest.mark.parametrize('name', ['train', 'test'])
def test_depth_in_metres(run, tmp_path, capfd, name):
    data = tmp_path / 'data'
    shutil.copytree(run / 'data', data)
    for path in data.glob('annotations/*/*'):
        Image.fromarray(np.asarray(Image.open(path)) // 1000).save(path)
    files = [run / 'config.py', *([run / 'run' / LAST] if name == 'test' else [])]
    options = ['--work-dir', tmp_path / 'run', '--data-root', data, '--cfg-options']
    error = fails(capfd, name, *files, *options)
    assert error == (
        f'error: {name}_dataloader.dataset: the depths in the 4 depth maps opened are far below '
        'model.decode_head.max_depth, 10: they are 0.002 to 0.004 m with depth_rescale_factor='
        '0.001; if they are in metres, save them in millimetres'
    )
    assert not (tmp_path / 'run').exists()


def test_data_elsewhere(run, tmp_path):
    """Both images and depth maps move: there, the truth is what the model predicts."""
    data = tmp_path / 'moved'
    shutil.copytree(run / 'data', data)
    assert measure(run, 'here', '--out', tmp_path / 'out')['abs_rel'] > 0.01
    shutil.copytree(tmp_path / 'out', data / 'annotations/test', dirs_exist_ok=True)
    assert measure(run, 'moved', '--data-root', data)['abs_rel'] < 0.001


def test_kinds_of_rooms_are_no_classes(run, tmp_path):
    """A test set of some of them."""
    split = 'test_dataloader.dataset.metainfo.classes'
    assert measure(run, 'rooms', options=[f'{split}=[office,kitchen]']) == measure(run, 'stock')


def test_published_weights(run, tmp_path, capfd):
    metrics = tmp_path / 'metrics.json'
    metrics.write_text(json.dumps(measure(run, 'for publishing')))
    arguments = [run / 'config.py', run / 'run' / LAST, '--out', tmp_path, '--metrics', metrics]
    assert call_tool('publish', *arguments) == 0
    (path,) = tmp_path.glob('*.safetensors')
    assert set(read_published(str(path)).metrics) >= {'d1', 'abs_rel', 'log10'}
    work_dir = tmp_path / 'run'
    call_run('test', run / 'config.py', path, '--work-dir', work_dir)
    assert read_metrics(work_dir) == json.loads(metrics.read_text())


@pytest.mark.parametrize('name', ['train', 'test'])
def test_the_tools_of_mmseg(run, tmp_path, monkeypatch, name):
    path = Path(mmseg.__file__).parent / '.mim' / 'tools' / f'{name}.py'
    if not path.exists():
        pytest.skip('this mmseg is installed without its tools')
    # The config imports it, which has an effect once in a process.
    monkeypatch.delitem(sys.modules, 'sapa_mm.engine.safe_loading', raising=False)
    checkpoint = [run / 'run' / LAST] if name == 'test' else []
    options = [f'visualizer.name={uuid.uuid4()}', f'experiment_name={uuid.uuid4()}']
    options += ['default_hooks.checkpoint.rule=greater'] if name == 'train' else []
    arguments = [run / 'config.py', *checkpoint, '--work-dir', tmp_path, '--cfg-options', *options]
    assert not call_script(path, *arguments)
    if name == 'test':
        assert read_metrics(tmp_path) == measure(run, 'ours')
    else:
        assert (tmp_path / LAST).exists()
