"""The paper as data: every row has a config with the hyper-parameters that the row states."""

import inspect

import pytest

pytest.importorskip('mmengine')

from mmengine.config import Config

from sapa_mm.reproduction.latency import Latency, figure_12, latency_name
from sapa_mm.reproduction.paper_tables import CONFIG_NAMES, PAPER_TABLES, paper_order
from sapa_mm.upsamplers import UPSAMPLERS, build_upsampler
from sapa_mm.utils.configs import upsampled_part

from ..support.configs import CONFIGS

ROWS = {3: 10, 4: 12, 5: 12, 6: 12, 7: 12, 8: 10, 9: 9, 10: 5, 11: 5, 12: 10, 13: 12}
CASES = [(number, row) for number, table in PAPER_TABLES.items() for row in table.rows]
# The number of figures in each table and their sum, compared with the paper's text when written.
SUMS = {
    3: (40, 886.91),
    4: (36, 1059.17),
    5: (84, 3168.6),
    6: (144, 5912.3),
    7: (72, 3092.7),
    8: (50, 823.09),
    9: (81, 123.26),
    10: (5, 211.0),
    11: (5, 215.0),
    12: (10, 412.11),
    13: (24, 787.9),
}


def test_rows():
    assert {number: len(table.rows) for number, table in PAPER_TABLES.items()} == ROWS
    for number, table in PAPER_TABLES.items():
        assert table.number == number
        assert len({row.config for row in table.rows}) == len(table.rows)
        assert len({row.title for row in table.rows}) == len(table.rows)
    assert PAPER_TABLES[4].rows[-1].title == 'SAPA-D, R101'
    assert PAPER_TABLES[11].rows[0].title == 'SAPA-B, B1, embed_dims=16, kernel_size=5'


@pytest.mark.parametrize('number', SUMS)
def test_figures(number):
    figures = [float(f) for row in PAPER_TABLES[number].rows for f in row.figures.values()]
    assert (len(figures), round(sum(figures), 2)) == SUMS[number]


@pytest.mark.parametrize(('number', 'row'), CASES)
def test_config(number, row):
    cfg = Config.fromfile(CONFIGS / row.config)
    _, part = upsampled_part(cfg.model)
    kind = CONFIG_NAMES[row.upsampler].replace('-', '_')
    assert part.upsample_cfg.type == kind
    defaults = {
        name: parameter.default
        for name, parameter in inspect.signature(UPSAMPLERS[kind]).parameters.items()
    }
    options = {**defaults, **part.upsample_cfg}
    assert {name: options[name] for name in row.options} == row.options
    if number >= 10:
        # All else is as in the main tables.
        (main,) = (
            other
            for table in (3, 5)
            for other in PAPER_TABLES[table].rows
            if (other.upsampler, other.backbone) == (row.upsampler, row.backbone)
        )
        theirs = Config.fromfile(CONFIGS / main.config)
        _, other = upsampled_part(theirs.model)
        for name in row.options:
            part.upsample_cfg.pop(name, None)
            other.upsample_cfg.pop(name, None)
        assert cfg.to_dict() == theirs.to_dict()


def test_stated_options():
    """The configs agree with the paper's statements about other upsamplers, besides Table 2."""
    main = [(number, row) for number, row in CASES if number < 10]
    assert {row.upsampler for _, row in main if not row.options} == {'Bilinear', 'Nearest', 'A2U'}
    for number, row in main:
        if row.upsampler == 'FADE':
            assert row.options == dict(up_kernel=5, compressed_channels=64, gate=False)
        if row.upsampler.startswith('SAPA'):
            # Table 2 and section 3.7.
            assert row.options['pre_norm'] == (number in (3, 8, 9))
    # In the main tables, options do not distinguish rows.
    assert all(row.title == f'{row.upsampler}, {row.backbone}' for _, row in main)


def test_what_unguided_is():
    """Table 12: dynamic points with CARAFE's kernels."""
    row = PAPER_TABLES[12].rows[0]
    upsampler = build_upsampler(dict(type='sapa_d', **row.options), 32)
    assert not upsampler.guided
    assert hasattr(upsampler, 'content_encoder')


def test_order_of_the_paper():
    """Upsamplers that are not in Table 3 come before SAPA."""
    titles = ['SAPA-D', 'SAPA-I', 'DySample', 'FADE', 'Bilinear', 'SAPA-B', 'CARAFE']
    assert sorted(titles, key=paper_order) == [
        'Bilinear', 'CARAFE', 'FADE', 'DySample', 'SAPA-I', 'SAPA-B', 'SAPA-D',
    ]  # fmt: skip


def test_figure_12_shows_upsamplers_with_weights_from_features():
    pairs = [(title, {}) for title in CONFIG_NAMES]
    pairs += [(row.upsampler, row.options) for row in PAPER_TABLES[13].rows]
    shown = figure_12({latency_name(*pair): Latency(1.0, 1.0, 1, 1) for pair in pairs})
    peers = ['CARAFE', 'IndexNet', 'A2U', 'FADE', 'DySample']
    sapa = ['SAPA-I', 'SAPA-B', 'SAPA-D, 9 points', 'SAPA-D, 4 points']
    assert [title for title in shown if title in peers + sapa] == peers + sapa
    assert not shown.keys() & {'Nearest', 'Bilinear', 'Deconv', 'PixelShuffle'}
