"""Profiles made by hand, for what reports show of models that would take long to build."""

from __future__ import annotations

from opcount.ops import Execution, OpCount
from opcount.result import LayerRecord, Profile, Site


def layer(path: str, kind: str = "Linear", *, calls: int = 1, params: int = 0, ops: OpCount = OpCount()) -> LayerRecord:
    """A record that was called with one size."""
    sites = (Site(((1, 4),), ((1, 8),), calls),) if calls else ()
    return LayerRecord(path, kind, sites=sites, params=params, ops=ops)


def net(*layers: LayerRecord, name: str = "Net") -> Profile:
    """A profile that took the same time on every machine."""
    return Profile(name, ((1, 4),), layers, execution_record=Execution("shapes", seconds=0.012))


def transformer(blocks: int = 12, wide: frozenset[int] = frozenset(), head: str = "head", name: str = "Net") -> Profile:
    """An encoder of equal blocks, but for those in ``wide``, whose second layer is twice as large."""
    layers = [layer("", "Net"), layer("embed", "Embedding", params=640), layer("blocks", "ModuleList", calls=0)]
    for index in range(blocks):
        times = 2 if index in wide else 1
        layers += [
            layer(f"blocks.{index}", "Block", ops=OpCount(additions=64)),
            layer(f"blocks.{index}.norm", "LayerNorm", calls=2, params=16, ops=OpCount(32, 32, divisions=8)),
            layer(f"blocks.{index}.up", params=2048, ops=OpCount(2000, 2000, macs=2000)),
            layer(f"blocks.{index}.act", "GELU", ops=OpCount(128, 64, transcendentals=64)),
            layer(f"blocks.{index}.down", params=2048 * times, ops=OpCount(2000, 2000, macs=2000) * times),
        ]
    return net(*layers, layer(head, params=80, ops=OpCount(80, 80, macs=80)), name=name)


def large(stages: int = 10, blocks: int = 12, count: int = 10**17) -> Profile:
    """A model of 3,011 modules whose counts no double holds."""
    kinds = ("Conv2d", "BatchNorm2d", "ReLU", "Linear", "GELU")
    layers = [layer("", "Net")]
    for stage in range(stages):
        layers.append(layer(f"stage{stage}", "Stage"))
        for block in range(blocks):
            layers.append(layer(f"stage{stage}.{block}", "Block", ops=OpCount(additions=3)))
            for part in range(4):
                path = f"stage{stage}.{block}.part{part}"
                layers.append(layer(path, "Part"))
                layers += [
                    layer(f"{path}.{place}", kind, params=7, ops=OpCount(count + place, count, macs=count))
                    for place, kind in enumerate(kinds)
                ]
    return net(*layers, name="Large")
