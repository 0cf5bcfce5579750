#!/usr/bin/env python3
"""Writes registry/names/*.toml: every name that the reference libraries know.

    python names.py enumerate names.json     # in an environment that has them; a minute, no network, no weights
    python names.py write names.json         # needs Python 3.11 alone

Made with transformers 5.23.0 and diffusers 0.42.1 (torch 2.15.0). `enumerate` reads the auto mappings of
transformers and the models beside them, and the pipelines and models of diffusers. `write` gives every name a
category and a task; where the first guess is wrong or arguable, ARGUED below says otherwise and why. The files
written are not edited by hand: names of other origin stand in names/other.toml.
"""
import collections
import importlib
import json
import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
NAMES = os.path.join(os.path.dirname(HERE), "names")
ORIGIN = "transformers 5.23.0"

# ── enumerate ───────────────────────────────────────────────────────────────────────────────────────────────────


def enumerate_names():
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    import transformers
    from transformers import PreTrainedModel
    from transformers.models.auto import modeling_auto
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES, model_type_to_module_name

    tasks = collections.defaultdict(lambda: collections.defaultdict(set))  # model type -> architecture -> tasks
    for attribute in dir(modeling_auto):
        found = re.fullmatch(r"MODEL_(?:FOR_)?(.*?)_?(?:MAPPING_)?NAMES", attribute)
        mapping = getattr(modeling_auto, attribute)
        if found and isinstance(mapping, dict):
            task = found.group(1).strip("_").lower()
            task = "base" if task in ("", "mapping") else task
            for model_type, names in mapping.items():
                for name in names if isinstance(names, (tuple, list)) else (names,):
                    if name:
                        tasks[model_type][name].add(task)
    model_types, architectures = {}, {}
    for model_type in [*CONFIG_MAPPING_NAMES, *(key for key in tasks if key not in CONFIG_MAPPING_NAMES)]:
        module = model_type_to_module_name(model_type)
        names = dict(tasks[model_type])
        folder = os.path.join(os.path.dirname(transformers.__file__), "models", module)
        for file in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
            if not re.fullmatch(r"modeling_.*\.py", file):
                continue
            code = importlib.import_module(f"transformers.models.{module}.{file[:-3]}")
            for name in getattr(code, "__all__", []):
                cls = getattr(code, name, None)
                if isinstance(cls, type) and issubclass(cls, PreTrainedModel) and not name.endswith("PreTrainedModel"):
                    own = getattr(getattr(cls, "config_class", None), "model_type", None)
                    if own == model_type or (own not in CONFIG_MAPPING_NAMES and model_type == module):
                        names.setdefault(name, set())
        model_types[model_type] = {"config_class": CONFIG_MAPPING_NAMES.get(model_type)}
        for name, found in names.items():
            entry = architectures.setdefault(name, {"model_types": [], "tasks": []})
            entry["model_types"].append(model_type)
            entry["tasks"] = sorted({*entry["tasks"], *found})
            modalities = getattr(getattr(transformers, name, None), "input_modalities", None)
            entry["input_modalities"] = [modalities] if isinstance(modalities, str) else list(modalities or [])
            entry["main_input_name"] = getattr(getattr(transformers, name, None), "main_input_name", None)

    import diffusers
    pipelines, models = [], []
    for name in sorted({name for names in diffusers._import_structure.values() for name in names}):
        cls = getattr(diffusers, name, None)
        if isinstance(cls, type) and issubclass(cls, diffusers.DiffusionPipeline):
            pipelines.append(name)
        elif isinstance(cls, type) and issubclass(cls, diffusers.ModelMixin):
            models.append(name)
    return {"model_types": model_types, "architectures": architectures,
            "diffusers": {"pipelines": pipelines, "model_classes": models}}


# ── write ───────────────────────────────────────────────────────────────────────────────────────────────────────

SPEECH = {"bark", "csm", "dia", "musicgen", "musicgen_melody", "vits", "encodec", "mimi", "dac", "univnet", "speecht5",
          "vibevoice"}
VOICE = re.compile(r"talker|token2wav|code2wav|codec|tts|vocoder|hifigan", re.I)


