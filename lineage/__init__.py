"""Records, ids and access control: what crosses the walls between stages.

    >>> from lineage import Acl, Principal, document_id
    >>> acl = Acl.from_value({"allow_groups": ["hr"]})
    >>> acl.permits(Principal(groups=frozenset({"hr"})))
    True
    >>> document_id("handbook", "leave.md") == document_id("handbook", "./leave.md")
    True

The Arrow schemas are in `lineage.schemas`, apart, because they need pyarrow.
"""

from lineage.acl import Acl as Acl
from lineage.acl import Principal as Principal
from lineage.errors import CommitConflict as CommitConflict
from lineage.errors import ConfigError as ConfigError
from lineage.errors import GristmillError as GristmillError
from lineage.errors import MissingExtra as MissingExtra
from lineage.errors import SchemaVersionError as SchemaVersionError
from lineage.errors import TerminalError as TerminalError
from lineage.errors import TransientError as TransientError
from lineage.ids import chunk_id as chunk_id
from lineage.ids import content_sha256 as content_sha256
from lineage.ids import document_id as document_id
from lineage.ids import fingerprint as fingerprint
from lineage.ids import normalise_key as normalise_key
from lineage.records import BLOCK_KINDS as BLOCK_KINDS
from lineage.records import REJECT_CLASSES as REJECT_CLASSES
from lineage.records import TRANSIENT_CLASSES as TRANSIENT_CLASSES
from lineage.records import Block as Block
from lineage.records import Chunk as Chunk
from lineage.records import ChunkLineage as ChunkLineage
from lineage.records import Document as Document
from lineage.records import ErrorInfo as ErrorInfo
from lineage.records import ParserInfo as ParserInfo
from lineage.records import Quality as Quality
from lineage.records import check_blocks as check_blocks
from lineage.records import embedded_text as embedded_text
from lineage.records import record_dict as record_dict
from lineage.records import uncovered as uncovered
