"""Rules and dashboard use only metrics that the gateway exposes."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway import errors
from gateway.page import CacheState
from tests.deploy.exposed import exercised, families, labels_by_sample
from tests.deploy.promql import Matcher, grouping_labels, matchers, metrics

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
RULES: list[dict[str, Any]] = yaml.safe_load((DEPLOY / "prometheus/rules.yml").read_text(encoding="utf-8"))["groups"]
ALERTS = {rule["alert"]: rule for group in RULES for rule in group["rules"]}
DASHBOARD: dict[str, Any] = json.loads((DEPLOY / "grafana/dashboard.json").read_text(encoding="utf-8"))
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
PAGE = (DEPLOY.parent / "docs" / "operations.md").read_text(encoding="utf-8")

EXPRESSIONS = {
    **{name: rule["expr"] for name, rule in ALERTS.items()},
    **{f"{panel['title']} {target['refId']}": target["expr"] for panel in PANELS for target in panel["targets"]},
}

# Metrics of Prometheus, and process metrics that the client library exposes on Linux.
OTHERS = {"up", "process_resident_memory_bytes", "process_cpu_seconds_total", "process_open_fds"}
# Labels that Prometheus adds to every series.
TARGET_LABELS = {"job", "instance"}

CODES = {
    code
    for kind in vars(errors).values()
    if isinstance(kind, type) and isinstance(code := getattr(kind, "code", 0), str)
}
VALUES = {
    ("gateway_operations_total", "outcome"): {"ok", *CODES},
    ("gateway_upstream_attempts_total", "outcome"): {"ok", *CODES},
    ("gateway_upstream_calls_total", "outcome"): {"ok", *CODES},
    ("gateway_cache_blocks_total", "cache"): {state.name.lower() for state in CacheState},
    ("gateway_redis_pages_total", "outcome"): {"hit", "miss", "refused", "unavailable", "stored", "not_stored"},
    ("gateway_request_duration_seconds_bucket", "route"): {"/graphql"},
    ("gateway_requests_total", "route"): {"/graphql"},
    ("gateway_requests_total", "status"): {"500"},
}


@pytest.mark.parametrize("expression", EXPRESSIONS.values(), ids=EXPRESSIONS)
def test_a_query_names_only_metrics_and_labels_that_exist(expression: str) -> None:
    """Label values are checked too, so that no query is silently empty."""
    known = labels_by_sample()
    named = metrics(expression)
    assert named
    assert named <= known.keys() | OTHERS
    labels = {name: known.get(name, frozenset()) | TARGET_LABELS for name in named}
    for matcher in matchers(expression):
        assert matcher.label in labels[matcher.metric], matcher
        if matcher.label not in TARGET_LABELS:
            assert set(matcher.values) <= VALUES[matcher.metric, matcher.label], matcher
    assert grouping_labels(expression) <= set().union(*labels.values())


def test_metric_and_label_names_are_recognized_anywhere_in_a_query() -> None:
    """Otherwise the test above would pass for any query."""
    expression = 'sum by (le, a) (rate(one{b=~"x|y"}[5m])) / two > 0.5 * three_total offset 15m unless four{c="z"}'
    assert metrics(expression) == {"one", "two", "three_total", "four"}
    assert grouping_labels(expression) == {"le", "a"}
    assert list(matchers(expression)) == [Matcher("one", "b", ("x", "y")), Matcher("four", "c", ("z",))]


def test_every_metric_is_on_the_dashboard_or_in_a_rule() -> None:
    """A metric that is on neither would be useless."""
    used = {name for expression in EXPRESSIONS.values() for name in metrics(expression)}
    unseen = [
        family.name
        for family in families(exercised())
        if not used & {family.name, f"{family.name}_total", f"{family.name}_bucket"}
    ]
    assert unseen == []


def test_the_operations_page_lists_exactly_the_exposed_metrics_with_their_labels() -> None:
    listed = {
        name: frozenset(re.findall(r"`(\w+)`", labels))
        for name, labels in re.findall(r"^\| `(gateway_\w+)` \| [a-z]+ \| (.*?) \|", PAGE, re.MULTILINE)
    }
    shown = {}
    for family in families(exercised()):
        name = f"{family.name}_total" if family.type == "counter" else family.name
        shown[name] = frozenset(label for sample in family.samples for label in sample.labels) - {"le"}
    assert listed == shown


@pytest.mark.parametrize("name", ALERTS)
def test_every_alert_links_to_its_explanation(name: str) -> None:
    rule = ALERTS[name]
    assert f"\n#### {name}\n" in PAGE
    assert rule["annotations"]["runbook"] == f"docs/operations.md#{name.lower()}"
    assert rule["annotations"]["summary"].endswith(".")
    assert rule["labels"]["severity"] in ("critical", "warning")


def test_every_explained_alert_exists() -> None:
    assert set(re.findall(r"^#### (\w+)$", PAGE, re.MULTILINE)) == ALERTS.keys()


def test_panels_do_not_overlap_and_fit_the_grid() -> None:
    """Grafana's grid is 24 wide."""
    cells: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        own = {(place["x"] + i, place["y"] + j) for i in range(place["w"]) for j in range(place["h"])}
        assert not own & cells, panel["title"]
        assert place["x"] + place["w"] <= 24
        cells |= own
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids)


def test_prometheus_itself_accepts_the_rules_and_they_fire_as_described() -> None:
    """The examples are in rules.test.yml."""
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed")
    environment = {**os.environ, "TZ": "UTC"}
    for command in (
        ["check", "rules", "rules.yml"],
        ["check", "config", "prometheus.yml"],
        ["test", "rules", "rules.test.yml"],
    ):
        done = subprocess.run(
            [promtool, *command],
            cwd=DEPLOY / "prometheus",
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_provisioning_paths_match_the_compose_mounts() -> None:
    """Paths and addresses in Grafana's files are those of the compose file."""
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))["services"]
    mounts = dict(text.removesuffix(":ro").split(":") for text in services["grafana"]["volumes"])
    provider = yaml.safe_load((DEPLOY / "grafana/provisioning/dashboards/gateway.yml").read_text(encoding="utf-8"))
    folder = provider["providers"][0]["options"]["path"]
    assert mounts["./deploy/grafana/dashboard.json"] == f"{folder}/dashboard.json"
    assert services["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"] == f"{folder}/dashboard.json"
    source = yaml.safe_load((DEPLOY / "grafana/provisioning/datasources/prometheus.yml").read_text(encoding="utf-8"))
    assert source["datasources"][0]["url"] == "http://prometheus:9090"
    assert "prometheus" in services
    for service in ("grafana", "prometheus"):
        own = [text.split(":")[0] for text in services[service]["volumes"]]
        assert all((ROOT / path).exists() for path in own if path.startswith("./"))
    scrape = yaml.safe_load((DEPLOY / "prometheus/prometheus.yml").read_text(encoding="utf-8"))["scrape_configs"]
    assert scrape == [{"job_name": "gateway", "static_configs": [{"targets": ["gateway:8000"]}]}]
