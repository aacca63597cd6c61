"""Small models, on their own and in place of the paper's."""

import pytest

pytest.importorskip('mmdet')
pytest.importorskip('mmseg')

from mmengine.config import Config
from mmengine.registry import MODELS

from sapa_mm.engine.config import in_scope, read_config
from sapa_mm.reproduction.paper_tables import PAPER_TABLES
from sapa_mm.reproduction.small_models import SMALL_MODELS, stand_in_recipe
from sapa_mm.upsamplers import Upsampler
from sapa_mm.utils.configs import upsampled_part

from ..support.configs import CONFIGS

ROWS = {row.config: row for table in PAPER_TABLES.values() for row in table.rows}


@pytest.mark.parametrize('name', ['segformer', 'depthformer'])
def test_a_run_has_the_schedule_of_the_config_or_a_shorter_one(name):
    model = SMALL_MODELS[name]

    def settings(iterations=None):
        options = {'randomness.seed': 3}
        run = model.run('', 'SAPA-D', str(CONFIGS), '/data', 'out', options, iterations)
        return read_config(*run.recipe())

    whole, short = settings(), settings(10)
    for cfg in (whole, short):
        assert cfg.train_dataloader.dataset.data_root == '/data'
        assert cfg.model.decode_head.upsample_cfg.type == 'sapa_d'
        assert cfg.randomness.seed == 3
    stock = Config.fromfile(CONFIGS / model.config('SAPA-D'))
    assert (whole.train_cfg, whole.param_scheduler) == (stock.train_cfg, stock.param_scheduler)
    assert short.train_cfg.max_iters == short.param_scheduler[-1].end == 10


# The models' own interpolation, and SAPA-D with options and on the larger backbone; others.
QUICK = [config for config in ROWS if 'sapa-d_' in config]
QUICK += [row.config for number in range(3, 10) for row in PAPER_TABLES[number].rows[:1]]
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
    (key, part), (paper_key, paper_part) = (upsampled_part(one.model) for one in (cfg, paper))
    assert (key, part.upsample_cfg) == (paper_key, paper_part.upsample_cfg)
    with in_scope(cfg):
        built = MODELS.build(part)
    upsamplers = [type(m) for m in built.modules() if isinstance(m, Upsampler)]
    assert upsamplers or part.upsample_cfg.type in ('nearest', 'bilinear')
    assert cfg.model.get('backbone', {}).get('depth') == {'R50': 18, 'R101': 34}.get(
        ROWS[config].backbone
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
