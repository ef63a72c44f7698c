# Holdfast, as one process that serves and works. Everything it writes is the database's folder, /var/lib/holdfast, so
# the root may be read-only (with a /tmp in memory). Settings come from the environment, or from what the set-up has
# written into that folder; see .env.example.

FROM python:3.11-slim AS build
RUN python -m venv /opt/venv
COPY requirements.lock requirements-sandbox.lock ./
RUN /opt/venv/bin/pip install --no-cache-dir --no-deps --requirement requirements.lock --requirement requirements-sandbox.lock

FROM python:3.11-slim
# The address of the sources is whoever builds it's to say: --build-arg SOURCE=https://…
ARG VERSION=0 SOURCE=
LABEL org.opencontainers.image.title="Holdfast" \
      org.opencontainers.image.description="An embeddable booking widget with payment" \
      org.opencontainers.image.version=$VERSION \
      org.opencontainers.image.source=$SOURCE \
      org.opencontainers.image.licenses="MIT"
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin holdfast \
    && install --directory --owner=holdfast --mode=0700 /var/lib/holdfast
COPY --from=build /opt/venv /opt/venv
WORKDIR /srv/holdfast
COPY app app
# For `demo` and `sandbox`.
COPY sandbox sandbox
COPY static static
COPY templates templates
COPY deploy/healthcheck.py deploy/healthcheck.py
RUN /opt/venv/bin/python -m compileall -q app sandbox
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    DATABASE_URL=sqlite:////var/lib/holdfast/holdfast.sqlite3 \
    ENV_FILE=/var/lib/holdfast/env
USER holdfast
VOLUME /var/lib/holdfast
EXPOSE 8000
STOPSIGNAL SIGTERM
# Asks whatever this container runs: the server, a worker of its own, or the demo.
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s CMD ["python", "deploy/healthcheck.py"]
ENTRYPOINT ["python", "-m", "app"]
CMD ["serve", "--host", "0.0.0.0"]
