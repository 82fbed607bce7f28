"""The benchmark works, and compares like with like. No figure of it is asserted: a test machine's are noise."""

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
from tests.benchmarks.figures import Sample, Series
from tests.benchmarks.results import Results
from tests.benchmarks.rounds import QUICK
from tests.benchmarks.run import Plan, plan, run
from tests.benchmarks.verdicts import verdicts
from tests.benchmarks.writing import write


def test_a_quick_run_finds_figures_for_every_contender(tmp_path: Path) -> None:
    """The run itself refuses answers that are not 200, not data, or not the upstream's rows."""
    results = run(QUICK, only=["warm 20"], peers=False)
    found = results.cases["warm 20"]
    assert found.keys() - {REDIS} == {GATEWAY, PLAIN, CONSTANT}
    assert (REDIS in found) == ((shutil.which("redis-server") or shutil.which("valkey-server")) is not None)
    for series in found.values():
        assert all(sample.requests > 0 and sample.p50_ms > 0 for sample in series.samples)
    write(results, tmp_path)
    written = msgspec.json.decode((tmp_path / "results.json").read_bytes())
    assert written["cases"]["warm 20"][PLAIN]["p50_ms"]["median"] > 0
    assert "plain Strawberry" in (tmp_path / "results.md").read_text(encoding="utf-8")


def test_the_gateway_and_plain_strawberry_answer_with_the_same_data() -> None:
    """Otherwise their times would not be comparable."""
    document = "{ licenseDeployments(first: 30, offset: 5) { totalCount nodes { productName sold: licensesSold } } }"
    with (
        contenders.stub(rows=100) as upstream,
        contenders.gateway(upstream) as gateway,
        contenders.plain(upstream) as other,
    ):
        found = ask(gateway, document)
        assert found == ask(other, document)
        assert len(found["nodes"]) == 30


def test_an_aim_without_figures_is_told_as_not_measured() -> None:
    """Never as reached, and never as missed."""
    assert {verdict.word for verdict in verdicts(Results())} == {"not measured"}


def test_the_chart_is_well_formed_and_names_everyone() -> None:
    """docs/performance.md shows it, where nothing would complain."""
    series = {GATEWAY: _series(1.5), PLAIN: _series(420.0)}
    results = Results(cases={"warm 10k": series})
    drawing = chart(results)
    assert drawing is not None
    texts = {element.text for element in ElementTree.fromstring(drawing).iter() if element.tag.endswith("text")}
    assert {GATEWAY, PLAIN, "1.5", "420"} <= texts
    assert chart(Results()) is None


def _series(p50_ms: float) -> Series:
    return Series((Sample(p50_ms, 2 * p50_ms, 1_000 / p50_ms, p50_ms, 10, 100),))


def test_only_takes_one_case_by_its_name_and_several_by_a_part_of_it() -> None:
    """So that a developer can look at one figure."""
    assert [case.name for case in _plan("cold 10k").cases] == ["cold 10k"]
    assert {case.name for case in _plan("64 clients").cases} == {"warm 20, 64 clients", "cold 20, 64 clients"}
    assert _plan("growth").cases == []
    with pytest.raises(RuntimeError, match="No case is called 'warm 21'"):
        _plan("warm 21")


def _plan(name: str) -> Plan:
    return plan(QUICK, [name], peers=False, redis_url=None)
