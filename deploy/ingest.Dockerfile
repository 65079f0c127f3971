# syntax=docker/dockerfile:1
# The ingest stage. Build from the root of the repository:
#
#     docker build -f deploy/ingest.Dockerfile -t gristmill-ingest:0.1.0 .
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
ARG EXTRAS=ingest,azure,unstructured,openlineage
RUN /opt/gristmill/bin/pip install --constraint requirements.lock ".[${EXTRAS}]"
# The language model that unstructured would otherwise fetch at run time. An empty SPACY_MODEL leaves
# it out; a rule-based stand-in is used then, and the documents' `parser` column says so.
ARG SPACY_MODEL=en_core_web_sm-3.8.0
RUN if [ -n "${SPACY_MODEL}" ]; then \
        /opt/gristmill/bin/python -m spacy download "${SPACY_MODEL}" --direct; \
    fi

FROM ${PYTHON}
# Only old Office files (.doc, .ppt) need LibreOffice, half a gigabyte of it:
# --build-arg PACKAGES="libreoffice-writer libreoffice-impress"
ARG PACKAGES=""
RUN if [ -n "${PACKAGES}" ]; then \
        apt-get update && apt-get install --yes --no-install-recommends ${PACKAGES} && \
        rm -rf /var/lib/apt/lists/*; \
    fi
RUN useradd --uid 10001 --no-create-home --home-dir /tmp gristmill
COPY --from=build /opt/gristmill /opt/gristmill
ENV PATH=/opt/gristmill/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    SCARF_NO_ANALYTICS=true \
    DO_NOT_TRACK=1
# Fails the build, and not the first run, when something is missing.
RUN gristmill-ingest --help >/dev/null && python -c "import apache_beam, pipelines.ingest.stage"
USER 10001
WORKDIR /data
ENTRYPOINT ["gristmill-ingest"]
CMD ["/etc/gristmill/config.yaml"]
