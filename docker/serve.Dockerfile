# The serving image: ONNX Runtime, OpenVINO, gunicorn, contract/ and serve/. No torch, build tools or caches.
ARG BASE
FROM ${BASE} AS runtime
RUN --mount=type=cache,id=kennel-uv,target=/var/cache,sharing=locked \
    --mount=type=secret,id=ca --mount=type=secret,id=index --mount=type=bind,source=build/serve,target=/mnt \
    sh /mnt/install.sh
ENV PATH=/opt/venv/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    LANG=C.UTF-8 PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HOME=/tmp
WORKDIR /opt/kennel
COPY contract contract
COPY serve serve
RUN python3 -m compileall -q --invalidation-mode unchecked-hash .
EXPOSE 8080
# It runs as root, as SageMaker runs it, which also owns /opt/ml/model (rules 25, 37). The root file system may be
# read-only.
LABEL kennel.writable="/tmp" com.amazonaws.sagemaker.capabilities.accept-bind-to-port="true"
ENTRYPOINT ["python3", "-m", "serve"]

# For tests only, never shipped: `./inv test` mounts the tests and runs them with the versions above.
FROM runtime AS test
RUN --mount=type=cache,id=kennel-uv,target=/var/cache,sharing=locked \
    --mount=type=secret,id=ca --mount=type=secret,id=index --mount=type=bind,source=build/test,target=/mnt \
    sh /mnt/install.sh
ENTRYPOINT ["python3", "-m", "pytest"]
