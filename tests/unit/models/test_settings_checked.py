"""Settings that are refused before a process starts with them."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from models.settings import ApiSettings, NodeSettings, wrong_variables

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


def test_wrong_settings_are_said_by_the_names_of_their_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "DATABASE_URL": "postgresql://x/y",
        "GPULAB_LEASE_SECONDS": "soon",
        "GPULAB_TIME_ZONE": "Berlin",
        "GPULAB_MAIL_PORT": "99999",
        "GPULAB_PUBLIC_URL": "me:secret@lab",
    }.items():
        monkeypatch.setenv(name, value)
    for name in ("REDIS_URL", "GPULAB_ARTIFACTS_URL"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ValidationError) as caught:
        ApiSettings()
    said = wrong_variables(caught.value)
    assert "\n" not in said
    assert "secret" not in said
    assert [part.partition(":")[0] for part in said.split("; ") if part.startswith(("GPULAB", "REDIS"))] == [
        "REDIS_URL is not set",
        "GPULAB_ARTIFACTS_URL is not set",
        "GPULAB_LEASE_SECONDS",
        "GPULAB_PUBLIC_URL",
        "GPULAB_TIME_ZONE",
        "GPULAB_MAIL_PORT",
    ]
    assert "(got 'soon')" in said


def test_settings_that_only_together_are_wrong_are_said_in_their_own_words() -> None:
    with pytest.raises(ValidationError) as caught:
        ApiSettings(**SERVERS, mail_host="smtp.example.edu")
    assert wrong_variables(caught.value) == "GPULAB_MAIL_HOST is set: set GPULAB_MAIL_SENDER too"
