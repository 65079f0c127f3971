"""What readers thought of what they found, kept as evidence about documents.

    >>> from pipelines.feedback import Feedback, add_feedback, feedback_evidence
    >>> add_feedback(config, [Feedback("days of leave", "thumb", chunk_id=hit.chunk_id)])
    ... # doctest: +SKIP
    >>> feedback_evidence(config).evidence  # doctest: +SKIP

Every piece is anchored to a span of its document, so it scores chunkings that did not exist when it
was given.
"""

from pipelines.feedback.add import Added as Added
from pipelines.feedback.add import add_feedback as add_feedback
from pipelines.feedback.evidence import FeedbackEvidence as FeedbackEvidence
from pipelines.feedback.evidence import feedback_evidence as feedback_evidence
from pipelines.feedback.evidence import read_feedback as read_feedback
from pipelines.feedback.records import Feedback as Feedback
from pipelines.feedback.records import read_lines as read_lines
