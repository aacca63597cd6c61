"""What imports what: the upsamplers need torch alone, each host library only its own part."""

import os
import subprocess
import sys

import pytest

OPENMMLAB = ('mmengine', 'mmcv', 'mmseg', 'mmdet')


def run_without(modules, script):
    """Runs a script in a fresh interpreter in which some modules cannot be imported."""
    block = f'import sys; sys.modules.update(dict.fromkeys({modules!r}))\n'
    env = {**os.environ, 'PYTHONPATH': os.pathsep.join(sys.path)}
    result = subprocess.run(
        [sys.executable, '-c', block + script], capture_output=True, text=True, env=env
    )
    assert result.returncode == 0, result.stderr


def test_operators_run_with_torch_alone():
    script = """
import sapa_ops, torch
weight = sapa_ops.window_similarity(torch.ones(1, 2, 4, 4), torch.ones(1, 2, 2, 2), 3)
assert sapa_ops.window_assemble(weight, torch.ones(1, 5, 2, 2), 3).shape == (1, 5, 4, 4)
assert 'sapa_mm' not in sys.modules
"""
    run_without((*OPENMMLAB, 'numpy', 'PIL', 'torchvision'), script)


def test_upsamplers_run_with_torch_alone():
    script = """
import torch
from sapa_mm.upsamplers import UPSAMPLERS, build_upsampler
x, guide = torch.randn(1, 32, 3, 4), torch.randn(1, 32, 5, 8)
for kind in UPSAMPLERS:
    upsampler = build_upsampler(dict(type=kind), 32)
    out = upsampler(x, guide)
    assert out.shape == guide.shape and out.isfinite().all(), kind
try:
    build_upsampler(dict(type='Mine'), 32)
except ValueError as error:
    assert 'sapa_d' in str(error)
else:
    raise AssertionError('an unknown type was built')
"""
    run_without((*OPENMMLAB, 'PIL', 'torchvision'), script)


def test_upsamplers_load_no_host_library():
    pytest.importorskip('mmengine')
    script = """
import sapa_mm.upsamplers
loaded = {name.partition('.')[0] for name in sys.modules}
assert 'mmengine' in loaded
assert not loaded & {'mmcv', 'mmseg', 'mmdet'}, loaded & {'mmcv', 'mmseg', 'mmdet'}
"""
    run_without((), script)


def test_segmentation_needs_no_mmdet():
    pytest.importorskip('mmseg')
    script = """
import sapa_mm.segmentation
from mmseg.registry import MODELS
assert MODELS.get('UpsampleSegformerHead') is sapa_mm.segmentation.UpsampleSegformerHead
"""
    run_without(('mmdet',), script)


def test_detection_needs_no_mmseg():
    pytest.importorskip('mmdet')
    script = """
import sapa_mm.detection
from mmdet.registry import MODELS
assert MODELS.get('UpsampleFPN') is sapa_mm.detection.UpsampleFPN
"""
    run_without(('mmseg', 'panopticapi'), script)


def test_evaluation_needs_mmengine_only():
    pytest.importorskip('mmengine')
    script = """
import sapa_mm.evaluation
from mmengine.registry import METRICS
assert METRICS.get('PanopticMetric') is sapa_mm.evaluation.PanopticMetric
"""
    run_without(('mmseg', 'mmdet', 'panopticapi'), script)


def test_scenes_need_no_torch():
    script = """
from sapa_mm.datasets import generate_scene
assert generate_scene(0, 0, (32, 32)).image.shape == (32, 32, 3)
"""
    run_without((*OPENMMLAB, 'torch', 'cv2'), script)
