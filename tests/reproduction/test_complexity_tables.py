"""Costs of the paper's tables, beside its own figures."""

import csv
import io
import json

import pytest

pytest.importorskip('mmseg')
pytest.importorskip('mmdet')

from sapa_mm.reproduction import complexity_tables
from sapa_mm.reproduction.complexity_tables import make_report, measure_table, tabulate
from sapa_mm.reproduction.paper_tables import COST_NOTES, PAPER_TABLES, PaperTable

from ..support.configs import CONFIGS

ROWS = {3: 10, 4: 12, 5: 12, 6: 12, 7: 12, 8: 10, 9: 9}
# Trainable, all: docs/reference.md, "Where the upsamplers go" and "Parameter columns".
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
    (8, 'Bilinear, R34'): (8.05, 8.05),
    (9, 'Bilinear, Swin-T'): (47.61, 47.61),
}
INCREMENTS = {
    3: {
        **{'Deconv': 3.540, 'PixelShuffle': 14.162, 'CARAFE': 0.445, 'IndexNet': 12.601},
        **{'A2U': 0.065, 'FADE': 0.284, 'SAPA-I': 0.006, 'SAPA-B': 0.105, 'SAPA-D': 0.512},
    },
    4: {
        **{'Deconv': 7.079, 'PixelShuffle': 28.318, 'CARAFE': 0.272, 'IndexNet': 25.184},
        **{'A2U': 0.065, 'FADE': 0.240, 'SAPA-I': 0, 'SAPA-B': 0.098, 'SAPA-D': 0.126},
    },
    5: {
        **{'Deconv': 2.360, 'PixelShuffle': 9.441, 'CARAFE': 0.297, 'IndexNet': 8.401},
        **{'A2U': 0.043, 'FADE': 0.189, 'SAPA-I': 0, 'SAPA-B': 0.066, 'SAPA-D': 0.559},
    },
    7: {
        **{'Deconv': 1.770, 'PixelShuffle': 7.081, 'CARAFE': 0.222, 'IndexNet': 6.301},
        **{'A2U': 0.032, 'FADE': 0.142, 'SAPA-I': 0, 'SAPA-B': 0.049, 'SAPA-D': 0.419},
    },
    8: {
        **{'Deconv': 0.812, 'PixelShuffle': 3.246, 'CARAFE': 0.264, 'IndexNet': 12.263},
        **{'A2U': 0.022, 'FADE': 0.123, 'SAPA-I': 0.002, 'SAPA-B': 0.035, 'SAPA-D': 0.044},
    },
    9: {
        **{'Deconv': 7.052, 'PixelShuffle': 28.207, 'CARAFE': 0.323, 'IndexNet': 6.333},
        **{'A2U': 0.031, 'FADE': 0.197, 'SAPA-B': 0.074, 'SAPA-D': 0.700},
    },
}
# Identical, as the caption says.
INCREMENTS[6] = INCREMENTS[5]
# Where the counter differs from the formulas.
COUNTED_OTHERWISE = {'Deconv', 'IndexNet', 'A2U', 'SAPA-D'}


def test_notes_belong_to_cells():
    for number, upsampler, column in COST_NOTES:
        rows = [row for row in PAPER_TABLES[number].rows if row.upsampler == upsampler]
        assert rows
        columns = PAPER_TABLES[PAPER_TABLES[number].increments_of or number].rows[0].figures
        assert column in columns


@pytest.mark.parametrize(
    'number', [3, 5, *(pytest.param(n, marks=pytest.mark.extended) for n in (4, 6, 7, 8, 9))]
)
def test_tables(number):
    rows = measure_table(PAPER_TABLES[number], str(CONFIGS))
    assert len(rows) == ROWS[number]
    for row in rows:
        cost, upsampler = row.cost, row.title.partition(',')[0]
        if (number, row.title) in MODELS:
            trainable, parameters = MODELS[number, row.title]
            assert round(cost.trainable / 1e6, 2) == trainable
            assert round(cost.parameters / 1e6, 2) == parameters
            assert cost.upsamplers == cost.flops.upsamplers == 0
        assert round(cost.upsamplers / 1e6, 3) == INCREMENTS[number].get(upsampler, 0)
        assert (cost.flops.upsamplers != cost.flops.upsamplers_by_formula) == bool(cost.flops.note)
        assert bool(cost.flops.note) == (upsampler in COUNTED_OTHERWISE)
        for column, cell in row.cells.items():
            # Either reproduced to the printed digit or explained.
            assert cell.agrees is not bool(cell.note), (row.title, column, cell)
    assert {column for row in rows for column in row.cells} == (
        {'Params', 'FLOPs'} if number == 3 else {'Params'}
    )
    if number == 3:
        assert round(rows[0].cost.flops.counted / 1e9, 1) == 15.9
        assert {row.cost.shape for row in rows} == {(512, 512)}
    noted = {upsampler for table, upsampler, _ in COST_NOTES if table == number} | COUNTED_OTHERWISE
    assert {line['model'].partition(',')[0] for line in tabulate(rows) if line['note']} == noted
    if number == 3:
        (sapa_b,) = (line for line in tabulate(rows) if line['model'] == 'SAPA-B, B1')
        assert sapa_b['note'].startswith("Params, FLOPs: the paper's figure is for d=64")
        assert sapa_b['note'].count('d=64') == 1
        (deconv,) = (line for line in tabulate(rows) if line['model'] == 'Deconv, B1')
        assert deconv['note'].startswith("counted: the paper's figure has k²s²C²")
        assert (deconv['upsamplers, G'], deconv['by formula, G']) == (8.607, 34.427)
    if number == 6:
        # The base has no increment.
        assert [row.title for row in rows if not row.cells] == ['Nearest, R50', 'Nearest, R101']


