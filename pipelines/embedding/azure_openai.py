"""Vectors from an Azure OpenAI deployment, within its limits.

A deployment allows so many tokens and so many requests a minute. Both are kept to beforehand, and
when the service says 429 all the same, as when others use it too, its Retry-After decides when to
go on. Texts go in batches by their tokens.
"""

from __future__ import annotations

import functools
import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from chunkers.counting import count_tokens
from lineage.errors import ConfigError, MissingExtra, TerminalError, TransientError
from pipelines.embedding.base import encodable, unit

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

KEY = "AZURE_OPENAI_API_KEY"
"""Environment variable with a key; without it a signed-in identity is used."""
ENCODING = "cl100k_base"
"""Of all embedding models of the service."""
MAX_TOKENS = 8191
"""Of one text, by the service's documentation."""

_REQUEST_TEXTS = 2048
_REQUEST_TOKENS = 100_000
_SCOPE = "https://cognitiveservices.azure.com/.default"
_MINUTE = 60.0
_LONGEST_WAIT = 120.0
_REQUEST_SECONDS = 60.0
PATIENCE = 240.0
"""Seconds after which a request that was not answered is given up, all tries together."""
_DIMENSIONS = {"text-embedding-ada-002": 1536, "text-embedding-3-small": 1536,
               "text-embedding-3-large": 3072}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Rates:
    """What a deployment allows in a minute."""

    tokens: int = 350_000
    requests: int = 2_100


