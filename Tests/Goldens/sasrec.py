#!/usr/bin/env python3
"""Golden numbers of SASRec, forward and backward, in NumPy and float64.

    python3 sasrec.py            writes sasrec.json beside this script
    python3 sasrec.py --check    computes it again and compares (relative 1e-12)

Written from Kang and McAuley, Self-Attentive Sequential Recommendation, ICDM 2018, section 3, with
normalisation of queries alone and residuals from what is normalised; it shares no code with the
program. Only the forward pass is written down, place by place and without padding: gradients are
complex-step derivatives of

    J = sum(delta * score)        dJ/dx = Im J(x + ih) / h,   h = 1e-30

which are exact to the last digits of float64.

Layout of sasrec.json: {
    factors, length, blocks, heads
    sequences         the items of each sequence, the earliest first
    rows              sequence, last place that is read, item
    tensors           name in model files -> numbers, row-major, exact in float32
    delta             one number per row, exact in float32
    scores            one number per row
    gradients         name -> dJ/dtensor
}
"""

import json
import pathlib
import sys

import numpy as np

STEP = 1e-30
FACTORS, LENGTH, BLOCKS, HEADS, ITEMS = 6, 5, 2, 2, 7
random = np.random.default_rng(20181117)
SEQUENCES = [[3, 0, 5], [1, 6, 2, 3, 4], [2], [6, 6, 0, 1], [5, 4]]
ROWS = [
    (0, 0, 0), (0, 1, 5), (0, 2, 1), (0, 2, 6), (1, 4, 2), (1, 0, 3), (1, 4, 2), (2, 0, 6),
    (3, 1, 4), (3, 3, 2), (3, 3, 0), (4, 1, 3), (4, 0, 5),
]


def draw(*shape, scale=1.0):
    """Multiples of 1/256, about `scale` in size."""
    bound = int(256 * scale)
    return random.integers(-bound, bound + 1, shape) / 256


def normalise(x, gamma, beta):
    centred = x - x.sum() / len(x)
    return gamma * centred / np.sqrt((centred * centred).sum() / len(x) + 1e-8) + beta


def encode(tensors, items):
    """F of every place of a sequence."""
    n = len(items)
    table, positions = tensors["item.factors"], tensors["positions.weight"]
    x = [np.sqrt(FACTORS) * table[item] + positions[LENGTH - n + t] for t, item in enumerate(items)]
    width = FACTORS // HEADS
    for block in range(BLOCKS):
        get = lambda name: tensors[f"blocks.{block}.{name}"]
        dense = lambda name, v: get(f"{name}.weight") @ v + get(f"{name}.bias")
        norm = lambda name, v: normalise(v, get(f"{name}.weight"), get(f"{name}.bias"))
        q = [norm("attention_norm", v) for v in x]
        queries = [dense("attention.query", v) for v in q]
        keys = [dense("attention.key", v) for v in x]
        values = [dense("attention.value", v) for v in x]
        after = []
        for t in range(n):
            heads = []
            for head in range(HEADS):
                part = slice(head * width, (head + 1) * width)
                logits = np.array(
                    [(queries[t][part] * keys[s][part]).sum() / np.sqrt(width) for s in range(t + 1)])
                weights = np.exp(logits - logits.real.max())
                weights = weights / weights.sum()
                heads.append(sum(weights[s] * values[s][part] for s in range(t + 1)))
            y = q[t] + np.concatenate(heads)
            z = norm("feedforward_norm", y)
            hidden = dense("feedforward.0", z)
            hidden = np.where(hidden.real > 0, hidden, 0)
            after.append(z + dense("feedforward.1", hidden))
        x = after
    return [normalise(v, tensors["norm.weight"], tensors["norm.bias"]) for v in x]


def scores_of(tensors):
    encoded = [encode(tensors, items) for items in SEQUENCES]
    return np.array(
        [(encoded[s][t] * tensors["item.factors"][item]).sum() for s, t, item in ROWS])


def tensors_of():
    tensors = {"item.factors": draw(ITEMS, FACTORS), "positions.weight": draw(LENGTH, FACTORS)}

    def norm(name):
        tensors[f"{name}.weight"] = 1 + draw(FACTORS, scale=0.5)
        tensors[f"{name}.bias"] = draw(FACTORS, scale=0.5)

    def dense(name):
        tensors[f"{name}.weight"] = draw(FACTORS, FACTORS, scale=0.5)
        tensors[f"{name}.bias"] = draw(FACTORS, scale=0.5)

    for block in range(BLOCKS):
        name = f"blocks.{block}"
        norm(f"{name}.attention_norm")
        for part in ["query", "key", "value"]:
            dense(f"{name}.attention.{part}")
        norm(f"{name}.feedforward_norm")
        dense(f"{name}.feedforward.0")
        dense(f"{name}.feedforward.1")
    norm("norm")
    return tensors


def derivatives(tensors, delta):
    gradients = {}
    for name, tensor in tensors.items():
        gradient = np.zeros(tensor.shape)
        for place in np.ndindex(tensor.shape):
            moved = dict(tensors)
            moved[name] = tensor.astype(complex)
            moved[name][place] += 1j * STEP
            gradient[place] = (delta * scores_of(moved)).sum().imag / STEP
        gradients[name] = gradient
    return gradients


def compute():
    tensors, delta = tensors_of(), draw(len(ROWS))
    flat = lambda arrays: {name: array.ravel().tolist() for name, array in arrays.items()}
    return {
        "factors": FACTORS, "length": LENGTH, "blocks": BLOCKS, "heads": HEADS, "items": ITEMS,
        "sequences": SEQUENCES, "rows": [list(row) for row in ROWS],
        "tensors": flat(tensors), "delta": delta.tolist(),
        "scores": scores_of(tensors).real.tolist(), "gradients": flat(derivatives(tensors, delta)),
    }


def same(a, b):
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b))
    return abs(a - b) <= 1e-12 * max(1, abs(a), abs(b))


if __name__ == "__main__":
    path = pathlib.Path(__file__).with_suffix(".json")
    result = compute()
    if "--check" in sys.argv:
        sys.exit(0 if same(result, json.loads(path.read_text())) else "sasrec.json differs")
    path.write_text(json.dumps(result, separators=(",", ":")) + "\n")
