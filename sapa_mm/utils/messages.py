"""Messages of one line."""

from collections.abc import Sequence


def one_line(error: BaseException) -> str:
    """The kind of an error and the first line of its message; some have pages of them."""
    first = str(error).strip().partition('\n')[0]
    return f'{type(error).__name__}: {first}' if first else type(error).__name__


def first_of(things: Sequence, most: int = 3) -> str:
    """Names a few things.

    Args:
        things (Sequence): The things.
        most (int): How many are named. Defaults to 3.

    Returns:
        str: Their names, with dots for those left out.
    """
    return ', '.join(map(str, things[:most])) + (', ...' if len(things) > most else '')
