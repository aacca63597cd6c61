"""Every config: self-contained, its model can be built, and it trains and validates."""

import pytest

pytest.importorskip('mmseg')
pytest.importorskip('mmdet')

from mmengine.config import Config

from sapa_mm.engine.compare_settings import compare_settings
from sapa_mm.engine.config import in_scope
from sapa_mm.engine.run import build_runner
from sapa_mm.engine.training import prepare_training
from sapa_mm.upsamplers import UPSAMPLERS, Upsampler
from sapa_mm.utils.config_text import parse_config
from sapa_mm.utils.configs import nested_configs

from ..support.configs import CONFIGS, PATHS, build_on_meta, load
from ..support.shrunken import last_metrics, shrunken

KEYS = {
    'segformer': ['mIoU', 'bIoU'],
    'upernet': ['mIoU', 'bIoU'],
    'panoptic_fpn': ['coco_panoptic/PQ', 'coco_panoptic/SQ_th'],
    'depthformer': ['d1', 'd2', 'd3', 'abs_rel', 'sq_rel', 'rmse', 'rmse_log', 'log10'],
    'a2u_matting': ['SAD', 'MSE', 'Grad', 'Conn'],
}
# Where scenes are not the data.
DATA = {'depthformer': 'rooms', 'a2u_matting': 'mattes'}
# Beside the small models of the scenes, one large model a family.
LARGE = {
    'segformer_mit-b1_sapa-d_8xb2-80k_ade20k-512x512',
    'upernet_r50_sapa-d_8xb2-80k_ade20k-512x512',
    'faster-rcnn_r50_fpn-sapa-b_1x_coco',
    'mask-rcnn_r50_fpn-carafe_1x_coco',
    'panoptic-fpn_r50_sapa-b_1x_coco',
    'depthformer_swin-t_sapa-d_2xb8-38k_nyu',
    'a2u-matting_r34_sapa-d_2xb8-180k_comp1k',
}


@pytest.mark.parametrize('path', sorted(CONFIGS.rglob('*.py')), ids=lambda path: path.stem)
def test_self_contained(path):
    text = path.read_text()
    assert 'mmseg::' not in text
    assert 'mmdet::' not in text


@pytest.mark.parametrize(
    'name', [pytest.param(n, marks=[] if n in LARGE else pytest.mark.extended) for n in PATHS]
)
def test_a_checkpoint_keeps_its_settings(name):
    """As text, which is compared with the config before the checkpoint is tested."""
    cfg = load(name)
    text = Config(cfg.to_dict(), format_python_code=False).pretty_text
    with in_scope(cfg):
        differences = compare_settings(parse_config(text)['model'], cfg.to_dict()['model'])
        assert not [str(difference) for difference in differences]


@pytest.mark.parametrize('name', PATHS)
def test_model(name):
    check_upsamplers(name, build_on_meta(name))


@pytest.mark.parametrize(
    'name',
    [
        pytest.param(name, marks=[] if 'scenes' in name or name in LARGE else pytest.mark.extended)
        for name in PATHS
    ],
)
def test_one_step_of_training_and_a_validation(name, request, tmp_path, monkeypatch):
    folder = PATHS[name].parent.name
    monkeypatch.setenv('LOCAL_RANK', '0')
    cfg = load(name)
    options = shrunken(cfg, request.getfixturevalue(DATA.get(folder, 'scenes')))
    path = str(PATHS[name])
    runner = build_runner(prepare_training(path, work_dir=str(tmp_path), cfg_options=options))
    upsamplers = check_upsamplers(name, runner.train())
    # The optimizer keeps nothing of a parameter that no gradient reached.
    state = runner.optim_wrapper.optimizer.state
    for upsampler in upsamplers:
        for parameter_name, parameter in upsampler.named_parameters():
            (moment,) = {'momentum_buffer', 'exp_avg'} & state[parameter].keys()
            assert state[parameter][moment].isfinite().all(), parameter_name

    metrics = last_metrics(tmp_path)
    for key in KEYS.get(folder, []):
        assert 0 <= metrics[key] <= 100


def test_the_large_models_are_there():
    assert PATHS.keys() >= LARGE


def check_upsamplers(name, model):
    """Return the upsamplers of a model: those that its config asks for, and its name tells."""
    cfg = load(name)
    parts = [part for _, part in nested_configs(cfg.model, 'model') if 'upsample_cfg' in part]
    (kind,) = {part['upsample_cfg']['type'] for part in parts}
    upsamplers = [module for module in model.modules() if isinstance(module, Upsampler)]
    assert {type(upsampler) for upsampler in upsamplers} == {UPSAMPLERS[kind]}
    assert len(upsamplers) in (3, 4, 6)
    assert kind.replace('_', '-') in name
    return upsamplers
