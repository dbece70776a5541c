# The peers' images: our base, our installer (uv), the fewest packages that do the job, and one script.
ARG BASE
FROM ${BASE}
RUN --mount=type=cache,id=kennel-uv,target=/var/cache,sharing=locked \
    --mount=type=secret,id=ca --mount=type=secret,id=index --mount=type=bind,source=build,target=/mnt \
    sh /mnt/install.sh
ENV PATH=/opt/venv/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin PYTHONUNBUFFERED=1
WORKDIR /app
COPY main.py .
CMD ["python3", "main.py"]
