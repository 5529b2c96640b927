#!/usr/bin/env python3
"""SASRec in PyTorch, as fast as it goes on one process without writing a kernel.

The counterpart of `inverse train --backbone sasrec --method negatives`: causal attention over the last n
items of a user, scores with the item table, binary cross-entropy of every place with its next item
and one random item. Sequences are padded in front to n, a batch is a tensor (users, n); attention is
`scaled_dot_product_attention` (causal; padding needs no mask of its own, its rows are cleared and
count nowhere), Adam is fused and dense.

It reads rows of user and item in the order of time, and holds out the last two of each user. The first
epoch warms up; the figure is the median of the others, in labeled places per second.
"""

import argparse
import json
import statistics
import sys
import time

import numpy as np
import torch
from torch import nn
from torch.nn import functional


class Block(nn.Module):
    """Attention with residuals from normalised queries, then two layers."""

    def __init__(self, width, heads, dropout):
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.norm, self.second_norm = nn.LayerNorm(width, eps=1e-8), nn.LayerNorm(width, eps=1e-8)
        self.query = nn.Linear(width, width)
        self.pair = nn.Linear(width, 2 * width)
        self.layers = nn.Sequential(
            nn.Linear(width, width), nn.ReLU(inplace=True), nn.Dropout(dropout),
            nn.Linear(width, width), nn.Dropout(dropout))

    def forward(self, x, mask):
        users, places, width = x.shape
        split = lambda v: v.view(users, places, self.heads, -1).transpose(1, 2)
        q = self.norm(x)
        keys, values = self.pair(x).chunk(2, -1)
        attended = functional.scaled_dot_product_attention(
            split(self.query(q)), split(keys), split(values), attn_mask=mask,
            dropout_p=self.dropout if self.training else 0.0)
        z = self.second_norm(q + attended.transpose(1, 2).reshape(users, places, width))
        return z + self.layers(z)


class Model(nn.Module):
    def __init__(self, items, options):
        super().__init__()
        self.items = nn.Embedding(items + 1, options.factors, padding_idx=0)
        self.positions = nn.Parameter(torch.empty(options.length, options.factors))
        self.dropout = nn.Dropout(options.dropout)
        self.blocks = nn.ModuleList(
            Block(options.factors, options.heads, options.dropout) for _ in range(options.blocks))
        self.norm = nn.LayerNorm(options.factors, eps=1e-8)
        for tensor in self.parameters():
            if tensor.dim() > 1:
                nn.init.xavier_uniform_(tensor)
        self.register_buffer(
            "causal", torch.tril(torch.ones(options.length, options.length, dtype=torch.bool)))

    def forward(self, sequences):
        there = sequences > 0
        # A padded place attends to itself alone, so that no row of weights is empty.
        mask = (self.causal & there[:, None, :]) | torch.eye(len(self.causal), dtype=torch.bool)
        x = self.items(sequences) * self.items.embedding_dim**0.5 + self.positions
        x = self.dropout(x) * there[:, :, None]
        for block in self.blocks:
            x = block(x, mask[:, None]) * there[:, :, None]
        return self.norm(x)


def read(path, length):
    """Training sequences and their next items, padded in front; items from 1."""
    log = np.loadtxt(path, dtype=np.int64, ndmin=2, usecols=(0, 1))
    items = int(log[:, 1].max())
    order = np.argsort(log[:, 0], kind="stable")
    _, starts = np.unique(log[order, 0], return_index=True)
    sequences = [row[:-2] if len(row) > 2 else row for row in np.split(log[order, 1], starts[1:])]
    sequences = [row for row in sequences if len(row) > 1]
    inputs = torch.zeros(len(sequences), length, dtype=torch.long)
    targets = torch.zeros_like(inputs)
    for row, sequence in enumerate(sequences):
        last = torch.from_numpy(sequence[-length - 1 :].copy())
        inputs[row, length - len(last) + 1 :] = last[:-1]
        targets[row, length - len(last) + 1 :] = last[1:]
    return inputs, targets, items


def run_epoch(model, optimizer, inputs, targets, items, options):
    """Trains one epoch and returns labeled places per second."""
    start, places = time.perf_counter(), 0
    order = torch.randperm(len(inputs))[: options.users or len(inputs)]
    for first in range(0, len(order), options.batch):
        rows = order[first : first + options.batch]
        target = targets[rows]
        there = target > 0
        drawn = torch.randint(1, items + 1, (int(there.sum()),))
        encoded = model(inputs[rows])[there]
        liked = (encoded * model.items(target[there])).sum(-1)
        other = (encoded * model.items(drawn)).sum(-1)
        loss = functional.softplus(-liked).mean() + functional.softplus(other).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        places += len(drawn)
    return places / (time.perf_counter() - start)


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--log", required=True, help="rows of user and item in the order of time")
    parser.add_argument("--factors", type=int, default=50)
    parser.add_argument("--length", type=int, default=50)
    parser.add_argument("--blocks", type=int, default=2)
    parser.add_argument("--heads", type=int, default=1)
    parser.add_argument("--dropout", type=float, default=0.5)
    parser.add_argument("--batch", type=int, default=128, help="users")
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=3, help="measured, after one that warms up")
    parser.add_argument("--users", type=int, default=0, help="of an epoch; 0: all")
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


def main():
    options = parse_arguments()
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    inputs, targets, items = read(options.log, options.length)
    model = Model(items, options)
    optimizer = torch.optim.Adam(model.parameters(), lr=options.rate, fused=True)
    rates = []
    for epoch in range(options.epochs + 1):
        rate = run_epoch(model, optimizer, inputs, targets, items, options)
        if epoch > 0:
            rates.append(rate)
        print(f"epoch {epoch}: {rate:.0f} rows/s", file=sys.stderr)
    print(json.dumps({
        "peer": "pytorch", "version": torch.__version__, "backbone": "sasrec",
        "factors": options.factors, "length": options.length, "batch": options.batch,
        "threads": options.threads, "rows": int((targets > 0).sum()),
        "rows_per_second": statistics.median(rates), "rows_per_second_epochs": rates,
    }))


if __name__ == "__main__":
    main()
