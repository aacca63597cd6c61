"""The operators: the four public functions, and what is true of them in every form.

Low-res maps are (h, w), high-res maps (H, W) with H >= h, W >= w; no exact multiple is needed.
A high-res row i belongs to the low-res row ``i // s`` where
``h == ceil(H / s)`` for a whole s, as strides relate them, and to ``floor((i + 0.5) * h / H)``
for any other ratio; columns likewise. All operators take float16, bfloat16,
float32 and float64, in any memory layout. Under autocast, assembly casts its inputs to autocast's
dtype, and similarity casts them to float32, like the softmax that follows it: the inner product of
many channels is not scaled and can leave float16's range.

NaN and infinity show in every result that reads them. What lies outside the map is not read and
counts 0, whatever the query or weight. A point whose offset is NaN gives NaN. Windows may also be
kept on the map, by their ``border``: then all taps are read.

The operators of a kind are derivatives of one sum over positions, taps or points, and channels:
weight * low * high. Similarity is its derivative by weight, assembly by high, the adjoint by low.
So they are each other's gradients, to any order; only offsets have others.
"""

import math

import torch
from torch import Tensor

from . import checks, eager
from .geometry import layout_of
from .library import Operator, gradients_by_plain_torch


def window_similarity(
    query: Tensor,
    key: Tensor,
    kernel_size: int,
    groups: int = 1,
    softmax: bool = False,
    border: str = 'zeros',
) -> Tensor:
    """Similarity of each high-res query with the keys in a window around its low-res position.

    The inner product of Eq. 6, without scaling. Taps run row by row, then column by column.

    Args:
        query (Tensor): (N, G*D, H, W), from the guide.
        key (Tensor): (N, G*D, h, w), from the low-res feature.
        kernel_size (int): Side K of the window; positive and odd.
        groups (int): G, number of groups with queries and keys of their own. Defaults to 1.
        softmax (bool): Whether to normalise the similarities of each window and group by softmax,
            without another pass over memory. Defaults to False.
        border (str): What a tap outside the map reads: 'zeros' gives it similarity 0, 'replicate'
            the nearest pixel of the map. 'shift' moves the whole window onto the map, which must
            not be smaller. Defaults to 'zeros'.

    Returns:
        Tensor: (N, G*K*K, H, W), of the query's dtype.

    Raises:
        TypeError: If an argument is not a dense floating point tensor, or dtypes differ.
        ValueError: If shapes, devices or options do not fit, or kernel_size is even or < 1.
    """
    return WindowSimilarity.call(query, key, kernel_size, groups, softmax, border)


def window_assemble(
    weight: Tensor, value: Tensor, kernel_size: int, groups: int = 1, border: str = 'zeros'
) -> Tensor:
    """Weighted sum of the values in a window around each high-res position's low-res position.

    Eq. 2, whose points are the window's taps.

    Args:
        weight (Tensor): (N, G*K*K, H, W).
        value (Tensor): (N, C, h, w); channels split evenly over the groups.
        kernel_size (int): Side K of the window; positive and odd.
        groups (int): G, number of channel groups with weights of their own. Defaults to 1.
        border (str): 'zeros', 'replicate' or 'shift', as in ``window_similarity``. Defaults to
            'zeros'.

    Returns:
        Tensor: (N, C, H, W), of the value's dtype.

    Raises:
        TypeError: If an argument is not a dense floating point tensor, or dtypes differ.
        ValueError: If shapes, devices or options do not fit, or kernel_size is even or < 1.
    """
    return WindowAssemble.call(weight, value, kernel_size, groups, border)


def point_similarity(
    query: Tensor, key: Tensor, offset: Tensor, groups: int, softmax: bool = False
) -> Tensor:
    """Similarity of each high-res query with the keys at its own sampled points.

    The inner product of Eq. 8. A point lies at the low-res index of the position plus an offset in
    low-res pixels and is sampled bilinearly with zero padding; outside the open interval
    (-1, size) its similarity is 0.

    Args:
        query (Tensor): (N, G*D, H, W), from the guide.
        key (Tensor): (N, G*D, h, w), from the low-res feature.
        offset (Tensor): (N, G*S*2, H, W); channels run group, point, (x, y).
        groups (int): G, number of groups with queries, keys and points of their own.
        softmax (bool): Whether to normalise the similarities of each position's points by softmax,
            without another pass over memory. Defaults to False.

    Returns:
        Tensor: (N, G, S, H, W), of the query's dtype.

    Raises:
        TypeError: If an argument is not a dense floating point tensor, or dtypes differ.
        ValueError: If shapes, devices or groups do not fit.
    """
    return PointSimilarity.call(query, key, offset, groups, softmax)


