#!/bin/sh
# Copy yesterday's frames to the second site and check them there.
set -eu

day=${1:-$(date -u -d yesterday +%Y-%m-%d)}
from=/var/lib/hub/frames/$day
to=second.larkmoor.example:/var/lib/hub/frames/$day

check() {
    ssh second.larkmoor.example "cd /var/lib/hub/frames/$day && sha256sum --quiet -c SHA256SUMS"
}

[ -d "$from" ] || { echo "no frames for $day in $from" >&2; exit 1; }
(cd "$from" && sha256sum ./*.frames > SHA256SUMS)
rsync --archive --partial "$from/" "$to/"
check || { echo "the copy of $day differs; not deleting anything" >&2; exit 2; }
echo "frames of $day are on both sites"
