"""Concurrency limits for upstream calls: per token and for the whole process."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable, Container
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

from gateway.errors import DeadlineExceeded, ServiceUnavailable
from gateway.scheduling.permits import Patience, Permits, TokenPermits, never

_token_is_busy = partial(
    DeadlineExceeded,
    "Timed out waiting for this token's other upstream requests. Retry later, or request less at once.",
)
no_connection_left = partial(ServiceUnavailable, "All upstream connections of the gateway are in use. Retry later.")


class ConcurrencyLimiter:
    """Limits concurrent upstream calls; ``held`` counts those in flight. A token's queue exists only while in use.

    Tokens that are not ``accepted`` share half of all permits, so that made-up ones do not delay accepted ones. Among
    them, tokens with no call in flight are first: further calls are wasted if the upstream refuses the token.
    """

    def __init__(self, *, per_token: int, total: int, accepted: Container[bytes] = ()) -> None:
        self._tokens = TokenPermits(per_token)
        self._all = Permits(total)
        self._accepted = accepted
        self._unaccepted = Permits((total + 1) // 2)
        # The calls in flight of each token that is not accepted.
        self._unaccepted_held: Counter[bytes] = Counter()
        self.held = 0
        # Patient callers that wait.
        self._patient = 0

    def __len__(self) -> int:
        return len(self._tokens)

    @property
    def waiting(self) -> int:
        """The callers that wait, except patient ones."""
        return self._tokens.callers - self.held - self._patient

    def refuse_waiting(self, locator: bytes, error: Callable[[], Exception]) -> None:
        """Let all waiting calls of a token fail with what ``error`` returns: the upstream has refused the token."""
        self._tokens.refuse_waiting(locator, error)

    @asynccontextmanager
    async def hold(self, locator: bytes, deadline: float, *, is_patient: Patience = never) -> AsyncIterator[None]:
        """Hold a permit during the context, waiting for it until ``deadline`` on the loop's clock.

        A patient caller waits until all others have got theirs. Raises DeadlineExceeded if the token's limit is the
        obstacle, ServiceUnavailable if the process's limit is.
        """
        async with AsyncExitStack() as stack:
            was_patient = is_patient()
            self._patient += was_patient
            try:
                check_refusal = await stack.enter_async_context(
                    self._tokens.hold(locator, deadline, _token_is_busy, is_patient=is_patient)
                )
                if locator not in self._accepted:
                    await stack.enter_async_context(self._hold_unaccepted(locator, deadline, is_patient))
                await stack.enter_async_context(self._all.hold(deadline, no_connection_left, is_patient=is_patient))
                check_refusal()
            finally:
                self._patient -= was_patient
            self.held += 1
            try:
                yield
            finally:
                self.held -= 1

    @asynccontextmanager
    async def _hold_unaccepted(self, locator: bytes, deadline: float, is_patient: Patience) -> AsyncIterator[None]:
        def is_further() -> bool:
            return self._unaccepted_held[locator] > 0 or is_patient()

        async with self._unaccepted.hold(deadline, no_connection_left, is_patient=is_further):
            self._unaccepted_held[locator] += 1
            try:
                yield
            finally:
                self._unaccepted_held[locator] -= 1
                if not self._unaccepted_held[locator]:
                    del self._unaccepted_held[locator]
