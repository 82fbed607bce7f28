"""Speed of the gateway compared with other servers that do the same work: ``python -m tests.benchmarks``.

One run starts everything on this machine: a stub upstream, each contender in a separate process, and a load generator
in another. Compare ratios within one run; absolute times depend on the machine and the day.
"""
