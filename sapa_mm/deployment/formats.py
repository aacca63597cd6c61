"""The file formats: how to write each, and how to open it for inference."""

import contextlib
import io
import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ..utils.text import one_line
from .trace import Traced

#: Runs a file on its inputs (1, C, H, W); returns its map, see ``ExportedModel``.
Run = Callable[[Sequence[np.ndarray]], np.ndarray]


@dataclass(frozen=True)
class Format:
    """A file format.

    Attributes:
        runtime (str): Name of the runtime.
        write (Callable): ``write(traced, metadata, path)`` writes a file.
        open (Callable): ``open(path)`` opens a file for inference.
        packages (tuple[str, ...]): Packages that both need. Defaults to none.
    """

    runtime: str
    write: Callable[[Traced, dict[str, str], str], None]
    open: Callable[[str], Run]
    packages: tuple[str, ...] = ()


def _write_onnx(traced: Traced, metadata: dict[str, str], path: str) -> None:
    """Writes an ONNX file that includes weights and metadata."""
    from sapa_ops.onnx import OPSET

    from .onnx_translations import TRANSLATIONS

    with _quiet():
        try:
            program = torch.onnx.export(
                traced.program,
                dynamo=True,
                opset_version=OPSET,
                input_names=list(traced.inputs),
                output_names=[traced.output],
                custom_translation_table=TRANSLATIONS,
                verbose=False,
            )
        except torch.onnx.OnnxExporterError as error:
            reason = one_line(error.__cause__ or error)
            raise ValueError(f'the model cannot be translated to ONNX: {reason}') from error
    _name_sides(program.model)
    program.model.metadata_props.update(metadata)
    program.save(path, external_data=False)


def _open_onnx(path: str) -> Run:
    """Opens an ONNX file with onnxruntime, on as many threads as torch has."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(path, options, providers=['CPUExecutionProvider'])
    names = [value.name for value in session.get_inputs()]
    return lambda inputs: session.run(None, dict(zip(names, inputs, strict=True)))[0]


def _write_program(traced: Traced, metadata: dict[str, str], path: str) -> None:
    """Writes a program of ``torch.export``; loading it needs ``import sapa_ops``."""
    torch.export.save(traced.program, path, extra_files=metadata)


def _open_program(path: str) -> Run:
    """Opens a program of ``torch.export``."""
    module = torch.export.load(path).module()

    @torch.no_grad()
    def run(inputs: Sequence[np.ndarray]) -> np.ndarray:
        return module(*map(torch.from_numpy, inputs)).numpy()

    return run


#: The formats by the suffix of their files.
FORMATS = {
    '.onnx': Format('onnxruntime', _write_onnx, _open_onnx, ('onnx', 'onnxruntime', 'onnxscript')),
    '.pt2': Format('torch.export', _write_program, _open_program),
}


def format_of(path: str) -> Format:
    """Chooses the format of a file by its suffix.

    Args:
        path (str): The file.

    Returns:
        Format: The format.

    Raises:
        ValueError: If its suffix is not one of ``FORMATS``.
        ImportError: If a package that the format needs is not installed.
    """
    suffix = os.path.splitext(path)[1]
    if suffix not in FORMATS:
        raise ValueError(f'out must end in {" or ".join(FORMATS)}, got {path}')
    packages = FORMATS[suffix].packages
    for package in packages:
        try:
            __import__(package)
        except ImportError as error:
            raise ImportError(
                f'out: {path} needs {package}: pip install {" ".join(packages)}'
            ) from error
    return FORMATS[suffix]


def _name_sides(model) -> None:
    """Names the dynamic sides of inputs and output 'height' and 'width'."""
    for value in (*model.graph.inputs, model.graph.outputs[0]):
        names = (None, None, 'height', 'width')
        value.shape = type(value.shape)(
            side if name is None else name for name, side in zip(names, value.shape, strict=True)
        )


@contextlib.contextmanager
def _quiet():
    """Silences the exporter's progress, and its warning that torchvision is missing."""
    loggers = [logging.getLogger(name) for name in ('torch.onnx', 'onnxscript', 'onnx_ir')]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)
