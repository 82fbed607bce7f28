"""Run one operation: parse, limits, validation, execution and projection."""
