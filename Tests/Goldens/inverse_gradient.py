#!/usr/bin/env python3
"""Golden numbers of one training step and of the row optimizers, in NumPy and float64.

    python3 inverse_gradient.py            writes inverse_gradient.json beside this script
    python3 inverse_gradient.py --check    computes it again and compares (relative 1e-12)

Written from docs/method.md alone; it shares no code with the program. Before anything is written,
every gradient is compared with central differences.

Model: generalised matrix factorisation with biases,
    score(u, i) = sum_f weight[f] user_rows[u, f] item_rows[i, f]
                  + user_biases[u] + item_biases[i] + bias

Layout of inverse_gradient.json
    problems    name -> the inputs of a step. All numbers are exact in float32.
        factors
        user_rows (users, factors), item_rows (items, factors), user_biases (users),
        item_biases (items), weight (factors), bias: the parameters before the step
        labeled     {users, items, labels}: parallel lists, labels 1 or 0
        unlabeled   {users, items}: parallel lists; row n has the user of labeled row n.
                    One user and one item occur in no row, one item in labeled rows only, one in
                    unlabeled rows only; one user occurs in one row of each kind.
    steps       list of
        name, problem (a name), objective ("bce", "negatives", "idl", "ig")
        direction ("sign", "gradient") and alpha: of "ig"; absent otherwise
        optimizer ("sgd", "adam"), beta (its rate), weight_decay, lambda
        expected
            objective "ig":
                virtual_gradient    g, by tensor (the six names of the parameters)
                losses              {"direct", "none", "inverse"}: mean labeled loss of each
                decision            "direct", "none" or "inverse"
            others: loss            labeled mean + lambda * unlabeled mean, before the step
            gradient    by tensor: what the optimizer is given, without weight decay
            parameters  by tensor: after the step
    optimizers  rate, initial (8), gradients (steps, 8), and expected: a list of
        {optimizer ("sgd", "adagrad", "adam"), weight_decay, weights (steps, 8)}

Conventions
    bce         mean over labeled rows of softplus(-y) for label 1, softplus(y) for label 0.
    negatives   bce + lambda * mean over unlabeled rows of softplus(y).
    idl         bce + lambda * mean over unlabeled rows of the inverse dual loss, its weights
                constant.
    ig          g = gradient of the mean over unlabeled rows of the inverse dual loss: no lambda,
                no weight decay. d(g) = sign(g), with sign(0) = 0, or g. Candidates
                direct = theta - alpha d(g), none = theta, inverse = theta + alpha d(g), judged by
                bce. direct wins if it is below both others, else inverse if it is below none,
                else none. Then an optimizer step from the winner theta*, with the gradient of bce
                at theta*.
    weight decay is L2: weight_decay * theta (for ig: theta*) is added to the gradient of touched
                rows with their biases, and of weight and bias. Touched are the rows of users and
                items in labeled rows, for "negatives" and "idl" also those in unlabeled rows.
    Untouched rows keep their values (for ig: of theta*).
    sgd         theta - beta g
    adagrad     s += g^2; theta - beta g / (sqrt(s) + 1e-10)
    adam        betas 0.9 and 0.999, epsilon 1e-8 outside the root of the corrected moment; the
                first step of a run.
"""

import json
import pathlib
import sys

import numpy as np

PARAMETERS = ["user_rows", "item_rows", "user_biases", "item_biases", "weight", "bias"]
USERS, ITEMS, FACTORS = 5, 6, 10
LABELED = {
    "users": [0, 1, 2, 0, 3, 2, 1, 0],
    "items": [0, 1, 2, 3, 0, 3, 2, 1],
    "labels": [1, 0, 1, 1, 0, 1, 0, 1],
}
UNLABELED = {"users": [0, 1, 2, 0, 3, 2, 1, 0], "items": [2, 3, 4, 4, 2, 4, 4, 2]}


