#!/usr/bin/env python3
"""Golden numbers of MLP and NeuMF, forward and backward, in NumPy and float64.

    python3 perceptrons.py            writes perceptrons.json beside this script
    python3 perceptrons.py --check    computes it again and compares (relative 1e-12)

Written from He et al., Neural Collaborative Filtering, WWW 2017, sections 3.3 and 3.4, alone; it
shares no code with the program. Only the forward passes are written down: gradients are
complex-step derivatives of

    J = sum(delta * score)        dJ/dx = Im J(x + ih) / h,   h = 1e-30

which are exact to the last digits of float64.

Layout of perceptrons.json: mlp, neumf -> {
    factors, layers   F and L
    users, items      the row of each table that each row of the batch reads
    tensors           name in model files -> numbers, row-major, exact in float32
    delta             one number per row of the batch, exact in float32
    scores            one number per row of the batch
    gradients         name -> dJ/dtensor
    joined            neumf only: the scores of GMF and MLP with its parts, and of the model that
                      joins them with a factor of one half
}
"""

import json
import pathlib
import sys

import numpy as np

STEP = 1e-30
FACTORS, LAYERS, USERS, ITEMS = 8, 2, 8, 5
random = np.random.default_rng(20170403)


def draw(*shape, scale=1):
    """Multiples of 1/256, at most `scale` in size."""
    return random.integers(-256 * scale, 256 * scale + 1, shape) / 256


def rectify(x):
    return np.where(x.real > 0, x, 0)


def tower(tensors, p, q):
    x = np.concatenate([p, q], axis=1)
    for layer in range(LAYERS):
        x = rectify(x @ tensors[f"tower.{layer}.weight"].T + tensors[f"tower.{layer}.bias"])
    return x


def mlp(tensors, users, items):
    x = tower(tensors, tensors["user.factors"][users], tensors["item.factors"][items])
    return x @ tensors["output.weight"][0] + tensors["output.bias"][0]


def neumf(tensors, users, items):
    p, q = tensors["user.factors"][users], tensors["item.factors"][items]
    x = tower(tensors, p[:, FACTORS:], q[:, FACTORS:])
    x = np.concatenate([p[:, :FACTORS] * q[:, :FACTORS], x], axis=1)
    return x @ tensors["output.weight"][0] + tensors["output.bias"][0]


def tensors_of(row_width, features):
    tensors = {
        "user.factors": draw(USERS, row_width),
        "item.factors": draw(ITEMS, row_width),
    }
    for layer in range(LAYERS):
        inputs = FACTORS << (LAYERS - layer)
        tensors[f"tower.{layer}.weight"] = draw(inputs // 2, inputs) / 2
        tensors[f"tower.{layer}.bias"] = draw(inputs // 2)
    tensors["output.weight"] = draw(1, features)
    tensors["output.bias"] = draw(1)
    return tensors


def derivatives(score, tensors, users, items, delta):
    gradients = {}
    for name, tensor in tensors.items():
        gradient = np.empty(tensor.size)
        for place in range(tensor.size):
            moved = tensor.astype(complex)
            moved.flat[place] += 1j * STEP
            scores = score({**tensors, name: moved}, users, items)
            gradient[place] = (delta * scores).sum().imag / STEP
        gradients[name] = gradient.tolist()
    return gradients


def case(score, row_width, features):
    # Two users of each of four shards; no rows in the second.
    shards = [5, 0, 7, 1]
    users = np.concatenate([random.integers(0, 2, n) + 2 * s for s, n in enumerate(shards)])
    items = random.integers(0, ITEMS, len(users))
    tensors = tensors_of(row_width, features)
    delta = draw(len(users))
    return tensors, users, items, {
        "factors": FACTORS,
        "layers": LAYERS,
        "users": users.tolist(),
        "items": items.tolist(),
        "tensors": {name: tensor.ravel().tolist() for name, tensor in tensors.items()},
        "delta": delta.tolist(),
        "scores": score(tensors, users, items).tolist(),
        "gradients": derivatives(score, tensors, users, items, delta),
    }


def joined(tensors, users, items):
    """The parts of a NeuMF model as models of their own, and joined again."""
    h, v = tensors["output.weight"][:, :FACTORS], tensors["output.weight"][:, FACTORS:]
    b, c = 0.375, -0.8125
    p, q = tensors["user.factors"], tensors["item.factors"]
    gmf_scores = (p[users, :FACTORS] * q[items, :FACTORS]) @ h[0] + b
    mlp_tensors = {
        **tensors,
        "user.factors": p[:, FACTORS:],
        "item.factors": q[:, FACTORS:],
        "output.weight": v,
        "output.bias": np.array([c]),
    }
    mlp_scores = mlp(mlp_tensors, users, items)
    half = {**tensors, "output.weight": np.concatenate([h, v], axis=1) / 2}
    half["output.bias"] = np.array([b / 2 + c / 2])
    scores = neumf(half, users, items)
    assert np.allclose(scores, (gmf_scores + mlp_scores) / 2, rtol=1e-13, atol=1e-13)
    return {
        "gmf_bias": b,
        "mlp_bias": c,
        "gmf": gmf_scores.tolist(),
        "mlp": mlp_scores.tolist(),
        "scores": scores.tolist(),
    }


def compute():
    width = FACTORS << (LAYERS - 1)
    cases = {}
    cases["mlp"] = case(mlp, width, FACTORS)[-1]
    tensors, users, items, cases["neumf"] = case(neumf, FACTORS + width, 2 * FACTORS)
    cases["neumf"]["joined"] = joined(tensors, users, items)
    return cases


def close(a, b):
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(close(a[k], b[k]) for k in a)
    return np.allclose(a, b, rtol=1e-12, atol=1e-12)


def main():
    path = pathlib.Path(__file__).with_suffix(".json")
    cases = compute()
    if "--check" in sys.argv[1:]:
        if not close(cases, json.loads(path.read_text())):
            sys.exit("perceptrons.json differs from what this script computes")
        return
    path.write_text(json.dumps(cases, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
