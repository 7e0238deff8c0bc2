"""The trained networks beside the checkout, the data that goes with each, and how it becomes input: read by the tests and by
bench/. Inputs made here with Pillow and numpy are independent of nibble's own preprocessing."""
import dataclasses
import gzip
import io
import pathlib
import zipfile

import numpy as np

IMAGENET_MEAN, IMAGENET_STD = (.485, .456, .406), (.229, .224, .225)


@dataclasses.dataclass
class Network:
    name: str
    data: str            # evaluation data, relative to the data folder
    calibration: str
    preprocess: str      # for --preprocess; empty for arrays
    scores: dict         # data -> (right, of), measured with onnxruntime
    labels: str = ""
    kind: str = "image"


CIFAR = "order=rgb,scale=1/255,mean=0.485:0.456:0.406,std=0.229:0.224:0.225,layout=nchw"
RESNET8 = "order=rgb,layout=nhwc"
NETWORKS = [
    Network("squeezenet1.1", "imagenet/imagenet_800.zip", "imagenet/imagenet_800.zip", "crop=224,order=bgr,mean=104:117:123,layout=nchw",
            {"imagenet/imagenet_800.zip": (470, 800)}),
    Network("tinydarknet", "imagenet/imagenet_800.zip", "imagenet/imagenet_800.zip", "crop=224,order=rgb,scale=1/255,layout=nchw",
            {"imagenet/imagenet_800.zip": (521, 800)}),
    Network("cifar_resnet20", "cifar10/test_lossless_700.bin", "cifar10/train_lossless_2000.bin", CIFAR,
            {"cifar10/test_lossless_700.bin": (644, 700), "cifar10/test_jpeg_9700.zip": (7865, 9700), "cifar10/train_lossless_2000.bin": (1997, 2000)}),
    Network("cifar_resnet56", "cifar10/test_lossless_700.bin", "cifar10/train_lossless_2000.bin", CIFAR,
            {"cifar10/test_lossless_700.bin": (644, 700), "cifar10/train_lossless_2000.bin": (2000, 2000)}),
    Network("cifar_resnet20_jpeg", "cifar10/test_jpeg_9700.zip", "cifar10/train_jpeg_30000.zip", CIFAR,
            {"cifar10/test_jpeg_9700.zip": (8508, 9700), "cifar10/test_lossless_700.bin": (626, 700)}),
    Network("mlperf_tiny_resnet8_cifar10", "cifar10/test_lossless_700.bin", "cifar10/train_lossless_2000.bin", RESNET8,
            {"cifar10/test_lossless_700.bin": (616, 700), "cifar10/train_lossless_2000.bin": (1854, 2000)}),
    Network("mlperf_tiny_resnet8_cifar10_jpeg", "cifar10/test_jpeg_9700.zip", "cifar10/train_jpeg_30000.zip", RESNET8,
            {"cifar10/test_jpeg_9700.zip": (8059, 9700)}),
    Network("mlperf_tiny_dscnn_kws", "kws/kws_mfcc_1000.npy", "kws/kws_mfcc_1000.npy", "", {"kws/kws_mfcc_1000.npy": (913, 1000)},
            labels="kws/kws_labels_1000.npy", kind="array"),
    Network("mlperf_tiny_vww_mobilenetv1_025", "imagenet/imagenet_800.zip", "imagenet/imagenet_800.zip", "resize=96x96,order=rgb,scale=1/255,layout=nhwc", {},
            labels="none"),
    Network("mnist-8", "mnist/t10k-images-idx3-ubyte.gz", "mnist/t10k-images-idx3-ubyte.gz", "order=grey,layout=nchw",
            {"mnist/t10k-images-idx3-ubyte.gz": (9891, 10000)}, labels="mnist/t10k-labels-idx1-ubyte.gz", kind="mnist"),
]


def by_name(name):
    return next(n for n in NETWORKS if n.name == name)


def pixels(path, limit):
    """Images as uint8 [n][h, w, 3] (or [h, w] for MNIST)."""
    if path.suffix == ".zip":
        from PIL import Image
        with zipfile.ZipFile(path) as archive:
            for name in sorted(n for n in archive.namelist() if n.lower().endswith((".jpg", ".png")))[:limit]:
                yield Image.open(io.BytesIO(archive.read(name))).convert("RGB")
    elif path.suffix == ".bin":
        from PIL import Image
        raw = np.frombuffer(path.read_bytes(), np.uint8).reshape(-1, 3073)
        for row in raw[:limit]:
            yield Image.fromarray(row[1:].reshape(3, 32, 32).transpose(1, 2, 0))
    else:
        from PIL import Image
        raw = np.frombuffer(gzip.open(path).read(), np.uint8)[16:].reshape(-1, 28, 28)
        for row in raw[:limit]:
            yield Image.fromarray(row)


def inputs(network, folder: pathlib.Path, limit):
    """The network's input for the first `limit` samples of its data, float32 [n, ...]."""
    path = folder / network.data
    if network.kind == "array":
        return np.load(path)[:limit].astype(np.float32)
    from PIL import Image
    batch = []
    for image in pixels(path, limit):
        if network.name.startswith("mlperf_tiny_vww"):
            image = image.resize((96, 96), Image.Resampling.BILINEAR)
        if "imagenet" in network.data and "crop" in network.preprocess:
            image = image.crop((16, 16, 240, 240))
        x = np.asarray(image, np.float64)
        if network.name == "squeezenet1.1":
            x = x[:, :, ::-1] - np.array([104, 117, 123])
        elif network.name in ("tinydarknet", "mlperf_tiny_vww_mobilenetv1_025"):
            x = x / 255
        elif "resnet20" in network.name or "resnet56" in network.name:
            x = (x / 255 - np.array(IMAGENET_MEAN)) / np.array(IMAGENET_STD)
        if network.kind == "mnist":
            x = x[None]
        elif "layout=nchw" in network.preprocess:
            x = x.transpose(2, 0, 1)
        batch.append(x.astype(np.float32))
    return np.stack(batch)


def flags(network, folder, data=None):
    """Command-line flags that say what the data is."""
    out = ["--preprocess", network.preprocess] if network.preprocess else []
    if network.labels and (data is None or data == network.data):
        out += ["--labels", network.labels if network.labels == "none" else str(folder / network.labels)]
    return out
