"""The report: its figures, ranks and differences, in both formats."""

import math
import re
import shutil
from dataclasses import replace
from html.parser import HTMLParser

import pytest

pytest.importorskip('mmdet')
pytest.importorskip('mmseg')

from sapa_mm.reproduction import latency
from sapa_mm.reproduction.latency import Latency, latency_name, measure_latency, read_latencies
from sapa_mm.reproduction.paper_tables import PAPER_TABLES, PaperTable
from sapa_mm.reproduction.report import (
    is_metric,
    lower_is_better,
    make_report_table,
    mean_over_seeds,
)
from sapa_mm.reproduction.report_formats import write_report
from sapa_mm.reproduction.report_plots import _gains
from sapa_mm.reproduction.run_files import Progress, RunFiles
from sapa_mm.reproduction.table_runs import list_tables, row_dir
from sapa_mm.reproduction.training_result import TrainingResult

from ..support.configs import CONFIGS


def result(seconds=0.5, **metrics):
    return TrainingResult(metrics, 1000, seconds, 10**8, 'a CPU, 1 thread')


def part(number, *rows):
    """A table of some rows of the paper's."""
    table = PAPER_TABLES[number]
    chosen = tuple(table.rows[index] for index in rows)
    return PaperTable(number, table.title, chosen, table.counts_frozen)


def keep(out, row, seed, done):
    RunFiles(f'{row_dir(str(out), row)}/seed-{seed}').write_result(done)


def cells_of(markdown):
    lines = markdown.partition('## Figure')[0].splitlines()
    rows = [line.strip('|') for line in lines if line.startswith('| ')]
    table = [[cell.strip() for cell in re.split(r'(?<!\\)\|', row)] for row in rows]
    return {row[0]: dict(zip(table[0], row, strict=True)) for row in table[1:]}


def test_metrics_of_every_column():
    names = {
        'mIoU': 'mIoU',
        'AP': 'coco/bbox_mAP',
        'APs': 'coco/bbox_mAP_s',
        'box AP75': 'coco/bbox_mAP_75',
        'mask APl': 'coco/segm_mAP_l',
        'PQ th': 'coco_panoptic/PQ_th',
        'RQ': 'coco_panoptic/RQ',
        'δ < 1.25²': 'd2',
        'RMS log': 'rmse_log',
        'SAD': 'SAD',
    }
    for column, name in names.items():
        factor = 100 if 'coco/' in name else 1
        one = mean_over_seeds(column, [result(**{name: 0.25}), result(**{name: 0.75})])
        assert (one.mean, one.runs) == (0.5 * factor, 2)
        assert one.std == pytest.approx(factor * 0.5 / 2**0.5)
    assert mean_over_seeds('AP', [result()]).mean == 0  # nothing was detected
    assert (
        mean_over_seeds('APl', [result(**{'coco/bbox_mAP_l': -1})]) is None
    )  # there is nothing large
    assert mean_over_seeds('mIoU', []) is None
    # Average precision is the only metric that mmdet leaves out where it is 0.
    for column in ('mIoU', 'bIoU', 'PQ', 'PQ th'):
        assert mean_over_seeds(column, [result()]) is None
    assert mean_over_seeds('bIoU', [result(), result(bIoU=2.0)]).runs == 1


def test_which_metrics_are_better_when_lower():
    columns = {
        name
        for table in PAPER_TABLES.values()
        for row in table.rows
        for name in row.figures
        if is_metric(name)
    }
    lower = {name for name in columns if lower_is_better(name)}
    depth, matting = (
        {'Abs Rel', 'Sq Rel', 'RMS', 'RMS log', 'log10'},
        {'SAD', 'MSE', 'Grad', 'Conn'},
    )
    assert lower == depth | matting
    assert {'δ < 1.25', 'mIoU', 'bIoU', 'AP', 'box AP75', 'PQ st', 'SQ', 'RQ'} < columns - lower


