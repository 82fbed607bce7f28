"""ServerClock: the Redis server's clock, which processes share although their own clocks differ."""

from __future__ import annotations

from gateway.clocks.clock import Clock

# Our choice: clocks that are set by NTP differ by less. Values dated further in the future are not trusted.
MAX_AHEAD_SECONDS = 2.0


class ServerClock:
    """Converts moments, in seconds of this process's monotonic clock, to times of the server, and back."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        # The server's clock minus the monotonic one. The wall clock replaces the server's until that is read.
        self._ahead_seconds = clock.wall() - clock.monotonic()

    def adjust(self, server_seconds: float, moment: float) -> None:
        """Correct the difference: the server's clock showed ``server_seconds`` at ``moment`` or shortly afterwards."""
        self._ahead_seconds = server_seconds - moment

    def time_of(self, moment: float) -> float:
        return moment + self._ahead_seconds

    def moment_of(self, server_seconds: float) -> float:
        return server_seconds - self._ahead_seconds

    def is_future(self, server_seconds: float) -> bool:
        """Return True for times that are too far ahead of the server's clock."""
        return self.moment_of(server_seconds) > self._clock.monotonic() + MAX_AHEAD_SECONDS

    def past_moment_of(self, server_seconds: float, wall_seconds: float) -> float | None:
        """Return the moment of an event that another process dated by the server's clock and by its own wall clock.

        The older of the two dates counts. Return None if either is too far in the future.
        """
        now = self._clock.monotonic()
        ages = now - self.moment_of(server_seconds), self._clock.wall() - wall_seconds
        return None if min(ages) < -MAX_AHEAD_SECONDS else now - max(0.0, *ages)
