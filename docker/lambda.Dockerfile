# The Lambda function's image: Lambda's runtime client and one handler. It runs as any user on a read-only root file
# system (rule 62).
ARG BASE
FROM ${BASE} AS runtime
RUN --mount=type=cache,id=kennel-uv,target=/var/cache,sharing=locked \
    --mount=type=secret,id=ca --mount=type=secret,id=index --mount=type=bind,source=build/lambda,target=/mnt \
    sh /mnt/install.sh
ENV PATH=/opt/venv/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    LANG=C.UTF-8 PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HOME=/tmp
WORKDIR /opt/kennel
COPY lambda_container lambda_container
RUN python3 -m compileall -q --invalidation-mode unchecked-hash .
LABEL kennel.writable="/tmp"
USER 65534:65534
ENTRYPOINT ["python3", "-m", "awslambdaric"]
CMD ["lambda_container.handler.handler"]
