"""The caller of an operation: its token, and what the operation may use."""

from __future__ import annotations

from dataclasses import dataclass, field

from gateway.access_token import AccessToken
from gateway.errors import QueryTooComplex
from gateway.held_rows import OperationRows


@dataclass(slots=True)
class Cost:
    """The upstream attempts that one operation has started so far, and the rows that they returned.

    Joined calls count for the operation that started them. Calls in the background count for none.
    """

    upstream_calls: int = 0
    rows_read: int = 0


class Budget:
    """Budget of upstream calls for one operation, or for one block of an export.

    A fetch reserves one call before it starts, because fields run concurrently, and settles the calls behind its page
    afterwards, including those that it joined. UpstreamClient counts the actual ``cost``.
    """

    __slots__ = ("cost", "max_calls", "spent_calls")

    def __init__(self, max_calls: int, cost: Cost | None = None) -> None:
        self.max_calls = max_calls
        self.spent_calls = 0
        self.cost = Cost() if cost is None else cost

    def reserve(self) -> None:
        """Reserve one call. Raises QueryTooComplex if the budget is used up."""
        if self.spent_calls >= self.max_calls:
            raise QueryTooComplex(
                f"This operation needs more than {self.max_calls} upstream calls. Request fewer rows or fields at once."
            )
        self.spent_calls += 1

    def settle(self, calls: int) -> None:
        """Replace a reserved call by the number of ``calls`` made, 0 for a cache hit."""
        self.spent_calls += calls - 1


class Ahead:
    """Marks a fetch that was started before anyone needed its rows. ``is_needed`` becomes True when somebody does."""

    __slots__ = ("_awaited", "is_needed")

    def __init__(self) -> None:
        self.is_needed = False
        # The fetches that this one waits for.
        self._awaited: list[Ahead] = []

    def need(self) -> None:
        """Note that somebody needs the rows, and thus those of every fetch that this one waits for."""
        if not self.is_needed:
            self.is_needed = True
            for other in self._awaited:
                other.need()

    def wait_for(self, other: Ahead) -> None:
        """Note that this fetch waits for ``other``, which is needed as soon as this one is."""
        self._awaited.append(other)
        if self.is_needed:
            other.need()


@dataclass(frozen=True, slots=True)
class Caller:
    """The caller of an operation. Results belong to token and locale; the other fields belong to this operation only.

    ``deadline`` is in seconds on the event loop's clock. ``ahead`` is set if the rows are fetched ahead. ``held``
    counts the rows that the operation keeps.
    """

    token: AccessToken
    locale: str | None = None
    correlation_id: str = field(default="", compare=False)
    deadline: float = field(default=float("inf"), compare=False)
    budget: Budget = field(default_factory=lambda: Budget(1_000_000), compare=False, repr=False)
    ahead: Ahead | None = field(default=None, compare=False)
    held: OperationRows | None = field(default=None, compare=False, repr=False)

    @property
    def is_ahead(self) -> bool:
        """True while no one needs the rows."""
        return self.ahead is not None and not self.ahead.is_needed
