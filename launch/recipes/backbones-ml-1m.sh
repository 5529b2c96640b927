#!/usr/bin/env bash
# The question of Lin et al., WSDM 2024, for each backbone: what do the unlabeled pairs bring?
# MovieLens-1M, label = rating of at least 3, three seeds; the best epoch by AUC on valid.
#
#   ./launch/recipes/backbones-ml-1m.sh DATA OUTPUT
. "$(dirname "$0")/common.sh"
d=$data/ml-1m
files="--train $d/train.tsv --valid $d/valid.tsv --test $d/test.tsv"
prepare ml-1m $files
for backbone in ${BACKBONES:-gmf mlp neumf lightgcn ngcf pinsage sasrec}; do
  dataset=ml-1m
  batch=8192
  options=""
  case $backbone in
    gmf) options="--biases" ;;
    sasrec)
      # What a user liked before, in the order of the file; a batch of users has about as many rows.
      prepare ml-1m-sequences $files --sequences
      dataset=ml-1m-sequences
      batch=128
      ;;
  esac
  for method in ${METHODS:-bce negatives t-ce r-ce idl ig}; do
    for seed in ${SEEDS:-1 2 3}; do
      train "$dataset" "$backbone-$method-$seed" --backbone "$backbone" --method "$method" \
        $options --factors 32 --batch "$batch" --rate 0.002 --inner-rate 2e-4 --weight-decay 1e-5 \
        --epochs "${EPOCHS:-20}" --patience 3 --seed "$seed"
      "$inverse" evaluate "$output/$backbone-$method-$seed" --json |
        row "$backbone-$method-$seed" auc gauc
    done
  done
done
