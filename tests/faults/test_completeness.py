"""Which test shows what the gateway does about each fault, so that none is forgotten and a reader finds them."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]

REPLIES = "faults/test_upstream_replies.py"
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

# Over real sockets from end to end, but for what needs the cache's clock or ten thousand tokens.
UPSTREAM: dict[str, tuple[str, ...]] = {
    "400, 401, 403, 404": (
        f"{REPLIES}::test_a_status_is_coded_and_tried_as_often_as_it_deserves",
        f"{REPLIES}::test_a_refusal_drops_what_is_kept_for_the_token_and_for_no_other",
    ),
    "429 with any Retry-After": (
        f"{REPLIES}::test_a_throttled_token_waits_and_no_other_does",
        f"{REPLIES}::test_no_call_is_made_before_the_cool_down_has_passed_and_calls_are_made_afterwards",
    ),
    "5xx, HTML or empty bodies, unknown statuses": (
        f"{REPLIES}::test_a_status_is_coded_and_tried_as_often_as_it_deserves",
    ),
    "slow, hanging, byte by byte, a head and nothing": (
        f"{CONNECTIONS}::test_a_slow_reply_ends_at_the_total_limit_and_all_at_once_harm_nobody",
        f"{CONNECTIONS}::test_the_deadline_of_the_operation_bounds_all_attempts_together",
    ),
    "closed, reset, truncated, bad chunk, garbage, contradictory lengths": (
        f"{CONNECTIONS}::test_a_broken_reply_is_asked_for_once_more_on_a_fresh_connection_and_then_coded",
        f"{CONNECTIONS}::test_a_reply_that_breaks_once_is_not_noticed",
        f"{CONNECTIONS}::test_the_pool_stays_healthy_through_all_of_them",
    ),
    "an extra reply in the stream": (
        f"{CONNECTIONS}::test_an_extra_reply_in_the_stream_is_never_given_to_the_next_caller",
        f"{CONNECTIONS}::test_a_foreign_reply_is_refused_and_its_connection_closed",
        f"{CONNECTIONS}::test_a_reply_without_ids_is_accepted",
    ),
    "Set-Cookie": (f"{REPLIES}::test_a_cookie_is_neither_sent_back_nor_passed_on",),
    "JSON that is cut, trailing, scalar, deep, of huge numbers, NaN, bad UTF-8, BOM, of another type": (
        f"{REPLIES}::test_a_body_that_cannot_be_read_is_asked_for_once_more_and_then_coded",
        f"{REPLIES}::test_a_body_that_is_odd_but_harmless_is_read",
    ),
    "huge body, bomb, nested encodings, thousands of headers": (
        f"{REPLIES}::test_what_would_fill_the_memory_is_cut_off",
        f"{REPLIES}::test_a_bomb_is_cut_off",
        f"{REPLIES}::test_packing_inside_packing_is_refused_unread",
        f"{REPLIES}::test_a_packed_body_without_its_end_is_asked_for_once_more",
        "gateway/upstream/test_upstream_wire.py::test_a_bomb_is_cut_off_with_flat_memory_and_a_free_loop",
    ),
    "redirects": (f"{REPLIES}::test_a_redirect_is_not_followed",),
    "nextLink": (
        f"{DATA}::test_a_link_is_never_fetched_and_no_row_is_lost_or_doubled",
        f"{DATA}::test_without_any_link_the_total_says_that_there_is_more",
        f"{DATA}::test_a_link_on_the_last_page_ends_with_a_warning",
        f"{DATA}::test_an_upstream_that_never_ends_is_left_after_so_many_calls",
    ),
    "short pages, more rows than asked, empty pages with a link": (
        f"{DATA}::test_short_pages_lose_nothing",
        f"{DATA}::test_more_rows_than_asked_for_are_neither_doubled_nor_given",
        f"{DATA}::test_an_empty_page_with_a_link_is_asked_for_again",
    ),
    "TotalCount": (
        f"{DATA}::test_a_total_alone_never_decides_where_the_data_ends",
        "gateway/paging/test_contradictory_totals.py::test_the_last_rows_are_never_taken_from_a_total_that_is_too_low",
    ),
    "Value, and rows that are none": (
        f"{DATA}::test_what_is_no_list_of_rows_is_an_error_and_no_empty_success",
        f"{DATA}::test_known_spellings_are_accepted",
    ),
    "fields that are null, missing or unreadable": (
        f"{DATA}::test_fields_that_are_null_missing_or_unreadable_cost_no_more_than_themselves",
    ),
    "longs": (f"{DATA}::test_a_long_is_exact_or_null",),
    "dates": (f"{DATA}::test_a_date_is_understood_or_null",),
    "duplicate rows": (f"{DATA}::test_duplicate_rows_are_kept_and_their_cursors_differ",),
    "data processed anew between pages": (f"{DATA}::test_data_processed_anew_between_pages_is_told_with_the_new_date",),
    "a sudden empty 200": (
        f"{DATA}::test_an_empty_page_is_an_answer_and_no_error",
        f"{CACHED}::test_a_sudden_emptiness_is_kept_for_half_a_minute",
    ),
}

CALLER: dict[str, tuple[str, ...]] = {
    "tokens": (
        f"{INPUT}::test_a_token_that_is_absent_or_malformed_is_401_and_asks_nobody",
        f"{INPUT}::test_a_token_with_a_control_byte_is_refused",
        f"{INPUT}::test_the_scheme_may_be_in_any_case",
        f"{INPUT}::test_a_token_of_8_kilobytes_works",
        f"{INPUT}::test_a_token_in_the_url_does_not_count",
        f"{ERRORS}::test_only_fields_that_ask_the_upstream_need_a_token",
    ),
    "filter values": (
        f"{INPUT}::test_exactly_the_value_reaches_the_upstream",
        f"{INPUT}::test_a_value_that_cannot_be_sent_as_it_is_is_refused",
        f"{INPUT}::test_any_text_reaches_the_upstream_as_it_is_or_is_refused",
    ),
    "first, last, offset": (f"{ERRORS}::test_an_argument_that_cannot_be_used_is_named",),
    "cursors": (
        f"{ERRORS}::test_a_cursor_that_nobody_gave",
        f"{ERRORS}::test_a_cursor_of_another_question",
        "gateway/paging/test_cursor.py::test_a_cursor_of_megabytes_is_refused_quickly",
    ),
    "documents": (
        f"{LIMITS}::test_a_flood_is_refused_soon_and_in_few_words",
        f"{LIMITS}::test_an_invalid_document_gets_a_short_reply_whatever_its_size",
        f"{LIMITS}::test_a_fragment_counts_at_each_spread_but_costs_only_once",
        "properties/test_schemathesis.py::test_no_valid_query_makes_the_server_fail",
    ),
    "bodies": (
        f"{GRAPHQL}::test_a_body_that_is_no_json_object_with_a_query",
        f"{ERRORS}::test_a_body_over_the_limit_that_announces_no_length",
        f"{ERRORS}::test_a_body_that_does_not_arrive_in_time_is_408_and_ends_the_connection",
        f"{BYTES}::test_any_body_gets_a_coded_response",
    ),
    "what is no HTTP, and slow heads": (
        "gateway/server/test_http_protocol.py::test_what_is_not_http_is_told_so_in_json",
        f"{BYTES}::test_any_bytes_are_a_request_or_are_refused",
        f"{BYTES}::test_any_headers_get_a_coded_response",
        f"{CALLERS}::test_a_head_that_comes_byte_by_byte_is_408",
        f"{CALLERS}::test_a_connection_that_sends_no_request_ends_without_a_word",
        f"{CALLERS}::test_a_hundred_slow_callers_keep_nobody_from_being_answered",
    ),
    "GET with a mutation, batches, WebSocket, simple cross-site requests": (
        f"{GRAPHQL}::test_get_refuses_mutations_before_anything_else",
        f"{GRAPHQL}::test_a_batch_is_refused_in_words",
        f"{GRAPHQL}::test_a_websocket_is_refused",
        f"{CROSS_SITE}::test_a_form_that_needs_no_preflight_is_refused_even_without_a_browsers_headers",
    ),
    "CORS": (
        f"{CROSS_SITE}::test_a_listed_origin_may_read_the_reply",
        f"{CROSS_SITE}::test_a_star_lets_every_origin_read_but_reflects_none",
        f"{CROSS_SITE}::test_an_origin_that_only_looks_like_a_listed_one_is_refused",
    ),
    "hanging up": (
        f"{CALLERS}::test_a_caller_that_hangs_up_cancels_its_upstream_call",
        f"{CALLERS}::test_a_caller_that_hangs_up_harms_none_that_share_its_call",
        f"{CALLERS}::test_the_last_of_those_that_share_a_call_ends_it",
    ),
    "stampedes, 10,000 tokens": (
        f"{CALLERS}::test_a_stampede_of_one_token_makes_one_call_and_of_many_one_each",
        f"{LIFECYCLE}::test_ten_thousand_tokens_leave_no_more_than_the_bound_in_memory",
    ),
    "SIGTERM": (
        f"{LIFECYCLE}::test_after_sigterm_what_was_accepted_is_answered_and_whoever_comes_is_told_to_go",
        f"{LIFECYCLE}::test_after_sigterm_a_hanging_upstream_is_waited_for_no_longer_than_the_grace_time",
    ),
}


@cache
def names_in(file: str) -> frozenset[str]:
    """The names of the tests of a file."""
    tree = ast.parse((TESTS / file).read_text(encoding="utf-8"))
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return frozenset(node.name for node in tree.body if isinstance(node, kinds) and node.name.startswith("test_"))


@pytest.mark.parametrize("fault", [*UPSTREAM, *CALLER])
def test_a_fault_has_tests_that_exist(fault: str) -> None:
    named = {**UPSTREAM, **CALLER}[fault]
    assert named
    assert [name for name in named if name.partition("::")[2] not in names_in(name.partition("::")[0])] == []


@pytest.mark.parametrize("file", [REPLIES, CONNECTIONS, DATA, LIFECYCLE])
def test_most_tests_of_faults_stand_in_the_tables(file: str) -> None:
    """The rest are variations; a file whose tests nobody finds from here would be forgotten."""
    named = {name.partition("::")[2] for names in [*UPSTREAM.values(), *CALLER.values()] for name in names}
    found = names_in(file)
    assert len(found & named) * 2 >= len(found)
