"""Persisted operations over HTTP: by hash in Apollo's protocol, by id, and trusted documents."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import pytest

from gateway.errors import BadRequest, PersistedQueryNotFound
from schema.http.persisted_documents import MAX_DOCUMENT_BYTES, AutomaticDocuments
from schema.http.request import Parameters
from tests.schema.http.responses import check_error

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import httpx

    from tests.conftest import Gateway, StartGateway, Upstream

    Send = Callable[..., httpx.Response]

JSON = "application/json"
GRAPHQL_JSON = "application/graphql-response+json"
TYPENAME = {"data": {"__typename": "Query"}}


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def unique(name: str) -> str:
    """Return a query that no other test sends."""
    return f"query {name} {{ __typename }}"


def apollo(text: str, *, send: bool = False, **changes: Any) -> dict[str, Any]:
    """Return the body of Apollo's clients: the hash of ``text``, and optionally the text."""
    hashed = {"persistedQuery": {"version": 1, "sha256Hash": sha256(text), **changes}}
    return {"extensions": hashed, **({"query": text} if send else {})}


def post(gateway: Gateway, body: dict[str, Any], token: str = "sample", accept: str = JSON) -> httpx.Response:
    headers = {"Authorization": f"Bearer {token}", "Accept": accept}
    return gateway.client.post("/graphql", json=body, headers=headers)


def get(
    gateway: Gateway, body: dict[str, Any], token: str = "sample", accept: str = JSON, **more: str
) -> httpx.Response:
    headers = {"Authorization": f"Bearer {token}", "Accept": accept, **more}
    texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in body.items()}
    return gateway.client.get("/graphql", params=texts, headers=headers)


either_method = pytest.mark.parametrize("send", [post, get])


# Apollo's automatic persisted queries


@either_method
def test_a_hash_is_unknown_until_the_text_was_sent_with_it(start_gateway: StartGateway, send: Send) -> None:
    """Apollo Client reads the code or the message, urql's exchange only the message."""
    gateway, text = start_gateway(), unique("Unknown")
    refused = send(gateway, apollo(text))
    check_error(refused, "PERSISTED_QUERY_NOT_FOUND")
    assert [error["message"] for error in refused.json()["errors"]] == ["PersistedQueryNotFound"]
    assert "data" not in refused.json()
    assert send(gateway, apollo(text, send=True)).json() == TYPENAME
    for again in (post, get):
        assert again(gateway, apollo(text)).json() == TYPENAME
        assert again(gateway, {"query": "", **apollo(text)}).json() == TYPENAME


@either_method
@pytest.mark.parametrize(("accept", "status"), [(JSON, 200), (GRAPHQL_JSON, 400)])
def test_only_the_newer_media_type_has_an_error_status_for_an_unknown_hash(
    gateway: Gateway, send: Send, accept: str, status: int
) -> None:
    check_error(send(gateway, apollo("never sent"), accept=accept), "PERSISTED_QUERY_NOT_FOUND", status)


@either_method
def test_variables_and_operation_name_go_with_a_hash(start_gateway: StartGateway, send: Send) -> None:
    gateway = start_gateway()
    text = "query A { __typename } query B($n: Int) { licenseDeployments(first: $n) { nodes { channel } } }"
    rest = {"operationName": "B", "variables": {"n": 1}}
    for body in (apollo(text, send=True), apollo(text)):
        assert len(send(gateway, {**body, **rest}).json()["data"]["licenseDeployments"]["nodes"]) == 1


@either_method
@pytest.mark.parametrize("accept", [JSON, GRAPHQL_JSON])
def test_a_text_with_another_hash_is_neither_run_nor_stored(gateway: Gateway, send: Send, accept: str) -> None:
    text, other = unique("Mine"), unique("Other")
    response = send(gateway, {**apollo(text), "query": other}, accept=accept)
    check_error(response, "BAD_REQUEST", 400)
    assert "provided sha does not match query" in response.json()["errors"][0]["message"]
    for known in (text, other):
        check_error(send(gateway, apollo(known)), "PERSISTED_QUERY_NOT_FOUND")


