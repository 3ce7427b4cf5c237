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
from torch import nn

from opcount.errors import InputError
from opcount.inputs import Input
from opcount.ops import Convention, OpCount
from opcount.profiler import profile
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
        self.batch, self.prompt, self.read = self._reading()

    def _reading(self) -> tuple[int, int, str]:
        size = _size(self.inputs.get("input_ids"))
        if size is None or len(size) != 2:
            raise InputError(
                f"generating is counted of a model that reads input_ids and writes the tokens behind them, or of an "
                f"encoder and decoder, not of {type(self.model).__name__}"
            )
        return *size, f"{size[1]:,} tokens"

    def encoded(self) -> OpCount | None:
        """What an encoder does, before the first call; None where there is none."""
        return None

    def first(self) -> OpCount:
        """The call that gives the first token."""
        return self.counted(self.model, self.generating(self.inputs))

    def at(self, length: int) -> OpCount:
        """The call on one token, after so many."""
        return self.counted(self.model, self.generating({**self.tokens(1), **self.cache(length)}))

    def counted(self, model: nn.Module, given: Mapping[str, Any]) -> OpCount:
        """One call counted."""
        found = profile(model, given, convention=self.convention, execution="shapes")
        self.complete = self.complete and found.complete
        return found.ops

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
        super().__init__(model, inputs, convention)
        self.encoder = model.get_encoder()
        reads = inspect.signature(self.encoder.forward).parameters
        self.encoding = {key: value for key, value in self.inputs.items() if key in reads}
        self._read: Any = None

    def _reading(self) -> tuple[int, int, str]:
        size = _size(next(iter(self.inputs.values()), None))
        if size is None:
            raise InputError(f"what the encoder of {type(self.model).__name__} reads is not known: give its input")
        text = "input_ids" in self.inputs
        return size[0], 1, f"{size[1]:,} tokens" if text else "x".join(map(str, size[1:]))

    def encoded(self) -> OpCount:
        """The encoder's one call."""
        return self.counted(self.encoder, self.encoding)

    def first(self) -> OpCount:
        """The decoder's first call, on the token that says to begin."""
        return self.counted(self.model, self.generating(self.tokens(1)))

    def tokens(self, length: int) -> dict[str, Any]:
        """Tokens for the decoder, and what the encoder made of the prompt."""
        if self._read is None:
            self._read = returned(self.encoder, self.encoding)
        return {"encoder_outputs": self._read, "decoder_input_ids": Input((self.batch, length), "int64")}


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


def _size(value: Any) -> tuple[int, ...] | None:
    if isinstance(value, Input):
        return value.size
    if isinstance(value, torch.Tensor):
        return tuple(value.shape)
    return value if isinstance(value, tuple) and value and all(isinstance(item, int) for item in value) else None
