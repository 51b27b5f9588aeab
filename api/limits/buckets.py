"""Token buckets that all API processes share, without a request that waits for another machine.

A process decides by what it knows. A few times a second it sends Redis everything that was taken here, and receives
how much is left to everybody; in between, processes may together let through more than a bucket holds, which then is
owed: over time the rate is kept, however many processes there are. Without Redis each keeps count for itself.
"""

import asyncio
import contextlib
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from gpulab.threads import vital_task

KEYS = 10_000
"""Buckets of one kind that a process remembers; those least used go first."""
TELL_SECONDS = 0.2
BATCH_SIZE = 500
"""Buckets that one call of the script looks at, during which Redis does nothing else."""
TAKE = """
local time = redis.call('TIME')
local now = time[1] + time[2] / 1e6
local per_second, burst = tonumber(ARGV[1]), tonumber(ARGV[2])
local levels = {}
for place, key in ipairs(KEYS) do
  local level, at = unpack(redis.call('HMGET', key, 'level', 'at'))
  level = level and math.min(burst, level + (now - at) * per_second) or burst
  level = math.max(-burst, level - ARGV[place + 2])
  redis.call('HSET', key, 'level', string.format('%.6f', level), 'at', string.format('%.6f', now))
  redis.call('PEXPIRE', key, math.ceil(1000 * (burst - level) / per_second) + 1000)
  levels[place] = string.format('%.6f', level)
end
return levels
"""

log = structlog.get_logger()


@dataclass(slots=True)
class _Bucket:
    level: float
    at: float
    untold: float = 0


class Buckets:
    """Of one kind: each holds `burst` and is filled by `per_second`."""

    def __init__(self, name: str, per_second: float, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.name = name
        self.per_second = per_second
        self.burst = burst
        self._clock = clock
        self._known: OrderedDict[str, _Bucket] = OrderedDict()

    def __len__(self) -> int:
        return len(self._known)

    def wait_seconds(self, key: str) -> float:
        """How long until there is one to take; 0 where there is."""
        bucket = self._known.get(key)
        return 0.0 if bucket is None else max(0.0, (1 - self._level(bucket)) / self.per_second)

    def take(self, key: str, count: float = 1) -> None:
        """Take one, or another `count`, whether or not it is there."""
        bucket = self._known.setdefault(key, _Bucket(self.burst, self._clock()))
        bucket.level, bucket.at = max(-self.burst, self._level(bucket) - count), self._clock()
        bucket.untold += count
        self._known.move_to_end(key)
        if len(self._known) > KEYS:
            self._known.popitem(last=False)

    def untold(self) -> dict[str, float]:
        """What was taken since the last call, by key."""
        found = {key: bucket.untold for key, bucket in self._known.items() if bucket.untold}
        for key in found:
            self._known[key].untold = 0
        return found

    def not_told(self, taken: Mapping[str, float]) -> None:
        """What `untold` gave could not be sent: try again later."""
        for key, count in taken.items():
            if key in self._known:
                self._known[key].untold += count

    def learn(self, levels: Mapping[str, float]) -> None:
        """What is left to everybody, without what was taken here since."""
        for key, level in levels.items():
            if key in self._known:
                bucket = self._known[key]
                bucket.level, bucket.at = level - bucket.untold, self._clock()

    def _level(self, bucket: _Bucket) -> float:
        return min(self.burst, bucket.level + (self._clock() - bucket.at) * self.per_second)


class BucketSync:
    """Keeps the buckets of this process in step with those of the others, by way of Redis."""

    def __init__(self, redis: Redis, kinds: Sequence[Buckets]) -> None:
        self._take: Any = redis.register_script(TAKE)
        self.kinds = kinds
        self._shared = True
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._telling = asyncio.Lock()

    def start(self) -> None:
        self._task = vital_task("rate limits", self._run(), until=self._stopping.is_set)

    async def stop(self) -> None:
        self._stopping.set()
        if self._task is not None:
            await self._task

    async def _run(self) -> None:
        while not self._stopping.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(TELL_SECONDS):
                    await self._stopping.wait()
            for buckets in self.kinds:
                await self.tell(buckets)

    async def tell(self, buckets: Buckets) -> None:
        """Tell what was taken, and learn what is left. When this returns, nothing taken before is still on its way."""
        async with self._telling:
            taken = list(buckets.untold().items())
            for start in range(0, len(taken), BATCH_SIZE):
                part = dict(taken[start : start + BATCH_SIZE])
                try:
                    buckets.learn(await self._levels(buckets, part))
                    self._note(shared=True)
                except (RedisError, OSError, RuntimeError) as error:
                    # RuntimeError is what the event loop says of a connection that was cut while it was written to.
                    buckets.not_told(part)
                    self._note(shared=False, reason=str(error))

    async def _levels(self, buckets: Buckets, taken: Mapping[str, float]) -> dict[str, float]:
        keys = [f"gpulab:{buckets.name}:{key}" for key in taken]
        levels = await self._take(keys=keys, args=[buckets.per_second, buckets.burst, *taken.values()])
        return {key: float(level) for key, level in zip(taken, levels, strict=True)}

    def _note(self, *, shared: bool, **more: str) -> None:
        if shared != self._shared:
            self._shared = shared
            log.warning("limits.shared" if shared else "limits.not_shared", **more)
