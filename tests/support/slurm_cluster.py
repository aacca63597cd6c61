"""A Slurm of one node with two fake GPUs, from Debian's packages ``slurm-wlm`` and ``munge``.

It needs no systemd and no cgroups, has a folder and ports of its own, and leaves no process behind.

    python tests/support/slurm_cluster.py srun --ntasks=2 --gres=gpu:2 hostname
"""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from sapa_mm.reproduction.launcher import child_process

PROGRAMS = ('munged', 'slurmctld', 'slurmd', 'srun', 'scancel', 'sinfo', 'squeue')
_PATH = os.pathsep.join([os.environ['PATH'], '/usr/sbin'])
_SECONDS = 60

_SLURM_CONF = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmdPort={node_port}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
# Without cgroups and systemd.
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
# Whatever this machine has.
SlurmdParameters=config_overrides
ReturnToService=2
KillWait=2
GresTypes=gpu
NodeName={host} NodeAddr=127.0.0.1 CPUs=8 Gres=gpu:2 State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


def why_not() -> str | None:
    """Why a cluster cannot be started on this machine; None if it can."""
    missing = [name for name in PROGRAMS if shutil.which(name, path=_PATH) is None]
    if missing:
        return f'needs slurm-wlm and munge: there is no {", ".join(missing)}'
    return None if os.geteuid() == 0 else 'the daemons run as root'


@contextlib.contextmanager
def slurm_cluster(folder: str | Path) -> Iterator[dict[str, str]]:
    """Run a cluster in a new folder.

    Yields:
        dict: The environment in which Slurm's commands find it.
    """
    folder = Path(folder).absolute()
    host = socket.gethostname().partition('.')[0]
    (folder / 'state').mkdir(parents=True)
    (folder / 'spool').mkdir()
    key = folder / 'munge.key'
    key.write_bytes(os.urandom(128))
    key.chmod(0o400)
    for number in range(2):
        # Slurm takes devices only.
        (folder / f'gpu{number}').symlink_to('/dev/null')
    (folder / 'gres.conf').write_text(f'Name=gpu File={folder}/gpu[0-1]\n')
    controller_port, node_port = _free_ports(2)
    conf = folder / 'slurm.conf'
    conf.write_text(
        _SLURM_CONF.format(
            host=host, folder=folder, controller_port=controller_port, node_port=node_port
        )
    )
    environment = {**os.environ, 'PATH': _PATH, 'SLURM_CONF': str(conf)}
    munged = ['munged', '--foreground', '--force', f'--key-file={key}']
    munged += [f'--socket={folder}/munge.socket', f'--pid-file={folder}/munged.pid']
    munged += [f'--seed-file={folder}/munged.seed']
    with contextlib.ExitStack() as stack:
        for command in (munged, ['slurmctld', '-D'], ['slurmd', '-D', '-N', host]):
            stack.enter_context(_daemon(command, folder, environment))
        stack.callback(_cancel_jobs, environment)
        _wait(lambda: _ask(['sinfo', '-h', '-o', '%T'], environment) == 'idle', 'no idle node')
        yield environment


@contextlib.contextmanager
def _daemon(command, folder, environment):
    with (
        open(folder / f'{command[0]}.log', 'w') as log,
        child_process(command, env=environment, stdout=log, stderr=log) as process,
    ):
        try:
            yield
        finally:
            process.terminate()


def _cancel_jobs(environment):
    """Their processes would outlive the daemons."""
    _ask(['scancel', '--user=root'], environment)
    _wait(lambda: not _ask(['squeue', '-h'], environment), 'jobs do not end')


def _ask(command, environment):
    return subprocess.run(command, env=environment, capture_output=True, text=True).stdout.strip()


def _wait(is_true, otherwise):
    deadline = time.monotonic() + _SECONDS
    while not is_true():
        if time.monotonic() > deadline:
            raise TimeoutError(f'{otherwise} after {_SECONDS} s')
        time.sleep(0.1)


def _free_ports(number):
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(number)]
        for one in sockets:
            one.bind(('', 0))
        return [one.getsockname()[1] for one in sockets]


if __name__ == '__main__':
    if why_not():
        sys.exit(f'error: {why_not()}')
    with tempfile.TemporaryDirectory() as parent, slurm_cluster(f'{parent}/slurm') as own:
        code = subprocess.run(sys.argv[1:], env=own).returncode
    sys.exit(code)
