"""Models of transformers: built from configurations, counted by shapes, with experts, and generating."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

pytest.importorskip("transformers", reason="its models are built")

from opcount import Input
from opcount.cli import main
from opcount.errors import InputError, OpCountError
from opcount.experts import experts
from opcount.generation import generate
from opcount.ops import OpCount
from opcount.result import Profile
from opcount.targets import Knobs, Target, counted, load

BASE = dict(num_hidden_layers=2, hidden_size=32, intermediate_size=48, num_attention_heads=4, vocab_size=64)
UNWORDED = {name: value for name, value in BASE.items() if name != "vocab_size"}
LLAMA = {**BASE, "num_key_value_heads": 2}


def llama_macs(tokens: int, seen: int, said: int, *, layers: int, hidden: int, inner: int, kv: int, words: int) -> int:
    """Products of a Llama on some tokens behind others: projections, gated perceptron, attention, the words said."""
    projections = hidden * hidden * 2 + 2 * hidden * kv + 3 * hidden * inner
    return layers * tokens * (projections + 2 * (seen + tokens) * hidden) + said * hidden * words


def loaded(name: str, arguments: dict[str, Any] | None = None, **knobs: Any) -> Target:
    return load(f"transformers:{name}", arguments, knobs=Knobs(**knobs))


def refused(name: str, arguments: dict[str, Any] | None = None, **knobs: Any) -> str:
    with pytest.raises(OpCountError) as caught:
        loaded(name, arguments, **knobs)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def by_flop_counter(target: Target) -> int:
    from opcount.inputs import call_arguments

    model = target.model.requires_grad_(False)
    args, keywords = call_arguments(model, target.inputs, None, shapes_only=True)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(*args, **keywords)
    return counter.get_total_flops() // 2


# What is built


@pytest.mark.parametrize("name", ["llama", "LlamaConfig", "LlamaForCausalLM"])
def test_a_llama_by_any_name(name: str) -> None:
    target = loaded(name, LLAMA, batch=3, seq=5)
    assert type(target.model).__name__ == "LlamaForCausalLM"
    assert target.inputs == {"input_ids": Input((3, 5), "int64")}
    found = counted(target)
    assert found.execution == "shapes"
    assert found.complete
    assert found.macs == 3 * llama_macs(5, 0, 5, layers=2, hidden=32, inner=48, kv=16, words=64) == 270_720


def test_a_model_of_405_billion_parameters_from_its_file(tmp_path: Path) -> None:
    sizes = dict(hidden_size=16384, intermediate_size=53248, num_hidden_layers=126, num_attention_heads=128)
    file = tmp_path / "config.json"
    more = dict(model_type="llama", architectures=["LlamaForCausalLM"], num_key_value_heads=8, vocab_size=128256)
    file.write_text(json.dumps({**sizes, **more, "max_position_embeddings": 131072, "dtype": "bfloat16"}))
    target = loaded(str(file), seq=8192)
    assert next(target.model.parameters()).is_meta
    found = counted(target)
    assert (found.execution, found.complete) == ("shapes", True)
    assert found.params == 405_853_388_800
    assert found.macs == 3_584_579_705_241_600
    wide = dict(layers=126, hidden=16384, inner=53248, kv=1024, words=128256)
    assert found.macs == llama_macs(8192, 0, 8192, **wide)
    assert set(found.by_dtype) == {"bfloat16", "float32"}  # positions and norms are worked out in more digits


SMALL: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "BertForMaskedLM": (BASE, {"seq": 6}),
    "GPT2LMHeadModel": (dict(n_layer=2, n_embd=32, n_head=4, vocab_size=64), {"seq": 6}),
    "T5ForConditionalGeneration": (dict(num_layers=2, d_model=32, d_kv=8, d_ff=48, num_heads=4, vocab_size=64), {}),
    "ViTForImageClassification": ({**UNWORDED, "image_size": 32}, {"batch": 2}),
    "WhisperForConditionalGeneration": (
        dict(encoder_layers=1, decoder_layers=1, d_model=32, encoder_attention_heads=4, decoder_attention_heads=4,
             encoder_ffn_dim=48, decoder_ffn_dim=48, max_source_positions=50),
        {},
    ),
    "MambaForCausalLM": (dict(num_hidden_layers=2, hidden_size=32, vocab_size=64), {"seq": 6}),
    "CLIPModel": ({}, {"batch": 1}),
    "Wav2Vec2ForCTC": ({**BASE, "conv_dim": (8,) * 7, "num_conv_pos_embeddings": 8,
                        "num_conv_pos_embedding_groups": 4}, {"seq": 4000}),
}  # fmt: skip


@pytest.mark.parametrize("name", SMALL)
def test_natural_inputs_and_the_flop_counter(name: str) -> None:
    arguments, knobs = SMALL[name]
    target = loaded(name, arguments, **knobs)
    found = counted(target)
    assert found.complete, found.uncounted
    assert found.execution == "shapes"
    assert found.macs == by_flop_counter(target)


def test_resolution_of_a_vision_model() -> None:
    arguments = dict(depths=[1, 1, 1, 1], hidden_sizes=[8, 8, 8, 8])
    small, large = (
        counted(loaded("ConvNextForImageClassification", arguments, resolution=size)) for size in ((32, 32), (64, 32))
    )
    assert small.inputs == ((1, 3, 32, 32),)
    head = small["classifier"].ops.macs
    assert large.macs - head == 2 * (small.macs - head)


@pytest.mark.parametrize("size", [(48, 48), (32, 64)])
def test_a_model_made_for_one_size_is_built_for_another(size: tuple[int, int]) -> None:
    """A patch is a token, and every token has a position: a row of parameters."""
    plain, other = (
        counted(loaded("ViTForImageClassification", {**UNWORDED, "image_size": 32, "patch_size": 8}, resolution=each))
        for each in (None, size)
    )
    tokens = size[0] * size[1] // 64
    assert other.inputs == ((1, 3, *size),)
    assert other.params - plain.params == (tokens - 16) * 32
    name = "vit.embeddings.patch_embeddings.projection"
    assert other[name].ops.macs == tokens * 3 * 64 * 32


@pytest.mark.parametrize(
    ("name", "arguments", "knobs", "said"),
    [
        ("LlamaForCasualLM", None, {}, "transformers has no 'LlamaForCasualLM'; did you mean LlamaForCausalLM"),
        ("llama", {"num_hiden_layers": 2}, {}, "no field 'num_hiden_layers'; did you mean num_hidden_layers"),
        ("llama", {"hidden_size": "wide"}, {}, "making a LlamaConfig for transformers:llama failed"),
        ("llama", LLAMA, {"resolution": (3, 3)}, "takes no --resolution: its natural input has --batch and --seq"),
        ("AutoTokenizer", None, {}, "is neither a model's nor a configuration's class"),
        ("/no/such/config.json", None, {}, "cannot read '/no/such/config.json': No such file"),
    ],
)
def test_what_cannot_be_built(name: str, arguments: Any, knobs: dict[str, Any], said: str) -> None:
    assert said in refused(name, arguments, **knobs)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "is no JSON"),
        ("[1]", "it holds list, not an object"),
        ("{}", "it has no model_type"),
        ('{"model_type": "lama"}', "did you mean llama"),
        ('{"model_type": "llama", "hidden_size": "x"}', "making a LlamaConfig"),
    ],
)
def test_files_that_are_no_configuration(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "config.json").write_text(text)
    assert said in refused(str(tmp_path / "config.json"))


def test_code_that_a_configuration_refers_to_is_not_run(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    (tmp_path / "evil.py").write_text("raise AssertionError('it was run')")
    said = {"model_type": "llama", "auto_map": {"AutoModelForCausalLM": "evil.Evil"}, **LLAMA}
    file.write_text(json.dumps(said))
    assert type(loaded(str(file)).model).__name__ == "LlamaForCausalLM"


@pytest.mark.parametrize("name", ["LlamaForCausalLM", "BertForMaskedLM"])
def test_both_implementations_of_attention(name: str) -> None:
    fused, eager = (
        counted(loaded(name, {**(LLAMA if name[0] == "L" else BASE), "attn_implementation": way}, seq=7))
        for way in ("sdpa", "eager")
    )
    for figure in ("macs", "multiplications", "divisions", "comparisons", "transcendentals"):
        assert getattr(fused, figure) == getattr(eager, figure), figure
    masked = 2 * 4 * 7 * 7 if name[0] == "L" else 0  # eager adds the causal mask to each score; sdpa is told of it
    assert eager.additions - fused.additions == masked


# Experts


MIXTRAL = {**LLAMA, "num_local_experts": 8, "num_experts_per_tok": 2}


def test_each_token_goes_to_its_chosen_experts() -> None:
    found = counted(loaded("MixtralForCausalLM", MIXTRAL, seq=5))
    assert (found.execution, found.complete) == ("shapes", True)
    dense = llama_macs(5, 0, 5, layers=2, hidden=32, inner=0, kv=16, words=64)
    assert found.macs == dense + 2 * 5 * (32 * 8 + 2 * 3 * 32 * 48)


@pytest.mark.parametrize("way", ["batched_mm", "eager"])
def test_every_way_to_compute_experts_agrees(way: str) -> None:
    """The batched way is bmm; the eager one runs real tokens through each expert that real scores choose."""
    grouped = counted(loaded("MixtralForCausalLM", MIXTRAL, seq=5))
    other = counted(loaded("MixtralForCausalLM", {**MIXTRAL, "experts_implementation": way}, seq=5))
    assert other.macs == grouped.macs
    assert other.execution == ("real" if way == "eager" else "shapes")


def test_active_parameters() -> None:
    target = loaded("MixtralForCausalLM", MIXTRAL, seq=5)
    found = counted(target)
    mixed = experts(target.model, found)
    assert mixed is not None
    assert (mixed.total, mixed.active) == (found.params, found.params - 2 * 6 * 3 * 32 * 48)
    plain = loaded("LlamaForCausalLM", LLAMA)
    assert experts(plain.model, counted(plain)) is None


# Generating


def decoded(seen: int) -> int:
    return llama_macs(1, seen, 1, layers=2, hidden=32, inner=48, kv=16, words=64)


def test_generating_by_hand() -> None:
    target = loaded("LlamaForCausalLM", LLAMA, seq=8)
    found = generate(target.model, target.inputs, 20)
    assert found.prefill.macs == llama_macs(8, 0, 1, layers=2, hidden=32, inner=48, kv=16, words=64)
    assert (found.first.macs, found.last.macs) == (decoded(8), decoded(26)) == (18_560, 20_864)
    assert found.decode.macs == sum(map(decoded, range(8, 27)))
    assert found.complete
    assert len(found.counted_at) == 4


CACHED: dict[str, dict[str, Any]] = {
    "LlamaForCausalLM": LLAMA,
    "GPT2LMHeadModel": dict(n_layer=2, n_embd=32, n_head=4, vocab_size=64),
    "MambaForCausalLM": dict(num_hidden_layers=2, hidden_size=32, vocab_size=64),
    "MixtralForCausalLM": {**MIXTRAL, "experts_implementation": "batched_mm"},
}


@pytest.mark.parametrize("name", CACHED)
def test_generating_is_what_transformers_does(name: str) -> None:
    """FlopCounterMode knows no fused attention of the CPU, so attention is the eager one."""
    target = loaded(name, {**CACHED[name], "attn_implementation": "eager"}, batch=2, seq=8)
    found = generate(target.model, target.inputs, 9)
    assert target.real is not None
    model = target.real()
    model.generation_config.eos_token_id, model.generation_config.pad_token_id = None, 0
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model.generate(torch.ones(2, 8, dtype=torch.long), max_new_tokens=9, do_sample=False)
    assert found.total.macs == counter.get_total_flops() // 2


def test_a_sliding_window_bends_the_line() -> None:
    arguments = {**LLAMA, "sliding_window": 12}
    target = loaded("MistralForCausalLM", arguments, seq=8)
    found = generate(target.model, target.inputs, 20)
    every = [
        generate(target.model, loaded("MistralForCausalLM", arguments, seq=n).inputs, 2).first for n in range(8, 27)
    ]
    assert found.decode == sum(every, OpCount())


def test_one_token_is_the_prompt_alone() -> None:
    target = loaded("LlamaForCausalLM", LLAMA, seq=8)
    found = generate(target.model, target.inputs, 1)
    assert (found.decode, found.total, found.counted_at) == (OpCount(), found.prefill, ())
    assert json.loads(found.render("json", None))["total"]["macs"] == found.total.macs
    assert found.render("csv", None).startswith("step,multiplications")


def test_what_does_not_generate() -> None:
    bert = loaded("BertModel", BASE)
    with pytest.raises(InputError, match="keeps no cache"):
        generate(bert.model, bert.inputs, 3)
    vit = loaded("ViTModel", {**UNWORDED, "image_size": 32})
    with pytest.raises(InputError, match="that reads input_ids"):
        generate(vit.model, vit.inputs, 3)


# Values that a forward makes itself


@pytest.mark.parametrize("name", ["ConvBertForMaskedLM", "BartForConditionalGeneration"])
def test_masks_and_positions_are_known(name: str) -> None:
    """These ask whether their own mask is all ones, or whether a token is padding: a real run finds the same."""
    arguments = {**BASE, "embedding_size": 32} if name[0] == "C" else dict(
        encoder_layers=1, decoder_layers=1, d_model=32, encoder_attention_heads=4, decoder_attention_heads=4,
        encoder_ffn_dim=48, decoder_ffn_dim=48, vocab_size=64,
    )  # fmt: skip
    target = loaded(name, arguments, seq=10)
    found = counted(target)
    assert found.execution == "shapes"
    assert target.real is not None
    real = _by_running(target)
    assert [record.ops for record in found.layers] == [record.ops for record in real.layers]


def _by_running(target: Target) -> Profile:
    from opcount import profile

    assert target.real is not None
    return profile(target.real(), target.inputs, execution="real")


# The command, and more of it all


def test_the_command_generates(capsys: pytest.CaptureFixture[str]) -> None:
    words = [f"--arg={name}={value}" for name, value in LLAMA.items()]
    assert main(["transformers:llama", *words, "--seq", "8", "--generate", "20"]) == 0
    said = capsys.readouterr().out
    assert "20,864" in said
    assert "token 20 (after 26)" in said
    assert main(["transformers:llama", *words, "--seq", "8", "--generate", "20", "--format", "speedscope"]) == 2
    assert "--generate has no form 'speedscope'" in capsys.readouterr().err


def test_the_command_tells_of_experts(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["transformers:mixtral", *(f"--arg={name}={value}" for name, value in MIXTRAL.items())]) == 0
    assert "parameters active for a token (2 of 8 experts)" in capsys.readouterr().out


MORE = ["albert", "audio-spectrogram-transformer", "bart", "beit", "bert", "big_bird", "bit", "blip", "clip"]
MORE += ["convbert", "detr", "dpt", "fsmt", "layoutlm", "roberta", "t5", "timesformer", "xlnet"]


@pytest.mark.slow
@pytest.mark.parametrize("name", MORE)
def test_more_architectures(name: str) -> None:
    from benchmarks.transformers_zoo import one

    entry = one(name, "")
    assert entry.figures is not None, entry.problem
    assert entry.uncounted == ()
    assert entry.agrees is not False
