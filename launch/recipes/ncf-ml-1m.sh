#!/usr/bin/env bash
# NeuMF without pre-training on MovieLens-1M, after He et al., WWW 2017: the latest interaction of a
# user is test, ranked among 99 listed items; four sampled negatives for each positive.
#
#   ./launch/recipes/ncf-ml-1m.sh DATA OUTPUT     about a minute on two cores
. "$(dirname "$0")/common.sh"
d=$data/ncf-ml-1m
prepare ncf --train "$d/train.rating" --test "$d/test.rating" --positive-from 0
train ncf neumf-8 --backbone neumf --factors 8 --layers 3 --method negatives \
  --unlabeled-per-labeled 4 --unlabeled-weight 4 --batch 256 --rate 0.001 --epochs 20 \
  --report-test lists --lists "$d/test.negative"
"$inverse" evaluate "$output/neumf-8" --protocol lists --lists "$d/test.negative" --top-k 10 --json |
  row neumf-8 hit_rate@10 ndcg@10
