#!/bin/sh
# Create .venv and install the locked dependencies and this project into it.
#
# Called by the Makefile when .venv/.ready is older than the lock file or pyproject.toml. Uses uv
# when it is there, otherwise `python3 -m venv` and pip. PYTHON=... names the interpreter to use.
set -eu
cd "$(dirname "$0")/.."

supported='import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))'

works() { "$@" -c "$supported" >/dev/null 2>&1; }

has_uv() { uv --version >/dev/null 2>&1; }

find_python() {
    for name in ${PYTHON:-python3 python3.12 python3.11 python3.13 python}; do
        if works "$name"; then
            command -v "$name"
            return
        fi
    done
    if [ -z "${PYTHON:-}" ] && has_uv; then
        uv python find '>=3.11,<3.14' 2>/dev/null && return
    fi
    echo "setup: no Python from 3.11 to 3.13 found${PYTHON:+ as PYTHON=$PYTHON}." >&2
    echo "setup: install one, or name it: make ${1:-demo} PYTHON=/path/to/python3.12" >&2
    return 1
}

if [ -e .venv ] && ! works .venv/bin/python; then
    echo "setup: .venv has no working Python from 3.11 to 3.13; making it anew"
    rm -rf .venv
fi

started=$(date +%s)
if [ ! -e .venv ]; then
    python=$(find_python)
    echo "setup: creating .venv with $python"
    if has_uv; then
        uv venv --quiet --python "$python" .venv
    elif ! "$python" -m venv .venv; then
        rm -rf .venv
        echo "setup: '$python -m venv' failed. On Debian and Ubuntu: apt-get install python3-venv" >&2
        exit 1
    fi
fi

echo "setup: installing the locked dependencies (about 2 GB on disk; a few minutes the first time)"
# A sign of life, since the installers are quiet. `sleep` outlives the loop, so it gets no stream that
# somebody may wait for the end of.
(while sleep 30 </dev/null >/dev/null 2>&1; do
    echo "setup: still at it, $(($(date +%s) - started)) s"
done) &
ticker=$!
trap 'kill $ticker 2>/dev/null || true' EXIT
if has_uv; then
    # Like pip does: otherwise the first imports, or where bytecode is not written all of them, take
    # several times as long.
    uv pip install --quiet --compile-bytecode --python .venv/bin/python --requirement requirements.lock
    uv pip install --quiet --python .venv/bin/python --no-deps --editable .
else
    .venv/bin/python -m pip --version >/dev/null 2>&1 || .venv/bin/python -m ensurepip >/dev/null
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --requirement requirements.lock
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
fi
touch .venv/.ready
echo "setup: done in $(($(date +%s) - started)) s"
