"""The architectures of transformers, each built from a small default configuration, by opcount and FlopCounterMode.

    python -m benchmarks.transformers_zoo [--models 'qwen*'] [--most 400] [--write]

Every model type that transformers lists is built as the model that its configuration stands for, with at most four
layers and its default sizes otherwise; nothing is downloaded. FlopCounterMode gets the model with the experts that
are computed by batched products, since it has no formula for grouped ones. It runs unattended and resumes: what was
counted stays in ``benchmarks/results/transformers_zoo.jsonl``. With ``--write`` the table is made of that.
"""

from __future__ import annotations

import argparse
import fnmatch
import sys
from functools import partial
from itertools import zip_longest
from typing import Any

from benchmarks.model_zoo import Entry, Growing, count, quiet, told
from opcount.targets.from_transformers import HEADS, offline

LAYERS = 4
PEER = {"experts_implementation": "batched_mm"}
_DEPTHS = (
    "num_hidden_layers", "n_layer", "n_layers", "num_layers", "encoder_layers", "decoder_layers",
    "num_decoder_layers", "num_encoder_layers",
)  # fmt: skip


def chosen(pattern: str) -> list[tuple[str, str]]:
    """Model types and their families: one of each family, then a second of each, and so on."""
    with offline():
        from transformers.models.auto import configuration_auto, modeling_auto

    families: dict[str, list[str]] = {}
    known = [name for name in configuration_auto.CONFIG_MAPPING_NAMES if fnmatch.fnmatch(name, pattern)]
    for name in known:
        tables = (head for head in HEADS if name in getattr(modeling_auto, f"MODEL_FOR_{head}_MAPPING_NAMES"))
        family = next(tables, "MODEL" if name in modeling_auto.MODEL_MAPPING_NAMES else None)
        if family is not None:
            families.setdefault(family.lower().replace("_", " "), []).append(name)
    rows = zip_longest(*([(name, family) for name in names] for family, names in families.items()))
    return [pair for row in rows for pair in row if pair is not None]


def small(name: str) -> dict[str, Any]:
    """Fields that leave the default configuration of a model type with few layers."""
    with offline():
        import transformers

        try:
            return _shrunk(transformers.AutoConfig.for_model(name))
        except Exception:  # it has no default: loading it will tell
            return {}


def _shrunk(config: Any) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for key in _DEPTHS:
        if (
            isinstance(getattr(config, key, None), int)
            and getattr(config, key) > LAYERS
            and key not in config.attribute_map
        ):
            fields[key] = LAYERS
    for key in config.sub_configs:
        part = getattr(config, key, None)
        inner = _shrunk(part) if part is not None and hasattr(part, "sub_configs") else {}
        if inner:
            fields[key] = {"model_type": part.model_type, **inner}
    return fields


def one(name: str, family: str) -> Entry:
    """A model type, small if it can be."""
    fields, word = small(name), f"transformers:{name}"
    entry = count(name, family, word, fields, PEER)
    if fields and entry.figures is None:  # it does not fit together with fewer layers
        entry = count(name, family, word, {}, PEER)
    return entry


def explained(entry: Entry) -> str:
    """Why FlopCounterMode differs or has no figure, or why opcount has none."""
    return entry.problem or entry.reason or "differs"


def main() -> int:
    """Count what is not counted yet, and say at the end what does not agree."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", default="*", help="a pattern of model types")
    parser.add_argument("--most", type=int, help="no more models than this in one run")
    parser.add_argument("--write", action="store_true", help="make the table of the results")
    options = parser.parse_args()
    quiet()
    result = Growing("transformers_zoo.jsonl")
    jobs = [(name, partial(one, name, family)) for name, family in chosen(options.models)]
    for entry in result.grow(jobs[: options.most]):
        print(
            entry.family,
            entry.name,
            entry.macs,
            entry.agrees,
            entry.execution,
            *entry.uncounted,
            entry.problem,
            flush=True,
        )
    return told(result, "Architectures of transformers", explained, write_table=options.write)


if __name__ == "__main__":
    sys.exit(main())
