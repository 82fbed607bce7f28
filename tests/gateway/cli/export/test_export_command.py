"""`gateway export`, run as a separate process over real sockets."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import pty
import re
import signal
import stat
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

from gateway.cli.export import export_command
from gateway.cli.export.export_command import export as command
from schema.build import DATASETS
from schema.datasets.license_deployment import LICENSE_DEPLOYMENTS
from tests.conftest import Gateway, Upstream
from tests.gateway.running import ROOT, START_SECONDS, environment, eventually, kill
from tests.gateway.sandbox.rows import rows_of

COLUMNS = list(LICENSE_DEPLOYMENTS.attributes)
FORMATS = [
    "csv",
    "ndjson",
    pytest.param("parquet", marks=pytest.mark.skipif(find_spec("pyarrow") is None, reason="no pyarrow")),
]

# Most memory that the command may use, including its embedded gateway.
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
        """Return the peak memory so far, 0 once the process has ended."""
        with suppress(OSError):
            match = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{self.process.pid}/status").read_text())
            return 1_024 * int(match[1]) if match else 0
        return 0

    def peak_bytes(self) -> int:
        """Wait for the process to end, and return its peak memory."""
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
    """Run the command to its end; return exit code, standard output and standard error."""
    return Export(*arguments, token=token).ended()


def wait_for_rows(export: Export, output: Path, rows: int) -> None:
    """Wait until the resume point counts ``rows`` rows."""
    resume_path = output.with_name(f"{output.name}.partial.json")
    give_up = time.monotonic() + 60
    while True:
        with suppress(OSError):
            if json.loads(resume_path.read_bytes())["rows"] >= rows:
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
    """Start commands; those still running at the end are killed."""
    started: list[Export] = []

    def start(*arguments: str, **options: Any) -> Export:
        started.append(Export(*arguments, **options))
        return started[-1]

    yield start
    for running in started:
        kill(running.process)


# Whole files


@pytest.mark.parametrize("form", FORMATS)
def test_250000_rows_survive_a_kill_to_the_byte_within_bounded_memory(
    upstream: Upstream, export: Any, tmp_path: Path, form: str
) -> None:
    """One run is killed and resumed, another is not; both files are identical and correct."""
    whole, resumed_file = tmp_path / f"whole.{form}", tmp_path / f"resumed.{form}"
    arguments = ("--upstream", upstream.url, "--output")
    undisturbed = export(*arguments, str(whole), token="fabrikam+as=whole")
    assert undisturbed.peak_bytes() < MAX_MEMORY_BYTES
    assert undisturbed.ended()[0] == 0

    killed = export(*arguments, str(resumed_file), token="fabrikam+latency=0.1+as=resumed")
    wait_for_rows(killed, resumed_file, 50_000)
    os.kill(killed.process.pid, signal.SIGKILL)
    assert killed.ended()[0] == -signal.SIGKILL
    partial = tmp_path / f"resumed.{form}.partial"
    # As if it had been killed during a write.
    with partial.open("ab") as file:
        file.write(b"half a line of the page that foll")
    assert not resumed_file.exists()

    calls_before = len(upstream.calls_of("fabrikam+as=resumed"))
    resumed = export(*arguments, str(resumed_file), "--resume", token="fabrikam+as=resumed")
    assert resumed.peak_bytes() < MAX_MEMORY_BYTES
    assert resumed.ended()[0] == 0
    assert len(upstream.calls_of("fabrikam+as=resumed")) - calls_before <= 20
    assert digest(resumed_file) == digest(whole)
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"resumed.{form}", f"whole.{form}"]
    show = (lambda value: "" if value is None else str(value)) if form == "csv" else (lambda value: value)
    wanted = ({name: show(row[name]) for name in COLUMNS} for row in rows_of("fabrikam"))
    assert all(resumed == row for resumed, row in zip(rows_in(resumed_file), wanted, strict=True))


@pytest.mark.parametrize("form", ["csv", "ndjson"])
@pytest.mark.parametrize("dataset", ["licenseDeployments", "licenseUsages"])
def test_the_command_and_the_export_endpoint_write_the_same_file(gateway: Gateway, form: str, dataset: str) -> None:
    options = ("--dataset", dataset, "--format", form, "--filter", '{"channel": {"ne": "direct"}}')
    code, out, err = exported("--url", gateway.url, *options)
    response = gateway.client.get(
        f"/export/{dataset}.{form}",
        params={"filter": '{"channel": {"ne": "direct"}}'},
        headers={"Authorization": "Bearer contoso"},
    )
    assert (code, err) == (0, "")
    assert out == response.content
    assert out.count(b"\n") > 10_000


def test_grouping_and_date_options_need_no_graphql(gateway: Gateway) -> None:
    code, out, _ = exported(
        "--url", gateway.url, "--group-by", "SERVICE_NAME, CHANNEL", "--processed-date-time", "2026-10-23"
    )
    rows = list(csv.DictReader(io.StringIO(out.decode(), newline="")))
    wanted = gateway.connection(
        'groupBy: [SERVICE_NAME, CHANNEL], processedDateTime: "2026-10-23"', fields="nodes { licensesSold }"
    )["nodes"]
    assert code == 0
    assert [row["licensesSold"] for row in rows] == [str(row["licensesSold"]) for row in wanted]


NO_COLUMN = (
    "The file has no column licensesUnassigned. To have it, put the operation into a file and use --query FILE.\n"
)


@pytest.mark.parametrize(
    ("group_by", "dimensions"),
    [
        ("customerName", "CUSTOMER_NAME"),
        ("productName,serviceName", "PRODUCT_NAME, SERVICE_NAME"),
        ("customerTenantId, CUSTOMER_NAME", "CUSTOMER_TENANT_ID, CUSTOMER_NAME"),
        ("channel", "CHANNEL"),
    ],
)
def test_groups_and_their_order_are_named_like_columns_or_as_in_graphql(
    gateway: Gateway, group_by: str, dimensions: str
) -> None:
    order = ("--order-by", f"licensesUnassigned:desc,{group_by}")
    code, out, err = exported("--url", gateway.url, "--format", "ndjson", "--group-by", group_by, *order)
    assert (code, err) == (0, NO_COLUMN)
    terms = "".join(f", {{field: {dimension.strip()}}}" for dimension in dimensions.split(","))
    fields = "customerTenantId customerName productName serviceName channel licensesDeployed licensesSold"
    arguments = f"groupBy: [{dimensions}], orderBy: [{{field: LICENSES_UNASSIGNED, direction: DESC}}{terms}]"
    nodes = gateway.connection(f"{arguments}, first: 10000", fields=f"nodes {{ {fields} }}")["nodes"]
    rows = [json.loads(line) for line in out.splitlines()]
    assert [{name: row[name] for name in fields.split()} for row in rows] == nodes
    assert len({tuple(row.values()) for row in rows}) == len(rows) > 1


def test_a_condition_on_a_measure_that_is_no_column_gets_a_note(gateway: Gateway) -> None:
    options = ("--url", gateway.url, "--group-by", "productName", "--having")
    assert exported(*options, '{"licensesUnassigned": {"gt": 100}}')[2] == NO_COLUMN
    assert exported(*options, '{"licensesSold": {"gt": 100}}')[2] == ""


def test_customers_of_one_name_are_one_group_and_their_ids_keep_them_apart(gateway: Gateway) -> None:
    options = ("--url", gateway.url, "--format", "ndjson", "--group-by")
    names = [json.loads(line) for line in exported(*options, "customerName")[1].splitlines()]
    both = [json.loads(line) for line in exported(*options, "customerTenantId,customerName")[1].splitlines()]
    assert len(both) > len(names) == len({row["customerName"] for row in names})
    sold: dict[str | None, int] = {}
    for row in both:
        sold[row["customerName"]] = sold.get(row["customerName"], 0) + row["licensesSold"]
    assert sold == {row["customerName"]: row["licensesSold"] for row in names}


def test_any_operation_with_one_connection_can_be_exported(gateway: Gateway, tmp_path: Path) -> None:
    """The operation has paging arguments, fragments and aliases; the aliases become the columns."""
    (tmp_path / "names.graphql").write_text(RELAY, encoding="utf-8")
    code, out, err = exported(
        "--url", gateway.url, "--query", str(tmp_path / "names.graphql"), "--page-rows", "100",
        "--variables", '{"direct": {"eq": "direct"}, "first": 3}', "--format", "ndjson",
    )  # fmt: skip
    rows = [json.loads(line) for line in out.splitlines()]
    assert (code, err) == (0, "")
    assert rows == [
        {"customer": row["customerName"], "sold": row["licensesSold"], "__typename": "LicenseDeployment"}
        for row in rows_of("contoso")
        if row["channel"] == "direct"
    ]
    assert len(rows) > 100


def test_an_account_without_rows_gives_a_file_with_only_a_header(gateway: Gateway, tmp_path: Path) -> None:
    path = tmp_path / "empty.csv"
    assert exported("--url", gateway.url, "--output", str(path), token="tailspin")[0] == 0
    assert path.read_bytes() == ",".join(COLUMNS).encode() + b"\r\n"


def test_parquet_can_be_piped_and_keeps_its_types(gateway: Gateway) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    code, out, _ = exported("--url", gateway.url, "--format", "parquet", token="sample")
    table = parquet.read_table(io.BytesIO(out))
    assert code == 0
    assert table.schema.field("licensesSold").type == pyarrow.int64()
    assert table.schema.field("customerName").type == pyarrow.string()
    assert table.column("licensesSold").to_pylist() == [9, 5]


def test_without_settings_a_message_says_that_the_rows_are_made_up() -> None:
    code, out, err = exported(token="sample")
    assert code == 0
    assert out.count(b"\r\n") == 3
    assert err == "The upstream is the embedded sandbox: these rows are made up.\n"


def test_an_export_without_rows_shows_a_message() -> None:
    code, out, err = exported(token="tailspin")
    assert (code, out.count(b"\r\n")) == (0, 1)
    assert err.endswith("There are no rows.\n")
    code, out, err = exported("--filter", '{"productName": {"eq": "misspelt"}}', token="contoso")
    assert (code, out.count(b"\r\n")) == (0, 1)
    assert err.endswith("No row matches the filter: a filter compares whole values.\n")
    day = ("--processed-date-time", "2026-10-24")
    code, out, err = exported(*day, token="contoso")
    assert (code, out.count(b"\r\n")) == (0, 1)
    assert err.endswith("No rows were processed on this date, as on most days.\n")
    code, out, err = exported(*day, "--filter", '{"channel": {"eq": "direct"}}', token="contoso")
    assert (code, out.count(b"\r\n")) == (0, 1)
    assert err.endswith(
        "No row of this date matches the filter. Most days have no rows, and a filter compares whole values.\n"
    )


def test_without_a_token_the_message_lists_the_sandboxs_tokens_if_it_is_the_upstream() -> None:
    hint = "The upstream is the sandbox, whose tokens are contoso, fabrikam, tailspin, sample."
    assert hint in " ".join(exported(token="")[2].split())
    assert hint not in " ".join(exported("--url", "http://127.0.0.1:9", token="")[2].split())
    assert hint not in " ".join(exported("--upstream", "https://upstream.example", token="")[2].split())


def test_the_help_names_every_field_of_each_dataset() -> None:
    shown = exported("--help", token="")[1].decode()
    for dataset, _ in DATASETS:
        measures = [*dataset.measures, *(derived.name for derived in dataset.derived)]
        fields = shown.partition(f"Dataset {dataset.name}:")[2].partition("Dataset ")[0]
        assert [name for name in [*dataset.dimensions, *measures] if name not in fields] == []


def test_an_unknown_dataset_is_refused_with_the_known_ones() -> None:
    code, _, messages = exported("--dataset", "licenses", token="sample")
    assert code == 2
    assert "There is no dataset 'licenses'. Choose licenseDeployments or licenseUsages." in messages


def test_limits_for_callers_do_not_apply_to_the_operators_own_export(tmp_path: Path) -> None:
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


# Targets


@pytest.mark.parametrize("output", ["-", "/dev/stdout"])
def test_standard_output_can_be_named(gateway: Gateway, tmp_path: Path, output: str) -> None:
    """A file that standard output is redirected to is continued, not replaced."""
    path = tmp_path / "rows.csv"
    path.write_bytes(b"before\n")
    with path.open("ab") as file:
        code, _, err = Export("--url", gateway.url, "-o", output, token="sample", stdout=file).ended()
    assert (code, err, path.read_bytes().count(b"\r\n")) == (0, "", 3)
    assert path.read_bytes().startswith(b"before\nserviceCode,")


def test_a_closed_standard_output_is_an_error(gateway: Gateway) -> None:
    done = subprocess.run(
        ["sh", "-c", '"$@" >&-', "sh", sys.executable, "-m", "gateway", "export", "--url", gateway.url],
        env=environment(PARTNER_CENTER_TOKEN="sample"),
        stderr=subprocess.PIPE,
        check=False,
    )
    assert done.returncode == 2
    assert b"Standard output is closed." in done.stderr


@pytest.mark.parametrize("form", FORMATS)
def test_a_named_pipe_is_written_and_stays(gateway: Gateway, tmp_path: Path, form: str) -> None:
    pipe = tmp_path / f"rows.{form}"
    os.mkfifo(pipe)
    running = Export("--url", gateway.url, "-o", str(pipe), token="sample")
    content = pipe.read_bytes()
    assert running.ended()[0] == 0
    assert pipe.is_fifo()
    (tmp_path / f"copy.{form}").write_bytes(content)
    assert [str(row["licensesSold"]) for row in rows_in(tmp_path / f"copy.{form}")] == ["9", "5"]


def test_a_reader_that_leaves_a_named_pipe_ends_the_export(upstream: Upstream, tmp_path: Path) -> None:
    pipe = tmp_path / "rows.csv"
    os.mkfifo(pipe)
    running = Export("--upstream", upstream.url, "-o", str(pipe), token="fabrikam+as=pipe")
    with pipe.open("rb") as reader:
        assert reader.readline().startswith(b"serviceCode,")
    assert running.ended() == (1, b"", "")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_reader_that_stops_reading_does_not_prevent_ctrl_c(
    upstream: Upstream, export: Any, tmp_path: Path, number: signal.Signals
) -> None:
    pipe = tmp_path / "rows.csv"
    os.mkfifo(pipe)
    running = export("--upstream", upstream.url, "-o", str(pipe), token=f"fabrikam+as=stalled-{number}")
    with pipe.open("rb") as reader:
        assert reader.read(100_000).startswith(b"serviceCode,")
        # By now it waits: the rest is larger than any pipe.
        time.sleep(1)
        running.process.send_signal(number)
        code, out, err = running.ended()
    assert (code, out) == (4, b"")
    assert err == (
        "Error: Interrupted. The output is incomplete and cannot be continued. Run the command again to start from the"
        " first row.\n"
    )


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_a_device_is_written_and_stays(gateway: Gateway, tmp_path: Path) -> None:
    """These are /dev/null and /dev/full, by names that a mistake may harm."""
    for name, minor in (("null", 3), ("full", 7)):
        os.mknod(tmp_path / name, stat.S_IFCHR | 0o666, os.makedev(1, minor))
    (tmp_path / "link").symlink_to("null")
    for name, expected in (("null", 0), ("link", 0), ("full", 1)):
        code, out, err = exported("--url", gateway.url, "-o", str(tmp_path / name), token="sample")
        assert (code, out) == (expected, b"")
        assert err == ("Error: Cannot write: no space left on device.\n" if expected else "")
        assert (tmp_path / name).is_char_device()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["full", "link", "null"]


# Interruptions


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_leaves_a_partial_file_and_says_how_to_continue(
    upstream: Upstream, export: Any, tmp_path: Path, number: signal.Signals
) -> None:
    path = tmp_path / "rows.csv"
    arguments = ("--upstream", upstream.url, "-o", str(path), "--page-rows", "1000")
    running = export(*arguments, token=f"fabrikam+rows=60000+latency=1+as=ctrl-c-{number}")
    wait_for_rows(running, path, 1_000)
    running.process.send_signal(number)
    code, _, err = running.ended()
    assert code == 4
    assert re.fullmatch(r"Error: Interrupted\. [\d,]+ rows are kept\. Use --resume to continue\.\n", err)
    code, _, err = exported(*arguments, token="fabrikam+rows=60000")
    assert code == 2
    assert "Continue it with --resume, or discard it with --restart." in err
    assert exported(*arguments, "--resume", token="fabrikam+rows=60000")[0] == 0
    assert path.read_bytes().count(b"\r\n") == 60_001


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("fault", ["latency=60", "hang"])
@pytest.mark.parametrize("source", ["--upstream", "--url", "--query"])
def test_one_ctrl_c_ends_the_wait_for_the_first_rows(
    gateway: Gateway, upstream: Upstream, export: Any, tmp_path: Path, source: str, fault: str, number: signal.Signals
) -> None:
    path = tmp_path / "rows.csv"
    token = f"contoso+{fault}+as=first{source}-{number}"
    url = gateway.url if source == "--url" else upstream.url
    arguments = ["--url" if source == "--url" else "--upstream", url, "-o", str(path)]
    if source == "--query":
        (tmp_path / "rows.graphql").write_text(RELAY, encoding="utf-8")
        arguments += ["--query", str(tmp_path / "rows.graphql")]
    running = export(*arguments, token=token)
    eventually(lambda: bool(upstream.calls_of(token)), START_SECONDS)
    started = time.monotonic()
    running.process.send_signal(number)
    advice = "No rows are kept. Run the command again to start from the first row."
    assert running.ended() == (4, b"", f"Error: Interrupted. {advice}\n")
    assert time.monotonic() - started < 10
    assert not path.exists()


def test_another_operation_cannot_resume_the_partial_file(upstream: Upstream, export: Any, tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    arguments = ("--upstream", upstream.url, "-o", str(path), "--page-rows", "1000")
    # The export stays unfinished however long the next command takes to start.
    running = export(*arguments, token="fabrikam+rows=60000+slow-page=20000:100+as=other-operation")
    wait_for_rows(running, path, 1_000)
    code, _, err = exported(*arguments, "--restart")
    assert code == 2
    assert "Another export is writing" in err
    kill(running.process)
    code, _, err = exported(*arguments, "--resume", "--group-by", "CHANNEL")
    assert code == 2
    assert "belongs to another operation or format" in err
    assert exported(*arguments, "--restart", "--group-by", "CHANNEL")[0] == 0
    assert path.read_bytes().count(b"\r\n") == 3


def test_another_source_cannot_resume_the_partial_file(upstream: Upstream, export: Any, tmp_path: Path) -> None:
    """Rows of two upstreams, or of one upstream and a gateway, never end up in one file."""
    path, query = tmp_path / "rows.csv", tmp_path / "rows.graphql"
    query.write_text("{ licenseDeployments { nodes { productId } } }", encoding="utf-8")
    arguments = ("-o", str(path), "--page-rows", "1000", "--query", str(query))
    running = export("--upstream", upstream.url, *arguments, token="fabrikam+rows=60000+latency=1+as=other-source")
    wait_for_rows(running, path, 1_000)
    kill(running.process)
    files_before = [file.read_bytes() for file in sorted(tmp_path.iterdir())]
    other = upstream.url.replace("127.0.0.1", "localhost")
    for place in (("--upstream", "sandbox"), ("--upstream", other), ("--url", upstream.url)):
        code, _, err = exported(*place, *arguments, "--resume", token="fabrikam+rows=60000")
        assert code == 2
        assert "belongs to another upstream or gateway. Repeat the original --url or --upstream" in err
    assert [file.read_bytes() for file in sorted(tmp_path.iterdir())] == files_before
    assert exported("--upstream", upstream.url, *arguments, "--resume", token="fabrikam+rows=60000")[0] == 0


def test_reprocessed_data_ends_the_export_with_advice_to_restart(upstream: Upstream, tmp_path: Path) -> None:
    """The third block has another processed date than those before it."""
    path = tmp_path / "rows.csv"
    arguments = ("--upstream", upstream.url, "-o", str(path))
    code, _, err = exported(*arguments, token="fabrikam+rows=35000+reprocess-after=2+as=reprocessed")
    assert code == 5
    assert "SNAPSHOT_CHANGED" in err
    assert "20,000 rows are kept. Use --restart to start again." in err
    code, _, err = exported(*arguments, "--resume", token="fabrikam+rows=35000+reprocess-after=2+as=reprocessed")
    assert code == 5
    assert exported(*arguments, "--restart", token="fabrikam+rows=35000+reprocess-after=2+as=reprocessed")[0] == 0
    assert len({row["processedDateTime"] for row in rows_in(path)}) == 1


def test_after_a_token_expires_a_new_one_resumes_the_export(upstream: Upstream, tmp_path: Path) -> None:
    path = tmp_path / "rows.ndjson"
    arguments = ("--upstream", upstream.url, "-o", str(path))
    code, _, err = exported(*arguments, token="fabrikam+rows=35000+status-from=401:20000+as=expires")
    assert code == 3
    assert "20,000 rows are kept. Use --resume to continue." in err
    assert exported(*arguments, "--resume", token="fabrikam+rows=35000+as=renewed")[0] == 0
    assert [row["productId"] for row in rows_in(path)] == [row["productId"] for row in rows_of("fabrikam")[:35_000]]


def test_throttling_is_waited_out_with_a_message(upstream: Upstream) -> None:
    code, out, err = exported("--upstream", upstream.url, token="contoso+throttle=2+as=export")
    assert code == 0
    assert out.count(b"\r\n") == 12_001
    assert re.fullmatch(r"The upstream throttles this token; waiting [12] s\.\n", err)


def test_an_incomplete_upstream_has_its_own_exit_code(upstream: Upstream, tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    code, _, err = exported("--upstream", upstream.url, "-o", str(path), token="contoso+total=high+as=export-early")
    assert code == 6
    assert "UPSTREAM_INCOMPLETE" in err
    assert path.read_bytes().count(b"\r\n") == 12_001


def test_a_closed_pipe_ends_it_without_a_message(upstream: Upstream) -> None:
    running = Export("--upstream", upstream.url, token="fabrikam+as=head")
    assert running.process.stdout is not None
    assert running.process.stdout.readline().startswith(b"serviceCode,")
    running.process.stdout.close()
    assert running.process.stderr is not None
    assert running.process.stderr.read() == b""
    assert running.process.wait() == 1


def test_a_full_disk_gives_a_one_line_error(gateway: Gateway) -> None:
    with Path("/dev/full").open("wb") as full:
        code, _, err = Export("--url", gateway.url, token="sample", stdout=full).ended()
    assert (code, err) == (1, "Error: Cannot write: no space left on device.\n")


# Tokens


def test_a_refused_token_has_its_own_exit_code(gateway: Gateway, tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    code, out, err = exported("--url", gateway.url, "-o", str(path), token="nobody")
    assert (code, out) == (3, b"")
    assert "UNAUTHENTICATED" in err
    assert "nobody" not in err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("token", ["two words", "b\u00e4d", "x" * 20_000])
def test_a_malformed_token_is_not_sent(token: str, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(token, encoding="utf-8")
    code, _, err = exported("--url", "http://127.0.0.1:1", "--token-file", str(file), token=None)
    assert code == 3
    assert err.startswith("Error: The access token is malformed: give the token alone, without Bearer, quotes or")


@pytest.mark.parametrize(
    "content", ["sample\r\n".encode("utf-8-sig"), "sample\r\n".encode("utf-16"), b"sample\n\n"], ids=repr
)
def test_token_files_are_read_as_editors_and_powershell_write_them(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "token"
    file.write_bytes(content)
    code, out, _ = exported("--token-file", str(file), token=None)
    assert (code, out.count(b"\r\n")) == (0, 3)


def test_a_byte_order_mark_on_standard_input_is_not_part_of_the_token() -> None:
    running = Export("--token-stdin", stdin=subprocess.PIPE)
    out, _ = running.process.communicate("sample\r\n".encode("utf-8-sig"))
    assert (running.process.returncode, out.count(b"\r\n")) == (0, 3)


def test_the_token_comes_from_a_file_or_standard_input(gateway: Gateway, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("sample\n", encoding="utf-8")
    code, out, _ = exported("--url", gateway.url, "--token-file", str(file), token=None)
    assert (code, out.count(b"\r\n")) == (0, 3)
    running = Export("--url", gateway.url, "--token-stdin", stdin=subprocess.PIPE)
    out, _ = running.process.communicate(b"sample\n")
    assert (running.process.returncode, out.count(b"\r\n")) == (0, 3)


def test_the_partial_file_contains_neither_token_nor_filter(upstream: Upstream, export: Any, tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    running = export(
        "--upstream", upstream.url, "-o", str(path), "--page-rows", "1000",
        "--filter", '{"customerName": {"ne": "A-Secret-Name"}}', token="fabrikam+rows=60000+latency=1+as=secret-label",
    )  # fmt: skip
    wait_for_rows(running, path, 1_000)
    kill(running.process)
    for file in tmp_path.iterdir():
        assert b"secret" not in file.read_bytes().lower()


# Usage


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--filter", '{channel: {eq: "direct"}}'), """Write it like --filter '{"channel": {"eq": "direct"}}'"""),
        (
            ("--having", "{"),
            """--having is not a JSON object. Write it like --having '{"licensesUnassigned": {"gt": 100}}'""",
        ),
        (("--variables", "{}"), "--variables needs --query"),
        (("--group-by", ""), "--group-by is empty"),
        (("--group-by", "channel,bogus"), "--group-by has 'bogus', which it does not take. Choose from SERVICE_CODE, "),
        (("--order-by", "bogus:desc"), "PRODUCT_NAME, LICENSES_DEPLOYED, LICENSES_SOLD, LICENSES_UNASSIGNED, "),
        (("--order-by", "channel:down"), "--order-by has 'channel:down'. Write channel:ASC or channel:DESC."),
        (
            ("--order-by", "channel, licensesUnassigned desc"),
            "--order-by has 'licensesUnassigned desc'. Put a colon between them: licensesUnassigned:DESC.",
        ),
        (("--processed-date-time", ""), "--processed-date-time is empty"),
        (("--output", "rows.xlsx"), "The ending .xlsx names no known format. Name the file FILE.csv, FILE.ndjson or"),
        (("--output", "rows"), "The file name has no ending. Name the file FILE.csv, FILE.ndjson or FILE.parquet, or"),
        (("--resume",), "need --output"),
        (("--output", "x.csv", "--resume", "--restart"), "exclude each other"),
        (("--output", "/no/such/folder/rows.csv"), "Cannot write /no/such/folder/rows.csv.partial"),
        (("--url", "http://gateway.example"), "exposes the token"),
        (("--url", "http://127.0.0.1:1/graphql"), "without a path"),
        (("--url", "http://127.0.0.1:1", "--upstream", "sandbox"), "exclude each other"),
        (("--upstream", "ftp://x"), "Invalid settings"),
        (("--token-file", "/no/such/file"), "Cannot read /no/such/file"),
    ],
)
def test_invalid_usage_gives_a_message_and_exit_code_2(arguments: tuple[str, ...], message: str) -> None:
    """Runs in this process, because only the options are read."""
    done = CliRunner(env={"PARTNER_CENTER_TOKEN": "contoso"}).invoke(command, arguments)
    assert (done.exit_code, done.stdout) == (2, "")
    assert message in done.stderr


def test_without_pyarrow_the_message_has_the_command_of_the_documents(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export_command, "find_spec", lambda name: None)
    done = CliRunner(env={"PARTNER_CENTER_TOKEN": "contoso"}).invoke(command, ["--output", "rows.parquet"])
    install = ".venv/bin/pip install -c requirements.lock '.[parquet]'"
    assert (done.exit_code, done.stdout) == (2, "")
    from_index = "pip install 'partner-center-graphql[parquet]'"
    assert f"Parquet needs the extra 'parquet'. Run: {from_index}, or in a clone: {install}\n" in done.stderr
    assert f"`{install}`" in (ROOT / "docs" / "exports.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("names", ["productName,customerTenantId", "product_name, CUSTOMER_TENANT_ID"])
def test_dimensions_are_named_as_in_the_schema_or_as_columns(gateway: Gateway, names: str) -> None:
    wanted = exported("--url", gateway.url, "--group-by", "PRODUCT_NAME,CUSTOMER_TENANT_ID")
    assert wanted[0] == 0
    assert exported("--url", gateway.url, "--group-by", names)[:2] == wanted[:2]


def test_an_order_may_name_columns(gateway: Gateway) -> None:
    wanted = exported("--url", gateway.url, "--order-by", "LICENSES_SOLD:DESC,PRODUCT_NAME")
    assert wanted[0] == 0
    assert exported("--url", gateway.url, "--order-by", "licensesSold:desc,productName")[:2] == wanted[:2]


def test_a_missing_token_is_a_usage_error() -> None:
    code, _, err = exported(token=None)
    assert code == 2
    assert "PARTNER_CENTER_TOKEN" in err


def test_an_error_of_the_gateway_is_shown(gateway: Gateway) -> None:
    code, _, err = exported("--url", gateway.url, "--group-by", "CHANNEL", "--order-by", "productName")
    assert code == 2
    text = "Error: --order-by has PRODUCT_NAME, which is null in every group. Add it to --group-by, or leave it out."
    assert err.splitlines()[0] == text
    code, _, err = exported("--url", gateway.url, "--filter", '{"service": {"eq": "x"}}')
    assert (code, err.splitlines()[0].partition(" Choose from ")[0]) == (2, "Error: --filter has no field 'service'.")
    assert "serviceCode" in err
    code, _, err = exported("--url", gateway.url, "--having", '{"licensesSold": 100}')
    text = 'Error: --having has no condition at licensesSold. Write {"licensesSold": {"gt": 100}}.'
    assert (code, err.splitlines()[0]) == (2, text)


def test_an_order_by_a_field_that_is_no_column_says_how_to_get_the_column(gateway: Gateway) -> None:
    code, _, err = exported("--url", gateway.url, "--order-by", "licensesUnassigned:desc", token="sample")
    assert code == 0
    assert err == NO_COLUMN


def test_a_url_that_is_not_a_gateway_gives_an_error(upstream: Upstream) -> None:
    """The sandbox upstream responds, but not with GraphQL."""
    code, _, err = exported("--url", upstream.url)
    assert code == 1
    assert "Traceback" not in err


def test_help_lists_every_exit_code() -> None:
    code, out, _ = exported("--help", token=None)
    assert code == 0
    assert [line.split()[0] for line in out.decode().partition("Exit codes:")[2].splitlines() if line.strip()] == [
        "0", "1", "2", "3", "4", "5", "6",
    ]  # fmt: skip


# On a terminal


def shown_on_a_terminal(*arguments: str) -> str:
    """Run the command with a terminal as standard error; return what it shows there."""
    controller, terminal = pty.openpty()
    running = Export(*arguments, "--page-rows", "4000", token="contoso", stderr=terminal, stdout=subprocess.DEVNULL)
    os.close(terminal)
    output = b""
    # Linux reports the end of a terminal as an error.
    with suppress(OSError):
        while more := os.read(controller, 65_536):
            output += more
    os.close(controller)
    assert running.process.wait() == 0
    return output.decode()


def test_a_terminal_shows_rows_total_rate_and_time_left(gateway: Gateway, tmp_path: Path) -> None:
    output = shown_on_a_terminal("--url", gateway.url, "-o", str(tmp_path / "rows.csv"))
    line = r"\[#+\.+\] 4,000 of 12,000 rows  33%  [\d,]+ rows/s  \d+:\d\d left"
    assert re.search(line, output), output
    assert output.endswith("\r\x1b[K12,000 rows\r\n")


def test_a_terminal_shows_that_an_order_needs_all_rows_first(gateway: Gateway, tmp_path: Path) -> None:
    (tmp_path / "ordered.graphql").write_text(
        "{ licenseDeployments(orderBy: [{field: LICENSES_SOLD}]) { nodes { productName } } }", encoding="utf-8"
    )
    for options in (("--order-by", "licensesSold"), ("--query", str(tmp_path / "ordered.graphql"))):
        output = shown_on_a_terminal("--url", gateway.url, "-o", str(tmp_path / f"rows{options[0]}.csv"), *options)
        assert output.startswith(
            "\r\x1b[KReading all rows first …\r\x1b[K[######..............] 4,000 of 12,000 rows  33%\r"
        )


def test_an_unreachable_gateway_is_named_at_once_and_retried_briefly() -> None:
    """Nobody listens there."""
    started = time.monotonic()
    code, _, err = exported("--url", "http://127.0.0.1:1", token="contoso")
    assert (code, time.monotonic() - started < 10) == (4, True)
    problem = "Cannot reach 127.0.0.1:1: connection refused"
    assert err == (
        f"{problem}; waiting 1 s.\n{problem}; waiting 2 s.\n"
        f"Error: {problem}. Check --url, and that a gateway listens there. No rows are kept. Run the command again to"
        " start from the first row.\n"
    )


def test_rows_can_be_searched_selected_and_ordered(gateway: Gateway) -> None:
    options = ("--group-by", "CUSTOMER_NAME", "--search", "te", "--having", '{"licensesSold": {"gt": 100}}')
    order = ("--order-by", "licenses_unassigned:desc, CUSTOMER_NAME")
    code, out, _ = exported("--url", gateway.url, "--format", "ndjson", *options, *order)
    assert code == 0
    fields = "nodes { customerName licensesSold }"
    arguments = (
        'groupBy: CUSTOMER_NAME, search: "te", having: {licensesSold: {gt: 100}}, first: 10000,'
        " orderBy: [{field: LICENSES_UNASSIGNED, direction: DESC}, {field: CUSTOMER_NAME}]"
    )
    nodes = gateway.connection(arguments, "contoso", fields)["nodes"]
    rows = [json.loads(line) for line in out.splitlines()]
    assert [{name: row[name] for name in ("customerName", "licensesSold")} for row in rows] == nodes


def test_repeated_orders_and_groups_are_one_list(gateway: Gateway) -> None:
    """By default, the command-line library would use the last one alone."""
    source = ("--url", gateway.url)
    wanted = exported(*source, "--group-by", "CHANNEL,PRODUCT_NAME", "--order-by", "LICENSES_SOLD:DESC,PRODUCT_NAME")
    repeated = ("--group-by", "CHANNEL", "--order-by", "LICENSES_SOLD:DESC", "--group-by", "PRODUCT_NAME")
    assert exported(*source, *repeated, "--order-by", "PRODUCT_NAME")[:2] == wanted[:2]
    assert wanted[0] == 0
