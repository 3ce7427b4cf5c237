"""The textbook gradients of layers, as loops: what a backward pass computes from the gradient of the output.

Each takes what the forward took and kept, and the gradient that comes in, and returns the gradients that go out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tests.reference.geometry import cells, inside, per_axis
from tests.reference.machine import Array, Counted, contract, dot, erf, exp, mean, objects, rsqrt, tanh, total


def linear(inputs: Array, weight: Array, gradient: Array) -> tuple[Array, Array, Array]:
    """dx = dy A, dA = dyᵀ x, db the sum over the rows. inputs (rows, in), weight (out, in), gradient (rows, out)."""
    of_input, of_weight, of_bias = objects(inputs.shape), objects(weight.shape), objects(weight.shape[:1])
    for row, feature in cells(inputs.shape):
        of_input[row, feature] = dot(list(gradient[row]), list(weight[:, feature]))
    for out, feature in cells(weight.shape):
        of_weight[out, feature] = dot(list(gradient[:, out]), list(inputs[:, feature]))
    for (out,) in cells(of_bias.shape):
        of_bias[out] = total(gradient[:, out])
    return of_input, of_weight, of_bias


def convolution(
    inputs: Array,
    weight: Array,
    gradient: Array,
    *,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    skip_padding: bool = False,
) -> tuple[Array, Array, Array]:
    """Each product of the forward once more with the output's gradient: into the input, and into the weight.

    Products with the zero padding, and those that land on it, count unless `skip_padding`.
    """
    axes, sizes = weight.ndim - 2, inputs.shape[2:]
    steps, around, gaps = per_axis(stride, axes), per_axis(padding, axes), per_axis(dilation, axes)
    per_group, channels = weight.shape[0] // groups, weight.shape[1]
    landed: dict[Any, Any] = {}
    gathered: dict[Any, list[Any]] = {}
    for n, c_out, *place in cells(gradient.shape):
        value = gradient[(n, c_out, *place)]
        for c, *tap in cells(weight.shape[1:]):
            c_in = c_out // per_group * channels + c
            at = tuple(o * s - p + k * d for o, s, p, k, d in zip(place, steps, around, tap, gaps, strict=True))
            real = inside(at, sizes)
            if skip_padding and not real:
                continue
            factor = weight[(c_out, c, *tap)]
            _add(landed, (n, c_in, *at), contract(value, factor))
            seen = inputs[(n, c_in, *at)] if real else factor.like(0.0)
            gathered.setdefault((c_out, c, *tap), []).append((value, seen))
    of_input, of_weight, of_bias = objects(inputs.shape), objects(weight.shape), objects(weight.shape[:1])
    for at in cells(inputs.shape):
        of_input[at] = landed.get(tuple(at), 0.0)
    for at in cells(weight.shape):
        pairs = gathered.get(tuple(at), [])
        of_weight[at] = dot([a for a, _ in pairs], [b for _, b in pairs])
    for (out,) in cells(of_bias.shape):
        of_bias[out] = total(gradient[:, out].flat)
    return of_input, of_weight, of_bias


def _add(sums: dict[Any, Any], key: Any, value: Any) -> None:
    """The first value to reach a place is stored, each further one added."""
    sums[key] = sums[key] + value if key in sums else value


def transposed_convolution(
    inputs: Array, weight: Array, gradient: Array, *, stride: Any = 1, padding: Any = 0, groups: int = 1
) -> tuple[Array, Array, Array]:
    """The output's gradient convolved with the weight; what padding cropped away is a zero that is multiplied too."""
    axes, sizes = weight.ndim - 2, gradient.shape[2:]
    steps, crop = per_axis(stride, axes), per_axis(padding, axes)
    per_group, width = inputs.shape[1] // groups, weight.shape[1]
    of_input, of_weight = objects(inputs.shape), objects(weight.shape)
    gathered: dict[Any, list[Any]] = {}
    for n, c_in, *place in cells(inputs.shape):
        value, kernels, seen = inputs[(n, c_in, *place)], [], []
        for c, *tap in cells(weight.shape[1:]):
            at = tuple(i * s + k - p for i, s, k, p in zip(place, steps, tap, crop, strict=True))
            c_out = c_in // per_group * width + c
            dy = gradient[(n, c_out, *at)] if inside(at, sizes) else value.like(0.0)
            kernels.append(weight[(c_in, c, *tap)])
            seen.append(dy)
            gathered.setdefault((c_in, c, *tap), []).append((value, dy))
        of_input[(n, c_in, *place)] = dot(seen, kernels)
    for at in cells(weight.shape):
        pairs = gathered[tuple(at)]
        of_weight[at] = dot([a for a, _ in pairs], [b for _, b in pairs])
    of_bias = objects(gradient.shape[1:2])
    for (out,) in cells(of_bias.shape):
        of_bias[out] = total(gradient[:, out].flat)
    return of_input, of_weight, of_bias


