# What the project's shell scripts share: messages, work as root, progress of long steps. Sourced, never run.
# shellcheck shell=bash
set -euo pipefail

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
readonly top
readonly pg_bin=/usr/lib/postgresql/15/bin

say() { printf '%s\n' "${0##*/}: $*"; }

# fail <what is wrong, one line>: ends the script.
fail() {
  printf '%s\n' "${0##*/}: error: $*" >&2
  exit 1
}

# as_root <command...>: directly when root, else with sudo.
as_root() {
  if [ "$(id -u)" -eq 0 ]; then
    "$@"
  elif command -v sudo >/dev/null 2>&1; then
    sudo "$@"
  else
    fail "this needs root or sudo: $*"
  fi
}

# show_status <text>: one line that is written over on a terminal; nothing elsewhere.
show_status() {
  if [ -t 1 ]; then printf '\r\033[K%s' "${1:0:$(($(tput cols 2>/dev/null || echo 80) - 1))}"; fi
}
clear_status() {
  if [ -t 1 ]; then printf '\r\033[K'; fi
}

# now_ms: milliseconds of the wall clock.
now_ms() { echo $(($(date +%s%N) / 1000000)); }

# elapsed <start in ms>: seconds with one digit.
elapsed() {
  local ms=$(($(now_ms) - $1))
  printf '%d.%d' $((ms / 1000)) $((ms % 1000 / 100))
}
