#!/bin/sh
# Run a command in what Lambda gives a function: its code in a read-only /var/task, 512 MB of /tmp as the one place
# to write, and nothing to import but that, Python's standard library and what the runtime brings. Needs root.
#
# usage: unshare --mount lambda_sandbox.sh ROOT SYSTEM TASK RUNTIME PYTHON_PREFIX COMMAND...
#   ROOT  an empty folder to build the function's root in; the mounts in it end with the command
#   SYSTEM  whose libraries are used: / for this machine's
#   TASK  the unzipped package; RUNTIME, what the runtime brings; PYTHON_PREFIX, where Python is installed
set -eu
root=$1 system=${2%/} task=$3 runtime=$4 prefix=$5
shift 5

read_only() { # folder, where it is seen
    mkdir -p "$root$2"
    mount --bind "$1" "$root$2"
    mount -o remount,bind,ro "$root$2"
}

mount --make-rprivate /
mount -t tmpfs none "$root"
for folder in /bin /lib /lib64 /usr; do
    if [ -L "$system$folder" ]; then cp -P "$system$folder" "$root$folder"
    elif [ -d "$system$folder" ]; then read_only "$system$folder" "$folder"; fi
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
