"""`python -m experiments.torch_probe`: whether torch loads and which GPUs it sees, as JSON for `gpulab doctor`."""

import json
import sys

import torch


def main() -> int:
    gpus = (
        [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())] if torch.cuda.is_available() else []
    )
    found = {"version": torch.__version__, "built_for": torch.version.cuda, "gpus": gpus}
    sys.stdout.write(json.dumps(found) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
