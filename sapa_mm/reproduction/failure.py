"""Why a training run failed, in a line."""

import contextlib
import re
import signal

_REASON = re.compile(
    r'^(?:\[rank\d+\]:\s*)?'
    # Of torchrun's own, ChildFailedError only says that there is another.
    r'((?!\S*ChildFailedError)(?:\w+\.)*(?:\w*(?:Error|Exception)|(?<=\.)error)\b.*'
    r'|(?:\w+: )?error: .*)$',
    re.M,
)
#: As torchrun reports it. It ends the other processes by SIGTERM itself.
_KILLED = re.compile(r'Signal (\d+) \((?!SIGTERM\))SIG\w+\) received by PID')


class TrainingFailed(RuntimeError):
    """A training run ended with an error."""


def describe(error: Exception) -> str:
    """What an error is about.

    Args:
        error (Exception): The error.

    Returns:
        str: Its message; with the name of its class, unless that message is for users.
    """
    text = str(error)
    if text and isinstance(error, (TrainingFailed, FileNotFoundError, ValueError)):
        return text
    return f'{type(error).__name__}: {text}'


def find_reason(printed: str, code: int) -> str:
    """Why processes failed that left no reason themselves.

    Args:
        printed (str): What they printed.
        code (int): The exit code; negative for a signal, as of :mod:`subprocess`.

    Returns:
        str: The reason; the last error that was printed, if there is one.
    """
    killed = _KILLED.search(printed)
    number = int(killed[1]) if killed else -code if code < 0 else code - 128
    if killed or code < 0 or code > 128:
        with contextlib.suppress(ValueError):
            return f'killed by signal {number} ({signal.Signals(number).name})'
    reasons = _REASON.findall(printed)
    return reasons[-1].removeprefix('error: ') if reasons else f'exit code {code}'
