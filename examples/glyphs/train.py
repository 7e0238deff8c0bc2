"""Trains the network of the glyphs example; writes glyphs.onnx, glyphs.data.json, calib.zip and test.zip beside itself.

    OMP_NUM_THREADS=1 python examples/glyphs/train.py [EPOCHS]

Needs numpy, pillow and onnx, and the fonts that glyphs.py names. Run by hand (about half an hour on one core); what it
writes is committed. Everything is plain numpy: convolution is im2col and a matrix product, the gradient is by hand.

The network: 28x28 grey -> 24 -> depthwise 3x3 and pointwise 48 -> residual block 48 -> 64 -> residual block 64 ->
mean -> 34 classes; batch normalisation after every convolution (left unfused in the file), 148 thousand weights.
"""
import json
import sys
import time
from pathlib import Path

import numpy as np

import glyphs

HERE = Path(__file__).parent
BATCH = 64
TRAIN_COUNT = 34 * 600
MOMENTUM = 0.1  # of the running batch statistics
EPSILON = 1e-5


def windows(x):
    """The 3x3 neighbourhoods of [N,H,W,C] with a border of zeros: [N,H,W,9,C]."""
    n, h, w, c = x.shape
    padded = np.zeros((n, h + 2, w + 2, c), np.float32)
    padded[:, 1:-1, 1:-1] = x
    out = np.empty((n, h, w, 9, c), np.float32)
    for k in range(9):
        out[:, :, :, k] = padded[:, k // 3 : k // 3 + h, k % 3 : k % 3 + w]
    return out


def unwindows(d):
    """The gradient of `windows`."""
    n, h, w, _, c = d.shape
    padded = np.zeros((n, h + 2, w + 2, c), np.float32)
    for k in range(9):
        padded[:, k // 3 : k // 3 + h, k % 3 : k % 3 + w] += d[:, :, :, k]
    return padded[:, 1:-1, 1:-1]


class Conv:
    """A convolution without bias on [N,H,W,C]: 3x3 (weights [9*C,O]), 1x1 ([C,O]) or depthwise 3x3 ([9,C])."""

    def __init__(self, rng, inputs, outputs, kind):
        self.inputs, self.outputs, self.kind = inputs, outputs, kind
        shape = {"full": (9 * inputs, outputs), "point": (inputs, outputs), "depth": (9, inputs)}[kind]
        fan_in = 9 if kind == "depth" else shape[0]
        self.w = rng.normal(0, np.sqrt(2 / fan_in), shape).astype(np.float32)

    def parameters(self):
        return ["w"]

    def forward(self, x, training):
        if self.kind == "point":
            self.x = x
            return x @ self.w
        seen = windows(x)
        self.x = seen
        if self.kind == "depth":
            return np.einsum("nhwkc,kc->nhwc", seen, self.w)
        n, h, w = x.shape[:3]
        return (seen.reshape(n * h * w, -1) @ self.w).reshape(n, h, w, -1)

    def backward(self, d):
        if self.kind == "point":
            self.dw = self.x.reshape(-1, self.inputs).T @ d.reshape(-1, self.outputs)
            return d @ self.w.T
        if self.kind == "depth":
            self.dw = np.einsum("nhwkc,nhwc->kc", self.x, d)
            return unwindows(d[:, :, :, None, :] * self.w)
        flat = d.reshape(-1, self.outputs)
        self.dw = self.x.reshape(len(flat), -1).T @ flat
        return unwindows((flat @ self.w.T).reshape(self.x.shape))


class BatchNorm:
    def __init__(self, channels):
        self.gain, self.bias = np.ones(channels, np.float32), np.zeros(channels, np.float32)
        self.mean, self.var = np.zeros(channels, np.float32), np.ones(channels, np.float32)

    def parameters(self):
        return ["gain", "bias"]

    def forward(self, x, training):
        if not training:
            return (x - self.mean) / np.sqrt(self.var + EPSILON) * self.gain + self.bias
        mean, var = x.mean((0, 1, 2)), x.var((0, 1, 2))
        self.mean += MOMENTUM * (mean - self.mean)
        self.var += MOMENTUM * (var - self.var)
        self.inverse = 1 / np.sqrt(var + EPSILON)
        self.normal = (x - mean) * self.inverse
        return self.normal * self.gain + self.bias

    def backward(self, d):
        self.dgain, self.dbias = (d * self.normal).sum((0, 1, 2)), d.sum((0, 1, 2))
        count = d.size // d.shape[-1]
        return self.gain * self.inverse * (d - self.dbias / count - self.normal * self.dgain / count)


class Relu:
    def parameters(self):
        return []

    def forward(self, x, training):
        self.positive = x > 0
        return x * self.positive

    def backward(self, d):
        return d * self.positive


class MaxPool:
    """2x2, stride 2."""

    def parameters(self):
        return []

    def forward(self, x, training):
        n, h, w, c = x.shape
        cells = x.reshape(n, h // 2, 2, w // 2, 2, c).transpose(0, 1, 3, 5, 2, 4).reshape(n, h // 2, w // 2, c, 4)
        self.best = cells.argmax(-1)
        return cells.max(-1)

    def backward(self, d):
        n, h, w, c = d.shape
        cells = np.zeros((n, h, w, c, 4), np.float32)
        np.put_along_axis(cells, self.best[..., None], d[..., None], -1)
        return cells.reshape(n, h, w, c, 2, 2).transpose(0, 1, 4, 2, 5, 3).reshape(n, 2 * h, 2 * w, c)


class Residual:
    """x plus the inner layers of x."""

    def __init__(self, layers):
        self.layers = layers

    def parameters(self):
        return []

    def forward(self, x, training):
        y = x
        for layer in self.layers:
            y = layer.forward(y, training)
        return x + y

    def backward(self, d):
        inner = d
        for layer in reversed(self.layers):
            inner = layer.backward(inner)
        return d + inner


class Head:
    """The mean over the picture, then a fully connected layer."""

    def __init__(self, rng, inputs, outputs):
        self.w = rng.normal(0, np.sqrt(1 / inputs), (inputs, outputs)).astype(np.float32)
        self.b = np.zeros(outputs, np.float32)

    def parameters(self):
        return ["w", "b"]

    def forward(self, x, training):
        self.shape, self.mean = x.shape, x.mean((1, 2))
        return self.mean @ self.w + self.b

    def backward(self, d):
        self.dw, self.db = self.mean.T @ d, d.sum(0)
        n, h, w, c = self.shape
        return np.broadcast_to((d @ self.w.T)[:, None, None, :] / (h * w), self.shape)


def network(rng):
    def unit(inputs, outputs, kind="full"):
        return [Conv(rng, inputs, outputs, kind), BatchNorm(outputs)]

    return [
        *unit(1, 24), Relu(), MaxPool(),
        *unit(24, 24, "depth"), Relu(), *unit(24, 48, "point"), Relu(),
        Residual([*unit(48, 48), Relu(), *unit(48, 48)]), Relu(), MaxPool(),
        *unit(48, 64), Relu(),
        Residual([*unit(64, 64), Relu(), *unit(64, 64)]), Relu(),
        Head(rng, 64, len(glyphs.CLASSES)),
    ]


def all_layers(layers):
    for layer in layers:
        yield layer
        yield from all_layers(getattr(layer, "layers", []))


def scores(layers, x, training=False):
    for layer in layers:
        x = layer.forward(x, training)
    return x


def inputs(pictures):
    """What glyphs.data.json says: x / 255 of the 8-bit picture, less 0.5, over 0.25."""
    return ((pictures[..., None] * 17 / 255.0 - 0.5) / 0.25).astype(np.float32)


def accuracy(layers, pictures, labels):
    right = 0
    for i in range(0, len(labels), 200):
        right += (scores(layers, inputs(pictures[i : i + 200])).argmax(1) == labels[i : i + 200]).sum()
    return right / len(labels)


def train(epochs):
    rng = np.random.default_rng(1)
    layers = network(rng)
    slots = [(layer, name) for layer in all_layers(layers) for name in layer.parameters()]
    print(sum(getattr(layer, name).size for layer, name in slots), "parameters", flush=True)
    first = [np.zeros_like(getattr(layer, name)) for layer, name in slots]
    second = [np.zeros_like(getattr(layer, name)) for layer, name in slots]
    valid_pictures, valid_labels = glyphs.pictures(seed=2, count=34 * 30)
    steps, total = 0, epochs * (TRAIN_COUNT // BATCH)
    for epoch in range(epochs):
        begun, loss_sum = time.time(), 0.0
        pictures, labels = glyphs.pictures(seed=100 + epoch, count=TRAIN_COUNT)  # new ones every time
        order = rng.permutation(TRAIN_COUNT)
        for at in range(0, TRAIN_COUNT - BATCH + 1, BATCH):
            batch = order[at : at + BATCH]
            out = scores(layers, inputs(pictures[batch]), training=True)
            out -= out.max(1, keepdims=True)
            p = np.exp(out)
            p /= p.sum(1, keepdims=True)
            loss_sum -= np.log(p[np.arange(BATCH), labels[batch]] + 1e-9).mean()
            d = p
            d[np.arange(BATCH), labels[batch]] -= 1
            d /= BATCH
            for layer in reversed(layers):
                d = layer.backward(d)
            steps += 1
            rate = 3e-3 * min(1, steps / 200) * 0.5 * (1 + np.cos(np.pi * steps / total))
            for k, (layer, name) in enumerate(slots):  # Adam (Kingma, Ba 2015) with decoupled weight decay
                w, g = getattr(layer, name), getattr(layer, "d" + name)
                first[k] += 0.1 * (g - first[k])
                second[k] += 0.001 * (g * g - second[k])
                step = first[k] / (1 - 0.9**steps) / (np.sqrt(second[k] / (1 - 0.999**steps)) + 1e-8)
                w -= np.float32(rate) * (step + (1e-4 * w if name == "w" else 0)).astype(np.float32)
        print(f"epoch {epoch + 1}: loss {loss_sum / (TRAIN_COUNT // BATCH):.4f}, validation "
              f"{accuracy(layers, valid_pictures, valid_labels):.4f}, {time.time() - begun:.0f} s", flush=True)
    return layers


def export(layers, path, note):
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    nodes, weights, counts = [], [], {}

    def named(kind):
        counts[kind] = counts.get(kind, 0) + 1
        return f"{kind}{counts[kind]}"

    def constant(name, value):
        weights.append(numpy_helper.from_array(np.ascontiguousarray(value, dtype=np.float32), name))
        return name

    def emit(op, ins, kind, **attributes):
        name = named(kind)
        nodes.append(helper.make_node(op, ins, [name], name=name, **attributes))
        return name

    def add(layer, x):
        if isinstance(layer, Conv):
            name = f"conv{counts.get('conv', 0) + 1}"
            c, o = layer.inputs, layer.outputs
            if layer.kind == "full":
                w = layer.w.reshape(3, 3, c, o).transpose(3, 2, 0, 1)
            elif layer.kind == "depth":
                w = layer.w.reshape(3, 3, 1, c).transpose(3, 2, 0, 1)
            else:
                w = layer.w.T[:, :, None, None]
            size, border = w.shape[2], w.shape[2] // 2
            return emit("Conv", [x, constant(name + ".weight", w)], "conv", kernel_shape=[size] * 2,
                        pads=[border] * 4, strides=[1, 1], dilations=[1, 1], group=c if layer.kind == "depth" else 1)
        if isinstance(layer, BatchNorm):
            name = f"bn{counts.get('bn', 0) + 1}"
            values = [("gain", layer.gain), ("bias", layer.bias), ("mean", layer.mean), ("var", layer.var)]
            return emit("BatchNormalization", [x] + [constant(f"{name}.{k}", v) for k, v in values], "bn",
                        epsilon=EPSILON)
        if isinstance(layer, Relu):
            return emit("Relu", [x], "relu")
        if isinstance(layer, MaxPool):
            return emit("MaxPool", [x], "pool", kernel_shape=[2, 2], strides=[2, 2])
        if isinstance(layer, Residual):
            y = x
            for inner in layer.layers:
                y = add(inner, y)
            return emit("Add", [x, y], "add")
        mean = emit("Flatten", [emit("GlobalAveragePool", [x], "mean")], "flat", axis=1)
        weights_of_head = [constant("head.weight", layer.w.T), constant("head.bias", layer.b)]
        nodes.append(helper.make_node("Gemm", [mean, *weights_of_head], ["scores"], name="head", transB=1))
        return "scores"

    x = "picture"
    for layer in layers:
        x = add(layer, x)
    graph = helper.make_graph(
        nodes, "glyphs", [helper.make_tensor_value_info("picture", TensorProto.FLOAT, ["N", 1, 28, 28])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["N", len(glyphs.CLASSES)])], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8,
                              producer_name="nibble examples/glyphs/train.py", doc_string=note)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)


def main():
    epochs = int(sys.argv[1]) if len(sys.argv) > 1 else 14
    layers = train(epochs)
    glyphs.write_zip(HERE / "calib.zip", seed=11, count=408)
    pictures, labels = glyphs.write_zip(HERE / "test.zip", seed=12, count=2040)
    right = int(round(accuracy(layers, pictures, labels) * len(labels)))
    note = f"digits and capital letters, {right} of {len(labels)} test pictures right"
    print(note, flush=True)
    export(layers, HERE / "glyphs.onnx", note)
    description = {
        "preprocessing": {"order": "grey", "scale": "1/255", "mean": [0.5], "std": [0.25], "layout": "nchw"},
        "classes": glyphs.CLASSES,
    }
    (HERE / "glyphs.data.json").write_text(json.dumps(description, indent=2) + "\n")


if __name__ == "__main__":
    main()
