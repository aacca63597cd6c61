"""mmseg's Swin Transformer as one graph for all sizes of an image.

Its own code pads where a side needs it; torch.compile and torch.export then tie the graph to sizes
that do, or reason about remainders without an end.
"""

import torch
import torch.nn.functional as F
from mmseg.models.backbones import SwinTransformer
from sapa_ops.geometry import ceil_div
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint


def swin_stages(swin: SwinTransformer, image: Tensor) -> list[Tensor]:
    """Compute what ``swin(image)`` does, without a branch on the size.

    Args:
        swin (SwinTransformer): The backbone, without absolute position embedding.
        image (Tensor): (N, C, H, W).

    Returns:
        list[Tensor]: A feature (N, C_i, H_i, W_i) of each of its ``out_indices``.
    """
    embed = swin.patch_embed
    x = embed.projection(_pad(image, embed.projection.kernel_size))
    size = x.shape[2:]
    x = x.flatten(2).transpose(1, 2)
    x = swin.drop_after_pos(x if embed.norm is None else embed.norm(x))
    outs = []
    for index, stage in enumerate(swin.stages):
        for block in stage.blocks:
            if block.with_cp and x.requires_grad:
                x = checkpoint(_block, block, x, size, use_reentrant=False)
            else:
                x = _block(block, x, size)
        if index in swin.out_indices:
            out = getattr(swin, f'norm{index}')(x)
            outs.append(out.transpose(1, 2).unflatten(2, size).contiguous())
        if stage.downsample is not None:
            x, size = _merge_patches(stage.downsample, x, size)
    return outs


def _pad(feature: Tensor, kernel_size: tuple[int, int]) -> Tensor:
    """Append zeros so that a filter, whatever its stride, rounds sides up."""
    height, width = kernel_size
    return F.pad(feature, (0, width - 1, 0, height - 1))


def _block(block: nn.Module, x: Tensor, size: tuple[int, int]) -> Tensor:
    """Run a ``SwinBlock`` on (N, H * W, C)."""
    x = x + block.attn.drop(_attend(block.attn, block.norm1(x), size))
    return block.ffn(block.norm2(x), identity=x)


def _attend(attention: nn.Module, tokens: Tensor, size: tuple[int, int]) -> Tensor:
    """Run a ``ShiftWindowMSA`` on (N, H * W, C), without its drop path.

    Windows are gathered by index, and one of zeros is appended: reshaped, or with a window alone,
    the graph would be tied to the number of windows.
    """
    n, pixels, channels = tokens.shape
    (height, width), side, shift = size, attention.window_size, attention.shift_size
    rows, columns = ceil_div(height, side), ceil_div(width, side)
    area, count = side * side, rows * columns + 1

    # The pixel at each place of each window; beyond the map, zeros.
    window, place = _divmod(torch.arange(count * area, device=tokens.device), area)
    (row, column), (y, x) = _divmod(window, columns), _divmod(place, side)
    _, y = _divmod(row * side + y + shift, rows * side)
    _, x = _divmod(column * side + x + shift, columns * side)
    inside = (y < height) & (x < width) & (window < count - 1)
    pixel = torch.where(inside, y * width + x, pixels)
    windows = F.pad(tokens, (0, 0, 0, 1)).index_select(1, pixel).reshape(n * count, area, channels)

    mask = None
    if shift:  # no attention between pixels that only the roll has brought together
        part = (2 * (y < shift) + (x < shift)).reshape(count, area)
        mask = -100.0 * (part[:, None] != part[:, :, None]).to(tokens.dtype)
    windows = attention.w_msa(windows, mask=mask).reshape(n, count * area, channels)

    # The place of each pixel.
    y, x = _divmod(torch.arange(pixels, device=tokens.device), width)
    row, y = _divmod(_divmod(y + rows * side - shift, rows * side)[1], side)
    column, x = _divmod(_divmod(x + columns * side - shift, columns * side)[1], side)
    return windows.index_select(1, (row * columns + column) * area + y * side + x)


def _divmod(number: Tensor, divisor: int) -> tuple[Tensor, Tensor]:
    """Divide with a remainder; ONNX has no translation of ``%`` by a side of the image."""
    quotient = torch.div(number, divisor, rounding_mode='floor')
    return quotient, number - quotient * divisor


def _merge_patches(
    merging: nn.Module, tokens: Tensor, size: tuple[int, int]
) -> tuple[Tensor, tuple[int, int]]:
    """Run a ``PatchMerging`` on (N, H * W, C); returns the new size, too."""
    sampler = merging.sampler
    feature = _pad(tokens.transpose(1, 2).unflatten(2, size), sampler.kernel_size)
    tokens = sampler(feature).transpose(1, 2)
    tokens = merging.reduction(tokens if merging.norm is None else merging.norm(tokens))
    height, width = (
        ceil_div(side, stride) for side, stride in zip(size, sampler.stride, strict=True)
    )
    return tokens, (height, width)
