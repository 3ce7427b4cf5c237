"""The calls that a model of transformers makes when it generates: the one on its prompt, and those on one token each.

A model that reads and writes one text reads its prompt in one call, which fills the cache. An encoder and decoder reads
its prompt with the encoder, once; the decoder starts from one token, keeps the keys and values that it makes of what
the encoder read, and from then on takes one token a call. What is kept is found by running the model on shapes.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import torch

from opcount.errors import InputError
from opcount.inputs import Input
from opcount.ops import FIGURES, Convention, OpCount
from opcount.profiler import profile
from opcount.result import Profile
from opcount.returning import returned

_CACHES = ("past_key_values", "cache_params", "cache", "state", "mems")
"""What models call what they keep: the argument need not be called as the output is."""


class Calls:
    """The calls of a model that writes behind what it reads.

    Attributes:
        batch: sequences that are generated at once.
        prompt: tokens that are in the cache after the first call.
        read: what the first call reads, in words.
    """

    def __init__(self, model: Any, inputs: Mapping[str, Any], convention: Convention) -> None:
        self.model, self.convention, self.complete = model, convention, True
        self.inputs = {key: value for key, value in inputs.items() if not key.startswith("decoder_")}
        self.takes = inspect.signature(model.forward).parameters
        size = _size(inputs.get("input_ids"))
        if size is None or len(size) != 2:
            raise InputError(
                f"generating is counted of a model that reads input_ids and writes the tokens behind them, or of an "
                f"encoder and decoder, not of {type(model).__name__}"
            )
        self.batch, self.prompt = size
        self.read = f"{self.prompt:,} tokens"

    def first(self) -> tuple[Profile, OpCount | None]:
        """The call that reads the prompt, and what of it is an encoder's."""
        return self.profiled(self.inputs), None

    def at(self, length: int) -> OpCount:
        """The call on one token, after so many."""
        found = self.profiled({**self.tokens(1), **self.cache(length)})
        self.complete = self.complete and found.complete
        return found.ops

    def profiled(self, given: Mapping[str, Any]) -> Profile:
        """One call counted."""
        return profile(self.model, self.generating(given), convention=self.convention)

    def generating(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Arguments of a call that generates: it keeps a cache, and says what comes next for the last token alone."""
        known = (("logits_to_keep", 1), ("use_cache", True))
        return {**given, **{name: value for name, value in known if name in self.takes}}

    def tokens(self, length: int) -> dict[str, Any]:
        """A text of so many tokens; what is read beside it, such as an image, is read once."""
        return {"input_ids": Input((self.batch, length), "int64")}

    def cache(self, length: int) -> dict[str, Any]:
        """What the model keeps of so many tokens, as shapes on the meta device, by the name of its argument.

        Raises:
            InputError: it keeps nothing.
        """
        output = returned(self.model, self.generating(self.tokens(length)))
        outputs = (getattr(output, name, None) for name in _CACHES)
        kept = next((cache for cache in outputs if cache is not None), None)
        name = next((name for name in _CACHES if name in self.takes), None)
        if kept is None or name is None:
            raise InputError(f"{type(self.model).__name__} keeps no cache of what it has read, so it does not generate")
        return {name: kept}


class EncoderCalls(Calls):
    """The calls of a model whose encoder reads and whose decoder writes, from one token on that says to begin."""

    def __init__(self, model: Any, inputs: Mapping[str, Any], convention: Convention) -> None:
        self.model, self.convention, self.complete = model, convention, True
        self.inputs = {key: value for key, value in inputs.items() if not key.startswith("decoder_")}
        self.takes = inspect.signature(model.forward).parameters
        size = _size(next(iter(self.inputs.values()), None))
        if size is None:
            raise InputError(f"what the encoder of {type(model).__name__} reads is not known: give its input")
        self.batch, self.prompt = size[0], 1
        text = "input_ids" in self.inputs
        self.read = f"{size[1]:,} tokens" if text else "x".join(map(str, size[1:]))
        self._encoded: Any = None

    def first(self) -> tuple[Profile, OpCount | None]:
        """The encoder and the decoder's first call, and what of it is the encoder's."""
        found = self.profiled({**self.inputs, **self.start(1)})
        encoder = self.model.get_encoder()
        path = next((path for path, module in self.model.named_modules() if module is encoder), None)
        return found, found[path].subtree if path else None

    def start(self, length: int) -> dict[str, Any]:
        """What the decoder has written so far, and the word to begin."""
        return {"decoder_input_ids": Input((self.batch, length), "int64")}

    def tokens(self, length: int) -> dict[str, Any]:
        """Tokens for the decoder, and what the encoder made of the prompt."""
        from transformers.modeling_outputs import BaseModelOutput

        if self._encoded is None:
            output = returned(self.model, self.generating({**self.inputs, **self.start(1)}))
            self._encoded = output.encoder_last_hidden_state
        return {"encoder_outputs": BaseModelOutput(last_hidden_state=self._encoded), **self.start(length)}


def calls_of(model: Any, inputs: Mapping[str, Any], convention: Convention) -> Calls:
    """The calls of a model that generates.

    Args:
        model: a model of transformers.
        inputs: its keyword arguments, as :func:`opcount.profile` takes them.
        convention: what to include.

    Raises:
        InputError: it is not one that generates.
    """
    takes = inspect.signature(model.forward).parameters
    two = "decoder_input_ids" in takes and "encoder_outputs" in takes
    return (EncoderCalls if two else Calls)(model, inputs, convention)


def without(whole: OpCount, part: OpCount) -> OpCount:
    """What is left of a count without a part of it."""
    return OpCount(**{name: getattr(whole, name) - getattr(part, name) for name in FIGURES})


def _size(value: Any) -> tuple[int, ...] | None:
    if isinstance(value, Input):
        return value.size
    if isinstance(value, torch.Tensor):
        return tuple(value.shape)
    return value if isinstance(value, tuple) and value and all(isinstance(item, int) for item in value) else None
