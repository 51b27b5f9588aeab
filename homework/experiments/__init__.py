"""The experiments that only the homework needs, one package each."""
