"""What the benchmark runs: operators, pipelines of operators, upsamplers and baselines.

All of them upsample a low-res map (N, C, size, size) by two.
"""

import contextlib
import copy
import importlib
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from sapa_ops import (
    point_assemble,
    point_similarity,
    use_backend,
    window_assemble,
    window_similarity,
)
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from ...upsamplers import UPSAMPLERS, PointUpsampler, Upsampler, WindowUpsampler, build_upsampler
from ...upsamplers.build import MODELS
from ...utils.text import one_line

FORMS = ('compiled', 'eager')
LAYOUTS = ('contiguous', 'channels_last')
PASSES = ('forward', 'forward+backward')
KINDS = ('pipelines', 'operators', 'upsamplers')

SCALE = 2
EMBED_DIMS = 32
KERNEL_SIZE = 5
GROUPS = 4
POINTS = 9

_MMCV_CARAFE = 'carafe (mmcv)'
_MATRIX = (512, 512)  # which fits in a core's cache
_TINY = 4  # side of the map on which a contestant runs first


@dataclass(frozen=True)
class Case:
    """The conditions under which contestants are compared.

    Attributes:
        size (int): Side of the low-res map in pixels.
        dtype (str): Name of the dtype, such as 'float32'.
        layout (str): Memory layout of all maps, 'contiguous' or 'channels_last'.
        direction (str): 'forward', without gradients, or 'forward+backward', with the gradients
            of all inputs and parameters.
        channels (int): C.
        batch (int): N.
        threads (int): CPU threads.
        device (str): 'cpu' or 'cuda'.
        seed (int): Seed of the maps and of the upsamplers' weights.
    """

    size: int
    dtype: str
    layout: str
    direction: str
    channels: int
    batch: int
    threads: int
    device: str
    seed: int


@dataclass(frozen=True)
class Contestant:
    """Something to measure.

    Attributes:
        kind (str): 'baselines', or one of ``KINDS``.
        name (str): Its name, unique among those of its kind and form.
        form (str, optional): Form of the operators. Defaults to None, for contestants without
            operators, or to let ``sapa_ops`` choose.
        upsample_cfg (dict, optional): Config of the upsampler, if it is one. Defaults to None.
        module (str, optional): Module to import first, see ``import_upsamplers``.
            Defaults to None.
    """

    kind: str
    name: str
    form: str | None = None
    upsample_cfg: dict[str, Any] | None = None
    module: str | None = None

    def __str__(self) -> str:
        kind = '' if self.kind == 'baselines' else f'{self.kind[:-1]} '
        return kind + self.name + (f', {self.form}' if self.form else '')


def list_contestants(
    kinds: Sequence[str], forms: Sequence[str], case: Case, imports: Sequence[str] = ()
) -> list[Contestant]:
    """Lists what runs in a case: the baselines, and all contestants of some kinds.

    Upsamplers are those of this package that use the operators, and imported ones.

    Args:
        kinds (Sequence[str]): Of ``KINDS``.
        forms (Sequence[str]): Forms of the operators.
        case (Case): The case.
        imports (Sequence[str]): Modules with more upsamplers, see ``import_upsamplers``.
            Defaults to none.

    Returns:
        list[Contestant]: Baselines first; the forms of a contestant are adjacent.
    """
    contestants = [Contestant('baselines', name) for name in _WORKLOADS['baselines']]
    for kind in kinds:
        if kind != 'upsamplers':
            names = _WORKLOADS[kind]
            contestants += [Contestant(kind, name, form) for name in names for form in forms]
            continue
        bases = (WindowUpsampler, PointUpsampler)
        sources: dict[str, str | None] = {
            name: None for name, cls in UPSAMPLERS.items() if issubclass(cls, bases)
        }
        sources |= {name: module for module in imports for name in import_upsamplers(module)}
        contestants += [
            Contestant(kind, name, form, dict(type=name), module)
            for name, module in sources.items()
            for form in forms
        ]
    if 'pipelines' in kinds and case.device == 'cuda' and case.layout == 'contiguous':
        contestants += [Contestant('pipelines', _MMCV_CARAFE)] if _mmcv_carafe() else []
    return contestants


def import_upsamplers(module: str) -> dict[str, type[Upsampler]]:
    """Imports a module and finds its upsamplers that are registered in mmengine's ``MODELS``.

    Args:
        module (str): Name of a module or package, or path of a '.py' file, whose folder is added
            to Python's path.

    Returns:
        dict[str, type[Upsampler]]: The upsamplers by their registered names.

    Raises:
        ValueError: If it cannot be imported, or registers no upsampler.
    """
    name = module
    if module.endswith('.py'):
        folder, file = os.path.split(os.path.abspath(module))
        name = file.removesuffix('.py')
        if folder not in sys.path:
            sys.path.append(folder)
    try:
        imported = importlib.import_module(name)
    except Exception as error:  # third-party code may raise anything
        raise ValueError(f'imports: {module} cannot be imported: {one_line(error)}') from error
    path = getattr(imported, '__file__', None) or ''
    if module.endswith('.py') and os.path.realpath(path) != os.path.realpath(module):
        raise ValueError(f'imports: {module} has the name of the module {path or name}')
    upsamplers = {
        registered: kind
        for registered, kind in (MODELS.module_dict.items() if MODELS is not None else ())
        if isinstance(kind, type)
        and issubclass(kind, Upsampler)
        and f'{kind.__module__}.'.startswith(f'{name}.')
    }
    if not upsamplers:
        raise ValueError(f"imports: {module} registers no Upsampler in mmengine's MODELS")
    return upsamplers


