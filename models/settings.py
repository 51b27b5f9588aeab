"""Settings from the environment. Every one is explained in docs/settings.md; a test fails when one is not."""

import os
import socket
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from gpulab.addresses import PAGES
from gpulab.names import checked

ROOT_PATH = r"(?:/[A-Za-z0-9._~-]+)+"


def _above_pages(path: str) -> str:
    """Without its last slash. A part that is also a page's name would make addresses ambiguous."""
    if taken := PAGES.intersection(path.split("/")):
        raise ValueError(f"{min(taken)} is the name of a page of the lab; choose another path")
    return path.rstrip("/")


def _known_zone(name: str) -> str:
    if name != "UTC":
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(f"{name!r} is no time zone that this machine knows; write one as Europe/Berlin") from None
    return name


class DatabaseSettings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="GPULAB_", frozen=True, populate_by_name=True)

    database_url: Annotated[str, Field(validation_alias="DATABASE_URL")]
    """PostgreSQL 18 or newer: `postgresql://user:password@host/name`."""

    @property
    def sqlalchemy_url(self) -> str:
        """The database's address with our driver named."""
        rest = self.database_url.partition("://")[2]
        return f"postgresql+psycopg://{rest}"

    @property
    def libpq_url(self) -> str:
        """The same for connections that listen, outside SQLAlchemy."""
        rest = self.database_url.partition("://")[2]
        return f"postgresql://{rest}"


class Settings(DatabaseSettings):
    """What every process of the lab needs to find the others."""

    redis_url: Annotated[str, Field(validation_alias="REDIS_URL")]
    artifacts_url: str
    """Where files go: `file:///folder` or `s3://bucket/prefix`."""
    lease_seconds: float = 30.0
    """Life of a lease without a heartbeat."""
    heartbeat_seconds: float = 5.0
    max_lost_attempts: int = 3
    """After so many attempts lost to something other than the job, it fails with the cause `lost`."""
    foresight_seconds: float = Field(default=1800.0, ge=0)
    """A job counts as use for so much of its time limit from the moment it starts."""
    max_artifact_bytes: int | None = Field(default=None, ge=0)
    """Files of one person's jobs; who keeps as much submits nothing new, and a file beyond it is not kept."""


class ApiSettings(Settings):
    body_limit_bytes: int = 1_000_000
    """Longest request body; more answers 413."""
    max_wait_seconds: float = 30.0
    """Longest a `?wait=` is held."""
    pool_size: int = 10
    """Connections to PostgreSQL of one API process, beside the three that listen and watch. One user has a third."""
    requests_per_second: float = Field(default=50.0, ge=0)
    """Of one person, after `request_burst`; more answer 429. Admins are not limited. A large body, or an answer that
    takes long to compute, counts as several.
    """
    request_burst: int = Field(default=500, ge=1)
    stranger_requests_per_second: float = Field(default=200.0, ge=0)
    """Of one address without a good token or session, after `stranger_request_burst`; more answer 429."""
    stranger_request_burst: int = Field(default=5000, ge=1)
    client_timeout_seconds: float = Field(default=30.0, gt=0)
    """For a client to send a request, or to read some of an answer; then its connection is closed."""
    max_queued: int | None = Field(default=5000, ge=0)
    """Queue limit of one user; a user's own limit replaces it. Admins have none. Null is no limit."""
    max_pending_estimates: int = Field(default=20, ge=1)
    """Estimates of one user that wait for an answer, asked for at one API process; more answer 429."""
    stream_limit: int = Field(default=2000, ge=1)
    """Open event streams and requests held by `?wait=` of one API process; more answer 503."""
    open_per_user: int = Field(default=100, ge=1)
    """Of these, how many one user may have; more answer 429."""
    session_seconds: float = 12 * 3600.0
    """How long a browser stays signed in; never longer than the token it signed in with."""
    failed_sign_ins_per_minute: int = Field(default=20, ge=1)
    """With one beginning of a token; more answer 429. Ten times as many from one address."""
    max_tokens: int = 50
    """Good tokens that one person may have."""
    root_path: Annotated[str, Field(pattern=f"^({ROOT_PATH})?$"), BeforeValidator(_above_pages)] = ""
    """The path that the lab is below at a host shared with others: `/gpulab`."""
    public_url: str | None = None
    """Where browsers find the lab, if its own requests do not tell: `https://lab.example.edu`."""
    time_zone: Annotated[str, AfterValidator(_known_zone)] = "UTC"
    """In which deadlines without an offset are read and all are shown: `Europe/Berlin`."""
    openid_issuer: str | None = None
    """Of the university's OpenID Connect provider; with client id and secret, browsers may sign in through it."""
    openid_client_id: str | None = None
    openid_client_secret: SecretStr | None = None
    openid_scopes: str = "openid email profile"
    """What the lab asks the provider for, separated by blanks; some send groups for a scope of their own alone."""
    openid_email_verified_optional: bool = False
    """Whether an address counts for students though the provider never says that it verified one."""
    openid_domains: str = ""
    """Of e-mail addresses whose owners are let in as students, separated by commas; others must be known."""
    openid_role_claim: str = ""
    """The claim that tells instructors, by its name or its path: `groups`, `realm_access.roles`."""
    openid_instructors: str = ""
    """Values of it, separated by commas."""


