"""The experiments that gpulab ships, one package each."""
