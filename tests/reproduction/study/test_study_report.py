"""The report of the study: its tables, pictures, and the page that carries them."""

import json

import numpy as np
import pytest

pytest.importorskip('mmseg')

from matplotlib.image import imread

from sapa_mm.reproduction.study.studies import STUDIES
from sapa_mm.reproduction.study.study_costs import time_study
from sapa_mm.reproduction.study.study_report import fill_in, make_tables, summarize, write_study
from sapa_mm.reproduction.study.study_results import read_results

from ...support.configs import CONFIGS


def cells(line):
    return [cell.strip() for cell in line.strip('|').split('|')]


@pytest.fixture
def tables(small_study, results):
    return make_tables(small_study, read_results([str(results)], small_study, str(CONFIGS)))


def test_results_and_costs(small_study, results, tables):
    bilinear, sapa_d = read_results([str(results)], small_study, str(CONFIGS)).results.values()
    header, _, *rows, _, note = tables['small results'].splitlines()
    assert cells(header)[:5] == ['upsampler', 'seeds', 'mIoU', 'bIoU', 'parameters']
    for row, runs in zip(rows, (bilinear, sapa_d), strict=True):
        mious = [run.test.mean('IoU') for run in runs.values()]
        assert cells(row)[1] == '2'
        assert cells(row)[2] == f'{np.mean(mious):.2f} ± {np.std(mious, ddof=1):.2f}'
        assert cells(row)[4] == f'{runs[0].training.parameters:,}'
    seconds = [runs[0].training.seconds_per_iteration for runs in (bilinear, sapa_d)]
    assert cells(rows[1])[5:7] == [f'{seconds[1]:.3f}', f'{seconds[1] / seconds[0]:.2f}']
    assert cells(rows[1])[-1] == f'{seconds[1] * 8 / 3600:.2f}'
    assert note.startswith('8 iterations, on: ')
    assert 'medians of the runs, beside other work' in note


def test_quiet_times(small_study, results, settings_in):
    """Of all rows, measured in turns, they take the place of those of the runs."""
    time_study([small_study], settings_in(results), repeats=3)
    costs = json.loads((results / 'small/costs.json').read_text())
    steps = costs['steps']
    assert list(steps) == ['Bilinear', 'SAPA-D', 'SAPA-D, four points']
    table = make_tables(small_study, read_results([str(results)], small_study, str(CONFIGS)))[
        'small results'
    ]
    _, _, *rows, _, note = table.splitlines()
    for row, title in zip(rows, ('Bilinear', 'SAPA-D'), strict=True):
        seconds = steps[title]['seconds']
        ratio = seconds / steps['Bilinear']['seconds']
        assert cells(row)[5:7] == [f'{seconds:.3f}', f'{ratio:.2f}']
    assert f'in turns, one thread of {costs["device"]}, load average' in note


def test_differences(small_study, results, tables):
    bilinear, sapa_d = read_results([str(results)], small_study, str(CONFIGS)).results.values()
    _, _, miou, biou = tables['small differences'].splitlines()
    for line, measure in ((miou, 'IoU'), (biou, 'bIoU')):
        gains = [sapa_d[s].test.mean(measure) - bilinear[s].test.mean(measure) for s in (0, 1)]
        assert cells(line)[0] == 'SAPA-D - Bilinear'
        assert cells(line)[2] == f'{np.mean(gains):+.2f}'


def test_classes_and_curves(small_study, results, tables):
    bilinear, sapa_d = read_results([str(results)], small_study, str(CONFIGS)).results.values()
    header, _, disk, *_ = tables['small classes'].splitlines()
    assert cells(header) == ['bIoU of', 'Bilinear', 'SAPA-D']
    values = [
        np.mean([r.test.ious('bIoU')[0] for r in runs.values()]) for runs in (bilinear, sapa_d)
    ]
    assert cells(disk) == ['disk', *(f'{value:.2f}' for value in values)]
    *_, last = tables['small curves'].splitlines()
    curve = [np.mean([r.validations[at]['bIoU'] for r in sapa_d.values()]) for at in (2, 4, 6, 8)]
    assert cells(last) == ['SAPA-D', 'bIoU', *(f'{value:.2f}' for value in curve)]
    # One sequence is the whole.
    assert 'small sequences' not in tables


