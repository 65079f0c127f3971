#!/bin/sh
# The quickstart: run the pipeline over samples/, then look at what it made.
set -eu
cd "$(dirname "$0")/.."
PATH="$PWD/.venv/bin:$PATH"
config=configs/quickstart.yaml

show() { printf '\n\033[1m$ %s\033[0m\n' "$*"; }
say() { printf '\n%s\n' "$*"; }

show gristmill run $config
code=0
gristmill run $config || code=$?
case $code in
    0) ;;
    3) say "Exit code 3: done, and some files were rejected. That is expected here: the samples hold a
file that was cut in half and a scan without text. See them with: gristmill rejects $config" ;;
    *) exit $code ;;
esac

say "A member of the group hr searches:"
show gristmill search $config '"parental leave"' --group hr --limit 2
gristmill search $config "parental leave" --group hr --limit 2

say "The same question from somebody who is in no group:"
show gristmill search $config '"parental leave"'
gristmill search $config "parental leave"

chunk=$(gristmill search $config "parental leave" --group hr --limit 1 --json | tail -n 1 |
    python -c 'import json, sys; print(json.load(sys.stdin)["hits"][0]["chunk_id"])')
say "Where does the first hit come from, and what made it?"
show gristmill trace $config "$chunk"
gristmill trace $config "$chunk"

store=$(python - <<END
from pipelines.config import load_config
print(load_config("$config").mlflow.tracking_uri)
END
)
cat <<END

Where to look next
  gristmill status $config      what is in the lake and the index
  gristmill rejects $config     what was rejected, and why
  gristmill explain $config samples/products/price-list.tsv
                                         which chunking rule fired, and why
  mlflow ui --backend-store-uri $store
                                         how good the chunks are (pip install mlflow, in a venv of its own)
  make demo                              again: it reports no changes
  docs/quickstart.md                     the same, step by step
END
