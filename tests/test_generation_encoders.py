"""What generating costs with an encoder: by hand, and beside what transformers does on real tensors."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

pytest.importorskip("transformers", reason="its models are built")

from opcount import Input
from opcount.cli import main
from opcount.errors import InputError
from opcount.generation import generate
from opcount.targets import Knobs, Target, load

HIDDEN, INNER, WORDS = 32, 48, 64
T5 = dict(num_layers=2, d_model=HIDDEN, d_kv=8, d_ff=INNER, num_heads=4, vocab_size=WORDS)
BART = dict(
    encoder_layers=1, decoder_layers=2, d_model=HIDDEN, encoder_attention_heads=4, decoder_attention_heads=4,
    encoder_ffn_dim=INNER, decoder_ffn_dim=INNER, vocab_size=WORDS, max_position_embeddings=64,
    forced_eos_token_id=None,
)  # fmt: skip
WHISPER = {**BART, "max_source_positions": 50, "num_mel_bins": 8, "pad_token_id": 0, "bos_token_id": 0,
           "eos_token_id": 0, "decoder_start_token_id": 1}  # fmt: skip
del WHISPER["max_position_embeddings"], WHISPER["forced_eos_token_id"]

MODELS: dict[str, dict[str, Any]] = {
    "T5ForConditionalGeneration": T5,
    "UMT5ForConditionalGeneration": T5,
    "BartForConditionalGeneration": BART,
    "MarianMTModel": {**BART, "pad_token_id": 0, "eos_token_id": 0, "decoder_start_token_id": 1},
    "WhisperForConditionalGeneration": WHISPER,
}


def loaded(name: str, **knobs: Any) -> Target:
    return load(f"transformers:{name}", {**MODELS[name], "attn_implementation": "eager"}, knobs=Knobs(**knobs))


def really(target: Target, tokens: int) -> int:
    """The MACs of generating on real tensors; FlopCounterMode knows no fused attention of the CPU."""
    from transformers import GenerationMixin

    from opcount.inputs import call_arguments

    assert target.real is not None
    model = target.real()
    model.generation_config.eos_token_id, model.generation_config.decoder_start_token_id = None, 1
    _, given = call_arguments(model, target.inputs, None)
    given.pop("decoder_input_ids")
    if "input_ids" in given:
        given["input_ids"] = torch.full_like(given["input_ids"], 5)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        out = GenerationMixin.generate(model, **given, max_new_tokens=tokens, do_sample=False)
    assert out.shape[1] == 1 + tokens
    return counter.get_total_flops() // 2


@pytest.mark.parametrize("name", MODELS)
def test_generating_is_what_transformers_does(name: str) -> None:
    target = loaded(name, batch=2, **({} if name[0] == "W" else {"seq": 10}))
    found = generate(target.model, target.inputs, 9)
    assert found.complete
    assert found.total.macs == really(target, 9)


def test_bart_by_hand() -> None:
    """Encoder once; the decoder's first call makes keys and values of what was read, which later calls only look at."""
    source, tokens = 10, 20
    target = loaded("BartForConditionalGeneration", seq=source)
    found = generate(target.model, target.inputs, tokens)
    encoder = source * (4 * HIDDEN**2 + 2 * source * HIDDEN + 2 * HIDDEN * INNER)
    cross = 2 * source * HIDDEN**2  # two layers of these

    def step(length: int) -> int:
        own, looking = 4 * HIDDEN**2 + 2 * length * HIDDEN, 2 * HIDDEN**2 + 2 * source * HIDDEN
        return 2 * (own + looking + 2 * HIDDEN * INNER) + HIDDEN * WORDS

    assert found.encoder is not None
    assert found.encoder.macs == encoder
    assert found.prefill.macs == encoder + 2 * cross + step(1)
    assert (found.first.macs, found.last.macs) == (step(2), step(tokens))
    assert found.decode.macs == sum(step(length) for length in range(2, tokens + 1))
    assert found.counted_at == (1, 7, 10, 19)


def test_what_is_read_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    words = [f"--arg={name}={value}" for name, value in T5.items()]
    assert main(["transformers:t5", *words, "--seq", "10", "--generate", "5", "--format", "plain"]) == 0
    said = capsys.readouterr().out
    for row in ("encoder (10 tokens)", "token 1 (cross-attention cached)", "token 2 (after 1)", "tokens 2 to 5"):
        assert row in said
    assert main(["transformers:t5", *words, "--seq", "10", "--generate", "5", "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["read"] == "10 tokens"
    assert 0 < found["encoder"]["macs"] < found["prefill"]["macs"] < found["total"]["macs"]


def test_a_longer_source_costs_its_cross_attention_alone() -> None:
    target = loaded("T5ForConditionalGeneration", seq=10)
    found = [generate(target.model, {"input_ids": Input((1, length), "int64")}, 3) for length in (10, 30)]
    assert found[1].first.macs - found[0].first.macs == 2 * 2 * 20 * HIDDEN  # scores and sums, in two layers


def test_an_encoder_whose_input_is_not_known() -> None:
    model = loaded("T5ForConditionalGeneration").model
    with pytest.raises(InputError, match="what the encoder of T5ForConditionalGeneration reads is not known"):
        generate(model, {}, 3)