def softplus(x):
    return np.logaddexp(0, x)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def scores(theta, rows):
    u, i = np.array(rows["users"]), np.array(rows["items"])
    products = theta["user_rows"][u] * theta["item_rows"][i]
    biases = theta["user_biases"][u] + theta["item_biases"][i] + theta["bias"]
    return products @ theta["weight"] + biases


def cross_entropy(theta, rows, labels):
    """Mean loss and its derivative by each score."""
    y, labels = scores(theta, rows), np.array(labels, dtype=float)
    loss = labels * softplus(-y) + (1 - labels) * softplus(y)
    return loss.mean(), (sigmoid(y) - labels) / len(y)


def dual_weights(y):
    positive, negative = softplus(-y), softplus(y)
    return negative**2 / (positive**2 + negative**2)


def dual_loss(theta, rows, weights=None):
    """Mean inverse dual loss and its derivative by each score, with constant weights."""
    y = scores(theta, rows)
    weights = dual_weights(y) if weights is None else weights
    loss = weights * softplus(-y) + (1 - weights) * softplus(y)
    return loss.mean(), (sigmoid(y) - weights) / len(y)


def backward(theta, rows, by_score):
    """The gradient by every parameter, row after row."""
    g = {name: np.zeros_like(theta[name]) for name in PARAMETERS}
    for u, i, d in zip(rows["users"], rows["items"], by_score):
        g["user_rows"][u] += d * theta["weight"] * theta["item_rows"][i]
        g["item_rows"][i] += d * theta["weight"] * theta["user_rows"][u]
        g["weight"] += d * theta["user_rows"][u] * theta["item_rows"][i]
        g["user_biases"][u] += d
        g["item_biases"][i] += d
        g["bias"] += d
    return g


def check_gradient(theta, objective, g):
    """Central differences: truncation and rounding are both below 1e-9 for h = 1e-5."""
    h = 1e-5
    for name in PARAMETERS:
        for index in np.ndindex(theta[name].shape):
            values = []
            for sign in (1, -1):
                moved = {key: np.array(value) for key, value in theta.items()}
                moved[name][index] += sign * h
                values.append(objective(moved))
            difference = (values[0] - values[1]) / (2 * h)
            assert abs(difference - g[name][index]) < 1e-9, (name, index, difference)


def touched(*row_sets):
    """For each tensor, which entries of its first axis an optimizer step may change."""
    users = np.isin(np.arange(USERS), sum((rows["users"] for rows in row_sets), []))
    items = np.isin(np.arange(ITEMS), sum((rows["items"] for rows in row_sets), []))
    return {
        "user_rows": users[:, None], "user_biases": users, "item_rows": items[:, None],
        "item_biases": items, "weight": True, "bias": True,
    }  # fmt: skip


def first_step(optimizer, theta, g, beta, weight_decay, mask):
    after = {}
    for name in PARAMETERS:
        slope = np.array(g[name] + weight_decay * theta[name])
        if optimizer == "adam":
            # Adam's first step is a sign, too: no component may be in doubt in float32.
            assert np.abs(slope)[np.broadcast_to(mask[name], slope.shape)].min() > 1e-5
            m, v = (1 - 0.9) * slope, (1 - 0.999) * slope**2
            slope = (m / (1 - 0.9)) / (np.sqrt(v / (1 - 0.999)) + 1e-8)
        after[name] = np.where(mask[name], theta[name] - beta * slope, theta[name])
    return after


def shifted(theta, g, direction, alpha):
    move = {name: np.sign(g[name]) if direction == "sign" else g[name] for name in PARAMETERS}
    return {name: theta[name] - alpha * move[name] for name in PARAMETERS}


def inverse_gradient(theta, direction, alpha):
    """Virtual gradient, the three labeled losses, the decision and the winner."""
    _, by_score = dual_loss(theta, UNLABELED)
    g = backward(theta, UNLABELED, by_score)
    candidates = {
        "direct": shifted(theta, g, direction, alpha),
        "none": theta,
        "inverse": shifted(theta, g, direction, -alpha),
    }
    losses = {
        name: cross_entropy(candidate, LABELED, LABELED["labels"])[0]
        for name, candidate in candidates.items()
    }
    if losses["direct"] < min(losses["none"], losses["inverse"]):
        decision = "direct"
    elif losses["inverse"] < losses["none"]:
        decision = "inverse"
    else:
        decision = "none"
    return g, losses, decision, candidates[decision]


