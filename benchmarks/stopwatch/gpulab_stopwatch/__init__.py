"""A plug-in experiment that says when things happened; the benchmarks put this folder's parent on the labs' path."""
