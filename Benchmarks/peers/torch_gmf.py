#!/usr/bin/env python3
"""GMF in PyTorch, as fast as it goes on one process without writing a kernel.

The counterpart of `inverse train` for a comparison of speed: 32 factors, lazy Adam on the rows of a
batch (torch.optim.SparseAdam), batches by indexing tensors (no DataLoader), unlabeled items drawn on
the fly against a bitmap, in whole batches. Two modes:

  bce  binary cross-entropy of the labeled rows
  ig   inverse gradient: a virtual step along the gradient of the inverse dual loss of one unlabeled
       row per labeled row, judged by the labeled rows at -a, 0 and +a, then the real step
       (Lin et al., WSDM 2024)

It reads rows of user, item, rating, separated by tabs; a rating of at least 3 is positive. The first
epoch warms up; the figure is the median of the others, evaluation left out.
"""

import argparse
import json
import statistics
import sys
import time

import numpy as np
import torch
from torch.nn import functional


class Model:
    """GMF: weight . (user * item) + bias, and the optimizers of its sparse and dense parts."""

    def __init__(self, users, items, factors, rate):
        self.users = torch.nn.Parameter(torch.randn(users, factors) * 0.01)
        self.items = torch.nn.Parameter(torch.randn(items, factors) * 0.01)
        self.weight = torch.nn.Parameter(torch.empty(1, factors))
        torch.nn.init.kaiming_uniform_(self.weight, a=1)
        self.bias = torch.nn.Parameter(torch.zeros(1))
        self.sparse = torch.optim.SparseAdam([self.users, self.items], lr=rate)
        self.dense = torch.optim.Adam([self.weight, self.bias], lr=rate)

    def logits(self, users, items):
        """Scores of pairs, with gradients that hold the touched rows only."""
        left = functional.embedding(users, self.users, sparse=True)
        right = functional.embedding(items, self.items, sparse=True)
        return functional.linear(left * right, self.weight, self.bias).view(-1)

    def labeled_step(self, users, items, labels):
        """One optimizer step on labeled rows."""
        self.sparse.zero_grad()
        self.dense.zero_grad()
        loss = functional.binary_cross_entropy_with_logits(self.logits(users, items), labels)
        loss.backward()
        self.sparse.step()
        self.dense.step()

    def judged_step(self, users, items, labels, unlabeled, size):
        """The virtual step that the labeled rows prefer, then a step on them."""
        loss = inverse_dual_loss(self.logits(users, unlabeled))
        parameters = [self.users, self.items, self.weight, self.bias]
        gradients = torch.autograd.grad(loss, parameters)
        with torch.no_grad():
            rows = (gradients[0].to_dense(), gradients[1].to_dense())
            shifts = [0.0, -size, size]
            losses = [
                self.shifted_loss(users, items, labels, rows, gradients[2:], shift)
                for shift in shifts
            ]
            chosen = shifts[int(torch.stack(losses).argmin())]
            if chosen:
                for parameter, gradient in zip(parameters, gradients):
                    parameter.add_(gradient, alpha=chosen)
        self.labeled_step(users, items, labels)

    def shifted_loss(self, users, items, labels, rows, dense, shift):
        """The labeled loss with every parameter moved by shift times its gradient."""
        left = functional.embedding(users, self.users) + shift * functional.embedding(users, rows[0])
        right = functional.embedding(items, self.items) + shift * functional.embedding(items, rows[1])
        logits = functional.linear(
            left * right, self.weight + shift * dense[0], self.bias + shift * dense[1]
        ).view(-1)
        return functional.binary_cross_entropy_with_logits(logits, labels)


def inverse_dual_loss(logits):
    """Both labels, each weighted by how well it fits; the weights are constants."""
    with torch.no_grad():
        positive = functional.softplus(-logits)
        negative = functional.softplus(logits)
        weight = negative * negative / (negative * negative + positive * positive)
    return (
        weight * functional.softplus(-logits) + (1 - weight) * functional.softplus(logits)
    ).mean()


class Unmet:
    """Uniform draws from the items a user has not met."""

    def __init__(self, users, items, user_count, item_count):
        self.items = item_count
        self.met = torch.zeros(user_count * item_count, dtype=torch.bool)
        self.met[users * item_count + items] = True

    def draw(self, users):
        drawn = torch.randint(0, self.items, users.shape)
        again = self.met[users * self.items + drawn]
        while again.any():
            drawn[again] = torch.randint(0, self.items, (int(again.sum()),))
            again = self.met[users * self.items + drawn]
        return drawn


def dense_ids(column):
    """Ids renumbered from 0 without gaps, as `inverse prepare` does, and their number."""
    values, ids = np.unique(column, return_inverse=True)
    return torch.from_numpy(ids.astype(np.int64)), len(values)


def run_epoch(model, columns, unmet, options):
    """Trains one epoch and returns labeled rows per second."""
    users, items, labels = columns
    start = time.perf_counter()
    order = torch.randperm(len(users))
    for first in range(0, len(users), options.batch):
        rows = order[first : first + options.batch]
        batch = (users[rows], items[rows], labels[rows])
        if options.mode == "bce":
            model.labeled_step(*batch)
        else:
            model.judged_step(*batch, unmet.draw(batch[0]), options.rate)
    return len(users) / (time.perf_counter() - start)


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--train", required=True, help="rows of user, item, rating")
    parser.add_argument("--mode", choices=["bce", "ig"], default="bce")
    parser.add_argument("--factors", type=int, default=32)
    parser.add_argument("--batch", type=int, default=8192)
    parser.add_argument("--rate", type=float, default=1e-3, help="of Adam and of the virtual step")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=3, help="measured, after one that warms up")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="print one JSON object only")
    options = parser.parse_args()
    if min(options.factors, options.batch, options.threads, options.epochs) < 1:
        parser.error("--factors, --batch, --threads and --epochs must be at least 1")
    return options


def main():
    options = parse_arguments()
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    log = np.loadtxt(options.train, dtype=np.float64, ndmin=2)
    users, user_count = dense_ids(log[:, 0])
    items, item_count = dense_ids(log[:, 1])
    labels = torch.from_numpy((log[:, 2] >= 3).astype(np.float32))
    unmet = Unmet(users, items, user_count, item_count) if options.mode == "ig" else None
    model = Model(user_count, item_count, options.factors, options.rate)
    rates = []
    for epoch in range(options.epochs + 1):
        rate = run_epoch(model, (users, items, labels), unmet, options)
        if epoch > 0:
            rates.append(rate)
        if not options.json:
            print(f"epoch {epoch}: {rate:.0f} rows/s", file=sys.stderr)
    result = {
        "peer": "pytorch",
        "version": torch.__version__,
        "mode": options.mode,
        "factors": options.factors,
        "batch": options.batch,
        "threads": options.threads,
        "rows": len(users),
        "rows_per_second": statistics.median(rates),
        "rows_per_second_epochs": rates,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
