"""The library of the compiled form: threads, instruction sets, what cannot be loaded."""

import os
import platform
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from sapa_ops import compiled
from sapa_ops.checks import BORDERS

from ..support.operators import (
    DEVICES,
    HALF,
    OPERATORS,
    TOLERANCES,
    Case,
    call,
    make_inputs,
    relayout,
    skip_where_not_built,
)
from ..support.pairs import parametrize_pairs


@pytest.fixture(autouse=True)
def built(request):
    callspec = getattr(request.node, 'callspec', None)
    skip_where_not_built('compiled', callspec.params.get('device', 'cpu') if callspec else 'cpu')


class TestThreads:
    """The number of threads does not change a bit of the results."""

    CASE = Case((13, 17), (25, 34), channels=134, points=5, softmax=True)

    def results(self, operator, layout, dtype, threads, **options):
        before = torch.get_num_threads()
        torch.set_num_threads(threads)
        try:
            assert torch.get_num_threads() == threads
            tensors, own = make_inputs(operator, replace(self.CASE, **options), dtype)
            tensors = [relayout(t, layout).requires_grad_() for t in tensors]
            out = call(operator, 'compiled', tensors, own)
            upstream = torch.linspace(-1, 1, out.numel()).view(out.shape).to(dtype)
            return out, *torch.autograd.grad(out, tensors, upstream)
        finally:
            torch.set_num_threads(before)

    @parametrize_pairs(
        operator=OPERATORS,
        layout=['contiguous', 'channels_last'],
        dtype=TOLERANCES,
        border=BORDERS,
        groups=[1, 2],
    )
    def test_same_results(self, operator, layout, dtype, border, groups):
        expected, *others = (
            self.results(operator, layout, dtype, threads, border=border, groups=groups)
            for threads in (1, 2, 3, 7)
        )
        for other in others:
            assert all(torch.equal(one, two) for one, two in zip(expected, other, strict=True))


class TestCpuCapability:
    """SAPA_OPS_CPU_CAPABILITY chooses among the machine's instruction sets."""

    ALL = ('baseline', 'avx2', 'avx512')
    # What torch detects on this machine, unless ATEN_CPU_CAPABILITY overrides it.
    BEST = {'AVX2': 'avx2', 'AVX512': 'avx512'}.get(
        torch.backends.cpu.get_cpu_capability(), 'baseline'
    )
    AVAILABLE = ALL[: ALL.index(BEST) + 1] if platform.machine() in ('x86_64', 'AMD64') else ALL[:1]

    SCRIPT = """
import sys, torch
from tests.support.operators import OPERATORS, Case, assert_matches_oracle

capability, with_cases = sys.argv[1:]
chosen = torch.ops.sapa_ops_compiled.cpu_capability()
assert chosen == capability, f'{chosen} runs, not {capability}'
cases = [
    Case((1, 17), (2, 34), batch=1, channels=18, softmax=True),
    Case((1, 2), (2, 3), channels=67, groups=1, border='replicate'),
    Case((2, 3), (4, 7), batch=1, channels=4, kernel_size=5, softmax=True),
    Case((2, 3), (3, 5), batch=1, channels=38, strays=((0, 'nan'), (1, 'inf'), (2, 'nan'))),
    Case((3, 3), (4, 5), batch=1, channels=38, border='shift'),
]
for case in cases if with_cases == 'True' else []:
    for operator in OPERATORS:
        for dtype in (torch.float32, torch.float64, torch.bfloat16):
            for layout in ('contiguous', 'channels_last'):
                assert_matches_oracle(operator, 'compiled', case, dtype, 'cpu', (layout,) * 4)
"""

    @pytest.mark.parametrize(
        'asked',
        [
            'baseline',
            'avx2',
            # What runs in all other tests, where the machine has it.
            pytest.param('avx512', marks=pytest.mark.extended),
            pytest.param('AVX2', marks=pytest.mark.extended),
            pytest.param('', marks=pytest.mark.extended),
            pytest.param(None, marks=pytest.mark.extended),
        ],
    )
    def test_choice(self, asked):
        chosen = asked if asked in self.AVAILABLE else self.AVAILABLE[-1]
        environment = {**os.environ, 'SAPA_OPS_CPU_CAPABILITY': asked or ''}
        if asked is None:
            del environment['SAPA_OPS_CPU_CAPABILITY']
        result = subprocess.run(
            [sys.executable, '-c', self.SCRIPT, chosen, str(asked in self.AVAILABLE)],
            cwd=Path(__file__).parents[2],
            env=environment,
            capture_output=True,
            text=True,
        )
        assert result.returncode == 0, result.stderr


