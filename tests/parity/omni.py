#!/usr/bin/env python3
"""Record a tiny Qwen 2.5 Omni: its thinker over text, sound and images, its talker, its vocoder.

    python omni.py

Same files and keys as generate.py. Inputs are what the definition takes: `pixel_values` with `image_grid_thw` are images and
videos alike in the order of their tokens, the talker's `input_ids` are its codes so far.
"""

import copy
import json
import shutil

import torch
from generate import HERE, MARGIN, NEW_TOKENS, UNSTABLE, Case, fill, flatten, generate, inner_values, largest_difference, noise, padded, recording, report, token_ids, versions, write_json
from safetensors.torch import save_file
from transformers import GenerationConfig, Qwen2_5OmniConfig, Qwen2_5OmniForConditionalGeneration

NAME = "Qwen2_5OmniForConditionalGeneration"
IMAGE, VIDEO, AUDIO, SEE, SEEN, HEAR, HEARD = 100, 101, 102, 103, 104, 109, 110
START, END, PAD, MASK = 90, 91, 92, 93  # codes
ROPE = {"rope_type": "default", "rope_theta": 20.0}  # small, so that the pairs of every axis turn visibly
DECODER = dict(vocab_size=120, intermediate_size=40, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=64)
TOKENS = dict(image_token_index=IMAGE, video_token_index=VIDEO, audio_token_index=AUDIO, audio_start_token_id=HEAR, audio_end_token_id=HEARD,
              vision_start_token_id=SEE, vision_end_token_id=SEEN)
CONFIG = {
    "thinker_config": {
        **TOKENS,
        "text_config": {**DECODER, "hidden_size": 32, "rope_parameters": {**ROPE, "mrope_section": [2, 1, 1]}},
        "audio_config": dict(num_mel_bins=8, d_model=16, encoder_layers=2, encoder_attention_heads=2, encoder_ffn_dim=20, output_dim=32,
                             n_window=4, max_source_positions=24),
        "vision_config": dict(depth=2, hidden_size=16, intermediate_size=20, num_heads=2, patch_size=2, spatial_merge_size=2,
                              temporal_patch_size=2, out_hidden_size=32, window_size=8, fullatt_block_indexes=[1]),
    },
    "talker_config": {
        **TOKENS, **DECODER, "embedding_size": 32, "hidden_size": 24, "head_dim": 8, "pad_token_id": PAD,
        "rope_parameters": {**ROPE, "mrope_section": [2, 1, 1]}, "tts_codec_start_token_id": START, "tts_codec_end_token_id": END,
        "tts_codec_pad_token_id": PAD, "tts_codec_mask_token_id": MASK, "tts_text_start_token_id": 94, "tts_text_end_token_id": 95,
        "tts_text_pad_token_id": 96,
    },
    "token2wav_config": {
        "dit_config": dict(hidden_size=16, num_hidden_layers=2, num_attention_heads=2, head_dim=8, emb_dim=12, num_embeds=20, mel_dim=8,
                           enc_emb_dim=12, enc_dim=8, enc_channels=[8, 8, 8, 8, 24], enc_attention_channels=4, enc_se_channels=4,
                           block_size=4, look_ahead_layers=[1], look_backward_layers=[0], max_position_embeddings=64),
        "bigvgan_config": dict(mel_dim=8, upsample_initial_channel=16, upsample_rates=[2, 3], upsample_kernel_sizes=[4, 7],
                               resblock_kernel_sizes=[3, 5], resblock_dilation_sizes=[[1, 3, 5], [1, 3, 5]]),
    },
}
# Paths of the reference's modules as the checkpoint's names spell them; what goes into the first layer has a name of its own.
THINKER = {"": "thinker", "model.language_model.embed_tokens": "thinker.embeddings", "model.language_model.": "thinker.model.", "model.": "thinker."}


def build(seed):
    config = Qwen2_5OmniConfig(**copy.deepcopy(CONFIG))
    config.architectures = [NAME]
    torch.manual_seed(seed)  # some initial values are random, and fill() builds on them
    model = Qwen2_5OmniForConditionalGeneration._from_config(config, attn_implementation="eager", dtype=torch.float32)
    fill(model, seed)
    head = model.thinker.lm_head.weight.data
    head *= 2.0  # logits well apart
    head[:4], head[90:] = 0.1 * head[:4], 0.1 * head[90:]  # no token that ends a text or stands for another kind
    model.talker.codec_head.weight.data[20:] *= 0.1  # codes that the vocoder knows
    model.token2wav.code2wav_bigvgan_model.conv_post.weight.data *= 0.05  # a waveform that is not cut off
    model.generation_config = GenerationConfig(bos_token_id=1, eos_token_id=2, pad_token_id=0)
    return model


