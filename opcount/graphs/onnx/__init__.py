"""ONNX models: read, their shapes worked out, and each operator counted by the same formulas as PyTorch's."""
