"""Whether results can be written, before they are computed."""

import os
import tempfile


def check_writable(out: str) -> None:
    """Makes a folder if it is missing, and sees that files can be written to it.

    Args:
        out (str): The folder.

    Raises:
        OSError: If they cannot.
    """
    try:
        os.makedirs(out, exist_ok=True)
        with tempfile.TemporaryFile(dir=out):
            pass
    except OSError as error:
        raise OSError(f'out: no files can be written to {out}: {error.strerror}') from error
