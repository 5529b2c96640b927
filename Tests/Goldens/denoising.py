#!/usr/bin/env python3
"""Golden steps of t-ce, r-ce and bpr with row decay, from the equations, in NumPy and float64.

    denoising.py            writes denoising.json beside this file
    denoising.py --check    computes everything again and compares

The program is not involved. Every gradient is checked here by central differences.

denoising.json
    factors     F
    cases       list of
        name, method ("t-ce", "r-ce", "bpr"), optimizer ("sgd", "adam"), beta (its rate)
        drop_rate, drop_steps, reweight_power, row_decay: options of the methods
        trains_output   false: weight is 1 and bias is 0 for good
        initial         parameters by tensor, multiples of float32
        steps           list of
            labeled     {users, items, labels}: parallel lists
            unlabeled   {users, items, partners}: partners are rows of labeled with the same user
            labeled_loss, unlabeled_loss    sums before the step; of bpr: the pairs' and 0
            terms       labeled rows, or pairs, that labeled_loss sums over
            dropped     t-ce: how many rows
            parameters  by tensor, after the step; the next step starts from them as float32
            sensitivity by tensor: by how much an error of 1 in every gradient of the case so far
                        moves the parameter in this step, at most

Conventions
    User u's rows lie in shard u. The batch is shard after shard, each with its labeled rows, then
    its unlabeled ones, in the order given.
    t-ce    The drop rate of step s is linspace(0, drop_rate, drop_steps)[s], drop_rate from
            drop_steps on. Of N rows int((1 - rate) N) are kept: those with the smallest loss times
            label, unlabeled rows with label 0; of equal ones the first of the batch. The objective
            is the mean loss of those kept. The losses above are of all rows.
    r-ce    Mean over all rows of weight * loss; the weight is p ** reweight_power, p the probability
            of the row's label, held constant.
    bpr     Mean over pairs of softplus(-(y_ui - y_uj)): one pair for each unlabeled row whose
            partner has label 1. Other rows take no part.
    Decay   row_decay / 2 * mean over all rows (pairs) of the squared norms of their user and item
            rows (user, item, other item), biases included.
    Adam as in inverse_gradient.py; a row that takes no part keeps its moments, and the corrections
    go by the step of the case.
"""

import json
import math
import pathlib
import sys

import numpy as np

USERS, ITEMS, FACTORS = 5, 6, 9
NAMES = ["user_rows", "item_rows", "user_biases", "item_biases", "weight", "bias"]


def single(values):
    return np.asarray(values, dtype=np.float32).astype(np.float64)


def draw_parameters(random, trains_output):
    theta = {
        "user_rows": random.normal(0, 0.7, (USERS, FACTORS)),
        "item_rows": random.normal(0, 0.7, (ITEMS, FACTORS)),
        "user_biases": random.normal(0, 0.5, USERS), "item_biases": random.normal(0, 0.5, ITEMS),
        "weight": random.normal(0, 0.7, FACTORS) if trains_output else np.ones(FACTORS),
        "bias": random.normal(0, 0.5) if trains_output else np.zeros(()),
    }  # fmt: skip
    return {name: single(value) for name, value in theta.items()}


def draw_rows(random, per_labeled):
    users = random.integers(0, USERS, 8).tolist()
    labeled = {
        "users": users, "items": random.integers(0, ITEMS, 8).tolist(),
        "labels": (random.random(8) < 0.7).astype(int).tolist(),
    }  # fmt: skip
    partners = [row for row in range(8) for _ in range(per_labeled)]
    unlabeled = {
        "users": [users[row] for row in partners],
        "items": random.integers(0, ITEMS, len(partners)).tolist(), "partners": partners,
    }  # fmt: skip
    return labeled, unlabeled


class Batch:
    """Rows in the order of the batch: by shard, labeled first."""

    def __init__(self, labeled, unlabeled):
        rows = [
            (u, 0, n, i, label, None)
            for n, (u, i, label) in enumerate(zip(*(labeled[k] for k in ("users", "items", "labels"))))
        ] + [
            (u, 1, n, i, 0, partner)
            for n, (u, i, partner) in enumerate(
                zip(*(unlabeled[k] for k in ("users", "items", "partners"))))
        ]
        rows.sort(key=lambda row: row[:3])
        self.users = np.array([row[0] for row in rows])
        self.items = np.array([row[3] for row in rows])
        self.labels = np.array([row[4] for row in rows], dtype=float)
        self.is_labeled = np.array([row[1] == 0 for row in rows])
        # (positive row, unlabeled row) of each pair
        place = {row[2]: n for n, row in enumerate(rows) if row[1] == 0}
        self.pairs = [
            (place[row[5]], n) for n, row in enumerate(rows)
            if row[1] == 1 and self.labels[place[row[5]]] == 1
        ]  # fmt: skip

    def scores(self, theta):
        p, q = theta["user_rows"][self.users], theta["item_rows"][self.items]
        return ((p * q) @ theta["weight"] + theta["bias"]
                + theta["user_biases"][self.users] + theta["item_biases"][self.items])  # fmt: skip


