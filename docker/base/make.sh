#!/bin/sh
# The base image from the distribution's own packages, for a machine that reaches no image registry: prints a root file
# system as a tar. Debian trixie, whose Python is 3.13, with nothing but what is essential, Python, the C++ runtime and
# the root certificates; no apt, no docs. Where packages come from is the host's setting (mmdebstrap's default).
set -eu
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-1735689600} # one recipe, one result
export SOURCE_DATE_EPOCH
exec mmdebstrap --quiet --variant=essential --include=python3,ca-certificates,libstdc++6 \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/info/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
    --dpkgopt='path-exclude=/usr/share/i18n/*' --dpkgopt='path-exclude=/usr/share/zoneinfo/*' \
    --customize-hook='rm -rf "$1"/var/cache/* "$1"/var/log/*' \
    trixie -
