"""Every upsampler as an ONNX graph: odd and even sizes, exact multiples and others, in one."""

import pytest
import torch
import torch.nn.functional as F

pytest.importorskip('onnxruntime')
pytest.importorskip('onnxscript')

from sapa_mm.deployment.onnx_translations import TRANSLATIONS

from ..support.onnx_graph import run_as_onnx
from ..support.upsamplers import ALL_TYPES, PEER_VARIANTS, make_inputs, make_upsampler

VARIANTS = [
    *PEER_VARIANTS,
    ('sapa_b', dict(ALL_TYPES['sapa_b'], groups=2, similarity_norm='relu')),
    ('sapa_d', dict(ALL_TYPES['sapa_d'], shared_offset=True)),
    ('sapa_d', dict(num_points=3, groups=2, guided=False)),
]
# As in backbones: the guide's sides, halved and rounded up.
GUIDES = [(5, 9), (6, 8), (7, 4), (16, 13), (12, 20)]


# Most of an export's time does not depend on the number of upsamplers.
@pytest.mark.parametrize(
    'cases',
    [
        pytest.param([*ALL_TYPES.items()], id='types'),
        pytest.param(VARIANTS, id='variants', marks=pytest.mark.extended),
    ],
)
def test_one_graph_for_all_sizes(cases):
    upsamplers = [make_upsampler(kind, **options).float().eval() for kind, options in cases]

    def inputs(guide):
        low = tuple(-(-side // 2) for side in guide)
        return make_inputs(upsamplers[0], low, guide, batch=1, dtype=torch.float32)

    def upsample(x, guide):
        return torch.stack([upsampler(x, guide) for upsampler in upsamplers])

    run = run_as_onnx(upsample, inputs(GUIDES[0]), TRANSLATIONS)
    for guide in GUIDES:
        with torch.no_grad():
            expected = upsample(*inputs(guide))
        for case, *outputs in zip(cases, run(*inputs(guide)), expected, strict=True):
            torch.testing.assert_close(
                *outputs, atol=1e-5, rtol=1e-4, msg=lambda text, case=case: f'{case}: {text}'
            )


def test_adaptive_pooling():
    def pool(x):
        outs = (1, 3, 6, (2, 5))
        return torch.cat([F.adaptive_avg_pool2d(x, out).flatten(2) for out in outs], 2)

    run = run_as_onnx(pool, (torch.randn(1, 3, 7, 11),), TRANSLATIONS)
    for size in [(7, 11), (6, 12), (1, 1), (2, 30), (13, 5)]:
        x = torch.randn(1, 3, *size)
        torch.testing.assert_close(run(x), pool(x))
