#!/usr/bin/env bash
# Graph models and matrix factorisation on Gowalla, after He et al., SIGIR 2020 (LightGCN's data and
# protocol): full rankings with train left out. The authors train 1,000 epochs; EPOCHS says how many
# here. Test figures are reported every five epochs, and nothing is chosen by them.
#
#   EPOCHS=40 ./launch/recipes/gowalla.sh DATA OUTPUT     about a minute an epoch and model
. "$(dirname "$0")/common.sh"
d=$data/gowalla
epochs=${EPOCHS:-40}
prepare gowalla --format adjacency --train "$d/train.txt" --test "$d/test.txt"
common="--method bpr --factors 64 --epochs $epochs --report-test full --evaluate-every 5
  --checkpoint-epochs 5"
train gowalla lightgcn --backbone lightgcn --layers 3 --batch 2048 --rate 0.001 --row-decay 1e-4 $common
train gowalla mf --backbone gmf --output-weights ones --initial-deviation 0.1 --batch 2048 \
  --rate 0.001 --row-decay 1e-4 $common
train gowalla ngcf --backbone ngcf --layers 3 --dropout 0.1 --batch 1024 --rate 0.0001 \
  --row-decay 1e-5 $common
for run in lightgcn mf ngcf; do
  "$inverse" evaluate "$output/$run" --protocol full --top-k 20 --mask train --json |
    row "$run" recall@20 ndcg@20
done
