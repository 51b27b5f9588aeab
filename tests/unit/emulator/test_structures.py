"""Our declarations of CUDA's structures against the headers that come with torch, by the compiler."""

import subprocess
from importlib.util import find_spec
from pathlib import Path

import pytest

from emulator.build import SOURCES

SIZES = {
    "DeviceProperties": "struct cudaDeviceProp",
    "PointerAttributes": "struct cudaPointerAttributes",
    "FunctionAttributes": "struct cudaFuncAttributes",
    "AllocationProperties": "CUmemAllocationProp",
    "MemoryLocation": "CUmemLocation",
    "MatmulHeuristic": "cublasLtMatmulHeuristicResult_t",
}
PLACES = {
    ("DeviceProperties", "multiprocessors"): "multiProcessorCount",
    ("DeviceProperties", "surface_alignment"): "surfaceAlignment",
    ("DeviceProperties", "l2_bytes"): "l2CacheSize",
    ("DeviceProperties", "shared_bytes_per_block_optin"): "sharedMemPerBlockOptin",
    ("DeviceProperties", "memory_pools"): "memoryPoolsSupported",
    ("PointerAttributes", "device_pointer"): "devicePointer",
    ("FunctionAttributes", "dynamic_shared_bytes"): "maxDynamicSharedSizeBytes",
    ("AllocationProperties", "location"): "location",
    ("MatmulHeuristic", "workspace_bytes"): "workspaceSize",
}


@pytest.fixture
def headers(tmp_path: Path) -> list[Path]:
    spec = find_spec("nvidia")
    folders = [Path(place) / "cu13/include" for place in spec.submodule_search_locations or ()] if spec else []
    found = [folder for folder in folders if (folder / "driver_types.h").exists()]
    if not found:
        pytest.skip("CUDA's headers are not installed")
    # The wheels leave out the folder `crt`, of which only what decorates a declaration is needed.
    crt = tmp_path / "crt"
    crt.mkdir()
    for name in ("host_defines.h", "host_config.h"):
        (crt / name).write_text(
            "#define __host__\n#define __device__\n#define __device_builtin__\n#define __cudart_builtin__\n"
            "#define __align__(n) __attribute__((aligned(n)))\n#define CUDARTAPI\n#define CUDARTAPI_CDECL\n"
            "#define __inline__ inline\n#define __location__(a)\n#define __builtin_align__(n) __align__(n)\n"
            "#define __device_builtin_texture_type__\n#define __device_builtin_surface_type__\n"
        )
    return [tmp_path, *found]


def test_sizes_and_places_are_those_of_the_headers(headers: list[Path], tmp_path: Path) -> None:
    lines = [
        '#include "structures.h"', "#include <cuda.h>", "#include <driver_types.h>",
        # Number formats that only C++ can read, and nothing here uses.
        "#define __CUDA_FP16_H__", "#define __CUDA_BF16_H__", "#include <cublasLt.h>",
        *(f'_Static_assert(sizeof({ours}) == sizeof({theirs}), "{ours}");' for ours, theirs in SIZES.items()),
        *(
            f'_Static_assert(offsetof({ours}, {field}) == offsetof({SIZES[ours]}, {theirs}), "{ours}.{field}");'
            for (ours, field), theirs in PLACES.items()
        ),
    ]  # fmt: skip
    source = tmp_path / "structures.c"
    source.write_text("\n".join(lines) + "\n")
    folders = [f"-I{folder}" for folder in (SOURCES, *headers)]
    found = subprocess.run(["cc", "-std=gnu11", "-fsyntax-only", *folders, source], capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
