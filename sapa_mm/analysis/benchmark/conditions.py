"""The conditions of a measurement, which its report states."""

import datetime
import os
import shlex
import subprocess
import sys
from typing import Any

import sapa_ops
import torch

from ..machine import cpu_model

# Variables by which a user changes what is measured.
_VARIABLES = ('MALLOC_', 'THP_', 'OMP_', 'KMP_', 'MKL_', 'LD_PRELOAD')


def why_not(form: str, dtype: str, device: str) -> str | None:
    """Tells why the operators cannot run in a form; None if they can.

    Args:
        form (str): The form.
        dtype (str): Name of the maps' dtype.
        device (str): 'cpu' or 'cuda'.
    """
    tensor = torch.empty(0, dtype=getattr(torch, dtype), device=device)
    with sapa_ops.use_backend(form):
        try:
            sapa_ops.backend_for(tensor)
        except RuntimeError as error:
            return str(error)
    return None


def describe_conditions(device: str) -> dict[str, Any]:
    """Describes what is measured, where and when.

    Args:
        device (str): 'cpu' or 'cuda'.

    Returns:
        dict: ``command``, ``date``, ``device``, ``torch``, ``sapa_ops`` with the commit of its
        sources, ``cpu_capability``, and the variables in the ``environment`` that matter.
    """
    capability = None
    if why_not('compiled', 'float32', 'cpu') is None:
        capability = torch.ops.sapa_ops_compiled.cpu_capability()
    return {
        'command': shlex.join(['python', *sys.argv]),
        'date': datetime.datetime.now().astimezone().isoformat(timespec='seconds'),
        'device': torch.cuda.get_device_name() if device == 'cuda' else cpu_model(),
        'torch': torch.__version__,
        'sapa_ops': f'{sapa_ops.__version__}, {_origin()}',
        'cpu_capability': capability,
        'environment': {k: v for k, v in sorted(os.environ.items()) if k.startswith(_VARIABLES)},
    }


def _origin() -> str:
    """The commit of the operators' sources, or else the folder that they were imported from."""
    folder = os.path.dirname(os.path.dirname(sapa_ops.__file__))  # csrc is beside the package

    def git(arguments: list[str]) -> str:
        command = ['git', '-C', folder, *arguments, '--', '.']
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        commit = git(['log', '-1', '--format=%h'])
        changed = git(['status', '--porcelain'])
    except (OSError, subprocess.CalledProcessError):
        commit = changed = ''
    return f'commit {commit}{" and changes" if changed else ""}' if commit else folder


def format_conditions(report: dict[str, Any]) -> str:
    """Formats the conditions in a report, with its ``load_average`` before and after.

    Args:
        report (dict): What ``describe_conditions`` gave, and ``load_average``.

    Returns:
        str: A paragraph.
    """
    capability = report['cpu_capability'] or 'not built'
    environment = ' '.join(f'{name}={value}' for name, value in report['environment'].items())
    before, after = report['load_average']
    return (
        f'{report["device"]}, torch {report["torch"]}, sapa_ops {report["sapa_ops"]} (compiled for '
        f'the CPU: {capability}), {report["date"]}. Load average before {before:.2f}, after '
        f'{after:.2f}.' + (f' Environment: {environment}.' if environment else '')
    )
