"""Rerun the paper's tables, and our study: list them, train their rows, report the figures.

Examples:
    python tools/reproduce.py list
    python tools/reproduce.py run --table 3 --scenes
    python tools/reproduce.py run --table 5 --launcher pytorch --gpus 8
    python tools/reproduce.py commands --table 5 --seeds 0 1 2
    python tools/reproduce.py latency
    python tools/reproduce.py report --table 3 5
    python tools/reproduce.py study run --study camvid --weights mobilenet_v2.pth
    python tools/reproduce.py study report --out work_dirs/study
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
from sapa_mm.reproduction.study.studies import STUDIES
from sapa_mm.reproduction.study.study_costs import time_study
from sapa_mm.reproduction.study.study_report import write_study
from sapa_mm.reproduction.study.study_runs import (
    StudySettings,
    list_states,
    list_study,
    run_study,
)
from sapa_mm.reproduction.table_runs import (
    Scenes,
    TableSettings,
    list_runs,
    list_tables,
    run_tables,
)
from sapa_mm.reproduction.train_all import list_commands
from sapa_mm.utils.flags import exit_on, name_flags

ITERATIONS = 100
STUDY_OUT = 'work_dirs/study'


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
    launching = make_launcher_parser()
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
            [runs, folders, launching, training],
            'train; run again, it continues where it stopped; several at once share the rows',
        ),
        (
            'commands',
            [runs, folders, launching, training],
            'print a command for each row and seed that is not finished, for a scheduler',
        ),
    ):
        commands.add_parser(name, parents=parents, help=text)
    help = 'which upsampler to take: a study on generated scenes and on CamVid'
    add_study(commands.add_parser('study', help=help, description=f'Study {help}.'))
    return parser


def make_launcher_parser() -> argparse.ArgumentParser:
    """Make the parser of how processes are started."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument('--launcher', choices=LAUNCHERS, default='none', help='default: none')
    parser.add_argument(
        '--gpus',
        type=int,
        help='GPUs on each node, a process for each (default: 1, or 0 with --processes)',
    )
    parser.add_argument(
        '--processes', type=int, help='processes on each node without GPUs (default: 1)'
    )
    parser.add_argument(
        '--nodes', type=int, default=1, help='with --launcher slurm: nodes of each row (default: 1)'
    )
    parser.add_argument(
        '--launcher-options',
        type=shlex.split,
        default='',
        metavar='TEXT',
        help="more options of torchrun or srun, such as='--partition=gpu --time=24:00:00'",
    )
    return parser


def add_study(parser: argparse.ArgumentParser) -> None:
    """Add the subcommands of the study."""
    commands = parser.add_subparsers(dest='action', required=True)
    configs, training = (argparse.ArgumentParser(add_help=False) for _ in range(2))
    configs.add_argument(
        '--configs',
        default=str(Path(__file__).parents[1] / 'configs'),
        help='folder of the configs (default: those beside this tool)',
    )
    training.add_argument('--out', default=STUDY_OUT, help=f'folder of results ({STUDY_OUT})')
    training.add_argument(
        '--data-root',
        help='with one study: folder of its data (default: data/camvid, or data/study_STUDY, '
        'written if missing)',
    )
    training.add_argument(
        '--weights',
        help="with camvid: file of the backbone's weights (default: mmseg's, downloaded)",
    )
    training.add_argument('--iterations', type=int, help='of each run, to try it')
    add_cfg_options(training, 'override settings of all configs')
    parents = [make_study_run_parser(), configs, training, make_launcher_parser()]
    for name, text in (
        ('list', 'the runs and their states'),
        ('run', 'train; run again, it continues where it stopped; several at once share the runs'),
        ('commands', 'print a command for each run that is not finished, for a scheduler'),
    ):
        commands.add_parser(name, parents=parents, help=text)
    parents, help = [make_study_parser(), configs, training], 'time training steps in turns'
    commands.add_parser('time', parents=parents, help=help)
    parents, help = [make_study_parser(), configs], 'write report.md and pictures'
    report = commands.add_parser('report', parents=parents, help=help)
    report.add_argument(
        '--out',
        nargs='+',
        default=[STUDY_OUT],
        help=f'folders of results, of several machines; the report goes to the first ({STUDY_OUT})',
    )
    report.add_argument(
        '--pages',
        nargs='+',
        default=[],
        help='pages whose tables are replaced, such as docs/study.md, beside whose first the '
        'pictures go',
    )


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
    add_rows(parser, 'numbers of rows, as listed, or names of upsamplers (default: all)', [0])
    return parser


