"""Test a model: measure it, and save or draw its predictions."""

import argparse

from sapa_mm.engine.arguments import add_run_arguments, run_config_tool
from sapa_mm.engine.testing import OUT_FORMATS, prepare_testing, run_testing


def make_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='checkpoint file or address')
    parser.add_argument(
        '--out',
        help='save the predictions: a folder of label maps, depth maps or alpha mattes; mmdet: a '
        '.pkl file',
    )
    parser.add_argument(
        '--out-format',
        choices=OUT_FORMATS,
        default='png',
        help='png (default): depth in 16 bits of millimetres, alpha in 8 bits; npy: depth in '
        'float32 of metres; rgba: cut-outs of matting, without the colours of the old background',
    )
    parser.add_argument('--show-dir', help='draw the predictions into this folder')
    parser.add_argument('--tta', action='store_true', help='test time augmentation')
    parser.add_argument(
        '--allow-partial',
        action='store_true',
        help='load what fits of a checkpoint that does not fit the model, and warn',
    )
    add_run_arguments(parser)
    return parser


def main() -> None:
    """Run the tool."""
    run_config_tool(make_parser(), prepare_testing, run_testing)


if __name__ == '__main__':
    main()
