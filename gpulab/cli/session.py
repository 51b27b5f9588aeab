"""What every command that talks to the lab has in common: its options, its client and its output."""

import functools
import inspect
import json
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer

from gpulab.cli.failures import BadInput

if TYPE_CHECKING:
    from pydantic import BaseModel

    from gpulab.client import Client, Job, Study

RETRY_SECONDS = 3.0
LAST_JOB = "@last"
MAX_SEARCHED = 500
"""Jobs or studies that are looked through for a name, the newest."""
MAX_NAMESAKES_SHOWN = 5

Url = Annotated[
    str | None,
    typer.Option(
        "--url",
        help="Address of the lab. Default: $GPULAB_URL, the lab of `gpulab sign-in`, or this machine.",
        show_default=False,
    ),
]
TokenFile = Annotated[
    Path | None,
    typer.Option(
        "--token-file",
        help="File with your token. Default: $GPULAB_TOKEN, $GPULAB_TOKEN_FILE or ~/.config/gpulab/token.",
        show_default=False,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")]
JobId = Annotated[str, typer.Argument(metavar="JOB", help=f"Id or name of a run; {LAST_JOB} is your newest.")]
StudyId = Annotated[str, typer.Argument(metavar="STUDY", help=f"Id or name of a study; {LAST_JOB} is the newest.")]

_COMMON = {"url": (Url, None), "token_file": (TokenFile, None), "as_json": (AsJson, False)}


class Session:
    """The lab as one command sees it."""

    def __init__(self, url: str | None, token_file: Path | None, as_json: bool) -> None:
        self.as_json = as_json
        self.url = url
        self.token_file = token_file

    @functools.cached_property
    def client(self) -> "Client":
        from gpulab.client import Client

        return Client(self.url, token_file=self.token_file, retry_seconds=RETRY_SECONDS)

    def close(self) -> None:
        """Let go of the connections, if there are any."""
        if "client" in vars(self):
            self.client.close()

    def job(self, text: str) -> "Job":
        """The job named on the command line, by its id or its name. Raises BadInput."""
        if text == LAST_JOB:
            return self._last_job()
        try:
            return self.client.job(UUID(text))
        except ValueError:
            return self.client.job(_only(text, "run", "`gpulab status` lists them", self._runs_called(text)))

    def study(self, text: str) -> "Study":
        """The study named on the command line, by its id or its name. Raises BadInput."""
        if text == LAST_JOB:
            for study in self.client.studies(limit=1):
                return study.refresh()
            raise BadInput("there are no studies yet")
        try:
            return self.client.study(UUID(text))
        except ValueError:
            found = [study.id for study in self.client.studies(limit=MAX_SEARCHED) if study.data.name == text]
            return self.client.study(_only(text, "study", "`gpulab study list` lists them", found))

    def _runs_called(self, name: str) -> "list[UUID]":
        """Your own come first: an instructor sees those of the class too."""
        me = str(self.client.me().id)
        for owner in (me, None):
            jobs = self.client.jobs(owner=owner, text=name, limit=MAX_SEARCHED)
            if found := [job.id for job in jobs if job.name == name]:
                return found
        return []

    def _last_job(self) -> "Job":
        for job in self.client.jobs(owner=str(self.client.me().id), limit=1):
            return job.refresh()
        raise BadInput("you have no jobs yet")


def _only(name: str, what: str, hint: str, found: "Sequence[UUID]") -> UUID:
    """The one that has the name. Raises BadInput if none or several have it."""
    if not found:
        raise BadInput(f"no {what} has the id or name {name!r}; {hint}, {LAST_JOB} is your newest")
    if len(found) > 1:
        shown = ", ".join(map(str, found[:MAX_NAMESAKES_SHOWN]))
        raise BadInput(f"several are called {name!r}; use the id, newest first: {shown}")
    return found[0]


def session_command(app: typer.Typer, name: str | None = None) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Register a command whose function gets a `Session` first; adds --url, --token-file and --json to its options."""

    def register(body: Callable[..., None]) -> Callable[..., None]:
        app.command(name)(with_session(body))
        return body

    return register


def with_session(body: Callable[..., None]) -> Callable[..., None]:
    """A function that typer takes for a command: makes the `Session` that `body` gets first."""

    @functools.wraps(body)
    def command(**values: Any) -> None:
        common = {option: values.pop(option) for option in _COMMON}
        with closing(Session(**common)) as session:
            body(session, **values)

    own = list(inspect.signature(body).parameters.values())[1:]
    added = [
        inspect.Parameter(option, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)
        for option, (kind, default) in _COMMON.items()
    ]
    command.__signature__ = inspect.Signature([*own, *added])  # type: ignore[attr-defined] # typer reads it
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in (*own, *added)}
    return command


ESCAPED = {code: f"\\u{code:04x}" for code in range(0x7F, 0xA0)}
"""JSON may carry these as they are, but a terminal may take them for codes."""


def print_json(value: "BaseModel | Iterable[BaseModel] | dict[str, Any]") -> None:
    """One JSON document on stdout."""
    print(json.dumps(_plain(value), ensure_ascii=False).translate(ESCAPED), flush=True)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return value
    return value.model_dump(mode="json") if hasattr(value, "model_dump") else [_plain(item) for item in value]
