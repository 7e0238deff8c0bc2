"""Tiny models of every architecture that nibble knows: the configuration of a Hugging Face folder, and random weights that
are the same wherever numpy is. Dimensions are multiples of 256, so that every block format applies."""
import json
import pathlib

import numpy as np

VOCABULARY = 512
TOKENS = 96  # longer than the original context of the models with rotary scaling

_LLAMA = {
    "hidden_size": 256, "intermediate_size": 512, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
    "vocab_size": VOCABULARY, "max_position_embeddings": 512, "rms_norm_eps": 1e-5, "hidden_act": "silu", "bos_token_id": 1,
    "eos_token_id": 2, "tie_word_embeddings": False, "torch_dtype": "float32",
}

# Name: configuration. The comment names the models that it stands for.
MODELS = {
    # Llama 2
    "llama2": _LLAMA | {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "num_key_value_heads": 4, "rope_theta": 10000.0},
    # Llama 2 with its context stretched
    "llama2_linear": _LLAMA | {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "rope_theta": 10000.0,
                               "rope_scaling": {"type": "linear", "factor": 4.0}},
    # Llama 3.1
    "llama3": _LLAMA | {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "rope_theta": 500000.0,
                        "rope_scaling": {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                                         "original_max_position_embeddings": 64}},
    # SmolLM2: tied embeddings, three heads a key head
    "smollm2": _LLAMA | {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "num_attention_heads": 8,
                         "num_key_value_heads": 2, "tie_word_embeddings": True, "rope_theta": 100000.0},
    # Mistral, whose window is shorter than the text
    "mistral": _LLAMA | {"architectures": ["MistralForCausalLM"], "model_type": "mistral", "sliding_window": 40, "rope_theta": 10000.0},
    # Mistral without a window
    "mistral_v3": _LLAMA | {"architectures": ["MistralForCausalLM"], "model_type": "mistral", "sliding_window": None,
                            "rope_theta": 1000000.0, "head_dim": 128},
    # Qwen2 and Qwen2.5
    "qwen2": _LLAMA | {"architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "rope_theta": 1000000.0,
                       "tie_word_embeddings": True, "use_sliding_window": False, "rms_norm_eps": 1e-6},
    "qwen2_yarn": _LLAMA | {"architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "rope_theta": 1000000.0,
                            "use_sliding_window": False, "rms_norm_eps": 1e-6,
                            "rope_scaling": {"rope_type": "yarn", "type": "yarn", "factor": 4.0,
                                             "original_max_position_embeddings": 128}},
    # Qwen3: norms by head, heads wider than the model divided by their number
    "qwen3": _LLAMA | {"architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3", "rope_theta": 1000000.0, "head_dim": 128,
                       "use_sliding_window": False, "rms_norm_eps": 1e-6, "attention_bias": False},
    # GPT-2
    "gpt2": {"architectures": ["GPT2LMHeadModel"], "model_type": "gpt2", "n_embd": 256, "n_layer": 2, "n_head": 4,
             "vocab_size": VOCABULARY, "n_positions": 128, "n_ctx": 128, "layer_norm_epsilon": 1e-5,
             "activation_function": "gelu_new", "bos_token_id": 1, "eos_token_id": 2, "torch_dtype": "float32"},
}