def test_metrics_of_which_lower_is_better(tmp_path, monkeypatch):
    monkeypatch.setattr('sapa_mm.reproduction.report.measure_table', None)
    table = part(9, 0, 3, 8)
    bilinear, carafe, sapa_d = table.rows
    keep(tmp_path, bilinear, 0, result(d1=0.8601, abs_rel=0.13, rmse=0.41))
    keep(tmp_path, carafe, 0, result(d1=0.872, abs_rel=0.1151))
    keep(tmp_path, carafe, 1, result(d1=0.874, abs_rel=0.1149))
    keep(tmp_path, sapa_d, 0, result(d1=0.87, abs_rel=0.12))
    text, _ = write_report([table], str(CONFIGS), str(tmp_path))
    rows = cells_of(text)
    first, second, third = rows.values()
    assert [first[f'δ < 1.25: {name}'] for name in ('paper', 'measured', 'difference')] == [
        '0.873', '0.860', '-0.013',
    ]  # fmt: skip
    assert [second[f'δ < 1.25: {name}'] for name in ('paper', 'measured', 'difference')] == [
        '<ins>0.877</ins>', '**0.873 ± 0.001**', '-0.004',
    ]  # fmt: skip
    assert [third[f'Abs Rel ↓: {name}'] for name in ('paper', 'measured', 'difference')] == [
        '**0.116**', '<ins>0.120</ins>', '+0.004',
    ]  # fmt: skip
    assert second['Abs Rel ↓: paper'] == '**0.116**'
    assert second['Abs Rel ↓: measured'] == '**0.115 ± 0.000**'
    assert first['Abs Rel ↓: paper'] == '<ins>0.120</ins>'
    assert first['RMS ↓: difference'] == '+0.008'
    assert second['RMS ↓: measured'] == ''
    # In the plot, what is better is on the right.
    report = make_report_table(table, str(CONFIGS), str(tmp_path))
    _, gains = _gains(report, 'Abs Rel')
    assert [paper for _, paper, _ in gains] == pytest.approx([0, 0.004, 0.004])
    assert [ours.mean for *_, ours in gains] == pytest.approx([0, 0.015, 0.01])
    _, gains = _gains(report, 'δ < 1.25')
    assert [ours.mean for *_, ours in gains] == pytest.approx([0, 0.0129, 0.0099])
    page = (tmp_path / 'report.html').read_text()
    assert 'Abs Rel ↓' in page


def test_best_validations(tmp_path, monkeypatch):
    """Matting has them by SAD, the other metrics are those of the same validation."""
    monkeypatch.setattr('sapa_mm.reproduction.report.measure_table', None)
    table = replace(PAPER_TABLES[8], rows=PAPER_TABLES[8].rows[:3])
    bilinear, deconv, pixel_shuffle = table.rows
    keep(tmp_path, bilinear, 0, result(SAD=35.0, MSE=0.009, Grad=17.0, Conn=30.0))
    files = RunFiles(f'{row_dir(str(tmp_path), bilinear)}/seed-0')
    files.write_validations(
        {
            6000: dict(SAD=math.nan, MSE=0.001, Grad=1.0, Conn=1.0),
            12000: dict(SAD=34.0, MSE=0.0095, Grad=18.0, Conn=30.5),
            18000: dict(SAD=35.0, MSE=0.009, Grad=17.0, Conn=30.0),
        }
    )
    keep(tmp_path, deconv, 0, result(SAD=39.0))
    keep(tmp_path, pixel_shuffle, 0, result(SAD=math.nan))
    text, _ = write_report([table], str(CONFIGS), str(tmp_path))
    first, second, third = cells_of(text).values()
    names = ['paper', 'measured, best', 'difference', 'measured, last']
    assert [first[f'SAD ↓: {n}'] for n in names] == ['<ins>34.22</ins>', '34.00', '-0.22', '35.00']
    assert [first[f'Grad ↓: {n}'] for n in names[1:]] == ['18.00', '+0.50', '17.00']
    assert first['MSE ↓: measured, best'] == '0.0095'
    assert first['runs'] == 'seed 0: finished, best of 3'
    assert [second[f'SAD ↓: {n}'] for n in names[1:]] == ['39.00', '+0.92', '39.00']
    assert (second['runs'], second['Conn ↓: measured, best']) == ('seed 0: finished, best of 1', '')
    assert third['SAD ↓: measured, best'] == 'nan'
    assert "'best' is that of ours by SAD, from which the difference is taken, 'last' the" in text
    others, _ = write_report([part(9, 0)], str(CONFIGS), str(tmp_path))
    assert 'best of' not in others


