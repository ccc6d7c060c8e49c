# syntax=docker/dockerfile:1
# One image for every role: `docker run formhub web`, or FORMHUB_ROLE. Pin the base by the digest that you have examined:
#   docker build --build-arg PYTHON=python:3.13-slim-trixie@sha256:... -t formhub .
ARG PYTHON=python:3.13-slim-trixie

FROM ${PYTHON} AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/formhub
COPY requirements/base.txt /tmp/
RUN /opt/formhub/bin/pip install --only-binary :all: -r /tmp/base.txt
WORKDIR /app
COPY . .
# Only the look of the pages is collected: nothing is connected to, and these values stay in this stage.
RUN SECRET_KEY=build ENCRYPTION_KEYS=YnVpbGQtb25seS1idWlsZC1vbmx5LWJ1aWxkLW9ubHk= \
    DATABASE_URL=postgres://build@127.0.0.1:9/build REDIS_URL=redis://127.0.0.1:9/0 \
    DJANGO_SETTINGS_MODULE=formhub.settings.production \
    /opt/formhub/bin/python manage.py collectstatic --no-input \
 && /opt/formhub/bin/python -m compileall -q /app /opt/formhub \
 && /opt/formhub/bin/pip uninstall --yes pip

FROM ${PYTHON}
RUN groupadd --gid 10001 formhub && useradd --uid 10001 --gid 10001 --no-create-home --shell /usr/sbin/nologin formhub \
 && rm -rf /usr/local/lib/python3*/site-packages/pip* /usr/local/bin/pip*
COPY --from=build /opt/formhub /opt/formhub
COPY --from=build /app /app
WORKDIR /app
ENV PATH=/opt/formhub/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    DJANGO_SETTINGS_MODULE=formhub.settings.production HEARTBEAT_DIR=/tmp/heartbeats
# The root may be read-only: only /tmp is written to, and what settings name (TOMBSTONE_JOURNAL).
USER 10001:10001
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=15s --start-period=60s --retries=3 CMD ["python", "-m", "formhub", "probe"]
ENTRYPOINT ["python", "-m", "formhub"]
