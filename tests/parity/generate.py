#!/usr/bin/env python3
"""Record what the reference libraries compute for tiny random models.

    python generate.py [NAME ...]      # architectures, "variants", "configs"; default: everything

For each architecture: a tiny model is filled with numbers that depend only on a seed and on the tensor's
name, saved as the library saves it, read back, and run. See README.md for the files and their keys.
A seed is rejected while a greedy choice is closer than MARGIN or the reference itself is numerically
unstable; the first good one is kept, so the output is the same on every run.
"""

import contextlib
import copy
import dataclasses
import itertools
import json
import os
import re
import shutil
import sys
import warnings
import zlib
from pathlib import Path

os.environ.update(CUDA_VISIBLE_DEVICES="", HF_HUB_OFFLINE="1", TRANSFORMERS_VERBOSITY="error", HF_HUB_DISABLE_PROGRESS_BARS="1")
warnings.filterwarnings("ignore")

import torch  # noqa: E402
import transformers  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402
from torch import nn  # noqa: E402
from transformers import GenerationConfig, GenerationMixin  # noqa: E402

HERE = Path(__file__).parent
CONFIGS = HERE.parent / "fixtures" / "configs"
NEW_TOKENS = 8
MARGIN = 2e-3  # smallest allowed gap between the best and the second best logit of a greedy step
UNSTABLE = 1e-4  # largest allowed |float32 - float64| of a recorded output
VOCAB = 120
torch.set_num_threads(2)
transformers.utils.logging.disable_progress_bar()


# ---------------------------------------------------------------- inputs
def rng(seed):
    return torch.Generator().manual_seed(seed)


def noise(*shape, seed):
    return torch.randn(*shape, generator=rng(seed))


def token_ids(batch, length, seed):
    return torch.randint(4, VOCAB, (batch, length), generator=rng(seed))


def padded(batch, length, seed, row, pad):
    """Token ids and mask; in `row`, the positions of slice `pad` are padding."""
    ids, mask = token_ids(batch, length, seed), torch.ones(batch, length, dtype=torch.long)
    ids[row, pad], mask[row, pad] = 0, 0
    return {"input_ids": ids, "attention_mask": mask}


@dataclasses.dataclass
class Case:
    name: str
    inputs: dict
    kwargs: dict = dataclasses.field(default_factory=dict)
    generate: bool = True
    note: str | None = None


def text_cases(types=False):
    """A decoder or an encoder over token ids: no mask, left padding, right padding."""
    right = padded(2, 11, 3, row=1, pad=slice(8, 11))
    if types:
        right["token_type_ids"] = (torch.arange(11) > 5).long().repeat(2, 1)
    left_note = "forward() counts positions from the first column, padding included; cached generation counts real tokens only"
    return [
        Case("plain", {"input_ids": token_ids(2, 11, 1)}),
        Case("leftpad", padded(2, 11, 2, row=0, pad=slice(0, 4)), note=left_note),
        Case("rightpad", right, generate=False),
    ]


def seq2seq_cases():
    return [
        Case("plain", {"input_ids": token_ids(2, 9, 1), "decoder_input_ids": token_ids(2, 5, 4)}),
        Case("leftpad", {**padded(2, 9, 2, row=0, pad=slice(0, 4)), "decoder_input_ids": token_ids(2, 5, 5)}),
        Case("rightpad", {**padded(2, 9, 3, row=1, pad=slice(6, 9)), "decoder_input_ids": token_ids(2, 5, 6)}),
    ]


def image_cases(height=32, width=32, interpolate=True):
    cases = [Case("plain", {"pixel_values": noise(2, 3, height, width, seed=1)})]
    if interpolate:
        cases.append(Case("interp", {"pixel_values": noise(1, 3, 48, 40, seed=2)}, {"interpolate_pos_encoding": True},
                          note="a larger image that is not square"))
    return cases


