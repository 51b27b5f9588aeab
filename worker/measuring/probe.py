"""`python -m worker.measuring.probe`: what the driver shows of the GPUs here, as a line of JSON for `gpulab doctor`."""

import json
import sys

from worker.measuring.nvml import Nvml, NvmlAbsent


def main() -> int:
    nvml = Nvml.open()
    if isinstance(nvml, NvmlAbsent):
        found: dict[str, object] = {"absent": nvml.reason}
    else:
        gpus = nvml.gpus()
        found = {"gpus": [[g.name, g.memory_total_bytes, g.driver_version, g.healthy, g.reason] for g in gpus]}
    sys.stdout.write(json.dumps(found) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
