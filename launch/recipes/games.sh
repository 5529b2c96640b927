#!/usr/bin/env bash
# SASRec on Amazon Games, after Kang and McAuley, ICDM 2018: the latest item of each user is test, the
# one before valid, each ranked among 100 that are drawn; the authors' sizes, rate and dropout, and
# their 200 epochs. The best epoch is chosen by HR@10 on valid.
#
#   ./launch/recipes/games.sh DATA OUTPUT       2 s an epoch
. "$(dirname "$0")/common.sh"
prepare games --interactions "$data/games/interactions.txt" --unrated positive --split leave-one-out
for seed in ${SEEDS:-1 2 3}; do
  train games "sasrec-$seed" --backbone sasrec --factors 50 --method negatives --batch 128 \
    --rate 1e-3 --epochs "${EPOCHS:-200}" --evaluate-every 10 --checkpoint-epochs 10 --patience 0 \
    --select hit-rate@10 --select-protocol sampled --report-test sampled --seed "$seed"
  "$inverse" evaluate "$output/sasrec-$seed" --protocol sampled --top-k 10 --json |
    row "sasrec-$seed" hit_rate@10 ndcg@10
done
