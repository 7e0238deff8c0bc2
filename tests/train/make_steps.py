#!/usr/bin/env python3
"""Makes tests/train/steps.json: 20 steps of quantization-aware training in PyPI's torch, which tests/train/steps_test.cpp repeats.

    PYTHON tests/train/make_steps.py          (with numpy and torch; made with torch 2.15)

The quantizers are written here from their papers, with torch's autograd and straight-through rounding, not from nibble's closed-form
gradients: LSQ (Esser et al. 2020), LSQ+ (Bhalgat et al. 2020), PACT (Choi et al. 2018). What nibble adds to them is what
src/train/trained_weight.h and student.h say: masters in units of their row's root mean square, logarithms of scales, scales of weights
stored as float16, biases in units of their output's spread.

Everything runs in float64. A second run in float32 says how far rounding errors of a float32 implementation carry: the largest
differences are stored and are the test's tolerance. Rounding to levels turns any error into a whole step where a value lies on the border
of two of them, so the seed of each run is the one of SEEDS whose values stay farthest from all borders.
"""
import json
import math
import pathlib

import numpy as np
import torch
import torch.nn.functional as F

STEPS, SAMPLES, SLICE, CHANNELS, CLASSES, SIZE = 20, 8, 4, 6, 5, 6
SEEDS = range(60)
COMMON = dict(optimizer="adam", learning_rate=0.02, warm_up=0.1, scale_rate=1, weight_decay=0, momentum=0, distillation=0.7, temperature=2,
              label_smoothing=0.1, damping=0, kurtosis=0)
RUNS = {
    "lsq, adam": COMMON | dict(quantizer="lsq"),
    "pact, adam with weight decay": COMMON | dict(quantizer="pact", weight_decay=0.05),
    "lsq+, adam": COMMON | dict(quantizer="lsq+", learning_rate=0.015, scale_rate=8),
    "lsq, sgd with momentum, dampening and kurtosis": COMMON
    | dict(quantizer="lsq", optimizer="sgd", learning_rate=0.3, momentum=0.9, damping=0.5, kurtosis=0.02),
}
WEIGHTS = {"w1": (CHANNELS, 3, 3, 3), "w2": (CHANNELS, 1, 3, 3), "w3": (CHANNELS, CHANNELS, 1, 1), "w4": (CLASSES, CHANNELS)}
BIASES = ["b1", "b2", "b3", "b4"]
PLACES = ["x", "r1", "r2", "flat"]  # inputs of products: where activations are quantized
LOWEST, HIGHEST, MOST = -8, 7, 15   # codes of weights, and the last one of activations


def straight(x, y):
    """y on the way forward, the gradient of x on the way back."""
    return x + (y - x).detach()


def scaled_gradient(x, factor):
    return straight(x * factor, x)


class Borders:
    """How near values come to where rounding changes its mind, in units of what a float32 computation may be wrong by."""

    def __init__(self):
        self.codes, self.nearest = [], math.inf

    def round(self, v):
        y = torch.round(v)
        with torch.no_grad():
            self.nearest = min(self.nearest, float((0.5 - (v - y).abs()).min()) / 1e-5)
            self.codes.append(y.detach().to(torch.int64).numpy().copy())
        return straight(v, y)

    def half(self, first, log_scale):
        """first * exp(log_scale) as the nearest float16 s; the gradient with respect to log_scale is s, as nibble's formula has it."""
        with torch.no_grad():
            exact = (first * torch.exp(log_scale)).double().numpy()
            y = exact.astype(np.float16)
            other = np.where(y.astype(np.float64) > exact, np.nextafter(y, np.float16(0)), np.nextafter(y, np.float16(np.inf))).astype(np.float64)
            middle = (y.astype(np.float64) + other) / 2
            self.nearest = min(self.nearest, float((np.abs(middle - exact) / exact).min()) / 1e-6)
            self.codes.append(y.copy())
        return torch.from_numpy(y.astype(np.float64)).to(first.dtype) * torch.exp(log_scale - log_scale.detach())