def point_assemble(weight: Tensor, value: Tensor, offset: Tensor) -> Tensor:
    """Weighted sum of the values at each high-res position's own sampled points.

    Eq. 8. Points are placed and sampled as in ``point_similarity``; one outside has value 0.

    Args:
        weight (Tensor): (N, G, S, H, W).
        value (Tensor): (N, C, h, w); channels split evenly over the groups.
        offset (Tensor): (N, G*S*2, H, W); channels run group, point, (x, y).

    Returns:
        Tensor: (N, C, H, W), of the value's dtype.

    Raises:
        TypeError: If an argument is not a dense floating point tensor, or dtypes differ.
        ValueError: If shapes or devices do not fit.
    """
    return PointAssemble.call(weight, value, offset)


class WindowSimilarity(Operator):
    """See ``window_similarity``."""

    name = 'window_similarity'
    tensors = maps = 2
    autocast_to = 'float32'

    @classmethod
    def _check(cls, query, key, kernel_size, groups=1, softmax=False, border='zeros'):
        checks.check_maps(cls.name, query=query, key=key)
        checks.check_kernel_size(cls.name, kernel_size)
        checks.check_groups(cls.name, 'query', query, groups)
        checks.check_channels(cls.name, 'key', key, checks.shape(query)[1], 'as query')
        checks.check_sizes(cls.name, 'query', query, 'key', key)
        checks.check_switch(cls.name, softmax=softmax)
        checks.check_border(cls.name, border, kernel_size, *checks.shape(key)[2:])

    @staticmethod
    def _empty(query, key, kernel_size, groups=1, softmax=False, border='zeros'):
        return query.new_empty(query.shape[0], groups * kernel_size**2, *query.shape[2:])

    @staticmethod
    def _gradients(ctx, tensors, grad):
        query, key = tensors
        kernel_size, groups, _, border = ctx.options
        options = kernel_size, groups, border
        query_grad = key_grad = None
        if ctx.needs_input_grad[0]:
            query_grad = WindowAssemble.apply(grad, key, *options)
        if ctx.needs_input_grad[1]:
            key_grad = WindowAdjoint.apply(grad, query, *key.shape[2:], *options)
        return query_grad, key_grad

    @staticmethod
    def _flops(query, key, kernel_size, groups=1, *_, out_shape, **__):
        return 2 * math.prod(out_shape) * (query[1] // groups)


class WindowAssemble(Operator):
    """See ``window_assemble``."""

    name = 'window_assemble'
    tensors = maps = 2
    autocast_to = 'lower'

    @classmethod
    def _check(cls, weight, value, kernel_size, groups=1, border='zeros'):
        checks.check_maps(cls.name, weight=weight, value=value)
        checks.check_window_weight(cls.name, 'value', value, weight, kernel_size, groups)
        checks.check_sizes(cls.name, 'weight', weight, 'value', value)
        checks.check_border(cls.name, border, kernel_size, *checks.shape(value)[2:])

    @staticmethod
    def _empty(weight, value, kernel_size, groups=1, border='zeros'):
        return empty_map(value, value.shape[1], *weight.shape[2:])

    @staticmethod
    def _gradients(ctx, tensors, grad):
        weight, value = tensors
        kernel_size, groups, border = ctx.options
        weight_grad = value_grad = None
        if ctx.needs_input_grad[0]:
            weight_grad = WindowSimilarity.apply(grad, value, kernel_size, groups, False, border)
        if ctx.needs_input_grad[1]:
            value_grad = WindowAdjoint.apply(weight, grad, *value.shape[2:], *ctx.options)
        return weight_grad, value_grad

    @staticmethod
    def _flops(weight, value, kernel_size, *_, out_shape, **__):
        return 2 * math.prod(out_shape) * kernel_size**2


class WindowAdjoint(Operator):
    """The derivative by the low-res map: the gradient of assembly by value, of similarity by key.

    weight (N, G*K*K, H, W), high (N, G*C, H, W), height h, width w, K, G, border to
    (N, G*C, h, w).
    """

    name = 'window_adjoint'
    tensors = maps = 2

    @classmethod
    def _check(cls, weight, high, height, width, kernel_size, groups=1, border='zeros'):
        checks.check_maps(cls.name, weight=weight, high=high)
        checks.check_window_weight(cls.name, 'high', high, weight, kernel_size, groups)
        checks.check_same_size(cls.name, 'weight', weight, 'high', high)
        checks.check_low_size(cls.name, height, width, 'high', high)
        checks.check_border(cls.name, border, kernel_size, height, width)

    @staticmethod
    def _empty(weight, high, height, width, kernel_size, groups=1, border='zeros'):
        return empty_map(high, high.shape[1], height, width)

    @staticmethod
    def _gradients(ctx, tensors, grad):
        weight, high = tensors
        _, _, kernel_size, groups, border = ctx.options
        weight_grad = high_grad = None
        if ctx.needs_input_grad[0]:
            weight_grad = WindowSimilarity.apply(high, grad, kernel_size, groups, False, border)
        if ctx.needs_input_grad[1]:
            high_grad = WindowAssemble.apply(weight, grad, kernel_size, groups, border)
        return weight_grad, high_grad

    @staticmethod
    def _flops(weight, high, height, width, kernel_size, *_, **__):
        return 2 * math.prod(high) * kernel_size**2


class PointSimilarity(Operator):
    """See ``point_similarity``."""

    name = 'point_similarity'
    tensors = 3
    maps = 2
    autocast_to = 'float32'

    @classmethod
    def _check(cls, query, key, offset, groups, softmax=False):
        checks.check_maps(cls.name, query=query, key=key, offset=offset)
        checks.check_groups(cls.name, 'query', query, groups)
        # (Not by ``max``, which is wrong within torch.cond when torch.export is not strict.)
        points = checks.shape(offset)[1] // (2 * groups) or 1
        expected = 2 * groups * points
        checks.check_channels(cls.name, 'offset', offset, expected, 'groups * points * 2')
        checks.check_channels(cls.name, 'key', key, checks.shape(query)[1], 'as query')
        checks.check_sizes(cls.name, 'query', query, 'key', key)
        checks.check_same_size(cls.name, 'offset', offset, 'query', query)
        checks.check_switch(cls.name, softmax=softmax)

    @staticmethod
    def _empty(query, key, offset, groups, softmax=False):
        points = offset.shape[1] // (2 * groups)
        return query.new_empty(query.shape[0], groups, points, *query.shape[2:])

    @staticmethod
    def _gradients(ctx, tensors, grad):
        query, key, offset = tensors
        query_grad = key_grad = offset_grad = None
        if ctx.needs_input_grad[0]:
            query_grad = PointAssemble.apply(grad, key, offset)
        if ctx.needs_input_grad[1]:
            key_grad = PointAdjoint.apply(grad, query, offset, *key.shape[2:])
        if ctx.needs_input_grad[2]:
            _, offset_grad = PointGradients.apply(grad, query, key, offset)
        return query_grad, key_grad, offset_grad

    @staticmethod
    def _flops(query, key, offset, groups, softmax=False, *, out_shape, **_):
        # Two for each multiply-add, as torch counts; a bilinear sample takes four of them.
        return 2 * math.prod(out_shape) * (query[1] // groups) * (4 + 1)


class PointAssemble(Operator):
    """See ``point_assemble``."""

    name = 'point_assemble'
    tensors = 3
    maps = 2
    autocast_to = 'lower'

    @classmethod
    def _check(cls, weight, value, offset):
        checks.check_maps(cls.name, dims=5, weight=weight, value=value, offset=offset)
        checks.check_point_weight(cls.name, 'value', value, weight, offset)
        checks.check_sizes(cls.name, 'weight', weight, 'value', value)
        checks.check_same_size(cls.name, 'offset', offset, 'weight', weight)

    @staticmethod
    def _empty(weight, value, offset):
        return empty_map(value, value.shape[1], *weight.shape[3:])

    @staticmethod
    def _gradients(ctx, tensors, grad):
        weight, value, offset = tensors
        weight_grad = value_grad = offset_grad = None
        if ctx.needs_input_grad[1]:
            value_grad = PointAdjoint.apply(weight, grad, offset, *value.shape[2:])
        if ctx.needs_input_grad[2]:
            weight_grad, offset_grad = PointGradients.apply(weight, grad, value, offset)
        elif ctx.needs_input_grad[0]:
            weight_grad = PointSimilarity.apply(grad, value, offset, weight.shape[1], False)
        return weight_grad, value_grad, offset_grad

    @staticmethod
    def _flops(weight, value, offset, *, out_shape, **_):
        return 2 * math.prod(out_shape) * weight[2] * (4 + 1)


class PointAdjoint(Operator):
    """The derivative by the low-res map: the gradient of assembly by value, of similarity by key.

    weight (N, G, S, H, W), high (N, G*C, H, W), offset (N, G*S*2, H, W), height h, width w to
    (N, G*C, h, w).
    """

    name = 'point_adjoint'
    tensors = 3
    maps = 2

    @classmethod
    def _check(cls, weight, high, offset, height, width):
        checks.check_maps(cls.name, dims=5, weight=weight, high=high, offset=offset)
        checks.check_point_weight(cls.name, 'high', high, weight, offset)
        checks.check_same_size(cls.name, 'weight', weight, 'high', high)
        checks.check_same_size(cls.name, 'offset', offset, 'high', high)
        checks.check_low_size(cls.name, height, width, 'high', high)

    @staticmethod
    def _empty(weight, high, offset, height, width):
        return empty_map(high, high.shape[1], height, width)

    @staticmethod
    def _gradients(ctx, tensors, grad):
        weight, high, offset = tensors
        high_grad = None
        if ctx.needs_input_grad[1]:
            high_grad = PointAssemble.apply(weight, grad, offset)
        weight_grad, offset_grad = PointGradients.apply(weight, high, grad, offset)
        return weight_grad, high_grad, offset_grad

    @staticmethod
    def _flops(weight, high, offset, height, width, **_):
        return 2 * math.prod(high) * weight[2] * (4 + 1)


class PointGradients(Operator):
    """The derivatives of assembly by weight, which is the similarity, and by offset.

    weight (N, G, S, H, W), high (N, G*C, H, W), low (N, G*C, h, w), offset (N, G*S*2, H, W) to
    those of weight and offset. The second is the gradient of similarity by offset, too.
    """

    name = 'point_gradients'
    tensors = 4
    maps = 0

    @classmethod
    def _check(cls, weight, high, low, offset):
        checks.check_maps(cls.name, dims=5, weight=weight, high=high, low=low, offset=offset)
        checks.check_point_weight(cls.name, 'low', low, weight, offset)
        checks.check_channels(cls.name, 'high', high, checks.shape(low)[1], 'as low')
        checks.check_sizes(cls.name, 'high', high, 'low', low)
        checks.check_same_size(cls.name, 'weight', weight, 'high', high)
        checks.check_same_size(cls.name, 'offset', offset, 'high', high)

    @staticmethod
    def _empty(weight, high, low, offset):
        return weight.new_empty(weight.shape), empty_map(offset, *offset.shape[1:])

    @staticmethod
    def _gradients(ctx, tensors, *grads):
        grads = tuple(
            torch.zeros_like(t) if grad is None else grad
            for t, grad in zip((tensors[0], tensors[3]), grads, strict=True)
        )
        return gradients_by_plain_torch(eager.point_gradients, tensors, grads)

    @staticmethod
    def _flops(weight, high, low, offset, **_):
        return 2 * math.prod(high) * weight[2] * (4 + 1)


def empty_map(like: Tensor, channels: int, height: int, width: int) -> Tensor:
    """Make a map in the layout of another."""
    empty = like.new_empty(like.shape[0], channels, height, width)
    return empty.contiguous(memory_format=layout_of(like))
