import argparse
import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from sapa_mm.utils.flags import exit_on, name_flags

ROOT = Path(__file__).parents[2]


@pytest.fixture
def parser():
    parser = argparse.ArgumentParser()
    parser.add_argument('config')
    parser.add_argument('--work_dir', '--work-dir')
    parser.add_argument('--out', dest='folder')
    commands = parser.add_subparsers()
    commands.add_parser('run').add_argument('-o', '--cfg-options')
    return parser


@pytest.mark.parametrize(
    ('message', 'printed'),
    [
        ('work_dir: /x is not a folder', '--work-dir: /x is not a folder'),
        ('folder must be new, got work_dir', '--out must be new, got work_dir'),
        ('cfg_options takes a dict', '--cfg-options takes a dict'),
        ('work_dir needs a `folder`', '--work-dir needs a --out'),
        ('config: no `model` in `cfg_options`', 'config: no `model` in --cfg-options'),
        ('folder of work_dir: empty', 'folder of work_dir: empty'),
        ("[Errno 2] No such file: 'work_dir: a'", "[Errno 2] No such file: 'work_dir: a'"),
    ],
)
def test_arguments_become_flags(parser, message, printed):
    assert name_flags(message, parser) == printed


def test_an_error_becomes_one_line_and_exit_code_2(parser, capsys):
    with pytest.raises(SystemExit) as end, exit_on(parser, OSError, ValueError):
        raise FileNotFoundError('folder: gone')
    assert end.value.code == 2
    assert capsys.readouterr().err == 'error: --out: gone\n'
    with pytest.raises(SystemExit), exit_on(parser, ValueError):
        raise ValueError('folder: \x1b[2J\n\udcff')
    assert capsys.readouterr().err == 'error: --out: \\x1b[2J\\n\\udcff\n'
    with pytest.raises(KeyError), exit_on(parser, OSError, ValueError):
        raise KeyError('folder')


@pytest.mark.parametrize('lines', [1, 100_000])
@pytest.mark.parametrize('errors', ['', ', OSError'])
@pytest.mark.parametrize('end', ['', 'sys.exit(3)'])
def test_nobody_reads_the_output(lines, errors, end):
    """As after ``| head``: whether print notices, or the flush at the end."""
    script = f"""
import argparse, sys, time
from sapa_mm.utils.flags import exit_on
sys.stdin.read()
with exit_on(argparse.ArgumentParser(){errors}):
    for _ in range({lines}):
        print('a line')
    {end}
"""
    with subprocess.Popen(
        [sys.executable, '-c', script],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        process.stdout.close()
        process.stdout = None
        assert process.communicate() == (None, b'')
    assert process.returncode == 1


def test_another_broken_pipe_is_an_error(parser, capfd):
    with pytest.raises(BrokenPipeError), exit_on(parser, ValueError):
        raise BrokenPipeError
    with pytest.raises(SystemExit), exit_on(parser, OSError):
        raise BrokenPipeError('a socket')
    assert capfd.readouterr().err == 'error: a socket\n'


def option_strings(path):
    """The flags that a module gives to ``add_argument``."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and getattr(node.func, 'attr', None) == 'add_argument':
            for argument in node.args:
                if isinstance(argument, ast.Constant) and argument.value.startswith('--'):
                    yield argument.value


def texts(node, builds_command=False):
    """The strings in a syntax tree except those that build a command line: the items of
    lists and tuples that begin with dashes, and the arguments of ``add_argument``."""
    if isinstance(node, ast.Call) and getattr(node.func, 'attr', None) == 'add_argument':
        return
    if isinstance(node, ast.JoinedStr) and builds_command:
        node = node.values[0]  # what follows is a value
    is_text = isinstance(node, ast.Constant) and isinstance(node.value, str)
    if is_text and not (builds_command and node.value.startswith('--')):
        yield node.value
    for child in ast.iter_child_nodes(node):
        yield from texts(child, isinstance(node, (ast.List, ast.Tuple)))


FLAGS = {
    flag
    for path in (*ROOT.glob('tools/*.py'), ROOT / 'sapa_mm/engine/arguments.py')
    for flag in option_strings(path)
}


def spoken_flags(source):
    """The flags of our tools that the strings of a module mention."""
    for text in texts(ast.parse(source)):
        yield from FLAGS & set(re.findall(r'--\w[\w-]*', text))


def test_the_library_does_not_speak_of_flags():
    speaking = {
        str(path.relative_to(ROOT)): flags
        for path in ROOT.glob('sapa_mm/**/*.py')
        if path.name not in ('arguments.py', 'flags.py')
        and (flags := set(spoken_flags(path.read_text())))
    }
    assert not speaking


@pytest.mark.parametrize(
    'source', ["raise ValueError(f'--out: {x}')", '"""See --cfg-options."""', "print('a', '--tta')"]
)
def test_a_spoken_flag_is_found(source):
    assert list(spoken_flags(source))


def test_a_command_line_is_allowed():
    assert not list(spoken_flags("run = ['srun', f'--nodes={n}']; p.add_argument('--launcher')"))
