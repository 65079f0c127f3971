from __future__ import annotations

import pickle
from collections.abc import Iterator

import numpy as np
import pytest

from chunkers.counting import count_tokens
from lineage import ConfigError, TerminalError, TransientError
from pipelines.embedding.azure_openai import KEY, AzureOpenAIEmbedder, Rates
from pipelines.embedding.base import Embedder, unit

openai_service = pytest.importorskip("openai_service")


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[object]:
    monkeypatch.setenv(KEY, "secret-key")
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    with openai_service.running(openai_service.Service(openai_service.Clock())) as running:
        yield running


def embedder(service: object, **settings: object) -> AzureOpenAIEmbedder:
    clock = service.clock
    values = {"rates": Rates(service.tokens, service.requests), "dimensions": 8} | settings
    return AzureOpenAIEmbedder(
        service.deployment, service.endpoint, clock=clock, sleep=clock.sleep, **values
    )


def test_vectors_come_in_the_order_of_the_texts_and_have_length_1(service: object) -> None:
    service.shuffle = True
    made = embedder(service)
    assert isinstance(made, Embedder)
    texts = [f"text {n}" for n in range(20)] + ["", "lone \ud800 surrogate"]
    vectors = made.embed(texts)
    assert vectors.shape == (22, 8)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    expected = np.array([openai_service.vector("text 3", 8)], np.float32)
    assert np.allclose(vectors[3], unit(expected)[0])
    assert made.embed([]).shape == (0, 8)


def test_rates_are_kept_to_so_that_the_service_never_has_to_refuse(service: object) -> None:
    texts = [f"number {n} " + "word " * 400 for n in range(60)]
    made = embedder(service)
    assert len(made.embed(texts)) == 60
    assert set(service.statuses) == {200}
    total = sum(count_tokens(text, "cl100k_base") for text in texts)
    assert total > 2 * service.tokens
    assert sum(service.clock.slept) >= 60
    sizes = [sum(count_tokens(t, "cl100k_base") for t in body["input"]) for body in service.seen]
    assert max(sizes) <= service.tokens
    assert len(sizes) < 6


def test_requests_a_minute_are_kept_to(service: object) -> None:
    service.requests = 2
    made = embedder(service)
    for n in range(5):
        made.embed([f"text {n}"])
    assert set(service.statuses) == {200}
    assert service.clock.now - 1000 >= 120


def test_retry_after_decides_when_others_use_the_deployment_too(service: object) -> None:
    service.log.append((service.clock.now, service.tokens))
    vectors = embedder(service).embed(["hello"])
    assert len(vectors) == 1
    assert service.statuses == [429, 200]
    assert service.clock.slept == [61.0]


@pytest.mark.parametrize(
    ("status", "headers", "wait"),
    [(429, {"retry-after-ms": "1500"}, 1.5), (429, {"retry-after": "7"}, 7.0), (503, {}, 1.0),
     (500, {"retry-after": "soon"}, 1.0), (408, {}, 1.0)],
)  # fmt: skip
def test_what_may_pass_is_tried_again(
    service: object, status: int, headers: dict[str, str], wait: float
) -> None:
    service.trouble.append((status, headers))
    assert len(embedder(service).embed(["hello"])) == 1
    assert service.clock.slept == [wait]


def test_a_service_that_stays_away_is_a_transient_error(service: object) -> None:
    service.trouble.extend([(503, {})] * 8)
    with pytest.raises(TransientError, match=r"no vectors in 8 tries within 240 s \(503"):
        embedder(service).embed(["hello"])
    assert len(service.statuses) == 8
    made = AzureOpenAIEmbedder(
        "small", "http://127.0.0.1:9", dimensions=8, sleep=service.clock.sleep
    )
    with pytest.raises(TransientError, match="APIConnectionError"):
        made.embed(["hello"])


def test_whoever_asks_a_question_does_not_wait_for_long(service: object) -> None:
    service.trouble.extend([(503, {})] * 8)
    with pytest.raises(TransientError, match="in 4 tries within 10 s"):
        embedder(service, patience=10).embed(["hello"])
    assert service.clock.slept == [1, 2, 4]
    service.trouble.clear()
    service.trouble.append((429, {"retry-after": "40"}))
    with pytest.raises(TransientError, match="in 1 try within"):
        pickle.loads(pickle.dumps(embedder(service, patience=10))).embed(["hello"])


def test_what_will_not_pass_is_said_at_once(service: object) -> None:
    service.key = "another"
    with pytest.raises(ConfigError, match="does not let us in"):
        embedder(service).embed(["hello"])
    service.key = "secret-key"
    service.deployment = "large"
    made = embedder(service)
    made.deployment = "small"
    with pytest.raises(ConfigError, match="no deployment 'small'"):
        made.embed(["hello"])
    service.trouble.append((400, {}))
    with pytest.raises(TerminalError, match="refuses the request"):
        embedder(service).embed(["hello"])
    assert service.statuses == [401, 404, 400]
    assert service.clock.slept == []


def test_a_text_too_long_is_refused_whole_not_cut(service: object) -> None:
    with pytest.raises(TerminalError, match=r"9000 tokens is too long .* begins with 'a a"):
        embedder(service, rates=Rates(50_000, 10)).embed(["a" + " a" * 8999])
    assert service.statuses == []


def test_identity(service: object) -> None:
    small = embedder(service, model="text-embedding-3-small", dimensions=None)
    assert small.name == "azure_openai:text-embedding-3-small"
    assert small.dimensions == 1536
    assert embedder(service, dimensions=4).name != embedder(service).name
    assert embedder(service, dimensions=None).dimensions == 8
    again = pickle.loads(pickle.dumps(embedder(service)))
    assert (again.name, again.rates) == (embedder(service).name, embedder(service).rates)
