"""Models that are graphs already: exported programs, their archives, and ONNX."""
