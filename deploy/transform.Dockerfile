# syntax=docker/dockerfile:1
# The transform stage. Build from the root of the repository:
#
#     docker build -f deploy/transform.Dockerfile -t gristmill-transform:0.1.0 .
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
ARG EXTRAS=transform,azure,openlineage
RUN /opt/gristmill/bin/pip install --constraint requirements.lock ".[${EXTRAS}]"

FROM ${PYTHON}
RUN useradd --uid 10001 --no-create-home --home-dir /tmp gristmill
COPY --from=build /opt/gristmill /opt/gristmill
ENV PATH=/opt/gristmill/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    MLFLOW_DISABLE_TELEMETRY=true
# Fails the build, and not the first run, when something is missing.
RUN gristmill-transform --help >/dev/null && \
    python -c "from chunkers.tokens import count_tokens; print(count_tokens('ready', 'o200k_base'))" && \
    python -c "import apache_beam, pipelines.transform.stage"
USER 10001
WORKDIR /data
ENTRYPOINT ["gristmill-transform"]
CMD ["/etc/gristmill/config.yaml"]
