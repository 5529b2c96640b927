#!/usr/bin/env python3
"""Both sparse products of LightGCN's layer in PyTorch's CSR format, on one thread.

    torch_csr.py --train gowalla/train.txt

The counterpart of "propagate to users" and "propagate to items" of the suite `kernels`: users' sums of
items' rows and items' sums of users' rows, weighed by 1 / sqrt(d_u d_i). Times are processor time,
the best of --repetitions after one that warms up, in milliseconds.
"""

import argparse
import json
import time
import warnings

import numpy as np
import torch


def read(path):
    """The user and the item of each edge, numbered from 0, by user."""
    users, items = [], []
    with open(path) as lines:
        for user, line in enumerate(lines):
            row = [int(word) for word in line.split()[1:]]
            items += row
            users += [user] * len(row)
    return np.array(users), np.array(items)


def matrix(rows, columns, values):
    """A matrix of entries, by row, and the number of its columns."""
    order = np.argsort(rows, kind="stable")
    starts = np.concatenate([[0], np.cumsum(np.bincount(rows))])
    shape = (len(starts) - 1, int(columns.max()) + 1)
    parts = [torch.from_numpy(part) for part in (starts, columns[order], values[order])]
    return torch.sparse_csr_tensor(*parts, size=shape), shape[1]


def best(repetitions, call):
    call()
    times = []
    for _ in range(repetitions):
        start = time.process_time()
        call()
        times.append(time.process_time() - start)
    return min(times) * 1000


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--train", required=True)
    parser.add_argument("--factors", type=int, default=64)
    parser.add_argument("--repetitions", type=int, default=15)
    options = parser.parse_args()
    torch.set_num_threads(1)
    # PyTorch says of its CSR format that it is new, and that it does not check it.
    warnings.filterwarnings("ignore", message="Sparse (CSR|invariant)")
    users, items = read(options.train)
    scales = 1 / np.sqrt(np.bincount(users)[users] * np.bincount(items)[items])
    values = scales.astype(np.float32)
    result = {"edges": len(users), "factors": options.factors, "version": torch.__version__}
    for name, rows, columns in [("users", users, items), ("items", items, users)]:
        sparse, count = matrix(rows, columns, values)
        dense = torch.rand(count, options.factors)
        result[f"{name}_ms"] = best(options.repetitions, lambda: sparse @ dense)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
