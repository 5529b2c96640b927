#!/usr/bin/env python3
"""Golden numbers of the layers of backbones, forward and backward, in NumPy and float64.

    python3 layers.py            writes layers.json beside this script
    python3 layers.py --check    computes it again and compares (relative 1e-12)

Written from the formulas of the papers alone; it shares no code with the program. Only forward
passes are written down: gradients are complex-step derivatives of

    J = sum(delta * output)        dJ/dx = Im J(x + ih) / h,   h = 1e-30

which are exact to the last digits of float64.

Layout of layers.json: name of a layer -> {
    sizes       whole numbers: shapes and rates (in 1/1000)
    index       name -> list of whole numbers: rows of tables, masks
    inputs      name -> numbers, row-major, exact in float32
    delta       numbers, shaped like the output, exact in float32
    output      numbers, row-major
    gradients   name -> dJ/dinput, for each of the inputs
}
"""

import json
import pathlib
import sys

import numpy as np

STEP = 1e-30
random = np.random.default_rng(20240304)


def draw(*shape):
    """Multiples of 1/256 in [-1, 1]."""
    return random.integers(-256, 257, shape) / 256


def rectify(x, slope=0.0):
    return np.where(x.real > 0, x, slope * x)


def linear(x, weight, bias):
    return x @ weight.T + bias


def normalize(x):
    norm = np.sqrt((x * x).sum(1, keepdims=True))
    return x / np.where(norm.real > 1e-12, norm, 1e-12)


def layer_norm(x, gamma, beta):
    centred = x - x.mean(1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(1, keepdims=True) + 1e-8) * gamma + beta


def attention(q, k, v, keep, heads, padding, rate):
    """Causal attention of one sequence whose first `padding` places are empty."""
    length, width = q.shape
    part = width // heads
    output = np.zeros((length, width), dtype=complex)
    for head in range(heads):
        columns = slice(head * part, (head + 1) * part)
        for row in range(padding, length):
            seen = slice(padding, row + 1)
            logits = k[seen, columns] @ q[row, columns] / np.sqrt(part)
            weights = np.exp(logits - logits.real.max())
            weights = weights / weights.sum() * keep[head, row, seen] / (1 - rate)
            output[row, columns] = weights @ v[seen, columns]
    return output


def mlp(users, items, hidden, hidden_bias, last, last_bias, user_index, item_index):
    x = np.concatenate([users[user_index], items[item_index]], axis=1)
    return linear(rectify(linear(x, hidden, hidden_bias)), last, last_bias)


def case(function, inputs, sizes, index=None):
    values = {name: value.astype(complex) for name, value in inputs.items()}
    output = function(**values).real
    delta = draw(*output.shape)
    gradients = {}
    for name, value in values.items():
        gradient = np.zeros(value.shape)
        for place in np.ndindex(value.shape):
            value[place] += 1j * STEP
            gradient[place] = (delta * function(**values)).sum().imag / STEP
            value[place] = value[place].real
        gradients[name] = gradient
    flat = lambda table: {name: value.ravel().tolist() for name, value in table.items()}
    return {
        "sizes": sizes,
        "index": {name: np.ravel(value).tolist() for name, value in (index or {}).items()},
        "inputs": flat(inputs),
        "delta": delta.ravel().tolist(),
        "output": output.ravel().tolist(),
        "gradients": flat(gradients),
    }


def compute():
    cases = {}
    for name, slope in [("rectified", 0.0), ("leaky", 0.2)]:
        cases[name] = case(
            lambda x, weight, bias: rectify(linear(x, weight, bias), slope),
            {"x": draw(5, 10), "weight": draw(7, 10), "bias": draw(7)},
            {"rows": 5, "inputs": 10, "outputs": 7})
    cases["single"] = case(
        linear, {"x": draw(9, 31), "weight": draw(1, 31), "bias": draw(1)},
        {"rows": 9, "inputs": 31, "outputs": 1})

    user_index = np.array([0, 3, 0, 1, 1, 3, 0])
    item_index = np.array([4, 0, 1, 4, 2, 4, 1])
    cases["mlp"] = case(
        lambda **inputs: mlp(**inputs, user_index=user_index, item_index=item_index),
        {"users": draw(4, 8), "items": draw(5, 8), "hidden": draw(9, 16),
         "hidden_bias": draw(9), "last": draw(1, 9), "last_bias": draw(1)},
        {"rows": 7, "users": 4, "items": 5, "factors": 8, "hidden": 9},
        {"users": user_index, "items": item_index})

    cases["normalize"] = case(normalize, {"x": draw(6, 10)}, {"rows": 6, "columns": 10})
    cases["layer_norm"] = case(
        layer_norm, {"x": draw(4, 50), "gamma": draw(50), "beta": draw(50)},
        {"rows": 4, "columns": 50})

    keep = random.integers(0, 4, (2, 9, 9)) > 0
    cases["attention"] = case(
        lambda q, k, v: attention(q, k, v, keep, 2, 3, 0.25),
        {"q": draw(9, 10), "k": draw(9, 10), "v": draw(9, 10)},
        {"length": 9, "width": 10, "heads": 2, "padding": 3, "rate": 250},
        {"keep": keep.astype(int)})

    met = random.integers(0, 2, (6, 7))
    met[2] = 0
    met[:, 5] = 0
    degrees = [np.maximum(met.sum(axis), 1) for axis in (1, 0)]
    weights = met / np.sqrt(np.outer(*degrees))
    cases["sparse"] = case(
        lambda items: weights @ items, {"items": draw(7, 10)},
        {"users": 6, "items": 7, "columns": 10}, {"met": met})
    return cases


def numbers(value, path=""):
    if isinstance(value, dict):
        for key in value:
            yield from numbers(value[key], f"{path}/{key}")
    elif isinstance(value, list):
        for place, item in enumerate(value):
            yield from numbers(item, f"{path}/{place}")
    else:
        yield path, value


def main():
    path = pathlib.Path(__file__).with_suffix(".json")
    cases = compute()
    if "--check" not in sys.argv[1:]:
        path.write_text(json.dumps(cases, indent=1) + "\n")
        return
    expected = dict(numbers(json.loads(path.read_text())))
    actual = dict(numbers(cases))
    bad = [key for key in actual
           if key not in expected
           or not np.isclose(actual[key], expected[key], rtol=1e-12, atol=1e-14)]
    if bad or len(actual) != len(expected):
        sys.exit(f"{len(bad)} numbers differ, first {bad[:1]}")
    print(f"{len(actual)} numbers agree")


if __name__ == "__main__":
    main()
