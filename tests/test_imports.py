"""What imports what: the rooms only from those above, the upsamplers torch alone, each host library
only its own part."""

import ast
import sys
from pathlib import Path

import pytest

from .support.run_tool import finish

PACKAGE = Path(__file__).parents[1] / 'sapa_mm'
#: docs/design.md, "The house". A room imports from the rows above its own only.
ROWS = (
    ('utils',),
    ('upsamplers',),
    ('evaluation',),
    ('segmentation', 'detection', 'depth', 'matting'),
    ('datasets',),
    ('engine',),
    ('analysis',),
    ('visualization',),
    ('deployment',),
    ('reproduction',),
)
ROW_OF = {room: number for number, row in enumerate(ROWS) for room in row}
OPENMMLAB = ('mmengine', 'mmcv', 'mmseg', 'mmdet')


def run_without(modules, script):
    """Runs a script in a fresh interpreter in which some modules cannot be imported."""
    block = f'import sys; sys.modules.update(dict.fromkeys({modules!r}))\n'
    finish([sys.executable, '-c', block + script])


def imported_modules(source, package):
    """The absolute names of the modules, or of what is in them, that a module imports anywhere.

    ``package`` is that of the module, such as 'sapa_mm.utils'.
    """
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parts = package.split('.')[: -node.level + 1 or None] if node.level else []
            module = '.'.join([*parts, *([node.module] if node.module else [])])
            yield from (f'{module}.{alias.name}' for alias in node.names)


def wrong_imports(source, package):
    """What a module imports from its own row, except from its room, or from rows below."""
    room = package.split('.')[1]
    for name in imported_modules(source, package):
        first, other, *_ = [*name.split('.'), '']
        is_other = first == 'sapa_mm' and other in ROW_OF and other != room
        if is_other and ROW_OF[other] >= ROW_OF[room]:
            yield f'{room} imports {name}'


@pytest.mark.parametrize('room', sorted(path.parent.name for path in PACKAGE.glob('*/__init__.py')))
def test_a_room_imports_from_rows_above_its_own(room):
    assert room in ROW_OF, f'{room} is none of the rooms of the house'
    for path in sorted((PACKAGE / room).rglob('*.py')):
        package = '.'.join(path.relative_to(PACKAGE.parent).parent.parts)
        assert not list(wrong_imports(path.read_text(), package)), path


@pytest.mark.parametrize(
    ('source', 'package'),
    [
        ('from ..reproduction import report', 'sapa_mm.analysis'),
        ('from ...engine.config import read_config', 'sapa_mm.datasets.checks'),
        ('from .. import evaluation', 'sapa_mm.upsamplers'),
        ('def later():\n    import sapa_mm.segmentation', 'sapa_mm.detection'),
        ('from sapa_mm.upsamplers import build_upsampler', 'sapa_mm.utils'),
    ],
)
def test_a_wrong_import_is_found(source, package):
    assert list(wrong_imports(source, package))


def test_right_imports_pass():
    source = 'import sapa_ops\nfrom . import base\nfrom ..utils.text import first_of'
    assert not list(wrong_imports(source, 'sapa_mm.upsamplers'))


def test_utils_need_no_torch():
    script = """
import importlib, pkgutil, sapa_mm.utils
for module in pkgutil.iter_modules(sapa_mm.utils.__path__, 'sapa_mm.utils.'):
    importlib.import_module(module.name)
"""
    run_without((*OPENMMLAB, 'torch', 'cv2'), script)


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


def test_matting_needs_neither_mmseg_nor_mmdet():
    pytest.importorskip('mmcv')
    script = """
import sapa_mm.matting
from mmengine.registry import MODELS
assert MODELS.get('A2UMatting') is sapa_mm.matting.A2UMatting
"""
    run_without(('mmseg', 'mmdet', 'panopticapi'), script)


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


def test_importing_changes_nobodys_loaders():
    pytest.importorskip('mmengine')
    script = f"""
import importlib
from mmengine.runner import CheckpointLoader
before = dict(CheckpointLoader._schemes)
for room in {sorted(path.parent.name for path in PACKAGE.glob('*/__init__.py'))}:
    try:
        importlib.import_module('sapa_mm.' + room)
    except ModuleNotFoundError as error:
        assert not error.name.startswith('sapa_mm'), error
assert 'sapa_mm.engine' in sys.modules
assert dict(CheckpointLoader._schemes) == before
import sapa_mm.engine.safe_loading
assert dict(CheckpointLoader._schemes) != before
"""
    run_without((), script)


def test_the_engine_registers_its_hook_and_needs_no_host_library():
    pytest.importorskip('mmengine')
    script = """
import sapa_mm.engine
from mmengine.registry import HOOKS
assert HOOKS.get('RandomStateHook') is sapa_mm.engine.RandomStateHook
"""
    run_without(('mmseg', 'mmdet', 'mmcv'), script)
