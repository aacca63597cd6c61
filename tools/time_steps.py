"""Time training steps of segmentors on random images, such as one with SAPA against bilinear.

Example:
    python tools/time_steps.py configs/segformer/segformer_mit-b1_bilinear_8xb2*.py \\
        configs/segformer/segformer_mit-b1_sapa-d_8xb2*.py --threads 1 2
"""

import argparse

from sapa_mm.analysis.benchmark.steps import time_steps
from sapa_mm.engine.arguments import add_cfg_options, start_tool
from sapa_mm.utils.flags import exit_on


def make_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
    parser.add_argument('configs', nargs='+', help='config files, compared with the first')
    parser.add_argument(
        '--threads', type=int, nargs='+', help="numbers of CPU threads (default: torch's own)"
    )
    parser.add_argument('--side', type=int, help="side of the images (default: the config's crop)")
    parser.add_argument('--batch', type=int, default=2, help='images in a batch (default: 2)')
    parser.add_argument(
        '--repeats', type=int, default=7, help='steps of each, 3 or more (default: 7)'
    )
    parser.add_argument('--device', choices=['cpu', 'cuda'], help='where to run (default: a GPU)')
    parser.add_argument('--out', help='a Markdown file for the report')
    add_cfg_options(parser, 'override settings of all configs')
    return parser


def main() -> None:
    """Run the tool."""
    parser = make_parser()
    args = start_tool(parser)
    with exit_on(parser, OSError, ValueError):
        time_steps(**vars(args))


if __name__ == '__main__':
    main()
