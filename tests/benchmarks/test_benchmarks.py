"""The benchmark runs, and compares the same work. No measurement is asserted: on a test machine it is noise."""

from __future__ import annotations

import shutil
from pathlib import Path
from xml.etree import ElementTree

import msgspec
import pytest

from tests.benchmarks import contenders
from tests.benchmarks.agreement import ask
from tests.benchmarks.chart import chart
from tests.benchmarks.contenders import CONSTANT, GATEWAY, PLAIN, REDIS
from tests.benchmarks.measurements import Sample, Series
from tests.benchmarks.output import write_results
from tests.benchmarks.results import Results
from tests.benchmarks.rounds import QUICK
from tests.benchmarks.run import Plan, plan, run
from tests.benchmarks.targets import targets


def test_a_quick_run_measures_every_contender(tmp_path: Path) -> None:
    """The run itself fails for answers without status 200, without data, or with other rows than the upstream's."""
    results = run(QUICK, only=["warm 20"], peers=False)
    case = results.cases["warm 20"]
    assert case.keys() - {REDIS} == {GATEWAY, PLAIN, CONSTANT}
    assert (REDIS in case) == ((shutil.which("redis-server") or shutil.which("valkey-server")) is not None)
    for series in case.values():
        assert all(sample.requests > 0 and sample.p50_ms > 0 for sample in series.samples)
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
    assert _plan("growth").cases == []
    with pytest.raises(RuntimeError, match="No case is called 'warm 21'"):
        _plan("warm 21")


def _plan(name: str) -> Plan:
    return plan(QUICK, [name], peers=False, redis_url=None)