def clip_cases():
    plain, short = token_ids(2, 8, 1).clamp(max=99), token_ids(2, 8, 2).clamp(max=99)
    plain[:, 7], short[0, 7], short[1, 5:] = 100, 100, 100  # 100 ends a text; short texts are padded with it
    plain[0, 2] = 110  # larger than the end token: the pooled position is not the largest id
    mask = torch.ones(2, 8, dtype=torch.long)
    mask[1, 6:] = 0
    return [
        Case("plain", {"input_ids": plain, "pixel_values": noise(2, 3, 32, 32, seed=1)}),
        Case("rightpad", {"input_ids": short, "attention_mask": mask, "pixel_values": noise(2, 3, 32, 32, seed=2)}),
    ]


def whisper_cases():
    return [Case("plain", {"input_features": noise(2, 16, 24, seed=1), "decoder_input_ids": token_ids(2, 5, 4)})]


def waveform_cases():
    mask = torch.ones(2, 400, dtype=torch.long)
    mask[1, 280:] = 0
    return [
        Case("plain", {"input_values": noise(2, 400, seed=1)}),
        Case("rightpad", {"input_values": noise(2, 400, seed=2) * mask, "attention_mask": mask}),
    ]


# ---------------------------------------------------------------- architectures
@dataclasses.dataclass
class Arch:
    config: dict
    # stream -> the modules that give its entries: a list, or (first, each layer, last or None when that is a layer too);
    # "x:input" stands for what module x is given, where no module has the value as its output
    hidden: dict
    cases: object = text_cases
    legacy: object = None  # changes a config.json to what older repositories hold
    embedding: float = 0.25  # spread of the embeddings; small where tied ones would make each token predict itself
    paths: tuple = ()  # (pattern, replacement): module paths as the checkpoint's tensor names spell them


def changes(drop=(), rename=None, **add):
    def apply(config):
        for key in drop:
            config.pop(key, None)
        for old, new in (rename or {}).items():
            config[new] = config.pop(old)
        config.update(add)
    return apply


TEXT = dict(vocab_size=VOCAB, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
            num_key_value_heads=2, max_position_embeddings=64, bos_token_id=1, eos_token_id=2, pad_token_id=0)
ENCODER = dict(hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4)
DECODER = {"hidden_states": ("model.embed_tokens", "model.layers.{}", "model.norm")}
ROPE = {"rope_type": "default", "rope_theta": 10000.0}
YARN = {"rope_type": "yarn", "factor": 4.0, "beta_fast": 32.0, "beta_slow": 1.0, "original_max_position_embeddings": 8}

