"""tools/train.py and tools/test.py, from images to metrics, with both hosts."""

import json
import pickle
import re
import shlex
import shutil
import sys
import uuid

import numpy as np
import pytest
import torch
from PIL import Image

from sapa_mm.engine import read_checkpoint
from sapa_mm.engine.monitored_metrics import metric_names

from ..support.run_tool import TOOLS, call_run, call_tool, finish, run_tool
from ..support.tool_configs import MMDET, MMSEG, write_ade, write_coco, write_config

EXTENDED = pytest.mark.extended
#: A data set of fewer classes, and a head for it.
SEVEN_CLASSES = ['model.decode_head.num_classes=7'] + [
    f'{split}_dataloader.dataset.metainfo.classes=[wall,building,sky,floor,tree,ceiling,road]'
    for split in ('train', 'val', 'test')
]


class Run:
    """Shared by the tests of a host: a config, and a training run that stopped and resumed."""

    def __init__(self, folder, text, write, last, half):
        self.folder, self.last = folder, last
        write(folder / 'data')
        self.config = write_config(folder / 'config.py', text, folder / 'data')
        self.work_dir = folder / 'run'
        call_run('train', self.config, '--work-dir', self.work_dir, options=[half])
        call_run('train', self.config, '--work-dir', self.work_dir, '--resume')

    def test(self, name, *args):
        """Call tools/test.py and return the metrics that it wrote."""
        work_dir = self.folder / name
        call_run('test', self.config, self.work_dir / self.last, '--work-dir', work_dir, *args)
        (metrics,) = work_dir.glob('*/*.json')
        return json.loads(metrics.read_text())

    def last_validation(self, key):
        """The metric of the last validation while training."""
        log = sorted(self.work_dir.glob('*/vis_data/scalars.json'))[-1]
        scalars = [json.loads(line) for line in log.read_text().splitlines()]
        return [line[key] for line in scalars if key in line][-1]

    def weights(self, work_dir=None):
        return read_checkpoint(str((work_dir or self.work_dir) / self.last))['state_dict']


@pytest.fixture(scope='module')
def seg(tmp_path_factory):
    pytest.importorskip('mmseg')
    folder = tmp_path_factory.mktemp('seg')
    return Run(folder, MMSEG, write_ade, 'iter_4.pth', 'train_cfg.max_iters=2')


@pytest.fixture(scope='module')
def det(tmp_path_factory):
    pytest.importorskip('mmdet')
    folder = tmp_path_factory.mktemp('det')
    return Run(folder, MMDET, write_coco, 'epoch_2.pth', 'train_cfg.max_epochs=1')


@pytest.mark.parametrize('host', ['seg', 'det'])
def test_resumed_run_ends_as_an_uninterrupted_one(request, host, tmp_path):
    """The config has no seed, so the resumed run must find the first run's."""
    run = request.getfixturevalue(host)
    log = max(run.work_dir.glob('*/*.log'))
    assert 'resumed epoch' in log.read_text()
    seed = read_checkpoint(str(run.work_dir / run.last))['meta']['seed']
    call_run('train', run.config, '--work-dir', tmp_path, options=[f'randomness.seed={seed}'])
    expected = run.weights(tmp_path)
    resumed = run.weights()
    assert all(torch.equal(resumed[key], expected[key]) for key in expected)


def test_segmentation_is_measured_saved_and_drawn(seg):
    out, drawn = seg.folder / 'out', seg.folder / 'drawn'
    metrics = seg.test('measured', '--out', out, '--show-dir', drawn)
    assert metrics['mIoU'] == pytest.approx(seg.last_validation('mIoU'))
    assert sorted(path.name for path in out.iterdir()) == [f'{index}.png' for index in range(4)]
    labels = np.array(Image.open(out / '0.png'))
    assert labels.shape == (64, 64)
    assert labels.min() >= 1  # as in ADE20K's files, where 0 is unlabelled
    assert len(list(drawn.rglob('*.png'))) == 4


def test_segmentation_with_test_time_augmentation(seg):
    """In a separate process."""
    work_dir = seg.folder / 'tta'
    printed = run_tool('test', seg.config, seg.work_dir / seg.last, '--tta', '--work-dir', work_dir)
    assert 'mIoU' in printed


