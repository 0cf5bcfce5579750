#!/usr/bin/env python3
"""Tiny SAEs in the layouts found on the hub, with golden encode/decode made by sae-lens.

  python sae.py [--out sae]

sae_lens/<arch>[-opts]/         cfg.json + sae_weights.safetensors (written by SAE.save_model, read by SAE.load_from_disk)
sae_lens_legacy/<name>/         pre-6.0 cfg.json (hook_point, activation_fn_str, ...)
gemma_scope/<resid_post|attn_out>/layer_N/width_16k/average_l0_X/params.npz
gemma_scope2/<hook>/layer_N_width_16k_l0_medium/{config.json,params.safetensors}
sparsify/<hook>/{cfg.json,sae.safetensors}; dictionary_learning/<name>/{config.json,ae.pt}; llama_scope/<name>/{hyperparams.json,checkpoints/final.safetensors}
Every leaf also has golden.safetensors (x, feature_acts, recon) and golden.json.
"""
import argparse, functools, json, os, warnings
os.environ["CUDA_VISIBLE_DEVICES"] = ""
warnings.filterwarnings("ignore")
import numpy as np
import torch
from safetensors.torch import save_file, load_file
import sae_lens
from sae_lens import SAE
from sae_lens.loading import pretrained_sae_loaders as PL
from sae_lens.registry import get_sae_class

D, S = 32, 96
g = lambda s: torch.Generator().manual_seed(900 + s)  # noqa
R = lambda *sh, s=0, k=1.0: k * torch.randn(*sh, generator=g(s))  # noqa
RES = {}


