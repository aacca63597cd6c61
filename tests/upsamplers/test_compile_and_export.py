"""torch.compile, torch.export and torch.jit see one graph, with each operator as one node."""

import subprocess
import sys
import warnings

import pytest
import sapa_ops
import torch
from torch._dynamo.testing import CompileCounterWithBackend
from torch.export import Dim

from sapa_mm.upsamplers import UPSAMPLERS

from ..support.operators import FORMS, relayout, skip_where_not_built
from ..support.pairs import parametrize_each
from ..support.upsamplers import ALL_TYPES, PEER_VARIANTS, make_inputs, make_upsampler

CASES = [
    *ALL_TYPES.items(),
    *PEER_VARIANTS,
    ('sapa_b', dict(ALL_TYPES['sapa_b'], groups=2)),
    ('sapa_d', dict(ALL_TYPES['sapa_d'], shared_offset=True)),
    ('sapa_d', dict(num_points=3, groups=2, guided=False)),
    ('bilinear', dict(crop=True)),
    ('bilinear', dict(crop=True, align_corners=True)),
]
OPERATORS = {
    'carafe': ['window_assemble'],
    'fade': ['window_assemble'],
    'a2u': ['window_assemble'],
    'dysample': ['point_assemble'],
    'sapa_i': ['window_similarity', 'window_assemble'],
    'sapa_b': ['window_similarity', 'window_assemble'],
    'sapa_d': ['point_similarity', 'point_assemble'],
}
SIZES = {
    'exact': [((3, 5), (6, 10)), ((7, 4), (14, 8)), ((9, 11), (18, 22))],
    'uneven': [((3, 5), (7, 11)), ((6, 4), (13, 9)), ((9, 11), (19, 24))],
}
# Compiling for any size takes longest.
QUICK = [(('sapa_b', ALL_TYPES['sapa_b']), 'exact'), (('sapa_d', ALL_TYPES['sapa_d']), 'uneven')]


@pytest.fixture(autouse=True)
def reset():
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


def results(run, upsampler, x, guide):
    """Output and gradients of x, guide and parameters."""
    x, guide = (t.detach().requires_grad_() for t in (x, guide))
    tensors = [x, *([guide] if upsampler.guided else []), *upsampler.parameters()]
    out = run(x, guide)
    upstream = torch.linspace(-1, 1, out.numel(), dtype=out.dtype).view(out.shape)
    return out, *torch.autograd.grad(out, tensors, upstream)


def test_every_type_is_covered():
    assert set(UPSAMPLERS) == {kind for kind, _ in CASES}


@parametrize_each(kind__options=CASES, layout=['contiguous', 'channels_last'], form=FORMS)
def test_compile(kind, options, layout, form):
    skip_where_not_built(form)
    upsampler = make_upsampler(kind, **options)
    inputs = [relayout(t, layout) for t in make_inputs(upsampler, (3, 4), (5, 8))]
    compiled = torch.compile(upsampler, fullgraph=True, backend='aot_eager')
    with sapa_ops.use_backend(form):
        actual = results(compiled, upsampler, *inputs)
        expected = results(upsampler, upsampler, *inputs)
    torch.testing.assert_close(actual, expected)


@pytest.mark.parametrize(
    ('kind', 'options', 'sizes'),
    [
        pytest.param(*case, sizes, marks=[] if (case, sizes) in QUICK else pytest.mark.extended)
        for case in CASES
        for sizes in SIZES
    ],
)
def test_compile_for_any_size(kind, options, sizes):
    """One graph serves all exact multiples, one all other sizes."""
    upsampler = make_upsampler(kind, **options)
    backend = CompileCounterWithBackend('aot_eager')
    compiled = torch.compile(upsampler, fullgraph=True, backend=backend, dynamic=True)
    compilations = []
    for low, high in SIZES[sizes]:
        inputs = make_inputs(upsampler, low, high)
        torch.testing.assert_close(
            results(compiled, upsampler, *inputs), results(upsampler, upsampler, *inputs)
        )
        compilations.append(backend.frame_count)
    assert len(set(compilations)) == 1


@pytest.mark.parametrize(('kind', 'options'), CASES)
def test_export(kind, options):
    upsampler = make_upsampler(kind, **options)
    inputs = make_inputs(upsampler, (3, 4), (5, 8))
    exported = torch.export.export(upsampler, inputs).module()
    others = make_inputs(upsampler, (3, 4), (5, 8), seed=1)
    torch.testing.assert_close(exported(*others), upsampler(*others))


