"""Train a model of mmseg or mmdet from a config."""

import argparse

from sapa_mm.engine import CheckpointError
from sapa_mm.engine.arguments import add_common_arguments, exit_on
from sapa_mm.engine.run import run_training
from sapa_mm.engine.training import prepare_training


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config file')
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        metavar='CHECKPOINT',
        help='continue from this checkpoint; without one, from the latest in the work directory',
    )
    parser.add_argument('--amp', action='store_true', help='train with automatic mixed precision')
    parser.add_argument(
        '--auto-scale-lr',
        action='store_true',
        help="scale the learning rate to the actual batch size by the config's auto_scale_lr",
    )
    add_common_arguments(parser)
    return parser.parse_args()


def main() -> None:
    """Run the tool."""
    args = parse_args()
    with exit_on(FileNotFoundError, ValueError):
        cfg = prepare_training(**vars(args))
    with exit_on(CheckpointError):
        run_training(cfg)


if __name__ == '__main__':
    main()
