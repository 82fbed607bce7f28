"""Focus rings and icons have enough contrast to be seen, in real Chromium: WCAG 2.2, 1.4.11 and 2.4.13."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.browser.results import connection, product

if TYPE_CHECKING:
    from tests.browser.conftest import Chromium, GraphiqlPage

ENOUGH = 3
MAX_STOPS = 150
# Contrast of colors as WCAG defines it; transparent ones lie on what is behind them. A canvas reads any CSS color.
COLORS = """
  const pen = Object.assign(document.createElement("canvas"), { width: 1, height: 1 })
    .getContext("2d", { willReadFrequently: true });
  const over = (color, ground) => {
    pen.fillStyle = `rgb(${ground.join(" ")})`;
    pen.fillRect(0, 0, 1, 1);
    pen.fillStyle = color;
    pen.fillRect(0, 0, 1, 1);
    return [...pen.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const groundOf = (element) => {
    if (!element) return over(getComputedStyle(document.body).backgroundColor, [255, 255, 255]);
    return over(getComputedStyle(element).backgroundColor, groundOf(element.parentElement));
  };
  const light = (color) => {
    const linear = (value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
    const [r, g, b] = color.map((value) => linear(value / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b + 0.05;
  };
  const contrast = (a, b) => Math.max(light(a), light(b)) / Math.min(light(a), light(b));
"""
RING = (
    "() => {"
    + COLORS
    + """
  const focused = document.activeElement;
  const element = focused.closest(".CodeMirror") ?? focused;
  const style = getComputedStyle(element);
  const ground = groundOf(parseFloat(style.outlineOffset) < 0 ? element : element.parentElement);
  const isDrawn = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
  // Tab also moves between the parts of a date, which are in one element.
  const isEnd = focused === document.body || (window.seen.has(focused) && focused !== window.last);
  window.seen.add(focused);
  window.last = focused;
  return {
    name: focused.ariaLabel ?? `${focused.title} ${focused.textContent}`,
    contrast: isDrawn ? contrast(over(style.outlineColor, ground), ground) : 0,
    isEnd,
  };
}"""
)
ICONS = (
    "() => {"
    + COLORS
    + """
  return [...document.querySelectorAll(".graphiql-container button svg, .results button svg")]
    .filter((icon) => icon.checkVisibility() && icon.getBoundingClientRect().width > 0)
    .map((icon) => {
      const ground = groundOf(icon.parentElement);
      const button = icon.closest("button");
      return [
        button.ariaLabel ?? button.title,
        contrast(over(getComputedStyle(icon).color, ground), ground),
      ];
    });
}"""
)


def rings(graphiql: GraphiqlPage) -> list[dict[str, Any]]:
    """Press Tab until the focus leaves the page; return what is visible of each focus."""
    graphiql.page.evaluate("() => { window.seen = new WeakSet(); document.activeElement.blur(); }")
    graphiql.page.mouse.click(2, 2)
    stops: list[dict[str, Any]] = []
    while len(stops) < MAX_STOPS:
        graphiql.page.keyboard.press("Tab")
        stop = graphiql.page.evaluate(RING)
        if stop["isEnd"]:
            return stops
        stops.append(stop)
    pytest.fail("the focus never leaves the page")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_every_focus_ring_and_icon_is_visible(chromium: Chromium, scheme: Any, width: int) -> None:
    with chromium.graphiql(viewport={"width": width, "height": 800}, color_scheme=scheme) as graphiql:
        graphiql.open()
        graphiql.answer_with(
            connection({"customerTenantId": "965EDA32-DAE4-4550-8201-E2BD73AB4876"} | product("a", 1, 1))
        )
        graphiql.run()
        graphiql.show("Table")
        seen = rings(graphiql)
        names = " ".join(stop["name"] for stop in seen)
        for expected in ("Documentation", "settings", "Close Tab", "Execute query", "Copy query", "CSV", "New tab"):
            assert expected in names
        assert [stop for stop in seen if stop["contrast"] < ENOUGH] == []
        icons = graphiql.page.evaluate(ICONS)
        assert len(icons) > 8
        assert [icon for icon in icons if icon[1] < ENOUGH] == []
        graphiql.page.get_by_role("button", name="Open settings dialog").click()
        graphiql.page.keyboard.press("Tab")
        assert graphiql.page.evaluate(RING)["contrast"] >= ENOUGH


def test_the_check_finds_a_faint_ring_and_a_faint_icon(graphiql: GraphiqlPage) -> None:
    faint = ("{ outline-color: #ddd !important }", "{ color: #ccc !important }")
    css = f".graphiql-sidebar :focus-visible {faint[0]} .graphiql-sidebar svg {faint[1]}"
    graphiql.page.add_style_tag(content=css)
    assert any(stop["contrast"] < ENOUGH for stop in rings(graphiql))
    assert any(contrast < ENOUGH for _, contrast in graphiql.page.evaluate(ICONS))
