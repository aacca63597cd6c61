"""Write a checkpoint's weights as safetensors, with config, metrics and a hash.

Example:
    python tools/publish.py CONFIG work_dirs/run/iter_80000.pth --metrics metrics.json --out weights
    python tools/test.py CONFIG weights/NAME-HASH.safetensors
"""

import argparse

from sapa_mm.engine.arguments import add_cfg_options, add_data_root, start_tool
from sapa_mm.engine.trained_model import publish
from sapa_mm.utils.flags import exit_on


def make_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='config file that the checkpoint was trained with')
    parser.add_argument('checkpoint', help='checkpoint')
    parser.add_argument('--metrics', help='JSON file of metrics, as tools/test.py writes it')
    parser.add_argument('--out', dest='folder', default='weights', help='folder (default: weights)')
    add_data_root(parser)
    add_cfg_options(parser, 'settings with which it was trained')
    return parser


def main() -> None:
    """Run the tool."""
    parser = make_parser()
    args = start_tool(parser)
    with exit_on(parser, OSError, ValueError):
        print(publish(**vars(args)))


if __name__ == '__main__':
    main()
