"""Train a small model with every upsampler on generated data and compare them over seeds.

Example:
    python tools/compare_upsamplers.py --task depth --upsamplers Bilinear SAPA-D --seeds 0 1
    python tools/compare_upsamplers.py --task matting --out work_dirs/upsamplers
"""

import argparse
import sys
from pathlib import Path

from sapa_mm.engine.arguments import add_cfg_options, start_tool
from sapa_mm.reproduction.upsampler_comparison import COMPARISONS, UPSAMPLERS, compare_upsamplers
from sapa_mm.utils.flags import exit_on, name_flags


def make_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    configs = Path(__file__).parents[1] / 'configs'
    parser = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
    parser.add_argument(
        '--task',
        choices=list(COMPARISONS),
        required=True,
        help='DepthFormer or A2U matting (SegFormer: `reproduce.py study`)',
    )
    parser.add_argument(
        '--upsamplers',
        nargs='+',
        choices=UPSAMPLERS,
        help='what to compare; the others are compared with the first (default: all)',
    )
    parser.add_argument(
        '--seeds', nargs='+', type=int, default=[0, 1, 2], help='random seeds (default: 0 1 2)'
    )
    parser.add_argument('--configs', default=str(configs), help='folder of the configs')
    parser.add_argument(
        '--data-root',
        help='the generated data; written if missing (default: data/rooms for depth, '
        'data/mattes for matting)',
    )
    parser.add_argument(
        '--out',
        help='folder of the results; run again with the same one, the tool continues (default: '
        'work_dirs/upsamplers_TASK)',
    )
    add_cfg_options(parser, 'override settings of all configs')
    return parser


def main() -> None:
    """Run the tool."""
    parser = make_parser()
    args = start_tool(parser)
    with exit_on(parser, OSError, ValueError):
        failures = compare_upsamplers(**vars(args))
    for failure in failures:
        print(f'error: {name_flags(failure, parser)}', file=sys.stderr)
    sys.exit(1 if failures else 0)


if __name__ == '__main__':
    main()
