#!/usr/bin/env bash
# Graph models and matrix factorisation on Gowalla, after He et al., SIGIR 2020 (LightGCN's data and
# protocol): full rankings with train left out. The authors train 1,000 epochs; EPOCHS says how many
# here. Test figures are reported every five epochs, and nothing is chosen by them.
#
#   EPOCHS=40 MODELS="lightgcn mf ngcf pinsage" ./launch/recipes/gowalla.sh DATA OUTPUT
#
# An epoch of a graph model takes minutes of one core, one of matrix factorisation a second.
. "$(dirname "$0")/common.sh"
d=$data/gowalla
epochs=${EPOCHS:-40}
prepare gowalla --format adjacency --train "$d/train.txt" --test "$d/test.txt"
common="--method bpr --factors 64 --epochs $epochs --report-test full --evaluate-every 5
  --checkpoint-epochs 5"
for model in ${MODELS:-lightgcn mf ngcf pinsage}; do
  case $model in
    lightgcn) options="--backbone lightgcn --layers 3 --batch 2048 --rate 0.001 --row-decay 1e-4" ;;
    # The decay is the best of 1e-4, 1e-3, 3e-3, 1e-2, 3e-2 and 1e-1 by Recall@20 on a tenth of train.
    mf) options="--backbone gmf --output-weights ones --initial-deviation 0.1 --batch 2048
      --rate 0.001 --row-decay 1e-2" ;;
    ngcf) options="--backbone ngcf --layers 3 --dropout 0.1 --batch 1024 --rate 0.0001
      --row-decay 1e-5" ;;
    pinsage) options="--backbone pinsage --batch 2048 --rate 0.001 --row-decay 1e-5" ;;
    *) echo "gowalla.sh: no model $model" >&2; exit 64 ;;
  esac
  train gowalla "$model" $options $common
  "$inverse" evaluate "$output/$model" --protocol full --top-k 20 --mask train --json |
    row "$model" recall@20 ndcg@20
done
