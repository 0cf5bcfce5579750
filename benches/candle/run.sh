#!/usr/bin/env bash
# Decode on the CPU: omni against candle on the same checkpoint, in 32 bits, three times in turn, since what else a machine
# does changes from minute to minute. Needs a network the first time, for candle's crates.
set -euo pipefail
cd "$(dirname "$0")"
checkpoint=$(mktemp -d)
trap 'rm -rf "$checkpoint"' EXIT
cargo build --quiet --release --locked
(cd ../.. && cargo bench --quiet --locked --no-default-features --bench decode --no-run)
candle=${CARGO_TARGET_DIR:-target}/release/candle-decode
for _ in 1 2 3; do
    # `--test` leaves out criterion's own rounds.
    (cd ../.. && OMNI_BENCH_SAVE=$checkpoint cargo bench --quiet --locked --no-default-features --bench decode -- --test) |
        grep ratio
    "$candle" "$checkpoint" 128 16
done