class TestLoading:
    """What cannot be used, is not, and is named in one line."""

    def refused(self, library, monkeypatch):
        monkeypatch.setenv('SAPA_OPS_LIBRARY', str(library))
        why = compiled._load()
        assert why.startswith(str(library))
        assert '\n' not in why
        return why

    @pytest.fixture
    def content(self):
        return next(Path(compiled.__file__).parent.glob('_kernels*.so')).read_bytes()

    def test_of_other_sources(self, content, monkeypatch):
        """It would compute something else than the eager form, without a word."""
        assert compiled._load() is None
        monkeypatch.setattr(compiled, '_REVISION', compiled._REVISION + 1)
        assert compiled._load().endswith('was built from other sources of sapa_ops, build it again')

    def test_of_an_earlier_version(self, content, tmp_path, monkeypatch):
        library = tmp_path / 'library.so'
        library.write_bytes(content.replace(compiled.NAMESPACE.encode(), b'x' * 17))
        assert 'was built from other sources' in self.refused(library, monkeypatch)

    @pytest.mark.parametrize('share', [0.1, 0.5, 0.999])
    def test_cut_short(self, share, content, tmp_path, monkeypatch):
        library = tmp_path / 'library.so'
        library.write_bytes(content[: int(len(content) * share)])
        assert self.refused(library, monkeypatch).endswith('the file is cut short')

    @pytest.mark.skipif(shutil.which('cc') is None, reason='no C compiler')
    def test_of_another_abi(self, tmp_path, monkeypatch):
        source, library = tmp_path / 'library.c', tmp_path / 'library.so'
        source.write_text(
            f'int torch_of_tomorrow(void); int {compiled.NAMESPACE}(void) '
            '{ return torch_of_tomorrow(); }'
        )
        subprocess.run(['cc', '-shared', '-fPIC', source, '-o', library], check=True)
        assert 'undefined symbol: torch_of_tomorrow' in self.refused(library, monkeypatch)

    @pytest.mark.parametrize('content', [b'', b'no library'])
    def test_no_library(self, content, tmp_path, monkeypatch):
        library = tmp_path / 'library.so'
        library.write_bytes(content)
        assert 'cannot be loaded with torch' in self.refused(library, monkeypatch)
        assert 'Is a directory' in self.refused(tmp_path, monkeypatch)


def test_other_devices_are_refused_with_a_reason():
    tensor = torch.zeros(1, 1, 1, 1, device='meta')
    assert compiled.why_not(tensor) == 'it has kernels for cpu and cuda only, the tensor is on meta'
    assert compiled.why_not(torch.zeros(1, dtype=torch.int32)) == 'it has no kernel for torch.int32'


@pytest.mark.parametrize('device', DEVICES)
@pytest.mark.parametrize('half', HALF)
def test_results_round_to_nearest_ties_to_even(half, device):
    """As torch rounds: a window of one tap is a product, and many products are ties."""
    steps = torch.arange(1024, device=device) / 1024
    weight = (1 + steps).to(half).view(1, 1, 32, 32)
    value = torch.tensor([1.5, 1.25, -1.125, 2**-15, -(2**-24), 30000.0], device=device).to(half)
    value = value.view(1, -1, 1, 1).expand(1, -1, 32, 32)
    out = call('window_assemble', 'compiled', (weight, value), (1,))
    assert torch.equal(out, (weight.float() * value.float()).to(half))


def test_a_kernel_in_no_fixed_order_is_refused_where_determinism_is_asked_for():
    """As torch's own; the adjoint of points on a GPU is one."""
    alert = compiled._alert_not_deterministic
    alert('it')
    try:
        torch.use_deterministic_algorithms(True)
        with pytest.raises(RuntimeError, match='it has no deterministic implementation'):
            alert('it')
        torch.use_deterministic_algorithms(True, warn_only=True)
        with pytest.warns(UserWarning, match='it has no deterministic implementation'):
            alert('it')
    finally:
        torch.use_deterministic_algorithms(False)


def test_out_of_memory_is_torchs_own_error(monkeypatch):
    """Which callers catch, to try a smaller batch."""
    text = 'sapa_ops: CUDA out of memory for a result of shape [1, 1, 2, 2]'

    def fails(*args):
        raise RuntimeError(text)

    monkeypatch.setitem(compiled.OPERATORS, 'window_assemble', fails)
    with pytest.raises(torch.OutOfMemoryError, match='for a result of shape'):
        call('window_assemble', 'compiled', (torch.ones(1, 1, 2, 2), torch.ones(1, 1, 1, 1)), (1,))
