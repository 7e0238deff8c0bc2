"""Writes small ONNX files with nothing but Python's standard library: protobuf's wire format by hand.

Field numbers are those of onnx.proto (src/io/onnx/onnx_schema.proto). Enough for the tests: tensors as raw data, integer,
float, text, tensor, graph and list attributes, named dimensions, metadata.
"""
import random
import struct

FLOAT, UINT8, INT8, INT32, INT64, BOOL, FLOAT16, DOUBLE, UINT4, INT4 = 1, 2, 3, 6, 7, 9, 10, 11, 21, 22
_FORMATS = {FLOAT: "f", UINT8: "B", INT8: "b", INT32: "i", INT64: "q", BOOL: "B", FLOAT16: "e", DOUBLE: "d"}


def _varint(value):
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def _integer(field, value):
    return _varint(field << 3) + _varint(value)


def _float(field, value):
    return _varint(field << 3 | 5) + struct.pack("<f", value)


def _bytes(field, value):
    value = value.encode() if isinstance(value, str) else bytes(value)
    return _varint(field << 3 | 2) + _varint(len(value)) + value


def tensor(name, dims, values=(), kind=FLOAT):
    """A TensorProto; 4-bit kinds take codes and are packed two to a byte."""
    if kind in (UINT4, INT4):
        codes = [v & 15 for v in values] + [0] * (len(values) % 2)
        raw = bytes(codes[i] | codes[i + 1] << 4 for i in range(0, len(codes), 2))
    else:
        raw = struct.pack("<%d%s" % (len(values), _FORMATS[kind]), *values)
    return b"".join(_integer(1, d) for d in dims) + _integer(2, kind) + _bytes(8, name) + _bytes(9, raw)


def normal(name, dims, scale=1.0):
    """A float tensor of normally distributed numbers that depend on the name alone."""
    generator = random.Random(name)
    count = 1
    for d in dims:
        count *= d
    return tensor(name, dims, [generator.gauss(0, scale) for _ in range(count)])


def value(name, dims=None, kind=FLOAT):
    """A ValueInfoProto; a dimension may be a number or a name, `dims` None leaves the rank open."""
    inner = _integer(1, kind)
    if dims is not None:
        inner += _bytes(2, b"".join(_bytes(1, _integer(1, d) if isinstance(d, int) else _bytes(2, d)) for d in dims))
    return _bytes(1, name) + _bytes(2, _bytes(1, inner))


class Subgraph(bytes):
    """The GraphProto of an attribute."""


def subgraph(nodes, outputs, initializers=(), inputs=(), name="branch"):
    """A branch: nodes that may read names of the graph around them; outputs without stated types."""
    graph = b"".join(_bytes(1, n) for n in nodes) + _bytes(2, name) + b"".join(_bytes(5, t) for t in initializers)
    return Subgraph(graph + b"".join(_bytes(11, v) for v in inputs) + b"".join(_bytes(12, _bytes(1, o)) for o in outputs))


def _attribute(name, v):
    out = _bytes(1, name)
    if isinstance(v, bool) or isinstance(v, int):
        return out + _integer(3, int(v)) + _integer(20, 2)
    if isinstance(v, float):
        return out + _float(2, v) + _integer(20, 1)
    if isinstance(v, str):
        return out + _bytes(4, v) + _integer(20, 3)
    if isinstance(v, Subgraph):
        return out + _bytes(6, v) + _integer(20, 5)
    if isinstance(v, bytes):  # a tensor
        return out + _bytes(5, v) + _integer(20, 4)
    if v and isinstance(v[0], float):
        return out + b"".join(_float(7, x) for x in v) + _integer(20, 6)
    return out + b"".join(_integer(8, x) for x in v) + _integer(20, 7)


def node(op, inputs, outputs, name=None, domain="", **attributes):
    out = b"".join(_bytes(1, i) for i in inputs) + b"".join(_bytes(2, o) for o in outputs)
    out += _bytes(3, outputs[0] if name is None else name) + _bytes(4, op)
    out += b"".join(_bytes(5, _attribute(k, v)) for k, v in sorted(attributes.items()))
    return out + (_bytes(7, domain) if domain else b"")


def model(nodes, inputs, outputs, initializers=(), opset=21, domains=(), metadata=(), name="net"):
    graph = b"".join(_bytes(1, n) for n in nodes) + _bytes(2, name) + b"".join(_bytes(5, t) for t in initializers)
    graph += b"".join(_bytes(11, v) for v in inputs) + b"".join(_bytes(12, v) for v in outputs)
    out = _integer(1, 10) + _bytes(7, graph) + _bytes(8, _integer(2, opset))
    out += b"".join(_bytes(8, _bytes(1, d) + _integer(2, 1)) for d in domains)
    return out + b"".join(_bytes(14, _bytes(1, k) + _bytes(2, v)) for k, v in metadata)


def classifier(classes=4, side=8, channels=3, width=64, batch="N", opset=21, metadata=(), poison=None, name="net"):
    """A small convolutional classifier [N,channels,side,side] -> [N,classes]: two convolutions, a residual addition and a
    product, all of whose weights are random. `poison` (index, value) overwrites one weight of the second convolution."""
    generator = random.Random("w2")
    second = [generator.gauss(0, 0.06) for _ in range(width * width * 9)]
    if poison:
        second[poison[0]] = poison[1]
    return model(
        [node("Conv", ["x", "w1", "b1"], ["c1"], name="conv1", pads=[1, 1, 1, 1]),
         node("Relu", ["c1"], ["r1"]),
         node("Conv", ["r1", "w2"], ["c2"], name="conv2", pads=[1, 1, 1, 1]),
         node("Add", ["c2", "r1"], ["sum"]),
         node("Relu", ["sum"], ["r2"]),
         node("GlobalAveragePool", ["r2"], ["pooled"]),
         node("Flatten", ["pooled"], ["flat"]),
         node("Gemm", ["flat", "w3", "b3"], ["scores"], name="fc", transB=1)],
        [value("x", [batch, channels, side, side])], [value("scores", [batch, classes])],
        [normal("w1", [width, channels, 3, 3], 0.3), normal("b1", [width], 0.1), tensor("w2", [width, width, 3, 3], second),
         normal("w3", [classes, width], 0.5), normal("b3", [classes], 0.1)],
        opset=opset, metadata=metadata, name=name)


def npy(dims, values, kind="<f4"):
    """The bytes of a .npy file."""
    header = "{'descr': '%s', 'fortran_order': False, 'shape': (%s), }" % (kind, "".join("%d, " % d for d in dims))
    header += " " * (-(len(header) + 11) % 64) + "\n"
    code = {"<f4": "f", "<i8": "q", "|u1": "B"}[kind]
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + struct.pack("<%d%s" % (len(values), code), *values)


def images_npy(count, channels=3, side=8, seed="images"):
    """`count` random inputs for `classifier` as a .npy file."""
    generator = random.Random(seed)
    return npy([count, channels, side, side], [generator.gauss(0, 1) for _ in range(count * channels * side * side)])
