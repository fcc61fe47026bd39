#!/bin/sh
# install-uv.sh VERSION TARGET: puts uv VERSION at TARGET, with nothing but Python and one of venv or pip.
# Uses a uv on PATH only if it is that very version, so that every machine resolves and installs alike.
set -eu

version=$1
target=$2
folder=$(dirname "$target")
python=${UV_PYTHON:-}

say() { printf '%s\n' "$*"; }
fail() {
  say "setup: $*" >&2
  exit 1
}

command -v "$python" >/dev/null || fail "no python3 on PATH; on Debian: apt-get install python3 python3-venv"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
  fail "$python is $("$python" -V 2>&1); Python 3.11 or newer is needed (make PYTHON=/path/to/python3.11 …)"

rm -rf "$folder" "$folder.partial"
mkdir -p "$folder"

if found=$(command -v uv) && [ "$("$found" --version | cut -d ' ' -f 2)" = "$version" ]; then
  say "setup: using uv $version from $found"
  ln -s "$found" "$target"
else
  say "setup: installing uv $version from PyPI into .local/uv"
  pip_log=$folder.partial.log
  if "$python" -m venv "$folder.partial" >"$pip_log" 2>&1; then
    "$folder.partial/bin/python" -m pip install --quiet --disable-pip-version-check "uv==$version" >>"$pip_log" 2>&1 ||
      fail "uv $version could not be had from PyPI: $(tail -n 1 "$pip_log")"
  elif "$python" -m pip --version >"$pip_log" 2>&1; then
    rm -rf "$folder.partial"
    "$python" -m pip install --quiet --disable-pip-version-check --target "$folder.partial" "uv==$version" \
      >>"$pip_log" 2>&1 || fail "uv $version could not be had from PyPI: $(tail -n 1 "$pip_log")"
  else
    rm -rf "$folder.partial" "$pip_log"
    fail "$python has neither venv nor pip; on Debian: apt-get install python3-venv"
  fi
  cp "$folder.partial/bin/uv" "$target"
  rm -rf "$folder.partial" "$pip_log"
fi