def test_table_in_both_forms(tmp_path):
    table = part(3, 0, 3, 8, 9)
    bilinear, carafe, sapa_b, sapa_d = table.rows
    for seed, miou in enumerate((40.0, 42.0, 41.0)):
        keep(tmp_path, bilinear, seed, result(mIoU=miou, bIoU=20))
    keep(tmp_path, carafe, 0, result(mIoU=42, bIoU=30.004))
    keep(tmp_path, sapa_d, 0, result(mIoU=45, bIoU=25))
    RunFiles(f'{row_dir(str(tmp_path), sapa_b)}/seed-0').write_failure('Oh|no <b>')
    text, files = write_report([table], str(CONFIGS), str(tmp_path))

    rows = cells_of(text)
    first = rows['Bilinear, B1']
    assert first['mIoU: paper'] == '42.11'
    assert first['mIoU: measured'] == '41.00 ± 1.00'
    assert first['mIoU: difference'] == '-1.11'
    assert first['Params, M: computed'] == '13.72'
    assert first['runs'] == 'seed 0: finished, seed 1: finished, seed 2: finished'
    assert rows['SAPA-D, B1']['mIoU: paper'] == '**44.68**'
    assert rows['SAPA-D, B1']['mIoU: measured'] == '**45.00**'
    assert rows['SAPA-D, B1']['bIoU: measured'] == '<ins>25.00</ins>'
    assert rows['CARAFE, B1']['bIoU: measured'] == '**30.00**'
    assert rows['SAPA-B, B1']['mIoU: paper'] == '<ins>43.20</ins>'
    assert rows['SAPA-B, B1']['mIoU: measured'] == ''
    assert rows['SAPA-B, B1']['Params, M: paper'] == '+0.2'
    assert re.fullmatch(r'\+0\.10 \[\d\]', rows['SAPA-B, B1']['Params, M: computed'])
    assert rows['SAPA-B, B1']['FLOPs, G: computed'].startswith('+1.02 [')
    assert '| seed 0: failed: Oh\\|no &lt;b> |' in text
    assert '3 of 4 rows have finished runs, of up to 3 seeds' in text
    assert "the paper's figure is for d=64" in text
    assert 'generated data' not in text

    page = (tmp_path / 'report.html').read_text()
    assert files == [str(tmp_path / 'report.md'), str(tmp_path / 'report.html')]
    parser = TagCounter()
    parser.feed(page)
    parser.close()
    assert parser.open == []
    assert parser.counts['svg'] == 1  # no run has a log, so there is no plot of losses
    # Two lines of titles and four rows, all of the same width.
    assert parser.counts['tr'] == 6
    assert 'failed: Oh|no &lt;b&gt;' in page
    assert '<b>45.00</b>' in page
    # Nothing is fetched.
    assert not re.search(r'(?:src|href)="(?!#)', re.sub(r'xlink:href="#', '', page))
    assert '<script' not in page


class TagCounter(HTMLParser):
    """Counts tags and keeps those that were not closed."""

    VOID = ('meta', 'link', 'br', 'path', 'use')

    def __init__(self):
        super().__init__()
        self.counts, self.open = {}, []

    def handle_starttag(self, tag, attrs):
        self.counts[tag] = self.counts.get(tag, 0) + 1
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.counts[tag] = self.counts.get(tag, 0) + 1

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open.pop() == tag


def test_a_broken_config_leaves_the_rest_of_the_report(tmp_path):
    table = part(10, 0, 1, 2)
    for row, miou in zip(table.rows, (40.0, 43.0, 41.0), strict=True):
        keep(tmp_path, row, 0, result(mIoU=miou))
    broken = tmp_path / 'configs' / table.rows[2].config
    shutil.copytree(CONFIGS, tmp_path / 'configs')
    broken.write_text('model = oh')
    text, _ = write_report([table], str(tmp_path / 'configs'), str(tmp_path))
    assert cells_of(text)[table.rows[1].title]['mIoU: measured'] == '**43.0**'
    assert f'not computed: {table.rows[2].title}: config: {broken} cannot be read: Name' in text
    columns = 'Params, M: computed', 'FLOPs, G: computed'
    assert [all(row[column] for column in columns) for row in cells_of(text).values()] == [
        True,
        True,
        False,
    ]


