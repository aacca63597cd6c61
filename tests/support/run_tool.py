"""Start a tool as a user does."""

import os
import subprocess
import sys
from pathlib import Path

TOOLS = Path(__file__).parents[2] / 'tools'


def run_tool(name, *args, code=0):
    """Run a tool and return what it printed, after checking its exit code."""
    # One thread: for work this small, threads that wait for a busy core cost a hundredfold.
    env = {**os.environ, 'PYTHONPATH': os.pathsep.join(sys.path), 'OMP_NUM_THREADS': '1'}
    command = [sys.executable, str(TOOLS / f'{name}.py'), *map(str, args)]
    result = subprocess.run(command, capture_output=True, text=True, env=env)
    assert result.returncode == code, result.stdout + result.stderr
    return result.stdout + result.stderr