@pytest.fixture
def unlabelled(seg, tmp_path):
    """A config whose test set is two folders of images of the same names, without labels."""
    for part in ('a', 'b'):
        shutil.copytree(seg.folder / 'data/images/validation', tmp_path / 'images' / part)
    text = f"""
_base_ = {str(seg.config)!r}
parts = [
    dict(type='ADE20KDataset', data_root={str(tmp_path)!r}, data_prefix=dict(img_path=folder),
         pipeline=[dict(type='LoadImageFromFile'), dict(type='PackSegInputs')])
    for folder in ('images/a', 'images/b')]
test_dataloader = dict(dataset=dict(_delete_=True, type='ConcatDataset', datasets=parts))
test_evaluator = [dict(type='IoUMetric', format_only=True), dict(type='BoundaryIoUMetric')]
custom_imports = dict(imports=['sapa_mm.evaluation'])
"""
    (tmp_path / 'config.py').write_text(text)
    return tmp_path / 'config.py'


@pytest.mark.parametrize('tta', [(), ('--tta',)])
def test_a_test_set_without_labels(seg, unlabelled, tmp_path, monkeypatch, tta):
    """The config's tta_pipeline loads labels."""
    said = []
    monkeypatch.setattr('sapa_mm.utils.log._log', lambda text, _: said.append(text))
    out, drawn = tmp_path / 'out', tmp_path / 'drawn'
    work_dir = ['--work-dir', tmp_path / 'run']
    saved = ['--out', out, '--show-dir', drawn]
    call_run('test', unlabelled, seg.work_dir / seg.last, *work_dir, *saved, *tta)
    files = [f'{part}/{index}.png' for part in ('a', 'b') for index in range(4)]
    for folder in (out, drawn):
        assert sorted(str(p.relative_to(folder)) for p in folder.rglob('*.png')) == files
    for index in range(4):
        maps = [np.asarray(Image.open(out / part / f'{index}.png')) for part in ('a', 'b')]
        assert maps[0].shape == (64, 64)
        assert np.array_equal(*maps)
    key = 'test_dataloader.dataset.datasets.0.pipeline'
    assert said == [f'Left out: BoundaryIoUMetric: {key} loads no labels to measure against']


@pytest.mark.parametrize('step', ['OwnTruth', 'OwnPicture'])
def test_a_step_of_somebodys_own(seg, tmp_path, capfd, monkeypatch, step):
    """Whether it loads labels is not in its name."""
    from mmseg.datasets.transforms import LoadAnnotations
    from mmseg.registry import TRANSFORMS

    class OwnTruth(LoadAnnotations):
        pass

    class OwnPicture(LoadAnnotations):
        def transform(self, results):
            return results

    text = f"""
_base_ = {str(seg.config)!r}
steps = [dict(type='LoadImageFromFile'), dict(type={step!r}), dict(type='PackSegInputs')]
test_dataloader = dict(dataset=dict(pipeline=steps))
"""
    (tmp_path / 'config.py').write_text(text)
    arguments = [tmp_path / 'config.py', seg.work_dir / seg.last, '--work-dir', tmp_path / 'run']
    for kind in (OwnTruth, OwnPicture):
        monkeypatch.setitem(TRANSFORMS.module_dict, kind.__name__, kind)
    if step == 'OwnTruth':
        call_run('test', *arguments)
    else:
        error = fails(capfd, 'test', *arguments, '--cfg-options')
        assert 'test_dataloader.dataset.pipeline loads no labels to measure' in error


def test_nothing_to_do_without_labels(seg, unlabelled, tmp_path, capfd):
    arguments = [unlabelled, seg.work_dir / seg.last, '--work-dir', tmp_path, '--cfg-options']
    error = fails(capfd, 'test', *arguments)
    assert error.startswith('error: test_evaluator: BoundaryIoUMetric: test_dataloader.dataset.')
    assert error.endswith('; --out or --show-dir saves predictions alone')
    error = fails(capfd, 'test', *arguments, 'test_evaluator.1.format_only=True')
    assert error == (
        'error: test_evaluator: IoUMetric, BoundaryIoUMetric: format_only needs output_dir; --out '
        'or --show-dir saves predictions alone'
    )


def test_predictions_that_cannot_be_merged(request, tmp_path, capfd):
    """Masks, and mmseg's single channel: its model for flips takes the sigmoid twice."""
    mask_head = 'model.mask_head={"type": "FCNMaskHead", "num_classes": 1}'
    for host, option, message in (
        ('det', mask_head, 'model.mask_head gives masks; test without'),
        ('seg', 'model.decode_head.out_channels=1', 'model.decode_head.out_channels is 1, so that'),
    ):
        run = request.getfixturevalue(host)
        arguments = ['--work-dir', tmp_path, '--tta', '--cfg-options', option]
        error = fails(capfd, 'test', run.config, run.work_dir / run.last, *arguments)
        assert error.startswith('error: --tta: ')
        assert message in error


