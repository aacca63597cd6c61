"""Upsamplers of other projects, written anew: the same names of weights, the same outputs.

They take the guide first, where they have one, and upsample by two. Sources: tiny-smart's sapa,
dysample, segmentation-with-upsamplers and detection-with-upsamplers; poppinace's fade (FADE_L2H.py,
FADE_H2L.py) and indexnet_matting (hlindex.py); dongdong93's a2u_matting (BilinearModel.py); mmcv's
CARAFEPack.
"""

import pytest
import torch
import torch.nn.functional as F
from torch import nn


class SAPA(nn.Module):
    def __init__(self, channels, norm=True, qkv_bias=True, embed_dims=32):
        super().__init__()
        if norm:
            self.norm_x, self.norm_y = (nn.GroupNorm(32, channels) for _ in range(2))
        self.q, self.k = (nn.Conv2d(channels, embed_dims, 1, bias=qkv_bias) for _ in range(2))

    def forward(self, y, x):
        y, normed = self.normed(y, x)
        # Outside of the map the keys are 0.
        keys = nearest(windows(self.k(normed), 5))
        return carafe(x, (keys * self.q(y)[:, :, None]).sum(1).softmax(1))

    def normed(self, y, x):
        return (self.norm_y(y), self.norm_x(x)) if hasattr(self, 'norm_y') else (y, x)


