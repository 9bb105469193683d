#!/bin/sh
# Install the Slurm that the tests run, from Debian or Ubuntu. Does nothing where it is there. No service is started:
# a policy-rc.d that forbids it stands there until the packages are in, unless the machine has one of its own.
set -eu
packages="slurmctld slurmd slurm-client munge"

is_there() {
    PATH="$PATH:/usr/sbin:/sbin"
    for program in slurmctld slurmd sbatch squeue scontrol munged; do
        command -v "$program" > /dev/null || return 1
    done
}

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

is_there && exit 0
command -v apt-get > /dev/null || { echo "no apt-get: install $packages by hand" >&2; exit 1; }
as_root true 2> /dev/null || { echo "neither root nor sudo without a password: install $packages by hand" >&2; exit 1; }

guard=/usr/sbin/policy-rc.d
if [ ! -e "$guard" ]; then
    trap 'as_root rm -f "$guard"' EXIT
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$guard" > /dev/null
    as_root chmod 755 "$guard"
fi
get() {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 "$@" < /dev/null > /dev/null
}
# shellcheck disable=SC2086 - a list of words
get install -y --no-install-recommends $packages 2> /dev/null \
    || { get update && get install -y --no-install-recommends $packages; }  # the lists may be absent or old
