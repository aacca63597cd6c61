"""DepthFormer's dense depth head with upsamplers in place of its interpolation."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from mmcv.cnn import ConvModule
from mmengine.model import ModuleList
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from sapa_ops.checks import shape
from torch import Tensor, nn

from ..upsamplers import Bilinear, build_upsampler
from ..upsamplers.state_dict import rename_keys
from ..utils.log import log_warning


@MODELS.register_module()
class UpsampleDenseDepthHead(BaseDecodeHead):
    """Depth from the levels of a backbone or neck, upsampled step by step with any upsampler.

    It begins with a 1×1 convolution of the coarsest level. Each finer level in turn guides the
    upsampling to its size, and is then joined by two 3×3 convolutions::

        x = convs[i + 1](cat([upsamplers[i](x, guide=level), level]))

    Five levels take four separate upsamplers, coarsest first (Table 9); x has more channels than
    its guide. The convolutions have biases and LeakyReLU, and no normalisation. A last one gives
    the depth at the size of the finest level, which is interpolated to that of the image. With
    'bilinear' it is the ``DenseDepthHead`` of the Monocular-Depth-Estimation-Toolbox, whose weights
    it loads.

    Args:
        in_channels (Sequence[int]): Channels of the levels, finest first; at least two levels, of
            any backbone or neck.
        channels (Sequence[int], optional): Channels that the head has at each level, finest first.
            Defaults to ``in_channels``.
        min_depth (float): Least depth that is predicted, in the unit of the depth maps. Defaults to
            0.001.
        max_depth (float): Greatest depth that is predicted, likewise. Defaults to 10.0.
        scale_up (bool): Whether depth is sigmoid(x) * max_depth instead of ReLU(x) + min_depth. A
            ReLU may fall to 0 everywhere and stay there, see ``SigLoss``; training warns once of a
            batch where it did. Defaults to False.
        upsample_cfg (dict, optional): Type and options of the upsampler, see
            ``sapa_mm.upsamplers.build_upsampler``. Defaults to ``dict(type='bilinear')``.
        align_corners (bool): Of all bilinear interpolation, as in ``F.interpolate``. Defaults to
            True.
        loss_decode (dict | Sequence[dict], optional): Loss or losses of (pred, target). Defaults to
            ``dict(type='SigLoss')``.
        init_cfg (dict | list[dict], optional): Initialisation of the convolutions. Defaults to that
            of mmcv's ``ConvModule`` and, for the last one, torch's.

    Raises:
        TypeError: If in_channels or channels is not a list or tuple, or upsample_cfg not a dict.
        ValueError: If their lengths do not fit, not 0 < min_depth < max_depth, or upsample_cfg's
            type or an option is unknown or does not fit the head.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        channels: Sequence[int] | None = None,
        min_depth: float = 1e-3,
        max_depth: float = 10.0,
        scale_up: bool = False,
        upsample_cfg: dict[str, Any] | None = None,
        align_corners: bool = True,
        loss_decode: dict[str, Any] | Sequence[dict[str, Any]] | None = None,
        init_cfg: dict[str, Any] | list[dict[str, Any]] | None = None,
    ):
        channels = in_channels if channels is None else channels
        for name, numbers in (('in_channels', in_channels), ('channels', channels)):
            if not isinstance(numbers, (list, tuple)):
                self._fail(
                    f'{name} must be a list of int, finest first, got {numbers!r}', TypeError
                )
        if not 2 <= len(in_channels) == len(channels):
            self._fail(
                'in_channels and channels must have the same number of levels, at least 2, got '
                f'{list(in_channels)} and {list(channels)}'
            )
        if not 0 < min_depth < max_depth:
            self._fail(f'needs 0 < min_depth < max_depth, got {min_depth} and {max_depth}')
        super().__init__(
            in_channels=in_channels,
            channels=channels[0],
            in_index=list(range(len(in_channels))),
            input_transform='multiple_select',
            num_classes=1,
            threshold=0.0,  # unused; mmseg warns without one
            dropout_ratio=0.0,
            loss_decode=dict(type='SigLoss') if loss_decode is None else loss_decode,
            align_corners=align_corners,
            init_cfg=init_cfg,
        )
        self.min_depth = min_depth
        self.max_depth = max_depth
        self.scale_up = scale_up
        self._warned = False

        cfg = dict(type='bilinear') if upsample_cfg is None else upsample_cfg
        if isinstance(cfg, dict) and cfg.get('type') in ('bilinear', Bilinear):
            cfg = {'align_corners': align_corners, **cfg}
        act_cfg = dict(type='LeakyReLU')
        levels = zip(reversed(in_channels), reversed(channels), strict=True)
        self.convs = nn.ModuleList([ConvModule(in_channels[-1], channels[-1], 1, act_cfg=None)])
        # mmengine's ModuleList lets the upsamplers initialise themselves after init_cfg.
        self.upsamplers = ModuleList()
        for (_, coarse), (level, fine) in pairwise(levels):
            self.upsamplers.append(build_upsampler(cfg, coarse, level))
            self.convs.append(
                nn.Sequential(
                    ConvModule(coarse + level, fine, 3, padding=1, act_cfg=act_cfg),
                    ConvModule(fine, fine, 3, padding=1, act_cfg=act_cfg),
                )
            )
        del self.conv_seg
        self.conv_depth = nn.Conv2d(channels[0], 1, 3, padding=1)

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        """Predict depth.

        Args:
            inputs (Sequence[Tensor]): Levels (N, C_i, H_i, W_i) with ``in_channels``, finest first.

        Returns:
            Tensor: Depth (N, 1, H_0, W_0), of the size of the finest level. It is not clamped: with
            a ReLU, ``max_depth`` is no limit.

        Raises:
            ValueError: If the inputs do not fit in_channels.
        """
        got = [shape(level)[1] for level in inputs]
        if got != list(self.in_channels):
            self._fail(
                f'expects {len(self.in_channels)} inputs with in_channels={list(self.in_channels)}'
                f", got {len(got)} inputs with {got} channels; compare the backbone's out_indices"
            )
        *finer, coarsest = inputs
        x = self.convs[0](coarsest)
        for upsampler, convs, level in zip(
            self.upsamplers, self.convs[1:], reversed(finer), strict=True
        ):
            x = convs(torch.cat([upsampler(x, level), level], dim=1))
        x = self.conv_depth(x)
        return x.sigmoid() * self.max_depth if self.scale_up else x.relu() + self.min_depth

    def predict_by_feat(self, depth: Tensor, batch_img_metas: list[dict[str, Any]]) -> Tensor:
        """Clamp depth to the range, then interpolate it to the size of the image.

        Args:
            depth (Tensor): (N, 1, h, w), from ``forward``.
            batch_img_metas (list[dict]): Meta information of the images.

        Returns:
            Tensor: (N, 1, H, W).
        """
        meta = batch_img_metas[0]
        size = meta['img_shape']
        if not isinstance(size, torch.Size):  # which mmseg sets to the size of a sliding window
            size = meta.get('pad_shape', size)[:2]
        return self._resize(depth.clamp(self.min_depth, self.max_depth), size)

    def loss_by_feat(
        self, depth: Tensor, batch_data_samples: Sequence[SegDataSample]
    ) -> dict[str, Tensor]:
        """Interpolate depth to the size of the depth maps and compute the losses.

        Args:
            depth (Tensor): (N, 1, h, w), from ``forward``.
            batch_data_samples (Sequence[SegDataSample]): With ``gt_depth_map``, 0 where nothing is
                measured.

        Returns:
            dict[str, Tensor]: The losses by name.

        Raises:
            TypeError: If a depth map is not floating point.
            ValueError: If a depth map has another size than its image.
        """
        self._warn_of_zeros(depth)
        target = self._stack_batch_gt(batch_data_samples)
        depth = self._resize(depth, target.shape[2:])
        one = not isinstance(self.loss_decode, nn.ModuleList)
        losses: dict[str, Tensor] = {}
        for loss in [self.loss_decode] if one else self.loss_decode:
            losses[loss.loss_name] = losses.get(loss.loss_name, 0) + loss(depth, target)
        return losses

    def _stack_batch_gt(self, batch_data_samples: Sequence[SegDataSample]) -> Tensor:
        maps = [sample.gt_depth_map.data for sample in batch_data_samples]
        for sample, depth_map in zip(batch_data_samples, maps, strict=True):
            if not depth_map.is_floating_point():
                self._fail(
                    f'gt_depth_map must be floating point, got {depth_map.dtype}; load it with '
                    'LoadDepthAnnotation(to_float32=True)',
                    TypeError,
                )
            left, right, top, bottom = sample.metainfo.get('padding_size', (0, 0, 0, 0))
            height, width = sample.metainfo.get('img_shape', depth_map.shape[-2:])[:2]
            size = (height + top + bottom, width + left + right)
            if tuple(depth_map.shape[-2:]) != size:
                self._fail(
                    f'gt_depth_map must have the size of its image, {size}, got '
                    f'{tuple(depth_map.shape[-2:])}, in {sample.metainfo.get("img_path")}'
                )
        return torch.stack(maps)

    def _warn_of_zeros(self, depth: Tensor) -> None:
        if self.scale_up or self._warned or depth.max() > self.min_depth:
            return
        self._warned = True
        log_warning(
            'UpsampleDenseDepthHead: the ReLU is 0 at every pixel of a batch, so that nothing is '
            'learnt. If the loss stays at 2 to 4, start again with another seed, or with '
            'SigLoss(warm_up=True) or scale_up=True.'
        )

    def _resize(self, depth: Tensor, size: tuple[int, int]) -> Tensor:
        return F.interpolate(depth, size, mode='bilinear', align_corners=self.align_corners)

    def _load_from_state_dict(self, state_dict, prefix, *args, **kwargs):
        # The names in the Monocular-Depth-Estimation-Toolbox.
        steps = range(1, len(self.convs))
        first = {f'conv_list.{step}.convA': f'convs.{step}.0' for step in steps}
        second = {f'conv_list.{step}.convB': f'convs.{step}.1' for step in steps}
        rename_keys(state_dict, prefix, {'conv_list.0': 'convs.0', **first, **second})
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)

    def _fail(self, message: str, error: type[Exception] = ValueError) -> None:
        raise error(f'{type(self).__name__}: {message}')
