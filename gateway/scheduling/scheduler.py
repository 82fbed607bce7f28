"""The things that requests of a process share: turns on the event loop, the worker thread, and room for rows."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial

from gateway.scheduling.accepted_tokens import AcceptedTokens
from gateway.scheduling.backlog import Backlog
from gateway.scheduling.rotation import Rotation, Turns
from gateway.scheduling.worker_thread import InThread, WorkerThread


@dataclass(frozen=True, slots=True)
class Scheduler:
    """Long work runs in ``slices`` of the event loop or in ``thread``; rows arrive when the ``backlog`` has room.

    Each of the ``accepted`` tokens has its own turns; all others share one place.
    """

    slices: Rotation = field(default_factory=Rotation)
    thread: WorkerThread = field(default_factory=WorkerThread)
    backlog: Backlog = field(default_factory=Backlog)
    accepted: AcceptedTokens = field(default_factory=AcceptedTokens)

    def turns_of(self, owner: bytes) -> tuple[Turns, InThread]:
        """Return what gives turns of ``owner`` on the event loop, and what runs work in the thread."""
        return partial(self.slices.turn, owner), self.thread.of(owner)
