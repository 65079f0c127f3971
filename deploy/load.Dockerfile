# syntax=docker/dockerfile:1
# The load stage. Build from the root of the repository:
#
#     docker build -f deploy/load.Dockerfile -t gristmill-load:0.1.0 .
#
# Versions are those of requirements.lock. For a build that can be repeated bit by bit, give the
# base image by its digest: --build-arg PYTHON=python@sha256:...
ARG PYTHON=python:3.12.12-slim-bookworm

FROM ${PYTHON} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/gristmill
WORKDIR /src
COPY requirements.lock pyproject.toml README.md LICENSE ./
COPY lineage lineage
COPY chunkers chunkers
COPY pipelines pipelines
ARG EXTRAS=load,azure,openlineage
RUN /opt/gristmill/bin/pip install --constraint requirements.lock ".[${EXTRAS}]"

FROM ${PYTHON}
RUN useradd --uid 10001 --no-create-home --home-dir /tmp gristmill
COPY --from=build /opt/gristmill /opt/gristmill
ENV PATH=/opt/gristmill/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    DO_NOT_TRACK=1
# Fails the build, and not the first run, when something is missing.
RUN gristmill-load --help >/dev/null && python -c "import apache_beam, lancedb, pipelines.load.stage"
USER 10001
WORKDIR /data
ENTRYPOINT ["gristmill-load"]
CMD ["/etc/gristmill/config.yaml"]
