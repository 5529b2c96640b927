#!/usr/bin/env python3
"""Golden numbers of LightGCN, NGCF and PinSage, forward and backward, in NumPy and float64.

    python3 graphs.py            writes graphs.json beside this script
    python3 graphs.py --check    computes it again and compares (relative 1e-12)

Written from He et al., SIGIR 2020, section 3; Wang et al., SIGIR 2019, section 2; Ying et al., KDD
2018, section 3.2, alone; it shares no code with the program. Only the forward passes are written
down, as dense matrices over users and items together: gradients are complex-step derivatives of

    J = sum(delta * score)        dJ/dx = Im J(x + ih) / h,   h = 1e-30

which are exact to the last digits of float64, and central differences are compared with them here.

Layout of graphs.json: edges -> [user, item] pairs, one user and one item without any;
neighbours -> {users, items}: for each node [item, weight] pairs, weights exact in float32; models ->
lightgcn, ngcf, pinsage, ngcf-node-dropout -> {
    factors, layers   F and K
    tensors           name in model files -> numbers, row-major, exact in float32
    users, items      the propagated rows, row-major
    pairs, delta      [user, item] pairs with a weight each, exact in float32
    scores            one number per pair
    gradients         name -> dJ/dtensor
}
"""

import json
import pathlib
import sys

import numpy as np

STEP = 1e-30
USERS, ITEMS, PAIRS = 7, 6, 11
EDGES = [
    (0, 0), (0, 1), (0, 5), (1, 0), (1, 2), (2, 1), (4, 0), (4, 2), (4, 3), (4, 5), (5, 3), (6, 0),
    (6, 1), (6, 2), (6, 5),
]  # fmt: skip
random = np.random.default_rng(20200725)


def draw(*shape, scale=1):
    """Multiples of 1/256, at most `scale` in size."""
    return random.integers(-256 * scale, 256 * scale + 1, shape) / 256


def rectify(x, slope=0):
    return np.where(x.real > 0, x, slope * x)


def normalize(x):
    # Without abs(), which has no complex derivative.
    norm = np.sqrt((x * x).sum(axis=1, keepdims=True))
    return x / np.where(norm.real > 1e-12, norm, 1e-12)


def adjacency():
    a = np.zeros((USERS + ITEMS, USERS + ITEMS))
    for user, item in EDGES:
        a[user, USERS + item] = a[USERS + item, user] = 1
    return a


def rows_of(tensors):
    return np.concatenate([tensors["user.factors"], tensors["item.factors"]])


def lightgcn(tensors, layers):
    a = adjacency()
    degrees = a.sum(axis=1)
    half = np.where(degrees > 0, np.maximum(degrees, 1) ** -0.5, 0)
    operator = half[:, None] * a * half[None, :]
    rows = [rows_of(tensors)]
    for _ in range(layers):
        rows.append(operator @ rows[-1])
    return sum(rows) / (layers + 1)


def mean_operator():
    a = adjacency() + np.eye(USERS + ITEMS)
    return a / a.sum(axis=1, keepdims=True)


def ngcf(tensors, layers, operator=None):
    operator = mean_operator() if operator is None else operator
    x = rows_of(tensors)
    parts = [x]
    for layer in range(1, layers + 1):
        get = lambda name: tensors[f"layers.{layer}.{name}"]
        s = operator @ x
        x = rectify(s @ get("neighbours.weight").T + get("neighbours.bias"), 0.2) + rectify(
            (x * s) @ get("interaction.weight").T + get("interaction.bias"), 0.2
        )
        parts.append(normalize(x))
    return np.concatenate(parts, axis=1)


def mix(value):
    """The finalizer of SplitMix64 (Steele et al., OOPSLA 2014)."""
    value = (value + 0x9E3779B97F4A7C15) % 2**64
    value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9 % 2**64
    value = (value ^ value >> 27) * 0x94D049BB133111EB % 2**64
    return value ^ value >> 31


def philox(seed, purpose, step, row, place):
    """Philox 4x32-10 (Salmon et al., SC 2011), keyed as docs/decisions/0008-randomness.md says."""
    key = mix((seed + mix(purpose)) % 2**64)
    k = [key % 2**32, key >> 32]
    c = [row % 2**32, row >> 32, place, step]
    for _ in range(10):
        first, second = c[0] * 0xD2511F53, c[2] * 0xCD9E8D57
        c = [second >> 32 ^ c[1] ^ k[0], second % 2**32, first >> 32 ^ c[3] ^ k[1], first % 2**32]
        k = [(k[0] + 0x9E3779B9) % 2**32, (k[1] + 0xBB67AE85) % 2**32]
    return c


def ngcf_with_node_dropout(tensors, layers, rate=np.float32(0.3), seed=3, step=7):
    """Each entry of the operator falls out, both directions of an edge and the diagonal by themselves."""
    operator = mean_operator()
    weight = lambda word: 0 if word < int(float(rate) * 2**32) else float(1 / (1 - rate))
    words = lambda row, place: philox(seed, 13, step, row, place)
    for node in range(USERS + ITEMS):
        operator[node, node] *= weight(words(node, 0)[0])
    for user in range(USERS):
        for place, item in enumerate(sorted(i for u, i in EDGES if u == user)):
            to_user, to_item = words(user, 1 + place)[:2]
            operator[user, USERS + item] *= weight(to_user)
            operator[USERS + item, user] *= weight(to_item)
    return ngcf(tensors, layers, operator)


