"""What users and Prometheus are told while the artifact store takes no files."""

import httpx
from fastapi import FastAPI

from gpulab.states import WaitReason
from models.statements import job_events, queue
from tests.integration.api.seeds import SeededUser, Seeds


async def test_store_that_takes_no_files_is_named_to_those_who_wait_and_in_the_metrics(
    app: FastAPI, client: httpx.AsyncClient, admin: SeededUser, seeds: Seeds
) -> None:
    app.state.app.metrics.seconds = 0
    seeds.node()
    running, waiting = seeds.job(admin), seeds.job(admin)
    seeds.run(running)

    def say(event: str, message: str) -> None:
        with seeds.engine.begin() as connection:
            token = seeds.tokens[running]
            connection.execute(job_events.warn(token, event=event, actor="node:node-1", message=message))

    async def explained() -> tuple[bool, float]:
        answer = (await client.get(f"/v1/jobs/{waiting}/queue")).json()["explanation"]
        lines = (await client.get("/metrics")).text.splitlines()
        (count,) = (line.split()[1] for line in lines if line.startswith("gpulab_jobs_waiting_for_store "))
        return "No space left on device" in answer, float(count)

    with seeds.engine.begin() as connection:
        connection.execute(queue.explain([(waiting, WaitReason.NO_FREE_SLOT, "every slot is taken")]))
    assert await explained() == (False, 0)
    say("job.files_wait", "its files cannot be stored now: No space left on device")
    assert await explained() == (True, 1)
    say("job.files_stored", "its files are stored")
    assert await explained() == (False, 0)
