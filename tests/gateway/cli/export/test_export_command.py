"""`gateway export`, each time in a process of its own, before real sockets."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from gateway.cli.export.command import export as command
from gateway.sandbox.rows import rows_of
from schema.datasets.license_deployment import LICENSE_DEPLOYMENTS
from tests.conftest import Gateway, Upstream
from tests.gateway.running import environment, kill

COLUMNS = list(LICENSE_DEPLOYMENTS.attributes)
FORMATS = [
    "csv",
    "ndjson",
    pytest.param("parquet", marks=pytest.mark.skipif(find_spec("pyarrow") is None, reason="no pyarrow")),
]

# What the command may take of memory, the gateway within it included.
MAX_MEMORY_BYTES = 300_000_000

RELAY = """
query Names($direct: StringFilter, $first: Int, $after: String) {
  rows: licenseDeployments(filter: {channel: $direct}, first: $first, after: $after) {
    totalCount
    edges { cursor node { customer: customerName ...Counts } }
    pageInfo { ...Page }
  }
}
fragment Counts on LicenseDeployment { sold: licensesSold __typename }
fragment Page on PageInfo { endCursor }
"""


class Export:
    """A running command."""

    def __init__(self, *arguments: str, token: str | None = None, **pipes: Any) -> None:
        variables = {} if token is None else {"PARTNER_CENTER_TOKEN": token}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "gateway", "export", *arguments],
            env=environment(**variables),
            **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "start_new_session": True, **pipes},
        )

    def memory_bytes(self) -> int:
        """The most that it took so far, 0 once it has ended."""
        with suppress(OSError):
            found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{self.process.pid}/status").read_text())
            return 1_024 * int(found[1]) if found else 0
        return 0

    def peak_bytes(self) -> int:
        """Wait for its end, and tell the most that it took."""
        peak = 0
        while self.process.poll() is None:
            peak = max(peak, self.memory_bytes())
            time.sleep(0.01)
        return peak

    def ended(self) -> tuple[int, bytes, str]:
        """Exit code, standard output and standard error."""
        out, err = self.process.communicate(timeout=90)
        return self.process.returncode, out, err.decode() if err else ""


def exported(*arguments: str, token: str | None = "contoso") -> tuple[int, bytes, str]:
    """A whole run: exit code, standard output and standard error."""
    return Export(*arguments, token=token).ended()


def wait_for_rows(export: Export, output: Path, rows: int) -> None:
    """Wait until so many rows are marked as good."""
    mark = output.with_name(f"{output.name}.partial.json")
    give_up = time.monotonic() + 60
    while True:
        with suppress(OSError):
            if json.loads(mark.read_bytes())["rows"] >= rows:
                return
        assert export.process.poll() is None, export.ended()
        assert time.monotonic() < give_up
        time.sleep(0.01)


def digest(path: Path) -> str:
    """A file's checksum."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def rows_in(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a file, with text for every value in CSV."""
    if path.suffix == ".csv":
        with path.open(encoding="utf-8", newline="") as file:
            yield from csv.DictReader(file)
    elif path.suffix == ".ndjson":
        yield from map(json.loads, path.read_bytes().splitlines())
    else:
        from pyarrow import parquet

        yield from parquet.read_table(path).to_pylist()


@pytest.fixture
def export() -> Iterator[Any]:
    """Start commands; what still runs at the end is killed."""
    started: list[Export] = []

    def start(*arguments: str, **options: Any) -> Export:
        started.append(Export(*arguments, **options))
        return started[-1]

    yield start
    for one in started:
        kill(one.process)


# Whole files


