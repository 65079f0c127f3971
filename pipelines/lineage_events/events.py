"""The events of one run: a job for the pipeline, and one for each of its stages below it."""

from __future__ import annotations

from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any
from uuid import UUID

from openlineage.client import facet_v2 as facets
from openlineage.client.event_v2 import Job, Run, RunEvent, RunState, set_producer
from openlineage.client.uuid import generate_static_uuid

from lineage import GristmillError
from pipelines.lineage_events import datasets
from pipelines.tables import Lake

if TYPE_CHECKING:
    from pipelines.config import Config

PRODUCER = "urn:gristmill"


class Events:
    """Makes the events of the run `run_id`, a UUID of version 7.

    The same run and stage always have the same ids, so what is sent twice is told apart by nobody.
    """

    def __init__(self, config: Config, run_id: str, namespace: str) -> None:
        self._config = config
        self._run_id = run_id
        self._namespace = namespace
        self._started = datetime.fromtimestamp((UUID(run_id).int >> 80) / 1000, UTC)
        set_producer(f"{PRODUCER}:{_version('gristmill')}")

    def whole(self, state: RunState, at: datetime, error: BaseException | None = None) -> RunEvent:
        """An event of the run as a whole."""
        job = self._job(self._config.name, "PIPELINE")
        run = Run(self._run_id, self._engine() | self._error(error))
        return self._event(state, at, run, job)

    def stage(
        self,
        stage: str,
        state: RunState,
        at: datetime,
        summary: Any = None,
        error: BaseException | None = None,
    ) -> RunEvent:
        """An event of a stage; what it read and wrote, with the figures of its `summary`."""
        run_id = str(generate_static_uuid(self._started, f"{self._run_id}:{stage}".encode()))
        parent = facets.parent_run
        above = parent.ParentRunFacet(
            run=parent.Run(self._run_id), job=parent.Job(self._namespace, self._config.name)
        )
        job = self._job(f"{self._config.name}.{stage}", "STAGE")
        run = Run(run_id, {"parent": above} | self._engine() | self._error(error))
        return self._event(state, at, run, job, *getattr(self, f"_{stage}")(summary))

    def _ingest(self, summary: Any) -> tuple[list[Any], list[Any]]:
        counts = summary.sources if summary is not None else {}
        inputs = [
            datasets.source(source, counts.get(source.name)) for source in self._config.sources
        ]
        rows = summary.rows_written if summary is not None else None
        return inputs, [datasets.table_written(Lake(self._config.lake).documents, rows)]

    def _transform(self, summary: Any) -> tuple[list[Any], list[Any]]:
        lake = Lake(self._config.lake)
        checks = datasets.none_rejected(summary.rejected) if summary is not None else None
        done = summary.strategies if summary is not None else {}
        outputs = [
            datasets.table_written(
                lake.chunks(strategy.name),
                done[strategy.name].rows_written if strategy.name in done else None,
            )
            for strategy in self._config.strategies
        ]
        return [datasets.table_read(lake.documents, checks)], outputs

    def _load(self, summary: Any) -> tuple[list[Any], list[Any]]:
        lake = Lake(self._config.lake)
        names = list(dict.fromkeys(sink.strategy for sink in self._config.sinks))
        inputs = [datasets.table_read(lake.chunks(name), None) for name in names]
        outputs = [
            datasets.sink(
                sink.uri, sink.name, sink.kind,
                lake.chunks(sink.strategy).seq if summary is not None else None,
            )
            for sink in self._config.sinks
        ]  # fmt: skip
        return inputs, outputs

    def _job(self, name: str, kind: str) -> Job:
        job_type = facets.job_type_job.JobTypeJobFacet(
            processingType="BATCH", integration="GRISTMILL", jobType=kind
        )
        return Job(self._namespace, name, {"jobType": job_type})

    def _engine(self) -> dict[str, Any]:
        engine = facets.processing_engine_run.ProcessingEngineRunFacet(
            version=_version("apache-beam"),
            name="Apache Beam",
            openlineageAdapterVersion=_version("gristmill"),
        )
        return {"processing_engine": engine}

    @staticmethod
    def _error(error: BaseException | None) -> dict[str, Any]:
        """The kind of an error. Its message stays here: it may quote names, paths and values."""
        if error is None:
            return {}
        kind = type(error)
        text = kind.__name__
        if isinstance(error, GristmillError) and kind.__doc__:
            text = f"{text}: {kind.__doc__.strip().splitlines()[0]}"
        message = facets.error_message_run.ErrorMessageRunFacet(
            message=text, programmingLanguage="PYTHON"
        )
        return {"errorMessage": message}

    @staticmethod
    def _event(
        state: RunState, at: datetime, run: Run, job: Job, inputs: Any = (), outputs: Any = ()
    ) -> RunEvent:
        return RunEvent(
            eventType=state,
            eventTime=at.isoformat(),
            run=run,
            job=job,
            inputs=list(inputs),
            outputs=list(outputs),
        )


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "unknown"
