#!/usr/bin/env bash
# The question of Lin et al., WSDM 2024, for each backbone: what do the unlabeled pairs bring?
# MovieLens-1M, label = rating of at least 3, three seeds; the best epoch by AUC on valid.
#
#   ./launch/recipes/backbones-ml-1m.sh DATA OUTPUT
. "$(dirname "$0")/common.sh"
d=$data/ml-1m
prepare ml-1m --train "$d/train.tsv" --valid "$d/valid.tsv" --test "$d/test.tsv"
for backbone in ${BACKBONES:-gmf mlp neumf lightgcn ngcf}; do
  case $backbone in
    gmf) options="--biases" ;;
    ngcf) options="--dropout 0.1" ;;
    *) options="" ;;
  esac
  for method in ${METHODS:-bce negatives t-ce r-ce idl ig}; do
    for seed in ${SEEDS:-1 2 3}; do
      train ml-1m "$backbone-$method-$seed" --backbone "$backbone" --method "$method" $options \
        --factors 32 --batch 8192 --rate 0.002 --inner-rate 2e-4 --weight-decay 1e-5 \
        --epochs "${EPOCHS:-20}" --patience 3 --seed "$seed"
      "$inverse" evaluate "$output/$backbone-$method-$seed" --json |
        row "$backbone-$method-$seed" auc gauc
    done
  done
done