def layer_norm(inputs: Array, weight: Array, gradient: Array, *, eps: float) -> tuple[Array, Array, Array]:
    """Rows with a weight for each place: dx = r·(g − mean(g) − x̂·mean(g·x̂)), g = dy·w. Mean and r are kept."""
    of_input, normal = objects(inputs.shape), objects(inputs.shape)
    for row, values in enumerate(inputs):
        middle, root = _kept(values, eps)
        normal[row] = [(x - middle) * root for x in values]
        g = [dy * w for dy, w in zip(gradient[row], weight, strict=True)]
        first, second = mean(g), mean([a * x for a, x in zip(g, normal[row], strict=True)])
        of_input[row] = [(a - first - x * second) * root for a, x in zip(g, normal[row], strict=True)]
    of_weight, of_bias = objects(weight.shape), objects(weight.shape)
    for (place,) in cells(weight.shape):
        of_weight[place] = total(dy * x for dy, x in zip(gradient[:, place], normal[:, place], strict=True))
        of_bias[place] = total(gradient[:, place])
    return of_input, of_weight, of_bias


def _kept(values: Sequence[Any], eps: float) -> tuple[float, float]:
    """Mean and reciprocal deviation of a row, which the forward has worked out."""
    plain = [x.value for x in values]
    middle = sum(plain) / len(plain)
    return middle, rsqrt(sum((x - middle) ** 2 for x in plain) / len(plain) + eps)


def batch_norm(inputs: Array, weight: Array, gradient: Array, *, eps: float) -> tuple[Array, Array, Array]:
    """Channels with one weight each: the sums that weight and bias want are those that the input wants. (N, C, M)."""
    of_input, of_weight, of_bias = objects(inputs.shape), objects(weight.shape), objects(weight.shape)
    for (channel,) in cells(weight.shape):
        values, dys = list(inputs[:, channel].flat), list(gradient[:, channel].flat)
        middle, root = _kept(values, eps)
        normal = [(x - middle) * root for x in values]
        of_weight[channel] = total(dy * x for dy, x in zip(dys, normal, strict=True))
        of_bias[channel] = total(dys)
        scale = weight[channel] * root
        first, second = of_bias[channel] / len(values), of_weight[channel] / len(values)
        found = [(dy - first - x * second) * scale for dy, x in zip(dys, normal, strict=True)]
        for place, value in zip(cells(inputs[:, channel].shape), found, strict=True):
            of_input[(place[0], channel, *place[1:])] = value
    return of_input, of_weight, of_bias


def softmax(outputs: Array, gradient: Array) -> Array:
    """dx = y·(dy − Σ dy·y), rows."""
    of_input = objects(outputs.shape)
    for row, (ys, dys) in enumerate(zip(outputs, gradient, strict=True)):
        shared = total(dy * y for dy, y in zip(dys, ys, strict=True))
        of_input[row] = [y * (dy - shared) for dy, y in zip(dys, ys, strict=True)]
    return of_input


