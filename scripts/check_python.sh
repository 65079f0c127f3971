#!/bin/sh
# Import everything and run the fast tests of chunkers and lineage under another Python.
#
#     sh scripts/check_python.sh 3.13
#
# Skipped, with the reason, when that Python is not on this machine.
set -eu
cd "$(dirname "$0")/.."
version=$1
venv=.venvs/python$version

has_uv() { uv --version >/dev/null 2>&1; }

python=""
if "python$version" -c pass >/dev/null 2>&1; then
    python=$(command -v "python$version")
elif command -v pyenv >/dev/null 2>&1; then
    # Installed, but not among those that pyenv has put on the path.
    installed=$(pyenv versions --bare 2>/dev/null | grep "^$version\.[0-9]*$" | tail -n 1 || true)
    [ -z "$installed" ] || python=$(pyenv root)/versions/$installed/bin/python
fi
if [ -z "$python" ] && has_uv; then
    python=$(uv python find --no-project --no-python-downloads "$version" 2>/dev/null || true)
fi
if [ -z "$python" ]; then
    echo "skipped: no python$version on this machine"
    exit 0
fi

rm -rf "$venv"
needs="pytest pytest-timeout pytest-xdist hypothesis"
if has_uv; then
    uv venv --quiet --python "$python" "$venv"
    uv pip install --quiet --python "$venv/bin/python" --constraint requirements.lock '.[code]' $needs
else
    "$python" -m venv "$venv"
    "$venv/bin/python" -m pip install --quiet --constraint requirements.lock '.[code]' $needs
fi
"$venv/bin/python" -W error::SyntaxWarning -m compileall -q chunkers lineage pipelines
"$venv/bin/python" -c 'import chunkers, lineage, pipelines; print("imports chunkers, lineage, pipelines")'
# Adapters are for libraries that only the whole development environment has.
"$venv/bin/python" -m pytest -q -n 2 --dist loadgroup -m "not slow" \
    --ignore tests/chunkers/adapters tests/chunkers tests/lineage
rm -rf "$venv"
