"""The suppressor for machines without Python: an ONNX graph, and a weights file with a C header."""