def guess(name, tasks, modalities, model_type, main_input):
    """A category from what the reference says: its auto mappings first, then what the model takes."""
    if tasks & {"text_to_waveform", "text_to_spectrogram", "audio_tokenization"}:
        return "omni" if "omni" in name.lower() else "tts"
    if "omni" in name.lower():
        return "omni"
    speech_in = tasks & {"speech_seq_2_seq", "ctc"} or "speechtotext" in name.lower()
    if (VOICE.search(name) or model_type in SPEECH) and not speech_in and "texttotext" not in name.lower():
        return "tts"
    if tasks & {"ctc", "rnnt", "tdt", "speech_seq_2_seq"} or speech_in:
        return "asr"
    if tasks & {"audio_classification", "audio_frame_classification", "audio_xvector"}:
        return "audio_encoder"
    if tasks & {"image_text_to_text", "multimodal_lm", "visual_question_answering", "document_question_answering",
                "retrieval"}:
        if "audio" in modalities and not modalities & {"image", "video"}:
            return "asr"
        if modalities & {"image", "video"} or "image_text_to_text" in tasks:
            return "vision_language"
    if tasks & {"zero_shot_image_classification", "zero_shot_object_detection"}:
        return "vision_encoder"
    if "text" in modalities and modalities & {"image", "video"}:
        return "vision_language"
    if {"text", "audio"} <= modalities:
        return "audio_encoder" if model_type == "clap" else "asr"
    if modalities and modalities <= {"image", "video"} or main_input in ("pixel_values", "pixel_values_videos"):
        return "vision_encoder"
    if modalities == {"audio"} or main_input in ("input_features", "input_values"):
        return "audio_encoder"
    return "transformers"


