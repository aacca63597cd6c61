"""Multi-scale deformable attention, with or without mmcv's compiled operators."""

import functools
import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from sapa_ops.checks import check_positive, shape
from sapa_ops.geometry import is_recorded, is_traced
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint


class MultiScaleDeformableAttention(nn.Module):
    """Attention to a few points of each level around a reference point (Deformable DETR, Eq. 3).

    Every query has, for each head and level, ``num_points`` points at offsets that are linear in
    the query, and their weights, which sum to 1 over levels and points. The parameters have the
    names of mmcv's module and state dicts fit both. On CUDA it runs mmcv's operator where that is
    installed, otherwise it samples head by head and level by level, also in the backward pass, so
    that the sampled values of a single head are in memory at a time.

    Args:
        embed_dims (int): d, channels of queries, values and output. Defaults to 256.
        num_heads (int): Heads, each with d / num_heads channels. Defaults to 8.
        num_levels (int): Feature levels to sample. Defaults to 4.
        num_points (int): Points of each head and level. Defaults to 8.
        dropout (float): Dropout ratio of the output, before the identity is added. Defaults to 0.1.

    Raises:
        ValueError: If a number is not a positive integer, or num_heads does not divide embed_dims.
    """

    def __init__(
        self,
        embed_dims: int = 256,
        num_heads: int = 8,
        num_levels: int = 4,
        num_points: int = 8,
        dropout: float = 0.1,
    ):
        super().__init__()
        check_positive(
            type(self).__name__,
            embed_dims=embed_dims,
            num_heads=num_heads,
            num_levels=num_levels,
            num_points=num_points,
        )
        if embed_dims % num_heads:
            raise ValueError(
                f'{type(self).__name__}: num_heads={num_heads} must divide embed_dims={embed_dims}'
            )
        self.num_heads = num_heads
        self.num_levels = num_levels
        self.num_points = num_points
        points = num_heads * num_levels * num_points
        self.sampling_offsets = nn.Linear(embed_dims, points * 2)
        self.attention_weights = nn.Linear(embed_dims, points)
        self.value_proj = nn.Linear(embed_dims, embed_dims)
        self.output_proj = nn.Linear(embed_dims, embed_dims)
        self.dropout = nn.Dropout(dropout)
        self.init_weights()

    def init_weights(self) -> None:
        """Start with equal weights; the points of each head lie in a direction of its own.

        They are 1, 2, ... pixels away along the longer axis, whatever the query.
        """
        angles = torch.arange(self.num_heads) * (2 * math.pi / self.num_heads)
        directions = torch.stack([angles.cos(), angles.sin()], -1)
        directions = directions / directions.abs().amax(-1, keepdim=True)
        distances = torch.arange(1, self.num_points + 1)
        offsets = directions[:, None, None] * distances[:, None]
        offsets = offsets.expand(-1, self.num_levels, -1, -1)
        with torch.no_grad():
            self.sampling_offsets.bias.copy_(offsets.flatten())
        for layer in (self.sampling_offsets, self.attention_weights):
            nn.init.zeros_(layer.weight)
        for layer in (self.value_proj, self.output_proj):
            nn.init.xavier_uniform_(layer.weight)
        for layer in (self.attention_weights, self.value_proj, self.output_proj):
            nn.init.zeros_(layer.bias)

    def forward(
        self,
        query: Tensor,
        value: Tensor,
        reference_points: Tensor,
        spatial_shapes: Sequence[tuple[int, int]],
        query_pos: Tensor | None = None,
    ) -> Tensor:
        """Attend, and add the query.

        Args:
            query (Tensor): (N, Q, d).
            value (Tensor): (N, V, d): the pixels of all levels, row by row, one level after the
                other.
            reference_points (Tensor): (N or 1, Q, 2), x and y of each query as fractions of the
                width and height, the same on all levels.
            spatial_shapes (Sequence[tuple[int, int]]): Height and width of each level.
            query_pos (Tensor, optional): (N or 1, Q, d), added to the query to find its points and
                weights. Defaults to None.

        Returns:
            Tensor: (N, Q, d), query + dropout(projection of the sampled values).

        Raises:
            ValueError: If the levels do not fit num_levels or the value.
        """
        sizes = [(height, width) for height, width in spatial_shapes]
        fits = len(sizes) == self.num_levels
        if fits and not is_traced():
            fits = sum(height * width for height, width in sizes) == value.shape[1]
        if not fits:
            raise ValueError(
                f'{type(self).__name__}: spatial_shapes must be {self.num_levels} levels '
                f'(num_levels) of {value.shape[1]} pixels (value), got {sizes}'
            )
        placed = query if query_pos is None else query + query_pos
        layout = (self.num_heads, self.num_levels, self.num_points)
        offsets = self.sampling_offsets(placed).unflatten(-1, (*layout, 2))
        weights = self.attention_weights(placed).unflatten(-1, (self.num_heads, -1)).softmax(-1)
        weights = weights.unflatten(-1, layout[1:])
        value = self.value_proj(value).unflatten(-1, (self.num_heads, -1))
        # Positions need more than the 8 or 11 bits of a 16-bit float.
        dtype = torch.promote_types(value.dtype, torch.float32)
        reference_points, offsets, weights, value = (
            tensor.to(dtype) for tensor in (reference_points, offsets, weights, value)
        )
        by_mmcv = value.is_cuda and not is_recorded() and len(value) > 0 and _cuda_function()
        attend = _attend_by_mmcv if by_mmcv else _attend
        out = attend(value, sizes, reference_points, offsets, weights)
        return query + self.dropout(self.output_proj(out.to(query.dtype)))


