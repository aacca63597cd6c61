"""Test a model of mmseg or mmdet: measure it, and save or draw its predictions."""

import argparse

from sapa_mm.engine import CheckpointError
from sapa_mm.engine.arguments import add_common_arguments, exit_on
from sapa_mm.engine.run import run_testing
from sapa_mm.engine.testing import prepare_testing


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='checkpoint file or address')
    parser.add_argument(
        '--out',
        help='save the predictions: mmseg: a folder of PNG label maps, mmdet: a .pkl file',
    )
    parser.add_argument('--show-dir', help='draw the predictions into this folder')
    parser.add_argument('--tta', action='store_true', help='test time augmentation')
    add_common_arguments(parser)
    return parser.parse_args()


def main() -> None:
    """Run the tool."""
    args = parse_args()
    with exit_on(FileNotFoundError, ValueError):
        cfg = prepare_testing(**vars(args))
    with exit_on(CheckpointError):
        run_testing(cfg)


if __name__ == '__main__':
    main()