def fake_quantize(x, s, low, high, rule, borders):
    if rule == "pact":  # values inside do not move the range
        v = x / s.detach()
        inside = (v >= low) & (v <= high)
        return torch.where(inside, s.detach() * borders.round(torch.clamp(v, low, high)), s * torch.clamp(v, low, high).detach())
    # Values on an end count as inside, as in LSQ; it matters where Relu made them 0 and the zero point is 0. (torch.clamp shares their
    # gradient with the end.)
    low, high = (torch.as_tensor(k, dtype=x.dtype) for k in (low, high))
    v = x / s
    return s * borders.round(torch.where(v < low, low, torch.where(v > high, high, v)))


def forward(x, w, b, quantize=lambda name, value: value):
    y = F.relu(F.conv2d(quantize("x", x), w["w1"], b["b1"], padding=1))
    r1 = y
    y = F.relu(F.conv2d(quantize("r1", y), w["w2"], b["b2"], padding=1, stride=2, groups=CHANNELS))
    r2 = y
    y = F.conv2d(quantize("r2", y), w["w3"], b["b3"])
    flat = y.mean((2, 3))
    return F.linear(quantize("flat", flat), w["w4"], b["b4"]), {"x": x, "r1": r1, "r2": r2, "flat": flat}


def start(seed):
    """The numbers that a run starts from, all float32."""
    r = np.random.default_rng(seed)
    f = lambda a: np.asarray(a, np.float32)  # noqa: E731
    n = {"inputs": f(np.clip(np.round(r.normal(size=(SAMPLES, 3, SIZE, SIZE)) * 64 + 16), -200, 200) / 64), "labels": r.integers(0, CLASSES, SAMPLES).tolist(),
         "weights": {k: f(r.normal(size=s) * 1.5 / math.sqrt(np.prod(s[1:]))) for k, s in WEIGHTS.items()},
         "biases": {k: f(r.normal(size=CLASSES if k == "b4" else CHANNELS) * 0.3) for k in BIASES}}
    t = lambda a: torch.from_numpy(a.astype(np.float64))  # noqa: E731
    w, b = ({k: t(v) for k, v in n[kind].items()} for kind in ("weights", "biases"))
    logits, values = forward(t(n["inputs"]), w, b)
    n["teacher"] = f(logits * 1.5)
    n["weight_scales"] = {k: f(f(2 * np.abs(v.reshape(v.shape[0], -1)).mean(1) / math.sqrt(HIGHEST)).astype(np.float16)) for k, v in n["weights"].items()}
    n["activations"] = {}
    for k in PLACES:
        low, high = min(0.0, 0.8 * float(values[k].min())), 0.8 * float(values[k].max())
        scale = np.float32((high - low) / MOST)
        n["activations"][k] = {"scale": scale, "zero": round(-low / float(scale)), "elements": values[k][0].numel()}
    spread = [F.conv2d(values["x"], w["w1"], b["b1"], padding=1), F.conv2d(values["r1"], w["w2"], b["b2"], padding=1, stride=2, groups=CHANNELS),
              F.conv2d(values["r2"], w["w3"], b["b3"]), logits]
    n["bias_units"] = {k: f(float(y.std(unbiased=False))) for k, y in zip(BIASES, spread)}
    return n


def rate_share(step, warm_up):
    """Rises evenly, then falls as half a cosine; taken in the middle of the step."""
    at = (step + 0.5) / STEPS
    return at / warm_up if at < warm_up else 0.5 * (1 + math.cos(math.pi * (at - warm_up) / (1 - warm_up)))


