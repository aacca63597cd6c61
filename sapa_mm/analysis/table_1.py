"""Table 1 of the paper: multiply-adds and parameters of the upsamplers by formula.

C and C' are the channels of x and of the guide (the paper sets C' = C), s the ratio (there 2),
d the embedding, K the window, S the points, g the groups. Biases and normalisations are left out.
"""

from dataclasses import dataclass
from functools import singledispatch

from ..upsamplers import (
    A2U,
    Bilinear,
    Carafe,
    Deconv,
    DySample,
    Fade,
    IndexNet,
    Nearest,
    PixelShuffle,
    SapaB,
    SapaD,
    SapaI,
    Upsampler,
)


@dataclass(frozen=True)
class Row:
    """A row of Table 1.

    Attributes:
        title (str): The module.
        upsample_cfg (dict): What builds it.
        flops (str): The printed total for each low-res position.
        params (str): The printed total.
    """

    title: str
    upsample_cfg: dict
    flops: str
    params: str


ROWS = (
    Row('CARAFE', dict(type='carafe'), 'Cd + 36K²d + 4K²C', 'Cd + 36K²d'),
    Row('IndexNet HIN', dict(type='index_net'), '32C² + 12C', '32C² + 8C'),
    Row('IndexNet M2O', dict(type='index_net', variant='m2o'), '68C² + 4C', '68C²'),
    Row('A2U', dict(type='a2u'), '73C + 4K² + 4K²C', '4K²C + 2C'),
    Row('FADE', dict(type='fade'), '5Cd + 45K²d + 4K²C', '2Cd + 9K²d'),
    Row('SAPA-I', dict(type='sapa_i'), '8K²C', '0'),
    Row('SAPA-B', dict(type='sapa_b'), '5Cd + 4K²d + 4K²C', '2Cd'),
    Row('SAPA-D', dict(type='sapa_d'), '5Cdg + 38Sdg + 36SC + 8SCg', '2Cdg + 8SCg'),
)


@singledispatch
def flops_per_position(upsampler: Upsampler) -> int | None:
    """Multiply-adds of an upsampler for each low-res position, by Table 1.

    The table has no row for deconvolution and pixel shuffle: Table 3 counts a convolution with a
    kernel of side k at each high-res position for both, k²s²C². Nor for DySample, whose 1×1
    convolution and samples are counted as SAPA-D's. Interpolation counts as nothing, as in the
    paper.

    Args:
        upsampler (Upsampler): The upsampler.

    Returns:
        int | None: The number, or None for an upsampler that this project does not know.
    """
    return None


@flops_per_position.register(Nearest)
@flops_per_position.register(Bilinear)
def _(upsampler: Upsampler) -> int:
    return 0


@flops_per_position.register
def _(upsampler: Deconv) -> int:
    kernel_size = upsampler.deconv.kernel_size[0]
    return (kernel_size * upsampler.scale_factor * upsampler.in_channels) ** 2


@flops_per_position.register
def _(upsampler: PixelShuffle) -> int:
    kernel_size = upsampler.upsample_conv.kernel_size[0]
    return (kernel_size * upsampler.scale_factor * upsampler.in_channels) ** 2


@flops_per_position.register
def _(upsampler: Carafe) -> int:
    assembly = upsampler.scale_factor**2 * upsampler.kernel_size**2 * upsampler.in_channels
    return _kernel_prediction(upsampler) + assembly


@flops_per_position.register
def _(upsampler: IndexNet) -> int:
    c, guide = upsampler.in_channels, upsampler.guide_channels
    if upsampler.variant == 'hin':
        return 32 * guide**2 + 8 * guide + 4 * c
    return 68 * guide**2 + 4 * c


@flops_per_position.register
def _(upsampler: A2U) -> int:
    return 73 * upsampler.guide_channels + 36 + 36 * upsampler.in_channels


@flops_per_position.register
def _(upsampler: Fade) -> int:
    c, d = upsampler.in_channels, upsampler.channel_compressor.out_channels
    children, taps = upsampler.scale_factor**2, upsampler.kernel_size**2
    compression = (c + children * upsampler.guide_channels) * d
    # Without one in the paper: its convolution of x, and its products with guide and upsampled x.
    gate = 0 if upsampler.gate is None else c + 2 * children * c
    return compression + 9 * (1 + children) * taps * d + children * taps * c + gate


@flops_per_position.register
def _(upsampler: SapaI) -> int:
    return 2 * upsampler.scale_factor**2 * upsampler.kernel_size**2 * upsampler.in_channels


@flops_per_position.register
def _(upsampler: SapaB) -> int:
    d, children = upsampler.query.out_channels, upsampler.scale_factor**2
    embedding = (upsampler.in_channels + children * upsampler.guide_channels) * d
    return embedding + children * upsampler.kernel_size**2 * (d + upsampler.in_channels)


@flops_per_position.register
def _(upsampler: SapaD) -> int:
    c, children, points = upsampler.in_channels, upsampler.scale_factor**2, upsampler.num_points
    offsets = c * upsampler.offset.out_channels
    # 8 for a bilinear sample, 1 for its part in the sum.
    values = 9 * children * points * c
    if not upsampler.guided:
        return offsets + values + _kernel_prediction(upsampler)
    embedded = upsampler.query.out_channels
    embedding = (c + children * upsampler.guide_channels) * embedded
    similarity = children * points * embedded * 38 // 4
    return offsets + values + embedding + similarity


@flops_per_position.register
def _(upsampler: DySample) -> int:
    children, c = upsampler.scale_factor**2, upsampler.in_channels
    positions = children if upsampler.style == 'pl' else 1
    convs = [conv for conv in (upsampler.offset, upsampler.scope) if conv is not None]
    offsets = sum(positions * conv.in_channels * conv.out_channels for conv in convs)
    return offsets + 8 * children * c


def _kernel_prediction(upsampler: Carafe | SapaD) -> int:
    return upsampler.channel_compressor.weight.numel() + upsampler.content_encoder.weight.numel()


#: Why the counter differs from the formula, by kind of upsampler.
_COUNTER = {
    Deconv: (
        "the paper's figure has k²s²C² for each low-res position, as for pixel shuffle; a "
        'transposed convolution of stride s takes k²C²'
    ),
    IndexNet: 'the product with the index map, 4C, is elementwise and not counted',
    A2U: (
        "C + 4K², the sum of the affinity's products and its product with the descriptor, are "
        'elementwise and not counted; 108C for each image, the convolutions of the pooled guide, '
        'are counted and not in the formula'
    ),
    Fade: "the gate's products, 2s²C, are elementwise and not counted",
    SapaD: (
        'the formula has 8 for a bilinear sample, the counter its 4 multiply-adds; for the '
        "similarity it has the paper's total, 38Sdg, though the steps add up to 36Sdg (32Sdg + "
        '4Sdg)'
    ),
    DySample: (
        'the formula has 8 for a bilinear sample, the counter its 4 multiply-adds and one for its '
        'weight'
    ),
}


def why_counted_differs(upsampler: Upsampler) -> str:
    """Says why the counter differs from :func:`flops_per_position`, where it does.

    Args:
        upsampler (Upsampler): An upsampler with a formula.

    Returns:
        str: The reason.
    """
    uneven = 'the formula is for an output of s times the size'
    return next((why for kind, why in _COUNTER.items() if isinstance(upsampler, kind)), uneven)
