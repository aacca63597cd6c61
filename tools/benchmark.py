"""Measure time and memory of SAPA's operators and of upsamplers against bilinear interpolation.

Example:
    python tools/benchmark.py --sizes 60 120 240 --kinds pipelines --out work_dirs/benchmark
"""

import argparse

from sapa_mm.analysis.benchmark.contestants import FORMS, KINDS, LAYOUTS, PASSES
from sapa_mm.analysis.benchmark.run import DEVICES, DTYPES, BenchmarkSettings, run_benchmark
from sapa_mm.utils.flags import exit_on


def make_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__.partition('\n')[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    defaults = vars(BenchmarkSettings())

    def add(name: str, text: str, *flags: str, **how) -> None:
        flags = flags or (f'--{name}',)
        parser.add_argument(*flags, dest=name, default=defaults[name], help=text, **how)

    add('sizes', 'sides of the low-res maps in pixels', type=int, nargs='+', metavar='SIZE')
    add('channels', 'channels of the maps, a multiple of 4', type=int)
    add('batch', 'maps in a batch', type=int)
    add('dtypes', 'number formats', nargs='+', choices=DTYPES)
    add('layouts', 'memory layouts of all maps', nargs='+', choices=LAYOUTS)
    add('passes', 'what each run computes', nargs='+', choices=PASSES)
    text = 'what is compared with bilinear'
    add('kinds', text, '--subjects', '--kinds', nargs='+', choices=KINDS)
    add('forms', 'forms of the operators', nargs='+', choices=FORMS)
    text = "modules or .py files whose upsamplers, registered in mmengine's MODELS, are timed too"
    add('imports', text, '--import', nargs='+', metavar='MODULE')
    add('device', 'where to run', choices=DEVICES)
    add('threads', 'CPU threads', type=int)
    add('repeats', 'maximum runs of a contestant, 3 or more', type=int)
    add('budget', 'seconds that a contestant may take beyond 3 runs', type=float)
    add('seed', 'seed of inputs, weights and the order of runs', type=int)
    parser.add_argument(
        '--no-memory',
        dest='memory',
        action='store_false',
        default=argparse.SUPPRESS,
        help='leave out peak memory',
    )
    add('out', 'folder for benchmark.json, benchmark.md and benchmark.png')
    return parser


def main() -> None:
    """Run the tool."""
    parser = make_parser()
    args = parser.parse_args()
    with exit_on(parser, ValueError, OSError):
        settings = BenchmarkSettings(**vars(args))
    with exit_on(parser):
        run_benchmark(settings)


if __name__ == '__main__':
    main()
