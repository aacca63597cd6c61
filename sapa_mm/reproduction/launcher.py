"""How a training run is started: in one process, by torchrun, or by Slurm."""

import argparse
import shutil
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
        ValueError: If the kind is unknown, a number is not positive, 'none' is asked for more
            than one process or given options, or 'pytorch' is not told this node's place among
            several.
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
        if self.kind == 'none' and self.options:
            raise ValueError(
                f"launcher 'none' takes no options, got {' '.join(self.options)}; "
                "choose 'pytorch' or 'slurm'"
            )
        if self.has_other_nodes:
            self._check_place()

    def _check_place(self) -> None:
        place = _place(self.options)
        if not (place.master_addr or place.rdzv_endpoint):
            raise ValueError(
                "launcher 'pytorch' on several nodes needs torchrun's options, such as "
                f'--node-rank=0 --master-addr=HOST, got {" ".join(self.options) or "none"}'
            )
        rank = place.node_rank or ''
        if not rank.isdecimal() or int(rank) >= self.nodes:
            raise ValueError(
                f"launcher 'pytorch' on {self.nodes} nodes needs --node-rank, an integer from 0 "
                f'to {self.nodes - 1}, another on each node, got {rank or "none"}'
            )

    @property
    def processes(self) -> int:
        """How many processes it starts, on all nodes."""
        return self.gpus * self.nodes

    @property
    def has_other_nodes(self) -> bool:
        """Whether the same is called on other nodes, too. Slurm is called on one, for all."""
        return self.kind == 'pytorch' and self.nodes > 1

    @property
    def is_first_node(self) -> bool:
        """Whether this call decides what is run; those on other nodes follow it."""
        return not self.has_other_nodes or int(_place(self.options).node_rank) == 0

    def check_program(self) -> None:
        """See that what it starts is installed.

        Raises:
            FileNotFoundError: If it is not.
        """
        if self.kind == 'slurm' and shutil.which('srun') is None:
            raise FileNotFoundError("launcher 'slurm': there is no srun on this machine's PATH")

    def command(self, module: str, arguments: Sequence[str], attempt: str = '') -> list[str]:
        """The command line that runs a module.

        Args:
            module (str): Its name, as after ``python -m``.
            arguments (Sequence[str]): Its arguments.
            attempt (str): On several nodes of torchrun, a name without which the processes of
                different runs may meet. Defaults to none.

        Returns:
            list[str]: The command line; with a launcher, the module is told which.
        """
        run = ['-m', module, *arguments]
        if self.kind == 'none':
            return [sys.executable, *run]
        run += ['--launcher', self.kind]
        if self.kind == 'pytorch':
            where = ['--standalone'] if self.nodes == 1 else [f'--nnodes={self.nodes}']
            count = f'--nproc-per-node={self.gpus}'
            torchrun = [sys.executable, '-m', 'torch.distributed.run', count, *where]
            # The last of an option holds.
            same = [f'--rdzv-id={attempt}'] if attempt else []
            return [*torchrun, *self.options, *same, *run]
        srun = [
            'srun',
            f'--nodes={self.nodes}',
            f'--ntasks={self.nodes * self.gpus}',
            f'--ntasks-per-node={self.gpus}',
            f'--gres=gpu:{self.gpus}',
            '--kill-on-bad-exit=1',
        ]
        return [*srun, *self.options, sys.executable, '-u', *run]


def _place(options: Sequence[str]) -> argparse.Namespace:
    """What torchrun's options say of this node and the first one, read as torchrun reads them."""
    parser = argparse.ArgumentParser(add_help=False)
    for name in ('node-rank', 'master-addr', 'rdzv-endpoint'):
        parser.add_argument(f'--{name}', f'--{name.replace("-", "_")}', nargs='?')
    return parser.parse_known_args(list(options))[0]
