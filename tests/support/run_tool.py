"""Run a tool: in a process of its own, as a user does, or in this one, which is faster."""

import logging
import os
import runpy
import subprocess
import sys
import uuid
from pathlib import Path
from unittest import mock

TOOLS = Path(__file__).parents[2] / 'tools'


def environment():
    """The environment of a process that imports what this one does."""
    # One thread: for work this small, threads that wait for a busy core cost a hundredfold.
    return {**os.environ, 'PYTHONPATH': os.pathsep.join(sys.path), 'OMP_NUM_THREADS': '1'}


def finish(command, code=0):
    """Run a command and return what it printed, after checking its exit code."""
    command = [str(part) for part in command]
    result = subprocess.run(command, capture_output=True, text=True, env=environment())
    assert result.returncode == code, result.stdout + result.stderr
    return result.stdout + result.stderr


def run_tool(name, *args, code=0):
    """Run a tool in a process and return what it printed, after checking its exit code."""
    return finish([sys.executable, TOOLS / f'{name}.py', *args], code)


def call_tool(name, *args):
    """Run a tool in this process and return its exit code; the process stays as it was."""
    return call_script(TOOLS / f'{name}.py', *args)


def call_script(path, *args):
    """Run a script, of a host library for example, as `call_tool` does."""
    from mmengine.logging import MMLogger
    from mmengine.runner import CheckpointLoader

    with (
        # The logger of an earlier test writes to a stream that pytest has closed.
        mock.patch.object(MMLogger, '_instance_dict', {}),
        mock.patch.object(sys, 'argv', [Path(path).stem, *map(str, args)]),
        mock.patch.dict(os.environ),
        mock.patch.object(logging, 'raiseExceptions', logging.raiseExceptions),
        mock.patch.object(CheckpointLoader, '_schemes', CheckpointLoader._schemes.copy()),
    ):
        try:
            runpy.run_path(str(path), run_name='__main__')
        except SystemExit as end:
            return end.code
    return 0


def call_run(name, *args, options=()):
    """Train or test in this process, with settings of the config."""
    # mmengine keeps one visualizer of a name, and one logger of a name and second, in a process.
    name_of_run = uuid.uuid4()
    options = [*options, f'visualizer.name={name_of_run}', f'experiment_name={name_of_run}']
    assert not call_tool(name, *args, '--cfg-options', *options)
