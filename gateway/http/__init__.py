"""HTTP layers that stand alone: CORS, health, compression, headers and error responses."""