def cross_entropies(y, labels):
    return np.logaddexp(0, np.where(labels == 1, -y, y))


def squares(theta, users, items):
    return (np.sum(theta["user_rows"][users] ** 2) + np.sum(theta["user_biases"][users] ** 2)
            + np.sum(theta["item_rows"][items] ** 2) + np.sum(theta["item_biases"][items] ** 2))


class Objective:
    """One step's objective with what is constant in it."""

    def __init__(self, case, batch, step, theta):
        self.case, self.batch = case, batch
        y = batch.scores(theta)
        losses = cross_entropies(y, batch.labels)
        self.dropped = 0
        self.weights = np.full(len(y), 1 / len(y))
        if case["method"] == "t-ce":
            self.weights = self.cut(losses * batch.labels, step)
        elif case["method"] == "r-ce":
            probability = 1 / (1 + np.exp(np.where(batch.labels == 1, -y, y)))
            reweighted = probability ** case["reweight_power"]
            self.weights = self.weights * reweighted
            losses = losses * reweighted
        if case["method"] == "bpr":
            self.figures = (sum(np.logaddexp(0, y[n] - y[p]) for p, n in batch.pairs), 0.0)
            self.terms = len(batch.pairs)
        else:
            self.figures = (losses[batch.is_labeled].sum(), losses[~batch.is_labeled].sum())
            self.terms = int(batch.is_labeled.sum())

    def cut(self, sizes, step):
        rate, steps = self.case["drop_rate"], self.case["drop_steps"]
        if step < steps:
            rate = np.linspace(0, rate, steps)[step]
        kept = int((1 - rate) * len(sizes))
        order = sorted(range(len(sizes)), key=lambda row: (sizes[row], row))
        self.dropped = len(sizes) - kept
        if 0 < kept < len(sizes):
            # float32 must see the same order: a clear difference, or equal rows.
            self.gap = sizes[order[kept]] - sizes[order[kept - 1]]
            assert self.gap == 0 or self.gap > 1e-3
        weights = np.zeros(len(sizes))
        weights[order[:kept]] = 1 / max(kept, 1)
        return weights

    def value(self, theta):
        y, batch, case = self.batch.scores(theta), self.batch, self.case
        half = case["row_decay"] / 2
        if case["method"] == "bpr":
            losses = [np.logaddexp(0, y[n] - y[p]) for p, n in batch.pairs]
            decay = sum(
                squares(theta, batch.users[[n]], batch.items[[p, n]]) for p, n in batch.pairs)
            return (sum(losses) + half * decay) / len(batch.pairs)
        losses = cross_entropies(y, batch.labels)
        return self.weights @ losses + half * squares(theta, batch.users, batch.items) / len(y)

    def gradient(self, theta):
        y, batch = self.batch.scores(theta), self.batch
        slopes, users, items = np.zeros(len(y)), np.zeros(len(y)), np.zeros(len(y))
        if self.case["method"] == "bpr":
            for p, n in batch.pairs:
                slope = 1 / (1 + np.exp(y[p] - y[n])) / len(batch.pairs)
                slopes[p] -= slope
                slopes[n] += slope
                users[n] += 1
                items[n] += 1
                items[p] += 1
            takes_part = items > 0
        else:
            slopes = self.weights * (1 / (1 + np.exp(-y)) - batch.labels)
            users, items, takes_part = users + 1, items + 1, np.ones(len(y), dtype=bool)
        strength = self.case["row_decay"] / max(1, users.sum())
        g = {name: np.zeros_like(theta[name]) for name in NAMES}
        for u, i, d, m, k in zip(batch.users, batch.items, slopes, users, items):
            p, q = theta["user_rows"][u], theta["item_rows"][i]
            g["user_rows"][u] += d * theta["weight"] * q + strength * m * p
            g["item_rows"][i] += d * theta["weight"] * p + strength * k * q
            g["user_biases"][u] += d + strength * m * theta["user_biases"][u]
            g["item_biases"][i] += d + strength * k * theta["item_biases"][i]
            g["weight"] += d * p * q
            g["bias"] += d
        self.check(theta, g)
        touched = {
            "user_rows": np.isin(np.arange(USERS), batch.users[takes_part])[:, None],
            "item_rows": np.isin(np.arange(ITEMS), batch.items[takes_part])[:, None],
            "weight": np.array(self.case["trains_output"]),
        }  # fmt: skip
        touched["user_biases"] = touched["user_rows"][:, 0]
        touched["item_biases"] = touched["item_rows"][:, 0]
        touched["bias"] = touched["weight"]
        return g, touched

    def check(self, theta, g):
        """Central differences: truncation and rounding are both below 1e-9 for h = 1e-5."""
        h = 1e-5
        for name in NAMES:
            for index in np.ndindex(theta[name].shape):
                values = []
                for sign in (1, -1):
                    moved = {key: np.array(value) for key, value in theta.items()}
                    moved[name][index] += sign * h
                    values.append(self.value(moved))
                assert abs((values[0] - values[1]) / (2 * h) - g[name][index]) < 1e-9, name


