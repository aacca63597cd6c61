"""The detection configs through the tools, ours and mmdet's, on images of several odd sizes."""

import json
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip('mmdet')

import mmdet
from PIL import Image

from sapa_mm.engine.monitored_metrics import metric_names

from ..support.configs import load, write_with_safe_loading
from ..support.run_tool import TOOLS, call_run, environment, finish
from ..support.scenes import MIXED_SIZES, write_mixed_scenes

CONFIGS = TOOLS.parent / 'configs'
PANOPTIC = CONFIGS / 'panoptic_fpn' / 'panoptic-fpn_r18-small_sapa-d_1xb8-300_scenes-160x160.py'
FASTER = CONFIGS / 'faster_rcnn' / 'faster-rcnn_r18-small_fpn-sapa-d_1xb8-300_scenes-160x160.py'
METRICS = {f'coco_panoptic/{kind}' for kind in ('PQ', 'SQ', 'RQ', 'PQ_th', 'PQ_st')}
METRICS |= {'coco/bbox_mAP', 'coco/segm_mAP'}


def options_for(root, config, iterations=2):
    """What a user sets on the command line, and batches of two."""
    options = [f'train_cfg.max_iters={iterations}', f'train_cfg.val_interval={iterations}']
    options.append('default_hooks.checkpoint.interval=1')
    for split in ('train', 'val', 'test'):
        options.append(f'{split}_dataloader.dataset.data_root={root}')
        options.append(f'{split}_dataloader.batch_size=2')
    annotations = root / 'annotations'
    for evaluator in ('val_evaluator', 'test_evaluator'):
        if config == FASTER:
            options.append(f'{evaluator}.ann_file={annotations}/instances_validation.json')
            continue
        options.append(f'{evaluator}.0.ann_file={annotations}/panoptic_validation.json')
        options.append(f'{evaluator}.0.seg_prefix={root}/panoptic/validation')
        options.append(f'{evaluator}.1.ann_file={annotations}/instances_validation.json')
    # So that an untrained model still detects something; only stuff goes into the panoptic map.
    options.append('model.test_cfg.rcnn.score_thr=0.0')
    if config == PANOPTIC:
        options.append('model.test_cfg.panoptic.score_thr=2.0')
    return options


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    return write_mixed_scenes(tmp_path_factory.mktemp('mixed') / 'scenes')


@pytest.fixture(scope='module')
def trained(root, tmp_path_factory):
    """Panoptic FPN after two steps: its work directory."""
    work_dir = tmp_path_factory.mktemp('panoptic')
    options = options_for(root, PANOPTIC)
    call_run('train', PANOPTIC, '--work-dir', work_dir, options=options)
    return work_dir


def metrics_in(work_dir):
    """The metrics that a test wrote."""
    (path,) = work_dir.glob('*/*.json')
    return json.loads(path.read_text())


def validated(work_dir):
    """The metrics of the last validation during training."""
    lines = [
        json.loads(line)
        for path in sorted(work_dir.glob('*/vis_data/scalars.json'))
        for line in path.read_text().splitlines()
    ]
    return [line for line in lines if 'coco/bbox_mAP' in line][-1]


def test_boxes_masks_and_panoptic_maps_are_measured(root, trained, tmp_path):
    """Images of odd sizes in batches of mixed sizes; drawn and saved as well."""
    out = ('--out', tmp_path / 'out.pkl', '--show-dir', tmp_path / 'drawn')
    call_run(
        'test', PANOPTIC, trained / 'iter_2.pth', '--work-dir', tmp_path / 'test', *out,
        options=options_for(root, PANOPTIC),
    )  # fmt: skip
    metrics, before = metrics_in(tmp_path / 'test'), validated(trained)
    for name in METRICS:
        assert metrics[name] == pytest.approx(before[name], abs=1e-3), name
    names, is_all = metric_names(load(PANOPTIC.stem).val_evaluator)
    assert is_all
    assert set(names) <= metrics.keys()
    assert metrics['coco_panoptic/PQ_st'] > 0
    assert len(list((tmp_path / 'drawn').iterdir())) == len(MIXED_SIZES)
    assert (tmp_path / 'out.pkl').stat().st_size > 0


def test_nothing_detected(root, trained, tmp_path):
    """mmdet reports no AP then, but the panoptic qualities are there: stuff needs no detection."""
    options = [*options_for(root, PANOPTIC), 'model.test_cfg.rcnn.score_thr=2.0']
    options.append('model.test_cfg.panoptic.score_thr=2.0')
    call_run('test', PANOPTIC, trained / 'iter_2.pth', '--work-dir', tmp_path, options=options)
    metrics = metrics_in(tmp_path)
    assert metrics['coco_panoptic/PQ_th'] == 0
    assert metrics['coco_panoptic/PQ_st'] > 0


def test_empty_truth(root, trained, tmp_path):
    """All VOID, no instance: PQ of nothing is 0, and pycocotools says -1."""
    own = tmp_path / 'own'
    shutil.copytree(root, own)
    for kind in ('panoptic', 'instances'):
        path = own / 'annotations' / f'{kind}_validation.json'
        content = json.loads(path.read_text())
        if kind == 'instances':
            content['annotations'] = []
        for entry in content['annotations']:
            entry['segments_info'] = []
            png = own / 'panoptic' / 'validation' / entry['file_name']
            Image.new('RGB', Image.open(png).size).save(png)
        path.write_text(json.dumps(content))
    call_run(
        'test', PANOPTIC, trained / 'iter_2.pth', '--work-dir', tmp_path / 'test',
        options=options_for(own, PANOPTIC),
    )  # fmt: skip
    metrics = metrics_in(tmp_path / 'test')
    assert metrics['coco_panoptic/PQ'] == 0
    assert metrics['coco/bbox_mAP'] == -1


