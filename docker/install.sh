#!/bin/sh
# Installs locked requirements into /opt/venv, in one RUN that leaves nothing else in the image. The installer and the
# lock are mounted beside this file, and downloads go to a cache mount. A CA bundle and the user's package index are
# build secrets, so that neither gets into a layer or into the image's history.
set -eu
if [ -s /run/secrets/ca ]; then export SSL_CERT_FILE=/run/secrets/ca; fi
if [ -s /run/secrets/index ]; then UV_DEFAULT_INDEX=$(cat /run/secrets/index) && export UV_DEFAULT_INDEX; fi
# A read-only root file system cannot cache bytecode, so it is compiled here: torch then imports in 2.5 s instead of
# 5.7 s, ONNX Runtime in 0.25 s instead of 0.7 s.
export UV_COMPILE_BYTECODE=1 UV_CACHE_DIR=/var/cache UV_LINK_MODE=copy UV_NO_PROGRESS=1 UV_PYTHON_DOWNLOADS=never
[ -d /opt/venv ] || python3 -m venv --without-pip /opt/venv
/mnt/uv pip install --python /opt/venv/bin/python3 --require-hashes --no-deps --requirement /mnt/lock
# Removes about 230 MB that no program here uses, in the same layer: OpenVINO's devices and file formats other than ONNX
# on CPUs, its telemetry, ONNX Runtime's second copy for C programs, packages' tests, what matplotlib writes PDF with.
cd /opt/venv/lib/python3*/site-packages
rm -rf openvino_telemetry* openvino/include openvino/frontend/jax openvino/frontend/paddle openvino/frontend/pytorch \
    openvino/frontend/tensorflow onnxruntime/capi/libonnxruntime.so.* onnx/backend/test \
    matplotlib/tests
for unused in gpu_plugin npu_ auto_plugin auto_batch hetero tensorflow pytorch paddle gguf jax; do
    rm -f openvino/libs/*"$unused"*
done
if [ -d fontTools ]; then
    find fontTools -mindepth 1 -maxdepth 1 ! -name __init__.py ! -name agl.py ! -name misc -exec rm -rf {} +
fi
# Official Python images include pip, which nothing needs after this.
rm -rf /usr/local/lib/python3*/site-packages/pip /usr/local/lib/python3*/site-packages/pip-*.dist-info /usr/local/bin/pip*