class Optimizer:
    """SGD or Adam with all gradients a parameter has had, for the sensitivity."""

    def __init__(self, case, theta):
        self.case, self.step = case, 0
        self.first = {name: np.zeros_like(theta[name]) for name in NAMES}
        self.second = {name: np.zeros_like(theta[name]) for name in NAMES}
        # d first / d errors and d second / d errors, in size.
        self.first_slope = {name: np.zeros_like(theta[name]) for name in NAMES}
        self.second_slope = {name: np.zeros_like(theta[name]) for name in NAMES}

    def apply(self, theta, g, touched):
        self.step += 1
        after, sensitivity = {}, {}
        for name in NAMES:
            mask, beta = np.broadcast_to(touched[name], theta[name].shape), self.case["beta"]
            move, slope = np.array(g[name]), np.ones_like(theta[name])
            if self.case["optimizer"] == "adam":
                move, slope = self.adam(name, g[name], mask)
            after[name] = np.where(mask, theta[name] - beta * move, theta[name])
            sensitivity[name] = np.where(mask, beta * slope, 0)
        return after, sensitivity

    def adam(self, name, g, mask):
        def update(old, new):
            return np.where(mask, new, old)

        self.first[name] = update(self.first[name], 0.9 * self.first[name] + 0.1 * g)
        self.second[name] = update(self.second[name], 0.999 * self.second[name] + 0.001 * g**2)
        self.first_slope[name] = update(
            self.first_slope[name], 0.9 * self.first_slope[name] + 0.1)
        self.second_slope[name] = update(
            self.second_slope[name], 0.999 * self.second_slope[name] + 0.001 * 2 * np.abs(g))
        m = self.first[name] / (1 - 0.9**self.step)
        v = self.second[name] / (1 - 0.999**self.step)
        root = np.sqrt(v)
        by_first = self.first_slope[name] / (1 - 0.9**self.step) / (root + 1e-8)
        half = np.divide(0.5, root, out=np.zeros_like(root), where=root > 0)
        by_second = (np.abs(m) / (root + 1e-8) ** 2 * half
                     * self.second_slope[name] / (1 - 0.999**self.step))  # fmt: skip
        # A gradient that was exactly 0 so far is so in float32, too: nothing of it took part.
        slope = np.where(v > 0, by_first + by_second, 0)
        if self.cancels(name):
            slope = np.full_like(root, 1e8)
        return m / (root + 1e-8), slope

    def cancels(self, name):
        """Whether a gradient is 0 but for rounding, which Adam makes a move of."""
        return name == "bias" and self.case["method"] == "bpr" and self.case["trains_output"]


