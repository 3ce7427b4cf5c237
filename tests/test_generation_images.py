"""Models that read an image among the tokens of a text: how many places it takes, and what generating then costs."""

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
from opcount.errors import TargetError
from opcount.generation import generate
from opcount.targets import Knobs, Target, counted, load

HIDDEN, INNER, WORDS = 32, 48, 64
TEXT = dict(num_hidden_layers=2, hidden_size=HIDDEN, intermediate_size=INNER, num_attention_heads=4,
            num_key_value_heads=2, vocab_size=WORDS)  # fmt: skip
CLIP = dict(model_type="clip_vision_model", hidden_size=16, intermediate_size=24, num_hidden_layers=3,
            num_attention_heads=2, image_size=28, patch_size=7, projection_dim=8)  # fmt: skip
LLAVA = dict(model_type="llava", text_config={"model_type": "llama", **TEXT}, vision_config=CLIP, image_token_index=63)
ROPE = {"rope_type": "default", "mrope_section": [1, 1, 2]}
QWEN_TEXT = {"model_type": "qwen2_vl_text", **TEXT, "rope_parameters": ROPE}
QWEN_IMAGE = dict(depth=2, embed_dim=16, hidden_size=HIDDEN, num_heads=2, patch_size=7)
QWEN = dict(model_type="qwen2_vl", text_config=QWEN_TEXT, vision_config=QWEN_IMAGE, image_token_id=63,
            video_token_id=62, vision_start_token_id=61, vision_end_token_id=60)  # fmt: skip
QWEN25 = {**QWEN, "model_type": "qwen2_5_vl", "text_config": {**QWEN_TEXT, "model_type": "qwen2_5_vl_text"},
          "vision_config": dict(depth=2, hidden_size=16, out_hidden_size=HIDDEN, num_heads=2, patch_size=7,
                                intermediate_size=24, window_size=28, fullatt_block_indexes=[1])}  # fmt: skip
# name: its configuration, the side of the image, the places that it takes
MODELS: dict[str, tuple[dict[str, Any], int, int]] = {
    "llava": (LLAVA, 28, 16),  # patches of 7
    "qwen2_vl": (QWEN, 56, 16),  # patches of 7, four of them one token
    "qwen2_5_vl": (QWEN25, 56, 16),
}


def loaded(folder: Path, name: str, **knobs: Any) -> Target:
    file = folder / f"{name}.json"
    file.write_text(json.dumps(MODELS[name][0]))
    return load(f"transformers:{file}", {"attn_implementation": "eager"}, knobs=Knobs(**knobs))


@pytest.mark.parametrize("name", MODELS)
def test_an_image_takes_as_many_places_as_the_model_makes_of_it(name: str, tmp_path: Path) -> None:
    _, side, places = MODELS[name]
    target = loaded(tmp_path, name, batch=2, seq=5, resolution=(side, side))
    tokens = target.inputs["input_ids"]
    assert tokens.shape == (2, places + 5)
    assert (tokens == 63).sum(1).tolist() == [places, places]
    found = counted(target)
    assert (found.execution, found.complete) == ("shapes", True)
    text = counted(loaded(tmp_path, name, batch=2, seq=places + 5))
    assert found["lm_head"].ops == text["lm_head"].ops
    path = "model.language_model"
    assert found[path].subtree.macs == text[path].subtree.macs


@pytest.mark.parametrize("name", MODELS)
def test_generating_behind_an_image_is_what_transformers_does(name: str, tmp_path: Path) -> None:
    """The image is read with the prompt, once; FlopCounterMode watches ``model.generate`` on real tensors."""
    from opcount.inputs import call_arguments

    _, side, places = MODELS[name]
    target = loaded(tmp_path, name, batch=2, seq=5, resolution=(side, side))
    found = generate(target.model, target.inputs, 9)
    assert target.real is not None
    model = target.real()
    model.generation_config.eos_token_id, model.generation_config.pad_token_id = None, 0
    _, given = call_arguments(model, target.inputs, None)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        out = model.generate(**given, max_new_tokens=9, do_sample=False)
    assert out.shape == (2, places + 5 + 9)
    assert found.total.macs == counter.get_total_flops() // 2
    assert found.prompt == places + 5


def test_a_token_behind_an_image_costs_what_it_does_behind_a_text(tmp_path: Path) -> None:
    target = loaded(tmp_path, "llava", seq=5, resolution=(28, 28))
    seeing = generate(target.model, target.inputs, 9)
    reading = generate(target.model, {"input_ids": Input((1, 21), "int64")}, 9)
    assert (seeing.decode, seeing.first, seeing.last) == (reading.decode, reading.first, reading.last)
    assert seeing.prefill.macs > reading.prefill.macs


def test_the_command_sees(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "config.json"
    file.write_text(json.dumps(LLAVA))
    command = [f"transformers:{file}", "--seq", "5", "--format", "plain"]
    assert main([*command, "--resolution", "28", "--generate", "3"]) == 0
    assert "prefill (21 tokens)" in capsys.readouterr().out
    assert main([*command, "--generate", "3"]) == 0
    assert "prefill (5 tokens)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "side", "said"),
    [
        ("llava", 3, "it is not known how .* puts an image of 3x3 among the tokens"),
        ("qwen2_vl", 30, "multiples of 14"),
    ],
)
def test_an_image_that_does_not_fit(name: str, side: int, said: str, tmp_path: Path) -> None:
    with pytest.raises(TargetError, match=said):
        loaded(tmp_path, name, resolution=(side, side))
