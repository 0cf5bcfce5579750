#!/usr/bin/env python3
"""Record a tiny Stable Diffusion pipeline: its text encoder, UNet and autoencoder alone, and two steps together.

    python diffusion.py

Same files and keys as generate.py, in StableDiffusionPipeline/ laid out as the library saves a pipeline.
"""

import json
import shutil
import tempfile

import torch
from generate import HERE, UNSTABLE, fill, flatten, noise, recording, report, versions, write_json
from safetensors.torch import save_file
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

import diffusers
from diffusers import AutoencoderKL, DDIMScheduler, PNDMScheduler, StableDiffusionPipeline, UNet2DConditionModel

NAME = "StableDiffusionPipeline"
SEED = 1
HIDDEN = {"0": "embeddings", "1": "encoder.layers.0", "2": "encoder.layers.1"}
LATENT = 8  # side of the latents; images are twice as large


def tokenizer():
    """A tiny but real CLIP tokenizer: letters, and one merge."""
    letters = [chr(97 + i) for i in range(26)]
    vocab = ["<pad>", "<|startoftext|>", "<|endoftext|>", *letters, *(c + "</w>" for c in letters), "lo</w>"]
    with tempfile.TemporaryDirectory() as folder:
        with open(folder + "/vocab.json", "w") as f:
            json.dump({token: i for i, token in enumerate(vocab)}, f)
        with open(folder + "/merges.txt", "w") as f:
            f.write("#version: 0.2\nl o</w>\n")
        special = {"unk_token": "<|endoftext|>", "bos_token": "<|startoftext|>", "eos_token": "<|endoftext|>", "pad_token": "<|endoftext|>"}
        return CLIPTokenizer(folder + "/vocab.json", folder + "/merges.txt", model_max_length=16, **special)


def build():
    torch.manual_seed(SEED)  # some initial values are random, and fill() builds on them
    text = CLIPTextModel._from_config(CLIPTextConfig(
        vocab_size=120, hidden_size=32, intermediate_size=40, num_hidden_layers=2, num_attention_heads=4, max_position_embeddings=16,
        projection_dim=32, bos_token_id=1, eos_token_id=2, pad_token_id=0), attn_implementation="eager")
    unet = UNet2DConditionModel(
        sample_size=LATENT, in_channels=4, out_channels=4, layers_per_block=1, block_out_channels=(8, 16), cross_attention_dim=32,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"), up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        attention_head_dim=4, norm_num_groups=4)
    vae = AutoencoderKL(
        in_channels=3, out_channels=3, latent_channels=4, block_out_channels=(8, 16), layers_per_block=1, norm_num_groups=4,
        down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2, sample_size=2 * LATENT)
    scheduler = PNDMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", skip_prk_steps=True,
                              set_alpha_to_one=False, steps_offset=1)
    for part in (text, unet, vae):
        fill(part.eval(), SEED)
    return StableDiffusionPipeline(vae=vae, text_encoder=text, tokenizer=tokenizer(), unet=unet, scheduler=scheduler,
                                   safety_checker=None, feature_extractor=None, requires_safety_checker=False)


INNER = ("ResnetBlock2D", "Transformer2DModel", "BasicTransformerBlock", "Attention", "FeedForward", "TimestepEmbedding",
         "Downsample2D", "Upsample2D", "UNetMidBlock2D", "UNetMidBlock2DCrossAttn", "CLIPAttention", "CLIPMLP", "LayerNorm")


class Recorder:
    def __init__(self):
        self.tensors, self.cases = {}, {}

    def add(self, case, inputs, run, module=None, **described):
        """Run in float32 (kept, with inner values of `module`) and, for a module, in float64 (compared)."""
        with torch.no_grad(), recording(module or torch.nn.Module()) as seen:
            outputs = flatten(run(inputs))
        meta = {"inputs": sorted(inputs), "outputs": {k: {"shape": list(v.shape)} for k, v in outputs.items()}, **described}
        tensors = {f"in.{k}": v for k, v in inputs.items()} | {f"out.{k}": v for k, v in outputs.items()}
        if module is not None:
            with torch.no_grad():
                module.double()
                precise = flatten(run({k: v.double() if v.is_floating_point() else v for k, v in inputs.items()}))
                module.float()
            for key, value in outputs.items():
                diff = float((value - precise[key]).abs().max())
                assert diff < UNSTABLE, (case, key, diff)
                meta["outputs"][key]["fp64_diff"] = float(f"{diff:.2g}")
            for index, path in HIDDEN.items() if "hidden_states.0" in outputs else ():
                assert torch.equal(seen[path], outputs[f"hidden_states.{index}"]), path
            inner = {p: seen[p] for p, m in module.named_modules() if p in seen and type(m).__name__ in INNER}
            tensors |= {f"inner.{k}": v for k, v in inner.items()}
            meta["inner"] = sorted(inner)
        self.tensors |= {f"{case}.{k}": v.contiguous().clone() for k, v in tensors.items()}
        self.cases[case] = meta


