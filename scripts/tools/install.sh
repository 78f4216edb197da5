#!/usr/bin/env bash
# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

# Makes or updates the environment .venv: Python 3.12 with this project (editable) and its extras.
# Uses uv where it works, else Python's own venv and pip. Does nothing when the environment is up to date.
#
#   EXTRAS=cpu,sbx,dev,docs scripts/tools/install.sh

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
exec </dev/null
# Python reads the path of the checkout in the locale's encoding, which has to know all of its letters
[ "$(locale charmap 2>/dev/null)" = UTF-8 ] || export LC_ALL=C.UTF-8

extras=${EXTRAS-cpu,sbx,dev,docs}
python=.venv/bin/python
stamp=.venv/.installed
wanted="$PWD [$extras]" # the stamp's content: an editable install holds the path of the checkout

say() { printf 'install: %s\n' "$*"; }
fail() {
  printf 'install: error: %s\n' "$*" >&2
  exit 1
}

# Whether $1 runs (a pyenv shim may exist and fail), is Python 3.12, and has the module $2.
is_python312() {
  "$1" -c "import sys, ${2:-os}; sys.exit(sys.version_info[:2] != (3, 12))" >/dev/null 2>&1
}

# Prints the path of a Python 3.12 with the module $1: from PATH, else from pyenv. Never that of an environment.
find_python312() {
  local candidate root candidates=()
  mapfile -t candidates < <(type -aP python3.12 python3 python)
  for root in "$(pyenv root 2>/dev/null || true)" "${PYENV_ROOT:-}" "${HOME:-}/.pyenv"; do
    [ -z "$root" ] || candidates+=("$root"/versions/3.12*/bin/python)
  done
  for candidate in "${candidates[@]}"; do
    if is_python312 "$candidate" "${1:-os}"; then
      "$candidate" -c 'import sys; print(getattr(sys, "_base_executable", None) or sys.executable)'
      return
    fi
  done
  return 1
}

# Prints the path of a uv that runs: from PATH, else the one that an earlier call put into .venv.
find_uv() {
  local candidate candidates=()
  mapfile -t candidates < <(type -aP uv)
  for candidate in "${candidates[@]}" .venv/bin/uv; do
    if "$candidate" --version >/dev/null 2>&1; then
      printf '%s\n' "$candidate"
      return
    fi
  done
  return 1
}

make_environment() {
  local base
  if [ -e .venv ]; then
    say ".venv has no working Python 3.12: making it anew"
    rm -rf .venv
    uv=$(find_uv) || uv=""
  fi
  if [ -n "$uv" ]; then
    base=$(find_python312) || base=3.12 # uv fetches one
    say "making .venv with $uv and Python $base"
    "$uv" venv --quiet --python "$base" .venv || fail "uv could not make .venv with Python $base"
  elif base=$(find_python312 ensurepip); then
    say "making .venv with $base"
    "$base" -m venv .venv || fail "$base could not make .venv"
  elif base=$(find_python312); then
    fail "$base lacks ensurepip: install its venv package (Debian and Ubuntu: python3.12-venv), or uv"
  else
    fail "found neither uv nor Python 3.12 (on PATH or under pyenv): install one of them"
  fi
}

ensure_pip() {
  "$python" -m pip --version >/dev/null 2>&1 || "$python" -m ensurepip >/dev/null
}

if is_python312 "$python" && [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ] &&
  [ ! pyproject.toml -nt "$stamp" ] && [ ! scripts/tools/install.sh -nt "$stamp" ]; then
  exit 0
fi

uv=$(find_uv) || uv=""
is_python312 "$python" || make_environment
rm -f "$stamp"

if [ -z "$uv" ]; then
  ensure_pip
  if "$python" -m pip install --quiet uv; then
    uv=.venv/bin/uv
  else
    say "no uv: going on with pip, which takes longer"
  fi
fi

project=.${extras:+[$extras]}
say "installing $project"
if [ -z "$uv" ] || ! "$uv" pip install --python "$python" --editable "$project"; then
  [ -z "$uv" ] || say "uv failed: trying pip, which may be configured otherwise"
  ensure_pip
  "$python" -m pip install --editable "$project" || fail "could not install $project"
fi
printf '%s\n' "$wanted" >"$stamp"
say "done: .venv"
