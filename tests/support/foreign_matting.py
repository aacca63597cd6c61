"""The published network of A2U matting, written anew: the same names of weights, the same outputs.

Source: poppinace's fade, a2u_matting/, with the layers of dongdong93's a2u_matting (hlconv.py,
hlaspp.py). Its norms are InPlace-ABN's.
"""

from collections import OrderedDict

import torch
import torch.nn.functional as F
from torch import nn


class ABN(nn.Module):
    """Batch norm by fixed statistics with the scale |weight| + eps, and its activation."""

    def __init__(self, channels, active=True):
        super().__init__()
        self.active = active
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer('running_mean', torch.zeros(channels))
        self.register_buffer('running_var', torch.ones(channels))

    def forward(self, x):
        scale = self.weight.abs() + 1e-5
        x = F.batch_norm(x, self.running_mean, self.running_var, scale, self.bias, eps=1e-5)
        return F.leaky_relu(x, 0.01) if self.active else x


def conv_abn(c_in, c_out, k=3, **options):
    return nn.Conv2d(c_in, c_out, k, bias=False, **options), ABN(c_out)


class ResidualBlock(nn.Module):
    def __init__(self, c_in, c_out, name):
        super().__init__()
        layers = OrderedDict(
            conv1=nn.Conv2d(c_in, c_out, 3, padding=1, bias=False),
            bn1=ABN(c_out),
            conv2=nn.Conv2d(c_out, c_out, 3, padding=1, bias=False),
            bn2=ABN(c_out, active=False),
        )
        setattr(self, name, nn.Sequential(layers))
        self.name = name
        if c_in != c_out:
            self.proj_conv = nn.Conv2d(c_in, c_out, 1, bias=False)
            self.proj_bn = ABN(c_out, active=False)

    def forward(self, x):
        shortcut = self.proj_bn(self.proj_conv(x)) if hasattr(self, 'proj_conv') else x
        return F.leaky_relu(getattr(self, self.name)(x) + shortcut, 0.01)


class PoolingBlock(nn.Module):
    def __init__(self, c_in, c_out):
        super().__init__()
        conv1, conv2 = (nn.Conv2d(c, c_out, 3, padding=1, bias=False) for c in (c_in, c_out))
        self.layer1 = nn.Sequential(OrderedDict(conv1=conv1, bn1=ABN(c_out)))
        self.layer2 = nn.Sequential(OrderedDict(conv2=conv2, bn2=ABN(c_out, active=False)))
        self.proj_conv = nn.Conv2d(c_in, c_out, 1, stride=2, bias=False)
        self.proj_bn = ABN(c_out, active=False)

    def forward(self, x):
        before = self.layer1(x)
        out = self.layer2(F.max_pool2d(before, 2)) + self.proj_bn(self.proj_conv(x))
        return F.leaky_relu(out, 0.01), before


class Branch(nn.Module):
    def __init__(self, *layers):
        super().__init__()
        self.atrous_conv = nn.Sequential(*layers)

    def forward(self, x):
        return self.atrous_conv(x)


class ASPP(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.aspp1 = Branch(*conv_abn(c, c, 1))
        for number, rate in ((2, 6), (3, 12), (4, 18)):
            depthwise = conv_abn(c, c, padding=rate, dilation=rate, groups=c)
            setattr(self, f'aspp{number}', Branch(*depthwise, *conv_abn(c, c, 1)))
        self.global_avg_pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), *conv_abn(c, c, 1))
        self.bottleneck_conv = nn.Sequential(*conv_abn(5 * c, c, 1))

    def forward(self, x):
        branches = [getattr(self, f'aspp{number}')(x) for number in (1, 2, 3, 4)]
        mean = F.interpolate(self.global_avg_pool(x), x.shape[2:])
        return self.bottleneck_conv(torch.cat([*branches, mean], 1))


