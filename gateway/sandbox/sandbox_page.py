"""A page before it is encoded, and its next link in every form that was observed or is plausible."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, urlencode

from gateway.sandbox.forms import MISSING
from gateway.sandbox.parameters import SandboxQuery


@dataclass(frozen=True, slots=True)
class NextLink:
    """The parts of a next link: the request's origin and path, its query, and the next skip.

    ``resource_path`` is the dataset's path below the API's root.
    """

    origin: str
    path: str
    resource_path: str
    query: SandboxQuery
    next_skip: int

    def _parameters(self, skip: int) -> Sequence[tuple[str, str]]:
        return (("top", str(self.query.top)), ("skip", str(skip)), *self.query.link_parameters)

    @property
    def encoded(self) -> str:
        """The percent-encoded query string for the next skip."""
        return urlencode(self._parameters(self.next_skip), quote_via=quote, safe="")

    @property
    def resource(self) -> str:
        """The last segment of the resource path."""
        return self.resource_path.rpartition("/")[2]

    def relative(self, skip: int) -> str:
        """Return a raw link relative to the API's root, as in Microsoft's examples and Store analytics documents."""
        return f"{self.resource}?{'&'.join(f'{name}={value}' for name, value in self._parameters(skip))}"

    def absolute(self, origin: str) -> str:
        return f"{origin}{self.path}?{self.encoded}"


@dataclass(frozen=True, slots=True)
class SandboxPage:
    """The rows or groups of one response, the number of all rows or groups, and the link to the next page."""

    rows: list[dict[str, object]]
    total: int
    link: NextLink

    @property
    def has_next(self) -> bool:
        return self.link.next_skip < self.total


_Style = Callable[[NextLink], object]

# Forms of a link that appears only if there are more rows.
_STYLES: Final[Mapping[str, _Style]] = {
    "relative": lambda link: link.relative(link.next_skip),
    "absolute": lambda link: link.absolute(link.origin),
    "url-relative": lambda link: f"?{link.encoded}",
    # Seen in a Partner Center incident of November 2021.
    "double-v1": lambda link: f"{link.origin}/v1//v1/{link.resource_path}?{link.encoded}",
    "foreign": lambda link: link.absolute("https://elsewhere.invalid"),
    "userinfo": lambda link: link.absolute("https://api.partnercenter.microsoft.com@elsewhere.invalid"),
    "changed": lambda link: f"{link.resource}?top=1&skip={link.next_skip}&filter=channel eq 'direct'",
    "control": lambda link: f"{link.resource}?skip={link.next_skip}\r\nHost: elsewhere.invalid\x00",
    "stuck": lambda link: link.relative(link.query.skip),
    "loop": lambda link: link.relative(0),
    "backward": lambda link: link.relative(max(0, link.query.skip - link.query.top)),
    "number": lambda link: link.next_skip,
    "object": lambda link: {"uri": link.relative(link.next_skip), "method": "GET"},
    "always-null": lambda _: None,
    "never": lambda _: None,
    "missing": lambda _: MISSING,
}
# Forms of the relative link that also appears on the last page, or even after it.
_ENDLESS: Final = ("on-last", "endless")

LINK_STYLES: Final = (*_STYLES, *_ENDLESS)


def link_value(style: str, page: SandboxPage) -> object:
    """Return the next link of a page in a style; MISSING if the style leaves it out."""
    if style in _ENDLESS:
        is_shown = page.has_next or page.rows or style == "endless"
        return page.link.relative(page.link.next_skip) if is_shown else None
    return _STYLES[style](page.link) if page.has_next or style == "missing" else None
