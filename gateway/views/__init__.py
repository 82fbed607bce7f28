"""Views: order, conditions on measures, search, totals and local grouping over all rows of one query.

Pure computation on numpy tables: no I/O, no event loop and no GraphQL. Importing a module of this package imports
numpy, which takes 0.3 seconds, so import lazily.
"""
