"""A lab with something to see: two GPUs (a fake driver's), jobs in every state, curves, files, a study."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.browser import classroom
from tests.fakes.nvml import GIB, FakeGpu, FakeNvml, build_library
from tests.lab import Lab, wait_until

START_SECONDS = 150.0
"""The first job waits for torch to be loaded, which takes long on a busy machine."""
TRAINING = {"model": "mlp", "images_per_class": 20, "epochs": 40}


class Scene(Lab):
    """A whole lab, and the ids of what happens in it."""

    def __init__(self, folder: Path) -> None:
        self.world = FakeNvml(folder, build_library(folder))
        # Three jobs are looked at all along, beside two cores that draw pages.
        super().__init__(folder, settings={**self.world.env, "GPULAB_SAMPLE_HZ": "2"})
        self.ids: dict[str, str] = {}
        self.gate = folder / "gate"
        self.world.write(
            FakeGpu("GPU-7d1c", name="NVIDIA A100 80GB", utilization=83, power=291_000, temperature=67,
                    processes={"*": 9 * GIB}),
            FakeGpu("GPU-90ab", name="NVIDIA A100 80GB", utilization=46, power=183_000, temperature=52,
                    processes={"*": 11 * GIB}),
        )  # fmt: skip

    def play(self) -> None:
        """Let everything happen, up to jobs that run and jobs that wait until the end."""
        wait_until(lambda: len(self.client.get("/v1/gpus").json()["items"]) == 2, what="two GPUs")
        self._finished()
        self.ids["study"] = self.client.post(
            "/v1/studies", json={"template": "course/1b", "scale": "smoke", "name": "Dropout on a linear unit"}
        ).json()["id"]
        for name in ("failed", "diverged", "out_of_memory"):
            self.wait_for(self.ids[name], "failed", timeout_seconds=START_SECONDS)
        for name in ("trained", "trained_more", "done"):
            self.wait_for(self.ids[name], "succeeded", timeout_seconds=START_SECONDS)
        study = f"/v1/studies/{self.ids['study']}"
        wait_until(
            lambda: self.client.get(study).json()["state"] == "succeeded",
            what="the study",
            timeout_seconds=START_SECONDS,
        )
        self._unfinished()
        self.ids |= classroom.fill(self)

    def _finished(self) -> None:
        self.ids["failed"] = self.submit("probe", {"steps": 4, "ending": "error"}, name="a slip in the code")
        self.ids["diverged"] = self.submit("probe", {"steps": 3, "ending": "diverged"}, name="too high a rate")
        self.ids["out_of_memory"] = self.submit(
            "probe", {"ending": "out_of_memory", "snapshot": True}, name="too large a batch"
        )
        self.ids["trained"] = self.submit("edge-bands", TRAINING, name="bands, few images", tags=["homework", "part-4"])
        more = {**TRAINING, "images_per_class": 50}
        self.ids["trained_more"] = self.submit("edge-bands", more, name="bands, more images", tags=["homework"])
        sized = {"model": "resnet18", "batch_size": 8, "image_size": 32}
        self.ids["sized"] = self.submit("model-memory", sized, name="memory of a small model")
        self.ids["done"] = self.submit("dropout-linear", {"dropout": 0.5}, name="ridge by dropout")

    def _unfinished(self) -> None:
        self.ids["running"] = self._gated("batch 64 on a whole GPU", steps=400)
        self.wait_for(self.ids["running"], "running")
        small = {"gpu_memory_bytes": 34 * GIB}
        self.ids["small"] = self._gated("packed, first", steps=500, **small)
        self.ids["neighbour"] = self._gated("packed, second", steps=900, **small)
        for name in ("small", "neighbour"):
            self.wait_for(self.ids[name], "running")
        self.go_on(260)
        for number in (1, 2):
            self.ids[f"waiting_{number}"] = self._gated(f"waits for a GPU, {number}", **small)
        wait_until(lambda: self._queue()["reason"] != "next_in_line", what="a reason to wait")
        wait_until(lambda: (self.job(self.ids["running"])["progress"] or {}).get("fraction", 0) >= 0.6, what="progress")

    def _queue(self) -> Any:
        return self.client.get(f"/v1/jobs/{self.ids['waiting_1']}/queue").json()

    def _gated(self, name: str, *, steps: int = 1, **fields: Any) -> str:
        return self.submit("probe-gpu", {"steps": steps, "gate": str(self.gate)}, name=name, **fields)

    @contextmanager
    def drained(self) -> Iterator[None]:
        """Nothing new starts meanwhile."""
        node = f"/v1/nodes/{self.client.get('/v1/nodes').json()['items'][0]['name']}"
        self.client.post(f"{node}/drain").raise_for_status()
        try:
            yield
        finally:
            self.client.post(f"{node}/undrain").raise_for_status()

    def go_on(self, step: int) -> None:
        """Let the running jobs go on to the step."""
        beside = self.gate.with_suffix(".new")
        beside.write_text(str(step))
        beside.rename(self.gate)


def main() -> None:
    """Play the scene and keep it up, for looking at it: `python -m tests.browser.scene FOLDER`."""
    import sys

    scene = Scene(Path(sys.argv[1]))
    try:
        scene.start()
        scene.play()
        sys.stdout.write(f"{scene.url}  {scene.token}\n")
        sys.stdout.flush()
        while True:
            time.sleep(3600)
    finally:
        scene.stop()


if __name__ == "__main__":
    main()
