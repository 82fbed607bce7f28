"""How quick the gateway is, beside others that do the same work: ``python -m tests.benchmarks``.

Everything runs on this machine in one go: a stub upstream, each contender in a process of its own, and a load
generator in another. Read the figures as ratios within one run; absolute times belong to one machine and one day.
"""
