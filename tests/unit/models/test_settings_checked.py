"""Settings that are refused before a process starts with them."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from models.settings import ApiSettings, NodeSettings

SERVERS = {"database_url": "postgresql://x/y", "redis_url": "redis://x", "artifacts_url": "file:///x"}
FOLDERS = {name: Path("/x") for name in ("runs_folder", "datasets_folder", "cache_folder")}


def test_name_of_a_node_takes_the_form_that_requests_find_it_by() -> None:
    assert NodeSettings(**SERVERS, **FOLDERS, node="gpu\N{NO-BREAK SPACE} 1").node == "gpu 1"
    with pytest.raises(ValidationError, match="RIGHT-TO-LEFT OVERRIDE"):
        NodeSettings(**SERVERS, **FOLDERS, node="gpu\N{RIGHT-TO-LEFT OVERRIDE}1")


@pytest.mark.parametrize("zone", ["Mars/Olympus", "../etc/passwd", "", "CET+1"])
def test_unknown_time_zone_is_refused(zone: str) -> None:
    with pytest.raises(ValidationError, match="Europe/Berlin"):
        ApiSettings(**SERVERS, time_zone=zone)


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "Asia/Kolkata"])
def test_time_zones_of_the_world_are_known(zone: str) -> None:
    assert ApiSettings(**SERVERS, time_zone=zone).time_zone == zone
