"""A notice reaches the readers it is for, and costs the others nothing."""

from uuid import uuid4

from api.live.subscriptions import EVERYTHING, RecordsGrew, Subscription, Subscriptions, Topic


def added(found: Subscriptions, topic: Topic) -> Subscription:
    made = Subscription(topic)
    found.add(made)
    return made


async def heard(subscription: Subscription) -> int:
    return len(await subscription.take(0.0) or [])


async def test_notice_goes_to_its_job_its_owner_and_those_who_hear_everything() -> None:
    found, job_id, owner_id = Subscriptions(), uuid4(), uuid4()
    meant = [added(found, topic) for topic in (EVERYTHING, Topic(job_id=job_id), Topic(owner_id=owner_id))]
    others = [added(found, topic) for topic in (Topic(job_id=uuid4()), Topic(owner_id=uuid4()))]
    found.offer(RecordsGrew(job_id), owner_id)

    assert [await heard(one) for one in meant] == [1, 1, 1]
    assert [await heard(one) for one in others] == [0, 0]


async def test_streams_of_others_are_not_even_looked_at() -> None:
    class Counting(Subscription):
        asked = 0

        def offer(self, _notice: object) -> None:
            Counting.asked += 1

    found = Subscriptions()
    for _ in range(500):
        found.add(Counting(Topic(owner_id=uuid4())))
    found.offer(RecordsGrew(uuid4()), uuid4())
    found.offer(RecordsGrew(uuid4()), None)

    assert (Counting.asked, len(found), found.need_owners) == (0, 500, True)


def test_what_is_closed_leaves_nothing_behind() -> None:
    found = Subscriptions()
    made = added(found, Topic(owner_id=uuid4()))
    found.discard(made)

    assert (len(found), found.need_owners, list(found)) == (0, False, [])
