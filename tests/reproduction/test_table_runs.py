"""The runs of the tables, in full size and small."""

from collections import Counter

import pytest

pytest.importorskip('mmdet')
pytest.importorskip('mmseg')

from mmengine.config import Config
from mmengine.registry import MODELS

from sapa_mm.engine.config import in_scope, read_config
from sapa_mm.reproduction.paper_tables import PAPER_TABLES
from sapa_mm.reproduction.small_models import stand_in_recipe
from sapa_mm.reproduction.table_runs import (
    Scenes,
    TableSettings,
    list_runs,
    runs_on_disk,
    select_rows,
)
from sapa_mm.upsamplers import Upsampler

from ..support.configs import CONFIGS

ROWS = {row.config: row for table in PAPER_TABLES.values() for row in table.rows}


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


# The models' own interpolation, and SAPA-D with options and on the larger backbone; others.
QUICK = [config for config in ROWS if 'sapa-d_' in config]
QUICK += [row.config for number in (3, 4, 5, 6, 7, 9) for row in PAPER_TABLES[number].rows[:1]]
OTHERS = [config for config in ROWS if config not in QUICK]


@pytest.mark.parametrize(
    'config', [*QUICK, *(pytest.param(one, marks=pytest.mark.extended) for one in OTHERS)]
)
def test_stand_in_has_the_rows_upsampler(config):
    path, _ = stand_in_recipe(str(CONFIGS), config, '/scenes', 90)
    whole = read_config(path)
    iterations = whole.train_cfg.max_iters * 3 // 10
    _, options = stand_in_recipe(str(CONFIGS), config, '/scenes', iterations)
    cfg = read_config(path, options)
    paper = Config.fromfile(CONFIGS / config)
    part = 'decode_head' if 'decode_head' in cfg.model else 'neck'
    assert cfg.model[part].upsample_cfg == paper.model[part].upsample_cfg
    with in_scope(cfg):
        built = MODELS.build(cfg.model[part])
    upsamplers = [type(m) for m in built.modules() if isinstance(m, Upsampler)]
    assert upsamplers or paper.model[part].upsample_cfg.type in ('nearest', 'bilinear')
    assert (
        cfg.model.backbone.get('depth')
        == {'B1': None, 'Swin-T': None, 'R50': 18, 'R101': 34}[ROWS[config].backbone]
    )
    assert cfg.train_cfg.max_iters == cfg.train_cfg.val_interval == iterations
    assert cfg.default_hooks.checkpoint.interval == 30
    for scaled, scheduler in zip(cfg.param_scheduler, whole.param_scheduler, strict=True):
        ends = [round(0.3 * scheduler[name]) for name in ('begin', 'end')]
        assert [scaled.begin, scaled.end] == ends
    assert cfg.param_scheduler[-1].end == iterations
    assert cfg.val_dataloader.dataset.data_root == '/scenes'
    metrics = cfg.val_evaluator if isinstance(cfg.val_evaluator, list) else [cfg.val_evaluator]
    files = [metric.ann_file for metric in metrics if 'ann_file' in metric]
    assert all(file.startswith('/scenes/annotations/') for file in files)


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
