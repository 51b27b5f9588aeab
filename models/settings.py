"""Settings from the environment. Every one is explained in docs/settings.md; a test fails when one is not."""

import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from gpulab.addresses import PAGES
from gpulab.names import checked

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

PREFIX = "GPULAB_"
SECRETS = ("SECRET", "TOKEN", "PASSWORD", "URL")
"""Words in the names of variables whose value may be a secret."""
ROOT_PATH = r"(?:/[A-Za-z0-9._~-]+)+"


def _above_pages(path: str) -> str:
    """Without its last slash. A part that is also a page's name would make addresses ambiguous."""
    if taken := PAGES.intersection(path.split("/")):
        raise ValueError(f"{min(taken)} is a page of the lab; choose another path")
    return path.rstrip("/")


def known_zone(name: str) -> str:
    """Raises `ValueError`."""
    if name != "UTC":
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(
                f"{name!r} is not a time zone that this machine knows; write one such as Europe/Berlin"
            ) from None
    return name


def wrong_variables(error: ValidationError) -> str:
    """What is wrong with the settings, by the names of the variables, in one line."""
    return "; ".join(map(_wrong_variable, error.errors()))


def _wrong_variable(fault: "ErrorDetails") -> str:
    message = fault["msg"].removeprefix("Value error, ")
    if not fault["loc"]:
        return message
    field = str(fault["loc"][0])
    name = field if field.isupper() else f"{PREFIX}{field.upper()}"
    if fault["type"] == "missing":
        return f"{name} is not set"
    value = "" if any(word in name for word in SECRETS) else f" (got {fault['input']!r})"
    return f"{name}: {message[:1].lower()}{message[1:]}{value}"


class DatabaseSettings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, populate_by_name=True)

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
    """Lifetime of a lease without a heartbeat."""
    heartbeat_seconds: float = 5.0
    max_lost_attempts: int = 3
    """Attempts of a job lost for a reason outside the job, before it fails with the cause `lost`."""
    foresight_seconds: float = Field(default=1800.0, ge=0)
    """A running job counts as use for its time limit from its start, at most for this long."""
    max_artifact_bytes: int | None = Field(default=None, ge=0)
    """Storage quota of one user. At the quota the user cannot submit; a file beyond it is not kept."""


class ReachingSettings(Settings):
    """How the lab reaches its users outside the dashboard, and how it names itself and times to them."""

    public_url: Annotated[str, Field(pattern=r"^https?://[^/\s]+(/\S*)?$")] | None = None
    """The lab's address for browsers, behind a proxy that does not pass the host on: `https://lab.example.edu`."""
    time_zone: Annotated[str, AfterValidator(known_zone)] = "UTC"
    """Deadlines are shown in it, and read in it if they have no offset: `Europe/Berlin`."""
    mail_host: str | None = None
    """SMTP server; null means that the lab sends no mail."""
    mail_port: int | None = Field(default=None, ge=1, le=65535)
    """Null is the usual one: 587, 465 with `tls`, 25 with `none`."""
    mail_security: Literal["starttls", "tls", "none"] = "starttls"
    mail_user: str | None = None
    mail_password_file: Path | None = None
    mail_sender: Annotated[str, Field(pattern=r"^[^@\s<>]+@[^@\s<>]+$")] | None = None
    """Address that messages come from. Needed with `mail_host`."""
    webhook_private_networks: bool = False
    """Whether users' webhooks may lead into private networks."""
    notification_rest_seconds: float = Field(default=300.0, ge=0)
    """Between two messages to one user on one channel; what happens meanwhile travels in the next one."""
    notification_gather_seconds: float = Field(default=10.0, ge=0)
    """How long the first notification waits for others, to travel in one message."""

    @model_validator(mode="after")
    def _mail_is_complete(self) -> Self:
        if self.mail_host is not None and self.mail_sender is None:
            raise ValueError("GPULAB_MAIL_HOST is set: set GPULAB_MAIL_SENDER too")
        if (self.mail_user is None) != (self.mail_password_file is None):
            raise ValueError("set both GPULAB_MAIL_USER and GPULAB_MAIL_PASSWORD_FILE, or none of them")
        return self


