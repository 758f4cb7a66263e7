#!/bin/sh
# Becomes the systemd of a machine of its own: pid1.sh CONFIG FOLDER...
#
# Runs as process 1 of new PID, mount, cgroup, UTS and IPC namespaces. Everything of the host that is
# visible is made read-only first: a PID 1 that is root writes to /dev, /proc/sys and /tmp, and those
# are the host's. Only the folders below are its own. It finds no units but those of CONFIG: Debian's
# would trim /tmp, set kernel parameters and rename network interfaces.
set -eu
config=$1
shift

mount -t tmpfs -o mode=0755 tmpfs /run
cp -R "$config" /run/machine

# What lies below /tmp and is needed goes with it to the new one.
mkdir /run/tmp /run/vartmp
mount -t tmpfs -o mode=1777 tmpfs /run/tmp
mount -t tmpfs -o mode=1777 tmpfs /run/vartmp
for folder in "$@"; do
    case $folder in
    /tmp/*) mkdir -p "/run${folder}"; mount --bind "$folder" "/run${folder}" ;;
    esac
done

mkdir /run/dev
mount -t tmpfs -o mode=0755 tmpfs /run/dev
for node in null zero full random urandom tty; do
    : >"/run/dev/$node"
    mount --bind "/dev/$node" "/run/dev/$node"
done
mkdir /run/dev/shm /run/dev/pts /run/dev/mqueue
mount -t tmpfs -o mode=1777 tmpfs /run/dev/shm
ln -s /proc/self/fd /run/dev/fd
ln -s pts/ptmx /run/dev/ptmx
mount -t devpts -o newinstance,ptmxmode=0666 devpts /run/dev/pts

findmnt --raw --noheadings --output TARGET | while read -r target; do
    case $target in
    /proc | /run | /run/*) ;;
    *) mount -o remount,bind,ro "$target" 2>/dev/null || true ;;
    esac
done
mount --bind /proc/sys /proc/sys
mount -o remount,bind,ro /proc/sys

mount --move /run/tmp /tmp
mount --move /run/vartmp /var/tmp
mount --move /run/dev /dev
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount --bind /run/machine/passwd /etc/passwd
mount --bind /run/machine/group /etc/group

# Among the namespaces of this machine, never with the host, whose mounts these are copies of: systemd
# prepares credentials in a namespace of their own, and leaves this step to who starts it here.
mount --make-rshared /

# Proof before systemd starts: were one of these writable, it would be the host's.
for place in / /proc/sys/kernel/hostname /sys/kernel; do
    if [ -w "$place" ] && ! findmnt --noheadings --output OPTIONS --target "$place" | grep -q '^ro'; then
        echo "pid1.sh: $place is writable" >&2
        exit 1
    fi
done

exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin container=pillarbox \
    SYSTEMD_UNIT_PATH=/run/machine/units SYSTEMD_GENERATOR_PATH=/run/machine/none \
    SYSTEMD_ENVIRONMENT_GENERATOR_PATH=/run/machine/none \
    /usr/lib/systemd/systemd --system --unit=default.target --log-target=journal --show-status=no
