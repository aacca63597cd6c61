"""The CUDA sources compile with nvcc alone, without warnings, for every generation of GPUs."""

import shutil

import pytest

from .nvcc import ARCHITECTURES, SOURCES, compile_cuda


@pytest.mark.skipif(shutil.which('nvcc') is None, reason='no nvcc')
@pytest.mark.parametrize(
    'architectures',
    [ARCHITECTURES[:1], pytest.param(ARCHITECTURES[1:], marks=pytest.mark.extended)],
    ids=str,
)
@pytest.mark.parametrize('source', SOURCES)
def test_compiles_without_warnings(source, architectures):
    report = compile_cuda(source, architectures)
    assert not report.failed, report.output
    assert 'warning' not in report.output
    assert report.registers, 'ptxas reported no kernel'
    assert len(report.registers) % len(architectures) == 0
    # More than a few bytes means arrays in local memory.
    assert max(report.spills) <= 128, report.output
