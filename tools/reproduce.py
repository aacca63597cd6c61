"""Rerun the paper's tables: list them, train their rows, report its figures beside ours.

Examples:
    python tools/reproduce.py list
    python tools/reproduce.py run --table 3 --scenes
    python tools/reproduce.py run --table 5 --launcher pytorch --gpus 8
    python tools/reproduce.py commands --table 5 --seeds 0 1 2
    python tools/reproduce.py latency
    python tools/reproduce.py report --table 3 5
"""

import argparse
import shlex
import sys
from functools import partial
from pathlib import Path

from mmengine.device import get_device

from sapa_mm.engine.arguments import add_cfg_options, start_tool
from sapa_mm.reproduction.latency import LATENCY_FILE, measure_latency
from sapa_mm.reproduction.launcher import LAUNCHERS, Launcher
from sapa_mm.reproduction.paper_tables import PAPER_TABLES, PaperTable
from sapa_mm.reproduction.report_formats import write_report
from sapa_mm.reproduction.table_runs import (
    Scenes,
    TableSettings,
    list_commands,
    list_runs,
    list_tables,
    run_tables,
)
from sapa_mm.utils.flags import exit_on, name_flags

ITERATIONS = 100


def seed(text: str) -> int:
    """Read a random seed, as numpy takes it."""
    if not text.isdecimal() or int(text) >= 2**32:
        raise argparse.ArgumentTypeError(f'takes integers from 0 to 2**32 - 1, got {text}')
    return int(text)


def make_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest='command', required=True)
    folders, training = (argparse.ArgumentParser(add_help=False) for _ in range(2))
    folders.add_argument(
        '--scenes',
        action='store_true',
        help='small models on generated data: the whole path, in minutes',
    )
    folders.add_argument(
        '--out',
        help='folder of the results (default: work_dirs/reproduce, with --scenes '
        'work_dirs/reproduce_scenes)',
    )
    folders.add_argument(
        '--configs',
        default=str(Path(__file__).parents[1] / 'configs'),
        help='folder of the configs (default: those beside this tool)',
    )
    training.add_argument('--launcher', choices=LAUNCHERS, default='none', help='default: none')
    training.add_argument(
        '--gpus',
        type=int,
        help='GPUs on each node, a process for each (default: 1, or 0 with --processes)',
    )
    training.add_argument(
        '--processes', type=int, help='processes on each node without GPUs (default: 1)'
    )
    training.add_argument(
        '--nodes', type=int, default=1, help='with --launcher slurm: nodes of each row (default: 1)'
    )
    training.add_argument(
        '--launcher-options',
        type=shlex.split,
        default='',
        metavar='TEXT',
        help="more options of torchrun or srun, such as='--partition=gpu --time=24:00:00'",
    )
    training.add_argument('--amp', action='store_true', help='train with automatic mixed precision')
    training.add_argument(
        '--iterations', type=int, help=f'with --scenes: of each run (default: {ITERATIONS})'
    )
    training.add_argument(
        '--data-root',
        help='with --scenes: folder of the generated data; written if missing (default: '
        'data/scenes, for matting data/mattes, for depth data/rooms)',
    )
    add_cfg_options(training, 'override settings of all configs')
    tables, runs = make_table_parser(), make_run_parser()
    for name, parents, text in (
        ('list', [tables, folders], 'tables, rows, configs, state of the runs'),
        ('report', [tables, folders], 'write report.md and report.html'),
        ('latency', [tables, folders], "time the upsamplers on this machine's device"),
        (
            'run',
            [runs, folders, training],
            'train; run again, it continues where it stopped; several at once share the rows',
        ),
        (
            'commands',
            [runs, folders, training],
            'print a command for each row and seed that is not finished, for a scheduler',
        ),
    ):
        commands.add_parser(name, parents=parents, help=text)
    return parser


def make_table_parser() -> argparse.ArgumentParser:
    """Make the parser of the tables."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument(
        '--table',
        nargs='+',
        type=int,
        choices=list(PAPER_TABLES),
        default=list(PAPER_TABLES),
        metavar='N',
        help=f"the paper's tables, of {', '.join(map(str, PAPER_TABLES))} (default: all)",
    )
    return parser


def make_run_parser() -> argparse.ArgumentParser:
    """Make the parser of the options that select runs: tables, rows, seeds."""
    parser = argparse.ArgumentParser(add_help=False, parents=[make_table_parser()])
    parser.add_argument(
        '--rows',
        nargs='+',
        default=[],
        metavar='ROW',
        help='numbers of rows, as listed, or names of upsamplers (default: all)',
    )
    parser.add_argument(
        '--seeds', nargs='+', type=seed, default=[0], metavar='SEED', help='(default: 0)'
    )
    return parser


def check_args(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    """Check the options that depend on others, and fill in their defaults."""
    if args.command in ('run', 'commands') and not args.scenes:
        for name in ('iterations', 'data_root'):
            if getattr(args, name) is not None:
                parser.error(f'--{name.replace("_", "-")} is for --scenes, which was not given')
    if args.out is None:
        args.out = 'work_dirs/reproduce_scenes' if args.scenes else 'work_dirs/reproduce'


def run(parser: argparse.ArgumentParser, args: argparse.Namespace, tables: list[PaperTable]) -> int:
    """Train rows, or print the commands that do; return the exit code."""
    launcher = Launcher(
        args.launcher, args.gpus, args.processes, args.nodes, tuple(args.launcher_options)
    )
    scenes = None
    if args.scenes:
        iterations = ITERATIONS if args.iterations is None else args.iterations
        scenes = Scenes(args.data_root, iterations)
    settings = TableSettings(args.configs, args.out, scenes, args.amp, args.cfg_options or {})
    runs = (tables, args.rows, args.seeds, settings)
    if args.command == 'commands':
        # Options that do not select runs are passed on as typed.
        options = make_run_parser().parse_known_args(sys.argv[2:])[1]
        for command in list_commands(list_runs(*runs), ['python', sys.argv[0], 'run'], options):
            print(command)
        return 0
    failures = run_tables(*runs, launcher)
    for failure in failures:
        print(f'error: {name_flags(failure, parser)}', file=sys.stderr)
    return 1 if failures else 0


def main() -> None:
    """Run the tool."""
    parser = make_parser()
    args = start_tool(parser)
    check_args(parser, args)
    tables = [PAPER_TABLES[number] for number in args.table]
    try:
        with exit_on(parser, OSError, ValueError):
            if args.command == 'list':
                print(list_tables(tables, args.out))
            elif args.command in ('run', 'commands'):
                sys.exit(run(parser, args, tables))
            elif args.command == 'latency':
                measure_latency(args.out, get_device(), on_progress=partial(print, flush=True))
                print(f'Written: {Path(args.out) / LATENCY_FILE}')
            else:
                text, files = write_report(tables, args.configs, args.out)
                print(f'{text}\nWritten: {", ".join(files)}')
    except KeyboardInterrupt:
        print('\nInterrupted; the same command continues from here.', file=sys.stderr)
        sys.exit(130)


if __name__ == '__main__':
    main()
