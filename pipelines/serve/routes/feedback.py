"""`POST /v1/feedback`: what readers thought of what they found."""

from __future__ import annotations

import threading
from typing import Any, Literal

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field

from lineage import Principal
from pipelines.feedback import Feedback, add_feedback
from pipelines.feedback.records import MOST_QUERY
from pipelines.serve.context import Context
from pipelines.serve.tokens import Refused

_NOT_KEPT = "there is no such chunk, or the caller may not read it"


class Given(BaseModel):
    """One piece of feedback. Any other field is refused: who gives it is in the token."""

    model_config = ConfigDict(extra="forbid")

    query: str = Field(description="What was asked.", min_length=1, max_length=MOST_QUERY)
    kind: Literal["judgement", "click", "thumb", "correction"]
    chunk_id: str = Field(pattern="^[0-9a-f]{32}$", description="The chunk that it is about.")
    grade: float | None = Field(None, ge=0, le=3, description="0: no answer; needed to judge.")
    value: Literal["up", "down"] | None = Field(None, description="For a thumb.")
    quote: str | None = Field(
        None, max_length=8_000, description="For a correction: the words of the chunk that count."
    )


class Kept(BaseModel):
    """What became of it."""

    added: bool = Field(description="False when the caller had said the same before.")


def router(context: Context) -> APIRouter:
    """The routes."""
    routes = APIRouter(prefix="/v1", tags=["feedback"])
    caller = Depends(context.caller)
    # Of writers at the same time all but one would have to try again.
    one_by_one = threading.Lock()

    @routes.post("/feedback", summary="Give feedback", response_model=Kept)
    def give(given: Given, principal: Principal = caller) -> dict[str, Any]:
        """Keep what the caller thought of a chunk, as an answer to a query.

        It is anchored to the span of its document. What the caller may not read is answered like
        what is not there.
        """
        # What the index does not show the caller is not looked up anywhere else.
        if context.index.fetch(given.chunk_id, principal) is None:
            raise Refused(404, "not_found", _NOT_KEPT)
        grade = given.grade
        if given.kind == "thumb" and given.value is not None:
            grade = 1.0 if given.value == "up" else 0.0
        try:
            item = Feedback(
                query=given.query,
                kind=given.kind,
                chunk_id=given.chunk_id,
                quote=given.quote,
                grade=grade,
                user=principal.user,
                groups=tuple(sorted(principal.groups)),
            )
        except ValueError as error:
            raise Refused(422, "feedback", str(error)) from error
        with one_by_one:
            added = add_feedback(context.config, [item])
        if added.problems:
            raise Refused(422, "feedback", added.problems[0][1])
        return {"added": bool(added.added)}

    return routes
