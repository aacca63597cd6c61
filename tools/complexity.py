"""Count parameters and multiply-adds of configs, or of the paper's tables, beside its figures.

Example:
    python tools/complexity.py --table 3
    python tools/complexity.py configs/upernet/upernet_r50_sapa-d_8xb2-80k_ade20k-512x512.py
"""

import argparse
import sys
from pathlib import Path

from sapa_mm.analysis.complexity_report import FORMATS
from sapa_mm.engine.arguments import start_tool
from sapa_mm.reproduction.complexity_tables import make_report
from sapa_mm.reproduction.paper_tables import PAPER_TABLES
from sapa_mm.utils.files import check_writable, write_whole
from sapa_mm.utils.flags import exit_on
from sapa_mm.utils.text import printable


def make_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
    parser.add_argument('configs', nargs='*', help='config files')
    parser.add_argument(
        '--table',
        dest='tables',
        nargs='+',
        type=int,
        choices=[1, *PAPER_TABLES],
        default=[],
        help="the paper's tables",
    )
    parser.add_argument(
        '--shape',
        nargs=2,
        type=int,
        metavar=('H', 'W'),
        help='size of the input (default: 800 1333 for detectors, else the crop)',
    )
    parser.add_argument(
        '--format', dest='form', choices=FORMATS, default='md', help='output format'
    )
    parser.add_argument('--out', help='file to write to (default: standard output)')
    parser.add_argument(
        '--root', default=str(Path(__file__).parents[1] / 'configs'), help='folder of the configs'
    )
    return parser


def main() -> None:
    """Run the tool."""
    parser = make_parser()
    args = vars(start_tool(parser))
    if not args['configs'] and not args['tables']:
        parser.error('name config files or --table')
    out = args.pop('out')
    with exit_on(parser, OSError, ValueError):
        if out is not None:
            check_writable(out, 'out')
        report, problems = make_report(**args)
        if out is None:
            print(report, end='')
        elif report:
            write_whole(out, report)
    for problem in problems:
        print(f'error: {printable(problem)}', file=sys.stderr)
    if problems:
        sys.exit(2)


if __name__ == '__main__':
    main()
