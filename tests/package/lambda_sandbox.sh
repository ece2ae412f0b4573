#!/bin/sh
# Run a command in what Lambda gives a function: its code in a read-only /var/task, 512 MB of /tmp as the one place
# to write, and nothing to import but that, Python's standard library and what the runtime brings. Needs root.
#
# usage: unshare --mount lambda_sandbox.sh ROOT TASK RUNTIME PYTHON_PREFIX COMMAND...
#   ROOT  an empty folder to build the function's root in; the mounts in it end with the command
#   TASK  the unzipped package; RUNTIME, what the runtime brings; PYTHON_PREFIX, where Python is installed
set -eu
root=$1 task=$2 runtime=$3 prefix=$4
shift 4

read_only() { # folder, where it is seen
    mkdir -p "$root$2"
    mount --bind "$1" "$root$2"
    mount -o remount,bind,ro "$root$2"
}

mount --make-rprivate /
mount -t tmpfs none "$root"
for folder in /bin /lib /lib64 /usr; do
    if [ -L "$folder" ]; then cp -P "$folder" "$root$folder"; elif [ -d "$folder" ]; then read_only "$folder" "$folder"; fi
done
read_only "$task" /var/task
read_only "$runtime" /var/runtime
read_only "$prefix" /var/lang
read_only /proc /proc
mkdir "$root/dev" "$root/etc" "$root/tmp" # no /dev/shm: Lambda has none
for device in null random urandom zero; do
    : >"$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
done
echo 'sbx_user1051:x:993:990::/:/sbin/nologin' >"$root/etc/passwd"
mount -t tmpfs -o size=512m,mode=1777 none "$root/tmp"
mount -o remount,ro "$root"
exec chroot --userspec=993:990 "$root" "$@"
