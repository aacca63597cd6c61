"""The schemas of the operators, for every namespace that has them: ours, and those of the kernels.

Shapes: weight (N, G*K*K, H, W) over windows or (N, G, S, H, W) over points; low, key and value
(N, G*C, h, w); high and query (N, G*C, H, W); offset (N, G*S*2, H, W). All operators of a kind are
derivatives of one sum over weight, low and high (``operators.py``).
"""

from torch.library import Library

SCHEMAS = {
    'window_similarity': '(Tensor query, Tensor key, int kernel_size, int groups=1, '
    'bool softmax=False, str border="zeros") -> Tensor',
    'window_assemble': '(Tensor weight, Tensor value, int kernel_size, int groups=1, '
    'str border="zeros") -> Tensor',
    'window_adjoint': '(Tensor weight, Tensor high, SymInt height, SymInt width, int kernel_size, '
    'int groups=1, str border="zeros") -> Tensor',
    'point_similarity': '(Tensor query, Tensor key, Tensor offset, int groups, '
    'bool softmax=False) -> Tensor',
    'point_assemble': '(Tensor weight, Tensor value, Tensor offset) -> Tensor',
    'point_adjoint': '(Tensor weight, Tensor high, Tensor offset, SymInt height, '
    'SymInt width) -> Tensor',
    'point_gradients': '(Tensor weight, Tensor high, Tensor low, '
    'Tensor offset) -> (Tensor, Tensor)',
}


def define_schemas(namespace: str) -> Library:
    """Define the operators, still without kernels, in a namespace of ``torch.ops``.

    Args:
        namespace (str): The namespace.

    Returns:
        Library: To register kernels with. The operators are gone when it is.
    """
    library = Library(namespace, 'FRAGMENT')
    for name, schema in SCHEMAS.items():
        library.define(name + schema)
    return library
