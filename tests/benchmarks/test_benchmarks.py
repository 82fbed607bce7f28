"""The benchmark runs, and compares the same work. No measurement is asserted: on a test machine it is noise."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from xml.etree import ElementTree

import msgspec
import pytest

from tests.benchmarks import contenders, csv_export, fairness, views
from tests.benchmarks.agreement import ask
from tests.benchmarks.chart import chart
from tests.benchmarks.contenders import CONSTANT, GATEWAY, PLAIN, REDIS
from tests.benchmarks.generators import generator, job
from tests.benchmarks.measurements import Sample, Series
from tests.benchmarks.output import write_results
from tests.benchmarks.queries import Query
from tests.benchmarks.report import markdown
from tests.benchmarks.results import Results
from tests.benchmarks.rounds import QUICK
from tests.benchmarks.run import Plan, plan, run
from tests.benchmarks.targets import targets


def test_a_quick_run_measures_every_contender(tmp_path: Path) -> None:
    """The run itself fails for answers without status 200, without data, or with other rows than the upstream's."""
    results = run(QUICK, only=["warm 20", "warm 10k, as browsers"], peers=False)
    case, compressed = results.cases["warm 20"], results.cases["warm 10k, as browsers"]
    assert case.keys() - {REDIS} == {GATEWAY, PLAIN, CONSTANT}
    assert (REDIS in case) == ((shutil.which("redis-server") or shutil.which("valkey-server")) is not None)
    for series in case.values():
        assert all(sample.requests > 0 and sample.p50_ms > 0 for sample in series.samples)
    assert compressed[GATEWAY].samples[0].reply_bytes < 1_000_000
    write_results(results, tmp_path)
    written = msgspec.json.decode((tmp_path / "results.json").read_bytes())
    assert written["cases"]["warm 20"][PLAIN]["p50_ms"]["median"] > 0
    assert "plain Strawberry" in (tmp_path / "results.md").read_text(encoding="utf-8")


def test_the_gateway_and_plain_strawberry_answer_with_the_same_data() -> None:
    """Otherwise their times could not be compared."""
    document = "{ licenseDeployments(first: 30, offset: 5) { totalCount nodes { productName sold: licensesSold } } }"
    with (
        contenders.stub(rows=100) as upstream,
        contenders.gateway(upstream) as gateway,
        contenders.plain(upstream) as other,
    ):
        connection = ask(gateway, document)
        assert connection == ask(other, document)
        assert len(connection["nodes"]) == 30


def test_a_quick_run_measures_small_pages_beside_large_requests() -> None:
    """The measurement itself fails if an export or a large answer does."""
    effort = dataclasses.replace(QUICK, fairness_seconds=0.2, export_rows=2_000, large_rows=500)
    with generator() as load, generator() as other:
        fair = fairness.measure(load, other, effort)
    assert min(fair.alone_ms.median, fair.exports_ms.median, fair.large_ms.median) > 0
    assert fair.large_bytes > 1_000_000
    results = Results(fairness=fair)
    assert "beside 4 exports of 2,000 rows" in markdown(results)
    assert _measured(results) == {
        "5 cached rows beside another token's 4 exports of 2k rows",
        "5 cached rows beside 2 other tokens' answers of 2 MB",
    }


def test_a_quick_run_compares_the_csv_export_with_a_plain_writer() -> None:
    """The measurement itself fails if their bytes differ."""
    export = csv_export.measure(dataclasses.replace(QUICK, export_rows=2_000))
    assert export.writer_seconds.median > 0
    results = Results(csv=export)
    assert "CPU of 2,000 cached rows" in markdown(results)
    assert _measured(results) == {"2k cached rows exported as CSV"}


def test_a_quick_run_measures_orders_searches_and_groups_of_cached_rows() -> None:
    """The measurement itself fails if a query finds no row."""
    with generator() as load:
        measured = views.measure(load, dataclasses.replace(QUICK, view_rows=3_000))
    assert 0 < measured.bytes_per_row.median < measured.all_bytes_per_row.median
    assert min(measured.alone_ms.median, measured.beside_ms.median) > 0
    results = Results(views=measured)
    assert "### 20 of 3,000 cached rows" in markdown(results)
    assert _measured(results) == {
        "first order of 3k cached rows",
        "next page of ordered 3k cached rows",
        "another direction of ordered 3k cached rows",
        "20 cached rows beside first orders of 3k cached rows",
        "memory of ordered 3k cached rows",
    }


def _measured(results: Results) -> set[str]:
    return {target.path for target in targets(results) if target.verdict != "not measured"}


def test_an_answer_that_should_be_compressed_and_is_not_fails() -> None:
    """Otherwise the case would measure something else. Five rows are too few to be compressed."""
    with contenders.stub(rows=100) as upstream, contenders.gateway(upstream) as server, generator() as load:
        assert load.run(job(server, GATEWAY, Query(100, encodings="br"), max_requests=1)).requests == 1
        with pytest.raises(RuntimeError, match="1 of 1 answers failed"):
            load.run(job(server, GATEWAY, Query(5, fields=2, encodings="br"), max_requests=1))


def test_a_target_without_measurements_is_reported_as_not_measured() -> None:
    """It is neither PASS nor FAIL."""
    assert {target.verdict for target in targets(Results())} == {"not measured"}


def test_the_chart_is_well_formed_and_names_each_contender() -> None:
    """docs/performance.md shows it; a broken chart would not be noticed there."""
    series = {GATEWAY: _series(1.5), PLAIN: _series(420.0)}
    results = Results(cases={"warm 10k": series})
    drawing = chart(results)
    assert drawing is not None
    texts = {element.text for element in ElementTree.fromstring(drawing).iter() if element.tag.endswith("text")}
    assert {GATEWAY, PLAIN, "1.5", "420"} <= texts
    assert chart(Results()) is None


def _series(p50_ms: float) -> Series:
    return Series((Sample(p50_ms, 2 * p50_ms, 1_000 / p50_ms, p50_ms, 10, 100),))


def test_the_option_only_selects_cases_by_name_or_part_of_a_name() -> None:
    """A developer can measure a single case."""
    assert [case.name for case in _plan("cold 10k").cases] == ["cold 10k"]
    assert {case.name for case in _plan("64 clients").cases} == {"warm 20, 64 clients", "cold 20, 64 clients"}
    assert _plan("growth").cases == _plan("fairness").cases == []
    assert _plan("csv").parts == {"csv"}
    assert _plan("views").parts == {"views"}
    with pytest.raises(RuntimeError, match="No case is called 'warm 21'"):
        _plan("warm 21")


def _plan(name: str) -> Plan:
    return plan(QUICK, [name], peers=False, redis_url=None)