class Maps:
    """The input maps of a case, made on first use and shared by both directions.

    ``x``, ``key`` and ``grouped_key`` are low-res; all others have the output's size, but
    ``matrix``, which is the same in all cases. Values are uniform in [-1, 1), offsets in [-2, 2)
    low-res pixels: as far as a 5×5 window reaches.

    Args:
        case (Case): The case.
    """

    def __init__(self, case: Case):
        self.case = case
        self._maps: dict[str, Tensor] = {}
        size, high = (case.size,) * 2, (SCALE * case.size,) * 2
        self._shapes = {
            'x': (case.channels, *size),
            'guide': (case.channels, *high),
            'target': (case.channels, *high),
            'query': (EMBED_DIMS, *high),
            'key': (EMBED_DIMS, *size),
            'window_weight': (KERNEL_SIZE**2, *high),
            'grouped_query': (GROUPS * EMBED_DIMS, *high),
            'grouped_key': (GROUPS * EMBED_DIMS, *size),
            'offset': (GROUPS * POINTS * 2, *high),
            'point_weight': (GROUPS, POINTS, *high),
        }

    def __getitem__(self, name: str) -> Tensor:
        if name not in self._maps:
            if name == 'matrix':
                made = self._make(_MATRIX, 'contiguous', dtype='float32')
            else:
                shape = (self.case.batch, *self._shapes[name])
                made = self._make(shape, self.case.layout, 2 if name == 'offset' else 1)
            self._maps[name] = made.requires_grad_()
        return self._maps[name]

    def gradient_like(self, output: Tensor) -> Tensor:
        """The gradient of an output, given a smaller output of the same channels and layout."""
        side = SCALE * self.case.size
        shape = (*output.shape[:-2], side, side)
        channels_last = output.dim() == 4 and not output.is_contiguous()
        layout = 'channels_last' if channels_last else 'contiguous'
        name = f'gradient {shape} {layout}'
        if name not in self._maps:
            self._maps[name] = self._make(shape, layout)
        return self._maps[name]

    def _make(
        self, shape: Sequence[int], layout: str, reach: float = 1, dtype: str | None = None
    ) -> Tensor:
        channels_last = layout == 'channels_last' and len(shape) == 4  # which needs four dimensions
        generator = torch.Generator(self.case.device).manual_seed(self.case.seed)
        # Filled in place: a copy into another layout would add to the peak memory.
        return torch.empty(
            shape,
            dtype=getattr(torch, dtype or self.case.dtype),
            device=self.case.device,
            memory_format=torch.channels_last if channels_last else torch.contiguous_format,
        ).uniform_(-reach, reach, generator=generator)


@dataclass(frozen=True)
class Workload:
    """The computation of a contestant.

    Attributes:
        function (Callable): Takes the inputs, returns the output.
        inputs (tuple[str, ...]): Names of its inputs in ``Maps``.
        taps (int): Weights per output position that a pipeline holds between its operators.
        differentiable (bool): Whether it has a backward pass.
    """

    function: Callable[..., Tensor]
    inputs: tuple[str, ...]
    taps: int = 0
    differentiable: bool = True


