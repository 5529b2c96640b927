#!/usr/bin/env bash
# Denoising losses on MovieLens-100K with noise, after Wang et al., WSDM 2021 (EvalDenoisingRec's
# protocol): every rating of train and valid is a positive, only ratings of 5 count in test; full
# rankings with train and valid left out, hidden positives counted as missed.
#
#   BACKBONES="gmf lightgcn" ./launch/recipes/denoising-ml-100k.sh DATA OUTPUT
#
# GMF takes seconds a run; a ranking of all items by NeuMF takes as long as an epoch.
. "$(dirname "$0")/common.sh"
d=$data/ml-100k-noisy
prepare ml-100k --train "$d/train.rating" --valid "$d/valid.rating" --test "$d/test.negative" \
  --positive-from 0 --allow-overlap
common="--factors 32 --batch 1024 --rate 0.001 --epochs 60 --patience 6 --evaluate-every 2 --select recall@20"
for seed in 1 2 3; do
  for backbone in ${BACKBONES:-gmf neumf lightgcn}; do
    if [ "$backbone" = lightgcn ]; then
      # Rate and decay are the best of some by Recall@20 on valid; see docs/results.md.
      train ml-100k "lightgcn-ce-$seed" --backbone lightgcn --method negatives --factors 32 \
        --batch 1024 --rate 0.01 --row-decay 1e-4 --epochs 300 --patience 15 --evaluate-every 2 \
        --select recall@20 --seed "$seed"
      continue
    fi
    train ml-100k "$backbone-ce-$seed" --backbone "$backbone" --method negatives $common --seed "$seed"
    train ml-100k "$backbone-t-ce-$seed" --backbone "$backbone" --method t-ce --drop-rate 0.2 \
      --drop-steps 30000 $common --seed "$seed"
    train ml-100k "$backbone-r-ce-$seed" --backbone "$backbone" --method r-ce --reweight-power 0.25 \
      $common --seed "$seed"
  done
done
for run in "$output"/*-[123]; do
  "$inverse" evaluate "$run" --protocol full --top-k 20 --mask train,valid \
    --masked-positives missed --json | row "$(basename "$run")" recall@20 ndcg@20
done
