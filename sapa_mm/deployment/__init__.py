"""Models as files that run without OpenMMLab: ONNX, and programs of ``torch.export``."""
