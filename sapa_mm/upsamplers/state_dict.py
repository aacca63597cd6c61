"""Other projects' names in state dicts."""

from collections.abc import Mapping
from typing import Any


def rename_keys(state_dict: dict[str, Any], prefix: str, renamed: Mapping[str, str | None]) -> None:
    """Renames modules and parameters in a state dict, in place.

    A key whose new name is taken stays as it is, so that strict loading reports it.

    Args:
        state_dict (dict[str, Any]): The state dict.
        prefix (str): What the keys of the module begin with; '' or it ends with a dot.
        renamed (Mapping[str, str | None]): Their name of a module or parameter, and ours; None to
            remove one that has no effect on the output.
    """
    for theirs, ours in renamed.items():
        start = f'{prefix}{theirs}'
        for key in [key for key in state_dict if f'{key}.'.startswith(f'{start}.')]:
            new = f'{prefix}{ours}{key[len(start) :]}'
            if ours is None:
                del state_dict[key]
            elif new not in state_dict:
                state_dict[new] = state_dict.pop(key)
