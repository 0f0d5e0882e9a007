#!/usr/bin/env bash
# Whole models with random weights: models.sh BUILD_DIR [MODEL...]. One row per model and batch size. Times drift by ten
# percent and more between runs; compare within one run only, and with the peak measured in the same row.
set -euo pipefail

vitkit=$1/apps/vitkit
shift
[[ $# -gt 0 ]] || set -- vit_tiny_patch16_224 vit_small_patch16_224 vit_base_patch16_224

for model in "$@"; do
  for batch in 1 8; do
    "$vitkit" benchmark --model "$model" --batch-size "$batch" --runs 15
  done
done