def encoder_ids(seed):
    ids = torch.randint(4, 119, (1, 10), generator=torch.Generator().manual_seed(seed))
    ids[0, 0], ids[0, 7], ids[0, 8:] = 1, 119, 2  # with end token 2 the pooled position is that of the largest id
    return ids


def main():
    out = HERE / NAME
    shutil.rmtree(out, ignore_errors=True)
    build().save_pretrained(out)
    pipe = StableDiffusionPipeline.from_pretrained(out, safety_checker=None)
    pipe.set_progress_bar_config(disable=True)
    text, unet, vae = pipe.text_encoder, pipe.unet, pipe.vae
    rec = Recorder()
    rec.add("text_encoder", {"input_ids": encoder_ids(1)}, lambda i: text(**i, output_hidden_states=True), text)
    rec.add("unet", {"sample": noise(2, 4, LATENT, LATENT, seed=2), "timestep": torch.tensor([7, 501]), "encoder_hidden_states": noise(2, 10, 32, seed=3)},
            lambda i: {"sample": unet(**i).sample}, unet)
    # not square, and with a mask-free longer text
    rec.add("unet_wide", {"sample": noise(1, 4, 4, 10, seed=4), "timestep": torch.tensor([999]), "encoder_hidden_states": noise(1, 13, 32, seed=5)},
            lambda i: {"sample": unet(**i).sample}, unet)
    rec.add("vae_decode", {"z": noise(1, 4, LATENT, LATENT, seed=6)}, lambda i: {"sample": vae.decode(i["z"]).sample}, vae)

    def encode(inputs):
        latent = vae.encode(inputs["x"]).latent_dist
        return {"mean": latent.mean, "logvar": latent.logvar}

    rec.add("vae_encode", {"x": noise(1, 3, 2 * LATENT, 2 * LATENT, seed=7).clamp(-1, 1)}, encode, vae)
    with torch.no_grad():
        prompt, negative = text(encoder_ids(1))[0], text(encoder_ids(8))[0]
    inputs = {"prompt_embeds": prompt, "negative_prompt_embeds": negative, "latents": noise(1, 4, LATENT, LATENT, seed=9)}
    settings = {"num_inference_steps": 2, "guidance_scale": 5.0, "height": 2 * LATENT, "width": 2 * LATENT}
    for case, scheduler in (("pipe_pndm", pipe.scheduler), ("pipe_ddim", DDIMScheduler.from_config(pipe.scheduler.config, clip_sample=False))):
        pipe.scheduler = scheduler

        def run(given):
            steps = {}

            def keep(_, step, t, values):
                steps[f"timesteps.{step}"], steps[f"latents.{step}"] = torch.as_tensor(t).clone(), values["latents"].clone()
                return values

            image = pipe(**{k: v.clone() for k, v in given.items()}, **settings, output_type="pt", callback_on_step_end=keep).images
            return {"image": image, **steps}

        rec.add(case, inputs, run, scheduler=type(scheduler).__name__, settings=settings, note="image in [0, 1], NCHW; latents.N after step N")
    save_file(rec.tensors, out / "golden.safetensors")
    write_json(out / "golden.json", {
        "arch": NAME, "versions": {"diffusers": diffusers.__version__, **versions()}, "seed": SEED, "tolerance": {"atol": 2e-4, "rtol": 1e-3},
        "hidden_states": HIDDEN,  # of the text encoder
        "components": {k: type(v).__name__ for k, v in pipe.components.items() if v is not None}, "cases": rec.cases})
    report(out)


if __name__ == "__main__":
    main()
