#!/bin/sh
# Builds the base image from Debian packages, for machines that reach no image registry: prints a root file system as a
# tar. It holds Debian trixie's essential packages, Python 3.13, the C++ runtime and the root certificates; no apt, no
# documentation. The host's apt configuration says where packages come from (mmdebstrap's default).
set -eu
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-1735689600} # the same input gives the same image
export SOURCE_DATE_EPOCH
exec mmdebstrap --quiet --variant=essential --include=python3,ca-certificates,libstdc++6 \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/info/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
    --dpkgopt='path-exclude=/usr/share/i18n/*' --dpkgopt='path-exclude=/usr/share/zoneinfo/*' \
    --customize-hook='rm -rf "$1"/var/cache/* "$1"/var/log/*' \
    trixie -