class SchedulerSettings(Settings):
    tick_seconds: float = 1.0
    ring_again_seconds: float = 3.0
    """How long a lease may stay unclaimed before its doorbell rings again."""
    retention_hours: float = Field(default=24.0, gt=0)
    """Pause between two sweeps of what the lab keeps no longer."""
    preemption: bool = True
    """Whether jobs of the class `low` that can resume give way to those of the class `high`."""
    deadline_days: float = Field(default=3.0, ge=0)
    """An assignment is near for so long before its deadline."""
    patience_seconds: float = Field(default=86_400.0, ge=0)
    """A job that does not fit is promised a start, which others must respect, when it has waited so long."""
    estimate_wait_seconds: float = Field(default=20.0, ge=0)
    """How long nobody may be at work on predictions before jobs that wait for one take a whole GPU."""
    half_life_hours: float = Field(default=24.0, gt=0)
    """After so long, use counts half."""
    deadline_weight: float = Field(default=1.5, ge=1)
    """Times the weight of those who have a deadline near and no successful run."""
    window_hours: float = Field(default=168.0, gt=0)
    """The limits of GPU-hours and GiB-hours look back so far."""
    max_running: int | None = Field(default=None, ge=0)
    """Jobs of one person that may run at once; a person's own limit goes before it. Null is no limit."""
    max_gpu_hours: float | None = Field(default=None, ge=0)
    max_gib_hours: float | None = Field(default=None, ge=0)
    fault_quiet_seconds: float = 300.0
    """A node that was set aside comes back when its fault was not seen for so long."""
    fault_limit: int = 3
    """A node set aside so often within a day waits for an admin."""
    flap_limit: int = 5
    """So many reconnects without leave are too many."""
    flap_window_seconds: float = 600.0
    """Within this time."""
    untaken_limit: int = Field(default=3, ge=1)
    """A node that lets so many leases in a row expire without taking them up is set aside."""
    clock_skew_limit_seconds: float = 10.0
    """How far a node's clock may be off."""
    node_tokens_required: bool = False
    """Whether a node without a good token gets no job."""


class NodeSettings(Settings):
    node: Annotated[str, AfterValidator(checked)] = Field(default_factory=socket.gethostname)
    node_token: SecretStr | None = None
    """What admits this node, from `gpulab nodes token NAME`."""
    runs_folder: Path
    datasets_folder: Path
    cache_folder: Path
    emulate: str = ""
    """Cards that this node pretends to have, as `T4,T4`."""
    slots: int = Field(default_factory=lambda: max(1, (os.cpu_count() or 1)))
    """Jobs at once on the CPU side."""
    threads_per_job: int = 0
    """CPU threads of one job; 0 shares the cores out over the slots."""
    sample_hz: float = 10.0
    stop_grace_seconds: float = 10.0
    """Between the request to stop and the kill."""
    host_memory_bytes: int | None = Field(default=None, ge=0)
    """Of this machine, for the processes of one job together; 0 for no limit. Null is two fifths of the machine, or
    four fifths where there is one slot."""
    store_patience_seconds: float = Field(default=600.0, ge=0)
    """How long a finished job waits for the artifact store to take its files."""
    keep_samples_days: float = Field(default=90.0, ge=0)
    """After a job's end; 0 keeps them for ever, as with the next three."""
    keep_logs_days: float = Field(default=180.0, ge=0)
    keep_checkpoints_days: float = Field(default=7.0, ge=0)
    keep_artifacts_days: float = Field(default=365.0, ge=0)
    idle_percent: float = 1.0
    """Utilisation below which a GPU counts as unused."""
    idle_minutes: float = Field(default=30.0, ge=0)
    """A job whose GPUs are unused for so long is ended, with notice after half of it; 0 lets it be."""
    ship_seconds: float = 0.05
    """Pause between two looks at a run directory."""
    log_limit_bytes: int = 10 * 2**20
    """What is kept of one job's output."""
