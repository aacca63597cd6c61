"""Memory of the attention of DepthFormer's stem at 416 x 544, beside mmcv's fallback.

56,576 queries with 256 points each: all sampled values together have 1.85 GB an image.
"""

import subprocess
import sys

import pytest

pytest.importorskip('mmseg')
pytest.importorskip('mmcv.ops')

pytestmark = [
    pytest.mark.skipif(sys.platform != 'linux', reason='reads /proc'),
    pytest.mark.extended,
]

# Prints the peak beyond the inputs, in bytes. (Not ru_maxrss: it starts at the parent's peak.)
SCRIPT = """
import sys
import torch
from mmcv.ops import MultiScaleDeformableAttention as Mmcvs
from sapa_mm.depth import MultiScaleDeformableAttention

kind, train = sys.argv[1], sys.argv[2] == 'True'
torch.manual_seed(0)

def peak():
    status = open('/proc/self/status').read()
    return int(status.partition('VmHWM:')[2].split()[0]) * 1024

def attend(height, width):
    sizes = [(-(-height // 2**i), -(-width // 2**i)) for i in (2, 3, 4, 5)]
    queries = height * width // 4
    query = torch.randn(1, queries, 256, requires_grad=train)
    value = torch.randn(1, sum(h * w for h, w in sizes), 256, requires_grad=train)
    points = torch.rand(1, queries, 2)
    before = peak()
    with torch.set_grad_enabled(train):
        if kind == 'ours':
            out = MultiScaleDeformableAttention()(query, value, points, sizes)
        else:
            module = Mmcvs(num_points=8, batch_first=True)
            points = points[:, :, None].expand(-1, -1, 4, -1)
            shapes = torch.tensor(sizes)
            out = module(query, value=value, reference_points=points, spatial_shapes=shapes)
        if train:
            out.sum().backward()
    return peak() - before

attend(32, 32)  # Whatever is set up once.
print(attend(416, 544))
"""


def peak_of(kind, train):
    """GB beyond the inputs."""
    command = [sys.executable, '-c', SCRIPT, kind, str(train)]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    print(f'{kind} train={train}: {int(result.stdout) / 1e9:.2f} GB')
    return int(result.stdout) / 1e9


@pytest.mark.parametrize(('train', 'most', 'less'), [(False, 1, 5), (True, 1.5, 5)])
def test_peak(train, most, less):
    ours = peak_of('ours', train)
    assert ours < most
    assert ours * less < peak_of('mmcv', train)
