#!/usr/bin/env python3
"""The same tiny models as hubs store them, and the full-size configurations. Run after generate.py.

    python variants.py

Writes variants/<Architecture>--<what>/ (each read back by the reference and compared with the original) and
../fixtures/configs/<Architecture>.json (the default configuration of each architecture, no weights).
"""

import copy
import json
import shutil
import tempfile
from pathlib import Path

import torch
import transformers
from generate import ARCHS, CONFIGS, HERE, generate, report, write_json
from safetensors.torch import load_file, save_file

VARIANTS = HERE / "variants"


# ---------------------------------------------------------------- layouts: folder with config.json, tensors -> files
def single(out, tensors):
    save_file({k: v.contiguous() for k, v in tensors.items()}, out / "model.safetensors", {"format": "pt"})


def sharded(out, tensors, count=3):
    names, where = sorted(tensors), {}
    for i in range(count):
        file = f"model-{i + 1:05d}-of-{count:05d}.safetensors"
        save_file({k: tensors[k] for k in names[i::count]}, out / file, {"format": "pt"})
        where |= dict.fromkeys(names[i::count], file)
    size = sum(v.numel() * v.element_size() for v in tensors.values())
    write_json(out / "model.safetensors.index.json", {"metadata": {"total_size": size}, "weight_map": dict(sorted(where.items()))})


def zip_bin(out, tensors):
    torch.save(tensors, out / "pytorch_model.bin")


def legacy_bin(out, tensors):
    torch.save(tensors, out / "pytorch_model.bin", _use_new_zipfile_serialization=False)


def sharded_bin(out, tensors):
    names, where = sorted(tensors), {}
    for i in range(2):
        file = f"pytorch_model-{i + 1:05d}-of-00002.bin"
        torch.save({k: tensors[k] for k in names[i::2]}, out / file)
        where |= dict.fromkeys(names[i::2], file)
    write_json(out / "pytorch_model.bin.index.json", {"metadata": {}, "weight_map": dict(sorted(where.items()))})


# ---------------------------------------------------------------- contents: tensors -> tensors
def renamed(*pairs):
    def apply(tensors, _):
        result = {}
        for name, tensor in tensors.items():
            for old, new in pairs:
                name = name.replace(old, new)
            result[name] = tensor
        return result
    return apply


def shared_storage(tensors, _):
    """Old checkpoints hold views into one storage, and transposed ones: strides and offsets matter."""
    tensors = renamed(("LayerNorm.weight", "LayerNorm.gamma"), ("LayerNorm.bias", "LayerNorm.beta"))(tensors, _)
    one = torch.cat([t.flatten() for t in tensors.values()])
    views, offset = {}, 0
    for name, tensor in tensors.items():
        views[name] = one[offset:offset + tensor.numel()].view(tensor.shape)
        offset += tensor.numel()
    name = "encoder.layer.0.intermediate.dense.weight"
    views[name] = tensors[name].t().contiguous().t()
    return views


def bare_gpt2(tensors, config):
    """Without the prefix, and with the causal masks that old repositories keep."""
    result = {k.removeprefix("transformer."): v for k, v in tensors.items()}
    size = config["n_positions"]
    for i in range(config["n_layer"]):
        result[f"h.{i}.attn.bias"] = torch.ones(size, size).tril().view(1, 1, size, size)
        result[f"h.{i}.attn.masked_bias"] = torch.tensor(-1e4)
    return result


def stored_head(tensors, _):
    return tensors | {"lm_head.weight": tensors["model.embed_tokens.weight"].clone()}


def cast(dtype):
    return lambda tensors, _: {k: v.to(dtype) for k, v in tensors.items()}


def unchanged(tensors, _):
    return tensors


GAMMA = renamed(("LayerNorm.weight", "LayerNorm.gamma"), ("LayerNorm.bias", "LayerNorm.beta"))
NORM = "parametrizations.weight.original"
MAKE = [
    ("LlamaForCausalLM", "sharded", sharded, unchanged),
    ("LlamaForCausalLM", "sharded-bin", sharded_bin, unchanged),
    ("LlamaForCausalLM", "bf16", single, cast(torch.bfloat16)),
    ("LlamaForCausalLM", "f16", single, cast(torch.float16)),
    ("BertModel", "bin", zip_bin, GAMMA),
    ("BertModel", "bin-legacy", legacy_bin, GAMMA),
    ("BertModel", "bin-views", zip_bin, shared_storage),
    ("Wav2Vec2Model", "weight-norm", single, renamed((NORM + "0", "weight_g"), (NORM + "1", "weight_v"))),
    ("GPT2LMHeadModel", "bare", single, bare_gpt2),
    ("Gemma3ForCausalLM", "stored-head", single, stored_head),
]