def test_a_known_hash_with_another_text_changes_nothing(start_gateway: StartGateway) -> None:
    gateway, text = start_gateway(), unique("Known")
    assert post(gateway, apollo(text, send=True)).json() == TYPENAME
    check_error(post(gateway, {**apollo(text), "query": "{ __schema { queryType { name } } }"}), "BAD_REQUEST", 400)
    assert post(gateway, apollo(text)).json() == TYPENAME


def test_an_upper_case_hash_is_refused_when_the_text_is_sent(start_gateway: StartGateway) -> None:
    """Apollo's servers compare case-sensitively, so clients that work here work there."""
    gateway, text = start_gateway(), unique("Capitals")
    capitals = sha256(text).upper()
    check_error(post(gateway, apollo(text, sha256Hash=capitals)), "PERSISTED_QUERY_NOT_FOUND")
    response = post(gateway, apollo(text, send=True, sha256Hash=capitals))
    check_error(response, "BAD_REQUEST", 400)
    assert "lower-case" in response.json()["errors"][0]["message"]


@either_method
@pytest.mark.parametrize("with_text", [True, False])
@pytest.mark.parametrize(
    "persisted",
    [
        {},
        [],
        "x",
        1,
        True,
        {"version": 2, "sha256Hash": sha256("{ __typename }")},
        {"version": True, "sha256Hash": sha256("{ __typename }")},
        {"version": "1", "sha256Hash": sha256("{ __typename }")},
        {"sha256Hash": sha256("{ __typename }")},
        {"version": 1},
        {"version": 1, "sha256Hash": None},
        {"version": 1, "sha256Hash": 5},
    ],
)
def test_an_extension_of_another_version_or_shape_is_refused_with_a_message(
    gateway: Gateway, send: Send, persisted: object, with_text: bool
) -> None:
    body = {"extensions": {"persistedQuery": persisted}, **({"query": "{ __typename }"} if with_text else {})}
    response = send(gateway, body)
    check_error(response, "BAD_REQUEST", 400)
    assert "'persistedQuery'" in response.json()["errors"][0]["message"]


@either_method
def test_other_extensions_are_ignored(gateway: Gateway, send: Send) -> None:
    for extensions in ({}, {"persistedQuery": None}, {"clientLibrary": {"name": "@apollo/client"}}):
        assert send(gateway, {"query": "{ __typename }", "extensions": extensions}).json() == TYPENAME
        check_error(send(gateway, {"extensions": extensions}), "BAD_REQUEST", 400)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("{", "GRAPHQL_PARSE_FAILED"),
        ("{ nothing }", "GRAPHQL_VALIDATION_FAILED"),
        ("fragment F on Query { __typename }", "GRAPHQL_VALIDATION_FAILED"),
        ("{" + "a: __typename " * 40 + "}", "QUERY_TOO_COMPLEX"),
    ],
)
def test_an_invalid_text_gets_its_errors_and_is_not_stored(gateway: Gateway, text: str, code: str) -> None:
    for _ in range(2):
        check_error(post(gateway, apollo(text, send=True)), code)
        check_error(post(gateway, apollo(text)), "PERSISTED_QUERY_NOT_FOUND")


def test_a_text_is_stored_whatever_its_first_variables_and_token_were(start_gateway: StartGateway) -> None:
    gateway = start_gateway()
    text = "query Kept($n: Int!) { licenseDeployments(first: $n) { totalCount } }"
    check_error(post(gateway, apollo(text, send=True)), "BAD_USER_INPUT")
    answer = post(gateway, {**apollo(text), "variables": {"n": 1}}).json()
    assert answer == {"data": {"licenseDeployments": {"totalCount": 2}}}


