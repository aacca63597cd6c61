"""Reading images, trimaps and alpha mattes, whose channels tell whether they are meant."""

import cv2
import numpy as np
from mmengine import fileio

from ..utils.log import log_info
from ..utils.text import one_line

_said: set[str] = set()
#: In files that may have an EXIF orientation: of JPEG, PNG and WebP.
_EXIF = b'Exif', b'eXIf', b'EXIF'


def read_colors(path: str) -> np.ndarray:
    """Read the colours of an image; transparency is left out.

    Args:
        path (str): The file, or an address that mmengine reads.

    Returns:
        np.ndarray: BGR, uint8 (H, W, 3).

    Raises:
        ValueError: If it cannot be read.
    """
    return _decode(_read(path), path, cv2.IMREAD_COLOR)


def read_photograph(path: str) -> np.ndarray:
    """Read an image that must not be transparent: there is no saying what is behind it.

    Args:
        path (str): The file, or an address that mmengine reads.

    Returns:
        np.ndarray: BGR, uint8 (H, W, 3).

    Raises:
        ValueError: If it cannot be read, or a pixel of it is transparent.
    """
    content = _read(path)
    if not content.startswith(b'\xff\xd8'):  # JPEG has no transparency
        stored = _decode(content, path, cv2.IMREAD_UNCHANGED)
        if stored.ndim == 3 and stored.shape[2] == 4:
            if stored[..., 3].min() < np.iinfo(stored.dtype).max:
                raise ValueError(
                    f'{path} must be opaque, got transparent pixels; it may be a cut-out instead '
                    'of the image, else save it without its alpha channel'
                )
            _say_once('The alpha channel of opaque images is left out', path)
    return _decode(content, path, cv2.IMREAD_COLOR)


def read_gray(path: str) -> np.ndarray:
    """Read a trimap or an alpha matte, turned by its EXIF orientation as images are.

    Args:
        path (str): The file, or an address that mmengine reads.

    Returns:
        np.ndarray: uint8 (H, W). Three or four channels are read if they are grey and opaque,
        which is said once.

    Raises:
        ValueError: If it cannot be read, does not have 8 bits a channel, or has colours or
            transparent pixels.
    """
    content = _read(path)
    image = _decode(content, path, cv2.IMREAD_UNCHANGED)
    if image.dtype != np.uint8:
        raise ValueError(f'{path} must have 8 bits a channel, got {image.dtype}')
    if image.ndim == 3:
        if (image[..., 1:3] != image[..., :1]).any():
            raise ValueError(f'{path} must be grey, got colours')
        if (image[..., 3:] < 255).any():
            raise ValueError(
                f'{path} must be grey and opaque, got transparent pixels; save what is meant, its '
                'colours or its transparency, as a grey image'
            )
        _say_once('Trimaps or mattes of several channels, all grey, are read as one', path)
    if any(mark in content for mark in _EXIF):
        image = _decode(content, path, cv2.IMREAD_COLOR)  # which turns it, unlike the above
    return np.ascontiguousarray(np.atleast_3d(image)[..., 0])


def describe_sizes(
    path: str, size: tuple[int, int], image_path: str, expected: tuple[int, int]
) -> str:
    """Say that a trimap or matte has another size (height, width) than its image."""
    turned = '; has EXIF turned one of them?' if size == expected[::-1] else ''
    text = f'{path} must have the size of {image_path}, {expected} (height, width), got {size}'
    return f'{text}{turned}'


def _read(path: str) -> bytes:
    try:
        return fileio.get(path)
    except OSError as error:
        raise ValueError(f'{path} cannot be read: {one_line(error)}') from error


def _decode(content: bytes, path: str, flag: int) -> np.ndarray:
    try:
        image = cv2.imdecode(np.frombuffer(content, np.uint8), flag)
    except cv2.error as error:
        raise ValueError(f'{path} cannot be read as an image: {one_line(error)}') from error
    if image is None:
        raise ValueError(f'{path} cannot be read as an image')
    return image


def _say_once(what: str, path: str) -> None:
    """Log what is special in a file, the first time in a process."""
    if what not in _said:
        _said.add(what)
        log_info(f'{what}, as in {path}')
