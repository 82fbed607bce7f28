"""Views: order, conditions on measures, search, totals and local grouping over all rows of one query.

Pure computation on numpy tables: no I/O, no event loop and no GraphQL. Importing numpy takes 0.3 seconds, so import
these modules lazily. Only conditions, order_term, refinement and search_words, which describe what to compute, do not
import it.
"""
