"""Studies: many runs that answer one question. No torch, no numpy, no matplotlib here: the API plans and compares."""