def margin(losses):
    """By how much the best candidate wins."""
    first, second, _ = sorted(losses.values())
    return second - first


def sample(seed):
    random = np.random.default_rng(seed)

    def exact(*shape):
        return random.normal(0, 0.6, shape).astype(np.float32).astype(np.float64)

    return {
        "user_rows": exact(USERS, FACTORS), "item_rows": exact(ITEMS, FACTORS),
        "user_biases": exact(USERS), "item_biases": exact(ITEMS), "weight": exact(FACTORS),
        "bias": exact(),
    }  # fmt: skip


def is_well_conditioned(g, rows):
    """No touched component is so small that float32 could doubt its sign."""
    mask = touched(rows)
    sizes = {name: np.abs(g[name])[np.broadcast_to(mask[name], g[name].shape)] for name in g}
    return all(size.min() > 2e-5 for size in sizes.values())


def find(direction, wanted):
    """The first seed and step that give the wanted decision by a clear margin."""
    alphas = [0.25, 0.125, 0.0625, 0.03125] if direction == "sign" else [8.0, 4.0, 2.0, 1.0, 0.5]
    for seed in range(3000):
        theta = sample(seed)
        for alpha in alphas:
            g, losses, decision, winner = inverse_gradient(theta, direction, alpha)
            if decision != wanted or margin(losses) < 0.01:
                continue
            _, by_score = cross_entropy(winner, LABELED, LABELED["labels"])
            labeled = backward(winner, LABELED, by_score)
            if is_well_conditioned(g, UNLABELED) and is_well_conditioned(labeled, LABELED):
                return seed, alpha
    raise SystemExit(f"no case for {direction} {wanted}")


def tensors(theta):
    return {name: theta[name].tolist() for name in PARAMETERS}


def inverse_gradient_step(theta, name, problem, direction, alpha, optimizer):
    beta, decay = 0.0625, 0.015625
    g, losses, decision, winner = inverse_gradient(theta, direction, alpha)
    weights = dual_weights(scores(theta, UNLABELED))
    check_gradient(theta, lambda t: dual_loss(t, UNLABELED, weights)[0], g)
    _, by_score = cross_entropy(winner, LABELED, LABELED["labels"])
    gradient = backward(winner, LABELED, by_score)
    check_gradient(winner, lambda t: cross_entropy(t, LABELED, LABELED["labels"])[0], gradient)
    after = first_step(optimizer, winner, gradient, beta, decay, touched(LABELED))
    return {
        "name": name, "problem": problem, "objective": "ig", "direction": direction,
        "alpha": alpha, "optimizer": optimizer, "beta": beta, "weight_decay": decay, "lambda": 0.5,
        "expected": {
            "virtual_gradient": tensors(g), "losses": losses, "decision": decision,
            "gradient": tensors(gradient), "parameters": tensors(after),
        },
    }  # fmt: skip


def plain_step(theta, problem, objective, optimizer):
    beta, decay, share = 0.0625, 0.015625, 0.5
    zeros = [0] * len(UNLABELED["users"])
    weights = dual_weights(scores(theta, UNLABELED))

    def unlabeled(t):
        if objective == "idl":
            return dual_loss(t, UNLABELED, weights)
        return cross_entropy(t, UNLABELED, zeros)

    def loss(t):
        labeled = cross_entropy(t, LABELED, LABELED["labels"])[0]
        return labeled if objective == "bce" else labeled + share * unlabeled(t)[0]

    gradient = backward(theta, LABELED, cross_entropy(theta, LABELED, LABELED["labels"])[1])
    mask = touched(LABELED)
    if objective != "bce":
        other = backward(theta, UNLABELED, unlabeled(theta)[1])
        gradient = {name: gradient[name] + share * other[name] for name in PARAMETERS}
        mask = touched(LABELED, UNLABELED)
    check_gradient(theta, loss, gradient)
    after = first_step(optimizer, theta, gradient, beta, decay, mask)
    return {
        "name": f"{objective} {optimizer}", "problem": problem, "objective": objective,
        "optimizer": optimizer, "beta": beta, "weight_decay": decay, "lambda": share,
        "expected": {
            "loss": loss(theta), "gradient": tensors(gradient), "parameters": tensors(after),
        },
    }  # fmt: skip