def test_flops_of_another_shape_are_not_the_papers():
    table = PAPER_TABLES[3]
    short = PaperTable(3, table.title, (table.rows[0], table.rows[7]))
    rows = measure_table(short, str(CONFIGS), (64, 96))
    assert [set(row.cells) for row in rows] == [{'Params'}] * 2
    assert {row.cost.shape for row in rows} == {(64, 96)}


class TestReport:
    @pytest.fixture(scope='class')
    def configs(self):
        folder = CONFIGS / 'segformer'
        return [
            str(folder / f'segformer_mit-tiny_{method}_1xb8-300_scenes-128x128.py')
            for method in ('bilinear', 'sapa-d')
        ]

    def test_json(self, configs):
        text, problems = make_report(configs, [1], str(CONFIGS), 'json')
        table_1, own = json.loads(text).values()
        assert problems == []
        assert [row['module'] for row in table_1][-1] == 'SAPA-D'
        assert table_1[-1]['at C=256'] == 364288
        assert own[1]['upsamplers, M'] == 0.064
        assert own[1]['trainable, M'] == pytest.approx(own[0]['trainable, M'] + 0.064)

    def test_csv(self, configs):
        report, _ = make_report(configs, [], str(CONFIGS), 'csv')
        bilinear, sapa_d = csv.DictReader(io.StringIO(report))
        report, _ = make_report(configs, [1], str(CONFIGS), 'csv')
        both = csv.DictReader(io.StringIO(report))
        rows = list(both)
        assert len(rows) == 8 + 2
        assert (rows[-1]['module'], rows[0]['model']) == ('', '')
        assert rows[-1]['upsamplers, M'] == '0.064'
        assert bilinear['table'] == 'Configs'
        assert sapa_d['upsamplers, M'] == '0.064'

    def test_markdown(self, configs):
        report, _ = make_report(configs, [1], str(CONFIGS), 'md')
        lines = report.splitlines()
        assert lines[0].startswith('## Table 1')
        (sapa_d,) = (line for line in lines if line.startswith('| SAPA-D [3] |'))
        assert '364,288' in sapa_d
        for number, start in (
            (1, 'the product with the index map, 4C'),
            (2, 'C + 4K²'),
            (3, 'the formula has 8 for a bilinear sample'),
        ):
            assert any(line.startswith(f'[{number}] {start}') for line in lines)
        assert len([line for line in lines if 'segformer_mit-tiny' in line]) == 2

    def test_headings(self, configs, monkeypatch):
        monkeypatch.setattr(complexity_tables, 'measure_table', lambda *_: [])
        monkeypatch.setattr(complexity_tables, 'tabulate', lambda rows: [{'note': ''}])
        report, _ = make_report([], [3, 6], '', 'json')
        of_segformer, of_mask_rcnn = json.loads(report)
        assert 'G is 10⁹ multiply-adds; the difference in FLOPs is by formula' in of_segformer
        assert "G is 10⁹ multiply-adds; the paper's increments of Params are those of Table 5" in (
            of_mask_rcnn
        )

    def test_one_that_fails_leaves_the_others(self, configs):
        expected, _ = make_report(configs[:1], [], str(CONFIGS))
        report, problems = make_report([configs[0], '/no.py'], [3], '/nowhere')
        assert report == expected
        assert [problem.split(' is not a file')[0] for problem in problems] == [
            f'config: /nowhere/{PAPER_TABLES[3].rows[0].config}',
            'config: /no.py',
        ]
        assert make_report(['/no.py'], [], '')[0] == ''