class Trial:
    """A contestant with its inputs; each call runs it once.

    Args:
        workload (Workload): The computation.
        form (str, optional): Form of the operators.
        maps (Maps): Where the inputs come from.
        gradient (Tensor, optional): Gradient of the output, to run the backward pass too.
    """

    def __init__(
        self, workload: Workload, form: str | None, maps: Maps, gradient: Tensor | None = None
    ):
        self.workload = workload
        self.form = form
        self.inputs = [maps[name] for name in workload.inputs]
        self.gradient = gradient
        module = workload.function
        parameters = module.parameters() if isinstance(module, nn.Module) else ()
        self.leaves = [*self.inputs, *parameters]

    def __call__(self) -> tuple[Tensor, ...]:
        """Runs once.

        Returns:
            tuple[Tensor, ...]: The output, and after a backward pass the gradients.
        """
        with use_backend(self.form) if self.form else contextlib.nullcontext():
            with torch.set_grad_enabled(self.gradient is not None):
                output = self.workload.function(*self.inputs)
            if self.gradient is None:
                return (output,)
            return output, *torch.autograd.grad(output, self.leaves, self.gradient)

    def bytes_to_move(self, results: Sequence[Tensor]) -> int:
        """Bytes that a call reads and writes, counting each tensor once.

        Args:
            results (Sequence[Tensor]): What a call returned.
        """
        tensors = [*self.leaves, *results]
        if self.gradient is not None:
            tensors.append(self.gradient)
        return sum({t.data_ptr(): t.nbytes for t in tensors}.values())

    def operations(self) -> int:
        """Runs once and counts the operations as torch does: two for each multiply-add.

        Those of matrix products, convolutions, attention and this project's operators count; those
        of interpolation, softmax and elementwise steps do not.
        """
        trial = copy.copy(self)
        # The counter's hooks on modules fail on leaves.
        trial.inputs = [tensor.view_as(tensor) for tensor in self.inputs]
        trial.leaves = [*trial.inputs, *self.leaves[len(self.inputs) :]]
        with FlopCounterMode(display=False) as counter:
            trial()
        return counter.get_total_flops()

    def weight_bytes(self, output: Tensor) -> int:
        """Bytes of the weights that a pipeline holds while it computes its output."""
        positions = output.shape[0] * output.shape[-2] * output.shape[-1]
        return self.workload.taps * positions * output.element_size()


def prepare(contestant: Contestant, case: Case, maps: Maps) -> Trial:
    """Prepares a contestant and runs it once on tiny maps, so that libraries are loaded.

    Args:
        contestant (Contestant): The contestant.
        case (Case): The case.
        maps (Maps): Its maps.

    Returns:
        Trial: The trial.

    Raises:
        RuntimeError: If it cannot run in this case (including torch's NotImplementedError).
    """
    workload, form = _workload(contestant, case), contestant.form
    tiny = Maps(replace(case, size=_TINY))
    (output,) = Trial(workload, form, tiny)()
    if case.direction == 'forward' or not workload.differentiable:
        return Trial(workload, form, maps)
    Trial(workload, form, tiny, tiny.gradient_like(output))()
    return Trial(workload, form, maps, maps.gradient_like(output))


def _workload(contestant: Contestant, case: Case) -> Workload:
    if contestant.name == _MMCV_CARAFE:
        carafe = _mmcv_carafe()
        return Workload(
            lambda weight, x: carafe(x, weight, KERNEL_SIZE, 1, SCALE), ('window_weight', 'x')
        )
    if contestant.kind != 'upsamplers':
        return _WORKLOADS[contestant.kind][contestant.name]
    if contestant.module is not None:
        import_upsamplers(contestant.module)
    torch.manual_seed(case.seed)
    module = build_upsampler(contestant.upsample_cfg, case.channels, scale_factor=SCALE)
    module.to(case.device, getattr(torch, case.dtype)).train(case.direction != 'forward')
    if case.layout == 'channels_last':
        module.to(memory_format=torch.channels_last)
    return Workload(module, ('x', 'guide') if module.guided else ('x',))


def _mmcv_carafe() -> Callable[..., Tensor] | None:
    try:
        from mmcv.ops import carafe
    except ImportError:
        return None
    return carafe


_bilinear = partial(F.interpolate, scale_factor=SCALE, mode='bilinear')
_window_similarity = partial(window_similarity, kernel_size=KERNEL_SIZE)
_window_assemble = partial(window_assemble, kernel_size=KERNEL_SIZE)
_point_similarity = partial(point_similarity, groups=GROUPS)


def _square(matrix: Tensor) -> Tensor:
    return matrix @ matrix


def _sapa_b(query: Tensor, key: Tensor, x: Tensor) -> Tensor:
    return _window_assemble(_window_similarity(query, key, softmax=True), x)


def _sapa_d(query: Tensor, key: Tensor, offset: Tensor, x: Tensor) -> Tensor:
    return point_assemble(_point_similarity(query, key, offset, softmax=True), x, offset)


_WINDOW = ('query', 'key')
_POINT = ('grouped_query', 'grouped_key', 'offset')
_WORKLOADS: dict[str, dict[str, Workload]] = {
    'baselines': {
        'copy': Workload(Tensor.copy_, ('target', 'guide'), differentiable=False),
        # Multiplies and adds in float32, as the operators do whatever the dtype of the maps.
        'product': Workload(_square, ('matrix',), differentiable=False),
        'bilinear': Workload(_bilinear, ('x',)),
    },
    'pipelines': {
        'sapa_b': Workload(_sapa_b, (*_WINDOW, 'x'), taps=KERNEL_SIZE**2),
        'sapa_d': Workload(_sapa_d, (*_POINT, 'x'), taps=GROUPS * POINTS),
    },
    'operators': {
        'window_similarity': Workload(_window_similarity, _WINDOW),
        'window_assemble': Workload(_window_assemble, ('window_weight', 'x')),
        'point_similarity': Workload(_point_similarity, _POINT),
        'point_assemble': Workload(point_assemble, ('point_weight', 'x', 'offset')),
    },
}
