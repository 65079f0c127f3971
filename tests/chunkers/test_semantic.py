"""Chunks that keep to one subject, with vectors and without."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest

from chunkers import Span, TokenMap, build
from chunkers.conformance import check
from chunkers.semantic import likeness
from lineage import Block, ConfigError, Document

SUBJECTS = {
    "tide": "The tide came in before noon. Boats rose with the tide in the harbour. "
    "By evening the tide was out and boats lay dry. The harbour waits for the tide. ",
    "bread": "Flour and water make the dough. The dough rests near the oven. "
    "A hot oven gives bread its crust. Good bread needs a patient baker. ",
    "court": "The judge heard both parties. Counsel for one party called the judge unfair. "
    "The verdict came late. Both parties accepted the verdict of the judge. ",
}
TEXT = "".join(SUBJECTS.values())
STARTS = [TEXT.index(part) for part in SUBJECTS.values()]


class Subjects:
    """Vectors by subject: one axis for each, and a little of the text's own."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        self.asked += texts
        rows = np.zeros((len(texts), 4), np.float32)
        for i, text in enumerate(texts):
            place = TEXT.index(text)
            rows[i, sum(start <= place for start in STARTS) - 1] = 1
            rows[i, 3] = len(text) % 7 / 20
        return rows


def document(text: str = TEXT) -> Document:
    return Document(text=text, blocks=[Block("paragraph", 0, len(text))], language="en")


def spans_of(**parameters: object) -> list[Span]:
    return check(
        build(
            "semantic", {"target_tokens": 32, "overfull_weight": 1.0, **parameters}, max_tokens=120
        ),
        document(),
    )


def test_cuts_are_where_the_vectors_change() -> None:
    embedder = Subjects()
    assert [span.start for span in spans_of(embedder=embedder, cohesion_weight=3.0)] == STARTS
    assert all(text == text.strip() for text in embedder.asked)
    by_function = spans_of(embedder=embedder.embed, cohesion_weight=3.0)
    assert [span.start for span in by_function] == STARTS


def test_without_vectors_the_words_decide() -> None:
    starts = {span.start for span in spans_of(cohesion_weight=3.0)}
    assert len(starts & set(STARTS)) >= 2


def test_words_and_vectors_have_their_shares() -> None:
    class Alike(Subjects):
        def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
            return np.ones((len(texts), 4), np.float32)

    words = spans_of(cohesion_weight=3.0)
    assert spans_of(embedder=Subjects(), words_share=1.0, cohesion_weight=3.0) == words
    # Vectors that are all alike say nothing of where to cut.
    alone = spans_of(embedder=Alike(), words_share=0.0, cohesion_weight=3.0)
    assert [span.start for span in alone] != [span.start for span in words]
    with pytest.raises(ConfigError, match="words_share"):
        spans_of(words_share=1.5)


def test_what_fits_is_not_embedded() -> None:
    embedder = Subjects()
    chunker = build("semantic", {"embedder": embedder}, max_tokens=512)
    assert len(chunker.spans(document(), TokenMap(TEXT))) == 1
    assert embedder.asked == []


def test_likeness_is_the_cosine_of_windows() -> None:
    vectors = np.array([[1, 0], [1, 0], [0, 2], [0, -1]], np.float32)
    assert likeness(vectors, 1) == pytest.approx([0, 1, 0, 0])
    wide = likeness(vectors, 2)
    assert wide[1] == pytest.approx(1 / np.sqrt(5))
    assert wide[2] == 0


@pytest.mark.parametrize("embedder", ["all-MiniLM-L6-v2", 3])
def test_an_embedder_that_is_none_is_refused(embedder: object) -> None:
    with pytest.raises(ConfigError, match=r"embed\(texts\)"):
        build("semantic", {"embedder": embedder}, max_tokens=120)