@pytest.mark.parametrize('error', [KeyError('model'), TypeError(), AssertionError('oh')])
def test_costs_that_cannot_be_computed(tmp_path, monkeypatch, error):
    def measure_table(*_):
        raise error

    monkeypatch.setattr('sapa_mm.reproduction.report.measure_table', measure_table)
    table = part(3, 0, 1)
    text, _ = write_report([table], str(CONFIGS), str(tmp_path))
    assert f'{table.rows[1].title}: {type(error).__name__}' in text


@pytest.mark.parametrize(
    ('values', 'marked'),
    [
        ((42.0, 42.0, 42.0), '111'),
        ((42.0, 42.0, 41.0, 40.0), '1120'),
        ((42.0, 41.0, 41.0), '122'),
        ((40.0, float('nan'), 42.0, 41.0), '0012'),
        ((40.0, float('nan'), 42.0), '000'),
        ((40.0, 41.0), '00'),
    ],
)
def test_ties_and_nan(tmp_path, monkeypatch, values, marked):
    monkeypatch.setattr('sapa_mm.reproduction.report.measure_table', None)
    table = part(3, *range(len(values)))
    for row, value in zip(table.rows, values, strict=True):
        keep(tmp_path, row, 0, result(mIoU=value))
        keep(tmp_path, row, 1, result(mIoU=value))
    text, _ = write_report([table], str(CONFIGS), str(tmp_path))
    cells = [row['mIoU: measured'] for row in cells_of(text).values()]
    ranks = ''.join('1' if '**' in cell else '2' if '<ins>' in cell else '0' for cell in cells)
    assert ranks == marked


def test_folder_that_cannot_be_written_to(tmp_path, monkeypatch):
    (tmp_path / 'file').write_text('')
    monkeypatch.setattr('sapa_mm.reproduction.report_formats.make_report_table', None)
    with pytest.raises(OSError, match='out: .*/file is not a folder, .*/file cannot be written'):
        write_report([part(3, 0)], str(CONFIGS), str(tmp_path / 'file'))


def test_models_of_two_kinds_in_one_table(tmp_path):
    table = part(12, 2, 3)
    segformer, faster_rcnn = table.rows
    keep(tmp_path, segformer, 0, result(mIoU=44.0))
    RunFiles(f'{row_dir(str(tmp_path), segformer)}/seed-0').claim('a = 1\nis_small=True\n')
    keep(tmp_path, faster_rcnn, 0, result(**{'coco/bbox_mAP': 0.391}))
    text, _ = write_report([table], str(CONFIGS), str(tmp_path))
    rows = cells_of(text)
    assert [row['mIoU: measured'] for row in rows.values()] == ['44.00', '']
    assert [row['AP: measured'] for row in rows.values()] == ['', '39.1']
    assert 'small models on generated data' in text


