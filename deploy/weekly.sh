#!/bin/sh
# What runs every week: look for a better policy with what was learned since, keep house, check the
# guarantees. A policy that was promoted is picked up by the next night's transform.
#
#   sh weekly.sh CONFIG [OPTIONS OF TUNE]        GRISTMILL=… names another program
#
# Every step runs, also after one that failed; the exit code is that of the first that did. Too little
# evidence to tune by, or no MLflow to publish to, is no failure.
set -u
config=${1:?usage: weekly.sh CONFIG [OPTIONS OF TUNE]}
shift
gristmill=${GRISTMILL:-gristmill}
failed=0

step() {
    "$gristmill" "$@"
    code=$?
    [ $failed -ne 0 ] || failed=$code
}

step tune "$config" --quiet --if-evidence --minutes 60 "$@"
step policy "$config" history
step compact "$config"
step publish "$config"
step verify "$config"
exit $failed
