"""JSON files, with a word on what is wrong with one that cannot be read."""

import json
import os
from typing import Any


def read_json(path: str, name: str) -> Any:
    """Reads a JSON file.

    Args:
        path (str): The file.
        name (str): What error messages call it, such as the argument that it came from.

    Returns:
        Any: What it holds.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no complete JSON file.
    """
    if not os.path.isfile(path):
        raise FileNotFoundError(f'{name}: {path} is not a file')
    try:
        with open(path, 'rb') as file:
            return json.load(file)
    except (ValueError, RecursionError) as error:
        raise ValueError(
            f'{name}: {path} is not a complete JSON file ({error}); copy or download it again'
        ) from error