class Decoder(nn.Module):
    def __init__(self, c_in, c_out, up):
        super().__init__()
        self.dconv = ResidualBlock(c_in, c_out, 'dep_sep_conv')
        self.dconv1 = ResidualBlock(c_out, c_out, 'dep_sep_conv')
        self.up = up(c_in) if up else None

    def forward(self, x, skip, guide):
        x = self.up(guide, x) if self.up else F.interpolate(x, scale_factor=2, mode='bilinear')
        return self.dconv1(self.dconv(x + skip))


class ResNet34DecoderLearning(nn.Module):
    """With ``c`` channels at full size and ``blocks`` residual blocks; 64 and 3, 4, 4 there.

    ``up`` makes an upsampler that takes the guide first; None is bilinear.
    """

    def __init__(self, up=None, c=64, blocks=(3, 4, 4)):
        super().__init__()
        self.layer0 = nn.Sequential(*conv_abn(4, c, 7, padding=3))
        self.layer1 = self.stage(c, blocks[0])
        self.layer2_1 = PoolingBlock(c, 2 * c)
        self.layer2_2 = self.stage(2 * c, blocks[1] - 1)
        self.layer3_1 = PoolingBlock(2 * c, 4 * c)
        self.layer3_2 = self.stage(4 * c, blocks[2] - 1)
        self.dconv_pp = ASPP(4 * c)
        for number, sides in ((4, (4, 2)), (3, (2, 1)), (2, (1, 1)), (1, (1, 0.5))):
            layer = Decoder(*(int(side * c) for side in sides), up)
            setattr(self, f'decoder_layer{number}', layer)
        for number, sides in ((3, (2 * c, 4 * c)), (2, (c, 2 * c)), (1, (c, c)), (0, (4, c))):
            setattr(self, f'short{number}', nn.Sequential(*conv_abn(*sides, padding=1)))
        last = nn.Conv2d(1, 1, 3, padding=1, bias=False)
        self.pred = nn.Sequential(nn.Sequential(*conv_abn(c // 2, 1, padding=1)), last)

    def stage(self, c, count):
        blocks = {f'block{n}': ResidualBlock(c, c, 'convs') for n in range(1, count + 1)}
        return nn.Sequential(OrderedDict(blocks))

    def forward(self, x):
        l0 = self.layer0(x)
        l0p = F.max_pool2d(l0, 2)
        l1 = self.layer1(F.max_pool2d(l0p, 2))
        l2, g2 = self.layer2_1(l1)
        l2 = self.layer2_2(l2)
        l3, g3 = self.layer3_1(l2)
        out = self.dconv_pp(self.layer3_2(l3))
        out = self.decoder_layer4(out, self.short3(l2), g3)
        out = self.decoder_layer3(out, self.short2(l1), g2)
        out = self.decoder_layer2(out, self.short1(l0p), l0p)
        out = self.decoder_layer1(out, self.short0(x), l0)
        return self.pred(out)


def resnet34_names(blocks=(3, 4, 6, 3), c=64):
    """A state dict with the names and shapes of torchvision's ResNet-34, all values random."""
    generator = torch.Generator().manual_seed(0)
    state = {}

    def draw(name, *size):
        state[name] = torch.rand(size, generator=generator)

    def norm(name, channels):
        for part in ('weight', 'bias', 'running_mean', 'running_var'):
            draw(f'{name}.{part}', channels)
        state[f'{name}.num_batches_tracked'] = torch.tensor(7)

    draw('conv1.weight', c, 3, 7, 7)
    norm('bn1', c)
    for stage, count in enumerate(blocks):
        channels = c * 2**stage
        for block in range(count):
            name, before = f'layer{stage + 1}.{block}', channels
            if block == 0 and stage:
                before = channels // 2
                draw(f'{name}.downsample.0.weight', channels, before, 1, 1)
                norm(f'{name}.downsample.1', channels)
            for number, c_in in ((1, before), (2, channels)):
                draw(f'{name}.conv{number}.weight', channels, c_in, 3, 3)
                norm(f'{name}.bn{number}', channels)
    draw('fc.weight', 1000, c * 8)
    draw('fc.bias', 1000)
    return state
