"""Processes of a training run: how they are started, how they end, and why they failed."""

import contextlib
import ctypes
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

LAUNCHERS = ('none', 'pytorch', 'slurm')
_PR_SET_PDEATHSIG = 1

_ERROR_LINE = re.compile(
    r'^(?:\[rank\d+\]:\s*)?'
    # torchrun's ChildFailedError and srun's line of a task only say that there was another error.
    r'(?!\S*ChildFailedError|srun: error: \S+: tasks? )'
    r'((?:\w+\.)*(?:\w*(?:Error|Exception)|(?<=\.)error)\b.*|(?:\w+: )?error: .*)$',
    re.M,
)
#: As torchrun reports it; by SIGTERM torchrun itself ends the other processes.
_SIGNAL_LINE = re.compile(r'Signal (\d+) \((?!SIGTERM\))SIG\w+\) received by PID')
#: Of a task that failed, after which srun ends the others, and of a job that was cancelled, ran out
#: of time or lost a node: what Slurm prints first.
_SLURM_LINE = re.compile(
    r'^(?P<task>srun: error: \S+: tasks? \S+: (?!Terminated).+)'
    r'|\*\*\* (?P<step>(?:STEP|JOB) .* CANCELLED AT .*) \*\*\*',
    re.M,
)


@dataclass(frozen=True)
class Launcher:
    """Command lines that run a Python module in one process or in several.

    Attributes:
        kind (str): 'none', one process; 'pytorch', torchrun on this node; or 'slurm', srun.
            Defaults to 'none'.
        gpus (int): GPUs on each node, a process for each; 0 hides them from the processes.
            Defaults to 1, or 0 if ``processes`` is given.
        processes (int): Processes on each node, if without GPUs. Defaults to ``gpus`` or 1.
        nodes (int): Nodes; more than one with 'slurm' only. Defaults to 1.
        options (tuple[str, ...]): More options of torchrun or srun, such as
            ``--partition=gpu``. Defaults to none.

    Raises:
        ValueError: If the kind is unknown, a number is too low, the processes are not one for each
            GPU, 'none' is asked for more than one process or given options, or 'pytorch' is asked
            for several nodes.
    """

    kind: str = 'none'
    gpus: int | None = None
    processes: int | None = None
    nodes: int = 1
    options: tuple[str, ...] = ()

    def __post_init__(self):
        if self.kind not in LAUNCHERS:
            raise ValueError(f'launcher must be one of {", ".join(LAUNCHERS)}, got {self.kind!r}')
        gpus, processes = self.gpus, self.processes
        if gpus is None:
            gpus = 1 if processes is None else 0
        if processes is None:
            processes = gpus or 1
        for name, value, lowest in (
            ('gpus', gpus, 0),
            ('processes', processes, 1),
            ('nodes', self.nodes, 1),
        ):
            if value < lowest:
                raise ValueError(f'{name} must be {lowest} or more, got {value}')
        if gpus and processes != gpus:
            raise ValueError(
                f'processes must be one for each of {gpus} `gpus`, got {processes}; '
                'give `processes` alone for processes without GPUs'
            )
        object.__setattr__(self, 'gpus', gpus)
        object.__setattr__(self, 'processes', processes)
        if self.kind == 'none' and self.world_size > 1:
            what = f'gpus {gpus}' if gpus else f'processes {processes}'
            raise ValueError(
                f"launcher 'none' starts one process, got {what} and nodes {self.nodes}; "
                "choose 'pytorch' or 'slurm'"
            )
        if self.kind == 'none' and self.options:
            raise ValueError(
                f"launcher 'none' takes no options, got {' '.join(self.options)}; "
                "choose 'pytorch' or 'slurm'"
            )
        if self.kind == 'pytorch' and self.nodes > 1:
            raise ValueError(
                f"nodes must be 1 with launcher 'pytorch', got {self.nodes}; choose 'slurm' for "
                'rows on several nodes, or start each row on a node of its own: '
                "'reproduce.py commands' prints a command for each"
            )

    @property
    def world_size(self) -> int:
        """Number of processes on all nodes."""
        return self.processes * self.nodes

    def check_program(self) -> None:
        """Check that the launcher is installed.

        Raises:
            FileNotFoundError: If it is not.
        """
        if self.kind == 'slurm' and shutil.which('srun') is None:
            raise FileNotFoundError("launcher 'slurm': there is no srun on this machine's PATH")

    def command(self, module: str, arguments: Sequence[str]) -> list[str]:
        """Make the command line that runs a module.

        Args:
            module (str): Its name, as after ``python -m``.
            arguments (Sequence[str]): Its arguments.

        Returns:
            list[str]: The command line; it names the launcher unless the kind is 'none'.
        """
        # Slurm leaves all GPUs of a node to a task that asked for none, unless cgroups hide them.
        python = ['env', 'CUDA_VISIBLE_DEVICES=-1'] if self.gpus == 0 else []
        python.append(sys.executable)
        run = ['-m', module, *arguments]
        if self.kind == 'none':
            return [*python, *run]
        run += ['--launcher', self.kind]
        if self.kind == 'pytorch':
            torchrun = ['-m', 'torch.distributed.run', f'--nproc-per-node={self.processes}']
            return [*python, *torchrun, '--standalone', *self.options, *run]
        srun = [
            'srun',
            f'--nodes={self.nodes}',
            f'--ntasks={self.world_size}',
            f'--ntasks-per-node={self.processes}',
            *([f'--gres=gpu:{self.gpus}'] if self.gpus else []),
            '--kill-on-bad-exit=1',
        ]
        return [*srun, *self.options, *python, '-u', *run]


@contextlib.contextmanager
def child_process(command: Sequence[str], **options) -> Iterator[subprocess.Popen]:
    """Start a process that ends with this one, however this one ends.

    Args:
        command (Sequence[str]): The command line.
        **options: Arguments of ``subprocess.Popen``.

    Yields:
        subprocess.Popen: The process. The ``with`` block waits for its end; if the block fails,
        the process is ended.
    """
    process = subprocess.Popen(command, preexec_fn=end_with_parent, **options)
    try:
        yield process
        process.wait()
    except BaseException:
        process.terminate()
        process.wait()
        raise


def end_with_parent() -> None:
    """Ask the kernel to end this process with its parent, so that it never trains unattended."""
    if sys.platform == 'linux':
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def find_reason(output: str, exit_code: int) -> str:
    """Find out why processes failed that did not record a reason.

    Args:
        output (str): What they printed.
        exit_code (int): Negative for a signal, as in ``subprocess``.

    Returns:
        str: Why Slurm cancelled them, the signal that killed them, the last error that they
            printed, or the exit code.
    """
    slurm = _SLURM_LINE.search(output)
    said = slurm and (slurm['task'] or slurm['step'])
    if said and ': Exited with ' not in said:
        return said
    killed = _SIGNAL_LINE.search(output)
    number = int(killed[1]) if killed else -exit_code if exit_code < 0 else exit_code - 128
    if not said and (killed or exit_code < 0 or exit_code > 128):
        with contextlib.suppress(ValueError):
            return f'killed by signal {number} ({signal.Signals(number).name})'
    errors = _ERROR_LINE.findall(output)
    return errors[-1].removeprefix('error: ') if errors else said or f'exit code {exit_code}'
