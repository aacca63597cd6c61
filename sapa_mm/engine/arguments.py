"""Command line options that several tools share, and how tools start."""

import argparse
import logging
from collections.abc import Callable
from typing import Any

from mmengine.config import Config

from ..utils.flags import exit_on
from .cfg_options import parse_value
from .checkpoint import CheckpointError, install_safe_loading
from .config import ConfigError
from .processes import LAUNCHERS


def start_tool(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """Parse the command line of a tool and make checkpoint loading safe in its process.

    Args:
        parser (argparse.ArgumentParser): The tool's parser.

    Returns:
        argparse.Namespace: The arguments.
    """
    args = parser.parse_args()
    install_safe_loading()
    return args


def run_config_tool(
    parser: argparse.ArgumentParser,
    prepare: Callable[..., Config],
    run: Callable[[Config, int], Any],
) -> None:
    """Run a tool that trains or tests a config.

    Args:
        parser (argparse.ArgumentParser): The tool's parser, with options of `add_run_arguments`.
        prepare (Callable): Takes the parsed arguments except ``local_rank``, returns the config.
        run (Callable): Takes the config and the local rank.
    """
    args = vars(start_tool(parser))
    # Where nobody reads the log any more, as after `| head`: it is in a file, too.
    logging.raiseExceptions = False
    local_rank = args.pop('local_rank')
    with exit_on(parser, OSError, ValueError):
        cfg = prepare(**args)
    with exit_on(parser, CheckpointError, ConfigError):
        run(cfg, local_rank)


class _CfgOptions(argparse.Action):
    """Reads ``key=value`` pairs, also of several ``--cfg-options``, into a dict."""

    def __call__(self, parser, namespace, values, option_string=None):
        options = dict(getattr(namespace, self.dest) or {})
        for text in values:
            key, is_pair, value = text.partition('=')
            if not (is_pair and key and value):
                parser.error(f'{option_string} takes key=value pairs, got {text!r}')
            try:
                options[key] = parse_value(value)
            except ValueError as error:
                parser.error(f'{option_string}: {key}: {error}')
        setattr(namespace, self.dest, options)


def add_cfg_options(parser: argparse.ArgumentParser, text: str) -> None:
    """Add ``--cfg-options``.

    Args:
        parser (argparse.ArgumentParser): The tool's parser.
        text (str): The help text.
    """
    parser.add_argument(
        '--cfg-options', nargs='+', action=_CfgOptions, metavar='KEY=VALUE', help=text
    )


def add_data_root(parser: argparse.ArgumentParser) -> None:
    """Add ``--data-root``, which moves the data of a config.

    Args:
        parser (argparse.ArgumentParser): The tool's parser.
    """
    parser.add_argument(
        '--data-root',
        metavar='FOLDER',
        help="folder of the data, in place of the config's data_root: for all datasets, and the "
        "evaluators' files in it",
    )


def add_run_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that training and testing share.

    Args:
        parser (argparse.ArgumentParser): The tool's parser.
    """
    parser.add_argument(
        '--work-dir', help='where logs and results go (default: ./work_dirs/<name of the config>)'
    )
    add_data_root(parser)
    add_cfg_options(
        parser, 'override settings of the config, such as train_cfg.max_iters=100 or key="[a,b]"'
    )
    parser.add_argument(
        '--launcher',
        choices=['none', *LAUNCHERS],
        default='none',
        help='job launcher (default: none)',
    )
    # torch.distributed.launch passes --local-rank, and --local_rank before torch 2.
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0)