def x_in(d=D, z=False):
    return R(2, 5, 4, d // 4, s=1) if z else R(2, 5, d, s=1)


def golden(sae, out, name, extra=None, x=None, fmt=""):
    x = x_in(sae.cfg.d_in) if x is None else x
    with torch.no_grad():
        acts = sae.encode(x)
        if acts.is_sparse:
            acts = acts.to_dense()
        rec = sae.decode(acts)
        fwd = sae(x)
    t = {"x": x, "feature_acts": acts, "recon": rec, "forward": fwd}
    save_file({k: v.float().contiguous() for k, v in t.items()}, os.path.join(out, "golden.safetensors"))
    act = acts != 0
    meta = {"format": fmt, "name": name, "architecture": sae.cfg.architecture(), "cfg": json.loads(json.dumps(sae.cfg.to_dict(), default=str)),
            "sae_lens": sae_lens.__version__, "torch": torch.__version__, "l0": float(act.float().sum(-1).mean()), "d_in": sae.cfg.d_in, "d_sae": sae.cfg.d_sae,
            "tolerance": {"atol": 1e-5, "rtol": 1e-4}, "params": {k: list(v.shape) for k, v in sae.state_dict().items()}, **(extra or {})}
    json.dump(meta, open(os.path.join(out, "golden.json"), "w"), indent=1)
    assert 0 < meta["l0"] < sae.cfg.d_sae and torch.isfinite(rec).all()
    RES[name] = {"ok": True, "l0": round(meta["l0"], 2), "architecture": meta["architecture"]}


def randomize(sae):
    with torch.no_grad():
        for i, (n, p) in enumerate(sorted(sae.state_dict().items())):
            if not p.is_floating_point() or p.dim() == 0:
                continue
            if n == "threshold":
                p.copy_(0.3 + 0.5 * R(*p.shape, s=50 + i).abs())
            elif n.startswith(("b_", "r_mag")):
                p.copy_(0.15 * R(*p.shape, s=50 + i))
            else:
                p.copy_(R(*p.shape, s=50 + i) / p.shape[-1 if "dec" in n else 0] ** 0.5)


def native(root):
    cases = [("standard", {}), ("standard", {"apply_b_dec_to_input": False}), ("standard", {"normalize_activations": "layer_norm"}), ("standard", {"normalize_activations": "constant_norm_rescale"}),
             ("standard", {"normalize_activations": "expected_average_only_in"}), ("standard", {"reshape_activations": "hook_z"}), ("topk", {"k": 7}), ("topk", {"k": 7, "rescale_acts_by_decoder_norm": True}),
             ("abstopk", {"k": 7}), ("jumprelu", {}), ("jumprelu", {"apply_b_dec_to_input": False, "normalize_activations": "layer_norm"}), ("gated", {}),
             ("transcoder", {"d_out": 24}), ("skip_transcoder", {"d_out": 24}), ("jumprelu_transcoder", {"d_out": 24}), ("jumprelu_skip_transcoder", {"d_out": 24})]
    for arch, o in cases:
        name = "sae_lens/" + arch + "".join(f"-{k}={v}" for k, v in o.items())
        out = os.path.join(root, name)
        try:
            cls, ccls = get_sae_class(arch)
            o2 = dict(o)
            if "transcoder" in arch:
                o2["apply_b_dec_to_input"] = False
            if o.get("reshape_activations") == "hook_z":
                from sae_lens.saes.sae import SAEMetadata
                o2["metadata"] = SAEMetadata(hook_name="blocks.1.attn.hook_z", model_name="gpt2-small", prepend_bos=True)
            sae = cls(ccls(d_in=D, d_sae=S, **o2))
            randomize(sae)
            sae.save_model(out)
            s2 = SAE.load_from_disk(out)
            x = x_in(D, z=o.get("reshape_activations") == "hook_z")
            golden(s2, out, name, x=x, fmt="sae_lens")
        except Exception as e:  # noqa
            RES[name] = {"ok": False, "error": f"{type(e).__name__}: {e}"[:300]}
    # batchtopk: a training class whose saved inference form is jumprelu
    from sae_lens.registry import SAE_TRAINING_CLASS_REGISTRY as TR
    for arch in ("batchtopk",):
        name = f"sae_lens/{arch}-as-saved"
        out = os.path.join(root, name)
        try:
            cls, ccls = TR[arch]
            sae = cls(ccls(d_in=D, d_sae=S, k=7))
            randomize(sae)
            sae.topk_threshold = torch.tensor(0.6, dtype=sae.topk_threshold.dtype)
            sae.save_inference_model(out)
            golden(SAE.load_from_disk(out), out, name, fmt="sae_lens")
        except Exception as e:  # noqa
            RES[name] = {"ok": False, "error": f"{type(e).__name__}: {e}"[:300]}


def legacy(root):
    base = {"model_name": "gpt2-small", "hook_name": "blocks.1.hook_resid_pre", "hook_layer": 1, "hook_head_index": None, "d_in": D, "d_sae": S, "dtype": "torch.float32", "device": "cpu",
            "prepend_bos": True, "context_size": 128, "dataset_path": "x", "finetuning_scaling_factor": False, "normalize_activations": "none"}
    for n, o in (("v5-standard", {"architecture": "standard", "activation_fn_str": "relu", "apply_b_dec_to_input": True}), ("v5-topk", {"architecture": "standard", "activation_fn_str": "topk", "activation_fn_kwargs": {"k": 6}, "apply_b_dec_to_input": False}),
                 ("v5-jumprelu", {"architecture": "jumprelu", "activation_fn_str": "relu", "apply_b_dec_to_input": False}), ("v5-gated", {"architecture": "gated", "activation_fn_str": "relu"}),
                 ("v3-noarch", {"activation_fn_str": "relu"})):
        name = "sae_lens_legacy/" + n
        out = os.path.join(root, name)
        try:
            os.makedirs(out, exist_ok=True)
            cfg = {**base, **o}
            json.dump(cfg, open(out + "/cfg.json", "w"), indent=1)
            sd = {"W_enc": R(D, S, s=11, k=D ** -0.5), "W_dec": R(S, D, s=12, k=S ** -0.5), "b_enc": R(S, s=13, k=0.15), "b_dec": R(D, s=14, k=0.15)}
            if "gated" in n:
                sd.pop("b_enc")
                sd.update(b_gate=R(S, s=15, k=0.15), b_mag=R(S, s=16, k=0.15), r_mag=R(S, s=17, k=0.15))
            if "jumprelu" in n:
                sd["threshold"] = 0.3 + 0.5 * R(S, s=18).abs()
            save_file(sd, out + "/sae_weights.safetensors")
            golden(SAE.load_from_disk(out), out, name, fmt="sae_lens pre-6.0 cfg")
        except Exception as e:  # noqa
            RES[name] = {"ok": False, "error": f"{type(e).__name__}: {e}"[:300]}


def via_loader(root, name, repo, folder, loader, over=None, fmt="", x=None, note=None):
    """Read <root>/<name> with the official loader of a hub repo `repo`, subfolder `folder`."""
    base = os.path.join(root, name)

    def local(repo_id=None, filename=None, subfolder=None, **k):
        p = os.path.join(base, subfolder or "", filename)
        if not os.path.exists(p):
            from huggingface_hub.utils import EntryNotFoundError
            raise EntryNotFoundError(p)
        return p
    old = PL.hf_hub_download, PL.get_safetensors_tensor_shapes
    PL.hf_hub_download = lambda *a, **k: local(*a, **k)
    PL.get_safetensors_tensor_shapes = lambda r, f: {k: list(v.shape) for k, v in load_file(os.path.join(base, f)).items()}
    out = os.path.join(base, folder)
    try:
        def conv(repo_id, folder_name, device, force_download, cfg_overrides):
            return loader(repo_id, folder_name, device=device, force_download=force_download, cfg_overrides={**(cfg_overrides or {}), **(over or {})})
        sae, cfgd, _ = SAE.from_pretrained_with_cfg_and_sparsity(repo, folder, converter=conv)
        golden(sae, out, f"{name}/{folder}", fmt=fmt, x=x, extra={"note": note, "repo_id": repo, "folder": folder, "loader": loader.__name__,
               "hook_name": cfgd.get("hook_name") or (cfgd.get("metadata") or {}).get("hook_name")})
    except Exception as e:  # noqa
        RES[f"{name}/{folder}"] = {"ok": False, "error": f"{type(e).__name__}: {e}"[:300]}
    finally:
        PL.hf_hub_download, PL.get_safetensors_tensor_shapes = old


def others(root):
    sd = {"W_enc": R(D, S, s=21, k=D ** -0.5), "W_dec": R(S, D, s=22, k=S ** -0.5), "b_enc": R(S, s=23, k=0.15), "b_dec": R(D, s=24, k=0.15), "threshold": 0.2 + 0.5 * R(S, s=25).abs()}
    for kind, repo, layer, l0 in (("resid_post", "google/gemma-scope-2b-pt-res", 5, 18), ("attn_out", "google/gemma-scope-2b-pt-att", 7, 62)):
        folder = f"layer_{layer}/width_16k/average_l0_{l0}"
        p = os.path.join(root, "gemma_scope", kind, folder)
        os.makedirs(p, exist_ok=True)
        np.savez(p + "/params.npz", W_dec=sd["W_dec"].numpy(), W_enc=sd["W_enc"].numpy(), b_dec=sd["b_dec"].numpy(), b_enc=sd["b_enc"].numpy(), threshold=sd["threshold"].numpy())
        via_loader(root, f"gemma_scope/{kind}", repo, folder, PL.gemma_2_sae_huggingface_loader, {"d_in": D, "d_sae": S}, "gemma_scope npz",
                   x=x_in(D, z=True) if kind == "attn_out" else None, note="attn_out: sae-lens reads the input as (..., n_heads, d_head) [hook_z] and flattens it; recon has the same shape" if kind == "attn_out" else None)
    for kind, folder in (("resid_post", "resid_post/layer_2_width_16k_l0_medium"), ("transcoder", "transcoder/layer_2_width_16k_l0_small"), ("transcoder_affine", "transcoder/layer_2_width_16k_l0_small_affine")):
        p = os.path.join(root, "gemma_scope2", folder)
        os.makedirs(p, exist_ok=True)
        j = {"architecture": "jump_relu", "model_name": "gemma-v3-1b-it", "hf_hook_point_in": "model.layers.2.output", "width": S, "l0": 60}
        t = {"w_enc": sd["W_enc"], "w_dec": sd["W_dec"], "b_enc": sd["b_enc"], "b_dec": sd["b_dec"], "threshold": sd["threshold"]}
        if "transcoder" in kind:
            j.update(hf_hook_point_in="model.layers.2.pre_feedforward_layernorm.output", hf_hook_point_out="model.layers.2.post_feedforward_layernorm.output", affine_connection="affine" in kind)
        if "affine" in kind:
            t["affine_skip_connection"] = R(D, D, s=26, k=D ** -0.5)
        save_file({k: v.contiguous() for k, v in t.items()}, p + "/params.safetensors")
        json.dump(j, open(p + "/config.json", "w"), indent=1)
        via_loader(root, "gemma_scope2", "google/gemma-scope-2-1b-it", folder, PL.gemma_3_sae_huggingface_loader, None, "gemma_scope_2 safetensors")
    # EleutherAI sparsify: its own library is the reference (the sae-lens loader transposes W_dec and rejects the real layout (num_latents, d_in))
    from sparsify import SparseCoder, SparseCoderConfig
    import sparsify
    import sparsify.sparse_coder as SC
    SC.decoder_impl = lambda idx, acts, W: torch.nn.functional.embedding_bag(idx, W.mT, per_sample_weights=acts, mode="sum")  # noqa: triton needs a GPU
    for n, o in (("layers.3", {}), ("layers.5.mlp-transcode", {"transcode": True, "skip_connection": True}), ("layers.6-groupmax", {"activation": "groupmax"})):
        name = "sparsify/" + n
        p = os.path.join(root, name)
        try:
            sc = SparseCoder(D, SparseCoderConfig(num_latents=S, k=6, **o))
            with torch.no_grad():
                for i, (kk, q) in enumerate(sorted(sc.state_dict().items())):
                    q.copy_(R(*q.shape, s=70 + i, k=0.15 if q.dim() == 1 else D ** -0.5))
                if sc.cfg.normalize_decoder and not sc.cfg.transcode:
                    sc.set_decoder_norm_to_unit_norm()
            sc.save_to_disk(p)
            sc = SparseCoder.load_from_disk(p, device="cpu")
            x = x_in()
            with torch.no_grad():
                e = sc.encode(x.flatten(0, 1))
                acts = torch.zeros(e.pre_acts.shape).scatter(-1, e.top_indices, e.top_acts).view(2, 5, S)
                rec = sc.decode(e.top_acts, e.top_indices)
                if sc.W_skip is not None:
                    rec = rec + x.flatten(0, 1) @ sc.W_skip.mT
            save_file({"x": x, "feature_acts": acts, "recon": rec.view(2, 5, D).contiguous()}, p + "/golden.safetensors")
            json.dump({"format": "EleutherAI sparsify", "name": name, "cfg": sc.cfg.to_dict(), "sparsify": getattr(sparsify, "__version__", "1.3.3"), "params": {k: list(v.shape) for k, v in sc.state_dict().items()},
                       "note": "acts = topk(relu((x - b_dec unless transcode) @ encoder.T + b_enc)); recon = acts @ W_dec + b_dec (+ x @ W_skip.T); W_dec is (num_latents, d_in)", "tolerance": {"atol": 1e-5, "rtol": 1e-4}},
                      open(p + "/golden.json", "w"), indent=1)
            RES[name] = {"ok": True, "l0": float((acts != 0).float().sum(-1).mean())}
        except Exception as e:  # noqa
            RES[name] = {"ok": False, "error": f"{type(e).__name__}: {e}"[:300]}
    for n, dc, extra in (("topk", "AutoEncoderTopK", {"k": 6}), ("batchtopk", "BatchTopKSAE", {"k": 6}), ("relu", "AutoEncoder", {}), ("gated", "GatedAutoEncoder", {}), ("jumprelu", "JumpReluAutoEncoder", {})):
        p = os.path.join(root, "dictionary_learning", n)
        os.makedirs(p, exist_ok=True)
        json.dump({"trainer": {"dict_class": dc, "activation_dim": D, "dict_size": S, "layer": 4, "lm_name": "google/gemma-2-2b", **extra}, "buffer": {"ctx_len": 128}}, open(p + "/config.json", "w"), indent=1)
        t = {"encoder.weight": sd["W_enc"].T.contiguous(), "decoder.weight": sd["W_dec"].T.contiguous(), "encoder.bias": sd["b_enc"], "b_dec": sd["b_dec"]}
        if n == "relu":
            t["bias"] = t.pop("b_dec")
        if n == "topk":
            t["k"] = torch.tensor(6)
            t["threshold"] = torch.tensor(0.5)
        if n == "batchtopk":
            t["k"] = torch.tensor(6)
            t["threshold"] = torch.tensor(0.6)
        if n == "gated":
            t = {"encoder.weight": sd["W_enc"].T.contiguous(), "decoder.weight": sd["W_dec"].T.contiguous(), "decoder_bias": sd["b_dec"], "r_mag": R(S, s=27, k=0.15), "gate_bias": R(S, s=28, k=0.15), "mag_bias": R(S, s=29, k=0.15)}
        if n == "jumprelu":
            t = {"W_enc": sd["W_enc"], "W_dec": sd["W_dec"], "b_enc": sd["b_enc"], "b_dec": sd["b_dec"], "threshold": sd["threshold"]}
        torch.save(t, p + "/ae.pt")
        via_loader(root, "dictionary_learning", "canrager/lm_sae", n, PL.dictionary_learning_sae_huggingface_loader_1, None, "dictionary_learning ae.pt")
    n = "Llama3_1-8B-Base-L3R-8x"
    p = os.path.join(root, "llama_scope", n, "checkpoints")
    os.makedirs(p, exist_ok=True)
    json.dump({"d_model": D, "d_sae": S, "hook_point_in": "blocks.3.hook_resid_post", "jump_relu_threshold": 0.4, "dataset_average_activation_norm": {"in": 7.5}, "use_decoder_bias": True}, open(os.path.join(root, "llama_scope", n, "hyperparams.json"), "w"))
    save_file({"encoder.weight": sd["W_enc"].T.contiguous(), "encoder.bias": sd["b_enc"], "decoder.weight": sd["W_dec"].T.contiguous(), "decoder.bias": sd["b_dec"]}, p + "/final.safetensors")
    import sae_lens.saes.sae as SM
    old = SM.get_norm_scaling_factor
    SM.get_norm_scaling_factor = lambda *a: D ** 0.5 / 7.5
    via_loader(root, "llama_scope", "fnlp/Llama3_1-8B-Base-LXR-8x", n, PL.llama_scope_sae_huggingface_loader, {"dtype": "float32"}, "llama_scope (activation-norm scaling folded)")
    SM.get_norm_scaling_factor = old


if __name__ == "__main__":
    ap = argparse.ArgumentParser()
    ap.add_argument("--out", default="sae")
    a = ap.parse_args()
    os.makedirs(a.out, exist_ok=True)
    native(a.out)
    legacy(a.out)
    others(a.out)
    for k, v in RES.items():
        print("ok  " if v["ok"] else "FAIL", k, {x: y for x, y in v.items() if x != "ok"})
