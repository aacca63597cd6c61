"""Costs of the paper's tables, beside its columns."""

import csv
import io
import json
from pathlib import Path

import pytest

pytest.importorskip('mmseg')
pytest.importorskip('mmdet')

from sapa_mm.analysis.complexity import measure_cost, measure_table
from sapa_mm.analysis.complexity_report import make_report, tabulate
from sapa_mm.analysis.paper_notes import NOTES
from sapa_mm.analysis.paper_tables import PAPER_TABLES, PaperTable

from ..ops.cases import skip_where_not_built

CONFIGS = Path(__file__).parents[2] / 'configs'
ROWS = {3: 10, 4: 12, 5: 12, 6: 12, 7: 12}
# Trainable, all: REFERENCE.md, sections 2 and 3.
MODELS = {
    (3, 'Bilinear, B1'): (13.72, 13.72),
    (4, 'Bilinear, R50'): (66.52, 66.52),
    (4, 'Bilinear, R101'): (85.51, 85.51),
    (5, 'Nearest, R50'): (46.84, 47.06),
    (5, 'Nearest, R101'): (65.83, 66.05),
    (6, 'Nearest, R50'): (49.48, 49.71),
    (6, 'Nearest, R101'): (68.47, 68.70),
    (7, 'Nearest, R50'): (45.80, 46.03),
    (7, 'Nearest, R101'): (64.79, 65.02),
}
INCREMENTS = {
    3: {'SAPA-I': 0.006, 'SAPA-B': 0.105, 'SAPA-D': 0.512, 'CARAFE': 0.445},
    4: {'SAPA-I': 0, 'SAPA-B': 0.098, 'SAPA-D': 0.126, 'CARAFE': 0.272},
    5: {'SAPA-I': 0, 'SAPA-B': 0.066, 'SAPA-D': 0.559, 'CARAFE': 0.297},
    6: {'SAPA-I': 0, 'SAPA-B': 0.066, 'SAPA-D': 0.559, 'CARAFE': 0.297},
    7: {'SAPA-I': 0, 'SAPA-B': 0.049, 'SAPA-D': 0.419, 'CARAFE': 0.222},
}


def test_notes_belong_to_cells():
    for number, upsampler, column in NOTES:
        rows = [row for row in PAPER_TABLES[number].rows if row.upsampler == upsampler]
        assert rows
        assert all(column in row.figures for row in rows)


@pytest.mark.parametrize('number', ROWS)
def test_tables(number):
    skip_where_not_built('compiled')
    rows = measure_table(PAPER_TABLES[number], str(CONFIGS))
    assert len(rows) == ROWS[number]
    for row in rows:
        cost, upsampler = row.cost, row.title.partition(',')[0]
        if (number, row.title) in MODELS:
            trainable, parameters = MODELS[number, row.title]
            assert round(cost.trainable / 1e6, 2) == trainable
            assert round(cost.parameters / 1e6, 2) == parameters
            assert cost.upsamplers == cost.upsamplers_counted == 0
        if upsampler in INCREMENTS[number]:
            assert round(cost.upsamplers / 1e6, 3) == INCREMENTS[number][upsampler]
        for column, cell in row.cells.items():
            # Reproduced to the printed digit, or explained; not both.
            assert cell.agrees is not bool(cell.note), (row.title, column, cell)
    assert {column for row in rows for column in row.cells} == (
        {'Params', 'FLOPs'} if number == 3 else set() if number == 6 else {'Params'}
    )
    if number == 3:
        assert round(rows[0].cost.counted / 1e9, 1) == 15.9
        assert {row.cost.shape for row in rows} == {(512, 512)}
    assert sum(line['note'] != '' for line in tabulate(rows)) == len(
        {upsampler for table, upsampler, _ in NOTES if table == number}
    )


def test_shapes():
    skip_where_not_built('compiled')
    panoptic = (
        CONFIGS / 'panoptic_fpn' / 'panoptic-fpn_r18-small_nearest_1xb8-300_scenes-160x160.py'
    )
    segformer = CONFIGS / 'segformer' / 'segformer_mit-tiny_sapa-b_1xb8-300_scenes-128x128.py'
    assert measure_cost(str(segformer)).shape == (128, 128)
    assert measure_cost(str(panoptic)).shape == (800, 1344)
    small, large = (measure_cost(str(panoptic), shape) for shape in ((60, 90), (64, 192)))
    assert (small.shape, large.shape) == ((64, 96), (64, 192))
    assert large.counted == 2 * small.counted


def test_flops_of_another_shape_are_not_the_papers():
    skip_where_not_built('compiled')
    table = PAPER_TABLES[3]
    short = PaperTable(3, table.title, (table.rows[0], table.rows[7]))
    rows = measure_table(short, str(CONFIGS), (64, 96))
    assert [set(row.cells) for row in rows] == [{'Params'}] * 2
    assert {row.cost.shape for row in rows} == {(64, 96)}


class TestReport:
    @pytest.fixture(scope='class')
    def configs(self):
        skip_where_not_built('compiled')
        folder = CONFIGS / 'segformer'
        return [
            str(folder / f'segformer_mit-tiny_{method}_1xb8-300_scenes-128x128.py')
            for method in ('bilinear', 'sapa-d')
        ]

    def test_json(self, configs):
        report = json.loads(make_report(configs, [1], str(CONFIGS), 'json'))
        table_1, own = report.values()
        assert [row['module'] for row in table_1][-1] == 'SAPA-D'
        assert table_1[-1]['at C=256'] == 364288
        assert own[1]['upsamplers, M'] == 0.064
        assert own[1]['trainable, M'] == pytest.approx(own[0]['trainable, M'] + 0.064)

    def test_csv(self, configs):
        report = make_report(configs, [], str(CONFIGS), 'csv')
        bilinear, sapa_d = csv.DictReader(io.StringIO(report))
        both = csv.DictReader(io.StringIO(make_report(configs, [1], str(CONFIGS), 'csv')))
        rows = list(both)
        assert len(rows) == 8 + 2
        assert (rows[-1]['module'], rows[0]['model']) == ('', '')
        assert rows[-1]['upsamplers, M'] == '0.064'
        assert bilinear['table'] == 'Configs'
        assert sapa_d['upsamplers, M'] == '0.064'

    def test_markdown(self, configs):
        lines = make_report(configs, [1], str(CONFIGS), 'md').splitlines()
        assert lines[0].startswith('## Table 1')
        (sapa_d,) = (line for line in lines if line.startswith('| SAPA-D [1] |'))
        assert '364,288' in sapa_d
        assert any(line.startswith("[1] the paper's steps add up to 36Sdg") for line in lines)
        assert len([line for line in lines if 'segformer_mit-tiny' in line]) == 2