@pytest.mark.parametrize("form", FORMATS)
def test_250000_rows_survive_a_kill_to_the_byte_within_bounded_memory(
    upstream: Upstream, export: Any, tmp_path: Path, form: str
) -> None:
    """One run is killed in the middle and gone on with, another is not; both files are the same, and true."""
    whole, torn = tmp_path / f"whole.{form}", tmp_path / f"torn.{form}"
    arguments = ("--upstream", upstream.url, "--output")
    undisturbed = export(*arguments, str(whole), token="fabrikam+as=whole")
    assert undisturbed.peak_bytes() < MAX_MEMORY_BYTES
    assert undisturbed.ended()[0] == 0

    killed = export(*arguments, str(torn), token="fabrikam+latency=0.1+as=torn")
    wait_for_rows(killed, torn, 50_000)
    os.kill(killed.process.pid, signal.SIGKILL)
    assert killed.ended()[0] == -signal.SIGKILL
    part = tmp_path / f"torn.{form}.partial"
    # As if it had died while it wrote.
    with part.open("ab") as file:
        file.write(b"half a line of the page that foll")
    assert not torn.exists()

    asked = len(upstream.calls_of("fabrikam+as=torn"))
    resumed = export(*arguments, str(torn), "--resume", token="fabrikam+as=torn")
    assert resumed.peak_bytes() < MAX_MEMORY_BYTES
    assert resumed.ended()[0] == 0
    assert len(upstream.calls_of("fabrikam+as=torn")) - asked <= 20
    assert digest(torn) == digest(whole)
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"torn.{form}", f"whole.{form}"]
    show = (lambda value: "" if value is None else str(value)) if form == "csv" else (lambda value: value)
    wanted = ({name: show(row[name]) for name in COLUMNS} for row in rows_of("fabrikam"))
    assert all(found == row for found, row in zip(rows_in(torn), wanted, strict=True))


@pytest.mark.parametrize("form", ["csv", "ndjson"])
def test_a_running_gateway_gives_the_file_that_it_exports_itself(gateway: Gateway, form: str) -> None:
    code, out, err = exported("--url", gateway.url, "--format", form, "--filter", '{"channel": {"ne": "direct"}}')
    reply = gateway.client.get(
        f"/export/licenseDeployments.{form}",
        params={"filter": '{"channel": {"ne": "direct"}}'},
        headers={"Authorization": "Bearer contoso"},
    )
    assert (code, err) == (0, "")
    assert out == reply.content
    assert out.count(b"\n") > 10_000


def test_shorthands_need_no_graphql(gateway: Gateway) -> None:
    code, out, _ = exported(
        "--url", gateway.url, "--group-by", "SERVICE_NAME, CHANNEL", "--processed-date-time", "2026-10-23"
    )
    rows = list(csv.DictReader(io.StringIO(out.decode(), newline="")))
    wanted = gateway.connection(
        'groupBy: [SERVICE_NAME, CHANNEL], processedDateTime: "2026-10-23"', fields="nodes { licensesSold }"
    )["nodes"]
    assert code == 0
    assert [row["licensesSold"] for row in rows] == [str(row["licensesSold"]) for row in wanted]


def test_any_operation_with_one_connection_is_walked(gateway: Gateway, tmp_path: Path) -> None:
    """Written for paging by a client, with fragments and aliases; the aliases are the columns."""
    (tmp_path / "names.graphql").write_text(RELAY, encoding="utf-8")
    code, out, err = exported(
        "--url", gateway.url, "--query", str(tmp_path / "names.graphql"), "--page-rows", "100",
        "--variables", '{"direct": {"eq": "direct"}, "first": 3}', "--format", "ndjson",
    )  # fmt: skip
    found = [json.loads(line) for line in out.splitlines()]
    assert (code, err) == (0, "")
    assert found == [
        {"customer": row["customerName"], "sold": row["licensesSold"], "__typename": "LicenseDeployment"}
        for row in rows_of("contoso")
        if row["channel"] == "direct"
    ]
    assert len(found) > 100


def test_an_account_without_rows_is_a_file_without_rows(gateway: Gateway, tmp_path: Path) -> None:
    path = tmp_path / "empty.csv"
    assert exported("--url", gateway.url, "--output", str(path), token="tailspin")[0] == 0
    assert path.read_bytes() == ",".join(COLUMNS).encode() + b"\r\n"


