"""What is built where, and what an installation says about the rest."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import torch
from sapa_ops import build, compiled

OPS = Path(__file__).parents[2] / 'ops'


@pytest.fixture(autouse=True)
def defaults(monkeypatch):
    monkeypatch.delenv('SAPA_OPS_BUILD', raising=False)
    monkeypatch.setattr(torch, '__version__', '2.10.0')


def test_torch_before_the_stable_abi(monkeypatch):
    monkeypatch.setattr(torch, '__version__', '2.7.1+cu126')
    reason = 'it compiles against torch 2.10 or later, not 2.7.1+cu126'
    assert build.plan() == build.Plan(unavailable={'cpu': reason, 'cuda': reason})
    monkeypatch.setenv('SAPA_OPS_BUILD', 'cpu')
    with pytest.raises(RuntimeError, match='SAPA_OPS_BUILD=cpu: it compiles against torch 2.10'):
        build.plan()


@pytest.mark.parametrize('version', ['2.10.0', '2.13.0+cpu', '3.0.0a0+git1234'])
def test_torch_with_the_stable_abi(version, monkeypatch):
    monkeypatch.setattr(torch, '__version__', version)
    monkeypatch.setenv('CXX', sys.executable)
    assert 'cpu' in build.plan().devices


def test_no_compiler(monkeypatch):
    monkeypatch.setenv('CXX', 'no-such-compiler -O2')
    assert not build.plan().devices
    assert build.plan().unavailable['cpu'].endswith('(looked for no-such-compiler)')


def test_request(monkeypatch):
    monkeypatch.setenv('CXX', sys.executable)
    monkeypatch.setenv('SAPA_OPS_BUILD', 'cpu')
    planned = build.plan()
    assert planned.devices == ('cpu',)
    assert planned.required
    assert 'SAPA_OPS_BUILD=cpu' in planned.unavailable['cuda']
    monkeypatch.setenv('SAPA_OPS_BUILD', 'gpu')
    with pytest.raises(ValueError, match="must be one of auto, cpu, cuda, none, got 'gpu'"):
        build.plan()


@pytest.mark.extended
@pytest.mark.parametrize(
    ('environment', 'reason'),
    [
        ({'SAPA_OPS_BUILD': 'none'}, 'it was built with SAPA_OPS_BUILD=none'),
        ({'CXX': 'false', 'CUDA_HOME': ''}, 'its build failed: '),
    ],
)
def test_a_wheel_without_library_says_why(environment, reason, tmp_path):
    source = shutil.copytree(OPS, tmp_path / 'ops', ignore=shutil.ignore_patterns('*.so', 'build'))
    command = [sys.executable, '-m', 'pip', 'wheel', '--no-deps', '--no-build-isolation', source]
    subprocess.run(command, cwd=tmp_path, env=os.environ | environment, check=True)
    (wheel,) = tmp_path.glob('*.whl')
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (record,) = (name for name in names if name.endswith('/_build.json'))
        reasons = json.loads(archive.read(record))
    assert not [name for name in names if name.endswith('.so')]
    assert reasons['cpu'].startswith(reason)


@pytest.mark.parametrize('record', [None, '', '{"cpu": "no C++ comp', '[1]', 'null'])
def test_a_broken_record_says_nothing(record, tmp_path, monkeypatch):
    monkeypatch.setattr(compiled, '_HERE', tmp_path)
    if record is not None:
        (tmp_path / '_build.json').write_text(record)
    assert compiled._read_build_record() == {}