ARCHS = {
    "LlamaForCausalLM": Arch({**TEXT, "rms_norm_eps": 1e-5}, DECODER, legacy=changes(drop=["head_dim", "mlp_bias"])),
    "Qwen3ForCausalLM": Arch(
        {**TEXT, "head_dim": 16, "rope_parameters": {**ROPE, "rope_theta": 1000000.0}}, DECODER,
        legacy=changes(drop=["layer_types"])),
    "Gemma3ForCausalLM": Arch(
        {**TEXT, "num_hidden_layers": 3, "head_dim": 16, "query_pre_attn_scalar": 24, "sliding_window": 4,
         "layer_types": ["sliding_attention", "full_attention", "sliding_attention"]}, DECODER, embedding=0.08,
        legacy=changes(drop=["layer_types", "_sliding_window_pattern"], sliding_window_pattern=2)),
    "Phi3ForCausalLM": Arch({**TEXT, "original_max_position_embeddings": 64}, DECODER),
    "GPT2LMHeadModel": Arch(
        dict(vocab_size=VOCAB, n_embd=32, n_head=4, n_layer=2, n_positions=64, bos_token_id=1, eos_token_id=2, pad_token_id=0),
        {"hidden_states": ("transformer.h.0:input", "transformer.h.{}", "transformer.ln_f")}, legacy=changes(n_ctx=64), embedding=0.1),
    "Qwen3MoeForCausalLM": Arch(
        {**TEXT, "head_dim": 16, "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 24, "norm_topk_prob": True}, DECODER,
        legacy=changes(rename={"num_local_experts": "num_experts"})),
    "DeepseekV3ForCausalLM": Arch(
        {**TEXT, "num_hidden_layers": 3, "num_key_value_heads": 4, "n_routed_experts": 8, "num_experts_per_tok": 2, "n_group": 4,
         "topk_group": 2, "n_shared_experts": 1, "moe_intermediate_size": 12, "first_k_dense_replace": 1, "q_lora_rank": 24,
         "kv_lora_rank": 16, "qk_rope_head_dim": 8, "qk_nope_head_dim": 16, "v_head_dim": 12, "num_nextn_predict_layers": 0},
        DECODER,
        legacy=changes(drop=["head_dim", "qk_head_dim", "rope_interleave"], scoring_func="sigmoid", topk_method="noaux_tc",
                       moe_layer_freq=1, ep_size=1)),
    "GptOssForCausalLM": Arch(
        {**TEXT, "num_hidden_layers": 2, "head_dim": 16, "num_local_experts": 4, "num_experts_per_tok": 2, "sliding_window": 4,
         "swiglu_limit": 1.5, "rope_parameters": {**YARN, "rope_theta": 150000.0, "truncate": False}}, DECODER,
        legacy=changes(drop=["swiglu_alpha"], experts_per_token=2, initial_context_length=8)),
    "Mamba2ForCausalLM": Arch(
        dict(vocab_size=VOCAB, hidden_size=32, num_hidden_layers=2, num_heads=4, head_dim=16, n_groups=2, state_size=8, chunk_size=8,
             bos_token_id=1, eos_token_id=2, pad_token_id=0),
        # the reference leaves the embeddings out of this model's list
        {"hidden_states": ["backbone.layers.0", "backbone.layers.1", "backbone.norm_f"]}, legacy=changes(time_step_limit=[0.0, float("inf")])),
    "Qwen3NextForCausalLM": Arch(
        {**TEXT, "num_hidden_layers": 4, "head_dim": 16, "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 8,
         "shared_expert_intermediate_size": 16, "linear_num_key_heads": 2, "linear_num_value_heads": 4, "linear_key_head_dim": 8,
         "linear_value_head_dim": 8}, DECODER,
        legacy=changes(drop=["layer_types"], full_attention_interval=4)),
    "T5ForConditionalGeneration": Arch(
        dict(vocab_size=VOCAB, d_model=32, d_kv=8, d_ff=48, num_layers=2, num_decoder_layers=2, num_heads=4,
             relative_attention_num_buckets=8, relative_attention_max_distance=6, eos_token_id=2, pad_token_id=0, decoder_start_token_id=0),
        {"encoder_hidden_states": ("encoder.embed_tokens", "encoder.block.{}", "encoder.final_layer_norm"),
         "decoder_hidden_states": ("decoder.embed_tokens", "decoder.block.{}", "decoder.final_layer_norm")},
        seq2seq_cases, changes(drop=["is_gated_act", "dense_act_fn", "classifier_dropout"], n_positions=512), embedding=0.1),
    "BertModel": Arch(
        {**ENCODER, "vocab_size": VOCAB, "max_position_embeddings": 64},
        {"hidden_states": ("embeddings", "encoder.layer.{}", None)}, lambda: text_cases(types=True),
        changes(drop=["add_cross_attention", "is_decoder", "classifier_dropout", "bos_token_id", "eos_token_id"],
                gradient_checkpointing=False, position_embedding_type="absolute")),
    "ViTModel": Arch(
        {**ENCODER, "image_size": 32, "patch_size": 8}, {"hidden_states": ("embeddings", "layers.{}", None)}, image_cases,
        paths=((r"^layers\.", "encoder.layer."), (r"\.mlp$", ".output.dense"))),
    "ConvNextModel": Arch(
        dict(hidden_sizes=[8, 12, 16, 24], depths=[1, 1, 2, 1], image_size=64, patch_size=4),
        {"hidden_states": ("embeddings", "encoder.stages.{}", None)}, lambda: image_cases(48, 64, False)),
    "SwinModel": Arch(
        dict(image_size=32, patch_size=4, embed_dim=16, depths=[2, 2], num_heads=[2, 4], window_size=4),
        {"hidden_states": ("embeddings", "encoder.layers.{}", None)}, image_cases,
        paths=((r"\.mlp$", ".output.dense"),)),
    "CLIPModel": Arch(
        dict(projection_dim=24, text_config={**ENCODER, "vocab_size": VOCAB, "max_position_embeddings": 16, "projection_dim": 24,
                                             "bos_token_id": 1, "eos_token_id": 100, "pad_token_id": 0},
             vision_config={**ENCODER, "hidden_size": 40, "image_size": 32, "patch_size": 8, "projection_dim": 24}),
        {"text_model_output.hidden_states": ("text_model.embeddings", "text_model.encoder.layers.{}", None),
         "vision_model_output.hidden_states": ("vision_model.pre_layrnorm", "vision_model.encoder.layers.{}", None)}, clip_cases),
    "WhisperForConditionalGeneration": Arch(
        dict(vocab_size=VOCAB, num_mel_bins=16, d_model=32, encoder_layers=2, decoder_layers=2, encoder_attention_heads=4,
             decoder_attention_heads=4, encoder_ffn_dim=44, decoder_ffn_dim=44, max_source_positions=12, max_target_positions=64,
             bos_token_id=1, eos_token_id=2, pad_token_id=0, decoder_start_token_id=1, suppress_tokens=None, begin_suppress_tokens=None),
        {"encoder_hidden_states": ("model.encoder.layers.0:input", "model.encoder.layers.{}", "model.encoder.layer_norm"),
         "decoder_hidden_states": ("model.decoder.layers.0:input", "model.decoder.layers.{}", "model.decoder.layer_norm")},
        whisper_cases, changes(num_hidden_layers=2), embedding=0.1),
    "Wav2Vec2Model": Arch(
        {**ENCODER, "hidden_size": 40, "conv_dim": [16, 16, 16], "conv_kernel": [10, 3, 3], "conv_stride": [5, 2, 2],
         "num_feat_extract_layers": 3, "num_conv_pos_embeddings": 8, "num_conv_pos_embedding_groups": 2, "vocab_size": VOCAB},
        {"hidden_states": ("encoder.layer_norm", "encoder.layers.{}", None)}, waveform_cases),
}


# ---------------------------------------------------------------- weights
def fill(model, seed, embedding=0.25):
    """Give every parameter and stored buffer a value that a wrong load would show."""
    stored, kinds = set(model.state_dict()), {}
    for module in model.modules():
        for p in module.parameters(recurse=False):
            kinds.setdefault(id(p), module)  # of a tied tensor the first owner, its embedding
    seen = set()
    with torch.no_grad():
        for name, tensor in itertools.chain(model.named_parameters(), model.named_buffers()):
            if id(tensor) in seen or name not in stored or not tensor.is_floating_point():
                continue
            seen.add(id(tensor))
            r = torch.randn(tensor.shape, generator=rng(seed * 1_000_003 + zlib.crc32(name.encode())))
            owner, leaf = kinds.get(id(tensor)), name.rsplit(".", 1)[-1]
            if leaf in ("e_score_correction_bias", "sinks"):
                value = 0.5 * r
            elif tensor.dim() <= 1 or leaf in ("A_log", "original0"):
                value = tensor.float() + 0.15 * r  # around the initial value: ones of a norm, zeros of a bias
            elif isinstance(owner, nn.Embedding) or "embed" in leaf or leaf.endswith("token"):
                value = embedding * r
            elif type(owner).__name__ in ("Conv1D", "GptOssExperts"):
                value = r / tensor.shape[-2] ** 0.5  # (in, out)
            elif isinstance(owner, (nn.Conv1d, nn.Conv2d)) or "parametrizations" in name:
                value = r / tensor[0].numel() ** 0.5
            else:
                value = 1.3 * r / tensor.shape[-1] ** 0.5  # (out, in)
            tensor.copy_(value)


# ---------------------------------------------------------------- running
def first_tensor(value):
    while isinstance(value, (tuple, list)) and value:
        value = value[0]
    if isinstance(value, dict) and value:  # a ModelOutput
        return first_tensor(next(iter(value.values())))
    return value if torch.is_tensor(value) else None


@contextlib.contextmanager
def recording(model):
    """Collect what each module gives (key: path) and is given first (key: path:input)."""
    seen, handles = {}, []
    for path, module in model.named_modules():
        if not path:
            continue

        def after(_, args, kwargs, output, path=path):
            given = first_tensor(args) if args else first_tensor(list(kwargs.values()))
            for key, value in ((path, first_tensor(output)), (path + ":input", given)):
                if value is not None:
                    seen.setdefault(key, value.detach().clone())

        handles.append(module.register_forward_hook(after, with_kwargs=True))
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


def flatten(value, prefix=""):
    """The tensors of a nested output by dotted name; caches and attention maps are left out."""
    if torch.is_tensor(value):
        return {prefix: value.clone().contiguous()}
    items = value.items() if hasattr(value, "items") else enumerate(value) if isinstance(value, (tuple, list)) else ()
    flat = {}
    for key, item in items:
        if not re.search(r"past_key_values|attentions|cache_params", str(key)):
            flat |= flatten(item, f"{prefix}.{key}" if prefix else str(key))
    return flat


def call(model, case, dtype=torch.float32):
    inputs = {k: v.to(dtype) if v.is_floating_point() else v for k, v in case.inputs.items()}
    return model(**inputs, output_hidden_states=True, **case.kwargs)


def generate(model, case):
    """Greedy decoding with the cache: sequences, raw logits (batch, step, vocab), hidden states (batch, fed token, width)."""
    inputs = {k: v for k, v in case.inputs.items() if k != "decoder_input_ids"}
    with torch.no_grad():
        out = GenerationMixin.generate(model, **inputs, max_new_tokens=NEW_TOKENS, do_sample=False, num_beams=1,
                                       return_dict_in_generate=True, output_logits=True, output_hidden_states=True)
    stream = "decoder_hidden_states" if model.config.is_encoder_decoder else "hidden_states"
    result = {"sequences": out.sequences, "logits": torch.stack(out.logits, 1).float()}
    for layer, states in enumerate(zip(*out[stream])):
        result[f"{stream}.{layer}"] = torch.cat(states, 1)
    return {k: v.contiguous().clone() for k, v in result.items()}


INNER = re.compile(r"(Layer|Block|Stage|Attention|MLP|Mlp|MoE|Moe|Experts|Router|Norm|Norm2d|GatedDeltaNet|Mixer|FF|Conv1D|Intermediate|Output)$")


def spelled(path, arch):
    for pattern, replacement in arch.paths:
        path = re.sub(pattern, replacement, path)
    return path


def inner_values(model, seen, arch):
    """The outputs of layers, attention, feed-forward and norm modules, named as the checkpoint names them."""
    values = {}
    for path, module in model.named_modules():
        if path in seen and re.search(INNER, type(module).__name__) and seen[path].is_floating_point():
            values[spelled(path, arch)] = seen[path]
    return values


def hidden_table(arch, outputs):
    """{stream: {"0": module path, ...}} for the hidden states that were recorded."""
    table = {}
    for stream, names in arch.hidden.items():
        if isinstance(names, tuple):
            first, layer, last = names
            count = sum(bool(re.fullmatch(re.escape(stream) + r"\.\d+", k)) for k in outputs)
            names = [first] + [layer.format(i) for i in range(count - 1)]
            names[-1] = last or names[-1]
        table[stream] = {str(i): name for i, name in enumerate(names)}
    return table


class Rejected(Exception):
    """This seed makes a golden that a correct implementation could fail."""


def largest_difference(a, b, mask):
    d = (a.double() - b.double()).abs()
    if mask is not None and d.shape[:2] == mask.shape:
        d = d[mask.bool()]
    # the reference's additive mask overflows in its float64 run, where a padding row then is NaN everywhere
    d = d[d.isfinite()]
    return float(d.max()) if d.numel() else 0.0


def record_case(load, case, arch, can_generate):
    """-> (tensors by key without the case name, description)"""
    tensors = {f"in.{k}": v for k, v in case.inputs.items()}
    meta = {"inputs": sorted(case.inputs), "kwargs": case.kwargs, "outputs": {}}
    if can_generate and case.generate:
        made = generate(load(), case)
        top = made["logits"].topk(2, -1).values
        margin = float((top[..., 0] - top[..., 1]).min())
        new = made["sequences"][:, -made["logits"].shape[1]:]
        if margin < MARGIN or new.shape[1] < NEW_TOKENS or (new == 2).any():
            raise Rejected(f"{case.name}: margin {margin:.1e}, or stopped early")
        if min(len(set(row.tolist())) for row in new) < 3:
            raise Rejected(f"{case.name}: it repeats itself")
        tensors |= {f"gen.{k}": v for k, v in made.items()}
        meta["generate"] = {"new_tokens": NEW_TOKENS, "min_margin": margin}
    mask = case.inputs.get("attention_mask")
    model = load()
    with torch.no_grad(), recording(model) as seen:
        outputs = flatten(call(model, case))
    with torch.no_grad():
        precise = flatten(call(load(torch.float64), case, torch.float64))
    tensors |= {f"out.{k}": v for k, v in outputs.items()}
    if mask is not None:
        meta["compare_mask"] = "attention_mask"
    if case.note:
        meta["note"] = case.note
    for name, value in outputs.items():
        diff = largest_difference(value, precise[name], mask)
        if not diff < UNSTABLE:
            raise Rejected(f"{case.name} {name}: float32 and float64 differ by {diff:.1e}")
        meta["outputs"][name] = {"shape": list(value.shape), "fp64_diff": float(f"{diff:.2g}")}
    table = hidden_table(arch, outputs)
    if case.name == "plain":
        for stream, names in table.items():
            for index, path in names.items():
                value = outputs[f"{stream}.{index}"]
                if path not in seen or not torch.equal(seen[path], value):
                    same = [k for k, v in seen.items() if v.shape == value.shape and torch.equal(v, value)]
                    raise AssertionError(f"{stream}.{index} is not {path} but one of {same}")
        inner = inner_values(model, seen, arch)
        tensors |= {f"inner.{k}": v.contiguous() for k, v in inner.items()}
        meta["inner"] = sorted(inner)
    return tensors, meta, table


def without_effect(load, cases):
    """Parameters that no recorded output depends on: the golden cannot tell a wrong value of theirs."""
    touched = names = None
    for case in cases:
        model = load()
        total = sum((v * noise(*v.shape, seed=9)).sum() for k, v in flatten(call(model, case)).items() if v.requires_grad)
        total.backward()
        used = {n for n, p in model.named_parameters() if p.grad is not None and p.grad.abs().max() > 0}
        names = {n for n, _ in model.named_parameters()}
        touched = used | (touched or set())
    return sorted(names - touched)


# ---------------------------------------------------------------- files
def write_json(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(value, indent=1)
    path.write_text(re.sub(r"\[[^][{}]*\]", lambda m: re.sub(r"\s+", " ", m[0]).replace("[ ", "[").replace(" ]", "]"), text) + "\n")


def versions():
    return {"transformers": transformers.__version__, "torch": torch.__version__}


def legacy_config(config, arch, config_class):
    """config.json as version 4 of the library wrote it; checked to read back as the same configuration."""
    legacy = copy.deepcopy(config)
    legacy["torch_dtype"] = legacy.pop("dtype")
    legacy["transformers_version"] = "4.40.0"
    rope = legacy.pop("rope_parameters", None)
    if rope and "full_attention" in rope:
        legacy |= {"rope_theta": rope["full_attention"]["rope_theta"], "rope_scaling": None,
                   "rope_local_base_freq": rope["sliding_attention"]["rope_theta"]}
    elif rope:
        legacy["rope_theta"] = rope.pop("rope_theta")
        if "partial_rotary_factor" in rope:
            legacy["partial_rotary_factor"] = rope.pop("partial_rotary_factor")
        legacy["rope_scaling"] = None if rope == {"rope_type": "default"} else rope
    if arch.legacy:
        arch.legacy(legacy)
    back = json.loads(config_class.from_dict(copy.deepcopy(legacy)).to_json_string(use_diff=False))
    require_same(config, back)
    return legacy


def require_same(config, back):
    for key, value in config.items():
        if isinstance(value, dict):
            require_same(value, back[key])
        elif key not in ("transformers_version", "_sliding_window_pattern") and back.get(key) != value:
            raise AssertionError(f"legacy config: {key} reads back as {back.get(key)}, not {value}")


def make(name):
    arch, model_class = ARCHS[name], getattr(transformers, name)
    out = HERE / name
    for seed in range(1, 200):
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir()
        config = model_class.config_class(**copy.deepcopy(arch.config))
        config.architectures = [name]
        torch.manual_seed(seed)  # some initial values are random, and fill() builds on them
        model = model_class._from_config(config, attn_implementation="eager", dtype=torch.float32)
        fill(model, seed, arch.embedding)
        model.tie_weights()
        can_generate = model.can_generate()
        if can_generate:
            start = {"decoder_start_token_id": config.decoder_start_token_id} if config.is_encoder_decoder else {}
            model.generation_config = GenerationConfig(bos_token_id=1, eos_token_id=2, pad_token_id=0, **start)
        model.save_pretrained(out)

        def load(dtype=torch.float32):  # a fresh model for each run: some keep state between calls
            loaded = model_class.from_pretrained(out, attn_implementation="eager", dtype=dtype).eval()
            with contextlib.suppress(AttributeError):
                loaded.set_experts_implementation("eager")
            return loaded

        cases, tensors, described, table = arch.cases(), {}, {}, {}
        try:
            for case in cases:
                made, described[case.name], table = record_case(load, case, arch, can_generate)
                tensors |= {f"{case.name}.{k}": v for k, v in made.items()}
        except Rejected as reason:
            print(f"  {name} seed {seed}: {reason}")
            continue
        break
    else:
        raise AssertionError(f"{name}: no seed is good")
    config = json.loads((out / "config.json").read_text())
    write_json(out / "config_legacy.json", legacy_config(config, arch, model_class.config_class))
    save_file(tensors, out / "golden.safetensors")
    write_json(out / "golden.json", {
        "arch": name, "model_type": config["model_type"], "versions": versions(), "seed": seed,
        "tolerance": {"atol": 2e-4, "rtol": 1e-3},
        **{stream: {i: spelled(path, arch) for i, path in paths.items()} for stream, paths in table.items()}, "cases": described,
        "weights": {"no_effect_on_outputs": without_effect(load, cases)},
    })
    report(out, f"seed {seed}")


def report(out, extra=""):
    size = sum(f.stat().st_size for f in out.rglob("*") if f.is_file())
    print(f"{out.name}: {size // 1024} KiB {extra}", flush=True)


def main(names):
    for name in names or [*ARCHS]:
        make(name)


if __name__ == "__main__":
    main(sys.argv[1:])
