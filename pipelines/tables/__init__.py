"""The versioned tables in which the stages meet.

>>> from pipelines.tables import Lake
>>> lake = Lake(".gristmill/lake")
>>> lake.documents.seq, lake.chunks("default").position("transform:default:…")
"""

from pipelines.tables.batches import Batch as Batch
from pipelines.tables.lake import HEADER_COLUMNS as HEADER_COLUMNS
from pipelines.tables.lake import ChunkTable as ChunkTable
from pipelines.tables.lake import Lake as Lake
from pipelines.tables.lake import by_file as by_file
from pipelines.tables.lake import iter_chunks as iter_chunks
from pipelines.tables.lake import iter_documents as iter_documents
from pipelines.tables.lake import read_chunks as read_chunks
from pipelines.tables.lake import read_documents as read_documents
from pipelines.tables.parts import Part as Part
from pipelines.tables.parts import PartWriter as PartWriter
from pipelines.tables.reading import Place as Place
from pipelines.tables.reading import content_places as content_places
from pipelines.tables.reading import newest as newest
from pipelines.tables.reading import newest_documents as newest_documents
from pipelines.tables.reading import read_rows as read_rows
from pipelines.tables.table import File as File
from pipelines.tables.table import Table as Table