def test_parquet_goes_through_a_pipe_with_its_types(gateway: Gateway) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    code, out, _ = exported("--url", gateway.url, "--format", "parquet", token="sample")
    table = parquet.read_table(io.BytesIO(out))
    assert code == 0
    assert table.schema.field("licensesSold").type == pyarrow.int64()
    assert table.schema.field("customerName").type == pyarrow.string()
    assert table.column("licensesSold").to_pylist() == [9, 5]


def test_without_a_setting_it_says_that_the_rows_are_made_up() -> None:
    code, out, err = exported(token="sample")
    assert code == 0
    assert out.count(b"\r\n") == 3
    assert err == "The upstream is the embedded sandbox: these rows are made up.\n"


def test_an_export_without_rows_says_so() -> None:
    code, out, err = exported(token="tailspin")
    assert (code, out.count(b"\r\n")) == (0, 1)
    assert err.endswith("There are no rows.\n")
    code, out, err = exported("--filter", '{"productName": {"eq": "misspelt"}}', token="contoso")
    assert (code, out.count(b"\r\n")) == (0, 1)
    assert err.endswith("No row fits: a filter compares whole values.\n")


def test_without_a_token_the_sandboxs_are_told_where_it_is_asked() -> None:
    told = "The upstream is the sandbox, whose tokens are contoso, fabrikam, tailspin, sample."
    assert told in " ".join(exported(token="")[2].split())
    assert told not in " ".join(exported("--url", "http://127.0.0.1:9", token="")[2].split())
    assert told not in " ".join(exported("--upstream", "https://upstream.example", token="")[2].split())


def test_the_help_names_every_dimension() -> None:
    shown = exported("--help", token="")[1].decode()
    names = [re.sub("[A-Z]", r"_\g<0>", name).upper() for name in LICENSE_DEPLOYMENTS.dimensions]
    assert len(names) == 7
    assert [name for name in names if name not in shown] == []


def test_an_operators_own_export_is_not_bound_by_what_callers_may_ask(tmp_path: Path) -> None:
    manifest = tmp_path / "manifest.json"
    manifest.write_text(json.dumps({"one": "{ licenseDeployments { totalCount } }"}), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "gateway", "export"],
        env=environment(
            PARTNER_CENTER_TOKEN="sample", GATEWAY_TRUSTED_DOCUMENTS=str(manifest), GATEWAY_MAX_FIRST_ROWS="1"
        ),
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stdout.count(b"\r\n")) == (0, 3)


# Interruptions


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_leaves_a_part_and_says_how_to_go_on(
    upstream: Upstream, export: Any, tmp_path: Path, number: signal.Signals
) -> None:
    path = tmp_path / "rows.csv"
    arguments = ("--upstream", upstream.url, "-o", str(path), "--page-rows", "1000")
    running = export(*arguments, token=f"contoso+latency=1+as=ctrl-c-{number}")
    wait_for_rows(running, path, 1_000)
    running.process.send_signal(number)
    code, _, err = running.ended()
    assert code == 4
    assert re.fullmatch(r"Error: Interrupted\. [\d,]+ rows are kept\. --resume goes on from there\.\n", err)
    code, _, err = exported(*arguments, token="contoso")
    assert code == 2
    assert "Go on with --resume, or --restart it." in err
    assert exported(*arguments, "--resume", token="contoso")[0] == 0
    assert path.read_bytes().count(b"\r\n") == 12_001


