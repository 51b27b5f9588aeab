"""What the API refuses, and how it says so: one class an error, each with a status and a stable slug."""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

from gpulab.schemas import InvalidField, Problem

STATUS_SLUGS = {
    400: "bad-request",
    404: "not-found",
    405: "method-not-allowed",
    408: "request-timeout",
    414: "address-too-long",
    431: "headers-too-large",
}
"""For refusals by the framework and the server, which have only a status."""

MAX_ERRORS = 100
"""Limit of fields in one problem response."""


class Refusal(Exception):  # noqa: N818 - its subclasses state the fact, such as `JobNotFound`
    """Raise a subclass anywhere below a route; it becomes an `application/problem+json` answer."""

    status: ClassVar[int] = 500
    slug: ClassVar[str]
    """From the name of the class: `JobNotFound` is `job-not-found`."""
    title: ClassVar[str] = "The lab failed"

    def __init_subclass__(cls) -> None:
        cls.slug = re.sub(r"(?<!^)(?=[A-Z])", "-", cls.__name__).lower()

    def __init__(
        self, detail: str, *, errors: Sequence[InvalidField] = (), headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.errors = list(errors)
        self.headers = dict(headers or {})

    @classmethod
    def of(cls, path: str, message: str, *, limit: dict[str, Any] | None = None, value: object = None) -> Self:
        """The refusal of one field."""
        return cls.of_fields([InvalidField(path=path, message=message, limit=limit, value=shortened(value))])

    @classmethod
    def of_fields(cls, fields: Sequence[InvalidField]) -> Self:
        """The refusal of several fields; the detail names the first."""
        more = f" (and {len(fields) - 1} more)" if len(fields) > 1 else ""
        return cls(f"{fields[0].path}: {fields[0].message}{more}", errors=fields[:MAX_ERRORS])

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
    """A response that has begun must stop. Its connection is closed, so the client sees that it is incomplete."""


class InternalError(Refusal):
    """A fault of the lab; the log has the traceback under the request's id."""


class MalformedBody(Refusal):
    status = 400
    title = "The body cannot be read"


class ClientVersion(Refusal):
    """Not 426, which would need a protocol to change to."""

    status = 400
    title = "The versions of client and lab do not match"


class Unauthenticated(Refusal):
    status = 401
    title = "A valid token is needed"

    def __init__(self, detail: str, *, invalid_token: bool) -> None:
        challenge = 'Bearer realm="gpulab"' + (', error="invalid_token"' if invalid_token else "")
        super().__init__(detail, headers={"WWW-Authenticate": challenge})


class Forbidden(Refusal):
    status = 403
    title = "You are not allowed to do this"


class CsrfFailed(Refusal):
    status = 403
    title = "The request has no valid CSRF token"


class OpenidRefused(Refusal):
    status = 403
    title = "The sign-in through the university was refused"


class NotFound(Refusal):
    status = 404
    title = "Not found"


class JobNotFound(NotFound):
    title = "There is no such job"


class ExperimentNotFound(NotFound):
    title = "There is no such experiment"


class ChannelNotFound(NotFound):
    title = "This way of notification is off"


class BannerNotFound(NotFound):
    title = "There is no such banner"


class StudyNotFound(NotFound):
    title = "There is no such study"


class ProgramNotFound(NotFound):
    title = "There is no such program"


class ProgramFileNotFound(NotFound):
    title = "The program has no such file"


class EstimateNotFound(NotFound):
    title = "There is no such estimate"


class ArtifactNotFound(NotFound):
    title = "The job has no such artifact"


class NodeNotFound(NotFound):
    title = "There is no such node"


class NodeInUse(Refusal):
    status = 409
    title = "The machine is in use"


class OpenidNotConfigured(NotFound):
    title = "This lab has no sign-in through a university"


class CourseNotFound(NotFound):
    title = "There is no such course"


class CourseArchived(Refusal):
    status = 409
    title = "The course is archived"


class UserNotFound(NotFound):
    title = "There is no such user"


class TokenNotFound(NotFound):
    title = "There is no such token"


class AlreadyTaken(Refusal):
    status = 409
    title = "Another user has this name or address"


class LastAdmin(Refusal):
    status = 409
    title = "The last admin cannot be removed"


class TooManyTokens(Refusal):
    status = 409
    title = "The token limit is reached"


class QueueLimitReached(Refusal):
    status = 409
    title = "The queue limit is reached"


class ArtifactQuotaReached(Refusal):
    status = 409
    title = "The storage quota is reached"


class AssignmentNotFound(NotFound):
    title = "There is no such assignment"


class SubmissionNotFound(NotFound):
    title = "There is no submission, or it was not run again"


class GradeNotFound(NotFound):
    title = "There is no grade, or it is not released"


class NoHiddenCheck(Refusal):
    status = 409
    title = "The assignment has no hidden check"


class ExtensionNotFound(Refusal):
    status = 404
    title = "No such extension"


class LabHoursNotFound(Refusal):
    status = 404
    title = "No such lab hours"


class AnswersHeldBack(Refusal):
    status = 403
    title = "Answers are shown after the deadline"


class AssignmentOver(Refusal):
    status = 409
    title = "The deadline has passed"


class JobAlreadyFinished(Refusal):
    status = 409
    title = "The job is final"


class JobNotFinished(Refusal):
    status = 409
    title = "The job is not final yet"


class JobNotDeletable(Refusal):
    status = 409
    title = "The job cannot be deleted"


class StudyNotFinished(Refusal):
    status = 409
    title = "The study still runs"


class DeletedMeanwhile(Refusal):
    status = 409
    title = "Something was deleted meanwhile"


class UserErased(Refusal):
    status = 409
    title = "The user is anonymised or deleted"


class StudyChanged(Refusal):
    status = 409
    title = "The study was changed by another request"


class ReportFailed(Refusal):
    status = 409
    title = "The report could not be made"


class IdempotencyKeyReused(Refusal):
    status = 409
    title = "The idempotency key was used for another submission"


class BodyTooLarge(Refusal):
    status = 413
    title = "The body is too large"


class UnsupportedMediaType(Refusal):
    status = 415
    title = "The media type of the body is not supported"


class RangeNotSatisfiable(Refusal):
    status = 416
    title = "The range lies outside the file"


class InvalidRequest(Refusal):
    status = 422
    title = "The request is not valid"


class UnknownExperiment(InvalidRequest):
    title = "The experiment is not known"


class InvalidSpec(InvalidRequest):
    title = "The spec is not valid"


class InvalidProgram(InvalidRequest):
    title = "The files are not a valid program"


class InvalidStudy(InvalidRequest):
    title = "The request is not a valid study"


class InvalidCursor(InvalidRequest):
    title = "The cursor does not belong to this list"


class TooManySignIns(Refusal):
    status = 429
    title = "Too many sign-ins failed"


class TooManyRequests(Refusal):
    status = 429
    title = "Too many requests by this user"


class TooManyEstimates(Refusal):
    status = 429
    title = "The limit of unanswered estimates is reached"


class TooManyOpen(Refusal):
    status = 429
    title = "The limit of open streams and held requests is reached"


class Unavailable(Refusal):
    status = 503
    title = "The lab cannot answer now"

    def __init__(self, detail: str, *, errors: Sequence[InvalidField] = ()) -> None:
        super().__init__(detail, errors=errors, headers={"Retry-After": "1"})


class Busy(Unavailable):
    title = "The lab is busy"


class NotReady(Unavailable):
    title = "A part of the lab is missing"


class OpenidUnavailable(Unavailable):
    title = "The university's sign-in does not answer"


class TooManyStreams(Unavailable):
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
    shown = text if len(text) <= limit else f"{text[:limit]}… ({len(text)} characters)"
    # A name in an archive may be no text in any encoding.
    return shown.encode("utf-8", "backslashreplace").decode()
