"""Train a model with its stock interpolation and with SAPA-D on generated data; compare them."""

import argparse
from pathlib import Path

from sapa_mm.engine.arguments import add_cfg_options, start_tool
from sapa_mm.reproduction.demo import DEMOS, run_demo
from sapa_mm.utils.flags import exit_on


def make_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    configs = Path(__file__).parents[1] / 'configs'
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        'task',
        nargs='?',
        choices=list(DEMOS),
        default='segmentation',
        help='SegFormer (default), Panoptic FPN, DepthFormer, or A2U matting',
    )
    parser.add_argument('--configs', default=str(configs), help='folder of the configs')
    parser.add_argument(
        '--data-root',
        help='the generated data; written if missing (default: data/scenes, data/rooms for depth, '
        'data/mattes for matting)',
    )
    parser.add_argument('--out', help='folder of the results (default: work_dirs/demo_TASK)')
    add_cfg_options(parser, 'override settings of both configs')
    return parser


def main() -> None:
    """Run the tool."""
    parser = make_parser()
    args = start_tool(parser)
    with exit_on(parser, OSError, ValueError):
        run_demo(**vars(args))


if __name__ == '__main__':
    main()
