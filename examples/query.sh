#!/bin/sh
# Questions to a results.jsonl, by jq.
#
#   facescan ./folder --out results.jsonl
#   query.sh results.jsonl
set -eu

echo "Most suspicious faces, with where they are in the picture:"
jq -r -s '
    [.[] | .path as $path | .faces[] | select(.p_fake != null) | {path: $path, p_fake, box}]
    | sort_by(-.p_fake)[:5][] | "\(.p_fake)\t\(.box | map(tostring) | join(","))\t\(.path)"' "$1"

echo "Verdicts by folder:"
jq -r -s '
    map({folder: (.path | split("/")[:-1] | join("/")), verdict})
    | group_by([.folder, .verdict])[] | "\(length)\t\(.[0].verdict)\t\(.[0].folder)"' "$1"