def optimizers():
    """Five steps of each optimizer on eight numbers."""
    random = np.random.default_rng(20)
    rate, count = 0.0625, 8
    initial = random.uniform(-0.2, 0.2, count).astype(np.float32).astype(np.float64)
    sizes = random.uniform(0.25, 1, (5, count)) * random.choice([-1, 1], (5, count))
    gradients = sizes.astype(np.float32).astype(np.float64)
    expected = []
    for optimizer in ("sgd", "adagrad", "adam"):
        for decay in (0.0, 0.015625):
            weights, history = initial.copy(), []
            first, second = np.zeros(count), np.zeros(count)
            for step, row in enumerate(gradients, start=1):
                g = row + decay * weights
                if optimizer == "adagrad":
                    first += g**2
                    g = g / (np.sqrt(first) + 1e-10)
                elif optimizer == "adam":
                    first = 0.9 * first + 0.1 * g
                    second = 0.999 * second + 0.001 * g**2
                    g = first / (1 - 0.9**step) / (np.sqrt(second / (1 - 0.999**step)) + 1e-8)
                weights = weights - rate * g
                history.append(weights.tolist())
            expected.append({"optimizer": optimizer, "weight_decay": decay, "weights": history})
    return {
        "rate": rate, "initial": initial.tolist(), "gradients": gradients.tolist(),
        "expected": expected,
    }  # fmt: skip


def compute():
    problems, steps = {}, []
    for direction in ("sign", "gradient"):
        for decision in ("direct", "none", "inverse"):
            seed, alpha = find(direction, decision)
            theta, problem = sample(seed), f"{direction} {decision}"
            problems[problem] = {
                "factors": FACTORS, **tensors(theta), "labeled": LABELED, "unlabeled": UNLABELED
            }  # fmt: skip
            for optimizer in ("sgd", "adam"):
                step = inverse_gradient_step(
                    theta, f"ig {problem} {optimizer}", problem, direction, alpha, optimizer)
                assert step["expected"]["decision"] == decision
                steps.append(step)
            if (direction, decision) == ("sign", "direct"):
                for objective in ("bce", "negatives", "idl"):
                    for optimizer in ("sgd", "adam"):
                        steps.append(plain_step(theta, problem, objective, optimizer))
    return {"problems": problems, "steps": steps, "optimizers": optimizers()}


def equal(a, b):
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(equal(a[key], b[key]) for key in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(map(equal, a, b))
    if isinstance(a, float):
        return abs(a - b) <= 1e-12 * max(1, abs(a))
    return a == b


def text(goldens):
    """JSON with one problem or step per line."""
    problems = [f"{json.dumps(k)}: {json.dumps(v)}" for k, v in goldens["problems"].items()]
    return "\n".join([
        '{"problems": {', ",\n".join(problems), '}, "steps": [',
        ",\n".join(map(json.dumps, goldens["steps"])), '], "optimizers":',
        json.dumps(goldens["optimizers"]), "}", "",
    ])  # fmt: skip


def main():
    path = pathlib.Path(__file__).with_suffix(".json")
    goldens = compute()
    if sys.argv[1:] == ["--check"]:
        if not equal(goldens, json.loads(path.read_text())):
            raise SystemExit(f"{path.name} differs from what this script computes; run it again")
        return
    path.write_text(text(goldens))


if __name__ == "__main__":
    main()