def train(n, o, dtype):
    t = lambda a: torch.from_numpy(np.asarray(a, np.float64)).to(dtype)  # noqa: E731
    by_row = lambda w, v: v.reshape(-1, *[1] * (w.dim() - 1))  # noqa: E731
    weights = {k: t(v) for k, v in n["weights"].items()}
    unit = {k: by_row(w, w.reshape(w.shape[0], -1).square().mean(1).sqrt()) for k, w in weights.items()}
    masters = {k: (w / unit[k]).requires_grad_() for k, w in weights.items()}
    first = {k: t(v) for k, v in n["weight_scales"].items()}
    scales = {k: torch.zeros_like(v, requires_grad=True) for k, v in first.items()}
    biases = {k: (t(v) / t(n["bias_units"][k])).requires_grad_() for k, v in n["biases"].items()}
    act_scales = {k: torch.zeros((), dtype=dtype, requires_grad=True) for k in PLACES}
    act_zeros = {k: torch.zeros((), dtype=dtype, requires_grad=True) for k in PLACES}
    wide = dict(weight_decay=0.0)
    groups = [dict(params=list(masters.values()), weight_decay=o["weight_decay"]), dict(params=list(biases.values()), **wide),
              dict(params=list(scales.values()), **wide), dict(params=[*act_scales.values(), *act_zeros.values()], **wide)]
    factors = [1, 1, o["scale_rate"], o["scale_rate"]]
    optimizer = (torch.optim.AdamW(groups, lr=1, eps=1e-12) if o["optimizer"] == "adam"
                 else torch.optim.SGD(groups, lr=1, momentum=o["momentum"], nesterov=True))
    x, teacher, labels = t(n["inputs"]), t(n["teacher"]), torch.tensor(n["labels"])
    borders, losses = Borders(), []

    def grid(k):
        """Scale and zero point of an activation, and their gradients' size: 1 / sqrt(elements * highest level)."""
        a = n["activations"][k]
        damp = 1 / math.sqrt(a["elements"] * MOST)
        s = t(a["scale"]) * torch.exp(scaled_gradient(act_scales[k], damp))
        z = torch.tensor(float(a["zero"]), dtype=dtype)
        if o["quantizer"] == "lsq+":
            z = z + borders.round(scaled_gradient(act_zeros[k], damp))
            z = straight(z, torch.clamp(z, 0, MOST))
        return s, z

    def quantize(k, value):
        s, z = grid(k)
        if o["quantizer"] == "lsq+":
            return fake_quantize(value, s, -z, MOST - z, "lsq+", borders)
        return fake_quantize(value, s, -float(z), MOST - float(z), o["quantizer"], borders)

    def weight(k):
        w = masters[k] * unit[k]
        damp = 1 / math.sqrt(w[0].numel() * HIGHEST)
        s = by_row(w, borders.half(first[k], scaled_gradient(scales[k], damp)))
        return w, s, fake_quantize(w, s, LOWEST, HIGHEST, o["quantizer"], borders)

    def rising(step):  # of dampening: half a cosine over the last three quarters
        at = (step / STEPS - 0.25) / 0.75
        return 0.5 * (1 - math.cos(math.pi * at)) if at > 0 else 0.0

    for step in range(STEPS):
        w, b = {k: weight(k) for k in WEIGHTS}, {k: v * t(n["bias_units"][k]) for k, v in biases.items()}
        logits, _ = forward(x, {k: v[2] for k, v in w.items()}, b, quantize)
        temperature = o["temperature"]
        loss = (1 - o["distillation"]) * F.cross_entropy(logits, labels, label_smoothing=o["label_smoothing"])
        loss = loss + o["distillation"] * temperature**2 * F.kl_div(F.log_softmax(logits / temperature, 1), F.softmax(teacher / temperature, 1), reduction="batchmean")
        losses.append(loss.item())
        total = loss
        for k in WEIGHTS:
            real, s, value = w[k]
            v = real / s.detach()
            off = torch.where((v >= LOWEST) & (v <= HIGHEST), v - (value / s).detach(), torch.zeros_like(v))
            total = total + o["damping"] * rising(step) * off.square().mean()
            u = masters[k]
            d = u - u.mean()
            total = total + o["kurtosis"] * (d.pow(4).mean() / d.square().mean().square() - 1.8) ** 2
        for group, factor in zip(optimizer.param_groups, factors):
            group["lr"] = o["learning_rate"] * rate_share(step, o["warm_up"]) * factor
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
    with torch.no_grad():
        final = {k: weight(k) for k in WEIGHTS}
        grids = {k: grid(k) for k in PLACES}
    numbers = {"losses": losses, "weight_scales": [float(v) for k in WEIGHTS for v in final[k][1].flatten()],
               "activation_scales": [float(grids[k][0]) for k in PLACES], "biases": [float(v) for k in BIASES for v in (biases[k] * t(n["bias_units"][k])).detach()]}
    return numbers | {"zeros": [int(grids[k][1]) for k in PLACES],
                      "codes": {k: torch.round(v[2] / v[1]).to(torch.int64).flatten().tolist() for k, v in final.items()}}, borders