def test_a_hash_gives_each_caller_the_rows_of_its_own_token(start_gateway: StartGateway) -> None:
    gateway, text = start_gateway(), "query Shared { licenseDeployments { totalCount } }"
    post(gateway, apollo(text, send=True))
    for token, total in (("sample", 2), ("contoso", 12_000), ("tailspin", 0)):
        assert post(gateway, apollo(text), token).json()["data"]["licenseDeployments"]["totalCount"] == total
    assert gateway.client.post("/graphql", json=apollo(text)).status_code == 401


def test_a_get_by_hash_has_an_etag_and_an_unknown_hash_is_never_stored(start_gateway: StartGateway) -> None:
    gateway, text = start_gateway(), "query Tagged { licenseDeployments { totalCount } }"
    assert get(gateway, apollo(text)).headers["Cache-Control"] == "no-store"
    by_text = get(gateway, {"query": text})
    post(gateway, apollo(text, send=True))
    by_hash = get(gateway, apollo(text))
    assert by_hash.headers["ETag"] == by_text.headers["ETag"]
    assert by_hash.headers["Cache-Control"] == "private, no-cache"
    again = get(gateway, apollo(text), **{"If-None-Match": by_hash.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_an_operation_by_hash_is_answered_from_the_plan_of_its_text(
    start_gateway: StartGateway, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    from schema.execution.plans import Plan

    planned: list[bool] = []
    answer = Plan.run

    def watched(self: Plan, *arguments: Any) -> Any:
        response = answer(self, *arguments)
        planned.append(response is not None)
        return response

    monkeypatch.setattr(Plan, "run", watched)
    gateway, token = start_gateway(), "contoso+as=documents-plan"
    text = "query Planned { licenseDeployments(first: 3) { nodes { productName } } }"
    bodies = (apollo(text, send=True), apollo(text), {"documentId": f"sha256:{sha256(text)}"}, {"query": text})
    first, *others = (post(gateway, body, token).content for body in bodies)
    assert others == [first] * 3
    assert planned == [True] * 3
    assert len(upstream.calls_of(token)) == 1


def test_the_log_and_the_metrics_count_refused_requests(start_gateway: StartGateway) -> None:
    gateway = start_gateway()
    for _ in range(2):
        post(gateway, apollo("never sent"))
    response = gateway.client.get("/metrics").text
    assert (
        'gateway_operations_total{cache="none",operation="other",outcome="PERSISTED_QUERY_NOT_FOUND"} 2.0' in response
    )


# Documents stored by one process


class Store:
    """The bounded documents of one process."""

    def __init__(self, **bounds: int) -> None:
        self._documents = AutomaticDocuments(**bounds)

    def send(self, text: str) -> str:
        parameters = Parameters(text, extensions=apollo(text)["extensions"])
        sent_text = self._documents.text_of(parameters)
        self._documents.store(parameters.document_id(), text)
        return sent_text

    def has(self, text: str) -> bool:
        """Send only the hash, which counts as a use; return whether the text is stored."""
        try:
            return self._documents.text_of(Parameters(extensions=apollo(text)["extensions"])) == text
        except PersistedQueryNotFound:
            return False


def test_the_least_recently_used_text_is_evicted_first() -> None:
    store = Store(max_documents=3)
    for text in "abc":
        store.send(text)
    assert store.has("a")
    store.send("b")
    store.send("d")
    assert [text for text in "abcd" if store.has(text)] == ["a", "b", "d"]
    store.send("e")
    assert [text for text in "abcde" if store.has(text)] == ["b", "d", "e"]


def test_stored_texts_are_bounded_in_bytes_and_freed_space_is_reused() -> None:
    store = Store(max_bytes=10_000)
    texts = [f"{number:04}" + "é" * 896 for number in range(100)]
    for text in texts:
        store.send(text)
        assert store.has(text)
    held = [text for text in texts if store.has(text)]
    assert held == texts[-len(held) :]
    assert 8 <= len(held) <= 11


def test_a_long_text_runs_without_being_stored() -> None:
    store = Store()
    store.send("short")
    long = "x" * MAX_DOCUMENT_BYTES
    for _ in range(100):
        assert store.send(long) == long
    assert not store.has(long)
    assert store.has("short")


def test_a_lone_surrogate_can_be_hashed_and_causes_no_error() -> None:
    with pytest.raises(BadRequest):
        AutomaticDocuments().text_of(Parameters("\ud800", documentId="sha256:0"))


# Ids as in GraphQL over HTTP, appendix "Persisted Documents"


@either_method
def test_a_document_id_may_be_a_hash_with_a_prefix(start_gateway: StartGateway, send: Send) -> None:
    gateway, text = start_gateway(), unique("ById")
    body = {"documentId": f"sha256:{sha256(text)}"}
    check_error(send(gateway, body), "PERSISTED_QUERY_NOT_FOUND")
    assert send(gateway, {**body, "query": text}).json() == TYPENAME
    assert send(gateway, body).json() == TYPENAME
    assert send(gateway, apollo(text)).json() == TYPENAME
    check_error(send(gateway, {**body, "query": unique("Else")}), "BAD_REQUEST", 400)


@either_method
@pytest.mark.parametrize("name", ["documentId", "doc_id", "id"])
def test_without_a_manifest_other_ids_are_unknown_and_ignored_beside_a_text(
    gateway: Gateway, send: Send, name: str
) -> None:
    response = send(gateway, {name: "1f2e"})
    check_error(response, "PERSISTED_QUERY_NOT_FOUND")
    assert "sha256:" in response.json()["errors"][0]["message"]
    assert send(gateway, {name: "1f2e", "query": "{ __typename }"}).json() == TYPENAME


def test_a_document_id_that_is_not_text_is_refused(gateway: Gateway) -> None:
    response = post(gateway, {"documentId": 5})
    check_error(response, "BAD_REQUEST", 400)
    assert response.json()["errors"][0]["message"] == "'documentId' is not text. Send text, or leave it out."
    for name in ("doc_id", "id"):
        check_error(post(gateway, {name: 5}), "BAD_REQUEST", 400)
        check_error(get(gateway, {name: ""}), "BAD_REQUEST", 400)


# Trusted documents

TOTAL = "query Total { licenseDeployments { totalCount } }"
PAGE = "query Page($n: Int) { licenseDeployments(first: $n) { nodes { channel } } }"
ANSWER = {"data": {"licenseDeployments": {"totalCount": 2}}}


def manifest(folder: Path, content: object) -> str:
    path = folder / "manifest.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    return str(path)


@pytest.fixture
def trusting(start_gateway: StartGateway, tmp_path: Path) -> Gateway:
    """A gateway with two trusted operations, with ids like graphql-codegen's."""
    content = {hashlib.sha1(text.encode()).hexdigest(): text for text in (TOTAL, PAGE)}
    return start_gateway(trusted_documents=manifest(tmp_path, content))


def sha1(text: str) -> str:
    return hashlib.sha1(text.encode()).hexdigest()


@either_method
def test_a_trusted_operation_runs_by_id_by_hash_or_verbatim(trusting: Gateway, send: Send) -> None:
    bodies: list[dict[str, Any]] = [
        *({name: sha1(TOTAL)} for name in ("documentId", "doc_id", "id")),
        apollo(TOTAL, sha256Hash=sha1(TOTAL)),
        apollo(TOTAL),
        apollo(TOTAL, send=True),
        {"documentId": f"sha256:{sha256(TOTAL)}"},
        {"documentId": sha1(TOTAL), "query": TOTAL},
        {"query": TOTAL},
        {"query": TOTAL, "id": "a name of the client's own"},
    ]
    for body in bodies:
        assert send(trusting, body).json() == ANSWER, body


@either_method
def test_a_trusted_operation_accepts_variables(trusting: Gateway, send: Send) -> None:
    response = send(trusting, {"documentId": sha1(PAGE), "variables": {"n": 1}}).json()
    assert len(response["data"]["licenseDeployments"]["nodes"]) == 1


@either_method
@pytest.mark.parametrize(("accept", "status"), [(JSON, 200), (GRAPHQL_JSON, 400)])
@pytest.mark.parametrize(
    "body",
    [
        {"query": "{ __typename }"},
        {"query": "{ __schema { queryType { name } } }"},
        {"query": TOTAL + " "},
        {"query": TOTAL.replace("totalCount", "nodes { customerName }")},
        {"query": "{"},
        {"query": "{ __typename }", "documentId": sha1(TOTAL)},
        {"documentId": "unknown"},
        {"documentId": f"sha256:{'0' * 64}"},
        {"doc_id": "unknown"},
        {"id": "unknown"},
        apollo("{ __typename }"),
        apollo("{ __typename }", send=True),
    ],
    ids=str,
)
def test_an_operation_outside_the_manifest_is_refused(
    trusting: Gateway, send: Send, body: dict[str, Any], accept: str, status: int
) -> None:
    """Sending its text does not store it either."""
    for _ in range(2):
        response = send(trusting, body, accept=accept)
        check_error(response, "OPERATION_NOT_TRUSTED", status)
        assert "GATEWAY_TRUSTED_DOCUMENTS" in response.json()["errors"][0]["message"]


def test_a_trusted_text_with_another_id_is_refused(trusting: Gateway) -> None:
    check_error(post(trusting, {"query": TOTAL, "documentId": sha1(PAGE)}), "BAD_REQUEST", 400)


def test_a_trusted_operation_still_needs_a_token(trusting: Gateway) -> None:
    response = trusting.client.post("/graphql", json={"documentId": sha1(TOTAL)})
    assert response.status_code == 401


def test_a_trusted_operation_makes_one_upstream_call(trusting: Gateway, upstream: Upstream) -> None:
    token = "contoso+as=documents-trusted"
    first, *others = (post(trusting, {"documentId": sha1(PAGE)}, token).json() for _ in range(3))
    assert others == [first] * 2
    assert len(upstream.calls_of(token)) == 1


@pytest.mark.parametrize(
    "content",
    [
        {hashlib.md5(TOTAL.encode()).hexdigest(): TOTAL},
        {sha256(TOTAL): TOTAL},
        {f"sha256:{sha256(TOTAL)}": TOTAL},
        {"total-v1": TOTAL},
        {
            "format": "apollo-persisted-query-manifest",
            "version": 1,
            "operations": [{"id": sha256(TOTAL), "body": TOTAL, "name": "Total", "type": "query"}],
        },
    ],
    ids=["relay-compiler", "relay-compiler SHA256", "graphql-codegen sha256", "own names", "apollo"],
)
def test_manifests_of_the_usual_tools_are_accepted(
    start_gateway: StartGateway, tmp_path: Path, content: dict[str, Any]
) -> None:
    gateway = start_gateway(trusted_documents=manifest(tmp_path, content))
    identifier = content["operations"][0]["id"] if "operations" in content else next(iter(content))
    for body in ({"documentId": identifier}, {"doc_id": identifier}, {"query": TOTAL}, apollo(TOTAL)):
        assert post(gateway, body).json() == ANSWER
    check_error(post(gateway, {"query": PAGE}), "OPERATION_NOT_TRUSTED")


def test_introspection_is_refused_unless_listed(start_gateway: StartGateway, tmp_path: Path) -> None:
    text = "query Schema { __schema { queryType { name } } }"
    gateway = start_gateway(trusted_documents=manifest(tmp_path, {"schema": text}))
    assert post(gateway, {"query": text}).json() == {"data": {"__schema": {"queryType": {"name": "Query"}}}}
