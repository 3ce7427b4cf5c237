"""Flame graphs by operations: the widths add up to the counts, and the files are what the viewers read."""

from __future__ import annotations

import json
from collections import Counter

import pytest
import torch
from torch import nn

from lenet.models import Depthwise, Regular
from opcount.comparison import compare
from opcount.ops import OpCount
from opcount.profiler import profile
from opcount.report import render
from tests.made import layer, net


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (x + self.fc(x)) * 3


def test_speedscope() -> None:
    made = profile(Depthwise())
    data = json.loads(render(made, "speedscope"))
    assert data["$schema"] == "https://www.speedscope.app/file-format-schema.json"
    sampled = data["profiles"][0]
    assert sampled["type"] == "sampled"
    assert sampled["unit"] == "none"
    assert len(sampled["samples"]) == len(sampled["weights"])
    assert sum(sampled["weights"]) == sampled["endValue"] == made.total
    frames = [frame["name"] for frame in data["shared"]["frames"]]
    named: Counter[str] = Counter()
    for stack, weight in zip(sampled["samples"], sampled["weights"], strict=True):
        named[" / ".join(frames[index] for index in stack)] += weight
    assert named["Depthwise / conv1 (DepthwiseSeparable) / depthwise (Conv2d)"] == made["conv1.depthwise"].ops.total


def test_several_models_are_several_profiles() -> None:
    both = compare(profile(Regular()), profile(Depthwise()))
    data = json.loads(render(both, "speedscope"))
    assert [each["endValue"] for each in data["profiles"]] == [each.total for each in both.profiles]
    events = json.loads(render(both, "chrome-trace"))["traceEvents"]
    assert {event["pid"] for event in events} == {1, 2}


@pytest.mark.parametrize("model", [Regular(), nn.Sequential(Block(), Block())])
def test_chrome_trace_events_nest_and_add_up(model: nn.Module) -> None:
    made = profile(model) if isinstance(model, Regular) else profile(model, (2, 4))
    events = [event for event in json.loads(render(made, "chrome-trace"))["traceEvents"] if event["ph"] == "X"]
    assert events[0]["dur"] == made.total
    assert {key: events[0]["args"][key] for key in ("macs", "comparisons")} == {
        "macs": made.macs,
        "comparisons": made.comparisons,
    }
    ends: list[int] = []
    for event in events:
        while ends and event["ts"] >= ends[-1] and len(ends) > 1:
            ends.pop()
        end = event["ts"] + event["dur"]
        assert not ends or end <= ends[-1]
        ends.append(end)


def test_what_a_container_calls_has_frames_of_its_own() -> None:
    made = profile(Block(), (2, 4))
    names = {frame["name"] for frame in json.loads(render(made, "speedscope"))["shared"]["frames"]}
    assert {entry.name for entry in made[""].entries} <= names
    assert "fc (Linear)" in names


def test_counts_beyond_a_double_stay_exact_and_times_stay_within_a_viewer() -> None:
    made = net(layer("a", ops=OpCount(10**20 + 1)), layer("b", ops=OpCount(10**20)))
    data = json.loads(render(made, "chrome-trace"))
    assert data["otherData"]["operations_per_microsecond"] == "1000000"
    events = [event for event in data["traceEvents"] if event["ph"] == "X"]
    assert events[1]["args"]["multiplications"] == str(10**20 + 1)
    assert max(event["ts"] + event["dur"] for event in events) <= 10**15
    assert sum(json.loads(render(made, "speedscope"))["profiles"][0]["weights"]) == 2 * 10**20 + 1


def test_nothing_counted_is_still_a_file() -> None:
    assert json.loads(render(net(), "speedscope"))["profiles"][0]["samples"] == []
    assert json.loads(render(net(), "chrome-trace"))["traceEvents"]
