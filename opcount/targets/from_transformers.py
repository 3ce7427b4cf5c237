"""``transformers:NAME``: a model of transformers, built from a configuration alone: no weights, no network.

NAME is a model class (``LlamaForCausalLM``), a configuration class (``LlamaConfig``), a model type (``llama``) or a
configuration in a JSON file (``path/config.json``). Code that a configuration refers to is never run.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from opcount.errors import TargetError, described
from opcount.parsing import did_you_mean
from opcount.targets.building import build_weightless
from opcount.targets.source import Request, Source, Target, need
from opcount.targets.transformers_inputs import natural_inputs, pairs_text_and_image, resized

HEADS = (
    "SPEECH_SEQ_2_SEQ", "SEQ_TO_SEQ_CAUSAL_LM", "CAUSAL_LM", "IMAGE_TEXT_TO_TEXT", "MASKED_LM", "IMAGE_CLASSIFICATION",
    "CTC", "OBJECT_DETECTION", "SEMANTIC_SEGMENTATION", "DEPTH_ESTIMATION", "AUDIO_CLASSIFICATION",
    "VIDEO_CLASSIFICATION", "TIME_SERIES_PREDICTION",
)  # fmt: skip
"""What a configuration without ``architectures`` is built as: the first of these tasks that it has a model for."""

_IMPLEMENTATIONS = ("attn_implementation", "experts_implementation")


def load(request: Request) -> Target:
    """The model of that name in evaluation mode.

    ``--arg`` sets fields of the configuration; ``attn_implementation=eager`` and ``experts_implementation=...`` choose
    how transformers computes attention and experts.

    Raises:
        TargetError: there is none, or it cannot be built so.
        MissingExtraError: transformers is not installed.
    """
    with offline():
        transformers = need("transformers", "transformers", request.word)
        kind, config = _found(transformers, request)
        if request.knobs.resolution is not None:
            resized(config, request.knobs.resolution)
        make = _Builder(kind, config, dict(request.arguments), request.word)
        model = build_weightless(make)
        inputs = natural_inputs(model, request) if request.own_input else None
    remarks = () if kind.__name__ == request.name else (kind.__name__,)
    return Target(request.word, model, inputs, remarks=remarks, real=make)


@contextmanager
def offline() -> Iterator[None]:
    """transformers and its hub stay off the network, also where they were imported before."""
    before = {name: os.environ.get(name) for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_VERBOSITY")}
    os.environ.update(HF_HUB_OFFLINE="1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    constants = need("huggingface_hub.constants", "transformers", "transformers:NAME")
    flag, constants.HF_HUB_OFFLINE = constants.HF_HUB_OFFLINE, True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = flag
        for name, value in before.items():
            os.environ.pop(name, None) if value is None else os.environ.update({name: value})


class _Builder:
    """Builds the model anew each time: a configuration is changed by what is built of it."""

    def __init__(self, kind: Any, config: Any, arguments: dict[str, Any], word: str) -> None:
        self.kind, self.config, self.word = kind, config, word
        self.how = {name: arguments[name] for name in _IMPLEMENTATIONS if name in arguments}

    def __call__(self) -> Any:
        from copy import deepcopy

        try:
            with offline():
                return self.kind._from_config(deepcopy(self.config), **self.how).eval()
        except (Exception, SystemExit) as error:  # whatever the model's own code raises is about the target
            raise TargetError(f"building {self.word} failed: {described(error)}") from error


def _found(transformers: Any, request: Request) -> tuple[Any, Any]:
    """The class of the model and its configuration."""
    fields = {name: value for name, value in request.arguments.items() if name not in _IMPLEMENTATIONS}
    if request.name.lower().endswith(".json"):
        return _from_file(transformers, request, fields)
    name = request.name
    types = transformers.models.auto.configuration_auto.CONFIG_MAPPING_NAMES
    found = _attribute(transformers, types.get(name, name), request.word)
    if isinstance(found, type) and issubclass(found, transformers.PreTrainedConfig):
        config = _config(found, fields, request.word)
        return _model_class(transformers, config, request.word), config
    if isinstance(found, type) and issubclass(found, transformers.PreTrainedModel):
        kind: Any = found
        if kind.config_class is None:
            raise TargetError(f"{request.word} has no configuration of its own: name a model that has")
        return found, _config(kind.config_class, fields, request.word)
    if found is not None:
        raise TargetError(f"{request.word} is neither a model's nor a configuration's class")
    meant = did_you_mean(name, [*names(), *types, *types.values()])
    raise TargetError(f"transformers has no {name!r}{meant}; opcount --list transformers shows all")


def _attribute(transformers: Any, name: str, word: str) -> Any:
    try:
        found = getattr(transformers, name, None) if name.isidentifier() else None
        if isinstance(found, type):
            _ = found.forward if hasattr(found, "forward") else None
    except ImportError as error:  # a stand-in that asks for another package when it is touched
        raise TargetError(f"{word} needs another package: {described(error)}") from error
    return found


def _config(kind: Any, fields: Mapping[str, Any], word: str) -> Any:
    """A configuration with some fields set.

    Raises:
        TargetError: there are no such fields, or they do not fit.
    """
    try:
        plain = kind()
        unknown = next((name for name in fields if not hasattr(plain, name)), None)
    except Exception:  # it has no default: what is given has to do
        plain, unknown = None, None
    if unknown is not None:
        raise TargetError(f"{kind.__name__} has no field {unknown!r}{did_you_mean(unknown, vars(plain))}")
    try:
        return kind(**fields) if fields or plain is None else plain
    except Exception as error:
        raise TargetError(f"making a {kind.__name__} for {word} failed: {described(error)}") from error


def _from_file(transformers: Any, request: Request, fields: Mapping[str, Any]) -> tuple[Any, Any]:
    """The class of the model and its configuration, of a JSON file as ``save_pretrained`` writes it."""
    said = _read(request.name)
    types = transformers.models.auto.configuration_auto.CONFIG_MAPPING_NAMES
    kind = said.get("model_type")
    if kind not in types:
        meant = did_you_mean(str(kind), types) if kind else "; it has no model_type"
        raise TargetError(f"{request.name!r} is of the model type {kind!r}, which transformers does not have{meant}")
    cls = getattr(transformers, types[kind])
    _config(cls, {name: value for name, value in fields.items() if name not in said}, request.word)
    config = _config_of(cls, {**said, **fields}, request.word)
    for architecture in said.get("architectures") or ():
        found = _attribute(transformers, str(architecture), request.word)
        if isinstance(found, type) and issubclass(found, transformers.PreTrainedModel):
            return found, config
    return _model_class(transformers, config, request.word), config


def _read(path: str) -> dict[str, Any]:
    try:
        said = json.loads(Path(path).read_text("utf-8"))
    except OSError as error:
        raise TargetError(f"cannot read {path!r}: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise TargetError(f"{path!r} is no JSON: {described(error)}") from error
    if not isinstance(said, dict):
        raise TargetError(f"{path!r} is no configuration: it holds {type(said).__name__}, not an object")
    return said


def _config_of(kind: Any, said: dict[str, Any], word: str) -> Any:
    try:
        return kind.from_dict(said)
    except Exception as error:
        raise TargetError(f"making a {kind.__name__} for {word} failed: {described(error)}") from error


def _model_class(transformers: Any, config: Any, word: str) -> Any:
    """The class that a configuration stands for: with the head of its main task, else without."""
    auto = transformers.models.auto.modeling_auto
    heads = () if pairs_text_and_image(config) else HEADS
    for head in (*(f"MODEL_FOR_{head}_MAPPING" for head in heads), "MODEL_MAPPING"):
        with suppress(KeyError, AttributeError, ImportError):
            found = getattr(auto, head)[type(config)]
            return found[0] if isinstance(found, (tuple, list)) else found
    raise TargetError(f"{word} is a configuration without a model of its own: name a model class")


def names() -> Iterable[str]:
    """The model classes there are."""
    auto = need("transformers.models.auto.modeling_auto", "transformers", "listing transformers")
    tables = [table for name, table in vars(auto).items() if name.endswith("MAPPING_NAMES")]
    found = (name for table in tables for name in table.values())
    return {each for name in found for each in (name if isinstance(name, (tuple, list)) else (name,))}


SOURCE = Source("transformers:NAME", load, knobs=frozenset({"batch", "seq", "resolution"}), names=names)
