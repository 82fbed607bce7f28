"""Clocks: the time of this process, and instants in texts from outside."""
