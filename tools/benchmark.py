"""Measure time and memory of SAPA's operators and of upsamplers against bilinear interpolation.

Example:
    python tools/benchmark.py --threads 2 --out work_dirs/benchmark
    python tools/benchmark.py --sizes 120 15 30 60 240 --threads 2 1 --out work_dirs/scaling
"""

import argparse

from sapa_mm.analysis.benchmark.contestants import FORMS, KINDS, LAYOUTS, PASSES
from sapa_mm.analysis.benchmark.run import (
    DEVICES,
    DTYPES,
    PAGES,
    BenchmarkSettings,
    run_benchmark,
)
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

    def add_axis(name: str, text: str, *flags: str, metavar: str) -> None:
        text = f'{text}; values after the first take its place one at a time'
        add(name, text, *flags, type=int, nargs='+', metavar=metavar)

    add_axis('sizes', 'side of the low-res maps in pixels', metavar='SIZE')
    add_axis('channels', 'channels of the maps, a multiple of 4', metavar='CHANNELS')
    add_axis('batches', 'maps in a batch', '--batch', '--batches', metavar='BATCH')
    add_axis('threads', 'CPU threads', metavar='THREADS')
    add('dtypes', 'number formats', nargs='+', choices=DTYPES)
    add('layouts', 'memory layouts of all maps', nargs='+', choices=LAYOUTS)
    add('passes', 'what each run computes', nargs='+', choices=PASSES)
    text = 'what is compared with bilinear'
    add('kinds', text, '--subjects', '--kinds', nargs='+', choices=KINDS)
    add('forms', 'forms of the operators', nargs='+', choices=FORMS)
    text = "modules or .py files whose upsamplers, registered in mmengine's MODELS, are timed too"
    add('imports', text, '--import', nargs='+', metavar='MODULE')
    add('device', 'where to run', choices=DEVICES)
    text = 'write into memory fresh from the kernel, or reused (default on a CPU: both)'
    add('pages', text, nargs='+', choices=PAGES)
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
