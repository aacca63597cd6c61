"""Train a model of mmseg or mmdet from a config."""

import argparse

from sapa_mm.engine.arguments import add_run_arguments, run_config_tool
from sapa_mm.engine.training import prepare_training, run_training


def make_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
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
    parser.add_argument(
        '--allow-partial',
        action='store_true',
        help='resume with what fits of a checkpoint that does not fit the model, and warn',
    )
    add_run_arguments(parser)
    return parser


def main() -> None:
    """Run the tool."""
    run_config_tool(make_parser(), prepare_training, run_training)


if __name__ == '__main__':
    main()
