"""Memory of the operators on large maps: 256 x 120 x 120 upsampled by two; the output has 56 MB.

Unfolded windows, or the corners of all points, would take 20 times that.
"""

import os
import subprocess
import sys

import pytest

from ..support.operators import skip_where_not_built

pytestmark = pytest.mark.skipif(sys.platform != 'linux', reason='reads /proc')

# SAPA-B and SAPA-D. Prints the peak beyond inputs, both weights (before and after the softmax) and
# the output, relative to the output. (Not ru_maxrss: it starts at the parent's peak.)
SCRIPT = """
import sys
import torch, sapa_ops

kind, form, layout, size, train = sys.argv[1:]
train = train == 'True'

def peak():
    status = open('/proc/self/status').read()
    return int(status.partition('VmHWM:')[2].split()[0]) * 1024

def rand(channels, size):
    empty = torch.empty(1, channels, size, size, memory_format=getattr(torch, layout))
    return empty.uniform_().requires_grad_(train)

def inputs(size):
    if kind == 'window':
        return rand(256, size), rand(32, 2 * size), rand(32, size)
    return rand(256, size), rand(128, 2 * size), rand(128, size), rand(72, 2 * size)

def upsample(value, *inputs):
    if kind == 'window':
        similarity = sapa_ops.window_similarity(*inputs, 5)
        weight = similarity.softmax(1)
        out = sapa_ops.window_assemble(weight, value, 5)
    else:
        similarity = sapa_ops.point_similarity(*inputs, 4)
        weight = similarity.softmax(2)
        out = sapa_ops.point_assemble(weight, value, inputs[2])
    if train:
        out.sum().backward()
    return similarity, weight, out

def size_of(tensors):
    return sum(t.numel() * t.element_size() for t in tensors)

with sapa_ops.use_backend(form):
    upsample(*inputs(2))  # Whatever is set up once.
    own = inputs(int(size))
    before = peak()
    results = upsample(*own)
    beyond = peak() - before - size_of(results)
print(beyond / size_of(results[-1:]))
"""


def peak_of(kind, form, layout='contiguous_format', size=120, train=False):
    """Peak memory beyond inputs, weights and output, relative to the output."""
    # Buffers are per thread. What is freed goes back at once: the peak shows what is there at the
    # same time. The eager form has many small tensors, with which that would take minutes.
    threshold = 65536 if form == 'compiled' else 1_000_000
    environment = {
        **os.environ,
        'OMP_NUM_THREADS': '2',
        'MALLOC_MMAP_THRESHOLD_': str(threshold),
    }
    result = subprocess.run(
        [sys.executable, '-c', SCRIPT, kind, form, layout, str(size), str(train)],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    print(f'{kind} {form} {layout} train={train}: {float(result.stdout):.1%}')
    return float(result.stdout)


@pytest.mark.parametrize(
    ('kind', 'layout'),
    [
        ('window', 'contiguous_format'),
        ('point', 'channels_last'),
        pytest.param('window', 'channels_last', marks=pytest.mark.extended),
        pytest.param('point', 'contiguous_format', marks=pytest.mark.extended),
    ],
)
def test_compiled(kind, layout):
    """A few rows for each thread, or a few channels of the low-res map."""
    skip_where_not_built('compiled')
    assert peak_of(kind, 'compiled', layout) < 0.05


@pytest.mark.extended
@pytest.mark.parametrize('kind', ['window', 'point'])
def test_eager(kind):
    assert peak_of(kind, 'eager') < 2


@pytest.mark.parametrize(
    ('kind', 'form', 'most'),
    [
        ('window', 'compiled', 1),
        ('point', 'compiled', 2.5),
        pytest.param('window', 'eager', 4, marks=pytest.mark.extended),
        pytest.param('point', 'eager', 8, marks=pytest.mark.extended),
    ],
)
def test_training(kind, form, most):
    """The gradients of the inputs and the weights are part of it."""
    skip_where_not_built(form)
    assert peak_of(kind, form, size=80, train=True) < most
