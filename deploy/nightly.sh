#!/bin/sh
# What runs every night: bring everything up to date, then compare the night's figures with the
# month before.
#
#   sh nightly.sh CONFIG        GRISTMILL=… names another program
#
# Exit codes, the first that holds: 1 and 2 failed · 4 deletions held back · 5 stopped at the budget ·
# 6 quality out of line · 0 all well. Rejected documents (3) are listed and do not count as failure.
set -u
config=${1:?usage: nightly.sh CONFIG}
gristmill=${GRISTMILL:-gristmill}

"$gristmill" run "$config" --quiet
run=$?
case $run in
    0) ;;
    3) "$gristmill" rejects "$config" ;;
    *) exit $run ;;
esac

"$gristmill" drift "$config"
