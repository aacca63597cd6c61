"""The steps of a pipeline that load images and label maps."""

import copy
import functools
import importlib.util
import os
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from mmcv.image import io
from mmengine.registry import TRANSFORMS
from PIL import Image

from ...utils.configs import type_name
from ...utils.text import one_line
from .report import ReportLine

_ORIENTATION = 0x0112
#: Larger images are not opened: in three channels, they fill a gigabyte.
MOST_PIXELS = 2**28


def find_loading_problems(dataset: dict, name: str) -> Iterator[ReportLine]:
    """Find ways of reading images that mmcv does not have here.

    Args:
        dataset (dict): The config of a dataset that is no wrapper of others.
        name (str): The key of this config.

    Yields:
        ReportLine: An error for each.
    """
    for index, step in enumerate(dataset.get('pipeline') or []):
        key = f'{name}.pipeline.{index}'
        for option, known in (
            ('imdecode_backend', io.supported_backends),
            ('color_type', list(io.imread_flags)),
        ):
            value = step.get(option)
            if value is not None and value not in known:
                text = f'{key}.{option} must be one of {", ".join(known)}, got {value!r}'
                yield ReportLine('error', text)
        if step.get('imdecode_backend') == 'tifffile' and not importlib.util.find_spec('tifffile'):
            text = f'{key}.imdecode_backend is tifffile, which is not installed'
            yield ReportLine('error', f'{text}: pip install tifffile')
        if step.get('imdecode_backend') == 'turbojpeg' and io.jpeg is None:
            text = f"{key}.imdecode_backend is turbojpeg, which needs mmcv.use_backend('turbojpeg')"
            yield ReportLine('error', text)


@dataclass(frozen=True)
class Header:
    """What an image file says of itself, if Pillow knows its format.

    Attributes:
        format (str): 'JPEG' and so on, or '' if Pillow does not know it.
        size (tuple[int, int]): Width and height in pixels, as they are stored.
        mode (str): Pillow's mode, such as 'RGB'.
        orientation (int): By EXIF; 1 is upright, 5 and above swap width and height.
    """

    format: str = ''
    size: tuple[int, int] = (0, 0)
    mode: str = ''
    orientation: int = 1

    @classmethod
    def read(cls, path: str) -> 'Header':
        """Read a file's header, whatever the size of the image."""
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            with Image.open(path) as image:
                orientation = image.getexif().get(_ORIENTATION, 1)
                return cls(image.format or '', image.size, image.mode, orientation)
        except Exception:
            return cls()
        finally:
            Image.MAX_IMAGE_PIXELS = limit

    @property
    def upright(self) -> tuple[int, int]:
        """Width and height once EXIF's orientation is obeyed."""
        return self.size[::-1] if self.orientation > 4 else self.size

    def check_whole(self, path: str) -> None:
        """Decode a file with Pillow, too: OpenCV makes what is missing grey, without an error.

        Args:
            path (str): The file.

        Raises:
            OSError: If it is not whole.
        """
        pixels = self.size[0] * self.size[1]
        if self.format in ('JPEG', 'MPO', 'PNG') and pixels < (Image.MAX_IMAGE_PIXELS or 0):
            with Image.open(path) as image:
                image.load()


@dataclass(frozen=True)
class LoadingStep:
    """A loading step of a pipeline.

    Attributes:
        key (str): The key of its config.
        transform (BaseTransform): The step.
    """

    key: str
    transform: Any

    @classmethod
    def find(
        cls, part: str, config: dict, name: str, without: tuple[str, ...] = ()
    ) -> 'LoadingStep | None':
        """Find and build the first loading step of a kind.

        Args:
            part (str): What its name contains; it begins with Load.
            config (dict): The config of the dataset.
            name (str): The key of this config.
            without (tuple[str, ...]): What its name does not contain. Defaults to nothing.

        Returns:
            LoadingStep or None: The step, if there is one.
        """
        others = ('Empty', 'Biomedical', 'NDArray', *without)
        for index, step in enumerate(config.get('pipeline') or []):
            kind = type_name(step.get('type'))
            is_other = any(word in kind for word in others)
            if kind.startswith('Load') and part in kind and not is_other:
                return cls(f'{name}.pipeline.{index}', TRANSFORMS.build(step))
        return None

    def run(self, info: dict) -> dict:
        """Run it on a dataset's description of an image."""
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            results = self.transform({**info})
        if results is None:
            raise ValueError('the pipeline skips it, since it cannot be read')
        return results

    @functools.cache  # noqa: B019, steps are few
    def turns(self, ending: str, kind: str, color_type: str | None = None) -> bool:
        """Ask it whether it obeys the EXIF orientation in files of a format, with a small one."""
        step = copy.copy(self.transform)
        if color_type is not None:
            step.color_type = color_type
        exif = Image.Exif()
        exif[_ORIENTATION] = 6
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, f'image{ending}')
            try:
                kind = 'JPEG' if kind == 'MPO' else kind
                Image.new('RGB', (16, 8)).save(path, format=kind, exif=exif)
                return step({'img_path': path})['img'].shape[:2] == (16, 8)
            except Exception:
                return False

    def explain(self, error: Exception, path: str, header: Header) -> str:
        """Tell why it cannot read a file."""
        if isinstance(error, Image.DecompressionBombError):
            text = f'is {format_size(header.size)} (width x height), more than Pillow opens'
            return f"{path} {text}; set {self.key}.imdecode_backend='cv2'"
        text = str(error) if isinstance(error, (OSError, SyntaxError)) else one_line(error)
        return f'{path} cannot be read: {text}'


def format_size(size: tuple[int, ...]) -> str:
    """Format width and height."""
    return f'{size[0]}x{size[1]}'
