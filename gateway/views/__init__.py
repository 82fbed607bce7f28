"""Views: order, conditions on measures, search, totals and local grouping over all rows of one query.

Pure computation on numpy tables: no I/O, no event loop and no GraphQL. Importing numpy takes 0.3 seconds, so import
these modules lazily. Those that describe what to compute need no numpy: conditions, order_term,
refinement and search_words.
"""
