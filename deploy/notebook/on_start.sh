#!/bin/bash
# Runs as root each time the notebook instance starts; from then on idle.py runs every five minutes.
set -euo pipefail
IDLE_MINUTES=@IDLE_MINUTES@
mkdir -p /opt/kennel
cat > /opt/kennel/idle.py <<'PROGRAM'
@PROGRAM@
PROGRAM
chmod 644 /opt/kennel/idle.py
systemd-run --unit=kennel-idle --on-active=5min --on-unit-active=5min \
    /bin/sh -c "python3 /opt/kennel/idle.py $IDLE_MINUTES >> /var/log/kennel-idle.log 2>&1"