def test_detections_are_measured_saved_and_drawn(det):
    out, drawn = det.folder / 'out.pkl', det.folder / 'drawn'
    metrics = det.test('measured', '--out', out, '--show-dir', drawn)
    assert metrics['coco/bbox_mAP'] == pytest.approx(det.last_validation('coco/bbox_mAP'))
    predictions = pickle.loads(out.read_bytes())
    assert len(predictions) == 4
    assert len(predictions[0]['pred_instances']['scores']) > 0
    assert sorted(path.name for path in drawn.iterdir()) == [
        f'{index}.png' for index in range(1, 5)
    ]


def test_detection_with_test_time_augmentation(det):
    assert 'coco/bbox_mAP' in det.test('tta', '--tta')


def fails(capfd, name, *args):
    """Call a tool that ends with one line of error, and return that line."""
    assert call_tool(name, *args, f'visualizer.name={uuid.uuid4()}') == 2
    (line,) = [line for line in capfd.readouterr().err.splitlines() if line.startswith('error: ')]
    return line


@pytest.mark.parametrize(
    ('host', 'option', 'message'),
    [
        ('seg', ' '.join(SEVEN_CLASSES), 'it has weights of another shape (2): decode_h'),
        ('seg', 'model.backbone.num_heads=[1,1,1,1]', 'num_heads.1 is 1, but was 2 in training'),
        (
            'det',
            'model.bbox_head.stacked_convs=2',
            'it lacks weights of the model (4): bbox_head.cls_convs.1.conv',
        ),
        *(
            pytest.param(host, f'{key}={value}', f'{key} is {value}, but was', marks=EXTENDED)
            for host, key, value in (
                ('seg', 'model.decode_head.align_corners', True),
                ('det', 'model.bbox_head.anchor_generator.octave_base_scale', 8),
                ('det', 'model.data_preprocessor.bgr_to_rgb', False),
            )
        ),
    ],
)
def test_a_checkpoint_of_another_model(request, host, option, message, tmp_path, capfd):
    """Resuming looks at the classes of the training's data."""
    run = request.getfixturevalue(host)
    checkpoint = run.work_dir / run.last
    options = ['--work-dir', tmp_path, '--cfg-options', *option.split()]
    error = fails(capfd, 'test', run.config, checkpoint, *options)
    assert error.startswith(
        f'error: checkpoint: {checkpoint} does not fit the model in {run.config}: '
    )
    assert message in error
    assert error.endswith('with, or --allow-partial to load what fits')
    error = fails(capfd, 'train', run.config, '--resume', checkpoint, *options)
    assert error.startswith(
        f'error: --resume: {checkpoint} does not fit the model in {run.config}: '
    )
    assert message in error


def test_a_partial_checkpoint_is_allowed(seg, tmp_path):
    """Its optimizer's state is of other parameters."""
    options = ['train_cfg.max_iters=5', 'model.decode_head.channels=16']
    resume = ['--resume', seg.work_dir / seg.last, '--work-dir', tmp_path, '--allow-partial']
    call_run('train', seg.config, *resume, options=options)
    assert (tmp_path / 'iter_5.pth').exists()
    log = max(tmp_path.glob('*/*.log')).read_text()
    assert 'WARNING - resume: ' in log
    assert 'the optimizer starts afresh' in log
    work_dir = ['--work-dir', tmp_path / 'test']
    call_run('test', seg.config, tmp_path / 'iter_5.pth', *work_dir, '--allow-partial')
    assert '; loaded ' in max(tmp_path.glob('test/*/*.log')).read_text()