class SAPADeform(SAPA):
    def __init__(self, channels, high_offset=True, norm=False, qkv_bias=True):
        super().__init__(channels, norm, qkv_bias, embed_dims=4 * 32)
        children = 4 if high_offset else 1
        self.offset = nn.Conv2d(channels, 4 * 9 * 2 * children, 1, bias=qkv_bias)

    def forward(self, y, x):
        y, normed = self.normed(y, x)
        offset = self.offset(normed)
        high = offset.shape[1] == 4 * 9 * 2 * 4
        offset = F.pixel_shuffle(offset, 2) if high else nearest(offset)
        n, _, height, width = offset.shape
        row, column = torch.meshgrid(torch.arange(height), torch.arange(width), indexing='ij')
        at = torch.stack([column // 2, row // 2])[:, None] + offset.view(
            n * 4, 9, 2, height, width
        ).transpose(1, 2)
        side = torch.tensor([x.shape[3], x.shape[2]]).view(2, 1, 1, 1)
        grid = (2 * at / (side - 1) - 1).flatten(2, 3).permute(0, 2, 3, 1)

        def sampled(feature):
            groups = feature.reshape(n * 4, -1, *feature.shape[2:])
            points = F.grid_sample(groups, grid, align_corners=True)
            return points.view(n, 4, -1, 9, height, width)

        query = self.q(y).view(n, 4, -1, 1, height, width)
        weight = (query * sampled(self.k(normed))).sum(2, keepdim=True).softmax(3)
        return (weight * sampled(x)).sum(3).flatten(1, 2)


class DySample(nn.Module):
    def __init__(self, channels, style='lp', groups=4, dyscope=False, scope_bias=True):
        super().__init__()
        self.style, self.groups = style, groups
        sides = (channels, 8 * groups) if style == 'lp' else (channels // 4, 2 * groups)
        self.offset = nn.Conv2d(*sides, 1)
        if dyscope:
            self.scope = nn.Conv2d(*sides, 1, bias=scope_bias)
        quarter = torch.tensor([-0.25, 0.25])
        pixel = torch.stack([quarter.repeat(2), quarter.repeat_interleave(2)])
        self.register_buffer('init_pos', pixel.repeat(1, groups).view(1, -1, 1, 1))

    def forward(self, x):
        n, channels, h, w = x.shape
        source = x if self.style == 'lp' else F.pixel_shuffle(x, 2)
        scope = self.scope(source).sigmoid() / 2 if hasattr(self, 'scope') else 0.25
        offset = scope * self.offset(source)
        offset = offset if self.style == 'lp' else F.pixel_unshuffle(offset, 2)
        offset = (offset + self.init_pos).view(n, 2, 4 * self.groups, h, w)
        row, column = torch.meshgrid(torch.arange(h), torch.arange(w), indexing='ij')
        side = torch.tensor([w, h]).view(2, 1, 1, 1)
        at = 2 * (torch.stack([column, row])[:, None] + 0.5 + offset) / side - 1
        grid = F.pixel_shuffle(at.flatten(1, 2), 2).view(n, 2, self.groups, 2 * h, 2 * w)
        out = F.grid_sample(
            x.reshape(n * self.groups, -1, h, w), grid.permute(0, 2, 3, 4, 1).flatten(0, 1),
            padding_mode='border', align_corners=False,
        )  # fmt: skip
        return out.view(n, channels, 2 * h, 2 * w)


class CARAFEPack(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.channel_compressor = nn.Conv2d(channels, 64, 1)
        self.content_encoder = nn.Conv2d(64, 25 * 4, 3, padding=1)

    def forward(self, x):
        kernels = F.pixel_shuffle(self.content_encoder(self.channel_compressor(x)), 2)
        return carafe(x, kernels.softmax(1))


class FADE(nn.Module):
    """FADE_L2H.py, without a gate its SemiShiftUp; ``lite`` is its FADELite."""

    def __init__(self, channels, gating=True, lite=False):
        super().__init__()
        width = 25 if lite else 64
        if gating:
            self.gate_generator = nn.Module()
            self.gate_generator.conv = nn.Conv2d(channels, 1, 1)
        self.ker_generator = nn.Module()
        self.ker_generator.compressor_en = nn.Conv2d(channels, width, 1)
        self.ker_generator.compressor_de = nn.Conv2d(channels, width, 1, bias=False)
        self.ker_generator.content_encoder = nn.Conv2d(
            width, 25, 3, padding=1, groups=25 if lite else 1
        )

    def forward(self, en, de):
        generator = self.ker_generator
        kernels = generator.content_encoder(generator.compressor_en(en)) + nearest(
            generator.content_encoder(generator.compressor_de(de))
        )
        return self.gated(en, de, carafe(de, kernels.softmax(1)))

    def gated(self, en, de, out):
        if not hasattr(self, 'gate_generator'):
            return out
        gate = nearest(self.gate_generator.conv(de)).sigmoid()
        return gate * en + (1 - gate) * out


class FADEH2L(FADE):
    """FADE_H2L.py: a convolution of stride two for each child of a low-res pixel."""

    def __init__(self, channels):
        super().__init__(channels)
        del self.ker_generator
        self.kernel_generator = nn.Module()
        self.kernel_generator.conv1_en = nn.Conv2d(channels, 64, 1)
        self.kernel_generator.conv1_de = nn.Conv2d(channels, 64, 1, bias=False)
        self.kernel_generator.conv2_kernels = nn.Parameter(torch.empty(25, 64, 3, 3))
        self.kernel_generator.conv2_bias = nn.Parameter(torch.empty(25))

    def forward(self, en, de):
        generator = self.kernel_generator
        second = generator.conv2_kernels, generator.conv2_bias
        compressed = generator.conv1_en(en)
        from_en = [
            F.conv2d(F.pad(compressed, pad), *second, stride=2)
            for pad in ((1, 0, 1, 0), (0, 1, 1, 0), (1, 0, 0, 1), (0, 1, 0, 1))
        ]
        from_de = F.conv2d(generator.conv1_de(de), *second, padding=1)
        kernels = F.pixel_shuffle(
            torch.stack([from_de + part for part in from_en], 2).flatten(1, 2), 2
        )
        return self.gated(en, de, carafe(de, kernels.softmax(1)))


class A2UUp(nn.Module):
    """With the kernels for downsampling, as A2U's own repository and A2UUpRaw have them."""

    def __init__(self, channels, share=True):
        super().__init__()
        self.kernel_gen = generator = nn.Module()
        for name in ('bnu', 'bnv'):
            setattr(generator, name, nn.Sequential(nn.GroupNorm(32, channels), nn.LeakyReLU()))
        for name in ('bconv_UP', 'bconv_DP'):
            pool = nn.AdaptiveAvgPool2d(1)
            setattr(generator, name, nn.Sequential(pool, nn.Conv2d(channels, 36, 1)))
        for name in ('bconv_U', 'bconv_V'):
            pool = nn.AdaptiveAvgPool2d(6)
            filters = nn.Conv2d(channels, 1 if share else channels, 1)
            setattr(generator, name, nn.Sequential(pool, filters))

    def forward(self, en, de):
        generator = self.kernel_gen
        logits = []

        def filtered(image, kernel):
            channels = image.transpose(0, 1)
            return F.conv2d(channels, kernel, stride=2, padding=2).transpose(0, 1)

        for image in en.split(1):
            both = [
                norm(filtered(image, kernel(image)))
                for norm, kernel in (
                    (generator.bnu, generator.bconv_U),
                    (generator.bnv, generator.bconv_V),
                )
            ]
            affinity = (both[0] * both[1]).sum(1, keepdim=True) / en.shape[1] ** 0.5
            logits.append(generator.bconv_UP(image) * affinity)
        return carafe(de, F.pixel_shuffle(torch.cat(logits), 2).sigmoid().softmax(1))


class HolisticIndexBlock(nn.Module):
    def __init__(self, channels, linear=False):
        super().__init__()
        self.indexnet = (
            nn.Conv2d(channels, 4, 4, stride=2, padding=1, bias=False)
            if linear
            else _index_block(channels, 2 * channels, 4)
        )

    def forward(self, y, x):
        return F.pixel_shuffle(self.indexnet(y).sigmoid(), 2) * nearest(x)


class DepthwiseM2OIndexBlock(nn.Module):
    def __init__(self, channels, linear=False):
        super().__init__()
        for number in range(1, 5):
            block = _index_block(channels, channels, channels)
            setattr(self, f'indexnet{number}', block[:1] if linear else block)

    def forward(self, y, x):
        blocks = [getattr(self, f'indexnet{number}') for number in range(1, 5)]
        index = torch.stack([block(y) for block in blocks], 2).sigmoid()
        return F.pixel_shuffle(index.flatten(1, 2), 2) * nearest(x)


def pixel_shuffle(channels):
    return nn.Sequential(nn.Conv2d(channels, 4 * channels, 3, padding=1), nn.PixelShuffle(2))


def deconv(channels):
    return nn.ConvTranspose2d(channels, channels, 3, stride=2, padding=1, output_padding=1)


def drawn_anew(module, seed=0):
    """All weights and statistics anew, so that each one matters."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, value in module.state_dict().items():
            if value.is_floating_point() and not name.endswith('init_pos'):
                value.normal_(std=0.3, generator=generator)
                if name.endswith('running_var'):
                    value.abs_().add_(0.5)
    module.double().eval()
    return module


def load_by_torch(module, state_dict):
    module.load_state_dict(state_dict, strict=True)


def load_by_mmengine(module, state_dict):
    checkpoint = pytest.importorskip('mmengine.runner.checkpoint')
    checkpoint.load_state_dict(module, state_dict, strict=True)


def carafe(x, kernels):
    """(N, K*K, 2h, 2w) weights of the window around each low-res pixel."""
    return (kernels[:, None] * nearest(windows(x, round(kernels.shape[1] ** 0.5)))).sum(2)


def windows(x, side):
    """(N, C, K*K, h, w), zero outside of x."""
    n, channels, h, w = x.shape
    return F.unfold(x, side, padding=side // 2).view(n, channels, side**2, h, w)


def nearest(x):
    return x.repeat_interleave(2, -2).repeat_interleave(2, -1)


def _index_block(channels, hidden, out):
    return nn.Sequential(
        nn.Conv2d(channels, hidden, 4, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(hidden),
        nn.ReLU6(inplace=True),
        nn.Conv2d(hidden, out, 1, bias=False),
    )
