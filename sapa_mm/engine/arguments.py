"""Command line arguments that the tools share."""

import argparse
import contextlib
import sys
from collections.abc import Iterator

from mmengine.config import DictAction


class CfgOptions(DictAction):
    """``key=value`` pairs; unlike mmengine's action, it says what is wrong with one that is not."""

    def __call__(self, parser, namespace, values, option_string=None):  # noqa: D102
        for value in values:
            if '=' not in value:
                parser.error(f'{option_string} takes key=value pairs, got {value!r}')
        super().__call__(parser, namespace, values, option_string)


def add_common_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what training and testing have in common.

    Args:
        parser (argparse.ArgumentParser): The tool's parser.
    """
    parser.add_argument(
        '--work-dir', help='where logs and results go (default: ./work_dirs/<name of the config>)'
    )
    add_cfg_options(
        parser, 'override settings of the config, such as train_cfg.max_iters=100 or key="[a,b]"'
    )
    parser.add_argument(
        '--launcher',
        choices=['none', 'pytorch', 'slurm', 'mpi'],
        default='none',
        help='job launcher (default: none)',
    )
    # torch.distributed.launch passes --local-rank, and --local_rank before torch 2.
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0)


def add_cfg_options(parser: argparse.ArgumentParser, text: str) -> None:
    """Add ``--cfg-options``.

    Args:
        parser (argparse.ArgumentParser): The tool's parser.
        text (str): What its help says.
    """
    parser.add_argument(
        '--cfg-options', nargs='+', action=CfgOptions, metavar='KEY=VALUE', help=text
    )


@contextlib.contextmanager
def exit_on(*errors: type[Exception]) -> Iterator[None]:
    """End the program with one line and exit code 2 on errors that the user can mend.

    Args:
        *errors (type): The kinds of errors.
    """
    try:
        yield
    except errors as error:
        print(f'error: {error}', file=sys.stderr)
        sys.exit(2)