# Where the guess is wrong, or where one could argue: category, the argument, the names.
ARGUED = [
    ("audio_encoder", "the loader's specification lists it as an audio encoder, although its head transcribes",
     "Wav2Vec2ForCTC"),
    ("transformers", "it takes numbers over time and no other modality: the fallback category for sequence models",
     """AutoformerModel AutoformerForPrediction InformerModel InformerForPrediction
     PatchTSMixerForTimeSeriesClassification PatchTSMixerForRegression PatchTSMixerModel PatchTSMixerForPrediction
     PatchTSMixerForPretraining PatchTSTForClassification PatchTSTForRegression PatchTSTModel PatchTSTForPrediction
     PatchTSTForPretraining TimeSeriesTransformerModel TimeSeriesTransformerForPrediction TimesFmModelForPrediction
     TimesFmModel TimesFm2_5ModelForPrediction TimesFm2_5Model"""),
    ("transformers", "a table is given to it as tokens", "TapasForQuestionAnswering"),
    ("transformers", "a text decoder; only its name has `table` in it",
     "StableLmModel StableLmForSequenceClassification StableLmForTokenClassification"),
    ("transformers", "the text tower of a model of several modalities: it takes token ids alone",
     """AlignTextModel AltCLIPTextModel BlipTextModel BlipTextLMHeadModel ChineseCLIPTextModel ClapTextModel
     ClapTextModelWithProjection CLIPTextModelWithProjection CLIPSegTextModel FlavaTextModel GroupViTTextModel
     MetaClip2TextModel MetaClip2TextModelWithProjection Owlv2TextModel OwlViTTextModel Pix2StructTextModel
     Siglip2TextModel SiglipTextModel VideoPrismTextModel XCLIPTextModel Aimv2TextModel Blip2TextModelWithProjection
     PPFormulaNetTextModel Sam3LiteTextTextModel"""),
    ("transformers", "the text decoder of a multimodal model: it takes token ids alone",
     """DeepseekOcr2TextModel DiffusionGemmaDecoderModel DiffusionGemmaEncoderTextModel Step3p7TextModel
     UnlimitedOcrTextModel CohereCompassForCausalLM CohereCompassTextForSequenceClassification Emu3ForCausalLM
     Emu3TextModel Ernie4_5_VLMoeTextModel Ernie4_5_VL_MoeTextModel Gemma3ForCausalLM Gemma3nForCausalLM
     Gemma4ForCausalLM Gemma4UnifiedForCausalLM Granite4VisionTextModel Llama4ForCausalLM MiniMaxM3VLForCausalLM
     MiniMaxM3VLTextModel Mistral4ForCausalLM MistralLarge4TextModel MllamaForCausalLM Molmo2TextModel
     PaddleOCRTextModel"""),
    ("transformers", "a byte-level language model: its patches are of bytes, not of images",
     "BltModel BltForCausalLM BltPatcher"),
    ("transformers", "text in, and text or a label out",
     """BartPretrainedModel PretrainedBartModel BrosSpadeEEForTokenClassification BrosSpadeELForTokenClassification
     DPRContextEncoder DPRPretrainedContextEncoder DPRPretrainedQuestionEncoder DPRPretrainedReader DPRReader
     FlaubertForQuestionAnswering PretrainedFSMTModel GPT2DoubleHeadsModel LongT5EncoderModel LukeForEntityClassification
     LukeForEntityPairClassification LukeForEntitySpanClassification OpenAIGPTDoubleHeadsModel ProphetNetDecoder
     ProphetNetEncoder RagModel RagSequenceForGeneration RagTokenForGeneration SwitchTransformersEncoderModel
     XLMForQuestionAnswering XLNetForQuestionAnswering PerceiverForMaskedLM PerceiverForSequenceClassification"""),
    ("transformers", "a sequence of amino acids in, as tokens", "EsmForProteinFolding EsmFold2Model"),
    ("transformers", "the decoder-only core of a policy over trajectories, fed with embeddings",
     "DecisionTransformerGPT2Model"),
    ("vision_encoder", "it takes images and prompts, and gives masks: no text comes out",
     """SamModel SamHQModel Sam2Model Sam2VideoModel Sam3Model Sam3TrackerModel Sam3TrackerVideoModel Sam3VideoModel
     Sam3LiteTextModel EdgeTamModel EdgeTamVideoModel CLIPSegForImageSegmentation"""),
    ("vision_encoder", "the base of an open-vocabulary detector, whose detecting head is a vision encoder too",
     "GroundingDinoModel MMGroundingDinoModel OwlViTModel Owlv2Model"),
    ("vision_encoder", "two towers trained to agree, as in the dual encoders that the specification lists",
     "GroupViTModel XCLIPModel VisionTextDualEncoderModel PeVideoModel"),
    ("vision_encoder", "the vision tower of a model of several modalities: it takes pixels alone",
     """Gemma4VisionModel Qwen2_5_VisionTransformerPretrainedModel Sam3VisionModel Sam3ViTModel DeepseekOcr2VisionModel
     MiniMaxM3VLVisionModel UnlimitedOcrVisionModel VideoPrismVideoModel Exaone4_5_VisionModel InklingVisionModel
     Step3p7VisionModel"""),
    ("vision_encoder", "it turns an image into tokens", "ChameleonVQVAE JanusVQVAE GlmImageVQVAE"),
    ("vision_encoder", "it reads characters off an image, one head per position: no language model inside",
     "MgpstrModel"),
    ("vision_language", "the whole of a model that writes formulas for images, without its head", "PPFormulaNetModel"),
    ("audio_encoder", "two towers trained to agree, one of them for sound",
     "PeAudioModel PeAudioVideoModel PeAudioFrameLevelModel"),
    ("audio_encoder", "the audio tower of a model of several modalities: it takes sound alone",
     "Gemma4AudioModel InklingAudioModel"),
    ("asr", "a model that turns speech into text, without its head",
     """WhisperModel Speech2TextModel CanaryModel CohereAsrModel MoonshineModel MoonshineStreamingModel FunAsrNanoModel
     GlmAsrModel GraniteSpeechModel GraniteSpeechPlusModel MossTranscribeDiarizeModel Nemotron3_5TranscribeModel
     Qwen3ASRModel VibeVoiceAsrModel VoxtralModel VoxtralRealtimeModel"""),
    ("asr", "the decoder of a speech recogniser, used to draft for it", "WhisperForCausalLM"),
    ("asr", "it aligns speech with its transcript", "Qwen3ASRForTokenClassification"),
    ("asr", "sound and text in, text out: a speech recogniser that can also be asked questions",
     """AudioFlamingo3ForConditionalGeneration AudioFlamingo3Model MusicFlamingoForConditionalGeneration
     MusicFlamingoModel Qwen2AudioForConditionalGeneration Qwen2AudioModel"""),
    ("omni", "speech and text in, speech and text out",
     "MoshiModel MoshiForConditionalGeneration SeamlessM4TModel SeamlessM4Tv2Model"),
    ("tts", "text in, speech out, although the reference maps it under speech recognition", "DiaForConditionalGeneration"),
    ("tts", "it gives speech", """SeamlessM4TForSpeechToSpeech SeamlessM4Tv2ForSpeechToSpeech MimiDecoderModel
     VibeVoiceAcousticTokenizerDecoderModel"""),
    ("tts", "it gives the units that a vocoder turns into speech",
     """SeamlessM4TTextToUnitForConditionalGeneration SeamlessM4TTextToUnitModel CsmDepthDecoderForCausalLM
     CsmDepthDecoderModel HiggsAudioV2Model"""),
    ("tts", "a part of a text-to-speech model: it scores or writes speech tokens",
     "ClvpModel ClvpEncoder ClvpDecoder ClvpForCausalLM ClvpModelForConditionalGeneration"),
]

# The task that names an architecture of several, the most telling first.
TASKS = [
    ("text_to_waveform", "text-to-speech"), ("text_to_spectrogram", "text-to-spectrogram"),
    ("audio_tokenization", "speech-codes"), ("speech_seq_2_seq", "speech-seq2seq"), ("ctc", "ctc"),
    ("rnnt", "transducer"), ("tdt", "transducer"), ("image_text_to_text", "image-text-to-text"),
    ("seq_to_seq_causal_lm", "seq2seq-lm"), ("causal_lm", "causal-lm"), ("multimodal_lm", "image-text-to-text"),
    ("zero_shot_image_classification", "image-text"), ("zero_shot_object_detection", "object-detection"),
    ("masked_lm", "masked-lm"), ("base", None), ("text_encoding", None), ("image", None),
]
FEATURES = {"transformers": "embed", "vision_encoder": "image-features", "audio_encoder": "speech-features",
            "asr": "speech-features", "tts": "part", "omni": "part", "vision_language": "multimodal-features"}