def attention(
    queries: Array, keys: Array, values: Array, weights: Array, gradient: Array, *, scale: float
) -> tuple[Array, Array, Array]:
    """One head, from the weights that were kept: dV = Pᵀ dO, dP = dO Vᵀ, through softmax, then dQ and dK."""
    of_values, of_weights = objects(values.shape), objects(weights.shape)
    for j, e in cells(values.shape):
        of_values[j, e] = dot(list(weights[:, j]), list(gradient[:, e]))
    for i, j in cells(weights.shape):
        of_weights[i, j] = dot(list(gradient[i]), list(values[j]))
    scores = softmax(weights, of_weights)
    for i, j in cells(scores.shape):
        scores[i, j] = scores[i, j] * scale
    of_queries, of_keys = objects(queries.shape), objects(keys.shape)
    for i, e in cells(queries.shape):
        of_queries[i, e] = dot(list(scores[i]), list(keys[:, e]))
    for j, e in cells(keys.shape):
        of_keys[j, e] = dot(list(scores[:, j]), list(queries[:, e]))
    return of_queries, of_keys, of_values


def average_pool(inputs: Array, gradient: Array, *, kernel: int, stride: int, padding: int) -> Array:
    """One axis (planes, length): each gradient divided by the kernel's size, and added to its window's real places."""
    of_input = objects(inputs.shape)
    landed: dict[Any, Any] = {}
    for plane, place in cells(gradient.shape):
        share = gradient[plane, place] / kernel
        for tap in range(kernel):
            at = place * stride - padding + tap
            if 0 <= at < inputs.shape[1]:
                _add(landed, (plane, at), share)
    for at in cells(inputs.shape):
        of_input[at] = landed.get(tuple(at), 0.0)
    return of_input


def embedding(indices: Array, gradient: Array, rows: int) -> Array:
    """Each looked-up vector's gradient added to its row, which starts at zero."""
    of_weight = objects((rows, gradient.shape[-1]))
    zero = gradient.flat[0].like(0.0)
    for at in cells(of_weight.shape):
        of_weight[at] = zero
    for *place, feature in cells(gradient.shape):
        row = int(indices[tuple(place)])
        of_weight[row, feature] = of_weight[row, feature] + gradient[(*place, feature)]
    return of_weight


def lstm(
    inputs: Array, states: Array, kept: dict[str, Array], weights: tuple[Array, Array], gradient: Array
) -> tuple[Array, Array, Array, Array, Array]:
    """One layer, back through the steps, from what the forward kept; only the outputs of the steps have a gradient.

    inputs (T, N, I), states (T + 1, N, H) with the initial zeros first, kept gates "i", "f", "g", "o" and cell states
    "c" (T + 1) and "t" = tanh(c), weights (4H, I) and (4H, H), gradient (T, N, H).
    """
    from_input, from_state = weights
    steps, batch, hidden = gradient.shape
    gates = objects((steps, batch, 4 * hidden))
    of_input = objects(inputs.shape)
    above: Any = None
    carried: Any = None
    for t in reversed(range(steps)):
        state, cell = objects((batch, hidden)), objects((batch, hidden))
        for n, j in cells((batch, hidden)):
            i, f, g, o = (kept[name][t, n, j] for name in "ifgo")
            c, thc = kept["c"][t, n, j], kept["t"][t, n, j]
            dh = gradient[t, n, j] if above is None else gradient[t, n, j] + above[n, j]
            dc = dh * o * (1.0 - thc * thc)
            dc = dc if carried is None else dc + carried[n, j]
            gates[t, n, j] = _sigmoid(dc * g, i)
            gates[t, n, hidden + j] = _sigmoid(dc * c, f)
            gates[t, n, 2 * hidden + j] = dc * i * (1.0 - g * g)
            gates[t, n, 3 * hidden + j] = _sigmoid(dh * thc, o)
            if t > 0:
                cell[n, j] = dc * f
        for n, e in cells(inputs.shape[1:]):
            of_input[t, n, e] = dot(list(gates[t, n]), list(from_input[:, e]))
        if t > 0:
            for n, j in cells((batch, hidden)):
                state[n, j] = dot(list(gates[t, n]), list(from_state[:, j]))
        above, carried = state, cell
    flat = gates.reshape(-1, 4 * hidden)
    of_weights = []
    for weight, seen in ((from_input, inputs), (from_state, states[:-1])):
        found, rows = objects(weight.shape), seen.reshape(-1, weight.shape[1])
        for gate, feature in cells(weight.shape):
            found[gate, feature] = dot(list(flat[:, gate]), list(rows[:, feature]))
        of_weights.append(found)
    of_biases = []
    for _ in range(2):
        found = objects((4 * hidden,))
        for (gate,) in cells(found.shape):
            found[gate] = total(flat[:, gate])
        of_biases.append(found)
    return (of_input, *of_weights, *of_biases)