def make_study_parser() -> argparse.ArgumentParser:
    """Make the parser of the studies."""
    parser = argparse.ArgumentParser(add_help=False)
    names = list(STUDIES)
    parser.add_argument('--study', nargs='+', choices=names, default=names, help='(default: all)')
    return parser


def make_study_run_parser() -> argparse.ArgumentParser:
    """Make the parser of the options that select runs of the study."""
    parser = argparse.ArgumentParser(add_help=False, parents=[make_study_parser()])
    add_rows(parser, 'titles of rows, as listed (default: all)', None)
    return parser


def add_rows(parser: argparse.ArgumentParser, help: str, seeds: list[int] | None) -> None:
    """Add the options that select rows and seeds; None for the seeds of each row."""
    parser.add_argument('--rows', nargs='+', default=[], metavar='ROW', help=help)
    default = "each row's" if seeds is None else ' '.join(map(str, seeds))
    parser.add_argument(
        '--seeds',
        nargs='+',
        type=seed,
        default=seeds,
        metavar='SEED',
        help=f'(default: {default})',
    )


def check_args(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    """Check the options that depend on others, and fill in their defaults."""
    if args.command in ('run', 'commands') and not args.scenes:
        for name in ('iterations', 'data_root'):
            if getattr(args, name) is not None:
                parser.error(f'--{name.replace("_", "-")} is for --scenes, which was not given')
    if args.out is None:
        args.out = 'work_dirs/reproduce_scenes' if args.scenes else 'work_dirs/reproduce'


def make_launcher(args: argparse.Namespace) -> Launcher:
    """Make what starts the processes."""
    return Launcher(
        args.launcher, args.gpus, args.processes, args.nodes, tuple(args.launcher_options)
    )


def print_failures(parser: argparse.ArgumentParser, failures: list[str]) -> int:
    """Print why runs failed; return the exit code."""
    for failure in failures:
        print(f'error: {name_flags(failure, parser)}', file=sys.stderr)
    return 1 if failures else 0


def run(parser: argparse.ArgumentParser, args: argparse.Namespace, tables: list[PaperTable]) -> int:
    """Train rows, or print the commands that do; return the exit code."""
    launcher = make_launcher(args)
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
    return print_failures(parser, run_tables(*runs, launcher))


def study(parser: argparse.ArgumentParser, args: argparse.Namespace) -> int:
    """Do what is asked of the study; return the exit code."""
    studies = [STUDIES[name] for name in args.study]
    if args.action == 'report':
        if args.pages and len(studies) < len(STUDIES):
            parser.error('--pages take the tables of all studies, leave out --study')
        text, files = write_study(studies, args.out, args.configs, args.pages)
        print(f'{text}\nWritten: {", ".join(files)}')
        return 0
    settings = StudySettings(
        args.configs,
        args.out,
        args.data_root,
        args.iterations,
        args.weights,
        args.cfg_options or {},
    )
    if args.action == 'time':
        time_study(studies, settings)
        return 0
    runs = (studies, args.rows, args.seeds, settings)
    if args.action == 'list':
        print(list_states(list_study(*runs)))
    elif args.action == 'commands':
        options = make_study_run_parser().parse_known_args(sys.argv[3:])[1]
        program = ['python', sys.argv[0], 'study', 'run']
        for command in list_commands(list_study(*runs), program, options):
            print(command)
    else:
        return print_failures(parser, run_study(*runs, make_launcher(args)))
    return 0


def main() -> None:
    """Run the tool."""
    parser = make_parser()
    args = start_tool(parser)
    try:
        with exit_on(parser, OSError, ValueError):
            if args.command == 'study':
                sys.exit(study(parser, args))
            check_args(parser, args)
            tables = [PAPER_TABLES[number] for number in args.table]
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
