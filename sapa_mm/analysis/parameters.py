"""Numbers of parameters."""

from torch import nn


def count_parameters(module: nn.Module, trainable_only: bool = True) -> int:
    """Counts the parameters of a module.

    Args:
        module (nn.Module): The module.
        trainable_only (bool): Whether frozen parameters are left out, as the paper does in
            Tables 5 and 6. Defaults to True.

    Returns:
        int: Number of parameters.
    """
    parameters = module.parameters()
    return sum(p.numel() for p in parameters if p.requires_grad or not trainable_only)
