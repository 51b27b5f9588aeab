"""Programs in the lab: sent only where the lab has them not, listed, fetched, compared."""

import gzip
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from gpulab.client.programs.git import GitState
from gpulab.client.programs.local import local_run
from gpulab.client.transport.http import Http, path_of
from gpulab.errors import ConfigurationError, NotFound
from gpulab.program_archives import read_archive
from gpulab.program_files import Program, ProgramFilesError, ProgramLimits, canonical_tar
from gpulab.schemas.programs import ProgramDifferenceRead, ProgramPage, ProgramRead, ProgramSummary

NOTHING_KNOWN = GitState(None, None)


class Programs:
    """Your own code in the lab."""

    def __init__(self, http: Http) -> None:
        self._http = http

    def limits(self) -> ProgramLimits:
        """What the lab takes."""
        found = self._http.get(ProgramPage, path_of("programs"), limit=1).limits
        return ProgramLimits(found.max_bytes, found.max_files)

    def list(self, *, limit: int | None = None) -> Iterator[ProgramSummary]:
        """The programs that you sent, newest first."""
        return self._http.items(ProgramPage, path_of("programs"), limit)

    def get(self, sha256: str) -> ProgramRead:
        """One program. Raises NotFound, also for one that you may not read."""
        return self._http.get(ProgramRead, path_of("programs", sha256))

    def send(self, program: Program, *, name: str | None = None, git: GitState = NOTHING_KNOWN) -> ProgramRead:
        """Make sure that the lab has the program from you. Its files go only where you did not send them before."""
        with suppress(NotFound):
            found = self.get(program.sha256)
            known = found.upload
            if known is not None and (known.name, known.git_commit, known.git_dirty) == (name, git.commit, git.dirty):
                return found
        dirty = None if git.dirty is None else str(git.dirty).lower()
        fields = {"name": name, "git_commit": git.commit, "git_dirty": dirty}
        answer = self._http.send(
            "POST",
            path_of("programs"),
            form={field: value for field, value in fields.items() if value is not None},
            files={"archive": ("program.tar.gz", gzip.compress(canonical_tar(program), mtime=0))},
        )
        return self._http.parse(ProgramRead, answer)

    def prepare(
        self,
        target: str | Path,
        *arguments: str,
        command: Sequence[str] | None = None,
        parameters: Mapping[str, Any] | None = None,
        datasets: Sequence[str] = (),
    ) -> tuple[str, dict[str, Any]]:
        """Send a program without running it: the experiment and the spec of its run, for `dry_run` and `estimate`.

        Takes what `Client.run` takes, and raises as it does.
        """
        local = local_run(
            target, arguments, limits=self.limits(), command=command, parameters=parameters, datasets=datasets
        )
        sent = self.send(local.program, name=local.name, git=local.git)
        return local.experiment, {"program": sent.sha256, **local.spec}

    def fetch(self, sha256: str) -> Program:
        """Every file of a program. Raises NotFound; ConfigurationError where it is not the one asked for."""
        answer = self._http.send("GET", path_of("programs", sha256, "archive"))
        try:
            found = read_archive(answer.content, ProgramLimits(2**30, 10**6))
        except ProgramFilesError as error:
            raise ConfigurationError(f"the program {sha256} cannot be read: {error}") from None
        if found.sha256 != sha256:
            raise ConfigurationError(f"the lab sent {found.sha256} for the program {sha256}")
        return found

    def download(self, sha256: str, folder: str | Path) -> Path:
        """Write every file of a program into a folder, which is made if it is not there. Nothing is overwritten."""
        found, target = self.fetch(sha256), Path(folder)
        if taken := next((path for path in found.contents if (target / path).exists()), None):
            raise ConfigurationError(f"{target / taken} exists already; choose another folder")
        for path, data in found.contents.items():
            file = target / path
            file.parent.mkdir(parents=True, exist_ok=True)
            with file.open("xb") as opened:
                opened.write(data)
        return target

    def compare(self, sha256: str, other_sha256: str) -> ProgramDifferenceRead:
        """What differs from the first program to the other."""
        return self._http.get(ProgramDifferenceRead, path_of("programs", sha256, "diff", other_sha256))