def test_latency_is_a_ratio_and_names_its_device(tmp_path, monkeypatch):
    table = part(13, 2, 10)
    device = 'some CPU, 1 thread'
    monkeypatch.setattr(latency, 'describe_device', lambda kind: device)
    small, said = dict(channels=32, side=6, repeats=3, budget=0.1), []
    ours = measure_latency(str(tmp_path), 'cpu', **small, on_progress=said.append)
    assert said[0] == f'1 of {len(ours)}: warming up CARAFE, up_kernel=5, up_group=1'
    assert said[-1].startswith('timing all in turns')
    sapa_d, carafe = (latency_name(row.upsampler, row.options) for row in table.rows)
    assert ours[carafe].ratio == 1
    assert ours[sapa_d].ratio == ours[sapa_d].seconds / ours[carafe].seconds > 0
    assert ours[sapa_d].parameters == 2 * (32 * 128 + 128) + 32 * 288 + 288
    others = {latency_name(row.upsampler, row.options) for row in PAPER_TABLES[13].rows}
    assert others < set(ours)
    assert read_latencies(str(tmp_path)) == {device: ours}

    text, _ = write_report([table], str(CONFIGS), str(tmp_path))
    row = cells_of(text)['SAPA-D, R50, num_points=9, groups=4']
    where = 'latency on the NVIDIA GeForce RTX 3090 (paper)'
    assert (row[f'{where}: ms'], row[f'{where}: ratio to CARAFE']) == ('25.6', '2.23')
    where = f'latency on the {device} (measured)'
    assert row[f'{where}: ratio to CARAFE'] == f'{ours[sapa_d].ratio:.2f}'
    assert f'forward, on: {device}' in text
    page = (tmp_path / 'report.html').read_text()
    assert f'measured on: {device}' in page

    # Another device has columns of its own.
    monkeypatch.setattr(latency, 'describe_device', lambda kind: 'another')
    latency._save(str(tmp_path), 'another', {carafe: Latency(1.0, 1.0, 5, 7)})
    assert list(read_latencies(str(tmp_path))) == [device, 'another']


def test_list(tmp_path):
    table = PAPER_TABLES[4]
    keep(tmp_path, table.rows[1], 7, result(mIoU=1))
    RunFiles(f'{row_dir(str(tmp_path), table.rows[2])}/seed-0').write_progress(
        Progress(1500, 80_000, 7.0)
    )
    lines = list_tables([table], str(tmp_path)).splitlines()
    assert lines[0] == 'Table 4: Semantic segmentation with UPerNet on ADE20K'
    assert lines[2].split() == [
        *('2', 'Deconv,', 'R50', 'upernet/upernet_r50_deconv_8xb2-80k_ade20k-512x512.py')
    ]
    assert lines[3].strip() == 'seed 7: finished'
    assert lines[5].strip() == 'seed 0: stopped at iteration 1,500 of 80,000'
    assert lines[-1].endswith('upernet_r101_sapa-d_8xb2-80k_ade20k-512x512.py')


def test_markup_in_what_runs_recorded(tmp_path):
    table = part(4, 0)
    device = '<script>d</script>\n# |e|\x1b[2J$\\frac{$'
    run = RunFiles(f'{row_dir(str(tmp_path), table.rows[0])}/seed-0')
    run.write_result(TrainingResult({'mIoU': 40.0}, 1, 0.5, 1, device))
    failed = RunFiles(f'{row_dir(str(tmp_path), table.rows[0])}/seed-1')
    failed.write_failure('<script>f</script>\x1b[2J')
    carafe = latency_name('CARAFE', dict(up_kernel=5, up_group=1))
    latency._save(str(tmp_path), device, {carafe: Latency(1.0, 1.0, 5, 7)})
    text, _ = write_report([table], str(CONFIGS), str(tmp_path))
    page = (tmp_path / 'report.html').read_text()
    assert '<script' not in text + page
    assert '\x1b' not in text + list_tables([table], str(tmp_path))
    assert r'&lt;script>d&lt;/script> # \|e\|\x1b[2J$' in text


@pytest.mark.parametrize('text', ['{', '[]', '{"metrics": {}}', '{"a": 1}', '[' * 10**5])
def test_a_result_that_is_none(tmp_path, text):
    row = PAPER_TABLES[4].rows[0]
    files = RunFiles(f'{row_dir(str(tmp_path), row)}/seed-0')
    for name in ('result.json', 'progress.json'):
        (tmp_path / files.path(name)).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / files.path(name)).write_text(text)
        with pytest.raises(ValueError, match=rf'^out: .*{name} (is not a complete|must have)'):
            list_tables([PAPER_TABLES[4]], str(tmp_path))
        (tmp_path / files.path(name)).unlink()


@pytest.mark.parametrize('text', ['{', '[]', '{"a": 1}', '{"a": {"b": {"c": 1}}}'])
def test_latencies_that_are_none(tmp_path, text):
    (tmp_path / latency.LATENCY_FILE).write_text(text)
    with pytest.raises(ValueError, match=r'^out: .*latency.json is (not a complete|not a file of)'):
        read_latencies(str(tmp_path))
