"""Predict with an exported ONNX file; needs onnxruntime, numpy and Pillow, nothing else.

Copy this file to wherever the model is to run. It writes the labels of a segmentor, the depth of a
depth estimator in millimetres, or the alpha of a matting model.

Example:
    python onnx_inference.py segformer.onnx image.jpg --out labels.png
    python onnx_inference.py depthformer.onnx image.jpg --out depth.png
    python onnx_inference.py matting.onnx image.jpg --trimap trimap.png --out alpha.png
"""

import argparse
import json
import os
import sys
from typing import ClassVar

import numpy as np
import onnxruntime
from PIL import Image, ImageOps


def resize(array: np.ndarray, height: int, width: int, align_corners: bool = False) -> np.ndarray:
    """Resize (..., H, W) bilinearly, as OpenCV and torch do, without smoothing.

    Pixels are placed by their centres; with `align_corners`, those of the corners stay in place.
    """
    for axis, size in ((-2, height), (-1, width)):
        length = array.shape[axis]
        position = (np.arange(size) + 0.5) * length / size - 0.5
        if align_corners:
            position = np.arange(size) * (length - 1) / max(size - 1, 1)
        position = np.clip(position, 0, length - 1)
        low = position.astype(int)
        weight = (position - low).astype(np.float32)
        weight = weight[:, None] if axis == -2 else weight
        high = np.minimum(low + 1, length - 1)
        array = array.take(low, axis) * (1 - weight) + array.take(high, axis) * weight
    return array


