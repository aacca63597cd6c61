"""Check the data of configs before training: folders, counts, and a sample of the files.

Example:
    python tools/check_data.py configs/mask_rcnn/mask-rcnn_r50_fpn-sapa-d_1x_coco.py
"""

import argparse
import itertools
import sys

from sapa_mm.datasets.checks import inspect_data
from sapa_mm.engine.arguments import add_cfg_options, add_data_root, start_tool
from sapa_mm.engine.config import in_scope, read_config
from sapa_mm.engine.settings import inspect_settings
from sapa_mm.utils.flags import exit_on, name_flags


def make_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('configs', nargs='+', help='config files')
    parser.add_argument(
        '--samples',
        type=int,
        default=200,
        help='images of each dataset to open, with their annotations (default: 200)',
    )
    parser.add_argument('--seed', type=int, default=0, help='seed of the sample (default: 0)')
    add_data_root(parser)
    add_cfg_options(
        parser, 'override settings of the configs, such as train_dataloader.dataset.ann_file=FILE'
    )
    return parser


def main() -> None:
    """Run the tool."""
    parser = make_parser()
    args = start_tool(parser)
    if args.samples < 0:
        parser.error(f'--samples takes 0 or more, got {args.samples}')
    errors = 0
    for config in args.configs:
        with exit_on(parser, FileNotFoundError, ValueError):
            cfg = read_config(config, args.cfg_options, args.data_root)
            print(config)
        with exit_on(parser), in_scope(cfg):
            data = inspect_data(cfg, args.samples, args.seed)
            for line in itertools.chain(data, inspect_settings(cfg)):
                print(f'{line.kind}: {name_flags(line.text, parser)}', flush=True)
                errors += line.kind == 'error'
    sys.exit(1 if errors else 0)


if __name__ == '__main__':
    main()