@pytest.mark.extended
def test_two_processes_measure_the_same_as_one(root, trained, tmp_path):
    """Of three images for two processes, one is repeated and counts once."""
    content = json.loads((root / 'annotations' / 'panoptic_validation.json').read_text())
    instances = json.loads((root / 'annotations' / 'instances_validation.json').read_text())
    three = tmp_path / 'annotations'
    three.mkdir()
    for name, part in (('panoptic', content), ('instances', instances)):
        ids = [image['id'] for image in part['images'][:3]]
        part['images'] = part['images'][:3]
        part['annotations'] = [a for a in part['annotations'] if a['image_id'] in ids]
        (three / f'{name}_validation.json').write_text(json.dumps(part))
    options = [o.replace(f'{root}/annotations', str(three)) for o in options_for(root, PANOPTIC)]
    options.append(f'test_dataloader.dataset.ann_file={three}/panoptic_validation.json')
    arguments = [PANOPTIC, trained / 'iter_2.pth']
    call_run('test', *arguments, '--work-dir', tmp_path / 'one', options=options)
    with socket.socket() as free:
        free.bind(('localhost', 0))
        port = free.getsockname()[1]
    command = [sys.executable, '-m', 'torch.distributed.run', '--nproc_per_node=2']
    command += [f'--master_port={port}', TOOLS / 'test.py', *arguments, '--launcher', 'pytorch']
    command += ['--work-dir', tmp_path / 'two', '--cfg-options', *options]
    finish(command)
    one, two = metrics_in(tmp_path / 'one'), metrics_in(tmp_path / 'two')
    assert one.keys() >= METRICS
    for name in METRICS:
        assert two[name] == one[name], name


def test_a_killed_run_resumes(root, tmp_path):
    command = [sys.executable, str(TOOLS / 'train.py'), str(PANOPTIC), '--work-dir', str(tmp_path)]
    options = options_for(root, PANOPTIC, iterations=40)
    process = subprocess.Popen(
        [*command, '--cfg-options', *options], env=environment(), stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    deadline = time.monotonic() + 300
    while not (tmp_path / 'iter_2.pth').exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.1)
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = max(int(path.stem[5:]) for path in tmp_path.glob('iter_*.pth'))
    assert done < 40
    iterations = done + 2
    log = finish([*command, '--resume', '--cfg-options', *options_for(root, PANOPTIC, iterations)])
    assert 'resumed epoch' in log
    assert (tmp_path / f'iter_{iterations}.pth').exists()
    assert validated(tmp_path).keys() >= METRICS


@pytest.fixture(scope='module')
def faster(root, tmp_path_factory):
    """Faster R-CNN, trained by mmdet's own tool: its work directory."""
    work_dir = tmp_path_factory.mktemp('faster')
    finish([sys.executable, mmdet_tool('train.py'), FASTER, '--work-dir', work_dir,
            '--cfg-options', *options_for(root, FASTER)])  # fmt: skip
    return work_dir


@pytest.mark.extended
def test_mmdets_own_tool_tests(root, faster, tmp_path):
    config = write_with_safe_loading(FASTER.stem, tmp_path)
    finish([sys.executable, mmdet_tool('test.py'), config, faster / 'iter_2.pth', '--work-dir',
            tmp_path, '--cfg-options', *options_for(root, FASTER)])  # fmt: skip
    tested, trained = metrics_in(tmp_path), validated(faster)
    assert tested['coco/bbox_mAP'] == pytest.approx(trained['coco/bbox_mAP'], abs=1e-3)


@pytest.mark.extended
def test_mmdets_own_tool_resumes(root, faster, tmp_path):
    """With one more import, whatever the version of torch."""
    config = write_with_safe_loading(FASTER.stem, tmp_path)
    work_dir = shutil.copytree(faster, tmp_path / 'run')
    (work_dir / 'last_checkpoint').write_text(str(work_dir / 'iter_2.pth'))
    command = [sys.executable, mmdet_tool('train.py'), config, '--resume', '--work-dir', work_dir]
    log = finish([*command, '--cfg-options', *options_for(root, FASTER, 4)])
    assert 'resumed epoch: 0, iter: 2' in log
    assert (work_dir / 'iter_4.pth').exists()


@pytest.mark.extended
def test_flips_at_test_time(root, faster, tmp_path):
    options = [o for o in options_for(root, FASTER) if not o.startswith('test_dataloader.batch')]
    call_run(
        'test', FASTER, faster / 'iter_2.pth', '--tta', '--work-dir', tmp_path, options=options
    )
    assert metrics_in(tmp_path)['coco/bbox_mAP'] >= 0


def mmdet_tool(name):
    path = Path(mmdet.__file__).parent / '.mim' / 'tools' / name
    if not path.exists():
        pytest.skip('this mmdet is installed without its tools')
    return path


def test_errors_before_work_starts(error_of, root, tmp_path):
    """Annotations of an image that is missing; a metric's missing file."""
    broken = tmp_path / 'panoptic.json'
    content = json.loads((root / 'annotations' / 'panoptic_training.json').read_text())
    content['images'][0]['file_name'] = 'gone.jpg'
    broken.write_text(json.dumps(content))
    options = options_for(root, PANOPTIC)
    ann_file = f'train_dataloader.dataset.ann_file={broken}'
    error = error_of('train', PANOPTIC, '--cfg-options', *options, ann_file)
    assert 'train_dataloader.dataset.data_prefix.img: 1 files are missing' in error
    assert error.endswith('gone.jpg')
    metric = 'val_evaluator.0.ann_file=nowhere.json'
    error = error_of('train', PANOPTIC, '--cfg-options', *options, metric)
    assert error.startswith('error: val_evaluator.0.ann_file: nowhere.json does not exist')
