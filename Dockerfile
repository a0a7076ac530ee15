# The base of both stages. Name a mirror of it, or better its digest: --build-arg PYTHON_IMAGE=…@sha256:…
ARG PYTHON_IMAGE=python:3.11-slim-bookworm

FROM ${PYTHON_IMAGE} AS build
WORKDIR /build
RUN python3.11 -m venv tools \
 && python3.11 -m venv --without-pip /opt/harvest-monitor
COPY requirements.lock requirements-build.lock ./
# pip uses the index it is configured with; a pip.conf with a password is a build secret and stays in no layer.
RUN --mount=type=secret,id=pip.conf,target=/etc/pip.conf \
    tools/bin/pip install --no-cache-dir --only-binary=:all: --require-hashes -r requirements-build.lock \
 && tools/bin/pip --python /opt/harvest-monitor/bin/python \
    install --no-cache-dir --no-compile --only-binary=:all: --require-hashes -r requirements.lock
COPY pyproject.toml README.md ./
COPY checks checks
COPY monitor monitor
COPY templates templates
# With a read-only root nothing can be compiled later; unchecked hashes keep the bytecode from going stale.
# Commands installed by other packages are removed.
RUN tools/bin/pip wheel --no-deps --no-index --no-build-isolation --wheel-dir dist . \
 && tools/bin/pip --python /opt/harvest-monitor/bin/python \
    install --no-cache-dir --no-compile --no-deps --no-index dist/*.whl \
 && tools/bin/python -m compileall -q --invalidation-mode unchecked-hash /opt/harvest-monitor/lib \
 && find /opt/harvest-monitor/bin -type f ! -name harvest-monitor -delete

FROM ${PYTHON_IMAGE}
LABEL org.opencontainers.image.title="Harvest Monitor" \
      org.opencontainers.image.description="Checks every tenant's Greenhouse Harvest credential against a permission manifest, without ever changing anything" \
      org.opencontainers.image.version="0.1.0"
# A user without a shell, who owns one folder; nothing is left that installs packages or raises privileges.
RUN groupadd --gid 65532 harvest-monitor \
 && useradd --no-log-init --no-create-home --home-dir /var/lib/harvest-monitor --shell /usr/sbin/nologin \
    --uid 65532 --gid 65532 harvest-monitor \
 && install --directory --mode 0770 --owner 65532 --group 65532 /var/lib/harvest-monitor \
 && rm -rf /usr/local/bin/pip* /usr/local/lib/python3.11/ensurepip \
    /usr/local/lib/python3.11/site-packages/pip* /usr/local/lib/python3.11/site-packages/setuptools* \
    /usr/local/lib/python3.11/site-packages/wheel* \
 && find / -xdev -type f -perm /6000 -exec chmod a-s {} +
COPY --from=build /opt/harvest-monitor /opt/harvest-monitor
# Temporary files of SQLite and Python go to the volume, so /tmp is not needed.
ENV PATH=/opt/harvest-monitor/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    HARVEST_MONITOR_LISTEN=0.0.0.0:9808 \
    TMPDIR=/var/lib/harvest-monitor
WORKDIR /var/lib/harvest-monitor
VOLUME /var/lib/harvest-monitor
USER 65532:65532
# The build fails if the command cannot even start, because a system library is missing.
RUN ["harvest-monitor", "--version"]
EXPOSE 9808
# A busy process answers late but is not unhealthy: that takes five time-outs of half a minute in a row.
HEALTHCHECK --interval=60s --timeout=30s --start-period=10m --retries=5 \
    CMD ["/opt/harvest-monitor/bin/python", "-c", "import http.client as h, os; c = h.HTTPConnection(os.environ.get('HARVEST_MONITOR_LISTEN') or '127.0.0.1:9808', timeout=25); c.request('GET', '/healthz'); raise SystemExit(c.getresponse().status != 200)"]
ENTRYPOINT ["harvest-monitor"]
CMD ["serve"]
