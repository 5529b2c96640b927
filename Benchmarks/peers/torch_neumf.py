#!/usr/bin/env python3
"""NeuMF in PyTorch, as fast as it goes on one process without writing a kernel.

The counterpart of `inverse train --backbone neumf --method bce`: F factors of a product, a tower of L
layers over embeddings of F * 2^(L-1), one output over both; binary cross-entropy, batches by indexing
tensors (no DataLoader). Each side has one table whose rows hold both embeddings, so that a batch
looks up two rows per pair. Embeddings are updated by --optimizer:

  sparse  torch.optim.SparseAdam: the rows of a batch
  dense   torch.optim.Adam(fused=True): all rows in every step

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

from torch_gmf import dense_ids


class Model(torch.nn.Module):
    """Both halves of NeuMF and the optimizers of its rows and layers."""

    def __init__(self, users, items, options):
        super().__init__()
        self.factors = options.factors
        width = options.factors << (options.layers - 1)
        self.is_sparse = options.optimizer == "sparse"
        self.users = torch.nn.Parameter(torch.randn(users, options.factors + width) * 0.01)
        self.items = torch.nn.Parameter(torch.randn(items, options.factors + width) * 0.01)
        sizes = [2 * width >> layer for layer in range(options.layers + 1)]
        layers = []
        for inputs, outputs in zip(sizes, sizes[1:]):
            layers += [torch.nn.Linear(inputs, outputs), torch.nn.ReLU(inplace=True)]
        self.tower = torch.nn.Sequential(*layers)
        self.output = torch.nn.Linear(2 * options.factors, 1)
        for module in [*layers[::2], self.output]:
            torch.nn.init.xavier_uniform_(module.weight)
            torch.nn.init.zeros_(module.bias)
        dense = [*self.tower.parameters(), *self.output.parameters()]
        rows = [self.users, self.items]
        if self.is_sparse:
            self.optimizers = [
                torch.optim.SparseAdam(rows, lr=options.rate),
                torch.optim.Adam(dense, lr=options.rate, fused=True),
            ]
        else:
            self.optimizers = [torch.optim.Adam(rows + dense, lr=options.rate, fused=True)]

    def forward(self, users, items):
        p = functional.embedding(users, self.users, sparse=self.is_sparse)
        q = functional.embedding(items, self.items, sparse=self.is_sparse)
        x = self.tower(torch.cat((p[:, self.factors :], q[:, self.factors :]), 1))
        x = torch.cat((p[:, : self.factors] * q[:, : self.factors], x), 1)
        return self.output(x).view(-1)

    def step(self, users, items, labels):
        """One optimizer step on labeled rows."""
        for optimizer in self.optimizers:
            optimizer.zero_grad()
        functional.binary_cross_entropy_with_logits(self(users, items), labels).backward()
        for optimizer in self.optimizers:
            optimizer.step()


def run_epoch(model, columns, options):
    """Trains one epoch and returns labeled rows per second."""
    users, items, labels = columns
    start = time.perf_counter()
    order = torch.randperm(len(users))[: options.rows or len(users)]
    for first in range(0, len(order), options.batch):
        rows = order[first : first + options.batch]
        model.step(users[rows], items[rows], labels[rows])
    return len(order) / (time.perf_counter() - start)


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--train", required=True, help="rows of user, item, rating")
    parser.add_argument("--optimizer", choices=["sparse", "dense"], default="sparse")
    parser.add_argument("--factors", type=int, default=32)
    parser.add_argument("--layers", type=int, default=3)
    parser.add_argument("--batch", type=int, default=8192)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=3, help="measured, after one that warms up")
    parser.add_argument("--rows", type=int, default=0, help="of an epoch; 0: all")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="print one JSON object only")
    options = parser.parse_args()
    if min(options.factors, options.layers, options.batch, options.threads, options.epochs) < 1:
        parser.error(
            "--factors, --layers, --batch, --threads and --epochs must be at least 1"
        )
    return options


def main():
    options = parse_arguments()
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    log = np.loadtxt(options.train, dtype=np.float64, ndmin=2)
    users, user_count = dense_ids(log[:, 0])
    items, item_count = dense_ids(log[:, 1])
    labels = torch.from_numpy((log[:, 2] >= 3).astype(np.float32))
    model = Model(user_count, item_count, options)
    rates = []
    for epoch in range(options.epochs + 1):
        rate = run_epoch(model, (users, items, labels), options)
        if epoch > 0:
            rates.append(rate)
        if not options.json:
            print(f"epoch {epoch}: {rate:.0f} rows/s", file=sys.stderr)
    result = {
        "peer": "pytorch",
        "version": torch.__version__,
        "backbone": "neumf",
        "optimizer": options.optimizer,
        "factors": options.factors,
        "layers": options.layers,
        "batch": options.batch,
        "threads": options.threads,
        "rows": len(users),
        "rows_per_second": statistics.median(rates),
        "rows_per_second_epochs": rates,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
