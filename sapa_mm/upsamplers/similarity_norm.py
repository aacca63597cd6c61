"""Normalisation functions of the similarity (Eq. 3, Table 10)."""

import torch
import torch.nn.functional as F
from torch import Tensor

SIMILARITY_NORMS = ('softmax', 'none', 'relu', 'sigmoid', 'softplus')


def normalize_similarity(similarity: Tensor, similarity_norm: str, dim: int) -> Tensor:
    """Turns similarities into the weights of a kernel.

    ``h(sim) / sum(h(sim))`` with h the exponential for 'softmax', else the function named;
    'none' leaves the similarities as they are. A kernel whose h is 0 everywhere (relu) stays 0.

    Args:
        similarity (Tensor): Similarities, any shape.
        similarity_norm (str): One of ``SIMILARITY_NORMS``.
        dim (int): The dimension of the points of one kernel.

    Returns:
        Tensor: Weights of the same shape.
    """
    if similarity_norm == 'softmax':
        return similarity.softmax(dim)
    if similarity_norm == 'none':
        return similarity
    positive = getattr(F, similarity_norm)(similarity)
    total = positive.sum(dim, keepdim=True)
    return positive / total.clamp_min(torch.finfo(total.dtype).tiny)
