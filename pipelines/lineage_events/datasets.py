"""Sources, tables and sinks under the names that OpenLineage gives them, with their facets.

Source: OpenLineage specification 2-0-2, naming conventions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from openlineage.client import facet_v2 as facets
from openlineage.client.event_v2 import InputDataset, OutputDataset

from lineage import ConfigError
from pipelines.azure_account import SCHEMES, AzureAccount

if TYPE_CHECKING:
    import pyarrow as pa

    from pipelines.config import SourceConfig
    from pipelines.tables import Table


def named(uri: str) -> tuple[str, str]:
    """Namespace and name of what is at an absolute path or a URI."""
    if "://" not in uri:
        return "file", uri
    parts = urlsplit(uri)
    path = parts.path or "/"
    if parts.scheme in SCHEMES:
        container = parts.netloc.partition("@")[0]
        try:
            account = AzureAccount.from_environment(uri).name
        except ConfigError:
            return f"{parts.scheme}://{parts.netloc}", path
        return f"abfss://{container}@{account}.dfs.core.windows.net", path
    return f"{parts.scheme}://{parts.netloc}", path


def source(config: SourceConfig, counts: Mapping[str, int] | None) -> InputDataset:
    """A source of documents; with the counts of a run, what was found and whether it adds up."""
    namespace, name = named(config.uri)
    about: dict[str, Any] = {
        "dataSource": facets.datasource_dataset.DatasourceDatasetFacet(name=config.name)
    }
    found: dict[str, Any] = {}
    if counts is not None:
        statistics = facets.input_statistics_input_dataset.InputStatisticsInputDatasetFacet
        found = {
            "inputStatistics": statistics(fileCount=counts["listed"]),
            "dataQualityAssertions": _assertions(_of_source(counts)),
        }
    return InputDataset(namespace, name, inputFacets=found, facets=about)


def table_read(table: Table, checks: Mapping[str, tuple[bool, str, str]] | None) -> InputDataset:
    """A table of the lake that was read, with what was checked of what was made of it."""
    namespace, name = named(table.folder.uri)
    found: dict[str, Any] = {"dataQualityAssertions": _assertions(checks)} if checks else {}
    return InputDataset(namespace, name, inputFacets=found, facets=_table(table))


def table_written(table: Table, rows: int | None) -> OutputDataset:
    """A table of the lake that was written to; `rows` were added, if that is known yet."""
    namespace, name = named(table.folder.uri)
    statistics = facets.output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet
    found: dict[str, Any] = {}
    if rows is not None:
        found["outputStatistics"] = statistics(rowCount=rows)
    return OutputDataset(namespace, name, outputFacets=found, facets=_table(table))


def sink(uri: str, name: str, kind: str, position: int | None) -> OutputDataset:
    """A sink; its version is the commit of the chunk table that it has come to."""
    namespace, path = named(uri)
    about: dict[str, Any] = {
        "dataSource": facets.datasource_dataset.DatasourceDatasetFacet(name=name),
        "storage": facets.storage_dataset.StorageDatasetFacet(storageLayer=kind),
    }
    if position is not None:
        about["version"] = _version(position)
    return OutputDataset(namespace, path, facets=about)


def _table(table: Table) -> dict[str, Any]:
    about: dict[str, Any] = {
        "schema": facets.schema_dataset.SchemaDatasetFacet(fields=list(_fields(table.schema))),
        "storage": facets.storage_dataset.StorageDatasetFacet(
            storageLayer="delta", fileFormat="parquet"
        ),
    }
    if table.version is not None:
        about["version"] = _version(table.version)
    return about


def _version(value: int) -> Any:
    return facets.dataset_version_dataset.DatasetVersionDatasetFacet(datasetVersion=str(value))


def _fields(schema: pa.Schema | pa.StructType) -> Iterator[Any]:
    for field in schema:
        inner = getattr(field.type, "value_type", field.type)
        nested = list(_fields(inner)) if getattr(inner, "num_fields", 0) > 1 else []
        kind = str(field.type) if not nested else ("struct" if inner is field.type else "array")
        yield facets.schema_dataset.SchemaDatasetFacetFields(
            name=field.name, type=kind, fields=nested
        )


def _of_source(counts: Mapping[str, int]) -> dict[str, tuple[bool, str, str]]:
    parts = ("new", "changed", "acl", "touched", "unchanged", "rejected")
    total = sum(counts[name] for name in parts)
    return {
        "every listed document is accounted for": _equal(counts["listed"], total),
        "no document is rejected": _equal(0, counts["rejected"]),
        "no deletion is held back": _equal(0, counts["held"]),
    }


def _equal(expected: int, actual: int) -> tuple[bool, str, str]:
    return expected == actual, str(expected), str(actual)


def none_rejected(count: int) -> dict[str, tuple[bool, str, str]]:
    """The check that a stage has rejected nothing."""
    return {"no document is rejected": _equal(0, count)}


def _assertions(checks: Mapping[str, tuple[bool, str, str]]) -> Any:
    module = facets.data_quality_assertions_dataset
    return module.DataQualityAssertionsDatasetFacet(
        assertions=[
            module.Assertion(
                assertion=name,
                success=success,
                severity="error" if "accounted" in name else "warn",
                expected=expected,
                actual=actual,
            )
            for name, (success, expected, actual) in checks.items()
        ]
    )
