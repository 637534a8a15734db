"""Writes python.safetensors: what the format's own Python package makes of one tensor of each awkward kind.

pip install safetensors numpy ml_dtypes; python tests/golden/safetensors.py
"""
import os
import sys

here = os.path.dirname(os.path.abspath(__file__))
sys.path.remove(here)  # this file is called like the package

import ml_dtypes
import numpy as np
from safetensors.numpy import save_file

save_file(
    {
        "f32": (np.arange(6, dtype=np.float32) / 4).reshape(2, 3),
        "scalar": np.array(2.5, dtype=np.float64),
        "empty": np.zeros((0, 3), dtype=np.int32),
        "bf16": np.array([1, 2, -3], dtype=ml_dtypes.bfloat16),
        "flag": np.array([True, False, True]),
        "층.bias": np.array([-1, 1], dtype=np.int64),
    },
    os.path.join(here, "python.safetensors"),
    metadata={"format": "pt", "말": '고양이 "quoted"\n'},
)
