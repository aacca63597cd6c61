"""Train a model with its stock interpolation and with SAPA-D on generated scenes; compare them."""

import argparse
from pathlib import Path

from sapa_mm.engine.arguments import CfgOptions
from sapa_mm.reproduction.demo import run_demo


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    configs = Path(__file__).parents[1] / 'configs'
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        'task',
        nargs='?',
        choices=['segmentation', 'detection'],
        default='segmentation',
        help='SegFormer (default), or Panoptic FPN',
    )
    parser.add_argument('--configs', default=str(configs), help='folder of the configs')
    parser.add_argument('--data-root', default='data/scenes', help='the scenes; made if missing')
    parser.add_argument('--out', default='demo_output', help='where results go')
    parser.add_argument(
        '--cfg-options', nargs='+', action=CfgOptions, help='override settings of both configs'
    )
    return parser.parse_args()


def main() -> None:
    """Run the tool."""
    run_demo(**vars(parse_args()))


if __name__ == '__main__':
    main()
