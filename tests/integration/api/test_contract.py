"""Requests made up from the contract, good and bad: every answer is one that the contract announces."""

import threading
import time
from collections.abc import Iterator
from itertools import cycle

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as hypothesis_settings
from schemathesis.specs.openapi.checks import positive_data_acceptance

from api.__main__ import server_of
from gpulab.states import Role
from models.settings import ApiSettings
from tests.access_rules import RULES
from tests.integration.api.seeds import SeededUser, Seeds

ENDLESS = {"stream_jobs", "stream_job"}
PROBES = {"get_health", "get_readiness", "get_metrics"}
EXAMPLES = 6
"""Of each operation: twice for each role."""


@pytest.fixture
def address(settings: ApiSettings) -> Iterator[str]:
    """A server in a thread, for a client that blocks."""
    # It tries wrong tokens on every call.
    server = server_of(settings.model_copy(update={"failed_sign_ins_per_minute": 10_000}))
    thread = threading.Thread(target=server.run)
    thread.start()
    deadline = time.monotonic() + 20
    while not server.started and time.monotonic() < deadline:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_answers_are_as_announced(address: str, admin: SeededUser, seeds: Seeds) -> None:
    seeds.node()
    job_id = seeds.job(admin)
    speakers = cycle([admin, seeds.user("grace", Role.INSTRUCTOR), seeds.user("sam", Role.STUDENT)])
    contract = schemathesis.openapi.from_url(f"{address}/openapi.json")
    checked = set()
    for found in contract.get_all_operations():
        operation = found.ok()
        name = operation.definition.raw["operationId"]
        if name in ENDLESS or not operation.path.startswith("/v1/"):
            continue

        @hypothesis_settings(
            max_examples=EXAMPLES,
            deadline=None,
            derandomize=True,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy())
        def check(case: schemathesis.Case) -> None:
            if "job_id" in case.path_parameters and case.path_parameters["job_id"] != "":
                case.path_parameters["job_id"] = str(job_id)
            if case.query:
                case.query.pop("wait", None)
            # What the experiments and the cursors demand is more than a schema can say.
            headers = next(speakers).headers
            case.call_and_validate(headers=headers, timeout=20, excluded_checks=[positive_data_acceptance])

        check()
        checked.add(name)
    assert checked == RULES.keys() - ENDLESS - PROBES
