"""The upsamplers written out once more, from the paper's formulas, the oracle and plain loops.

Each takes float64 parameters by name, the inputs and the options of the upsampler.
"""

import torch
import torch.nn.functional as F
from sapa_ops import reference


def slow_upsampler(kind, params, x, guide, **options):
    """The output of an upsampler in float64, differentiable in all tensors."""
    return _UPSAMPLERS[kind](params, x, guide, **options)


def low_indices(low, high):
    """Low-res index of every high-res index."""
    return [((2 * i + 1) * low) // (2 * high) for i in range(high)]


def _sapa_i(params, x, guide, **options):
    key, query, options = _normed(params, x, guide, **options)
    return _window_sapa(query, key, x, **options)


def _sapa_b(params, x, guide, embed_dims=32, **options):
    key, query, options = _normed(params, x, guide, **options)
    query, key = _conv(params, 'query', query), _conv(params, 'key', key)
    assert query.shape[1] == key.shape[1] == embed_dims
    return _window_sapa(query, key, x, **options)


def _window_sapa(query, key, x, kernel_size=5, similarity_norm='softmax'):
    similarity = reference.window_similarity(query, key, kernel_size)
    return reference.window_assemble(_normalized(similarity, similarity_norm), x, kernel_size)


def _sapa_d(
    params, x, guide, num_points=9, groups=4, shared_offset=False, guided=True, embed_dims=32,
    scale_factor=2, offset_init='origin', **options,
):  # fmt: skip
    key, query, _ = _normed(params, x, guide if guided else None, **options)
    size = guide.shape[2:] if guide is not None else [scale_factor * side for side in x.shape[2:]]
    offset = _conv(params, 'offset', key)
    if not shared_offset:
        offset = F.pixel_shuffle(offset, scale_factor)
    offset = _nearest(offset, size)
    if guided:
        query, own_key = _conv(params, 'query', query), _conv(params, 'key', key)
        assert query.shape[1] == groups * embed_dims
        similarity = reference.point_similarity(query, own_key, offset, groups)
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


_UPSAMPLERS = {'sapa_i': _sapa_i, 'sapa_b': _sapa_b, 'sapa_d': _sapa_d, 'carafe': _carafe}


def _normed(params, x, guide, pre_norm=False, **options):
    def norm(name, feature):
        return F.group_norm(feature, 32, params[f'{name}.weight'], params[f'{name}.bias'])

    if not pre_norm:
        return x, guide, options
    return norm('norm_x', x), None if guide is None else norm('norm_guide', guide), options


def _conv(params, name, feature, **options):
    return F.conv2d(feature, params[f'{name}.weight'], params[f'{name}.bias'], **options)


def _nearest(low, size):
    rows, columns = low_indices(low.shape[2], size[0]), low_indices(low.shape[3], size[1])
    return low[:, :, rows][:, :, :, columns]


def _predicted(params, x, size, scale_factor, dilation=1):
    """CARAFE's kernels, not normalised."""
    compressed = _conv(params, 'channel_compressor', x)
    padding = dilation * (params['content_encoder.weight'].shape[2] // 2)
    encoded = _conv(params, 'content_encoder', compressed, padding=padding, dilation=dilation)
    return _nearest(F.pixel_shuffle(encoded, scale_factor), size)


def _normalized(similarity, similarity_norm):
    """h(sim) / sum(h(sim)) over the window; where h is 0 everywhere, so is the kernel."""
    if similarity_norm == 'none':
        return similarity
    h = {
        'softmax': torch.exp,
        'relu': lambda sim: sim * (sim > 0),
        'sigmoid': lambda sim: 1 / (1 + torch.exp(-sim)),
        'softplus': lambda sim: torch.log(1 + torch.exp(sim)),
    }[similarity_norm](similarity)
    total = h.sum(1, keepdim=True)
    return h / torch.where(total > 0, total, torch.ones_like(total))
