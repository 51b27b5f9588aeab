"""The environments of the nodes that run programs."""

from collections import defaultdict

import orjson

from api.context import App
from experiments.catalog.script.spec import SLUG
from gpulab.schemas import EnvironmentPage, EnvironmentRead, PackageRead
from models.statements import nodes


async def page(app: App) -> EnvironmentPage:
    """Equal ones once, the one of most nodes first."""
    alike: defaultdict[bytes, list[str]] = defaultdict(list)
    for row in await app.database.rows(nodes.overview, silence_seconds=app.settings.lease_seconds):
        if not row.down and row.environment and SLUG not in row.refused_experiments:
            alike[orjson.dumps(row.environment, option=orjson.OPT_SORT_KEYS)].append(row.name)
    ordered = sorted(alike.items(), key=lambda item: (-len(item[1]), item[1]))
    return EnvironmentPage(items=[_read(orjson.loads(found), names) for found, names in ordered])


def _read(found: dict[str, dict[str, str]], names: list[str]) -> EnvironmentRead:
    packages = [PackageRead(name=name, version=version) for name, version in found["packages"].items()]
    packages.sort(key=lambda package: package.name.lower())
    return EnvironmentRead(python=str(found["python"]), packages=packages, nodes=names)