@pytest.mark.parametrize(
    ('setting', 'message'),
    [
        ("optim_wrapper['optimizer'] = dict(type='SGD', lr=0.1)", "is 'SGD', but was 'AdamW'"),
        (
            "optim_wrapper['paramwise_cfg'] = dict(custom_keys=dict(head=dict(lr_mult=10)))",
            'optimizer does not fit the config: ValueError: loaded state dict has a different',
        ),
        ('param_scheduler = []', 'it has 1 in param_scheduler, the config 0'),
        (
            "param_scheduler = [dict(type='CosineAnnealingLR', by_epoch=False)]",
            'schedule does not fit the config: CosineAnnealingLR needs T_max, eta_min',
        ),
    ],
)
def test_a_checkpoint_of_another_optimizer(seg, setting, message, tmp_path, capfd):
    """mmengine and torch fail in the first step, or go on with another schedule."""
    config = tmp_path / 'config.py'
    config.write_text(f'{seg.config.read_text()}\n{setting}\n')
    resume = ['--resume', seg.work_dir / 'iter_2.pth', '--work-dir', tmp_path / 'run']
    option = ['--cfg-options', 'train_cfg.max_iters=3']
    error = fails(capfd, 'train', config, *resume, *option)
    assert error.startswith(f'error: --resume: {seg.work_dir / "iter_2.pth"}: the state of its ')
    assert message in error
    assert re.search('was trained with, or --allow-partial to start the .* afresh$', error)
    call_run('train', config, *resume, '--allow-partial', options=option[1:])
    log = max(tmp_path.glob('run/*/*.log')).read_text()
    assert 'starts afresh' in log
    assert 'keeps what it was' not in log


def test_a_resumed_run_with_other_settings(seg, tmp_path):
    """A batch size counts; the learning rate of the checkpoint goes on."""
    options = [
        'train_cfg.max_iters=3',
        'train_dataloader.batch_size=3',
        'train_dataloader.dataset.indices=3',
        'optim_wrapper.optimizer.lr=0.1',
        'param_scheduler.0.end=9',
    ]
    resume = ['--resume', seg.work_dir / 'iter_2.pth', '--work-dir', tmp_path]
    call_run('train', seg.config, *resume, options=options)
    warnings = re.findall('WARNING - resume: (.*)', max(tmp_path.glob('*/*.log')).read_text())
    label = seg.work_dir / 'iter_2.pth'
    assert warnings == [
        f'{label}: train_dataloader.batch_size is 3, but was 2 in training; '
        'the number of training samples is 3, but was 4',
        f'{label}: optim_wrapper.optimizer.lr is 0.1, but was 0.001 in training, '
        'param_scheduler.0.end is 9, but was 4 in training; a resumed run keeps what it was',
    ]


def test_a_resumed_run_without_what_it_had(seg, tmp_path):
    """Nothing is left to train; averaged weights without their hook; hooks that are None."""
    averaged = 'custom_hooks=[dict(type="EMAHook")]'
    options = ['train_cfg.max_iters=2', 'default_hooks.visualization=None']
    call_run('train', seg.config, '--work-dir', tmp_path, options=[*options, averaged])
    call_run('train', seg.config, '--work-dir', tmp_path, '--resume', options=options)
    log = max(tmp_path.glob('*/*.log')).read_text()
    label = f'WARNING - resume: {tmp_path / "iter_2.pth"}: '
    assert f'{label}training goes on from averaged weights: custom_hooks has no EMAHook' in log
    assert f'{label}nothing is left to train: it has iter 2 of 2' in log


def test_the_best_checkpoints_of_our_metrics(seg, tmp_path):
    """Without a rule; the names are known before."""
    config = tmp_path / 'config.py'
    evaluators = [{'type': 'BoundaryIoUMetric'}, {'type': 'IoUMetric'}]
    imports = "custom_imports = dict(imports=['sapa_mm.evaluation'])"
    config.write_text(f'{seg.config.read_text()}\n{imports}\nval_evaluator = {evaluators}\n')
    for best in ('[mIoU,bIoU]', 'auto'):
        work_dir = tmp_path / best
        option = f'default_hooks.checkpoint.save_best={best}'
        call_run('train', config, '--work-dir', work_dir, options=[option])
        names = {path.name.split('_')[1] for path in work_dir.glob('best_*.pth')}
        assert names == ({'bIoU'} if best == 'auto' else {'mIoU', 'bIoU'})
        log = max(work_dir.glob('*/vis_data/scalars.json')).read_text().splitlines()
        assert set(metric_names(evaluators)[0]) <= json.loads(log[-1]).keys()
        # The copy of the config has the rules.
        call_run('test', work_dir / config.name, work_dir / 'iter_2.pth', '--work-dir', work_dir)


