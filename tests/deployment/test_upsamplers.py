"""Every upsampler as an ONNX graph: odd and even sizes, exact multiples and others, in one."""

import pytest
import torch
import torch.nn.functional as F

pytest.importorskip('onnxruntime')
pytest.importorskip('onnxscript')

from sapa_mm.deployment.onnx_translations import TRANSLATIONS
from sapa_mm.upsamplers import UPSAMPLERS

from ..support.onnx_graph import run_as_onnx
from ..support.upsamplers import ALL_TYPES, PEER_VARIANTS, make_inputs, make_upsampler

CASES = [
    *ALL_TYPES.items(),
    *PEER_VARIANTS,
    ('sapa_b', dict(ALL_TYPES['sapa_b'], groups=2, similarity_norm='relu')),
    ('sapa_d', dict(ALL_TYPES['sapa_d'], shared_offset=True)),
    ('sapa_d', dict(num_points=3, groups=2, guided=False)),
]
# As backbones have them: a side of the guide, halved and rounded up.
GUIDES = [(5, 9), (6, 8), (7, 4), (16, 13), (12, 20)]


def test_every_type_is_covered():
    assert set(UPSAMPLERS) == {kind for kind, _ in CASES}


@pytest.mark.parametrize(('kind', 'options'), CASES)
def test_one_graph_for_all_sizes(kind, options):
    upsampler = make_upsampler(kind, **options).float().eval()

    def inputs(guide):
        low = tuple(-(-side // 2) for side in guide)
        return make_inputs(upsampler, low, guide, batch=1, dtype=torch.float32)

    run = run_as_onnx(upsampler, inputs(GUIDES[0]), TRANSLATIONS)
    for guide in GUIDES:
        with torch.no_grad():
            wanted = upsampler(*inputs(guide))
        torch.testing.assert_close(run(*inputs(guide)), wanted, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize('out', [1, 3, 6, (2, 5)])
def test_adaptive_pooling(out):
    example = torch.randn(1, 3, 7, 11)
    run = run_as_onnx(lambda x: F.adaptive_avg_pool2d(x, out), (example,), TRANSLATIONS)
    for size in [(7, 11), (6, 12), (1, 1), (2, 30), (13, 5)]:
        x = torch.randn(1, 3, *size)
        torch.testing.assert_close(run(x), F.adaptive_avg_pool2d(x, out))
