"""ONNX Runtime on one thread: teachers run one process a core, and give the same numbers on any machine."""

from __future__ import annotations

from pathlib import Path


def open_session(path: Path):
    """An `onnxruntime.InferenceSession`; raises ONNX Runtime's own errors, one for each of its codes."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=['CPUExecutionProvider'])