def draw_neighbours():
    """For each user, then each item: some items with weights that add up to one."""
    lists = []
    for node in range(USERS + ITEMS):
        isolated = node in (3, USERS + 4)
        count = 0 if isolated else 1 + node % 3
        items = [i for i in range(ITEMS) if i not in (4, node - USERS)]
        chosen = random.choice(items, count, replace=False)
        weights = {1: [1], 2: [0.75, 0.25], 3: [0.5, 0.375, 0.125]}.get(count, [])
        lists.append([[int(i), w] for i, w in zip(chosen, weights)])
    return lists


NEIGHBOURS = draw_neighbours()


def pinsage(tensors, layers):
    weights = np.zeros((USERS + ITEMS, ITEMS))
    for node, neighbours in enumerate(NEIGHBOURS):
        for item, weight in neighbours:
            weights[node, item] = weight
    x = rows_of(tensors)
    for layer in range(1, layers + 1):
        get = lambda name: tensors[f"layers.{layer}.{name}"]
        messages = rectify(x[USERS:] @ get("neighbours.weight").T + get("neighbours.bias"))
        joined = np.concatenate([x, weights @ messages], axis=1)
        x = normalize(rectify(joined @ get("output.weight").T + get("output.bias")))
    x = rectify(x @ tensors["head.hidden.weight"].T + tensors["head.hidden.bias"])
    return x @ tensors["head.output.weight"].T


def tensors_of(name, factors, layers):
    tensors = {
        "user.factors": draw(USERS, factors),
        "item.factors": draw(ITEMS, factors),
    }
    for layer in range(1, layers + 1):
        if name.startswith("ngcf"):
            for part in ["neighbours", "interaction"]:
                tensors[f"layers.{layer}.{part}.weight"] = draw(factors, factors) / 2
                tensors[f"layers.{layer}.{part}.bias"] = draw(factors)
        if name == "pinsage":
            tensors[f"layers.{layer}.neighbours.weight"] = draw(factors, factors) / 2
            tensors[f"layers.{layer}.neighbours.bias"] = draw(factors)
            tensors[f"layers.{layer}.output.weight"] = draw(factors, 2 * factors) / 2
            tensors[f"layers.{layer}.output.bias"] = draw(factors) + 0.5
    if name == "pinsage":
        tensors["head.hidden.weight"] = draw(factors, factors) / 2
        tensors["head.hidden.bias"] = draw(factors)
        tensors["head.output.weight"] = draw(factors, factors) / 2
    return tensors


def objective(model, tensors, layers, pairs, delta):
    rows = model(tensors, layers)
    return rows, (rows[pairs[:, 0]] * rows[USERS + pairs[:, 1]]).sum(axis=1)


def derivatives(model, tensors, layers, pairs, delta):
    gradients = {}
    for name, tensor in tensors.items():
        gradient = np.empty(tensor.size)
        for place in range(tensor.size):
            moved = tensor.astype(complex)
            moved.flat[place] += 1j * STEP
            scores = objective(model, {**tensors, name: moved}, layers, pairs, delta)[1]
            gradient[place] = (delta * scores).sum().imag / STEP
            # Central differences: an error of h^2 and of 2^-53 / h.
            ends = []
            for step in [2.0**-18, -(2.0**-18)]:
                moved = tensor.copy()
                moved.flat[place] += step
                ends.append(
                    (delta * objective(model, {**tensors, name: moved}, layers, pairs, delta)[1]).sum()
                )
            difference = (ends[0] - ends[1]) / 2.0**-17
            assert abs(difference - gradient[place]) < 1e-7 * max(1, abs(difference)), name
        gradients[name] = gradient.tolist()
    return gradients


def case(name, model, factors, layers):
    tensors = tensors_of(name, factors, layers)
    pairs = np.stack([random.integers(0, USERS, PAIRS), random.integers(0, ITEMS, PAIRS)], axis=1)
    # The user and the item without edges are scored, too.
    pairs[0], pairs[1] = (3, 4), (3, 0)
    delta = draw(PAIRS)
    rows, scores = objective(model, tensors, layers, pairs, delta)
    return {
        "factors": factors,
        "layers": layers,
        "tensors": {name: tensor.ravel().tolist() for name, tensor in tensors.items()},
        "users": rows[:USERS].ravel().tolist(),
        "items": rows[USERS:].ravel().tolist(),
        "pairs": pairs.tolist(),
        "delta": delta.tolist(),
        "scores": scores.tolist(),
        "gradients": derivatives(model, tensors, layers, pairs, delta),
    }


def compute():
    return {
        "edges": [list(edge) for edge in EDGES],
        "neighbours": NEIGHBOURS,
        "models": {
            "lightgcn": case("lightgcn", lightgcn, 5, 3),
            "ngcf": case("ngcf", ngcf, 5, 2),
            "pinsage": case("pinsage", pinsage, 8, 2),
            "ngcf-node-dropout": case("ngcf-node-dropout", ngcf_with_node_dropout, 5, 2),
        },
    }


def close(a, b):
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(close(a[k], b[k]) for k in a)
    if isinstance(a, list) and a and isinstance(a[0], list):
        return len(a) == len(b) and all(close(x, y) for x, y in zip(a, b))
    return np.allclose(a, b, rtol=1e-12, atol=1e-12)


def main():
    path = pathlib.Path(__file__).with_suffix(".json")
    cases = compute()
    if "--check" in sys.argv[1:]:
        if not close(cases, json.loads(path.read_text())):
            sys.exit("graphs.json differs from what this script computes")
        return
    path.write_text(json.dumps(cases, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
