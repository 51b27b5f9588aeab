"""`python -m sandbox`: says as JSON whether this machine can contain a program, for `gpulab doctor`."""

import json

from sandbox.capability import capability, mend, running_as_root

reason = capability()
print(json.dumps({"reason": reason, "mend": reason and mend(reason), "as_root": running_as_root()}))  # noqa: T201