def _sigmoid(gradient: Any, output: Any) -> Any:
    """Through a sigmoid, from what came out."""
    return gradient * output * (1.0 - output)


def _logistic(x: Any) -> Any:
    return 1.0 / (1.0 + exp(-x))


def _silu(x: Any, dy: Any) -> Any:
    s = _logistic(x)
    return dy * (s * (1.0 + x * (1.0 - s)))


def _gelu(x: Any, dy: Any) -> Any:
    below = 0.5 * (1.0 + erf(x * 2**-0.5))
    density = exp(x * x * -0.5) * 0.3989422804014327
    return dy * (below + x * density)


def _relu(x: Any, dy: Any) -> Any:
    return dy if x > 0.0 else dy.like(0.0)


def _leaky_relu(x: Any, dy: Any) -> Any:
    scaled = dy * 0.01
    return dy if x > 0.0 else scaled


def _elu(x: Any, dy: Any) -> Any:
    below = dy * (exp(x) * 1.0)
    return dy if x > 0.0 else below


def _softplus(x: Any, dy: Any) -> Any:
    z = exp(x * 1.0)
    return dy * (z / (1.0 + z))


def _from_output(function: Callable[[Any], Any], slope: Callable[[Any], Any]) -> Callable[[Any, Any], Any]:
    """A derivative in terms of the output, which the forward kept: working that out is none of the backward's."""

    def derivative(x: Any, dy: Any) -> Any:
        output = Counted(function(x.value), dy.tally)
        return slope(output) * dy

    return derivative


_SIXTH = 0.1666666716337204  # PyTorch keeps it in single precision

ACTIVATIONS: dict[str, Callable[[Any, Any], Any]] = {
    "ReLU": _relu,
    "LeakyReLU": _leaky_relu,
    "ELU": _elu,
    "Sigmoid": _from_output(_logistic, lambda y: y * (1.0 - y)),
    "Tanh": _from_output(tanh, lambda y: 1.0 - y * y),
    "SiLU": _silu,
    "GELU": _gelu,
    "Softplus": _softplus,
    "LogSigmoid": lambda x, dy: dy * _logistic(-x),
    "Hardsigmoid": lambda x, dy: _between(x, -3.0, 3.0, dy * _SIXTH),
    "Hardtanh": lambda x, dy: _between(x, -1.0, 1.0, dy),
}
"""For a layer of that name the gradient of one element, from its input and the gradient of its output."""


def _between(x: Any, low: float, high: float, value: Any) -> Any:
    above, below = x > low, x < high
    return value if above and below else value.like(0.0)


def pointwise(inputs: Array, gradient: Array, *, name: str) -> Array:
    """A layer of :data:`ACTIVATIONS` on every element."""
    found = objects(inputs.shape)
    for at in cells(inputs.shape):
        found[at] = ACTIVATIONS[name](inputs[at], gradient[at])
    return found