def shapes(config):
    """The tensors of a folder with that configuration: name to shape."""
    if config["model_type"] == "gpt2":
        d, names = config["n_embd"], {"wte.weight": (VOCABULARY, config["n_embd"]), "wpe.weight": (config["n_positions"], config["n_embd"])}
        for i in range(config["n_layer"]):
            h = f"h.{i}."
            names |= {h + "ln_1.weight": (d,), h + "ln_1.bias": (d,), h + "attn.c_attn.weight": (d, 3 * d), h + "attn.c_attn.bias": (3 * d,),
                      h + "attn.c_proj.weight": (d, d), h + "attn.c_proj.bias": (d,), h + "ln_2.weight": (d,), h + "ln_2.bias": (d,),
                      h + "mlp.c_fc.weight": (d, 4 * d), h + "mlp.c_fc.bias": (4 * d,), h + "mlp.c_proj.weight": (4 * d, d),
                      h + "mlp.c_proj.bias": (d,)}
        return {"transformer." + n: s for n, s in (names | {"ln_f.weight": (d,), "ln_f.bias": (d,)}).items()}
    d, f = config["hidden_size"], config["intermediate_size"]
    size = config.get("head_dim", d // config["num_attention_heads"])
    q, kv = size * config["num_attention_heads"], size * config["num_key_value_heads"]
    names = {"model.embed_tokens.weight": (VOCABULARY, d)}
    for i in range(config["num_hidden_layers"]):
        h = f"model.layers.{i}."
        names |= {h + "input_layernorm.weight": (d,), h + "self_attn.q_proj.weight": (q, d), h + "self_attn.k_proj.weight": (kv, d),
                  h + "self_attn.v_proj.weight": (kv, d), h + "self_attn.o_proj.weight": (d, q),
                  h + "post_attention_layernorm.weight": (d,), h + "mlp.gate_proj.weight": (f, d), h + "mlp.up_proj.weight": (f, d),
                  h + "mlp.down_proj.weight": (d, f)}
        if config["model_type"] == "qwen2":
            names |= {h + f"self_attn.{p}_proj.bias": (q if p == "q" else kv,) for p in "qkv"}
        if config["model_type"] == "qwen3":
            names |= {h + "self_attn.q_norm.weight": (size,), h + "self_attn.k_norm.weight": (size,)}
    names["model.norm.weight"] = (d,)
    if not config["tie_word_embeddings"]:
        names["lm_head.weight"] = (VOCABULARY, d)
    return names


def weights(name):
    """Name to float32 array. Uniform integers scaled by powers of two: no library's normal numbers are involved."""
    tensors = {}
    for index, (tensor, shape) in enumerate(shapes(MODELS[name]).items()):
        random = np.random.Generator(np.random.PCG64(1000 * (list(MODELS).index(name) + 1) + index))
        codes = random.integers(-4096, 4097, size=shape)
        scale = 2.0 ** -15 if len(shape) == 2 else 2.0 ** -14
        values = codes.astype(np.float32) * np.float32(scale)
        if "norm" in tensor and tensor.endswith("weight") or "ln_" in tensor and tensor.endswith("weight"):
            values += np.float32(1)
        if tensor.endswith(("wte.weight", "embed_tokens.weight", "lm_head.weight")):
            values *= np.float32(8)
        tensors[tensor] = values
    return tensors


def tokens(name):
    random = np.random.Generator(np.random.PCG64(77 + list(MODELS).index(name)))
    return [1] + random.integers(3, VOCABULARY, size=TOKENS - 1).tolist()


def kept_rows(tokens):
    """Every eighth token, and the last one: 512 logits of each are a file of 28 kB."""
    return sorted(set(range(0, len(tokens), 8)) | {len(tokens) - 1})


def _safetensors(tensors):
    header, data, at = {}, [], 0
    for name, values in tensors.items():
        raw = np.ascontiguousarray(values, dtype="<f4").tobytes()
        header[name] = {"dtype": "F32", "shape": list(values.shape), "data_offsets": [at, at + len(raw)]}
        data.append(raw)
        at += len(raw)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + b"".join(data)


def _tokenizer(config):
    """Byte-level BPE: 256 bytes, merges of two letters, and two tokens that begin and end a text."""
    printable = [b for b in range(256) if 33 <= b <= 126 or 161 <= b <= 172 or 174 <= b <= 255]
    letters = {b: chr(b) for b in printable}
    for b in range(256):
        if b not in letters:
            letters[b] = chr(256 + sum(1 for c in range(b) if c not in printable))
    vocabulary = {"<unk>": 0, "<s>": 1, "</s>": 2}
    for b in range(256):
        vocabulary[letters[b]] = len(vocabulary)
    merges = []
    for a in "etaoinshrdlu":
        for b in "etaoinshrdlucmfwypvbgk":
            if len(vocabulary) < VOCABULARY:
                merges.append([a, b])
                vocabulary[a + b] = len(vocabulary)
    assert len(vocabulary) <= VOCABULARY
    return {
        "version": "1.0", "truncation": None, "padding": None,
        "added_tokens": [{"id": i, "content": t, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
                          "special": True} for i, t in enumerate(["<unk>", "<s>", "</s>"])],
        "normalizer": None,
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
        "post_processor": None, "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None, "end_of_word_suffix": None,
                  "fuse_unk": False, "byte_fallback": False, "ignore_merges": False, "vocab": vocabulary, "merges": merges},
    }


def write_folder(name, path):
    path = pathlib.Path(path)
    path.mkdir(parents=True, exist_ok=True)
    (path / "config.json").write_text(json.dumps(MODELS[name], indent=1))
    (path / "tokenizer.json").write_text(json.dumps(_tokenizer(MODELS[name])))
    (path / "tokenizer_config.json").write_text(json.dumps(
        {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "add_bos_token": False, "tokenizer_class": "PreTrainedTokenizerFast"}))
    (path / "model.safetensors").write_bytes(_safetensors(weights(name)))
