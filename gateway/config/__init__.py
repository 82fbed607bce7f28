"""Settings, and the values they are validated with."""