def test_another_question_does_not_go_on_with_the_part(upstream: Upstream, export: Any, tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    arguments = ("--upstream", upstream.url, "-o", str(path), "--page-rows", "1000")
    running = export(*arguments, token="contoso+latency=1+as=other-question")
    wait_for_rows(running, path, 1_000)
    code, _, err = exported(*arguments, "--restart")
    assert code == 2
    assert "Another export is writing" in err
    kill(running.process)
    code, _, err = exported(*arguments, "--resume", "--group-by", "CHANNEL")
    assert code == 2
    assert "belongs to another question or format" in err
    assert exported(*arguments, "--restart", "--group-by", "CHANNEL")[0] == 0
    assert path.read_bytes().count(b"\r\n") == 3


def test_data_processed_anew_is_told_and_restarted(upstream: Upstream, tmp_path: Path) -> None:
    """The second block has another date than the cursor of the first."""
    path = tmp_path / "rows.csv"
    arguments = ("--upstream", upstream.url, "-o", str(path))
    code, _, err = exported(*arguments, token="contoso+reprocess-after=1+as=anew")
    assert code == 5
    assert "SNAPSHOT_CHANGED" in err
    assert "10,000 rows are kept. --restart begins anew." in err
    code, _, err = exported(*arguments, "--resume", token="contoso+reprocess-after=1+as=anew")
    assert code == 5
    assert exported(*arguments, "--restart", token="contoso+reprocess-after=1+as=anew")[0] == 0
    assert len({row["processedDateTime"] for row in rows_in(path)}) == 1


def test_a_token_that_expires_on_the_way_is_replaced_by_a_new_one(upstream: Upstream, tmp_path: Path) -> None:
    path = tmp_path / "rows.ndjson"
    arguments = ("--upstream", upstream.url, "-o", str(path))
    code, _, err = exported(*arguments, token="contoso+status-from=401:10000+as=expires")
    assert code == 3
    assert "10,000 rows are kept. --resume goes on from there." in err
    assert exported(*arguments, "--resume", token="contoso+as=renewed")[0] == 0
    assert [row["productId"] for row in rows_in(path)] == [row["productId"] for row in rows_of("contoso")]


def test_throttling_is_waited_out_visibly(upstream: Upstream) -> None:
    code, out, err = exported("--upstream", upstream.url, token="contoso+throttle=2+as=export")
    assert code == 0
    assert out.count(b"\r\n") == 12_001
    assert re.fullmatch(r"The upstream throttles this token; waiting [12] s\.\n", err)


def test_an_upstream_that_ended_early_is_told_by_the_exit_code(upstream: Upstream, tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    code, _, err = exported("--upstream", upstream.url, "-o", str(path), token="contoso+total=high+as=export-early")
    assert code == 6
    assert "UPSTREAM_INCOMPLETE" in err
    assert path.read_bytes().count(b"\r\n") == 12_001


def test_a_reader_that_has_seen_enough_ends_it_without_a_word(upstream: Upstream) -> None:
    running = Export("--upstream", upstream.url, token="fabrikam+as=head")
    assert running.process.stdout is not None
    assert running.process.stdout.readline().startswith(b"serviceCode,")
    running.process.stdout.close()
    assert running.process.stderr is not None
    assert running.process.stderr.read() == b""
    assert running.process.wait() == 1


def test_a_full_disk_is_one_line(gateway: Gateway) -> None:
    with Path("/dev/full").open("wb") as full:
        code, _, err = Export("--url", gateway.url, token="sample", stdout=full).ended()
    assert (code, err) == (1, "Error: Cannot write: no space left on device.\n")


# Tokens


def test_a_wrong_token_has_an_exit_code_of_its_own(gateway: Gateway, tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    code, out, err = exported("--url", gateway.url, "-o", str(path), token="nobody")
    assert (code, out) == (3, b"")
    assert "UNAUTHENTICATED" in err
    assert "nobody" not in err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("token", ["two words", "b\u00e4d", "x" * 20_000])
def test_a_malformed_token_asks_nobody(token: str, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(token, encoding="utf-8")
    code, _, err = exported("--url", "http://127.0.0.1:1", "--token-file", str(file), token=None)
    assert (code, err) == (3, "Error: The access token is malformed.\n")


def test_the_token_comes_from_a_file_or_standard_input(gateway: Gateway, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("sample\n", encoding="utf-8")
    code, out, _ = exported("--url", gateway.url, "--token-file", str(file), token=None)
    assert (code, out.count(b"\r\n")) == (0, 3)
    running = Export("--url", gateway.url, "--token-stdin", stdin=subprocess.PIPE)
    out, _ = running.process.communicate(b"sample\n")
    assert (running.process.returncode, out.count(b"\r\n")) == (0, 3)


def test_the_part_and_its_mark_tell_neither_token_nor_filter(upstream: Upstream, export: Any, tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    running = export(
        "--upstream", upstream.url, "-o", str(path), "--page-rows", "1000",
        "--filter", '{"customerName": {"ne": "A-Secret-Name"}}', token="contoso+latency=1+as=secret-label",
    )  # fmt: skip
    wait_for_rows(running, path, 1_000)
    kill(running.process)
    for file in tmp_path.iterdir():
        assert b"secret" not in file.read_bytes().lower()


# Usage


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--filter", "{"), "--filter is not a JSON object"),
        (("--variables", "{}"), "--variables goes with --query"),
        (("--output", "rows.xlsx"), "Say with --format which format"),
        (("--resume",), "need --output"),
        (("--output", "x.csv", "--resume", "--restart"), "exclude each other"),
        (("--output", "/no/such/folder/rows.csv"), "Cannot write /no/such/folder/rows.csv.partial"),
        (("--url", "http://gateway.example"), "shows the token"),
        (("--url", "http://127.0.0.1:1/graphql"), "without a path"),
        (("--url", "http://127.0.0.1:1", "--upstream", "sandbox"), "exclude each other"),
        (("--upstream", "ftp://x"), "These settings cannot be used"),
        (("--token-file", "/no/such/file"), "Cannot read /no/such/file"),
    ],
)
def test_wrong_usage_is_told_in_one_line_with_exit_code_2(arguments: tuple[str, ...], told: str) -> None:
    """In this process, for nothing but the options is read."""
    done = CliRunner(env={"PARTNER_CENTER_TOKEN": "contoso"}).invoke(command, arguments)
    assert (done.exit_code, done.stdout) == (2, "")
    assert told in done.stderr


def test_no_token_is_wrong_usage() -> None:
    code, _, err = exported(token=None)
    assert code == 2
    assert "PARTNER_CENTER_TOKEN" in err


def test_what_the_gateway_refuses_fails_with_its_message(gateway: Gateway) -> None:
    code, _, err = exported("--url", gateway.url, "--group-by", "CUSTOMER")
    assert code == 1
    assert "LicenseDeploymentDimension" in err
    assert "BAD_USER_INPUT" in err


def test_what_is_no_gateway_is_told(upstream: Upstream) -> None:
    """The sandbox upstream answers, but no GraphQL."""
    code, _, err = exported("--url", upstream.url)
    assert code == 1
    assert "Traceback" not in err


def test_help_tells_every_exit_code() -> None:
    code, out, _ = exported("--help", token=None)
    assert code == 0
    assert [line.split()[0] for line in out.decode().partition("Exit codes:")[2].splitlines() if line.strip()] == [
        "0", "1", "2", "3", "4", "5", "6",
    ]  # fmt: skip


# On a terminal


def test_a_terminal_sees_rows_total_rate_and_time_left(gateway: Gateway, tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    running = Export(
        "--url", gateway.url, "-o", str(tmp_path / "rows.csv"), "--page-rows", "4000", token="contoso", stderr=theirs
    )
    os.close(theirs)
    seen = b""
    # Linux tells the end of a terminal as an error.
    with suppress(OSError):
        while more := os.read(ours, 65_536):
            seen += more
    os.close(ours)
    assert running.process.wait() == 0
    line = r"\[#+\.+\] 4,000 of 12,000 rows  33%  [\d,]+ rows/s  \d+:\d\d left"
    assert re.search(line, seen.decode()), seen
    assert seen.decode().endswith("\r\x1b[K12,000 rows\r\n")


def test_a_gateway_that_is_gone_for_a_moment_is_asked_again() -> None:
    """Nobody listens: it tries for half a minute, so that this only sees that it waits."""
    running = Export("--url", "http://127.0.0.1:1", token="contoso")
    assert running.process.stderr is not None
    assert running.process.stderr.readline() == b"The gateway cannot be reached; waiting 1 s.\n"
    running.process.send_signal(signal.SIGINT)
    assert running.ended()[0] == 4
