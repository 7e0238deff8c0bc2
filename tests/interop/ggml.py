"""ggml's block formats through the shared library of PyPI's libggml-python: what the tests of blocks compare with."""
import ctypes
import glob
import importlib.util
import os

import numpy as np

# name -> (elements, bytes, ggml_type, suffix of the C functions)
FORMATS = {
    "Q4_0": (32, 18, 2, "q4_0"), "Q4_1": (32, 20, 3, "q4_1"), "Q5_0": (32, 22, 6, "q5_0"), "Q5_1": (32, 24, 7, "q5_1"),
    "Q8_0": (32, 34, 8, "q8_0"), "Q4_K": (256, 144, 12, "q4_K"), "Q5_K": (256, 176, 13, "q5_K"), "Q6_K": (256, 210, 14, "q6_K"),
    "IQ4_NL": (32, 18, 20, "iq4_nl"), "IQ4_XS": (256, 136, 23, "iq4_xs"), "MXFP4": (32, 17, 39, "mxfp4"), "NVFP4": (64, 36, 40, "nvfp4"),
}


def load():
    package = importlib.util.find_spec("libggml")
    folder = os.path.join(package.submodule_search_locations[0], "lib64")
    library = ctypes.CDLL(sorted(glob.glob(os.path.join(folder, "libggml-base.so*")))[0])
    library.ggml_quantize_chunk.restype = ctypes.c_size_t
    return library


LIBRARY = load()


def pointer(array):
    return array.ctypes.data_as(ctypes.c_void_p) if array is not None else None


def decode(name, data):
    elements, size, _, suffix = FORMATS[name]
    data = np.ascontiguousarray(data, np.uint8).ravel()
    values = np.empty(data.size // size * elements, np.float32)
    getattr(LIBRARY, "dequantize_row_" + suffix)(pointer(data), pointer(values), ctypes.c_int64(values.size))
    return values


def encode(name, values):
    """quantize_row_*_ref."""
    elements, size, _, suffix = FORMATS[name]
    values = np.ascontiguousarray(values, np.float32).ravel()
    data = np.zeros(values.size // elements * size, np.uint8)
    getattr(LIBRARY, f"quantize_row_{suffix}_ref")(pointer(values), pointer(data), ctypes.c_int64(values.size))
    return data


def quantize(name, matrix, importance=None):
    """What llama-quantize stores for a matrix, with or without an importance a column."""
    elements, size, number, _ = FORMATS[name]
    matrix = np.ascontiguousarray(matrix, np.float32)
    rows, columns = matrix.shape
    data = np.zeros(rows * columns // elements * size, np.uint8)
    if importance is not None:
        importance = np.ascontiguousarray(importance, np.float32)
    LIBRARY.ggml_quantize_chunk(ctypes.c_int(number), pointer(matrix), pointer(data), ctypes.c_int64(0), ctypes.c_int64(rows),
                                ctypes.c_int64(columns), pointer(importance))
    return data
