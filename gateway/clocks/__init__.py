"""Clocks: the time of this process, and instants in the upstream's texts."""