class AzureOpenAIEmbedder:
    """The Protocol `Embedder` over one deployment.

    Args:
        deployment: its name; also the model's, unless `model` is given.
        endpoint: such as `https://NAME.openai.azure.com`.
        model: which model the deployment serves; part of the vectors' identity.
        dimensions: asked for, where the model can shorten its vectors.
        rates: what the deployment allows.
        api_version: of the service's interface.
        patience: seconds after which a request that was not answered is given up, all tries
            together; waiting for the rates is not counted.
        clock: seconds, rising.
        sleep: waits for so many seconds.
    """

    encoding = ENCODING
    max_tokens = MAX_TOKENS

    def __init__(
        self,
        deployment: str,
        endpoint: str,
        *,
        model: str | None = None,
        dimensions: int | None = None,
        rates: Rates | None = None,
        api_version: str = "2024-10-21",
        patience: float = PATIENCE,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.deployment = deployment
        self.endpoint = endpoint
        self.model = model or deployment
        self.rates = rates or Rates()
        self.api_version = api_version
        self.patience = patience
        self._asked = dimensions
        self._clock = clock
        self._sleep = sleep
        self._log: deque[tuple[float, int]] = deque()

    def __reduce__(self) -> tuple[Any, ...]:
        make = functools.partial(
            AzureOpenAIEmbedder,
            model=self.model,
            dimensions=self._asked,
            rates=self.rates,
            api_version=self.api_version,
            patience=self.patience,
        )
        return make, (self.deployment, self.endpoint)

    @property
    def name(self) -> str:
        """The model and its dimensions: deployments of one model share their vectors."""
        return f"azure_openai:{self.model}" + (f"/{self._asked}" if self._asked else "")

    @functools.cached_property
    def dimensions(self) -> int:
        """Numbers in a vector; asked of the service for a model that is not known here."""
        if self._asked is not None:
            return self._asked
        known = _DIMENSIONS.get(self.model)
        return known or len(self.embed(["dimensions"])[0])

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """The vectors of `texts`, in their order.

        Raises:
            ConfigError: the service does not let us in, or has no such deployment.
            TerminalError: a text is too long for the model, or the service refuses the request.
            TransientError: it was busy or away for longer than `patience`.
            MissingExtra: the library is not installed.
        """
        import numpy as np

        parts = [self._request(batch, tokens) for batch, tokens in self._batches(texts)]
        if not parts:
            return np.zeros((0, self.dimensions), np.float32)
        return unit(np.concatenate(parts))

    def _batches(self, texts: Sequence[str]) -> Iterator[tuple[list[str], int]]:
        """Texts in requests, none beyond what a minute allows."""
        most = min(_REQUEST_TOKENS, self.rates.tokens)
        batch: list[str] = []
        size = 0
        for text in texts:
            # The service refuses an empty text; the vector of a space stands for it.
            clean = encodable(text) or " "
            tokens = count_tokens(clean, ENCODING)
            if tokens > min(MAX_TOKENS, most):
                raise TerminalError(
                    f"a text of {tokens} tokens is too long for {self.model}, which takes "
                    f"{min(MAX_TOKENS, most)}; it begins with {clean[:60]!r}. Lower `max_tokens` "
                    "of the strategy"
                )
            if batch and (size + tokens > most or len(batch) >= _REQUEST_TEXTS):
                yield batch, size
                batch, size = [], 0
            batch.append(clean)
            size += tokens
        if batch:
            yield batch, size

    def _request(self, batch: list[str], tokens: int) -> npt.NDArray[np.float32]:
        import numpy as np
        import openai

        wanted: dict[str, Any] = {} if self._asked is None else {"dimensions": self._asked}
        waited, attempt = 0.0, 0
        while True:
            self._await_turn(tokens)
            asked = self._clock()
            try:
                answer = self._client.embeddings.create(
                    model=self.deployment, input=batch, encoding_format="float", **wanted
                )
            except openai.APIStatusError as error:
                problem, wait = self._problem(error), _wait(error.response.headers, attempt)
            except openai.APIConnectionError as error:
                problem, wait = f"{type(error).__name__}: {error}", _wait({}, attempt)
            else:
                rows = sorted(answer.data, key=lambda row: row.index)
                if [row.index for row in rows] != list(range(len(batch))):
                    raise TerminalError(
                        f"{self.endpoint} answered with {len(rows)} vectors for {len(batch)} texts"
                    )
                return np.array([row.embedding for row in rows], np.float32)
            attempt += 1
            waited += self._clock() - asked + wait
            if waited > self.patience:
                tries = "try" if attempt == 1 else "tries"
                raise TransientError(
                    f"{self.endpoint} gave no vectors in {attempt} {tries} within "
                    f"{self.patience:g} s ({problem}). Run the same command again later; what it "
                    "gave before is in the cache"
                )
            self._sleep(wait)

    def _problem(self, error: Any) -> str:
        """What a status says, if trying again may help; raises otherwise."""
        status = error.status_code
        text = f"{status}: {error.message}"
        if status in (401, 403):
            raise ConfigError(
                f"{self.endpoint} does not let us in ({text}). Set {KEY}, or give the signed-in "
                "identity the role `Cognitive Services OpenAI User`"
            ) from error
        if status == 404:
            raise ConfigError(
                f"{self.endpoint} has no deployment {self.deployment!r} ({text}); name another "
                "one as `embedder.model`"
            ) from error
        if status in (408, 409, 429) or status >= 500:
            return text
        raise TerminalError(f"{self.endpoint} refuses the request: {text}") from error

    def _await_turn(self, tokens: int) -> None:
        """Wait until the last minute leaves room for a request of so many tokens."""
        while True:
            now = self._clock()
            while self._log and self._log[0][0] <= now - _MINUTE:
                self._log.popleft()
            used = sum(size for _, size in self._log)
            fits = not self._log or used + tokens <= self.rates.tokens
            if fits and len(self._log) < self.rates.requests:
                self._log.append((now, tokens))
                return
            self._sleep(max(self._log[0][0] + _MINUTE - now, 0.001))

    @functools.cached_property
    def _client(self) -> Any:
        try:
            from openai import AzureOpenAI
        except ImportError as error:
            raise MissingExtra(
                "the embedder azure_openai needs the extra 'azure-openai': "
                f"pip install 'gristmill[azure-openai]' ({error})"
            ) from error
        access: dict[str, Any] = {"api_key": os.environ.get(KEY)}
        if not access["api_key"]:
            from azure.identity import DefaultAzureCredential, get_bearer_token_provider

            provider = get_bearer_token_provider(DefaultAzureCredential(), _SCOPE)
            access = {"azure_ad_token_provider": provider}
        return AzureOpenAI(
            azure_endpoint=self.endpoint,
            api_version=self.api_version,
            timeout=min(_REQUEST_SECONDS, self.patience),
            max_retries=0,  # waiting is ours, so that it can keep to the rates
            **access,
        )


def _wait(headers: Any, attempt: int) -> float:
    """Seconds until the next try: what the service asks for, else doubling from one."""
    for name, scale in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            return min(max(float(headers.get(name)) * scale, 0.0), _LONGEST_WAIT)
        except (TypeError, ValueError):
            continue
    return float(min(2**attempt, _LONGEST_WAIT))
