"""The upsamplers written out once more, from the paper's formulas, the oracle and plain loops.

Each takes float64 parameters by name, the inputs and the options of the upsampler.
"""

import torch
import torch.nn.functional as F
from sapa_ops import reference


def slow_upsampler(kind, params, x, guide, **options):
    """The output of an upsampler in float64, differentiable in all tensors."""
    return _UPSAMPLERS[kind](params, x, guide, **options)


def whole_multiple(low, high, *preferred):
    """s * low where a stride s, rounding up, leads from high to low; high for any other ratio."""
    strides = (*preferred, *range(1, high + 1))
    return next((s * low for s in strides if -(-high // s) == low), high)


def low_indices(low, high, refinement=1):
    """Low-res index of every high-res index; on a map of ``refinement`` times the low-res side."""
    side = refinement * low
    whole = whole_multiple(low, high, *([refinement] if low == 1 else []))
    return [((2 * i + 1) * side) // (2 * whole) for i in range(high)]


def _sapa_i(params, x, guide, **options):
    key, query, options = _normed(params, x, guide, **options)
    return _window_sapa(query, key, x, **options)


def _sapa_b(params, x, guide, embed_dims=32, groups=1, **options):
    key, query, options = _normed(params, x, guide, **options)
    query, key = _conv(params, 'query', query), _conv(params, 'key', key)
    assert query.shape[1] == key.shape[1] == groups * embed_dims
    parts = zip(query.chunk(groups, 1), key.chunk(groups, 1), x.chunk(groups, 1), strict=True)
    return torch.cat([_window_sapa(*part, **options) for part in parts], 1)


def _window_sapa(query, key, x, kernel_size=5, similarity_norm='softmax', temperature=1):
    similarity = reference.window_similarity(query, key, kernel_size) / temperature
    return reference.window_assemble(_normalized(similarity, similarity_norm), x, kernel_size)


def _sapa_d(
    params, x, guide, num_points=9, groups=4, shared_offset=False, guided=True, embed_dims=32,
    scale_factor=2, offset_init='origin', temperature=1, **options,
):  # fmt: skip
    key, query, _ = _normed(params, x, guide if guided else None, **options)
    size = guide.shape[2:] if guide is not None else [scale_factor * side for side in x.shape[2:]]
    offset = _conv(params, 'offset', key)
    if shared_offset:
        offset = _nearest(offset, size)
    else:
        offset = _nearest(F.pixel_shuffle(offset, scale_factor), size, scale_factor)
    if guided:
        query, own_key = _conv(params, 'query', query), _conv(params, 'key', key)
        assert query.shape[1] == groups * embed_dims
        similarity = reference.point_similarity(query, own_key, offset, groups) / temperature
    else:
        similarity = _predicted(params, key, size, scale_factor)
        similarity = similarity.view(len(x), groups, num_points, *size)
    assert similarity.shape[2] == num_points
    return reference.point_assemble(similarity.softmax(2), x, offset)


def _carafe(params, x, guide, up_kernel=5, up_group=1, encoder_dilation=1, scale_factor=2, **_):
    size = guide.shape[2:] if guide is not None else [scale_factor * side for side in x.shape[2:]]
    n, channels, h, w = x.shape
    weight = _predicted(params, x, size, scale_factor, encoder_dilation)
    weight = weight.view(n, up_group, up_kernel**2, *size).softmax(2)
    weight = weight.repeat_interleave(channels // up_group, 1)
    padded = F.pad(x, (up_kernel // 2,) * 4)
    pixels = [
        (padded[:, :, y : y + up_kernel, x : x + up_kernel].flatten(2) * weight[..., i, j]).sum(2)
        for i, y in enumerate(low_indices(h, size[0]))
        for j, x in enumerate(low_indices(w, size[1]))
    ]
    return torch.stack(pixels, -1).view(n, channels, *size)


def _deconv(params, x, guide, scale_factor=2, **_):
    weight = params['deconv.weight'].flip(2, 3).transpose(0, 1)
    n, channels, h, w = x.shape
    spread = x.new_zeros(n, channels, scale_factor * h, scale_factor * w)
    spread[:, :, ::scale_factor, ::scale_factor] = x
    out = _plain_conv(spread, weight, 1, weight.shape[2] // 2)
    return _fit(out + params['deconv.bias'].view(-1, 1, 1), guide, scale_factor)


def _pixel_shuffle(params, x, guide, scale_factor=2, **_):
    weight, s = params['upsample_conv.weight'], scale_factor
    out = _plain_conv(x, weight, 1, weight.shape[2] // 2)
    out = out + params['upsample_conv.bias'].view(-1, 1, 1)
    n, channels, h, w = x.shape
    # Channels run output channel, row of the child, column of the child.
    out = out.view(n, channels, s, s, h, w).permute(0, 1, 4, 2, 5, 3)
    return _fit(out.reshape(n, channels, s * h, s * w), guide, s)


def _fade(params, x, guide, up_kernel=5, gate=False, **_):
    size = guide.shape[2:]
    compressed = F.conv2d(x, params['channel_compressor.weight'])
    from_guide = _conv(
        params, 'content_encoder', _conv(params, 'guide_compressor', guide), padding=1
    )
    from_x = _nearest(_conv(params, 'content_encoder', compressed, padding=1), size)
    weight = (from_guide + from_x).softmax(1)
    out = reference.window_assemble(weight, x, up_kernel)
    if not gate:
        return out
    g = _nearest(1 / (1 + torch.exp(-_conv(params, 'gate', x))), size)
    return g * guide + (1 - g) * out


def _index_net(params, x, guide, variant='hin', hidden_ratio=1, training=False):
    s, size = 2, guide.shape[2:]
    n, channels, h, w = x.shape
    padded = F.pad(guide, (0, -size[1] % s, 0, -size[0] % s))

    def block(number):
        name = f'index_blocks.{number}'
        hidden = _plain_conv(padded, params[f'{name}.0.weight'], s, 1)
        if training:
            mean = hidden.mean((0, 2, 3))
            variance = (hidden - mean.view(-1, 1, 1)).square().mean((0, 2, 3))
        else:
            mean, variance = params[f'{name}.1.running_mean'], params[f'{name}.1.running_var']
        scale = params[f'{name}.1.weight'] / (variance + 1e-5).sqrt()
        shift = params[f'{name}.1.bias'] - mean * scale
        hidden = (hidden * scale.view(-1, 1, 1) + shift.view(-1, 1, 1)).clamp(0, 6)
        return _plain_conv(hidden, params[f'{name}.3.weight'], 1, 0)

    blocks = [block(number) for number in range(1 if variant == 'hin' else s * s)]
    rows = []
    for i, y in enumerate(low_indices(h, size[0])):
        for j, z in enumerate(low_indices(w, size[1])):
            child = (i % s) * s + j % s
            if variant == 'hin':
                logit = blocks[0][:, child : child + 1, i // s, j // s]
            else:
                logit = blocks[child][:, :, i // s, j // s]
            rows.append(x[:, :, y, z] / (1 + torch.exp(-logit)))
    return torch.stack(rows, -1).view(n, channels, *size)


def _a2u(params, x, guide, **_):
    n, channels, height, width = guide.shape
    padded = F.pad(guide, (0, width % 2, 0, height % 2))
    groups = 32 if channels % 32 == 0 else 1
    images = []
    for image in range(n):
        pooled = torch.stack(
            [
                guide[image, :, _bin(i, height), _bin(j, width)].mean((1, 2))
                for i in range(6)
                for j in range(6)
            ],
            -1,
        )
        sides = []
        for number in range(2):
            weight = params['filters.weight'][number].flatten()
            kernel = (weight @ pooled + params['filters.bias'][number]).view(1, 1, 6, 6)
            filtered = torch.cat(
                [_plain_conv(padded[image : image + 1, c : c + 1], kernel, 2, 2)[0]
                 for c in range(channels)]
            )  # fmt: skip
            grouped = filtered.view(groups, -1)
            grouped = grouped - grouped.mean(1, keepdim=True)
            grouped = grouped / (grouped.square().mean(1, keepdim=True) + 1e-5).sqrt()
            normed = grouped.view_as(filtered) * params[f'norms.{number}.weight'].view(-1, 1, 1)
            normed = normed + params[f'norms.{number}.bias'].view(-1, 1, 1)
            sides.append(torch.where(normed > 0, normed, 0.01 * normed))
        affinity = (sides[0] * sides[1]).sum(0) / channels**0.5
        descriptor = params['descriptor.weight'][:, :, 0, 0] @ guide[image].mean((1, 2))
        descriptor = descriptor + params['descriptor.bias']
        pixels = [
            descriptor[torch.arange(9) * 4 + (i % 2) * 2 + j % 2] * affinity[i // 2, j // 2]
            for i in range(height)
            for j in range(width)
        ]
        images.append(torch.stack(pixels, -1).view(9, height, width))
    weight = torch.exp(1 / (1 + torch.exp(-torch.stack(images))))
    return reference.window_assemble(weight / weight.sum(1, keepdim=True), x, 3)


def _dysample(params, x, guide, style='lp', groups=4, dynamic_scope=False, scale_factor=2, **_):
    """As published: a grid for ``grid_sample``, its channels (x, y), group, child."""
    s = scale_factor
    n, channels, h, w = x.shape
    source = x if style == 'lp' else F.pixel_shuffle(x, s)
    offset = _conv(params, 'offset', source)
    if dynamic_scope:
        scope = F.conv2d(source, params['scope.weight'], params.get('scope.bias'))
        offset = offset * scope.sigmoid() * 0.5
    else:
        offset = offset * 0.25
    if style == 'pl':
        offset = F.pixel_unshuffle(offset, s)
    offset = offset.view(n, 2, groups, s, s, h, w)
    grid = torch.empty(n, groups, s * h, s * w, 2, dtype=x.dtype)
    for i in range(s * h):
        for j in range(s * w):
            child = offset[:, :, :, i % s, j % s, i // s, j // s]
            start = torch.tensor([(j + 0.5) / s, (i + 0.5) / s], dtype=x.dtype).view(1, 2, 1)
            size = torch.tensor([w, h], dtype=x.dtype).view(1, 2, 1)
            grid[:, :, i, j] = (2 * (start + child) / size - 1).transpose(1, 2)
    out = F.grid_sample(
        x.reshape(n * groups, -1, h, w), grid.flatten(0, 1), padding_mode='border',
        align_corners=False,
    ).view(n, channels, s * h, s * w)  # fmt: skip
    return _fit(out, guide, s)


def _fit(out, guide, s):
    size = out.shape[2:] if guide is None else guide.shape[2:]
    whole = [
        whole_multiple(own // s, wanted, s) for own, wanted in zip(out.shape[2:], size, strict=True)
    ]
    if whole != list(out.shape[2:]):
        out = F.interpolate(out, size=whole, mode='bilinear')
    return out[:, :, : size[0], : size[1]]


_UPSAMPLERS = {
    'sapa_i': _sapa_i,
    'sapa_b': _sapa_b,
    'sapa_d': _sapa_d,
    'deconv': _deconv,
    'pixel_shuffle': _pixel_shuffle,
    'carafe': _carafe,
    'fade': _fade,
    'index_net': _index_net,
    'a2u': _a2u,
    'dysample': _dysample,
}


def _plain_conv(feature, weight, stride, padding):
    """A convolution without bias, output pixel by output pixel."""
    padded = F.pad(feature, (padding,) * 4)
    side = weight.shape[2]
    rows = (padded.shape[2] - side) // stride + 1
    columns = (padded.shape[3] - side) // stride + 1
    pixels = [
        torch.einsum(
            'ncyx,ocyx->no',
            padded[:, :, i * stride : i * stride + side, j * stride : j * stride + side],
            weight,
        )
        for i in range(rows)
        for j in range(columns)
    ]
    return torch.stack(pixels, -1).view(len(feature), -1, rows, columns)


def _bin(number, length):
    """The rows of one of six bins of an adaptive pooling."""
    return slice(number * length // 6, -(-(number + 1) * length // 6))


def _normed(params, x, guide, pre_norm=False, **options):
    def norm(name, feature):
        return F.group_norm(feature, 32, params[f'{name}.weight'], params[f'{name}.bias'])

    if not pre_norm:
        return x, guide, options
    return norm('norm_x', x), None if guide is None else norm('norm_guide', guide), options


def _conv(params, name, feature, **options):
    return F.conv2d(feature, params[f'{name}.weight'], params[f'{name}.bias'], **options)


def _nearest(low, size, refinement=1):
    rows, columns = (
        low_indices(side // refinement, target, refinement)
        for side, target in zip(low.shape[2:], size, strict=True)
    )
    return low[:, :, rows][:, :, :, columns]


def _predicted(params, x, size, scale_factor, dilation=1):
    """CARAFE's kernels, not normalised."""
    compressed = _conv(params, 'channel_compressor', x)
    padding = dilation * (params['content_encoder.weight'].shape[2] // 2)
    encoded = _conv(params, 'content_encoder', compressed, padding=padding, dilation=dilation)
    return _nearest(F.pixel_shuffle(encoded, scale_factor), size, scale_factor)


def _normalized(similarity, similarity_norm):
    """h(sim) / sum(h(sim)) over the window; where h is 0 everywhere, so is the kernel.

    The exponential of 'softmax' as torch computes it: an infinite similarity makes all of it NaN.
    """
    if similarity_norm == 'none':
        return similarity
    if similarity_norm == 'softmax':
        return similarity.softmax(1)
    h = {
        'relu': lambda sim: torch.where(sim < 0, torch.zeros_like(sim), sim),
        'sigmoid': lambda sim: 1 / (1 + torch.exp(-sim)),
        'softplus': lambda sim: torch.log(1 + torch.exp(sim)),
    }[similarity_norm](similarity)
    total = h.sum(1, keepdim=True)
    return h / torch.where(total > 0, total, torch.ones_like(total))
