"""How tools start."""

import argparse
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

pytest.importorskip('mmengine')

from sapa_mm.engine import arguments

from ..support.run_tool import environment

SWITCH = Path('/sys/kernel/mm/transparent_hugepage/enabled')
SCRIPT = """
import argparse, sys
from sapa_mm.engine.arguments import start_tool
import torch
sys.argv = ['tool']
start_tool(argparse.ArgumentParser())
tensor = torch.ones(16 << 20)
print([line.split()[1] for line in open('/proc/self/smaps_rollup') if 'AnonHugePages' in line][0])
"""


@pytest.fixture
def start(monkeypatch):
    """Starts a tool on a device, without effect on how other tests load checkpoints."""
    monkeypatch.setattr(sys, 'argv', ['tool'])
    monkeypatch.setattr(arguments, 'install_safe_loading', lambda: None)

    def start(device):
        monkeypatch.setattr(arguments, 'get_device', lambda: device)
        arguments.start_tool(argparse.ArgumentParser())
        return os.environ.get('THP_MEM_ALLOC_ENABLE')

    monkeypatch.setenv('THP_MEM_ALLOC_ENABLE', 'anything')  # restored after the test
    return start


def test_huge_pages_are_for_cpus_and_the_user_decides(start):
    assert start('cpu') == 'anything'
    del os.environ['THP_MEM_ALLOC_ENABLE']
    assert start('cuda') is None
    assert start('cpu') == '1'


@pytest.mark.skipif(
    not SWITCH.exists() or '[never]' in SWITCH.read_text(), reason='the kernel has no huge pages'
)
@pytest.mark.skipif(torch.cuda.is_available(), reason='for machines without a GPU')
def test_tools_get_huge_pages():
    env = environment()
    env.pop('THP_MEM_ALLOC_ENABLE', None)
    result = subprocess.run([sys.executable, '-c', SCRIPT], capture_output=True, text=True, env=env)
    assert result.returncode == 0, result.stderr
    assert int(result.stdout.split()[-1]) > 32 << 10  # of 64 MB, in kB
