"""How a training run is started: in one process, by torchrun, or by Slurm."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass

LAUNCHERS = ('none', 'pytorch', 'slurm')


@dataclass(frozen=True)
class Launcher:
    """Starts Python modules.

    Attributes:
        kind (str): 'none', one process; 'pytorch', torchrun on this node; or 'slurm', srun.
            Defaults to 'none'.
        gpus (int): Processes, and GPUs, on each node. Defaults to 1.
        nodes (int): Nodes. Defaults to 1.
        options (tuple[str, ...]): More options of torchrun or srun, such as
            ``--partition=gpu``. Defaults to none.

    Raises:
        ValueError: If the kind is unknown, a number is not positive, or 'none' is asked for more
            than one process.
    """

    kind: str = 'none'
    gpus: int = 1
    nodes: int = 1
    options: tuple[str, ...] = ()

    def __post_init__(self):
        if self.kind not in LAUNCHERS:
            raise ValueError(f'launcher must be one of {", ".join(LAUNCHERS)}, got {self.kind!r}')
        for name, value in (('gpus', self.gpus), ('nodes', self.nodes)):
            if value < 1:
                raise ValueError(f'{name} must be 1 or more, got {value}')
        if self.kind == 'none' and self.gpus * self.nodes > 1:
            raise ValueError(
                f"launcher 'none' starts one process, got gpus {self.gpus} and nodes {self.nodes}; "
                "choose 'pytorch' or 'slurm'"
            )
        if self.kind == 'pytorch' and self.nodes > 1 and not self.options:
            raise ValueError(
                "launcher 'pytorch' on several nodes needs torchrun's options, such as "
                '--node-rank=0 --master-addr=HOST, got none'
            )

    @property
    def is_first_node(self) -> bool:
        """Whether this call keeps the record of the runs; those on other nodes only take part."""
        ranks = [
            o.partition('=')[2]
            for o in self.options
            if o.startswith(('--node-rank', '--node_rank'))
        ]
        return self.kind != 'pytorch' or ranks in ([], ['0'])

    def command(self, module: str, arguments: Sequence[str]) -> list[str]:
        """The command line that runs a module.

        Args:
            module (str): Its name, as after ``python -m``.
            arguments (Sequence[str]): Its arguments.

        Returns:
            list[str]: The command line; with a launcher, the module gets ``--launcher`` too.
        """
        run = ['-m', module, *arguments]
        if self.kind == 'none':
            return [sys.executable, *run]
        run += ['--launcher', self.kind]
        if self.kind == 'pytorch':
            where = ['--standalone'] if self.nodes == 1 else [f'--nnodes={self.nodes}']
            count = f'--nproc-per-node={self.gpus}'
            torchrun = [sys.executable, '-m', 'torch.distributed.run', count, *where]
            return [*torchrun, *self.options, *run]
        srun = [
            'srun',
            f'--nodes={self.nodes}',
            f'--ntasks={self.nodes * self.gpus}',
            f'--ntasks-per-node={self.gpus}',
            f'--gres=gpu:{self.gpus}',
            '--kill-on-bad-exit=1',
        ]
        return [*srun, *self.options, sys.executable, '-u', *run]
