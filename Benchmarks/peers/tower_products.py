#!/usr/bin/env python3
"""The matrix products of a NeuMF or MLP step alone, by the OpenBLAS that the program uses.

    tower_products.py --factors 32 --layers 3 --batch 8192 --shards 16

For each layer of the tower the product forward and the two backward, of a batch / shards rows each, as
the program makes them. One thread; the median of --rounds. What comes out bounds a step from above: a
step that did nothing else would make as many rows per second.
"""

import argparse
import ctypes
import ctypes.util
import json
import statistics
import time

import numpy as np

ROW_MAJOR, PLAIN, TRANSPOSED = 101, 111, 112


def library():
    name = ctypes.util.find_library("openblas") or "libopenblas.so.0"
    blas = ctypes.CDLL(name)
    blas.openblas_set_num_threads(1)
    blas.cblas_sgemm.argtypes = (
        [ctypes.c_int] * 6
        + [ctypes.c_float, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p, ctypes.c_int]
        + [ctypes.c_float, ctypes.c_void_p, ctypes.c_int]
    )
    return blas


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--factors", type=int, default=32)
    parser.add_argument("--layers", type=int, default=3)
    parser.add_argument("--batch", type=int, default=8192)
    parser.add_argument("--shards", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=200)
    options = parser.parse_args()
    blas = library()
    rows = options.batch // options.shards
    widths = [options.factors << (options.layers - place) for place in range(options.layers + 1)]
    layers = []
    for inputs, outputs in zip(widths, widths[1:]):
        layers.append([np.ones(s, np.float32) for s in [(rows, inputs), (outputs, inputs), (rows, outputs)]])

    def multiply(left, right, m, n, k, a, b, c):
        lda = k if left == PLAIN else m
        ldb = n if right == PLAIN else k
        blas.cblas_sgemm(
            ROW_MAJOR, left, right, m, n, k, 1, a.ctypes.data, lda, b.ctypes.data, ldb, 0,
            c.ctypes.data, n,
        )  # fmt: skip

    def step():
        for x, w, y in layers:
            (outputs, inputs) = w.shape
            multiply(PLAIN, TRANSPOSED, rows, outputs, inputs, x, w, y)
            multiply(PLAIN, PLAIN, rows, inputs, outputs, y, w, x)
            multiply(TRANSPOSED, PLAIN, outputs, inputs, rows, y, x, w)

    times = []
    for turn in range(options.rounds + 1):
        for arrays in layers:
            for array in arrays:
                array.fill(1)
        start = time.perf_counter()
        step()
        if turn > 0:
            times.append(time.perf_counter() - start)
    operations = sum(6 * rows * a * b for a, b in zip(widths, widths[1:]))
    seconds = statistics.median(times)
    print(
        json.dumps(
            {
                "rows_per_second": rows / seconds,
                "gigaflops": operations / seconds / 1e9,
                "microbatch": rows,
            }
        )
    )


if __name__ == "__main__":
    main()
