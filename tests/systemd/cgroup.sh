#!/bin/sh
# The cgroups of one machine, below the cgroup of whoever asks, in the unified hierarchy:
#   cgroup.sh PLACE enter NAME COMMAND...   make it, go into it, become COMMAND
#   cgroup.sh PLACE list                    a line for each: its name, the processes in it
#   cgroup.sh PLACE remove NAME             end its processes and remove it
#
# Runs in a mount namespace of its own, so that it works wherever, and whether or not, the host has
# this hierarchy mounted. PLACE is an empty folder.
set -eu
place=$1 verb=$2
mount -t cgroup2 cgroup2 "$place"
own=$place$(sed -n 's/^0:://p' /proc/self/cgroup)

case $verb in
enter)
    mkdir "$own/$3"
    echo $$ >"$own/$3/cgroup.procs"
    cd /
    umount "$place"
    shift 3
    exec "$@"
    ;;
list)
    for group in "$own"/pillarbox-units-*; do
        [ -d "$group" ] || continue
        echo "$(basename "$group")" $(find "$group" -name cgroup.procs -exec cat {} +)
    done
    ;;
remove)
    tries=100
    while [ -d "$own/$3" ]; do
        find "$own/$3" -name cgroup.procs -exec cat {} + | while read -r pid; do
            kill -KILL "$pid" 2>/dev/null || true
        done
        find "$own/$3" -depth -type d -exec rmdir {} + 2>/dev/null || true
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || { echo "cgroup.sh: $3 is not empty after 10 s" >&2; exit 1; }
        [ ! -d "$own/$3" ] || sleep 0.1
    done
    ;;
esac
