"""DepthFormer's neck."""

from collections.abc import Sequence
from typing import Any

import torch
from mmcv.cnn import ConvModule
from mmengine.model import BaseModule
from mmseg.registry import MODELS
from sapa_ops.checks import check_positive, shape
from torch import Tensor, nn

from ..upsamplers.state_dict import rename_keys
from .deformable_attention import MultiScaleDeformableAttention


@MODELS.register_module()
class HAHINeck(BaseModule):
    """Hierarchical aggregation and heterogeneous interaction (HAHI) of DepthFormer.

    The levels of a transformer are enhanced by deformable attention to each other, those of a
    convolution stem by deformable attention to them (arXiv:2203.14211, Sec. 3.3)::

        laterals = conv(inputs)
        tokens = self_attention(embed(laterals[1:]))
        stem = cross_attention(embed(laterals[0]), tokens)
        outs = fuse(stem | laterals[0]), fuse(laterals[1] | tokens of level 1), ...

    Args:
        in_channels (Sequence[int]): Channels of the stem and of each level of the transformer,
            finest first; those of the outputs. Defaults to (64, 96, 192, 384, 768).
        embed_dims (int): d, channels of the attention. Defaults to 256.
        num_heads (int): Heads of both attentions. Defaults to 8.
        num_points (int): Points of each head and level. Defaults to 8.
        dropout (float): Dropout ratio of both attentions' outputs. Defaults to 0.1.
        norm_cfg (dict, optional): Normalisation of the convolutions. Defaults to
            ``dict(type='BN')``.
        act_cfg (dict, optional): Their activation. Defaults to ``dict(type='ReLU')``.
        init_cfg (dict or list[dict], optional): Initialisation. Defaults to Xavier's, uniform, for
            convolutions and linear layers, except for those that find an attention's points.

    Raises:
        ValueError: If in_channels are not at least two positive integers, embed_dims is not
            divisible by 4 and num_heads, or a number is not a positive integer.
    """

    def __init__(
        self,
        in_channels: Sequence[int] = (64, 96, 192, 384, 768),
        embed_dims: int = 256,
        num_heads: int = 8,
        num_points: int = 8,
        dropout: float = 0.1,
        norm_cfg: dict[str, Any] | None = None,
        act_cfg: dict[str, Any] | None = None,
        init_cfg: dict[str, Any] | list[dict[str, Any]] | None = None,
    ):
        if init_cfg is None:
            init_cfg = dict(type='Xavier', layer=['Conv2d', 'Linear'], distribution='uniform')
        super().__init__(init_cfg)
        name = type(self).__name__
        if not isinstance(in_channels, Sequence) or len(in_channels) < 2:
            raise ValueError(
                f'{name}: in_channels must be those of the stem and of one or more levels of the '
                f'transformer, got {in_channels!r}'
            )
        for channels in in_channels:
            check_positive(name, in_channels=channels)
        check_positive(name, embed_dims=embed_dims)
        if embed_dims % 4:
            raise ValueError(
                f'{name}: embed_dims must be divisible by 4 (sines and cosines of two axes), '
                f'got {embed_dims}'
            )
        self.in_channels = tuple(in_channels)
        norm_cfg = dict(type='BN') if norm_cfg is None else norm_cfg
        act_cfg = dict(type='ReLU') if act_cfg is None else act_cfg

        def convs(inputs: Sequence[int], outputs: Sequence[int], kernel_size: int) -> nn.ModuleList:
            # In lists, which keeps them from initialising themselves after init_cfg.
            return nn.ModuleList(
                ConvModule(
                    before,
                    after,
                    kernel_size,
                    padding=kernel_size // 2,
                    norm_cfg=norm_cfg,
                    act_cfg=act_cfg,
                )
                for before, after in zip(inputs, outputs, strict=True)
            )

        embedded = [embed_dims] * len(in_channels)
        joined = [channels + embed_dims for channels in in_channels]
        self.lateral_convs = convs(in_channels, in_channels, 1)
        self.embed_convs = convs(in_channels, embedded, 1)
        self.fusion_convs = convs(joined, in_channels, 3)
        levels = len(in_channels) - 1
        options = (embed_dims, num_heads, levels, num_points, dropout)
        self.self_attention = MultiScaleDeformableAttention(*options)
        self.cross_attention = MultiScaleDeformableAttention(*options)
        self.reference_points = nn.Linear(embed_dims, 2)
        self.level_embeds = nn.Parameter(torch.randn(levels, embed_dims))

    def forward(self, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Enhance the features.

        Args:
            inputs (Sequence[Tensor]): Features (N, C_i, H_i, W_i) of the stem and of the levels
                of the transformer, finest first.

        Returns:
            tuple[Tensor, ...]: Features of the same shapes.

        Raises:
            ValueError: If the inputs do not fit in_channels.
        """
        got = [shape(feature)[1] for feature in inputs]
        if got != list(self.in_channels):
            raise ValueError(
                f'{type(self).__name__}: expects {len(self.in_channels)} inputs with in_channels='
                f'{self.in_channels}, got {len(got)} inputs with {got} channels'
            )
        laterals = [conv(x) for conv, x in zip(self.lateral_convs, inputs, strict=True)]
        stem, *levels = (conv(x) for conv, x in zip(self.embed_convs, laterals, strict=True))
        sizes = [level.shape[2:] for level in levels]

        tokens = torch.cat([level.flatten(2) for level in levels], 2).transpose(1, 2)
        centres = torch.cat([pixel_centres(size, tokens) for size in sizes])
        positions = torch.cat(
            [
                sine_encoding(size, vector) + vector
                for size, vector in zip(sizes, self.level_embeds.unbind(), strict=True)
            ]
        )
        tokens = self.self_attention(tokens, tokens, centres[None], sizes, positions)

        positions = sine_encoding(stem.shape[2:], self.level_embeds[0])
        points = self.reference_points(positions).sigmoid()
        stem_tokens = stem.flatten(2).transpose(1, 2)
        stem_tokens = self.cross_attention(stem_tokens, tokens, points[None], sizes, positions)

        parts = tokens.split([height * width for height, width in sizes], 1)
        joined = [
            torch.cat([_to_map(stem_tokens, stem.shape[2:]), laterals[0]], 1),
            *(
                torch.cat([lateral, _to_map(part, size)], 1)
                for lateral, part, size in zip(laterals[1:], parts, sizes, strict=True)
            ),
        ]
        return tuple(conv(x) for conv, x in zip(self.fusion_convs, joined, strict=True))

    def _load_from_state_dict(self, state_dict, prefix, *args, **kwargs):
        # The names in the Monocular-Depth-Estimation-Toolbox.
        names = {
            'conv_proj.0': 'embed_convs.0',
            'conv_fusion.0': 'fusion_convs.0',
            'self_attn': 'self_attention',
            'multi_att': 'cross_attention',
            'level_embed': 'level_embeds',
        }
        for level in range(len(self.level_embeds)):
            names[f'trans_proj.{level}'] = f'embed_convs.{level + 1}'
            names[f'trans_fusion.{level}'] = f'fusion_convs.{level + 1}'
        rename_keys(state_dict, prefix, names)
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)


def pixel_centres(size: tuple[int, int], like: Tensor) -> Tensor:
    """Place the pixels of a map, as fractions of its width and height.

    Args:
        size (tuple[int, int]): Height and width.
        like (Tensor): Of the device, and of the dtype unless that has 16 bits.

    Returns:
        Tensor: (height * width, 2), x and y, at least float32.
    """
    rows, columns = (((_count(side, like) - 0.5) / side)[:, None] for side in size)
    return _at_each_pixel(rows, columns).flip(1)


def sine_encoding(size: tuple[int, int], like: Tensor) -> Tensor:
    """Encode the pixels' positions by sines and cosines, as DETR does, without normalisation.

    The first half of the channels is for y, counted from 1, the second for x: sin(y / t_i) and
    cos(y / t_i) in turns, t_i = 10000^(4i / d) for i = 0, 1, ...

    Args:
        size (tuple[int, int]): Height and width.
        like (Tensor): (d,), of the dtype and device.

    Returns:
        Tensor: (height * width, d).
    """
    channels = like.shape[0] // 2

    def encode(side: int) -> Tensor:
        positions = _count(side, like)
        exponents = torch.arange(0, channels, 2, device=like.device, dtype=positions.dtype)
        angles = positions[:, None] / 10000 ** (exponents / channels)
        return torch.stack([angles.sin(), angles.cos()], -1).flatten(1)

    height, width = size
    return _at_each_pixel(encode(height), encode(width)).to(like.dtype)


def _count(side: int, like: Tensor) -> Tensor:
    """1, 2, ... side."""
    dtype = torch.promote_types(like.dtype, torch.float32)
    return torch.arange(1, side + 1, device=like.device, dtype=dtype)


def _at_each_pixel(rows: Tensor, columns: Tensor) -> Tensor:
    """Join what is known of each row (h, C) and each column (w, C), to (h * w, 2 * C)."""
    height, width = rows.shape[0], columns.shape[0]
    rows, columns = rows[:, None].expand(-1, width, -1), columns.expand(height, -1, -1)
    return torch.cat([rows, columns], -1).flatten(0, 1)


def _to_map(tokens: Tensor, size: tuple[int, int]) -> Tensor:
    """Reshape (N, h * w, C) to (N, C, h, w)."""
    return tokens.transpose(1, 2).unflatten(2, size)
