"""Errors of the library as messages about the flags of a tool.

The library speaks of Python arguments, because scripts call it as well as the tools. A message
names an argument of the called function in one of two ways::

    raise ValueError('out: report.jpg cannot be written')       # first, before ': ',
    raise ValueError('sample must be in 0..9, got 12')          # ' must ', ' needs ' or ' takes '
    raise ValueError('give one of `image` and `sample`')        # anywhere, in backquotes

``exit_on`` prints these with the flags of the tool's parser in place of the names::

    error: --out: report.jpg cannot be written
    error: --sample must be in 0..9, got 12
    error: give one of --image and --sample

A name is looked up among the destinations (``dest``) of the parser's options; any other stays as it
is, so positional arguments keep their names.
"""

import argparse
import contextlib
import os
import re
import select
import sys
from collections.abc import Iterator

from .text import printable

_ARGUMENT = re.compile(r'^(\w+)(?=: | must | needs | takes )|`(\w+)`')


@contextlib.contextmanager
def exit_on(parser: argparse.ArgumentParser, *errors: type[Exception]) -> Iterator[None]:
    """End the program with one line and exit code 2 on errors that the user can mend.

    It ends without a word, with exit code 1, when nobody reads what it prints any more, as after
    ``| head``.

    Args:
        parser (argparse.ArgumentParser): The tool's parser, whose flags the message names.
        *errors (type): The kinds of errors.
    """
    try:
        try:
            yield
        finally:
            # At its exit, Python would report what it cannot write.
            sys.stdout.flush()
    except Exception as error:
        if isinstance(error, BrokenPipeError) and _lost_reader():
            sys.exit(1)
        if not isinstance(error, errors):
            raise
        print(f'error: {name_flags(str(error), parser)}', file=sys.stderr)
        sys.exit(2)


def _lost_reader() -> bool:
    """Whether standard output is a pipe that nobody reads; what is left then goes nowhere."""
    output = sys.stdout.fileno()
    poll = select.poll()
    poll.register(output, 0)
    if not poll.poll(0):  # without errors
        return False
    os.dup2(os.open(os.devnull, os.O_WRONLY), output)
    return True


def name_flags(message: str, parser: argparse.ArgumentParser) -> str:
    """Replace the names of arguments in a message with the flags of a parser.

    Control characters, which may come from a file, are escaped.

    Args:
        message (str): A message of the library; the module's docstring says how it names arguments.
        parser (argparse.ArgumentParser): The tool's parser.

    Returns:
        str: The message for users of the tool.
    """
    flags = _flags(parser)
    message = printable(message)
    return _ARGUMENT.sub(lambda match: flags.get(match[1] or match[2], match[0]), message)


def _flags(parser: argparse.ArgumentParser) -> dict[str, str]:
    """Map the destination of every option, those of subcommands included, to its flag."""
    flags = {}
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                flags.update(_flags(command))
        elif action.option_strings:
            flags[action.dest] = action.option_strings[-1]
    return flags