def task_of(name, category, tasks):
    if category == "transformers" and name.endswith("ForCausalLM"):
        return "causal-lm"
    for known, task in TASKS:
        if known in tasks:
            if known == "seq_to_seq_causal_lm" and category == "asr":
                return "speech-seq2seq"
            return task or FEATURES[category]
    if tasks:
        return sorted(tasks)[0].replace("_", "-")
    return "part"


# What a model type means where a config names no architecture: the first of these that it has.
DEFAULTS = ["image_text_to_text", "speech_seq_2_seq", "text_to_waveform", "text_to_spectrogram",
            "seq_to_seq_causal_lm", "base_if_masked", "causal_lm", "multimodal_lm", "base", "text_encoding", "ctc"]


def default_of(architectures):
    """`architectures`: name to tasks, of one model type."""
    masked = any("masked_lm" in tasks for tasks in architectures.values())
    for wanted in DEFAULTS:
        if wanted == "base_if_masked":
            if not masked:
                continue
            wanted = "base"
        named = sorted((name for name, tasks in architectures.items() if wanted in tasks), key=lambda n: (len(n), n))
        if named:
            return named[0]
    return min(architectures, key=lambda name: (len(name), name), default=None)


def quoted(name):
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else json.dumps(name)


def header(what, origin):
    return f"#:schema ../../schema/registry.json\n# {what}\n# From {origin}, by ../tools/names.py. Not edited by hand.\n"


def write_known(file, what, origin, tables):
    """`tables`: (category, task) to name to model types."""
    lines = [header(what, origin)]
    for (category, task), names in sorted(tables.items()):
        lines.append(f"[known.{category}.{task}]")
        for name, types in sorted(names.items()):
            value = json.dumps(types[0]) if len(types) == 1 else json.dumps(types)
            lines.append(f"{quoted(name)} = {value}")
        lines.append("")
    with open(os.path.join(NAMES, file), "w") as out:
        out.write("\n".join(lines).rstrip() + "\n")


def write(names):
    argued = {name: (category, why) for category, why, text in ARGUED for name in text.split()}
    unknown = [name for name in argued if name not in names["architectures"]]
    assert not unknown, f"argued about, but not known: {unknown}"
    by_category = collections.defaultdict(lambda: collections.defaultdict(dict))
    per_type = collections.defaultdict(dict)
    for name, entry in names["architectures"].items():
        tasks, modalities = set(entry["tasks"]), set(entry["input_modalities"] or [])
        first = entry["model_types"][0] if entry["model_types"] else ""
        category = argued[name][0] if name in argued else guess(name, tasks, modalities, first, entry["main_input_name"])
        by_category[category][category, task_of(name, category, tasks)][name] = sorted(entry["model_types"])
        for model_type in entry["model_types"]:
            per_type[model_type][name] = tasks
    for category, tables in by_category.items():
        write_known(f"{category}.toml", f"Architectures of category `{category}`, by task, with their model types.",
                    ORIGIN, tables)
    diffusers = names["diffusers"]
    write_known("diffusers.toml", "Pipelines, and the models that they are made of.", "diffusers 0.42.1", {
        ("diffusers", "pipeline"): {name: [] for name in diffusers["pipelines"]},
        ("diffusers", "component"): {name: [] for name in diffusers["model_classes"]},
    })
    lines = [header("What a `model_type` means where a config names no architecture.", ORIGIN), "[model-types]"]
    for model_type, entry in sorted(names["model_types"].items()):
        default = default_of(per_type[model_type])
        if default:
            config = entry["config_class"]
            config = f", config-class = {json.dumps(config)}" if config else ""
            lines.append(f"{quoted(model_type)} = {{ architecture = {json.dumps(default)}{config} }}")
    with open(os.path.join(NAMES, "model-types.toml"), "w") as out:
        out.write("\n".join(lines) + "\n")
    lines = [header("Names whose category one could argue about, and the argument.", "ARGUED in that script"), "[argued]"]
    for name, (_, why) in sorted(argued.items()):
        lines.append(f"{quoted(name)} = {json.dumps(why)}")
    with open(os.path.join(NAMES, "argued.toml"), "w") as out:
        out.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    step, file = sys.argv[1:]
    if step == "enumerate":
        with open(file, "w") as out:
            json.dump(enumerate_names(), out, indent=1)
    else:
        with open(file) as source:
            write(json.load(source))