def variant(arch, what, layout, change):
    base, out = HERE / arch, VARIANTS / f"{arch}--{what}"
    out.mkdir(parents=True)
    config = json.loads((base / "config.json").read_text())
    tensors = change(load_file(base / "model.safetensors"), config)
    config["dtype"] = str(next(iter(tensors.values())).dtype).removeprefix("torch.")
    write_json(out / "config.json", config)
    if (base / "generation_config.json").exists():
        shutil.copy(base / "generation_config.json", out)
    layout(out, tensors)
    model_class = getattr(transformers, arch)
    original, read = (model_class.from_pretrained(d, attn_implementation="eager", dtype=torch.float32).eval() for d in (base, out))
    golden = {"arch": arch, "variant": what, "base": f"../../{arch}", "golden": f"../../{arch}/golden.safetensors"}
    if config["dtype"] == "float32":
        for name, tensor in original.state_dict().items():
            assert torch.equal(tensor, read.state_dict()[name]), (arch, what, name)
    else:  # the rounded weights, computed in float32
        case = ARCHS[arch].cases()[0]
        with torch.no_grad():
            made = {"plain.in.input_ids": case.inputs["input_ids"], "plain.out.logits": read(**case.inputs).logits}
        made |= {f"plain.gen.{k}": v for k, v in generate(read, case).items() if k in ("sequences", "logits")}
        top = made["plain.gen.logits"].topk(2, -1).values
        golden |= {"golden": "golden.safetensors", "min_margin": float((top[..., 0] - top[..., 1]).min()),
                   "note": "weights stored in half precision, everything computed in float32"}
        save_file({k: v.contiguous() for k, v in made.items()}, out / "golden.safetensors")
    write_json(out / "golden.json", golden)
    report(out)


# ---------------------------------------------------------------- full-size configurations
def full_configs():
    for name in [*ARCHS, "CLIPTextModel"]:
        config = getattr(transformers, name).config_class()
        config.architectures = [name]
        with tempfile.TemporaryDirectory() as folder:
            config.save_pretrained(folder)
            write_json(CONFIGS / f"{name}.json", json.loads((Path(folder) / "config.json").read_text()))
    shutil.move(CONFIGS / "DeepseekV3ForCausalLM.json", CONFIGS / "deepseek_v3_full.json")
    import diffusers
    for name in ("UNet2DConditionModel", "AutoencoderKL"):
        with torch.device("meta"):
            config = dict(getattr(diffusers, name)().config)
        config = {k: v for k, v in config.items() if k != "_use_default_values"}
        write_json(CONFIGS / f"{name}.json", {"_class_name": name, "_diffusers_version": diffusers.__version__, **config})


def prefixed_text_encoder():
    """The text encoder of a pipeline as every public repository spells it."""
    base, out = HERE / "StableDiffusionPipeline" / "text_encoder", VARIANTS / "CLIPTextModel--text-model"
    shutil.copytree(base, out)
    single(out, {f"text_model.{k}": v for k, v in load_file(base / "model.safetensors").items()})
    original, read = (transformers.CLIPTextModel.from_pretrained(d).state_dict() for d in (base, out))
    assert all(torch.equal(v, read[k]) for k, v in original.items())
    pipeline = "../../StableDiffusionPipeline"
    write_json(out / "golden.json", {"arch": "CLIPTextModel", "variant": "text-model", "base": f"{pipeline}/text_encoder",
                                     "golden": f"{pipeline}/golden.safetensors", "case": "text_encoder"})
    report(out)


def main():
    shutil.rmtree(VARIANTS, ignore_errors=True)
    for entry in MAKE:
        variant(*entry)
    prefixed_text_encoder()
    full_configs()


if __name__ == "__main__":
    main()
