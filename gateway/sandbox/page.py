"""A page before it is encoded, and its next link in every form that was observed or is plausible."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from gateway.sandbox.forms import MISSING


@dataclass(frozen=True, slots=True)
class NextLink:
    """The parts of a next link: the request's origin, path and parameters, and the next skip.

    ``resource_path`` is the dataset's path below the API's root.
    """

    origin: str
    path: str
    resource_path: str
    parameters: Sequence[tuple[str, str]]
    """The request's parameters except top and skip, decoded."""
    top: int
    skip: int
    next_skip: int

    def query(self, skip: int, *, encode: bool) -> str:
        """Return the query string, percent-encoded, or raw as in Microsoft's examples. top and skip come first."""
        pairs = (("top", str(self.top)), ("skip", str(skip)), *self.parameters)
        return "&".join(f"{name}={quote(value, safe='') if encode else value}" for name, value in pairs)

    @property
    def resource(self) -> str:
        """The last segment of the resource path."""
        return self.resource_path.rpartition("/")[2]

    def relative(self, skip: int) -> str:
        """Return a raw link relative to the API's root, not to the request. Source: Store analytics documents."""
        return f"{self.resource}?{self.query(skip, encode=False)}"

    def absolute(self, origin: str) -> str:
        return f"{origin}{self.path}?{self.query(self.next_skip, encode=True)}"


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
    "url-relative": lambda link: f"?{link.query(link.next_skip, encode=True)}",
    # Seen in a Partner Center incident of November 2021.
    "double-v1": lambda link: f"{link.origin}/v1//v1/{link.resource_path}?{link.query(link.next_skip, encode=True)}",
    "foreign": lambda link: link.absolute("https://elsewhere.invalid"),
    "userinfo": lambda link: link.absolute("https://api.partnercenter.microsoft.com@elsewhere.invalid"),
    "changed": lambda link: f"{link.resource}?top=1&skip={link.next_skip}&filter=channel eq 'direct'",
    "control": lambda link: f"{link.resource}?skip={link.next_skip}\r\nHost: elsewhere.invalid\x00",
    "stuck": lambda link: link.relative(link.skip),
    "loop": lambda link: link.relative(0),
    "backward": lambda link: link.relative(max(0, link.skip - link.top)),
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
