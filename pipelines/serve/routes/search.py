"""`POST /v1/search` and `GET /v1/chunks/{chunk_id}`."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from fastapi import APIRouter, Depends, Path
from pydantic import BaseModel, ConfigDict, Field, model_validator

from lineage import Principal
from pipelines.serve.context import Context
from pipelines.serve.tokens import Refused

_NOT_FOUND = "there is no such chunk, or the caller may not read it"


class Query(BaseModel):
    """What is asked. Any other field is refused: who asks is in the token."""

    model_config = ConfigDict(extra="forbid")

    query: str = Field(description="Words; quotes and operators have no meaning.", min_length=1)
    limit: int = Field(10, ge=1, description="The greatest number of hits.")
    granularity: str | None = Field(
        None, max_length=64, description="Among chunks of this size; by default the smallest."
    )
    parents: bool = Field(False, description="Whether hits come with the larger chunk around them.")
    profile: Literal["lookup", "analysis", "auto"] | None = Field(
        None,
        description="`lookup` reads the passages found, `analysis` the largest chunk around each; "
        "`auto` decides by the question, and the answer says why.",
    )

    @model_validator(mode="after")
    def _one_way_to_read(self) -> Self:
        if self.profile is not None and (self.granularity is not None or self.parents):
            raise ValueError("profile decides what is read: leave granularity and parents")
        return self


class Hit(BaseModel):
    """A chunk that the caller may read."""

    chunk_id: str
    document_id: str
    source_uri: str
    text: str
    start: int = Field(description="Offset of the text in its document, in code points.")
    end: int
    score: float
    context: str = Field(description="Headings and the like that stand above the text.")
    heading_path: list[str]
    page_first: int | None
    page_last: int | None
    data_type: str
    token_count: int
    granularity: str
    parent_chunk_id: str | None
    parent: Hit | None = Field(description="The larger chunk around this one, when asked for.")


class Hits(BaseModel):
    """The answer to a query, best first."""

    hits: list[Hit]
    profile: Literal["lookup", "analysis"] | None = Field(
        None, description="How it was read, when a profile was asked for."
    )
    reasons: list[str] = Field(
        default=[], description="For `auto`, what the question was judged by."
    )
    note: str | None = Field(
        None, description="What to know, as when there are no larger chunks to read."
    )


def router(context: Context) -> APIRouter:
    """The routes."""
    routes = APIRouter(prefix="/v1", tags=["read"])
    settings = context.settings
    caller = Depends(context.caller)

    @routes.post("/search", summary="Search", response_model=Hits)
    def search(asked: Query, principal: Principal = caller) -> dict[str, Any]:
        """The best chunks for a query, of those that the caller may read."""
        if asked.limit > settings.max_limit:
            raise Refused(422, "limit", f"limit can be at most {settings.max_limit}")
        if len(asked.query) > settings.max_query_chars:
            raise Refused(
                422, "query", f"query can have at most {settings.max_query_chars} letters"
            )
        if asked.profile is not None:
            reading = context.index.read(asked.query, principal, asked.limit, asked.profile)
            return reading.as_dict()
        hits = context.index.search(
            asked.query, principal, asked.limit, asked.granularity, asked.parents
        )
        return {"hits": [hit.as_dict() for hit in hits]}

    @routes.get("/chunks/{chunk_id}", summary="Fetch a chunk", response_model=Hit)
    def chunk(
        chunk_id: Annotated[str, Path(pattern="^[0-9a-f]{32}$")], principal: Principal = caller
    ) -> dict[str, Any]:
        """One chunk. What the caller may not read is answered like what is not there."""
        found = context.index.fetch(chunk_id, principal)
        if found is None:
            raise Refused(404, "not_found", _NOT_FOUND)
        return found.as_dict()

    return routes
