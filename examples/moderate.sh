#!/bin/sh
# A moderation step: scan a folder of uploads, move what is fake out of the way, list what a person should look at,
# and raise the alarm for files that could not be judged.
#
#   moderate.sh UPLOADS CASE
#
# CASE is made. Afterwards it holds results.jsonl, summary.json, fake/ (the moved files), review.txt (uncertain ones,
# most suspicious first), alert.txt (errors) and passed_over.txt (how many files were not looked at, and why). Exit code:
# 0 done, 1 done but there are alerts, 2 the scan failed or there was nothing to scan. Needs jq and GNU mv.
set -eu

uploads=$1
case_dir=$2
mkdir -p "$case_dir/fake"
rm -f "$case_dir/results.jsonl" "$case_dir/summary.json" # of an earlier scan

status=0
# --hidden: a web server shows uploads whose names begin with a dot like all others.
facescan "$uploads" --hidden --out "$case_dir/results.jsonl" --summary "$case_dir/summary.json" --quiet || status=$?
# 1 is findings. 2 may be unreadable files, of which there are rows, or a scan that failed, of which there is no output.
if [ "$status" -gt 2 ] || [ ! -f "$case_dir/results.jsonl" ]; then
    echo "moderate.sh: the scan failed (exit code $status)" >&2
    exit 2
fi

jq -r '.summary.passed_over | to_entries[] | select(.value > 0) | "\(.value)\t\(.key)"' \
    "$case_dir/summary.json" >"$case_dir/passed_over.txt"
if [ "$(jq .summary.files "$case_dir/summary.json")" -eq 0 ]; then
    echo "moderate.sh: nothing was scanned, which does not mean that nothing is fake" >&2
    exit 2
fi

# NUL bytes between names: a name may hold spaces, quotes and line ends.
jq -j 'select(.verdict == "fake") | .path + "\u0000"' "$case_dir/results.jsonl" |
    xargs -0 -r mv -t "$case_dir/fake" --backup=numbered -- ||
    echo "moderate.sh: some fakes could not be moved" >&2

jq -r -s 'map(select(.verdict == "uncertain")) | sort_by(-.p_fake)[] | "\(.p_fake)\t\(.path | @json)"' \
    "$case_dir/results.jsonl" >"$case_dir/review.txt"
jq -r 'select(.verdict == "error") | "\(.reason)\t\(.path | @json)"' "$case_dir/results.jsonl" >"$case_dir/alert.txt"

if [ -s "$case_dir/alert.txt" ]; then
    echo "moderate.sh: some files could not be judged, see $case_dir/alert.txt" >&2
    exit 1
fi