@parametrize_each(kind__options=CASES, sizes=SIZES, form=FORMS)
def test_export_for_any_size(kind, options, sizes, form):
    """In one form; what is exported runs in every form."""
    skip_where_not_built(form)
    upsampler = make_upsampler(kind, **options)
    h, w = Dim('h', max=512), Dim('w', max=512)
    high = (
        (2 * h, 2 * w)
        if sizes == 'exact'
        else (Dim('H', min=5, max=2048), Dim('W', min=5, max=2048))
    )
    shapes = ({2: h, 3: w}, dict(zip((2, 3), high, strict=True)))
    inputs = make_inputs(upsampler, *SIZES[sizes][0])
    with sapa_ops.use_backend(form):
        exported = torch.export.export(upsampler, inputs, dynamic_shapes=shapes)

    operators = list(OPERATORS.get(kind, []))
    if options.get('guided') is False:
        operators.remove('point_similarity')
    targets = [str(node.target) for node in exported.graph.nodes if node.op == 'call_function']
    ours = [target for target in targets if target.startswith('sapa_ops.')]
    assert ours == [f'sapa_ops.{operator}.default' for operator in operators]
    program = exported.module()
    for low, high in SIZES[sizes]:
        others = make_inputs(upsampler, low, high)
        expected = upsampler(*others)
        for runs in {'eager', sapa_ops.backend_for(expected).name}:
            with sapa_ops.use_backend(runs):
                torch.testing.assert_close(program(*others), expected)


@parametrize_each(kind__options=CASES, first=[((3, 4), (6, 8)), ((4, 3), (7, 6))], form=FORMS)
def test_jit_trace(kind, options, first, form):
    """What is traced at an even or an odd size gives the same as the module at any other."""
    skip_where_not_built(form)
    upsampler = make_upsampler(kind, **options).eval()
    with sapa_ops.use_backend(form), warnings.catch_warnings():
        warnings.simplefilter('error', torch.jit.TracerWarning)
        if kind == 'a2u':  # torch's own group_norm checks the size
            warnings.simplefilter('ignore', torch.jit.TracerWarning)
        traced = torch.jit.trace(upsampler, make_inputs(upsampler, *first))
        for low, high in [first, *SIZES['exact'], *SIZES['uneven'], ((6, 5), (11, 15))]:
            # A2U's convolution has the images as groups, which torch records as a number.
            inputs = make_inputs(upsampler, low, high, batch=2 if kind == 'a2u' else 3)
            torch.testing.assert_close(traced(*inputs), upsampler(*inputs))


def test_jit_trace_of_a2u_is_for_one_batch_size():
    upsampler = make_upsampler('a2u')
    traced = torch.jit.trace(upsampler, make_inputs(upsampler, (3, 4), (6, 8), batch=2))
    for batch in (1, 4):
        with pytest.raises(RuntimeError, match='groups=2'):
            traced(*make_inputs(upsampler, (3, 4), (6, 8), batch=batch))


@pytest.mark.extended
@pytest.mark.parametrize('kind', ['traced', 'exported'])
def test_a_saved_graph_in_another_process(kind, tmp_path):
    """It loads after ``import sapa_ops``, runs in every form, and does not load without."""
    upsampler = make_upsampler('sapa_d')
    inputs = make_inputs(upsampler, (3, 4), (6, 8))
    graph, values = str(tmp_path / 'graph.pt2'), str(tmp_path / 'values.pth')
    if kind == 'traced':
        torch.jit.trace(upsampler, inputs).save(graph)
        load = f'graph = torch.jit.load({graph!r})'
    else:
        torch.export.save(torch.export.export(upsampler, inputs), graph)
        load = f'graph = torch.export.load({graph!r}).module()'
    torch.save((inputs, upsampler(*inputs).detach()), values)
    run = f"""
inputs, expected = torch.load({values!r})
for form in {FORMS!r}:
    with sapa_ops.use_backend(form):
        torch.testing.assert_close(graph(*inputs), expected)
"""
    for code, succeeds in (
        (f'import torch, sapa_ops; {load}{run}', True),
        (f'import torch; {load}', False),
    ):
        done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
        assert (done.returncode == 0) is succeeds, done.stderr
        assert succeeds or 'point_similarity' in done.stderr


@pytest.mark.parametrize(('kind', 'options'), CASES)
def test_jit_trace_without_a_guide(kind, options):
    upsampler = make_upsampler(kind, **options).eval()
    x, _ = make_inputs(upsampler, (3, 4), (6, 8))
    if upsampler.guided:
        with pytest.raises(ValueError, match='guide is required'):
            torch.jit.trace(upsampler, x)
        return
    traced = torch.jit.trace(upsampler, x)
    x, _ = make_inputs(upsampler, (5, 2), (10, 4))
    torch.testing.assert_close(traced(x), upsampler(x))


@pytest.mark.parametrize(('kind', 'options'), ALL_TYPES.items())
def test_jit_trace_of_inputs_that_do_not_fit(kind, options):
    """They are checked while tracing, too."""
    upsampler = make_upsampler(kind, **options)
    x, guide = make_inputs(upsampler, (3, 4), (6, 8))
    with pytest.raises(ValueError, match='x must have 4 channels, got 5'):
        torch.jit.trace(upsampler, (torch.ones(2, 5, 3, 4).double(), guide))
    if not upsampler.any_size:
        with pytest.raises(ValueError, match='guide is smaller than x'):
            torch.jit.trace(upsampler, (x, guide[..., :2]))
