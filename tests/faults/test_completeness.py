"""The tests of each fault, listed so that readers find them and none is forgotten."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]

RESPONSES = "faults/test_upstream_responses.py"
CONNECTIONS = "faults/test_upstream_connections.py"
DATA = "faults/test_upstream_data.py"
CALLERS = "faults/test_callers.py"
LIFECYCLE = "faults/test_lifecycle.py"
INPUT = "schema/http/test_bad_input.py"
ERRORS = "schema/http/test_errors_over_http.py"
GRAPHQL = "schema/http/test_graphql_over_http.py"
LIMITS = "schema/execution/test_limits.py"
CROSS_SITE = "gateway/http/test_cors.py"
CACHED = "gateway/cache/test_cached_pages.py"
BYTES = "properties/test_hostile_bytes.py"

# End to end over real sockets, except tests that need the cache's clock or ten thousand tokens.
UPSTREAM: dict[str, tuple[str, ...]] = {
    "400, 401, 403, 404": (
        f"{RESPONSES}::test_each_status_has_its_error_code_and_number_of_attempts",
        f"{RESPONSES}::test_a_refusal_drops_the_cached_pages_of_its_token_only",
    ),
    "429 with any Retry-After": (
        f"{RESPONSES}::test_a_cool_down_applies_to_the_throttled_token_only",
        f"{RESPONSES}::test_upstream_calls_resume_only_after_the_cool_down",
    ),
    "5xx, HTML or empty bodies, unknown statuses": (
        f"{RESPONSES}::test_each_status_has_its_error_code_and_number_of_attempts",
    ),
    "slow, hanging, byte by byte, a head without a body": (
        f"{CONNECTIONS}::test_slow_responses_time_out_without_delaying_other_tokens",
        f"{CONNECTIONS}::test_the_operation_deadline_covers_all_attempts",
    ),
    "closed, reset, truncated, bad chunk, garbage, contradictory lengths": (
        f"{CONNECTIONS}::test_a_broken_response_is_retried_once_and_then_an_error",
        f"{CONNECTIONS}::test_a_retry_on_a_new_connection_hides_one_broken_response",
        f"{CONNECTIONS}::test_the_pool_stays_usable_after_broken_responses",
    ),
    "an extra response on the connection": (
        f"{CONNECTIONS}::test_an_extra_response_on_a_connection_never_reaches_the_next_caller",
        f"{CONNECTIONS}::test_a_foreign_response_is_refused_and_its_connection_closed",
        f"{CONNECTIONS}::test_a_response_without_ids_is_accepted",
    ),
    "Set-Cookie": (f"{RESPONSES}::test_a_cookie_is_neither_sent_back_nor_passed_on",),
    "JSON that is cut, trailing, scalar, deep, of huge numbers, NaN, bad UTF-8, BOM, of another type": (
        f"{RESPONSES}::test_an_unreadable_body_is_retried_once_and_then_an_error",
        f"{RESPONSES}::test_an_unusual_but_harmless_body_is_read",
    ),
    "huge body, bomb, nested encodings, thousands of headers": (
        f"{RESPONSES}::test_an_oversized_response_is_cut_off",
        f"{RESPONSES}::test_a_decompression_bomb_is_cut_off",
        f"{RESPONSES}::test_nested_compression_is_refused",
        f"{RESPONSES}::test_a_truncated_compressed_body_is_retried_once",
        "gateway/upstream/test_upstream_wire.py::test_a_decompression_bomb_is_cut_off_without_memory_growth_or_blocking",
    ),
    "redirects": (f"{RESPONSES}::test_a_redirect_is_not_followed",),
    "nextLink": (
        f"{DATA}::test_a_next_link_is_never_fetched_and_each_row_appears_once",
        f"{DATA}::test_without_a_next_link_the_total_shows_that_rows_follow",
        f"{DATA}::test_a_next_link_on_the_last_page_adds_a_warning",
        f"{DATA}::test_an_endless_upstream_is_abandoned_after_the_maximum_of_calls",
    ),
    "short pages, more rows than requested, empty pages with a next link": (
        f"{DATA}::test_short_pages_lose_no_row",
        f"{DATA}::test_rows_beyond_the_requested_number_are_dropped",
        f"{DATA}::test_an_empty_page_with_a_next_link_is_requested_again",
    ),
    "TotalCount": (
        f"{DATA}::test_a_total_alone_never_decides_where_the_data_ends",
        "gateway/paging/test_contradictory_totals.py::test_the_last_rows_are_never_derived_from_a_low_total",
    ),
    "Value, and malformed rows": (
        f"{DATA}::test_rows_with_known_names_in_another_case_are_read",
        f"{DATA}::test_rows_without_a_known_field_are_an_error",
        f"{DATA}::test_a_page_without_a_list_of_rows_is_an_error",
        f"{DATA}::test_known_spellings_of_the_envelope_are_accepted",
    ),
    "fields that are null, missing or unreadable": (
        f"{DATA}::test_null_missing_and_unreadable_fields_leave_the_rest_of_the_page_intact",
    ),
    "longs": (f"{DATA}::test_a_long_is_exact_or_null",),
    "dates": (f"{DATA}::test_a_date_is_valid_or_null",),
    "duplicate rows": (f"{DATA}::test_duplicate_rows_are_kept_and_their_cursors_differ",),
    "data reprocessed between pages": (f"{DATA}::test_reprocessing_between_pages_is_a_snapshot_conflict",),
    "a sudden empty 200": (
        f"{DATA}::test_an_empty_page_is_not_an_error",
        f"{CACHED}::test_a_suddenly_empty_page_is_cached_for_half_a_minute",
    ),
}

CALLER: dict[str, tuple[str, ...]] = {
    "tokens": (
        f"{INPUT}::test_an_absent_or_malformed_token_is_401_without_an_upstream_call",
        f"{INPUT}::test_a_token_with_a_control_byte_is_refused",
        f"{INPUT}::test_the_scheme_may_be_in_any_case",
        f"{INPUT}::test_a_token_of_8_kilobytes_works",
        f"{INPUT}::test_a_token_in_the_url_is_ignored",
        f"{ERRORS}::test_only_fields_that_call_the_upstream_need_a_token",
    ),
    "filter values": (
        f"{INPUT}::test_exactly_the_value_reaches_the_upstream",
        f"{INPUT}::test_a_value_that_cannot_be_sent_verbatim_is_refused",
        f"{INPUT}::test_any_text_is_sent_verbatim_or_refused",
    ),
    "first, last, offset": (f"{ERRORS}::test_an_unusable_argument_is_named",),
    "cursors": (
        f"{ERRORS}::test_an_unknown_cursor_is_invalid",
        f"{ERRORS}::test_a_cursor_of_another_query_is_invalid",
        "gateway/paging/test_cursor.py::test_a_cursor_of_megabytes_is_refused_quickly",
    ),
    "documents": (
        f"{LIMITS}::test_oversized_documents_are_refused_quickly_with_short_errors",
        f"{LIMITS}::test_an_invalid_document_of_any_size_gets_a_short_response",
        f"{LIMITS}::test_a_fragment_counts_at_each_spread_but_costs_only_once",
        "properties/test_schemathesis.py::test_no_valid_query_makes_the_server_fail",
    ),
    "bodies": (
        f"{GRAPHQL}::test_a_body_that_is_not_a_json_object_with_a_query_is_refused",
        f"{ERRORS}::test_a_body_over_the_limit_without_a_declared_length_is_too_large",
        f"{ERRORS}::test_a_body_that_does_not_arrive_in_time_is_408_and_ends_the_connection",
        f"{BYTES}::test_any_body_gets_a_coded_response",
    ),
    "invalid HTTP, and slow heads": (
        "gateway/server/test_http_protocol.py::test_malformed_http_gets_a_json_error",
        f"{BYTES}::test_any_bytes_are_a_request_or_are_refused",
        f"{BYTES}::test_any_headers_get_a_coded_response",
        f"{CALLERS}::test_a_head_that_arrives_too_slowly_gets_408",
        f"{CALLERS}::test_a_connection_without_a_request_is_closed_silently",
        f"{CALLERS}::test_a_hundred_slow_callers_do_not_block_other_requests",
    ),
    "GET with a mutation, batches, WebSocket, simple cross-site requests": (
        f"{GRAPHQL}::test_a_mutation_by_get_is_refused_before_validation",
        f"{GRAPHQL}::test_each_operation_of_a_batch_gets_the_refusal",
        f"{GRAPHQL}::test_a_websocket_is_refused",
        f"{CROSS_SITE}::test_a_form_without_preflight_is_refused_even_without_browser_headers",
    ),
    "CORS": (
        f"{CROSS_SITE}::test_a_listed_origin_may_read_the_response",
        f"{CROSS_SITE}::test_a_star_allows_every_origin_without_reflecting_it",
        f"{CROSS_SITE}::test_an_origin_that_only_looks_like_a_listed_one_is_refused",
    ),
    "disconnects": (
        f"{CALLERS}::test_a_caller_that_hangs_up_cancels_its_upstream_call",
        f"{CALLERS}::test_a_disconnect_does_not_affect_others_that_share_the_call",
        f"{CALLERS}::test_a_shared_call_is_canceled_when_its_last_caller_disconnects",
    ),
    "stampedes, 10,000 tokens": (
        f"{CALLERS}::test_concurrent_requests_make_one_upstream_call_per_token",
        f"{LIFECYCLE}::test_memory_stays_within_the_bound_after_ten_thousand_tokens",
    ),
    "SIGTERM": (
        f"{LIFECYCLE}::test_after_sigterm_accepted_requests_are_answered_and_new_ones_get_503",
        f"{LIFECYCLE}::test_after_sigterm_the_grace_time_limits_the_wait_for_a_hanging_upstream",
    ),
}


@cache
def names_in(file: str) -> frozenset[str]:
    """Return the names of the tests in a file."""
    tree = ast.parse((TESTS / file).read_text(encoding="utf-8"))
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return frozenset(node.name for node in tree.body if isinstance(node, kinds) and node.name.startswith("test_"))


@pytest.mark.parametrize("fault", [*UPSTREAM, *CALLER])
def test_the_tests_of_each_fault_exist(fault: str) -> None:
    named = {**UPSTREAM, **CALLER}[fault]
    assert named
    assert [name for name in named if name.partition("::")[2] not in names_in(name.partition("::")[0])] == []


@pytest.mark.parametrize("file", [RESPONSES, CONNECTIONS, DATA, LIFECYCLE])
def test_most_tests_of_faults_are_listed(file: str) -> None:
    """The others are variations. A file that is hardly listed here would be forgotten."""
    named = {name.partition("::")[2] for names in [*UPSTREAM.values(), *CALLER.values()] for name in names}
    names = names_in(file)
    assert len(names & named) * 2 >= len(names)
