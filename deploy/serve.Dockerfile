# syntax=docker/dockerfile:1
# The read API. Build from the root of the repository:
#
#     docker build -f deploy/serve.Dockerfile -t gristmill-serve:0.1.0 .
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
RUN /opt/gristmill/bin/pip install --constraint requirements.lock '.[serve,azure]'

FROM ${PYTHON}
RUN useradd --uid 10001 --no-create-home --home-dir /tmp gristmill
COPY --from=build /opt/gristmill /opt/gristmill
ENV PATH=/opt/gristmill/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    DO_NOT_TRACK=1
# Fails the build, and not the first run, when something is missing.
RUN gristmill serve --help >/dev/null && python -c "import fastapi, jwt, uvicorn, pipelines.serve.server"
USER 10001
WORKDIR /data
EXPOSE 8080
ENTRYPOINT ["gristmill", "serve"]
CMD ["/etc/gristmill/config.yaml", "--host", "0.0.0.0"]