class ApiSettings(ReachingSettings):
    body_limit_bytes: int = 1_000_000
    """Maximum size of a request body; a larger one gets 413."""
    max_wait_seconds: float = 30.0
    """Maximum time for which `?wait=` holds a request."""
    pool_size: int = 10
    """Connections to PostgreSQL of one API process, beside the three that listen and watch. One user gets a third."""
    requests_per_second: float = Field(default=50.0, ge=0)
    """Rate of one user after `request_burst`; more gets 429. Admins have no limit. A large body, or an answer that
    takes long to compute, counts as several.
    """
    request_burst: int = Field(default=500, ge=1)
    stranger_requests_per_second: float = Field(default=200.0, ge=0)
    """Rate of one address without a valid token or session, after `stranger_request_burst`; more gets 429."""
    stranger_request_burst: int = Field(default=5000, ge=1)
    client_timeout_seconds: float = Field(default=30.0, gt=0)
    """Time for a client to send a request or to read part of a response; then its connection is closed."""
    max_queued: int | None = Field(default=5000, ge=0)
    """Queue limit of one user; a user's own limit replaces it. Admins have none. Null means no limit."""
    max_pending_estimates: int = Field(default=20, ge=1)
    """Unanswered estimates of one user at one API process; more gets 429."""
    stream_limit: int = Field(default=2000, ge=1)
    """Open event streams and requests held by `?wait=` of one API process; more gets 503."""
    open_per_user: int = Field(default=100, ge=1)
    """Streams and held requests of one user; more gets 429."""
    session_seconds: float = 12 * 3600.0
    """How long a browser stays signed in; never longer than the token it signed in with."""
    failed_sign_ins_per_minute: int = Field(default=20, ge=1)
    """Burst and per-minute limit per token prefix; more gets 429. The limit per address is ten times this."""
    max_program_bytes: int = Field(default=10_000_000, ge=1, le=2**30)
    """Maximum size of all files of a program."""
    max_program_files: int = Field(default=500, ge=1, le=100_000)
    """Maximum files of a program."""
    max_export_bytes: int = Field(default=2 * 2**30, ge=0)
    """Files of runs and programs in one export of a user's data; the others are named in it."""
    max_tokens: int = 50
    """Maximum valid tokens of one user."""
    root_path: Annotated[str, Field(pattern=f"^({ROOT_PATH})?$"), BeforeValidator(_above_pages)] = ""
    """Path of the lab on a host that it shares: `/gpulab`."""
    lab_folder: Path | None = None
    """The folder of `gpulab up`, to say what its logs take."""
    backup_folder: Path | None = None
    """Where backups are, to say what they take."""
    openid_issuer: str | None = None
    """The OpenID Connect provider; with client ID and secret, browsers can sign in through it."""
    openid_client_id: str | None = None
    openid_client_secret: SecretStr | None = None
    openid_scopes: str = "openid email profile"
    """Scopes to request, separated by spaces; some providers send groups only for an extra scope."""
    openid_email_verified_optional: bool = False
    """Whether students can sign in by an address that the provider does not mark as verified."""
    openid_domains: str = ""
    """E-mail domains whose users become students, separated by commas; other addresses must be in the roster."""
    openid_role_claim: str = ""
    """Name or path of the claim that identifies instructors: `groups`, `realm_access.roles`."""
    openid_instructors: str = ""
    """Values of the claim, separated by commas."""


