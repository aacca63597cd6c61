"""The demos, trained for real but shortly."""

import numpy as np
import pytest

pytest.importorskip('mmseg')

from PIL import Image

from sapa_mm.datasets import write_mattes, write_rooms, write_scenes
from sapa_mm.reproduction.demo import format_table, run_demo
from sapa_mm.reproduction.training_result import Metric, TrainingResult

from ..support.configs import CONFIGS


def test_demo_makes_table_and_picture(tmp_path, capsys):
    scenes, out = tmp_path / 'scenes', tmp_path / 'out'
    write_scenes(scenes, num_train=8, num_val=2)
    options = {'train_cfg.max_iters': 2, 'train_dataloader.batch_size': 2}
    table = run_demo('segmentation', str(CONFIGS), str(scenes), str(out), options)
    assert table in capsys.readouterr().out
    assert (out / 'table.md').read_text() == table + '\n'

    header, _, bilinear, sapa_d = table.splitlines()
    assert header == '| upsampler | mIoU | bIoU | parameters | s / iteration |'
    cells = [[cell.strip() for cell in row.strip('|').split('|')] for row in (bilinear, sapa_d)]
    assert [row[0] for row in cells] == ['Bilinear', 'SAPA-D']
    assert all(0 < float(cell) < 100 for cell in cells[0][1:3])
    parameters = [int(row[3].split()[0].replace(',', '')) for row in cells]
    # Six of them: two convs to 4 * 16 channels, one to 4 * 4 * 2, and two GroupNorms.
    assert parameters[1] - parameters[0] == 6 * (2 * (64 * 64 + 64) + 64 * 32 + 32 + 4 * 64)
    assert float(cells[1][4]) > 0

    check_picture(out / 'comparison.png')


def check_picture(path):
    picture = np.asarray(Image.open(path).convert('RGB'))
    assert min(picture.shape[:2]) > 500
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 1000


@pytest.mark.extended
def test_detection_demo_makes_table_and_picture(tmp_path):
    pytest.importorskip('mmdet')
    scenes, out = tmp_path / 'scenes', tmp_path / 'out'
    write_scenes(scenes, num_train=4, num_val=2, size=(64, 80))
    options = {'train_cfg.max_iters': 1, 'train_dataloader.batch_size': 2}
    table = run_demo('detection', str(CONFIGS), str(scenes), str(out), options)
    assert (out / 'table.md').read_text() == table + '\n'
    header, _, nearest, sapa_d = table.splitlines()
    assert header == '| upsampler | box AP | mask AP | PQ | parameters | s / iteration |'
    cells = [[cell.strip() for cell in row.strip('|').split('|')] for row in (nearest, sapa_d)]
    assert [row[0] for row in cells] == ['Nearest', 'SAPA-D']
    parameters = [int(row[4].split()[0].replace(',', '')) for row in cells]
    # Three of them: two convs to 4 * 16 channels, one to 4 * 9 * 2 * 4.
    assert parameters[1] - parameters[0] == 3 * (2 * (64 * 64 + 64) + 64 * 288 + 288)
    check_picture(out / 'comparison.png')


@pytest.mark.extended
def test_depth_demo_makes_table_and_picture(tmp_path):
    rooms, out = tmp_path / 'rooms', tmp_path / 'out'
    write_rooms(rooms, num_train=4, num_val=2, size=(128, 128))
    options = {'train_cfg.max_iters': 1, 'train_dataloader.batch_size': 2}
    table = run_demo('depth', str(CONFIGS), str(rooms), str(out), options)
    assert (out / 'table.md').read_text() == table + '\n'
    header, _, bilinear, sapa_d = table.splitlines()
    columns = 'δ < 1.25 | δ < 1.25² | δ < 1.25³ | Abs Rel | Sq Rel | RMS | RMS log | log10'
    assert header == f'| upsampler | {columns} | parameters | s / iteration |'
    cells = [[cell.strip() for cell in row.strip('|').split('|')] for row in (bilinear, sapa_d)]
    assert [row[0] for row in cells] == ['Bilinear', 'SAPA-D']
    d1, d2, d3 = map(float, cells[0][1:4])
    assert 0 < d1 < d2 < d3 <= 1
    # Four steps: two convs to 4 * 16 channels, one to 4 * 4 * 2 * 4, and two GroupNorms.
    parameters = [int(row[9].split()[0].replace(',', '')) for row in cells]
    assert parameters[1] - parameters[0] == sum(
        64 * (guide + 1) + 64 * (x + 1) + 128 * (x + 1) + 2 * (x + guide)
        for x, guide in ((256, 128), (128, 64), (64, 32), (32, 32))
    )
    check_picture(out / 'comparison.png')


@pytest.mark.extended
def test_matting_demo_makes_table_and_picture(tmp_path):
    mattes, out = tmp_path / 'mattes', tmp_path / 'out'
    write_mattes(mattes, num_train=4, num_val=2, size=(128, 128))
    options = {'train_cfg.max_iters': 1, 'train_dataloader.batch_size': 2}
    table = run_demo('matting', str(CONFIGS), str(mattes), str(out), options)
    assert (out / 'table.md').read_text() == table + '\n'
    header, _, bilinear, sapa_d = table.splitlines()
    assert header == '| upsampler | SAD | MSE | Grad | Conn | parameters | s / iteration |'
    cells = [[cell.strip() for cell in row.strip('|').split('|')] for row in (bilinear, sapa_d)]
    assert [row[0] for row in cells] == ['Bilinear', 'SAPA-D']
    assert all(float(cell) > 0 for cell in cells[0][1:5])
    parameters = [int(row[5].split()[0].replace(',', '')) for row in cells]
    # Four steps: two convs to 16 channels, one to 9 * 2, and two GroupNorms.
    assert parameters[1] - parameters[0] == sum(
        2 * 16 * (c + 1) + 18 * (c + 1) + 4 * c for c in (128, 64, 32, 32)
    )
    check_picture(out / 'comparison.png')


def test_format_table():
    cost = dict(peak_memory=0, device='cpu')
    results = {
        'a': TrainingResult(dict(ap=0.125), 1000, 1, **cost),
        'b': TrainingResult({}, 2500, 2, **cost),
    }
    assert format_table(results, [Metric('AP', 'ap', 100)]).splitlines()[2:] == [
        '| a | 12.50 | 1,000 | 1.000 |',
        '| b | 0.00 (-12.50) | 2,500 (+1,500) | 2.000 |',
    ]