def run(case, random, per_labeled, count, prepare=None):
    theta = draw_parameters(random, case["trains_output"])
    rows = [draw_rows(random, per_labeled) for _ in range(count)]
    if prepare:
        prepare(theta, rows)
    case["initial"] = {name: theta[name].tolist() for name in NAMES}
    optimizer, case["steps"], gaps = Optimizer(case, theta), [], []
    for step, (labeled, unlabeled) in enumerate(rows):
        objective = Objective(case, Batch(labeled, unlabeled), step, theta)
        gaps.append(getattr(objective, "gap", None))
        g, touched = objective.gradient(theta)
        after, sensitivity = optimizer.apply(theta, g, touched)
        # Float32 must not doubt where Adam goes.
        assert case["optimizer"] == "sgd" or all(
            np.max(sensitivity[name]) < 100 for name in NAMES if not optimizer.cancels(name))
        case["steps"].append({
            "labeled": labeled, "unlabeled": unlabeled,
            "labeled_loss": float(objective.figures[0]),
            "unlabeled_loss": float(objective.figures[1]), "terms": objective.terms,
            "dropped": objective.dropped,
            "parameters": {name: after[name].tolist() for name in NAMES},
            "sensitivity": {name: rounded_up(sensitivity[name]) for name in NAMES},
        })  # fmt: skip
        theta = {name: single(after[name]) for name in NAMES}
    return case, gaps


def rounded_up(values):
    def up(x):
        if x == 0:
            return 0.0
        unit = 10.0 ** (math.floor(math.log10(x)) - 2)
        return float(f"{math.ceil(x / unit) * unit:.3g}")

    return np.vectorize(up)(values).tolist()


def first(make, per_labeled, count, prepare=None, wanted=lambda case, gaps: True):
    """The case of the first seed for which nothing is in doubt in float32."""
    for seed in range(2000):
        try:
            case, gaps = run(make(), np.random.default_rng(seed), per_labeled, count, prepare)
        except AssertionError:
            continue
        if wanted(case, gaps):
            return case
    raise SystemExit(f"no seed for {make()['name']}")


def make(name, method, optimizer, **options):
    return lambda: {
        "name": f"{name} {optimizer}", "method": method, "optimizer": optimizer,
        "beta": 0.0625 if optimizer == "sgd" else 0.03125, "drop_rate": 0.0, "drop_steps": 0,
        "reweight_power": 0.0, "row_decay": 0.0, "trains_output": True, **options,
    }  # fmt: skip


def equal_users(theta, rows):
    """Users 1 and 3 are equal, and both like item 2 in the first step."""
    for name in ("user_rows", "user_biases"):
        theta[name][3] = theta[name][1]
    labeled, unlabeled = rows[0]
    for row, user in ((0, 1), (5, 3), (6, 3)):
        labeled["users"][row], labeled["items"][row], labeled["labels"][row] = user, 2, 1
    unlabeled["users"] = [labeled["users"][row] for row in unlabeled["partners"]]


def compute():
    cases = []
    for optimizer in ("sgd", "adam"):
        # 0, 3, 5 and 5 of 16 rows.
        cases.append(first(
            make("t-ce", "t-ce", optimizer, drop_rate=0.3, drop_steps=3, row_decay=0.125), 1, 4,
            wanted=lambda case, _: case["steps"][2]["dropped"] > 3))
        cases.append(first(
            make("t-ce ties", "t-ce", optimizer, drop_rate=0.2), 1, 1, equal_users,
            lambda _, gaps: gaps[0] == 0))
        cases.append(first(
            make("t-ce negatives go, too", "t-ce", optimizer, drop_rate=0.8, drop_steps=1), 2, 2,
            wanted=lambda case, _: case["steps"][1]["dropped"] > 16))
        cases.append(first(
            make("r-ce", "r-ce", optimizer, reweight_power=0.25, row_decay=0.25), 2, 3))
        cases.append(first(make("bpr", "bpr", optimizer, row_decay=0.5), 2, 3))
        cases.append(first(
            make("bpr of plain factors", "bpr", optimizer, row_decay=0.125, trains_output=False),
            1, 3))  # fmt: skip
    return {"factors": FACTORS, "cases": cases}


def equal(a, b):
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(equal(a[key], b[key]) for key in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(map(equal, a, b))
    if isinstance(a, float):
        return abs(a - b) <= 1e-12 * max(1, abs(a))
    return a == b


def main():
    path = pathlib.Path(__file__).with_suffix(".json")
    goldens = compute()
    if sys.argv[1:] == ["--check"]:
        if not equal(json.loads(json.dumps(goldens)), json.loads(path.read_text())):
            raise SystemExit(f"{path.name} differs from what this script computes; run it again")
        return
    cases = ",\n".join(map(json.dumps, goldens["cases"]))
    path.write_text(f'{{"factors": {FACTORS}, "cases": [\n{cases}\n]}}\n')


if __name__ == "__main__":
    main()