def run(name, options):
    """The run of the seed that stays farthest from all borders and whose float32 twin has the same codes all the way."""
    best = None
    for seed in SEEDS:
        n = start(seed)
        exact, borders = train(n, options, torch.float64)
        if best and borders.nearest <= best[0]:
            continue
        if options["quantizer"] == "lsq+" and exact["zeros"] == [a["zero"] for a in n["activations"].values()]:
            continue  # zero points are to move
        single, others = train(n, options, torch.float32)
        if all(np.array_equal(a, b) for a, b in zip(borders.codes, others.codes)):
            best = borders.nearest, seed, n, exact, single, borders
    nearest, seed, n, exact, single, borders = best
    first, _ = train(n, options | dict(learning_rate=0), torch.float64)
    changed = sum(a != b for k in WEIGHTS for a, b in zip(first["codes"][k], exact["codes"][k]))
    print(f"{name}: seed {seed}, nearest border {nearest:.2f}, loss {exact['losses'][0]:.5f} -> {exact['losses'][-1]:.5f}, {changed} codes changed, zeros {first['zeros']} -> {exact['zeros']}")
    numbers = ["losses", "weight_scales", "activation_scales", "biases"]
    return {"name": name, "options": options, "seed": seed, "slice": SLICE, "steps": STEPS, "inputs": (n["inputs"] * 64).astype(int).flatten().tolist(), "labels": n["labels"],
            "teacher": n["teacher"].flatten().tolist(), "weights": {k: v.flatten().tolist() for k, v in n["weights"].items()},
            "biases": {k: v.tolist() for k, v in n["biases"].items()}, "bias_units": {k: float(v) for k, v in n["bias_units"].items()},
            "weight_scales": {k: v.tolist() for k, v in n["weight_scales"].items()},
            "activations": {k: {"scale": float(a["scale"]), "zero": a["zero"]} for k, a in n["activations"].items()},
            "expected": exact, "codes_changed": changed,
            "float32_differs": {k: float(np.abs(np.array(exact[k]) - np.array(single[k])).max()) for k in numbers}}


def shortened(value):
    """float32 numbers in the fewest digits that read back the same; float64 ones in 12."""
    if isinstance(value, dict):
        return {k: shortened(v) for k, v in value.items()}
    if isinstance(value, list):
        return [shortened(v) for v in value]
    if isinstance(value, float):
        return float(str(np.float32(value))) if value == float(np.float32(value)) else float(f"{value:.12g}")
    return value


def main():
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    runs = [shortened(run(name, options)) for name, options in RUNS.items()]
    out = pathlib.Path(__file__).with_name("steps.json")
    text = json.dumps({"made_with": f"torch {torch.__version__.split('+')[0]}", "runs": runs})
    out.write_text(text + "\n")
    print(f"{len(text)} bytes")


if __name__ == "__main__":
    main()
