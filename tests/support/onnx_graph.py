"""A module as an ONNX graph for any size, run by onnxruntime."""

import torch
from torch.export import Dim, export


def run_as_onnx(module, example, translations):
    """Export a module with dynamic last two sides of all inputs; return a function that runs it."""
    import onnxruntime
    from sapa_ops.onnx import OPSET

    free = tuple({t.dim() - 2: Dim.DYNAMIC, t.dim() - 1: Dim.DYNAMIC} for t in example)
    with torch.no_grad():
        program = export(_Call(module), example, dynamic_shapes=(free,))
    graph = torch.onnx.export(
        program,
        dynamo=True,
        opset_version=OPSET,
        custom_translation_table=translations,
        verbose=False,
    )
    session = onnxruntime.InferenceSession(graph.model_proto.SerializeToString())
    names = [one.name for one in session.get_inputs()]

    def run(*tensors):
        inputs = {name: t.numpy() for name, t in zip(names, tensors, strict=True)}
        return torch.from_numpy(session.run(None, inputs)[0])

    return run


class _Call(torch.nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, *tensors):
        return self.function(*tensors)