@functools.cache
def _cuda_function() -> Callable | None:
    """Find mmcv's function; None if mmcv was built without operators, or without CUDA."""
    try:
        from mmcv.ops import get_compiling_cuda_version
        from mmcv.ops.multi_scale_deform_attn import MultiScaleDeformableAttnFunction
    except ImportError:
        return None
    compiled = get_compiling_cuda_version() != 'not available'
    return MultiScaleDeformableAttnFunction.apply if compiled else None


def _attend_by_mmcv(
    value: Tensor,
    sizes: Sequence[tuple[int, int]],
    reference: Tensor,
    offsets: Tensor,
    weights: Tensor,
) -> Tensor:
    """See ``_attend``."""
    shapes = torch.tensor(sizes, device=value.device)
    areas = shapes.prod(1)
    locations = reference[:, :, None, None, None] + offsets / shapes.flip(1)[:, None]
    starts = areas.cumsum(0) - areas
    inputs = (value.contiguous(), shapes, starts, locations.contiguous(), weights.contiguous())
    return _cuda_function()(*inputs, len(value))


def _attend(
    value: Tensor,
    sizes: Sequence[tuple[int, int]],
    reference: Tensor,
    offsets: Tensor,
    weights: Tensor,
) -> Tensor:
    """Sample and sum.

    Args:
        value (Tensor): (N, V, heads, D).
        sizes (Sequence[tuple[int, int]]): Height and width of each level.
        reference (Tensor): (N or 1, Q, 2).
        offsets (Tensor): (N, Q, heads, levels, points, 2), in pixels of the level.
        weights (Tensor): (N, Q, heads, levels, points).

    Returns:
        Tensor: (N, Q, heads * D).
    """
    heads, channels = shape(value)[2:]
    areas = [height * width for height, width in sizes]
    # With all heads at once a graph has fewer nodes.
    at_once = heads if is_recorded() else 1
    # To keep the samples for the backward pass would take a GB an image.
    recompute = torch.is_grad_enabled() and not is_traced()
    if shape(reference)[0] > 1:
        reference = reference.repeat_interleave(at_once, 0)

    def split_heads(x: Tensor) -> list[Tensor]:
        return [heads.transpose(1, 2).flatten(0, 1) for heads in x.split(at_once, 2)]

    outs = []
    for part in zip(*map(split_heads, (value, offsets, weights)), strict=True):
        levels = part[0].split(areas, 1), part[1].unbind(2), part[2].unbind(2)
        out = 0
        for pixels, *points, size in zip(*levels, sizes, strict=True):
            inputs = (pixels.transpose(1, 2).unflatten(2, size), reference, *points)
            if recompute:
                sampled = checkpoint(
                    _attend_to_level, *inputs, use_reentrant=False, preserve_rng_state=False
                )
            else:
                sampled = _attend_to_level(*inputs)
            out = out + sampled
        outs.append(out.reshape(value.shape[0], at_once * channels, out.shape[-1]))
    return torch.cat(outs, 1).transpose(1, 2)


def _attend_to_level(image: Tensor, reference: Tensor, offsets: Tensor, weights: Tensor) -> Tensor:
    """Sum the samples of one head at one level, (N, D, h, w), to (N, D, Q)."""
    height, width = image.shape[2:]
    # With the queries last, side by side in memory, products and sums are fastest.
    offsets, weights = offsets.transpose(1, 2), weights.transpose(1, 2).contiguous()
    x = reference[:, None, :, 0] + offsets[..., 0] / width
    y = reference[:, None, :, 1] + offsets[..., 1] / height
    grid = 2 * torch.stack([x, y], -1) - 1
    sampled = F.grid_sample(image, grid, align_corners=False)
    return (sampled * weights[:, None]).sum(2)
