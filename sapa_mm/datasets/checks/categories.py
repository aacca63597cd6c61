"""The categories of a COCO file, without the rest of it."""

import json
import mmap
import re
from typing import Any

_CHUNK = 2**16


def read_categories(path: str) -> list[dict] | None:
    """Read the categories of a COCO file, of instances or panoptic segments.

    The file, which may have hundreds of megabytes, is searched for them and not parsed.

    Args:
        path (str): The file.

    Returns:
        list[dict] or None: The categories, in the order of the file; None if the file is missing,
        empty or has no list of categories with an id and a name.
    """
    try:
        with (
            open(path, 'rb') as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text,
        ):
            # Most files have them at the end.
            place = text.rfind(b'"categories"')
            while place >= 0:
                categories = _decode(text, place)
                if categories is not None:
                    return categories
                place = text.rfind(b'"categories"', 0, place)
    except (OSError, ValueError):  # an empty file cannot be mapped
        pass
    return None


def _decode(text: mmap.mmap, place: int) -> list[dict] | None:
    """Decode the list that follows a key."""
    begin = re.compile(rb'"categories"\s*:\s*(?=\[)').match(text, place)
    if begin is None:
        return None
    size = _CHUNK
    while True:
        chunk = text[begin.end() : begin.end() + size]
        try:
            categories = json.JSONDecoder().raw_decode(chunk.decode(errors='ignore'))[0]
            return categories if all(map(_is_category, categories)) else None
        except (json.JSONDecodeError, RecursionError):
            if len(chunk) < size:
                return None
        size *= 8


def _is_category(entry: Any) -> bool:
    return (
        isinstance(entry, dict)
        and isinstance(entry.get('name'), str)
        and isinstance(entry.get('id'), (int, float, str))
    )