class SchedulerSettings(ReachingSettings):
    tick_seconds: float = 1.0
    ring_again_seconds: float = 3.0
    """How long a lease may stay unclaimed before the worker is notified again."""
    retention_hours: float = Field(default=24.0, gt=0)
    """Interval between two sweeps that delete expired data."""
    preemption: bool = True
    """Whether jobs of the class `low` that can resume give way to those of the class `high`."""
    deadline_days: float = Field(default=3.0, ge=0)
    """How long before an assignment's deadline it counts as near."""
    patience_seconds: float = Field(default=86_400.0, ge=0)
    """How long a job that does not fit waits before it is promised a start that others must respect."""
    estimate_wait_seconds: float = Field(default=20.0, ge=0)
    """Maximum wait for a prediction while no worker predicts; then the job takes a whole GPU."""
    half_life_hours: float = Field(default=24.0, gt=0)
    """Half-life of a user's past use."""
    deadline_weight: float = Field(default=1.5, ge=1)
    """Weight multiplier for users with a near deadline and no success yet."""
    window_hours: float = Field(default=168.0, gt=0)
    """Window of the limits of GPU-hours and GiB-hours."""
    max_running: int | None = Field(default=None, ge=0)
    """Running jobs of one user; a user's own limit replaces it. Null means no limit."""
    max_gpu_hours: float | None = Field(default=None, ge=0)
    max_gib_hours: float | None = Field(default=None, ge=0)
    fault_quiet_seconds: float = 300.0
    """A node that was set aside returns when its fault has not been seen for this long."""
    fault_limit: int = 3
    """A node set aside this often within a day waits for an admin."""
    flap_limit: int = 5
    """Reconnects within the window after which a node is set aside."""
    flap_window_seconds: float = 600.0
    """Window of `flap_limit`."""
    untaken_limit: int = Field(default=3, ge=1)
    """Consecutive leases that expire unclaimed before a node is set aside."""
    clock_skew_limit_seconds: float = 10.0
    """Maximum difference between a node's clock and the database's."""
    node_tokens_required: bool = False
    """Whether a node needs a valid token to get jobs."""


class NodeSettings(Settings):
    node: Annotated[str, AfterValidator(checked)] = Field(default_factory=socket.gethostname)
    node_token: SecretStr | None = None
    """The node's token, from `gpulab nodes token NAME`."""
    runs_folder: Path
    datasets_folder: Path
    cache_folder: Path
    emulate: str = ""
    """Emulated cards of this node, such as `T4,T4`."""
    slots: int = Field(default_factory=lambda: max(1, (os.cpu_count() or 1)))
    """CPU jobs that run at once."""
    threads_per_job: int = 0
    """CPU threads of one job; 0 divides the cores among the slots."""
    sample_hz: float = 10.0
    stop_grace_seconds: float = 10.0
    """Time between the request to stop and the kill."""
    host_memory_bytes: int | None = Field(default=None, ge=0)
    """Host memory limit of all processes of one job; 0 means no limit. Null means two fifths of the machine, or
    four fifths on a node with one slot."""
    program_spare: bool = True
    """Whether a sandbox with torch loaded waits for the next program."""
    program_processes: int = Field(default=512, ge=0)
    """Processes and threads of one run of a student's program; 0 means no limit, here and in the next five."""
    program_cpu_seconds: float = Field(default=0.0, ge=0)
    """Processor time of all its processes together."""
    program_disk_bytes: int = Field(default=10 * 2**30, ge=0)
    """What it may write into its folder."""
    program_files: int = Field(default=100_000, ge=1)
    """Files and folders that it may make."""
    program_output_bytes: int = Field(default=64 * 2**20, ge=0)
    """What it may print."""
    program_records_bytes: int = Field(default=64 * 2**20, ge=0)
    """Metrics and other records."""
    program_tmp_bytes: int = Field(default=2**30, ge=2**20)
    """Size of its /tmp, which lies in memory."""
    program_packages: Path | None = None
    """Folder of further Python packages for students' programs, as `pip install --target` makes it."""
    store_patience_seconds: float = Field(default=600.0, ge=0)
    """How long a finished job waits for the artifact store to accept its files."""
    keep_samples_days: float = Field(default=90.0, ge=0)
    """Days after a job's end; 0 keeps them, here and in the next five."""
    keep_metrics_days: float = Field(default=0.0, ge=0)
    keep_results_days: float = Field(default=0.0, ge=0)
    keep_logs_days: float = Field(default=180.0, ge=0)
    keep_checkpoints_days: float = Field(default=7.0, ge=0)
    keep_artifacts_days: float = Field(default=365.0, ge=0)
    keep_programs_days: float = Field(default=90.0, ge=0)
    """Days after a program was last sent, if no job and no assignment uses it; 0 keeps it."""
    idle_percent: float = 1.0
    """Utilisation below which a GPU counts as unused."""
    idle_minutes: float = Field(default=30.0, ge=0)
    """A job whose GPUs are unused for this long is ended, with a notice at half of it; 0 turns this off."""
    ship_seconds: float = 0.05
    """Interval between two looks at a run directory."""
    log_limit_bytes: int = 10 * 2**20
    """Maximum output kept of one job."""
