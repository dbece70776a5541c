# The training image: torch with CUDA, the contract and the trainer. No driver (rule 3), build tools or caches.
ARG BASE
FROM ${BASE} AS runtime
# One layer for each big part of the lock (deploy/images/recipe.py, LAYERS).
RUN --mount=type=cache,id=kennel-uv,target=/var/cache,sharing=locked \
    --mount=type=secret,id=ca --mount=type=secret,id=index --mount=type=bind,source=build/train-cudnn,target=/mnt \
    sh /mnt/install.sh
RUN --mount=type=cache,id=kennel-uv,target=/var/cache,sharing=locked \
    --mount=type=secret,id=ca --mount=type=secret,id=index --mount=type=bind,source=build/train-cuda,target=/mnt \
    sh /mnt/install.sh
RUN --mount=type=cache,id=kennel-uv,target=/var/cache,sharing=locked \
    --mount=type=secret,id=ca --mount=type=secret,id=index --mount=type=bind,source=build/train-triton,target=/mnt \
    sh /mnt/install.sh
RUN --mount=type=cache,id=kennel-uv,target=/var/cache,sharing=locked \
    --mount=type=secret,id=ca --mount=type=secret,id=index --mount=type=bind,source=build/train-torch,target=/mnt \
    sh /mnt/install.sh
RUN --mount=type=cache,id=kennel-uv,target=/var/cache,sharing=locked \
    --mount=type=secret,id=ca --mount=type=secret,id=index --mount=type=bind,source=build/train,target=/mnt \
    sh /mnt/install.sh
ENV PATH=/opt/venv/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    LANG=C.UTF-8 PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HOME=/tmp MPLCONFIGDIR=/tmp/matplotlib
WORKDIR /opt/kennel
COPY contract contract
COPY train train
RUN python3 -m compileall -q --invalidation-mode unchecked-hash .
# Root, because SageMaker writes /opt/ml as root and asks for it (rule 22). The root file system may be read-only:
# what is written is under the declared paths.
LABEL kennel.writable="/opt/ml /tmp"
ARG IMAGE
ARG REVISION
ARG VERSION
ENV KENNEL_IMAGE_DIGEST=${IMAGE} KENNEL_GIT_REVISION=${REVISION} KENNEL_VERSION=${VERSION}
ENTRYPOINT ["python3", "-m", "train"]

# What the tests add, never shipped: `./inv test` mounts the tests and runs them with the versions above.
FROM runtime AS test
RUN --mount=type=cache,id=kennel-uv,target=/var/cache,sharing=locked \
    --mount=type=secret,id=ca --mount=type=secret,id=index --mount=type=bind,source=build/test,target=/mnt \
    sh /mnt/install.sh
ENTRYPOINT ["python3", "-m", "pytest"]
