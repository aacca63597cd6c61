"""Test a model of mmseg or mmdet: measure it, and save or draw its predictions."""

import argparse

from sapa_mm.engine import CheckpointError
from sapa_mm.engine.arguments import add_run_arguments, start_tool
from sapa_mm.engine.testing import prepare_testing, run_testing
from sapa_mm.utils.flags import exit_on


def make_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='checkpoint file or address')
    parser.add_argument(
        '--out',
        help='save the predictions: mmseg: a folder of PNG label maps, mmdet: a .pkl file',
    )
    parser.add_argument('--show-dir', help='draw the predictions into this folder')
    parser.add_argument('--tta', action='store_true', help='test time augmentation')
    add_run_arguments(parser)
    return parser


def main() -> None:
    """Run the tool."""
    parser = make_parser()
    args = vars(start_tool(parser))
    local_rank = args.pop('local_rank')
    with exit_on(parser, FileNotFoundError, ValueError):
        cfg = prepare_testing(**args)
    with exit_on(parser, CheckpointError):
        run_testing(cfg, local_rank)


if __name__ == '__main__':
    main()
