"""The runs of the tables."""

from collections import Counter

import pytest

pytest.importorskip('mmdet')
pytest.importorskip('mmseg')

from sapa_mm.reproduction.paper_tables import PAPER_TABLES
from sapa_mm.reproduction.table_runs import (
    Scenes,
    TableSettings,
    list_runs,
    runs_on_disk,
    select_rows,
)

from ..support.configs import CONFIGS


def test_a_shared_row_is_run_once():
    tables = [PAPER_TABLES[number] for number in (3, 10, 11)]
    runs = list_runs(tables, [], [0, 1], TableSettings(str(CONFIGS), 'out'))
    # SAPA-B is a row of all three.
    assert len(runs) == 2 * (10 + 5 + 5 - 2)
    assert max(Counter(run.work_dir for run in runs).values()) == 1
    assert [run.cfg_options['randomness.seed'] for run in runs] == [0] * 18 + [1] * 18
    assert runs[0].title == 'Bilinear, B1, seed 0'
    assert all(run.auto_scale_lr for run in runs)


def test_rows_by_number_and_name():
    table = PAPER_TABLES[5]
    assert [row.title for row in select_rows(table, ['1', 'sapa-d'])] == [
        'Nearest, R50',
        'SAPA-D, R50',
        'SAPA-D, R101',
    ]
    with pytest.raises(ValueError, match='Table 5 has no row 13, Magic; allowed are 1 to 12, A2U'):
        select_rows(table, ['13', 'Magic', 'FADE'])


def test_each_kind_of_data_has_a_folder(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    settings = TableSettings(str(CONFIGS), 'out', Scenes(None, 2))
    tables = [PAPER_TABLES[3], PAPER_TABLES[9]]
    for run, kind in zip(list_runs(tables, ['1'], [0], settings), ('scenes', 'rooms'), strict=True):
        _, options = run.recipe()
        assert options['train_dataloader.dataset.data_root'] == str(tmp_path / 'data' / kind)


def test_one_folder_is_for_one_kind_of_data():
    settings = TableSettings(str(CONFIGS), 'out', Scenes('/data', 2))
    (run,) = list_runs([PAPER_TABLES[9]], ['1'], [0], settings)
    assert run.recipe()[1]['val_dataloader.dataset.data_root'] == '/data'
    with pytest.raises(ValueError, match='^data_root: the rows need rooms and scenes, each in a'):
        list_runs([PAPER_TABLES[3], PAPER_TABLES[9]], ['1'], [0], settings)


def test_what_is_on_disk(tmp_path):
    row = PAPER_TABLES[3].rows[0]
    assert runs_on_disk(str(tmp_path), row) == {}
    for name in ('seed-10', 'seed-2', 'seed-x', 'other'):
        (tmp_path / 'segformer_mit-b1_bilinear_8xb2-80k_ade20k-512x512' / name).mkdir(parents=True)
    assert list(runs_on_disk(str(tmp_path), row)) == [2, 10]
