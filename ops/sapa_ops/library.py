"""What all operators have in common: ``torch.ops.sapa_ops``, autograd, ``torch.func``, autocast.

A call goes from the public function to ``Operator.call`` (autocast, checks), ``apply`` (autograd
and the transforms of ``torch.func``), ``torch.ops.sapa_ops`` (what compilers, exporters, fake
tensors and profilers see) and its one kernel, which chooses the form that runs.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch._functorch.utils import unwrap_dead_wrappers
from torch.utils.flop_counter import register_flop_formula

from . import autocast, compiled, eager
from .backends import choose
from .geometry import is_recorded
from .schemas import define_schemas

_library = define_schemas('sapa_ops')


def _keys(*names: str) -> torch._C.DispatchKeySet:
    keys = torch._C.DispatchKeySet(torch._C.DispatchKey.Undefined)
    for name in names:
        keys = keys | torch._C.DispatchKeySet(getattr(torch._C.DispatchKey, name))
    return keys


_AUTOCAST = _keys(*autocast.KEYS)
_AUTOCAST_AND_VIEWS = _keys(*autocast.KEYS, 'ADInplaceOrView')


class Operator:
    """An operator. A subclass states its checks, its shape, its gradients and its casts.

    Attributes:
        name (str): In ``torch.ops.sapa_ops``.
        tensors (int): How many of the arguments, the first ones, are tensors.
        maps (int): How many of them, the first ones, the result is linear in, in each by itself.
        autocast_to (str | None): What autocast casts the tensors to: 'float32', or 'lower', its
            own dtype. Defaults to None, nothing.
    """

    name: str
    tensors: int
    maps: int
    autocast_to: str | None = None
    _flops: Callable | None = None  # see torch.utils.flop_counter.register_flop_formula
    _softmax: int | None = None  # where among the arguments it stands, after the groups
    _operator: Any
    _function: Any

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        packet = getattr(torch.ops.sapa_ops, cls.name)
        cls._operator = packet.default
        names = [argument.name for argument in cls._operator._schema.arguments]
        cls._softmax = names.index('softmax') if 'softmax' in names else None
        cls._function = type(cls.__name__, (_Function,), {'operator': cls})
        _library.impl(cls.name, cls._kernel, 'CompositeExplicitAutograd')
        _library.impl(cls.name, cls._called_directly, 'Autograd')
        for key in autocast.KEYS if cls.autocast_to else ():
            _library.impl(cls.name, cls._called_under_autocast, key)
        torch.library.register_fake(f'sapa_ops::{cls.name}', cls._fake, lib=_library)
        if cls._flops is not None:
            register_flop_formula(packet)(cls._flops)

    @classmethod
    def _check(cls, *args: Any) -> None:
        """Check the arguments.

        Raises:
            TypeError: If a tensor is not one of floating point, or dtypes differ.
            ValueError: If shapes, devices or options do not fit.
        """
        raise NotImplementedError

    @staticmethod
    def _empty(*args: Any) -> Any:
        """Make results without values, in the shape and layout that every form gives them."""
        raise NotImplementedError

    @staticmethod
    def _gradients(ctx: Any, tensors: tuple, *grads: Any) -> tuple[Tensor | None, ...]:
        """The gradients of the tensors by those of the results, of which one is not None.

        By operators, so that they have gradients, too. ``ctx.options`` are the other arguments; of
        a similarity with softmax, the gradient is that of the logits.
        """
        raise NotImplementedError

    @classmethod
    def call(cls, *args: Any) -> Any:
        """Cast, check and run, as the public functions do."""
        args = (*autocast.cast(args[: cls.tensors], cls.autocast_to), *args[cls.tensors :])
        cls._check(*args)
        # A recorded graph has the operator in it, with its gradients.
        return cls._operator(*args) if is_recorded() else cls.apply(*args)

    @classmethod
    def apply(cls, *args: Any) -> Any:
        """Run, recording gradients, and under the transforms of ``torch.func``."""
        if torch.compiler.is_dynamo_compiling():  # compiled autograd's backward: no casts
            with torch.autocast(args[0].device.type, enabled=False):
                return cls._operator(*args)
        if torch._C._are_functorch_transforms_active():
            return cls._apply_transformed(*args)
        # As torch does, without binding arguments to names, which takes longer than all the rest.
        args = unwrap_dead_wrappers(args)
        return super(torch.autograd.Function, cls._function).apply(*args)  # type: ignore[misc]

    @classmethod
    @torch._disable_dynamo  # it would trace this where a transform is of a compiled function
    def _apply_transformed(cls, *args: Any) -> Any:
        if _is_beyond_functions():
            return getattr(eager, cls.name)(*args)  # plain PyTorch
        return cls._function.apply(*args)

    @classmethod
    def _kernel(cls, *args: Any) -> Any:
        if choose(args[0]) == 'compiled':
            try:
                return compiled.OPERATORS[cls.name](*args)
            except RuntimeError as error:
                if 'out of memory' not in str(error):
                    raise
                # The stable ABI loses the type that callers catch.
                raise torch.OutOfMemoryError(str(error)) from None
        cls._check(*args)
        with torch.no_grad():
            return getattr(eager, cls.name)(*args)

    @classmethod
    def _called_directly(cls, *args: Any) -> Any:
        if torch._C._are_functorch_transforms_active():
            raise RuntimeError(
                f'torch.ops.sapa_ops.{cls.name} cannot be transformed by torch.func; the functions '
                'of sapa_ops can, but not within torch.compile or torch.export'
            )
        # torch leaves arguments out that are as by default.
        defaults = [argument.default_value for argument in cls._operator._schema.arguments]
        return cls.apply(*args, *defaults[len(args) :])

    @classmethod
    def _called_under_autocast(cls, *args: Any) -> Any:
        tensors = autocast.cast(args[: cls.tensors], cls.autocast_to)
        with torch._C._ExcludeDispatchKeyGuard(_AUTOCAST):
            return cls._operator(*tensors, *args[cls.tensors :])

    @classmethod
    def _fake(cls, *args: Any) -> Any:
        cls._check(*args)
        return cls._empty(*args)


class _Function(torch.autograd.Function):
    """Autograd and ``torch.func`` for an operator, above ``torch.ops``.

    (The gradients that ``torch.library`` registers fail in ``torch.func``, and tangents are zeros.)
    """

    operator: type[Operator]

    @classmethod
    def forward(cls, *args: Any) -> Any:
        # Casts are made; in backward, where autocast may be on, there shall be none.
        above = torch._C._ExcludeDispatchKeyGuard(_AUTOCAST_AND_VIEWS)
        with torch._C._AutoDispatchBelowAutograd(), above:
            return cls.operator._operator(*args)

    @classmethod
    def setup_context(cls, ctx: Any, inputs: tuple, output: Any) -> None:
        count, softmax = cls.operator.tensors, cls.operator._softmax
        ctx.operator = cls.operator
        ctx.options = inputs[count:]
        # The groups that it is over, if it is.
        ctx.softmax = inputs[softmax - 1] if softmax is not None and inputs[softmax] else None
        saved = (*inputs[:count], output) if ctx.softmax else inputs[:count]
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*saved)
        ctx.save_for_forward(*saved)

    @staticmethod  # as torch's compiled autograd needs it
    def backward(ctx: Any, *grads: Any) -> tuple[Tensor | None, ...]:
        none = (None,) * len(ctx.options)
        if all(grad is None for grad in grads):
            return *(None,) * ctx.operator.tensors, *none
        tensors = ctx.saved_tensors  # once: a checkpoint hands them out only once
        if ctx.softmax:
            *tensors, weight = tensors
            grads = (_softmax_gradient(grads[0], weight, ctx.softmax),)
        return *ctx.operator._gradients(ctx, tensors, *grads), *none

    @classmethod
    def jvp(cls, ctx: Any, *tangents: Any) -> Any:
        operator = cls.operator
        tensors = ctx.saved_tensors
        options = [False if option is True else option for option in ctx.options]  # no softmax
        maps, others = tensors[: operator.maps], tensors[operator.maps : operator.tensors]
        total: Any = None
        for i in range(len(maps)):
            if tangents[i] is not None:
                part = operator.apply(*maps[:i], tangents[i], *maps[i + 1 :], *others, *options)
                total = part if total is None else total + part
        tangents = tangents[len(maps) : operator.tensors]
        if any(tangent is not None for tangent in tangents):
            part = _tangent_by_plain_torch(
                lambda *others: getattr(eager, operator.name)(*maps, *others, *options),
                others,
                tangents,
            )
            total = part if total is None else total + part
        return _softmax_gradient(total, tensors[-1], ctx.softmax) if ctx.softmax else total

    @classmethod
    def vmap(cls, info: Any, in_dims: tuple, *args: Any) -> Any:
        # What is mapped over becomes part of the batch.
        folded = []
        for arg, dim in zip(args, in_dims, strict=True):
            if isinstance(arg, Tensor):
                mapped = (
                    arg.expand(info.batch_size, *arg.shape) if dim is None else arg.movedim(dim, 0)
                )
                batch = mapped.shape[:2]
                arg = mapped.flatten(0, 1)
            folded.append(arg)
        out = cls.operator.apply(*folded)
        if isinstance(out, Tensor):
            return out.unflatten(0, batch), 0
        return tuple(part.unflatten(0, batch) for part in out), (0,) * len(out)


def _softmax_gradient(grad: Tensor, weight: Tensor, groups: int) -> Tensor:
    """The gradient of a similarity by that of its softmax; the tangent likewise."""
    n, *taps, height, width = weight.shape
    # (Not by ``unflatten``, which torch.autograd.grad cannot map over batched gradients.)
    shape = n, groups, math.prod(taps) // groups, height, width
    out = torch._softmax_backward_data(grad.reshape(shape), weight.view(shape), 2, weight.dtype)
    return out.view(weight.shape)


def _is_beyond_functions() -> bool:
    """Tell whether transforms are active that torch lacks for a ``_Function``.

    They are ``functionalize``, and forward mode within forward mode, which would be zeros.
    """
    kinds = torch._C._functorch.TransformType
    levels = [level.key() for level in torch._C._functorch.get_interpreter_stack()]
    return kinds.Functionalize in levels or levels.count(kinds.Jvp) > 1


def gradients_by_plain_torch(function: Callable, inputs: tuple, grads: Any) -> tuple:
    """The gradients of the inputs, by torch, of a function that it can differentiate."""
    return _pull_back(function, inputs)[1](grads)


def _tangent_by_plain_torch(function: Callable, inputs: tuple, tangents: tuple) -> Any:
    """The tangent of the result, also within forward mode, of which torch has no second level.

    It is the gradient of the gradient, which is linear in that of the result.
    """
    given = tuple(
        torch.zeros_like(i) if t is None else t for i, t in zip(inputs, tangents, strict=True)
    )
    out, pull_back = _pull_back(function, inputs)
    parts = out if isinstance(out, tuple) else (out,)
    zeros = tuple(torch.zeros_like(part) for part in parts)
    grads = gradients_by_plain_torch(
        lambda *grads: pull_back(grads if isinstance(out, tuple) else grads[0]), zeros, given
    )
    return grads if isinstance(out, tuple) else grads[0]


def _pull_back(function: Callable, inputs: tuple) -> tuple[Any, Callable]:
    out, pull_back, *_ = torch.func.vjp(function, *inputs)
    return out, pull_back
