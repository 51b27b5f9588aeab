"""What the API refuses, and how it says so: one class an error, each with a stable slug and a status."""

import math
from collections.abc import Mapping, Sequence
from typing import ClassVar

from gpulab.schemas import InvalidField, Problem

STATUS_SLUGS = {
    400: "bad-request",
    404: "not-found",
    405: "method-not-allowed",
    408: "request-timeout",
    414: "address-too-long",
    431: "headers-too-large",
}
"""Of refusals by the framework and the server, which know a status alone."""


class Refusal(Exception):  # noqa: N818 - its subclasses state the fact, such as `JobNotFound`
    """Raise a subclass anywhere below a route; it becomes an `application/problem+json` answer."""

    status: ClassVar[int] = 500
    slug: ClassVar[str] = "internal-error"
    title: ClassVar[str] = "The lab failed"

    def __init__(
        self, detail: str, *, errors: Sequence[InvalidField] = (), headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.errors = list(errors)
        self.headers = dict(headers or {})

    def problem(self, instance: str | None) -> Problem:
        return Problem(
            type=f"/problems/{self.slug}",
            title=self.title,
            status=self.status,
            detail=self.detail,
            instance=instance,
            errors=self.errors or None,
        )


class AnswerCutOff(Exception):  # noqa: N818 - it states the fact
    """An answer that has begun must not go on. Its connection is closed: its reader sees that it is not whole."""


class InternalError(Refusal):
    """A fault of ours; the log has the traceback under the request's id."""


class MalformedBody(Refusal):
    status = 400
    slug = "malformed-body"
    title = "The body is not acceptable JSON"


class ClientVersion(Refusal):
    """Not 426, which would need a protocol to change to."""

    status = 400
    slug = "client-version"
    title = "The client's version does not fit the lab's"


class Unauthenticated(Refusal):
    status = 401
    slug = "unauthenticated"
    title = "A valid token is needed"

    def __init__(self, detail: str, *, invalid_token: bool) -> None:
        challenge = 'Bearer realm="gpulab"' + (', error="invalid_token"' if invalid_token else "")
        super().__init__(detail, headers={"WWW-Authenticate": challenge})


class Forbidden(Refusal):
    status = 403
    slug = "forbidden"
    title = "The token may not do this"


class CsrfFailed(Refusal):
    status = 403
    slug = "csrf-failed"
    title = "The request does not prove where it comes from"


class OpenIdRefused(Refusal):
    status = 403
    slug = "openid-refused"
    title = "The sign-in through the university was refused"


class NotFound(Refusal):
    status = 404
    slug = "not-found"
    title = "There is no such thing"


class JobNotFound(NotFound):
    slug = "job-not-found"
    title = "There is no such job"


class ExperimentNotFound(NotFound):
    slug = "experiment-not-found"
    title = "There is no such experiment"


class StudyNotFound(NotFound):
    slug = "study-not-found"
    title = "There is no such study"


class EstimateNotFound(NotFound):
    slug = "estimate-not-found"
    title = "There is no such estimate"


class ArtifactNotFound(NotFound):
    slug = "artifact-not-found"
    title = "The job has no such artifact"


class NodeNotFound(NotFound):
    slug = "node-not-found"
    title = "There is no such node"


class OpenIdNotConfigured(NotFound):
    slug = "openid-not-configured"
    title = "This lab has no sign-in through a university"


class UserNotFound(NotFound):
    slug = "user-not-found"
    title = "There is no such user"


class TokenNotFound(NotFound):
    slug = "token-not-found"
    title = "There is no such token"


class AlreadyTaken(Refusal):
    status = 409
    slug = "already-taken"
    title = "Somebody has this name or address already"


class LastAdmin(Refusal):
    status = 409
    slug = "last-admin"
    title = "The lab would have no admin left"


class TooManyTokens(Refusal):
    status = 409
    slug = "too-many-tokens"
    title = "The token limit is reached"


class QueueLimitReached(Refusal):
    status = 409
    slug = "queue-limit-reached"
    title = "The queue limit is reached"


class ArtifactQuotaReached(Refusal):
    status = 409
    slug = "artifact-quota-reached"
    title = "The storage quota is reached"


class AssignmentNotFound(NotFound):
    slug = "assignment-not-found"
    title = "There is no such assignment"


class SubmissionNotFound(NotFound):
    slug = "submission-not-found"
    title = "Nothing was handed in, or it was not run again"


class AssignmentOver(Refusal):
    status = 409
    slug = "assignment-over"
    title = "The deadline is over"


class JobAlreadyFinished(Refusal):
    status = 409
    slug = "job-already-finished"
    title = "The job is final"


class JobNotFinished(Refusal):
    status = 409
    slug = "job-not-finished"
    title = "The job is not final yet"


class StudyChanged(Refusal):
    status = 409
    slug = "study-changed"
    title = "The study was changed by others at the same time"


class ReportFailed(Refusal):
    status = 409
    slug = "report-failed"
    title = "The report could not be made"


class IdempotencyKeyReused(Refusal):
    status = 409
    slug = "idempotency-key-reused"
    title = "The idempotency key was used for another submission"


class BodyTooLarge(Refusal):
    status = 413
    slug = "body-too-large"
    title = "The body is too large"


class UnsupportedMediaType(Refusal):
    status = 415
    slug = "unsupported-media-type"
    title = "The body must be JSON"


class RangeNotSatisfiable(Refusal):
    status = 416
    slug = "range-not-satisfiable"
    title = "The range lies outside the file"


class InvalidRequest(Refusal):
    status = 422
    slug = "invalid-request"
    title = "The request is not valid"


class UnknownExperiment(InvalidRequest):
    slug = "unknown-experiment"
    title = "The job names no known experiment"


class InvalidSpec(InvalidRequest):
    slug = "invalid-spec"
    title = "The spec is not valid"


class InvalidStudy(InvalidRequest):
    slug = "invalid-study"
    title = "What was asked for is no study"


class InvalidCursor(InvalidRequest):
    slug = "invalid-cursor"
    title = "The cursor does not belong to this list"


class TooManySignIns(Refusal):
    status = 429
    slug = "too-many-sign-ins"
    title = "Too many sign-ins failed"


class TooManyRequests(Refusal):
    status = 429
    slug = "too-many-requests"
    title = "The user asks too often"


class TooManyEstimates(Refusal):
    status = 429
    slug = "too-many-estimates"
    title = "The limit of unanswered estimates is reached"


class TooManyOpen(Refusal):
    status = 429
    slug = "too-many-open"
    title = "The limit of open streams and held requests is reached"


class Unavailable(Refusal):
    status = 503
    slug = "unavailable"
    title = "The lab cannot answer now"

    def __init__(self, detail: str, *, errors: Sequence[InvalidField] = ()) -> None:
        super().__init__(detail, errors=errors, headers={"Retry-After": "1"})


class Busy(Unavailable):
    slug = "busy"
    title = "The lab is busy"


class NotReady(Unavailable):
    slug = "not-ready"
    title = "A part of the lab is missing"


class OpenIdUnavailable(Unavailable):
    slug = "openid-unavailable"
    title = "The university's sign-in does not answer"


class TooManyStreams(Unavailable):
    slug = "too-many-streams"
    title = "Too many streams are open"


def shortened(value: object, *, limit: int = 100) -> str | int | float | bool | None:
    """What a client sent, small enough to send back."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, int) and abs(value) < 2**63:
        return value
    if isinstance(value, list | tuple | dict):
        return f"{'an object' if isinstance(value, dict) else 'a list'} of {len(value)}"
    text = str(value) if not isinstance(value, int) else f"{value:.6e}" if abs(value) < 10**300 else "a huge integer"
    return text if len(text) <= limit else f"{text[:limit]}… ({len(text)} characters)"
