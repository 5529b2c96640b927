#!/usr/bin/env python3
"""Golden figures of rankings among listed candidates, in NumPy and float64.

    INVERSE_DATA=FOLDER python3 candidate_ranking.py            writes candidate_ranking.json
    INVERSE_DATA=FOLDER python3 candidate_ranking.py --check    compares (relative 1e-12)

Written from docs/method.md alone; it shares no code with the program. Reads FOLDER/ncf-ml-1m:
train.rating (user, item, rating), test.negative ((user,item) and 99 candidates a line) and
pretrained.safetensors, the weights of He et al., Neural collaborative filtering, WWW 2017.

Layout of candidate_ranking.json: for each scorer an object with
    users, relevant     users and cases
    candidates, ties    of all cases; repeated candidates count once
    mrr, and for k = 1, 5, 10 recall@k, ndcg@k, hit_rate@k, precision@k, map@k: means over cases
The scorers are
    popularity          rows of an item in train.rating; many scores are equal
    gmf                 gmf.weight . (gmf.user[u] * gmf.item[i]) + gmf.bias of the published weights,
                        whose HR@10 and NDCG@10 are .6367550 and .3690848
"""

import json
import os
import struct
import sys
from pathlib import Path

import numpy as np

CUTOFFS = [1, 5, 10]


def read_lists(path):
    """(user, item, candidates) of each line; candidates once, without the item."""
    for line in open(path):
        head, *listed = line.split()
        user, item = (int(part) for part in head.strip("()").split(","))
        yield user, item, sorted({int(part) for part in listed} - {item})


def read_tensors(path):
    data = open(path, "rb").read()
    length = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8 : 8 + length])
    tensors = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        start, end = (8 + length + offset for offset in entry["data_offsets"])
        values = np.frombuffer(data[start:end], "<f4").astype(np.float64)
        tensors[name] = values.reshape(entry["shape"])
    return tensors


def figures(cases, score):
    """`score(user, items)` gives an array."""
    ranks, candidates, ties, users = [], 0, 0, set()
    for user, item, listed in cases:
        own, others = score(user, np.array([item]))[0], score(user, np.array(listed))
        ranks.append(1 + int(np.sum(others > own)))
        ties += int(np.sum(others == own))
        candidates += len(listed)
        users.add(user)
    ranks = np.array(ranks, dtype=np.float64)
    result = {
        "users": len(users),
        "relevant": len(ranks),
        "candidates": candidates,
        "ties": ties,
        "mrr": float(np.mean(1 / ranks)),
    }
    for k in CUTOFFS:
        hit = ranks <= k
        result[f"recall@{k}"] = float(np.mean(hit))
        result[f"hit_rate@{k}"] = float(np.mean(hit))
        result[f"precision@{k}"] = float(np.mean(hit / k))
        result[f"ndcg@{k}"] = float(np.mean(hit / np.log2(ranks + 1)))
        result[f"map@{k}"] = float(np.mean(hit / ranks))
    return result


def main():
    folder = Path(os.environ["INVERSE_DATA"]) / "ncf-ml-1m"
    cases = list(read_lists(folder / "test.negative"))
    popularity = np.bincount(
        [int(line.split()[1]) for line in open(folder / "train.rating")], minlength=3706
    )
    tensors = read_tensors(folder / "pretrained.safetensors")
    weighted = tensors["gmf.user"] * tensors["gmf.weight"]
    golden = {
        "popularity": figures(cases, lambda user, items: popularity[items]),
        "gmf": figures(
            cases,
            lambda user, items: tensors["gmf.item"][items] @ weighted[user] + tensors["gmf.bias"],
        ),
    }
    assert abs(golden["gmf"]["hit_rate@10"] - 0.6367550) < 1e-7
    assert abs(golden["gmf"]["ndcg@10"] - 0.3690848) < 1e-7
    path = Path(__file__).with_suffix(".json")
    if "--check" in sys.argv:
        stored = json.loads(path.read_text())
        for name, expected in golden.items():
            assert stored[name].keys() == expected.keys(), name
            for key, value in expected.items():
                assert abs(stored[name][key] - value) <= 1e-12 * abs(value), (name, key)
    else:
        path.write_text(json.dumps(golden, indent=1, sort_keys=True) + "\n")


main()