# ---------------------------------------------------------------- inputs
def words(batch, length, seed):
    return (token_ids(batch, length, seed) - 4) % 86 + 4  # below the tokens with a meaning


def text(length, seed):
    return words(1, length, seed)[0].tolist()


def sound(*frames, seed=7):
    """Clips and their tokens; the shorter ones end in noise that nobody may hear."""
    inputs = {"input_features": noise(len(frames), 8, max(frames), seed=seed)}
    if len(frames) > 1:
        inputs["audio_feature_lengths"] = torch.tensor(frames)
    return inputs, [[HEAR, *[AUDIO] * ((count + 1) // 2 // 2), HEARD] for count in frames]


def sight(*grids, seed=8):
    patches = sum(t * h * w for t, h, w in grids)
    tokens = [[SEE, *[VIDEO if t > 1 else IMAGE] * (t * h * w // 4), SEEN] for t, h, w in grids]
    return {"pixel_values": noise(patches, 3 * 2 * 2 * 2, seed=seed), "image_grid_thw": torch.tensor(grids)}, tokens


def prompt(*parts, **inputs):
    ids = torch.tensor([[1, *sum(parts, [])]])
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids), **inputs}


def of_reference(inputs):
    """The same as the reference's own arguments, positions left out."""
    given = {k: v for k, v in inputs.items() if k != "position_ids"}
    if "input_features" in given:
        clips, _, frames = given["input_features"].shape
        lengths = given.pop("audio_feature_lengths", torch.full((clips,), frames))
        given["feature_attention_mask"] = (torch.arange(frames) < lengths[:, None]).long()
    if "pixel_values" in given:
        pixels, grid = given.pop("pixel_values"), given.pop("image_grid_thw")
        split = pixels.split(grid.prod(1).tolist())
        for name, grids, still in (("pixel_values", "image_grid_thw", True), ("pixel_values_videos", "video_grid_thw", False)):
            chosen = [i for i in range(len(grid)) if (grid[i, 0] == 1) == still]
            if chosen:
                given[name], given[grids] = torch.cat([split[i] for i in chosen]), grid[chosen]
        if "video_grid_thw" in given:
            given["video_second_per_grid"] = torch.ones(len(given["video_grid_thw"]))
    return given


def with_positions(thinker, inputs):
    given = of_reference(inputs)
    lengths = given["feature_attention_mask"].sum(1) if "feature_attention_mask" in given else None
    positions, _ = thinker.get_rope_index(given["input_ids"], given.get("image_grid_thw"), given.get("video_grid_thw"), given["attention_mask"],
                                          False, lengths, given.get("video_second_per_grid"))
    return {**inputs, "position_ids": positions.contiguous()}


# ---------------------------------------------------------------- running
class Rejected(Exception):
    """This seed makes a golden that a correct implementation could fail."""


class Recorder:
    def __init__(self, load):
        self.load, self.tensors, self.cases = load, {}, {}

    def add(self, case, inputs, run, part, states=(), inner=None, note=None):
        """Run in float32 (kept) and in float64 (compared); `states` are the paths of the hidden states in `part`."""
        model = self.load()
        module = model.get_submodule(part)
        with torch.no_grad(), recording(module) as seen:
            outputs = flatten(run(module, inputs))
        with torch.no_grad():
            precise = run(self.load(torch.float64).get_submodule(part), {k: v.double() if v.is_floating_point() else v for k, v in inputs.items()})
        mask = inputs.get("attention_mask")
        meta = {"inputs": sorted(inputs), "outputs": {}} | ({"note": note} if note else {}) | ({"compare_mask": "attention_mask"} if mask is not None else {})
        for name, value in flatten(precise).items():
            diff = largest_difference(outputs[name], value, mask)
            if not diff < UNSTABLE:
                raise Rejected(f"{case} {name}: float32 and float64 differ by {diff:.1e}")
            meta["outputs"][name] = {"shape": list(value.shape), "fp64_diff": float(f"{diff:.2g}")}
        for index, path in enumerate(states):
            if mask is None and "input_features" not in inputs:
                assert torch.equal(seen[path], outputs[f"hidden_states.{index}"]), path
        names = {f"hidden_states.{i}": f"{part}.hidden_states.{i}" for i in range(len(states))}
        meta["outputs"] = {names.get(k, k): v for k, v in meta["outputs"].items()}
        tensors = {f"in.{k}": v for k, v in inputs.items()} | {f"out.{names.get(k, k)}": v for k, v in outputs.items()}
        if inner:
            values = {inner(path): value for path, value in inner_values(module, seen, NoPaths).items()}
            tensors |= {f"inner.{k}": v for k, v in values.items()}
            meta["inner"] = sorted(values)
        self.tensors |= {f"{case}.{k}": v.contiguous().clone() for k, v in tensors.items()}
        self.cases[case] = meta

    def generation(self, case, inputs):
        made = generate(self.load().thinker, Case(case, of_reference(inputs)))
        top, new = made["logits"].topk(2, -1).values, made["sequences"][:, -made["logits"].shape[1]:]
        margin = float((top[..., 0] - top[..., 1]).min())
        if margin < MARGIN or new.shape[1] < NEW_TOKENS or (new == 2).any() or (new >= 90).any() or min(len(set(row.tolist())) for row in new) < 3:
            raise Rejected(f"{case}: margin {margin:.1e}, stopped early, repeats itself, or gives a token of another kind")
        self.tensors |= {f"{case}.gen.{k}": v for k, v in made.items() if not k.startswith("hidden")}
        self.cases[case]["generate"] = {"new_tokens": NEW_TOKENS, "min_margin": margin}


class NoPaths:
    paths = ()


def spelled(path):
    found = max((prefix for prefix in THINKER if path.startswith(prefix)), key=len)
    return THINKER[found] + ("." if found == "" and path else "") + path[len(found):]


def record(rec):
    states = ["model.language_model.embed_tokens", "model.language_model.layers.0", "model.language_model.norm"]
    heard, (hears,) = sound(37)
    clips, (long, short) = sound(30, 13, seed=10)
    seen, (sees,) = sight((1, 4, 6))
    both, (image, video) = sight((1, 6, 4), (2, 4, 4), seed=9)
    plain = {"input_ids": words(2, 9, 1)}
    thinker = rec.load().thinker
    cases = [
        ("plain", plain, True),
        ("leftpad", padded(2, 9, 2, row=0, pad=slice(0, 4)), True),
        ("rightpad", padded(2, 9, 3, row=1, pad=slice(6, 9)), False),
        ("audio", prompt(text(2, 4), hears, text(3, 5), **heard), True),
        ("image", with_positions(thinker, prompt(text(2, 6), sees, text(3, 7), **seen)), True),
        ("all", with_positions(thinker, prompt(image, long, text(2, 8), video, short, text(2, 9), **clips, **both)), False),
    ]

    def think(module, inputs):
        positions = {"position_ids": inputs["position_ids"]} if "position_ids" in inputs else {}
        return module(**of_reference(inputs), **positions, output_hidden_states=True)

    for name, inputs, generates in cases:
        note = "an image, two sounds and a video" if name == "all" else None
        rec.add(name, inputs, think, "thinker", states, spelled if name == "plain" else None, note)
        if generates:
            rec.generation(name, inputs)

    # The reference takes codes and thoughts differently in a prompt and in a step: here both are `inputs_embeds` and `input_ids`.
    embeds, reply = noise(2, 7, 32, seed=21), noise(2, 3, 32, seed=24)
    mask = torch.ones(2, 7, dtype=torch.long)
    mask[0, :2] = 0
    codes = torch.full((2, 7), MASK)
    codes[:, -2], codes[:, -1] = PAD, START
    code = torch.tensor([[17], [44]])
    positions = torch.stack([torch.arange(7), torch.tensor([0, 1, 1, 2, 2, 3, 4]), torch.tensor([0, 1, 2, 1, 2, 3, 4])])[:, None].expand(3, 2, 7).contiguous()
    states = ["thinker_to_talker_proj", "model.layers.0", "model.norm"]
    more = {"output_hidden_states": True}
    rec.add("talk", {"inputs_embeds": embeds, "position_ids": positions},
            lambda m, i: m(inputs_embeds=i["inputs_embeds"].clone(), position_ids=positions, **more), "talker", states)
    rec.add("talk_prompt", {"inputs_embeds": embeds, "input_ids": codes, "attention_mask": mask},
            lambda m, i: m(inputs_embeds=i["inputs_embeds"].clone(), input_text_ids=codes, attention_mask=mask, **more), "talker", states,
            note="with an attention mask and no positions, the reference adds the embeddings of pad and start itself")
    rec.add("talk_step", {"inputs_embeds": reply[:, :1], "input_ids": code},
            lambda m, i: {k: v for k, v in m(input_ids=code, thinker_reply_part=reply.to(i["inputs_embeds"].dtype), **more).items() if k != "thinker_reply_part"}, "talker", states)

    dit = {"hidden_states": noise(1, 12, 8, seed=1), "condition_vector": noise(1, 10, 8, seed=2), "speaker_embedding": noise(1, 12, 12, seed=3),
           "quantized_code": torch.tensor([[3, 19, 0, 7, 11, 5]]), "time_step": torch.tensor([0.37])}
    rec.add("denoise", dit, lambda m, i: dict(zip(("prediction", "null_prediction"), m(**i, apply_cfg=True).chunk(2))), "token2wav.code2wav_dit_model")
    # mels as they are: logarithms, some of them below what is heard
    rec.add("vocode", {"mel_spectrogram": noise(1, 8, 9, seed=1) * 4 - 6}, lambda m, i: {"waveform": m(**i)[None]}, "token2wav.code2wav_bigvgan_model")


SPEAK = {"new_tokens": 6, "codes": 6, "num_steps": 4, "guidance_scale": 0.5, "sway_coefficient": -1.0, "bos_token": 60,
         "eos_token": 95, "pad_token": 96, "codec_pad": PAD, "codec_start": START, "codec_mask": MASK}


def speak(rec, speaker):
    """A prompt as speech: all parts together, as the reference's own `generate` does it."""
    model, heard = rec.load(), {}
    ids, start = words(1, 5, 41), noise(1, 2 * SPEAK["codes"], 8, seed=42)

    def keep(_, args, output):
        heard["codes"], heard["waveform"] = args[0], output[None]

    model.token2wav.register_forward_hook(keep)
    real, torch.randn = torch.randn, lambda *_, **__: start.clone()
    try:
        said, _ = model.generate(
            ids, speaker="Chelsie", thinker_max_new_tokens=SPEAK["new_tokens"], talker_max_new_tokens=SPEAK["codes"], talker_do_sample=False,
            talker_repetition_penalty=1.0, talker_eos_token_id=[PAD, END], token2wav_num_steps=SPEAK["num_steps"])
    finally:
        torch.randn = real
    if heard["codes"].shape[1] != SPEAK["codes"] or len(set(heard["codes"][0].tolist())) < 3:
        raise Rejected("speak: it stops early, or repeats itself")
    values = {"input_ids": ids, "noise": start, "speaker": speaker["cond"], "reference_mel": speaker["ref_mel"], "sequences": said, **heard}
    rec.tensors |= {f"speak.{k}": v.contiguous().clone() for k, v in values.items()}


def main():
    out = HERE / NAME
    for seed in range(1, 200):
        shutil.rmtree(out, ignore_errors=True)
        build(seed).save_pretrained(out)
        speakers = {"Chelsie": {"bos_token": 60, "cond": noise(1, 12, seed=30), "ref_mel": noise(1, 10, 8, seed=31)}}

        def load(dtype=torch.float32):  # a fresh model for each run: positions are kept between calls
            torch.save(speakers, out / "spk_dict.pt")
            model = Qwen2_5OmniForConditionalGeneration.from_pretrained(out, attn_implementation="eager", dtype=dtype).eval().to(dtype)
            (out / "spk_dict.pt").unlink()
            return model

        rec = Recorder(load)
        try:
            speak(rec, speakers["Chelsie"])
            record(rec)
        except Rejected as reason:
            print(f"  {NAME} seed {seed}: {reason}")
            continue
        break
    save_file(rec.tensors, out / "golden.safetensors")
    write_json(out / "config.json", json.loads((out / "config.json").read_text()))
    write_json(out / "golden.json", {
        "arch": NAME, "model_type": "qwen2_5_omni", "versions": versions(), "seed": seed, "tolerance": {"atol": 2e-4, "rtol": 1e-3},
        "thinker.hidden_states": {"0": "thinker.embeddings", "1": "thinker.model.layers.0", "2": "thinker.model.norm"},
        "talker.hidden_states": {"0": "talker.thinker_to_talker_proj", "1": "talker.model.layers.0", "2": "talker.model.norm"},
        "cases": rec.cases, "speak": SPEAK})
    report(out, f"seed {seed}")


if __name__ == "__main__":
    main()
