"""Metrics and samples as a client reads them, with a way into pandas."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING
from uuid import UUID

from gpulab.client.transport.http import Http, path_of
from gpulab.schemas import MetricsRead, SamplesRead, SeriesRead

if TYPE_CHECKING:
    import pandas as pd


class Metrics(MetricsRead):
    """Every series asked for; `metrics["loss"]` is one of them."""

    def __getitem__(self, name: str) -> SeriesRead:
        for series in self.series:
            if series.name == name:
                return series
        raise KeyError(f"no metric {name!r}; there are: {', '.join(self.names) or 'none yet'}")

    def to_dataframe(self) -> "pd.DataFrame":
        """One column a metric, indexed by `step`; needs pandas. A step recorded twice keeps its last value."""
        import pandas as pd

        columns = {series.name: pd.Series(floats(series), index=series.steps, dtype=float) for series in self.series}
        unique = {name: column[~column.index.duplicated(keep="last")] for name, column in columns.items()}
        return pd.DataFrame(unique).rename_axis(index="step").sort_index()

    def followed_by(self, newer: "Metrics") -> "Metrics":
        """These and what was recorded since; `newer` alone where it is whole."""
        if newer.whole:
            return newer
        mine, new = ({series.name: series for series in metrics.series} for metrics in (self, newer))
        series = [_joined([of[name] for of in (mine, new) if name in of]) for name in sorted(mine | new)]
        return newer.model_copy(update={"series": series, "whole": True})


class Samples(SamplesRead):
    """The memory and utilisation timeline; `tracks` share one time axis."""

    def to_dataframe(self) -> "pd.DataFrame":
        """Long form: one row a track and time, with `source`, `gpu_uuid`, `attempt`, `time` and a column a field."""
        import pandas as pd

        frames = [
            pd.DataFrame(
                {
                    "source": track.source,
                    "gpu_uuid": track.gpu_uuid,
                    "attempt": track.attempt,
                    "time": pd.to_datetime(pd.Series(track.times, dtype=float), unit="s", utc=True),
                    **track.values,
                }
            )
            for track in self.tracks
        ]
        return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()


def fetch_metrics(
    http: Http,
    job_id: UUID,
    names: Iterable[str] | None = None,
    *,
    after_step: int | None = None,
    max_points: int | None = None,
    since: Metrics | None = None,
) -> Metrics:
    """The series recorded so far; with `since` only what is new is fetched, and joined to it."""
    if since is not None and max_points is not None and _grown(since, max_points):
        since = None
    newer = http.get(
        Metrics,
        path_of("jobs", job_id, "metrics"),
        names=None if names is None else ",".join(names),
        after_step=after_step,
        after=None if since is None else since.cursor,
        max_points=max_points,
    )
    return newer if since is None else since.followed_by(newer)


def floats(series: SeriesRead) -> list[float]:
    """The values with `nan`, `inf` and `-inf` put back where JSON could not carry them."""
    return [
        float(series.nonfinite.get(index, "nan")) if value is None else value
        for index, value in enumerate(series.values)
    ]


def _joined(parts: Sequence[SeriesRead]) -> SeriesRead:
    """The points of one series, one part after the other."""
    if len(parts) == 1:
        return parts[0]
    return SeriesRead(
        name=parts[0].name,
        steps=list(chain.from_iterable(part.steps for part in parts)),
        values=list(chain.from_iterable(part.values for part in parts)),
        times=list(chain.from_iterable(part.times for part in parts)),
        nonfinite=dict(_nonfinite(parts)),
        total_points=sum(part.total_points for part in parts),
    )


def _nonfinite(parts: Sequence[SeriesRead]) -> Iterator[tuple[int, str]]:
    start = 0
    for part in parts:
        yield from ((start + index, value) for index, value in part.nonfinite.items())
        start += len(part.values)


def _grown(metrics: Metrics, max_points: int) -> bool:
    """Whether so much was added that the lab should thin all of it again."""
    return any(len(series.steps) > 2 * max_points for series in metrics.series)