def test_a_copied_run_leaves_the_original_alone(seg, tmp_path):
    """Its nested metainfo is no other one; a better checkpoint replaces its own best only."""
    options = [
        'default_hooks.checkpoint.save_best=mIoU',
        'train_dataloader.dataset.metainfo.source.lens.name=mine',
        'train_cfg.max_iters=2',
    ]
    first, copy = tmp_path / 'first', tmp_path / 'copy'
    call_run('train', seg.config, '--work-dir', first, options=options)
    content = read_checkpoint(str(first / 'iter_2.pth'))
    content['message_hub']['runtime_info']['best_score'] = -1.0
    torch.save(content, first / 'iter_2.pth')
    shutil.copytree(first, copy)
    before = sorted(path.name for path in first.iterdir())
    options[-1] = 'train_cfg.max_iters=4'
    call_run('train', seg.config, '--work-dir', copy, '--resume', options=options)
    assert sorted(path.name for path in first.iterdir()) == before
    assert [path.name for path in copy.glob('best*')] == ['best_mIoU_iter_4.pth']
    log = max(copy.glob('*/*.log')).read_text()
    assert f'Load checkpoint from {copy}/iter_2.pth' in log
    assert 'resumed' not in re.sub('resumed epoch', '', log)  # as warnings have it


@EXTENDED
def test_a_log_that_nobody_reads(seg, tmp_path):
    """The logger prints no tracebacks."""
    command = [sys.executable, TOOLS / 'train.py', seg.config, '--work-dir', tmp_path]
    output = finish(['sh', '-c', f'{shlex.join(map(str, command))} | head -5'])
    assert ' - INFO - ' in output
    assert 'Traceback' not in output


def test_scores_that_overflow_are_said(seg, tmp_path):
    """Their label map is of the first class, as one might be."""
    weights = seg.weights()
    weights['decode_head.conv_seg.weight'].fill_(3e38)
    torch.save({'state_dict': weights}, tmp_path / 'large.pth')
    call_run('test', seg.config, tmp_path / 'large.pth', '--work-dir', tmp_path / 'test')
    log = max(tmp_path.glob('test/*/*.log')).read_text()
    assert len(re.findall('WARNING - The scores of .* are NaN or infinite', log)) == 1


def test_what_a_training_starts_from(seg, tmp_path, capfd):
    """Weights under another key are refused, those of other classes fit but for the classifier."""
    start = ['--work-dir', tmp_path / 'run', '--cfg-options', 'train_cfg.max_iters=1']
    torch.save({'net': seg.weights()}, tmp_path / 'net.pth')
    error = fails(capfd, 'train', seg.config, *start, f'load_from={tmp_path / "net.pth"}')
    assert error.startswith(f'error: load_from: {tmp_path / "net.pth"} has none of the ')
    assert "the weights are under the key 'net'" in error
    options = [f'load_from={seg.work_dir / seg.last}', *SEVEN_CLASSES]
    call_run('train', seg.config, *start[:2], options=[*start[3:], *options])
    log = max((tmp_path / 'run').glob('*/*.log')).read_text()
    assert re.search(
        r'WARNING - load_from: .*: loaded .* weights; of another shape, left as initialised: '
        r'2 \(decode_head.conv_seg.weight \[150, 8, 1, 1\] instead of \[7, 8, 1, 1\]',
        log,
    )


@pytest.mark.parametrize(
    ('host', 'key', 'number', 'classes'),
    [('seg', 'decode_head', 151, 150), ('seg', 'decode_head', 2, 150), ('det', 'bbox_head', 80, 1)],
)
def test_heads_of_another_number_of_classes(request, host, key, number, classes, tmp_path, capfd):
    """Before a model is built: too few end in an IndexError, too many in odd metrics."""
    run = request.getfixturevalue(host)
    options = ['--work-dir', tmp_path, '--cfg-options', f'model.{key}.num_classes={number}']
    for name, split, checkpoint in (('train', 'train', []), ('test', 'test', [run.last])):
        files = [run.work_dir / file for file in checkpoint]
        error = fails(capfd, name, run.config, *files, *options)
        assert error == (
            f'error: model.{key}.num_classes is {number}, but {split}_dataloader.dataset has '
            f'{classes} classes'
        )


def test_a_model_that_cannot_be_built(seg, tmp_path, capfd):
    options = ['--work-dir', tmp_path, '--cfg-options', 'model.decode_head.chanels=8']
    error = fails(capfd, 'train', seg.config, *options)
    assert error.startswith(f'error: config: {seg.config}: TypeError: ')
    assert "unexpected keyword argument 'chanels'" in error