def test_summary(small_study, results):
    record = read_results([str(results)], small_study, str(CONFIGS))
    header, _, *rows = summarize({small_study: record}).splitlines()
    assert cells(header) == [
        'upsampler',
        'small: mIoU',
        'small: bIoU',
        'time of a step',
    ]
    table = make_tables(small_study, record)['small results'].splitlines()[2:4]
    for ours, theirs in zip(map(cells, rows), map(cells, table), strict=True):
        assert ours == [theirs[0], *theirs[2:4], theirs[6]]


def test_written(small_study, results, tmp_path):
    page = tmp_path / 'docs/study.md'
    page.parent.mkdir()
    page.write_text('Before\n<!-- study: small results -->\nold\n<!-- end -->\nAfter\n')
    folders = [str(results), str(tmp_path)]
    text, files = write_study([small_study], folders, str(CONFIGS), [str(page)])
    assert files == [
        str(results / 'report.md'),
        str(page),
        *(str(page.parent / f'images/study_{name}.png') for name in ('cost', 'predictions')),
    ]
    assert (results / 'report.md').read_text() == text + '\n'
    tables = make_tables(small_study, read_results(folders, small_study, str(CONFIGS)))
    table = tables['small results']
    assert page.read_text() == (
        f'Before\n<!-- study: small results -->\n{table}\n<!-- end -->\nAfter\n'
    )
    assert all(table in text for table in tables.values())
    for picture in files[2:]:
        pixels = imread(picture)[..., :3]
        assert pixels.std() > 0.05
    # The same files give the same report, to the digit.
    assert write_study([small_study], folders, str(CONFIGS))[0] == text


@pytest.mark.parametrize('page', ['README.md', 'docs/study.md'])
def test_the_committed_results_give_the_committed_tables(page):
    """To the digit; `reproduce.py study report` fills them in."""
    root = CONFIGS.parent
    folders = [str(root / 'benchmarks/study')]
    records = {study: read_results(folders, study, str(CONFIGS)) for study in STUDIES.values()}
    records = {study: record for study, record in records.items() if record.results}
    assert {'scenes', 'camvid'} <= {study.name for study in records}
    tables = {'summary': summarize(records)}
    for study, record in records.items():
        tables |= make_tables(study, record)
    text = (root / page).read_text()
    assert fill_in(text, tables) == text
    assert '| Bilinear | ' in text


def test_fill_in_leaves_nothing_old():
    page = '<!-- study: a -->\n1\n<!-- end -->\nkept\n<!-- study: b -->\n2\n<!-- end -->\n'
    filled = fill_in(page, {'b': r'\1', 'c': 'x'})
    assert filled == page.replace('1\n', '').replace('2', r'\1')


@pytest.mark.parametrize('text', ['{"device": "x"}', '[]', '{"steps": {"Bilinear": {}}}'])
def test_damaged_costs(small_study, results, text):
    (results / 'small/costs.json').write_text(text)
    with pytest.raises(ValueError, match='^out: .*costs.json has no times of steps: '):
        read_results([str(results)], small_study, str(CONFIGS))


def test_bad_input(small_study, results, tmp_path):
    with pytest.raises(FileNotFoundError, match='^out: .*none is not a folder'):
        write_study([small_study], [str(results), str(tmp_path / 'none')], str(CONFIGS))
    with pytest.raises(ValueError, match='^out: there are no results in '):
        write_study([small_study], [str(tmp_path)], str(CONFIGS))
    (tmp_path / 'page.md').write_text('# A page\n')
    with pytest.raises(ValueError, match='^pages: .*page.md has no place for a table'):
        write_study([small_study], [str(results)], str(CONFIGS), [str(tmp_path / 'page.md')])
    with pytest.raises(FileNotFoundError, match='^pages: .*none.md is not a file'):
        write_study([small_study], [str(results)], str(CONFIGS), [str(tmp_path / 'none.md')])
