#!/usr/bin/env bash
# Makes some hosts on this machine, to try a cluster without one: network namespaces on one bridge,
# each with a host name, an address and a link of its own, which can be cut. Ranks of different hosts
# share no memory and talk over TCP. Needs root and iproute2.
#
#   ./launch/hosts.sh up 3                          hosts 1, 2 and 3
#   ./launch/hosts.sh mpirun 2 inverse train …      two ranks on each of them
#   ./launch/hosts.sh cut 2                         takes the link of host 2 down
#   ./launch/hosts.sh down                          removes the hosts, with all that runs there
#
# INVERSE_HOSTS is the prefix of their names, for several such clusters at a time (default inverse).
set -euo pipefail
script=$(cd "$(dirname "$0")" && pwd)/$(basename "$0")
name=${INVERSE_HOSTS:-inverse}
action=${1:-}
[ $# -lt 1 ] || shift

usage() {
  sed -n '2,/^set/s/^# \{0,1\}//p' "$0" >&2
  exit 64
}

# Replaces this process by a command on a host.
on_host() {
  local host=$1
  shift
  # shellcheck disable=SC2016
  exec ip netns exec "$name-$host" unshare --uts \
    sh -c 'hostname "$0"; exec "$@"' "$name-host-$host" "$@"
}

hosts() { ip netns list | cut -d' ' -f1 | grep -x "$name-[1-9][0-9]*" | sort -V; }

case $action in
  up)
    [[ "${1:-}" =~ ^[1-9][0-9]?$ ]] || usage
    ip netns add "$name-bridge"
    ip -n "$name-bridge" link add bridge type bridge
    ip -n "$name-bridge" link set bridge up
    for ((host = 1; host <= $1; host++)); do
      ip netns add "$name-$host"
      ip -n "$name-$host" link add eth0 type veth peer name "port$host" netns "$name-bridge"
      ip -n "$name-bridge" link set "port$host" master bridge up
      ip -n "$name-$host" address add "10.77.0.$host/24" dev eth0
      ip -n "$name-$host" link set eth0 up
      ip -n "$name-$host" link set lo up
      # How often the kernel sends again what nobody confirms: with the usual 15 mpirun learns after a
      # quarter of an hour that a host is gone, with 4 after some seconds.
      ip netns exec "$name-$host" sh -c 'echo 4 >/proc/sys/net/ipv4/tcp_retries2'
    done
    ;;
  mpirun)
    [ $# -ge 2 ] && [[ $1 =~ ^[1-9][0-9]*$ ]] || usage
    list=$(hosts | sed "s/^$name-\(.*\)/10.77.0.\1:$1/" | paste -sd,)
    [ -n "$list" ] || { echo "no hosts: run $0 up 2 first" >&2; exit 64; }
    shift
    # What the launchers and the ranks talk over must not be another interface; what starts a
    # launcher on a host is this script in the place of ssh.
    # shellcheck disable=SC2086
    on_host 1 mpirun --host "$list" --mca plm_rsh_agent "$script agent" \
      --mca btl self,vader,tcp --mca btl_tcp_if_include eth0 --mca oob_tcp_if_include eth0 \
      ${MPI_OPTIONS:-} "$@"
    ;;
  agent)
    host=${1##*.}
    shift
    on_host "$host" sh -c "$*"
    ;;
  cut)
    [[ "${1:-}" =~ ^[1-9][0-9]?$ ]] || usage
    ip -n "$name-bridge" link set "port$1" down
    ;;
  down)
    for namespace in $(hosts) "$name-bridge"; do
      [ -e "/run/netns/$namespace" ] || continue
      # shellcheck disable=SC2046
      kill -9 $(ip netns pids "$namespace") 2>/dev/null || true
      ip netns delete "$namespace"
    done
    ;;
  *) usage ;;
esac
