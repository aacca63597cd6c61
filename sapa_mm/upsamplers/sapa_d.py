"""SAPA-D: similarity of embeddings over dynamically selected points."""

import math

import torch
from sapa_ops import point_assemble, point_similarity
from torch import Tensor, nn

from .base import PointUpsampler, Table1Row
from .carafe import init_kernel_prediction, kernel_prediction_convs, predict_kernels
from .resize import nearest_resize, pixel_shuffle
from .sapa import Sapa

OFFSET_INITS = ('origin', 'grid')


class SapaD(Sapa, PointUpsampler):
    """SAPA-D, Eq. 8: points selected by learned offsets, weighted by the softmax of similarity.

    Call it as ``upsampler(x, guide)``, the low-res feature first. Each group of channels has
    points, queries and keys of its own. A point lies at the low-res index of the upsampled
    position plus an offset in low-res pixels.

    Args:
        in_channels (int): C, channels of x; divisible by ``groups``.
        guide_channels (int, optional): C', channels of the guide. Defaults to C.
        scale_factor (int): s; with ``shared_offset=False`` each of the s² children of a low-res
            pixel gets its own offsets. Defaults to 2.
        embed_dims (int): d, embedding channels per group. Defaults to 32.
        num_points (int): S, points per position and group. Defaults to 9.
        groups (int): g. Defaults to 4.
        shared_offset (bool): Whether the children of a low-res pixel share its offsets (DOF 1 in
            Table 2) or have their own (DOF s²). Defaults to False.
        offset_init (str): 'origin', where offsets start near zero, or 'grid', where they start as
            a square window and ``num_points`` must be a square; Table 12. Defaults to 'origin'.
        pre_norm (bool): Whether x and guide pass GroupNorm(32) before points and weights are
            generated, as in Table 2 for SegFormer. Defaults to False.
        guided (bool): False is the first row of Table 12: weights are predicted from x alone, as
            in CARAFE, for dynamically selected points, and ``embed_dims`` and ``temperature`` have
            no effect. Defaults to True.
        temperature (float): What similarities are divided by before they are normalised, such as
            the √d of attention; the paper has none. Defaults to 1.

    Raises:
        ValueError: If an option is out of range.
    """

    name = 'sapa_d'
    title = 'SAPA-D'
    counter_note = (
        'the formula has 8 for a bilinear sample, the counter its 4 multiply-adds; for the '
        "similarity it has the paper's total, 38Sdg, though the steps add up to 36Sdg (32Sdg + "
        '4Sdg)'
    )
    weights_of_options = {
        'query': 'guided=True',
        **Sapa.weights_of_options,
        'channel_compressor': 'guided=False',
        'content_encoder': 'guided=False',
    }
    table_1 = (Table1Row('5Cdg + 38Sdg + 36SC + 8SCg', '2Cdg + 8SCg'),)

    def __init__(
        self,
        in_channels: int,
        guide_channels: int | None = None,
        scale_factor: int = 2,
        embed_dims: int = 32,
        num_points: int = 9,
        groups: int = 4,
        shared_offset: bool = False,
        offset_init: str = 'origin',
        pre_norm: bool = False,
        guided: bool = True,
        temperature: float = 1.0,
    ):
        super().__init__(in_channels, guide_channels, scale_factor, pre_norm, guided, temperature)
        self.check_positive(embed_dims=embed_dims, num_points=num_points)
        self.check_switch(shared_offset=shared_offset)
        self.check_groups(in_channels, groups=groups)
        if offset_init not in OFFSET_INITS:
            self.fail(f'offset_init must be one of {", ".join(OFFSET_INITS)}, got {offset_init!r}')
        if offset_init == 'grid' and math.isqrt(num_points) ** 2 != num_points:
            self.fail(f"offset_init='grid' needs a square num_points, got {num_points}")
        self.num_points = num_points
        self.groups = groups
        self.shared_offset = shared_offset
        self.offset_init = offset_init

        if guided:
            self.query = nn.Conv2d(self.guide_channels, groups * embed_dims, 1)
            self.key = nn.Conv2d(self.in_channels, groups * embed_dims, 1)
        else:
            self.channel_compressor, self.content_encoder = kernel_prediction_convs(
                in_channels, groups * num_points, scale_factor
            )
        children = 1 if shared_offset else scale_factor**2
        self.offset = nn.Conv2d(self.in_channels, groups * num_points * 2 * children, 1)
        self.init_weights()

    def init_weights(self) -> None:
        """See ``Upsampler.init_weights``."""
        super().init_weights()
        if not self.guided:
            init_kernel_prediction(self.channel_compressor, self.content_encoder)
        if self.offset_init == 'grid':
            grid = _window_grid(self.num_points).repeat(self.groups, 1).flatten()
            children = self.offset.out_channels // grid.numel()
            with torch.no_grad():
                self.offset.bias.copy_(grid.repeat_interleave(children))

    def flops_per_position(self) -> int:
        """See ``Upsampler.flops_per_position``."""
        c, children, points = self.in_channels, self.scale_factor**2, self.num_points
        offsets = c * self.offset.out_channels
        # 8 for a bilinear sample, 1 for adding it to the sum.
        values = 9 * children * points * c
        if not self.guided:
            convs = (self.channel_compressor, self.content_encoder)
            return offsets + values + sum(conv.weight.numel() for conv in convs)
        embedded = self.query.out_channels
        embedding = (c + children * self.guide_channels) * embedded
        similarity = children * points * embedded * 38 // 4
        return offsets + values + embedding + similarity

    def select_points(self, x: Tensor, size: tuple[int, int]) -> Tensor:
        """Point selection from x (after pre_norm).

        Args:
            x (Tensor): (N, C, h, w).
            size (tuple[int, int]): H and W.

        Returns:
            Tensor: Offsets (N, g*S*2, H, W) in low-res pixels; channels run group, point, (x, y).
        """
        offset = self.offset(x)
        if self.shared_offset:
            return nearest_resize(offset, size)
        return nearest_resize(pixel_shuffle(offset, self.scale_factor), size, self.scale_factor)

    def generate_weights(self, x: Tensor, guide: Tensor | None, offset: Tensor) -> Tensor:
        """Weight generation from x and guide (after pre_norm).

        Args:
            x (Tensor): (N, C, h, w).
            guide (Tensor, optional): (N, C', H, W); unused by the unguided variant.
            offset (Tensor): (N, g*S*2, H, W).

        Returns:
            Tensor: (N, g, S, H, W), sums to 1 over the points.
        """
        if self.guided:
            query, key = self.scale_query(self.query(guide)), self.key(x)
            return point_similarity(query, key, offset, self.groups, softmax=True)
        predicted = predict_kernels(
            self.channel_compressor,
            self.content_encoder,
            x,
            self.scale_factor,
            (offset.shape[2], offset.shape[3]),
        )
        return predicted.unflatten(1, (self.groups, self.num_points)).softmax(2)

    def upsample(self, x: Tensor, guide: Tensor | None, size: tuple[int, int]) -> Tensor:
        """See ``Upsampler.forward``."""
        weight, offset = self.kernels(x, guide, size)
        return point_assemble(weight, x, offset)

    def kernels(
        self, x: Tensor, guide: Tensor | None, size: tuple[int, int]
    ) -> tuple[Tensor, Tensor]:
        """See ``PointUpsampler.kernels``."""
        normed = self.norm_x(x)
        offset = self.select_points(normed, size)
        guide = self.norm_guide(guide) if self.guided else None
        return self.generate_weights(normed, guide, offset), offset


def _window_grid(num_points: int) -> Tensor:
    """(x, y) of a square window around 0, (S, 2), row by row, then column by column."""
    side = math.isqrt(num_points)
    axis = torch.arange(side) - (side - 1) / 2
    y, x = torch.meshgrid(axis, axis, indexing='ij')
    return torch.stack([x, y], -1).view(num_points, 2)
