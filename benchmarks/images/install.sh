#!/bin/sh
# Installs packages into /opt/venv in one layer, compiled, and leaves neither pip nor a cache.
set -eu
if [ -s /run/secrets/ca ]; then export SSL_CERT_FILE=/run/secrets/ca; fi
if [ -s /run/secrets/index ]; then UV_DEFAULT_INDEX=$(cat /run/secrets/index) && export UV_DEFAULT_INDEX; fi
export UV_COMPILE_BYTECODE=1 UV_CACHE_DIR=/var/cache UV_LINK_MODE=copy UV_NO_PROGRESS=1 UV_PYTHON_DOWNLOADS=never
python3 -m venv --without-pip /opt/venv
/mnt/uv pip install --python /opt/venv/bin/python3 --requirement /mnt/requirements.txt
