"""The catalogue of experiments; torch lives in this package and nowhere else."""
