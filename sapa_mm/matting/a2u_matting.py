"""A2U matting with any upsampler."""

import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.model import BaseModel
from mmengine.registry import MODELS
from mmengine.structures import PixelData
from sapa_ops.checks import check_positive, shape
from torch import Tensor, nn

from ..upsamplers.state_dict import rename_keys
from ..utils.log import log_info
from .aspp import SeparableASPP
from .decoder_layer import DecoderLayer
from .layers import PoolingBlock, ResidualBlock, conv_layers
from .matting_sample import MattingSample
from .tiles import OVERLAP, predict_in_tiles
from .trimap import FOREGROUND, is_unknown

#: The coarsest features have 1/16 of the size of the image.
STRIDE = 16
_XAVIER = dict(
    type='Xavier', layer='Conv2d', distribution='normal', gain=math.sqrt(2 / (1 + 0.01**2))
)


@MODELS.register_module()
class A2UMatting(BaseModel):
    """Alpha from an image and its trimap, upsampled in four steps with any upsampler.

    The network of A2U matting (Dai et al., CVPR 2021) as in the paper's Table 8: a ResNet-34 whose
    downsampling is 2×2 max pooling, ASPP, and four times "upsample, add the skip connection, two
    residual blocks". The guide of an upsampler is the encoder's feature before the pooling, at the
    size and with the channels of its output. With 'bilinear' it has 8,049,003 parameters.

    Modules have the names of the published models (poppinace/fade, a2u_matting), whose weights it
    loads, as well as those of torchvision's ResNet-34: the trimap's channel is then 0.

    Args:
        upsample_cfg (dict, optional): Type and options of the upsampler, see
            ``sapa_mm.upsamplers.build_upsampler``. Defaults to ``dict(type='bilinear')``.
        base_channels (int): Channels at full size; even. Defaults to 64.
        blocks (Sequence[int]): Residual blocks at 1/4, 1/8 and 1/16 of the size. Defaults to
            (3, 4, 4).
        norm_cfg (dict, optional): Type and options of the norms. Defaults to ``dict(type='BN')``.
        loss_alpha (dict, optional): Loss of (alpha, true alpha, unknown). Defaults to
            ``dict(type='AlphaLoss')``.
        loss_comp (dict, optional): Loss of (alpha, foreground, background, image, unknown).
            Defaults to ``dict(type='CompositionLoss')``.
        max_pixels (int): Most pixels of an image that 'predict' takes as a whole. A larger one is
            predicted in overlapping tiles of so many pixels, which takes less memory but is not
            quite the same: the ASPP has a mean over the image. The log says so once. Defaults to
            2,000,000, whose features take 3 GB at a base_channels of 64, with 'a2u' and 'index_net'
            4 GB.
        data_preprocessor (dict, optional): Defaults to ``dict(type='MattingDataPreprocessor')``.
        init_cfg (dict | list[dict], optional): Initialisation after that of all convolutions by
            Xavier's normal distribution, such as ``dict(type='Pretrained', checkpoint=...)`` of
            torchvision's ResNet-34. Upsamplers that have an initialisation of their own keep it,
            and the last kernel of the head takes the amounts of its weights, unlike in the
            published training. Defaults to None.

    Raises:
        TypeError: If upsample_cfg is not a dict.
        ValueError: If a number is not a positive integer, base_channels odd, blocks not three,
            max_pixels too small for tiles, or upsample_cfg's type or an option is unknown or does
            not fit.
    """

    def __init__(
        self,
        upsample_cfg: dict[str, Any] | None = None,
        base_channels: int = 64,
        blocks: Sequence[int] = (3, 4, 4),
        norm_cfg: dict[str, Any] | None = None,
        loss_alpha: dict[str, Any] | None = None,
        loss_comp: dict[str, Any] | None = None,
        max_pixels: int = 2_000_000,
        data_preprocessor: dict[str, Any] | None = None,
        init_cfg: dict[str, Any] | list[dict[str, Any]] | None = None,
    ):
        name = type(self).__name__
        check_positive(name, base_channels=base_channels, max_pixels=max_pixels)
        if max_pixels < (2 * OVERLAP) ** 2:
            raise ValueError(
                f'{name}: max_pixels must be {(2 * OVERLAP) ** 2} or more, got {max_pixels}'
            )
        if base_channels % 2:
            raise ValueError(f'{name}: base_channels must be even, got {base_channels}')
        if not isinstance(blocks, (list, tuple)) or len(blocks) != 3:
            raise ValueError(f'{name}: blocks must be three numbers, got {blocks!r}')
        check_positive(name, **{f'blocks[{index}]': count for index, count in enumerate(blocks)})
        init_cfg = [init_cfg] if isinstance(init_cfg, dict) else (init_cfg or [])
        super().__init__(
            data_preprocessor or dict(type='MattingDataPreprocessor'), [_XAVIER, *init_cfg]
        )
        upsample_cfg = dict(type='bilinear') if upsample_cfg is None else upsample_cfg
        norm_cfg = dict(type='BN') if norm_cfg is None else norm_cfg
        self.base_channels = base_channels
        self.blocks = tuple(blocks)
        self.max_pixels = max_pixels
        self._told_of_tiles = False

        def conv(in_channels: int, channels: int, kernel_size: int = 3) -> nn.Sequential:
            padding = kernel_size // 2
            layer = nn.Conv2d(in_channels, channels, kernel_size, padding=padding, bias=False)
            return conv_layers(norm_cfg, layer)

        def residual_blocks(channels: int, count: int) -> nn.Sequential:
            stage = nn.Sequential()
            for index in range(1, count + 1):
                stage.add_module(f'block{index}', ResidualBlock(channels, channels, norm_cfg))
            return stage

        c = base_channels
        self.layer0 = conv(4, c, 7)
        self.layer1 = residual_blocks(c, blocks[0])
        self.layer2_1 = PoolingBlock(c, 2 * c, norm_cfg)
        self.layer2_2 = residual_blocks(2 * c, blocks[1] - 1)
        self.layer3_1 = PoolingBlock(2 * c, 4 * c, norm_cfg)
        self.layer3_2 = residual_blocks(4 * c, blocks[2] - 1)
        self.dconv_pp = SeparableASPP(4 * c, norm_cfg)
        self.decoder_layer4 = DecoderLayer(4 * c, 2 * c, upsample_cfg, norm_cfg)
        self.decoder_layer3 = DecoderLayer(2 * c, c, upsample_cfg, norm_cfg)
        self.decoder_layer2 = DecoderLayer(c, c, upsample_cfg, norm_cfg)
        self.decoder_layer1 = DecoderLayer(c, c // 2, upsample_cfg, norm_cfg)
        self.short3 = conv(2 * c, 4 * c)
        self.short2 = conv(c, 2 * c)
        self.short1 = conv(c, c)
        self.short0 = conv(4, c)
        self.pred = _AlphaHead(conv(c // 2, 1), nn.Conv2d(1, 1, 3, padding=1, bias=False))

        self.loss_alpha = MODELS.build(loss_alpha or dict(type='AlphaLoss'))
        self.loss_comp = MODELS.build(loss_comp or dict(type='CompositionLoss'))

    def forward(
        self,
        inputs: Tensor,
        data_samples: list[MattingSample] | None = None,
        mode: str = 'tensor',
    ) -> Tensor | dict[str, Tensor] | list[MattingSample]:
        """Compute alpha, losses or predictions.

        Args:
            inputs (Tensor): Images and trimaps (N, 4, H, W) of the preprocessor, of 16 pixels or
                more a side. Sides that are no multiple of 16 are padded by reflection at the right
                and at the bottom, and the alpha is cut.
            data_samples (list[MattingSample], optional): Needed by 'loss' and 'predict'. Defaults
                to None.
            mode (str): 'tensor', 'loss' or 'predict'. Defaults to 'tensor'.

        Returns:
            Tensor | dict[str, Tensor] | list[MattingSample]: By mode the alpha (N, 1, H, W), not
            clamped; the losses by name; or ``data_samples`` with ``pred_alpha``, which is clamped
            to [0, 1], and 0 or 1 where the trimap is known. Infinite values of it become NaN.

        Raises:
            ValueError: If the mode is unknown, an image has another number of channels or is too
                small, or a sample lacks what the losses need.
        """
        if mode == 'tensor':
            return self.predict_alpha(inputs)
        if mode == 'loss':
            return self.loss(inputs, data_samples or [])
        if mode == 'predict':
            return self.predict(inputs, data_samples or [])
        raise ValueError(f"A2UMatting: mode must be 'tensor', 'loss' or 'predict', got {mode!r}")

    def predict_alpha(self, inputs: Tensor, max_pixels: int | None = None) -> Tensor:
        """Compute alpha, in tiles for images of more than ``max_pixels``; see ``forward``."""
        _, channels, height, width = shape(inputs)
        if channels != 4:
            raise ValueError(
                f'A2UMatting: inputs must have 4 channels, the colours and the trimap, got '
                f'{channels}'
            )
        if min(height, width) < STRIDE:
            raise ValueError(
                f'A2UMatting: an image must have {STRIDE} pixels or more a side, got '
                f'{height} x {width}'
            )
        # The preprocessor gives float32, also to a model in half precision.
        inputs = inputs.to(self.layer0[0].weight.dtype)
        in_tiles = max_pixels is not None and height * width > max_pixels
        height, width = inputs.shape[-2:]
        # Multiples of STRIDE by their form, as a graph for all sizes needs, unlike -side % STRIDE.
        right, below = ((side + STRIDE - 1) // STRIDE * STRIDE - side for side in (width, height))
        x = F.pad(inputs, (0, right, 0, below), mode='reflect')
        if in_tiles:
            self._tell_of_tiles(height, width)
            unknown = is_unknown(x[:, 3:] * FOREGROUND)
            alpha = predict_in_tiles(self._network, x, unknown, max_pixels)
        else:
            alpha = self._network(x)
        return alpha[..., :height, :width]

    def loss(self, inputs: Tensor, data_samples: list[MattingSample]) -> dict[str, Tensor]:
        """Compute the losses; see ``forward``."""
        alpha = self.predict_alpha(inputs)
        gt_alpha, fg, bg, merged, trimap = (
            self._stack(data_samples, key, alpha)
            for key in ('gt_alpha', 'gt_fg', 'gt_bg', 'gt_merged', 'trimap')
        )
        unknown = is_unknown(trimap)
        return dict(
            loss_alpha=self.loss_alpha(alpha, gt_alpha, unknown),
            loss_comp=self.loss_comp(alpha, fg, bg, merged, unknown),
        )

    def predict(self, inputs: Tensor, data_samples: list[MattingSample]) -> list[MattingSample]:
        """Predict; see ``forward``."""
        alphas = self.predict_alpha(inputs, self.max_pixels).float()
        # Clamped, an infinite value would look like any other.
        alphas = alphas.clamp(0, 1).masked_fill(~alphas.isfinite(), float('nan'))
        for alpha, sample in zip(alphas, data_samples, strict=True):
            trimap = sample.trimap.data.to(alpha.device)
            known = (trimap == FOREGROUND).to(alpha.dtype)
            sample.pred_alpha = PixelData(data=torch.where(is_unknown(trimap), alpha, known))
        return data_samples

    def _network(self, x: Tensor) -> Tensor:
        l0 = self.layer0(x)
        l0p = F.max_pool2d(l0, 2)
        l1 = self.layer1(F.max_pool2d(l0p, 2))
        l2, g2 = self.layer2_1(l1)
        l2 = self.layer2_2(l2)
        l3, g3 = self.layer3_1(l2)
        out = self.dconv_pp(self.layer3_2(l3))
        out = self.decoder_layer4(out, g3, self.short3(l2))
        out = self.decoder_layer3(out, g2, self.short2(l1))
        out = self.decoder_layer2(out, l0p, self.short1(l0p))
        out = self.decoder_layer1(out, l0, self.short0(x))
        return self.pred(out)

    def _tell_of_tiles(self, height: int, width: int) -> None:
        if not self._told_of_tiles:
            self._told_of_tiles = True
            log_info(
                f'A2UMatting: images of more than max_pixels={self.max_pixels} pixels, such as one '
                f'of {height} x {width}, are predicted in overlapping tiles'
            )

    def _stack(self, data_samples: list[MattingSample], key: str, alpha: Tensor) -> Tensor:
        if len(data_samples) != len(alpha):
            raise ValueError(
                f'A2UMatting: the losses need a data sample for each of the {len(alpha)} images, '
                f'got {len(data_samples)}'
            )
        for sample in data_samples:
            if key not in sample:
                raise ValueError(
                    f'A2UMatting: the losses need {key} in every data sample; it is missing in '
                    f'that of {sample.get("img_path")}'
                )
            if sample.get(key).data.shape[-2:] != alpha.shape[-2:]:
                raise ValueError(
                    f'A2UMatting: {key} must have the size of its image, '
                    f'{tuple(alpha.shape[-2:])}, got {tuple(sample.get(key).data.shape[-2:])}, in '
                    f'{sample.get("img_path")}'
                )
        return torch.stack([sample.get(key).data for sample in data_samples])

    def _load_from_state_dict(self, state_dict, prefix, *args, **kwargs):
        if f'{prefix}conv1.weight' in state_dict:
            self._adapt_torchvision(state_dict, prefix)
        else:
            self._adapt_inplace_abn(state_dict, prefix)
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)

    def _adapt_torchvision(self, state_dict: dict[str, Any], prefix: str) -> None:
        """Turn the weights of torchvision's ResNet-34 into those of the encoder."""
        weight = state_dict[f'{prefix}conv1.weight']
        if weight.shape[0] != self.base_channels:
            raise ValueError(
                f'A2UMatting: the weights of ResNet-34 have {weight.shape[0]} channels; '
                f'base_channels is {self.base_channels}'
            )
        state_dict[f'{prefix}conv1.weight'] = F.pad(weight, (0, 0, 0, 0, 0, 1))
        renamed: dict[str, str | None] = {'conv1': 'layer0.0', 'bn1': 'layer0.1'}
        for stage, count in enumerate(self.blocks, start=1):
            first = f'layer{stage}.0'
            if stage > 1:
                renamed[f'{first}.downsample.0'] = f'layer{stage}_1.proj_conv'
                renamed[f'{first}.downsample.1'] = f'layer{stage}_1.proj_bn'
                renamed[first] = f'layer{stage}_1.convs'
            for index in range(stage > 1, count):
                block = f'layer1.block{index + 1}' if stage == 1 else f'layer{stage}_2.block{index}'
                renamed[f'layer{stage}.{index}'] = f'{block}.convs'
        rename_keys(state_dict, prefix, renamed)
        # What is left are stages and blocks that this encoder does not have, and the classifier.
        rename_keys(state_dict, prefix, dict.fromkeys(('layer2', 'layer3', 'layer4', 'fc')))

    def _adapt_inplace_abn(self, state_dict: dict[str, Any], prefix: str) -> None:
        """Take the scale of InPlace-ABN's norms, |weight| + eps, for the weight of a plain norm.

        Plain norms, unlike these, count batches.
        """
        for mean in [key for key in state_dict if key.endswith('.running_mean')]:
            norm = mean.removesuffix('running_mean')
            is_plain = '.up.' in norm or f'{norm}num_batches_tracked' in state_dict
            if norm.startswith(prefix) and not is_plain:
                state_dict[f'{norm}weight'] = state_dict[f'{norm}weight'].abs() + 1e-5


class _AlphaHead(nn.Sequential):
    """The head, whose last kernel starts without negative weights.

    It sees one channel, of values above 0 but for LeakyReLU's slope of 0.01. Where it would be
    mostly negative, alpha is not above 0, training closes the channel and stands still.
    """

    def init_weights(self) -> None:
        """Called by mmengine after the convolutions' initialisation, before pretrained weights."""
        self[-1].weight.data.abs_()