def target_size(steps: list[dict], height: int, width: int) -> tuple[int, int]:
    """Compute the size to resize an image to, by the steps in the file's metadata."""
    for step in steps:
        if 'multiple_of' in step:
            multiple = step['multiple_of']
            height, width = (-(-side // multiple) * multiple for side in (height, width))
        elif 'scale_factor' in step or step['keep_ratio']:
            factor = step.get('scale_factor')
            if factor is None:
                long, short = max(step['scale']), min(step['scale'])
                factor = min(long / max(height, width), short / min(height, width))
            height, width = int(height * factor + 0.5), int(width * factor + 0.5)
        else:
            width, height = step['scale']
    return height, width


def is_number(value: object, low: float, high: float) -> bool:
    """Tell whether metadata has a number in a range; NaN is in none."""
    return type(value) in (int, float) and low <= value <= high


def are_numbers(values: object, low: float, high: float, *counts: int) -> bool:
    """Tell whether metadata has a list of so many numbers in a range."""
    return (
        isinstance(values, list)
        and len(values) in (counts or (3,))
        and all(is_number(value, low, high) for value in values)
    )


def is_step(step: object) -> bool:
    """Tell whether metadata has a step of a size rule, to a size that memory may hold."""
    match step:
        case {'multiple_of': multiple}:
            return type(multiple) is int and 1 <= multiple <= 2**12
        case {'scale_factor': factor}:
            return is_number(factor, 1e-3, 2**5)
        case {'scale': scale, 'keep_ratio': bool()}:
            return are_numbers(scale, 1, 2**14, 2)
    return False


# The mode in which Pillow reads an image, and the order of its channels for the model.
CHANNELS = {
    'rgb': ('RGB', (0, 1, 2)),
    'bgr': ('RGB', (2, 1, 0)),
    'bgra': ('RGBA', (2, 1, 0, 3)),
    'grey': ('L', (0,)),
}


class Segmentation:
    """Labels for each pixel, class indices (H, W)."""

    # What the file says of it, see RULES, and the name of its result.
    rules: ClassVar = {
        'classes': lambda names: all(isinstance(name, str) for name in names),
        'palette': lambda colours: all(are_numbers(colour, 0, 255) for colour in colours),
    }
    output = 'logits'

    @staticmethod
    def finish(logits: np.ndarray, height: int, width: int, metadata: dict) -> np.ndarray:
        """Find the class of each pixel (H, W), given logits of another size.

        One class after the other: those of all classes at the size of a photograph take gigabytes.
        """
        corners = metadata['align_corners']
        best = resize(logits[0], height, width, corners)
        labels = np.zeros(best.shape, int)
        for label in range(1, len(logits)):
            values = resize(logits[label], height, width, corners)
            labels[values > best] = label
            np.maximum(best, values, out=best)
        return labels

    @staticmethod
    def draw(labels: np.ndarray, metadata: dict) -> Image.Image:
        """Make a label map, with the colours of up to 256 classes."""
        picture = Image.fromarray(labels.astype(np.uint8 if labels.max() < 256 else np.uint16))
        if metadata['palette'] and picture.mode == 'L':
            picture.putpalette(np.array(metadata['palette'][:256], np.uint8).tobytes())
        return picture

    @staticmethod
    def describe(labels: np.ndarray, metadata: dict) -> list[str]:
        """List the share of each class."""
        names = dict(enumerate(metadata['classes']))
        return [
            f'{100 * pixels / labels.size:5.1f} %  {names.get(label, f"class {label}")}'
            for label, pixels in zip(*np.unique(labels, return_counts=True), strict=True)
        ]


class Depth:
    """Distances for each pixel, metres (H, W)."""

    rules: ClassVar = {'unit': lambda unit: unit == 'm'}
    output = 'depth'

    @staticmethod
    def finish(depth: np.ndarray, height: int, width: int, metadata: dict) -> np.ndarray:
        """Resize the depth to (H, W)."""
        return resize(depth[0], height, width, metadata['align_corners'])

    @staticmethod
    def draw(depth: np.ndarray, metadata: dict) -> Image.Image:
        """Make a 16-bit image in millimetres, 0 where there is no depth, at most 65.535 m."""
        metres = np.where(np.isfinite(depth), depth, 0).clip(0, 65.535)
        return Image.fromarray(np.rint(metres * 1000.0).astype(np.uint16))

    @staticmethod
    def describe(depth: np.ndarray, metadata: dict) -> list[str]:
        """List the nearest, the median and the farthest depth."""
        named = ((np.min, 'nearest'), (np.median, 'median'), (np.max, 'farthest'))
        return [f'{find(depth):7.3f} m  {name}' for find, name in named]


class Matting:
    """Alpha for each pixel, [0, 1] (H, W), from an image and its trimap."""

    rules: ClassVar = {
        'trimap': lambda known: known == [0, 255],
        'resize': lambda steps: steps == [],
    }
    output = 'alpha'

    @staticmethod
    def finish(alpha: np.ndarray, height: int, width: int, metadata: dict) -> np.ndarray:
        """Get alpha (H, W)."""
        return alpha[0]

    @staticmethod
    def draw(alpha: np.ndarray, metadata: dict) -> Image.Image:
        """Make a grey image of 8 bits."""
        return Image.fromarray(np.rint(np.nan_to_num(alpha).clip(0, 1) * 255).astype(np.uint8))

    @staticmethod
    def describe(alpha: np.ndarray, metadata: dict) -> list[str]:
        """List the shares of opaque, transparent and other pixels."""
        opaque, transparent = (alpha == 1).mean(), (alpha == 0).mean()
        named = (opaque, 'foreground'), (transparent, 'background')
        named = (*named, (1 - opaque - transparent, 'between'))
        return [f'{100 * share:5.1f} %  {name}' for share, name in named]


TASKS = {'segmentation': Segmentation, 'depth': Depth, 'matting': Matting}
# What tools/export.py writes; the file may be of somebody else.
RULES = {
    'task': lambda task: task in TASKS,
    'mean': lambda mean: are_numbers(mean, -1e6, 1e6, 1, 3, 4),
    'std': lambda std: are_numbers(std, 1e-6, 1e6, 1, 3, 4),
    'channels': lambda channels: channels in CHANNELS,
    'resize': lambda steps: all(map(is_step, steps)),
    'align_corners': lambda align_corners: isinstance(align_corners, bool),
}
# In files of sapa_mm 0.1, which do not say.
DEFAULTS = {'task': '"segmentation"', 'align_corners': 'false'}


def read_metadata(texts: dict, path: str) -> dict:
    """Read a file's metadata; refuse what cannot be used."""
    texts, metadata = {**DEFAULTS, **texts}, {}

    def read(rules: dict) -> None:
        for name, is_right in rules.items():
            if name not in texts:
                raise ValueError(f'{path} was not written by tools/export.py: it has no {name}')
            try:
                metadata[name] = json.loads(texts[name])
                right = is_right(metadata[name])
            except (TypeError, ValueError, RecursionError):
                right = False
            if not right:
                raise ValueError(f'{path}: its {name} cannot be used: {texts[name][:80]}')

    read(RULES)
    read(TASKS[metadata['task']].rules)
    order = CHANNELS[metadata['channels']][1]
    for name in ('mean', 'std'):
        if len(metadata[name]) != len(order):
            text = f'its {name} cannot be used: {texts[name][:80]} for {len(order)} channels'
            raise ValueError(f'{path}: {text}')
    return metadata


class OnnxModel:
    """An exported model.

    Args:
        path (str): The ONNX file.
    """

    def __init__(self, path: str):
        self.session = onnxruntime.InferenceSession(path, providers=['CPUExecutionProvider'])
        texts = dict(self.session.get_modelmeta().custom_metadata_map)
        self.metadata = read_metadata(texts, path)
        self.task = TASKS[self.metadata['task']]

    def __call__(self, image: np.ndarray, trimap: np.ndarray | None = None) -> np.ndarray:
        """Predict a map (H, W), see `TASKS`, from uint8 (H, W, C), see `read_image`.

        A matting model takes a trimap, uint8 (H, W), 0 for the background, 255 for the foreground
        and all else where it is unknown; other models take none.
        """
        size = image.shape[:2]
        if (trimap is not None) != (self.task is Matting):
            raise ValueError(f'a trimap is {"needed" if trimap is None else "for matting alone"}')
        if trimap is not None and trimap.shape != size:
            raise ValueError(f'the trimap must have the size {size} of its image: {trimap.shape}')
        height, width = target_size(self.metadata['resize'], *size)
        planes = image.transpose(2, 0, 1)[list(CHANNELS[self.metadata['channels']][1])]
        # Rounded to whole numbers, since the model was trained on images resized in uint8.
        planes = np.rint(resize(planes.astype(np.float32), height, width))
        mean, std = (
            np.array(self.metadata[name], np.float32)[:, None, None] for name in ('mean', 'std')
        )
        inputs = {'image': ((planes - mean) / std)[None]}
        if trimap is not None:
            inputs['trimap'] = trimap[None, None]
        values = self.session.run([self.task.output], inputs)[0][0]
        return self.task.finish(values, *size, self.metadata)


def read_image(path: str, channels: str = 'rgb') -> np.ndarray:
    """Read an image as OpenCV does: upright, 16 bits scaled to 8.

    The result is uint8 (H, W, C): RGB, RGBA for 'bgra', grey for 'grey'.
    """
    image = ImageOps.exif_transpose(Image.open(path))
    if image.mode.startswith('I'):
        image = Image.fromarray((np.asarray(image) // 256).astype(np.uint8))
    mode = CHANNELS[channels][0]
    if mode == 'RGBA' and image.mode != mode:
        raise ValueError(f'{path} has the mode {image.mode}, the model takes images of 4 channels')
    return np.atleast_3d(np.asarray(image.convert(mode)))


def read_trimap(path: str) -> np.ndarray:
    """Read a trimap, uint8 (H, W), which may have several channels, all grey and opaque."""
    image = ImageOps.exif_transpose(Image.open(path))
    if image.mode not in ('L', 'P', 'RGB', 'RGBA', '1'):
        raise ValueError(f'{path} has the mode {image.mode}, trimaps have 8 bits a channel')
    *colours, opacity = image.convert('RGBA').split()
    first, second, third = map(np.asarray, colours)
    if (first != second).any() or (first != third).any() or np.asarray(opacity).min() < 255:
        raise ValueError(f'{path} must be grey and opaque')
    return first


def printable(text: str) -> str:
    """Escape what terminals may obey: the text comes from a file."""
    return ''.join(c if c.isprintable() else c.encode('unicode_escape').decode() for c in text)


def write(picture: Image.Image, path: str) -> None:
    """Write a picture as PNG, complete or not at all."""
    partial = f'{path}.partial'
    try:
        picture.save(partial, format='PNG')
        os.replace(partial, path)
    finally:
        if os.path.exists(partial):
            os.remove(partial)


def main() -> None:
    """Predict an image's labels, depth or alpha and print what is in it."""
    parser = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
    parser.add_argument('model', help='ONNX file written by tools/export.py')
    parser.add_argument('image', help='image file')
    parser.add_argument(
        '--out',
        help='PNG file for the label map, in the colours of the classes, for the depth, 16 bits in '
        'millimetres, or for the alpha, 8 bits',
    )
    parser.add_argument('--trimap', help='trimap of the image, for a matting model')
    args = parser.parse_args()
    try:
        if args.out and not args.out.endswith('.png'):
            raise ValueError(f'--out must end in .png, got {args.out}')
        model = OnnxModel(args.model)
        image = read_image(args.image, model.metadata['channels'])
        result = model(image, read_trimap(args.trimap) if args.trimap else None)
        if args.out:
            write(model.task.draw(result, model.metadata), args.out)
    except Exception as error:
        # onnxruntime and Pillow may raise anything for a bad file.
        line = str(error).strip().partition('\n')[0]
        print(f'error: {printable(line)}', file=sys.stderr)
        sys.exit(2)
    try:
        for line in model.task.describe(result, model.metadata):
            print(printable(line))
        sys.stdout.flush()
    except BrokenPipeError:
        # Nobody reads any more, as after `| head`: what is left goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


if __name__ == '__main__':
    main()
