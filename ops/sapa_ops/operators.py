"""The four operators: they check their arguments, then run the form that fits.

Low-res maps are (h, w), high-res maps (H, W) with H >= h, W >= w; no exact multiple is needed.
A high-res row i belongs to the low-res row ``i // s`` where
``h == ceil(H / s)`` for a whole s, as strides relate them, and to ``floor((i + 0.5) * h / H)``
for any other ratio; columns likewise. All operators take float16, bfloat16,
float32 and float64, in any memory layout. Under autocast, assembly casts its inputs to autocast's
dtype, and similarity casts them to float32, like the softmax that follows it: the inner product of
many channels is not scaled and can leave float16's range.

NaN and infinity show in every result that reads them. What lies outside the map is not read and
counts 0, whatever the query or weight. A point whose offset is NaN gives NaN.
"""

import torch
from torch import Tensor

from . import checks
from .backends import autocast, dispatch


def window_similarity(query: Tensor, key: Tensor, kernel_size: int) -> Tensor:
    """Similarity of each high-res query with the keys in a window around its low-res position.

    The inner product of Eq. 6 before normalisation, without scaling. Taps run row by row, then
    column by column. A tap outside the map has similarity 0.

    Args:
        query (Tensor): (N, D, H, W), from the guide.
        key (Tensor): (N, D, h, w), from the low-res feature.
        kernel_size (int): Side K of the window; positive and odd.

    Returns:
        Tensor: (N, K*K, H, W), of the query's dtype.

    Raises:
        TypeError: If an argument is not a floating point tensor, or dtypes differ.
        ValueError: If shapes or devices do not fit, or kernel_size is even or < 1.
    """
    op = 'window_similarity'
    query, key = autocast(query, key, dtype=torch.float32)
    checks.check_maps(op, query=query, key=key)
    checks.check_kernel_size(op, kernel_size)
    checks.check_channels(op, 'key', key, checks.shape(query)[1], 'as query')
    checks.check_sizes(op, 'query', query, 'key', key)
    return dispatch(op, (query, key), kernel_size)


def window_assemble(weight: Tensor, value: Tensor, kernel_size: int, groups: int = 1) -> Tensor:
    """Weighted sum of the values in a window around each high-res position's low-res position.

    Eq. 2, whose points are the window's taps. A tap outside the map has value 0.

    Args:
        weight (Tensor): (N, G*K*K, H, W).
        value (Tensor): (N, C, h, w); channels split evenly over the groups.
        kernel_size (int): Side K of the window; positive and odd.
        groups (int): G, number of channel groups with weights of their own. Defaults to 1.

    Returns:
        Tensor: (N, C, H, W), of the value's dtype.

    Raises:
        TypeError: If an argument is not a floating point tensor, or dtypes differ.
        ValueError: If shapes, devices or groups do not fit, or kernel_size is even or < 1.
    """
    op = 'window_assemble'
    weight, value = autocast(weight, value)
    checks.check_maps(op, weight=weight, value=value)
    checks.check_kernel_size(op, kernel_size)
    checks.check_groups(op, 'value', value, groups)
    expected = groups * kernel_size**2
    checks.check_channels(op, 'weight', weight, expected, 'groups * kernel_size**2')
    checks.check_sizes(op, 'weight', weight, 'value', value)
    return dispatch(op, (weight, value), kernel_size, groups)


def point_similarity(query: Tensor, key: Tensor, offset: Tensor, groups: int) -> Tensor:
    """Similarity of each high-res query with the keys at its own sampled points.

    The inner product of Eq. 8 before normalisation. A point lies at the low-res index of the
    position plus an offset in low-res pixels and is sampled bilinearly with zero padding; outside
    the open interval (-1, size) its similarity is 0.

    Args:
        query (Tensor): (N, G*D, H, W), from the guide.
        key (Tensor): (N, G*D, h, w), from the low-res feature.
        offset (Tensor): (N, G*S*2, H, W); channels run group, point, (x, y).
        groups (int): G, number of groups with queries, keys and points of their own.

    Returns:
        Tensor: (N, G, S, H, W), of the query's dtype.

    Raises:
        TypeError: If an argument is not a floating point tensor, or dtypes differ.
        ValueError: If shapes, devices or groups do not fit.
    """
    op = 'point_similarity'
    query, key, offset = autocast(query, key, offset, dtype=torch.float32)
    checks.check_maps(op, query=query, key=key, offset=offset)
    checks.check_groups(op, 'query', query, groups)
    points = max(checks.shape(offset)[1] // (2 * groups), 1)
    expected = 2 * groups * points
    checks.check_channels(op, 'offset', offset, expected, 'groups * points * 2')
    checks.check_channels(op, 'key', key, checks.shape(query)[1], 'as query')
    checks.check_sizes(op, 'query', query, 'key', key)
    checks.check_same_size(op, 'offset', offset, 'query', query)
    return dispatch(op, (query, key, offset), groups)


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
        TypeError: If an argument is not a floating point tensor, or dtypes differ.
        ValueError: If shapes or devices do not fit.
    """
    op = 'point_assemble'
    weight, value, offset = autocast(weight, value, offset)
    checks.check_maps(op, dims=5, weight=weight, value=value, offset=offset)
    groups, points = checks.shape(weight)[1:3]
    checks.check_groups(op, 'value', value, groups)
    expected = 2 * groups * points
    checks.check_channels(op, 'offset', offset, expected, 'groups * points * 2')
    checks.check_sizes(op, 'weight', weight, 'value', value)
    checks.check_same_size(op, 'offset', offset, 'weight', weight)
    return dispatch(op, (weight, value, offset))
