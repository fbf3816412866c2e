"""Extendible hashing: many small dicts in place of a large one, so that no step costs what all of them hold.

A dict that is full is laid out anew all at once, and has no place where a walk could go on or a draw land.
Here a key is in a bucket, a dict of at most 85; in which, the leading bits of the key's hash say, through
a directory of 2 to the power of `depth` entries. A full bucket is split in two by the next bit, and all
others stay as they are. A bucket that fewer bits tell from the others than the directory reads has several
entries there; one that takes all of them is split after the directory was doubled, which copies pointers:
a millisecond at sixteen million keys. Where keys are taken away, all of this goes back the same way.

A scan goes through the hashes in rising order, and its cursor is the hash to go on from. Splitting and
joining buckets changes no hash, so a scan meets all that stays, nothing twice, and comes to its end.

A draw names a bucket, each as likely as any other, and one of 85 places in it, and is repeated if no key is
at that place: so each key is as likely as any other. Mostly it is repeated once at most, for a bucket is
two thirds full on the average, and neighbours that have room in half a bucket are joined.

Hashes are Python's, keyed with a secret of the process: could a client foresee them, it could send keys by
the thousand that all belong in one bucket. So the order of a wide table is another in each process. Nothing
that has to be the same on two nodes comes from it: what was drawn is propagated by name.

Source: Fagin, Nievergelt, Pippenger and Strong, "Extendible Hashing - A Fast Access Method for Dynamic
Files", ACM Transactions on Database Systems 4 (3), 1979.
"""

from __future__ import annotations

from itertools import islice
from random import Random
from sys import getsizeof, hash_info
from typing import Generic, TypeVar

MOST_IN_BUCKET = 85
"""What a dict of 128 places takes before it grows."""
FEW_IN_BUCKET = MOST_IN_BUCKET // 4
"""With fewer, a bucket is joined with its neighbour, if the two fill half a bucket at most."""
PLACE_BITS = 48
"""A key's place in a scan: so many leading bits of its hash. SCAN has a slot's number to put beside them."""

_HASH_BITS = hash_info.width
_PLACES = 1 << PLACE_BITS
_MEASURED_BUCKETS = 64

V = TypeVar("V")


class Bucket(dict[bytes, V], Generic[V]):
    """Keys whose hashes begin with the same bits, and their values."""

    __slots__ = ("beginning", "depth", "is_shared", "position")

    def __init__(self, beginning: int, depth: int, position: int) -> None:
        self.beginning = beginning
        """These bits, as a number."""
        self.depth = depth
        """How many they are."""
        self.position = position
        """Where in `Directory.buckets` it is."""
        self.is_shared = False
        """Whether it is, or was, in two directories: then it has to stay as it is."""


class Directory(list[Bucket[V]], Generic[V]):
    """The bucket for each beginning of a hash.

    A hash has a sign. Shifted to its leading bits it is an index of this list even so: those below zero count
    from the end, which makes the order of the list that of the hashes read without a sign.
    """

    __slots__ = ("at_depth", "buckets", "depth", "shift", "size")

    def __init__(self, depth: int) -> None:
        self.depth = depth
        self.shift = _HASH_BITS - depth
        """`directory[hash(key) >> directory.shift]` is a key's bucket."""
        self.buckets: list[Bucket[V]] = [Bucket(number, depth, number) for number in range(1 << depth)]
        """Every bucket once, in no order."""
        super().__init__(self.buckets)
        self.at_depth = [0] * (_HASH_BITS + 1)
        """How many buckets there are of each depth."""
        self.at_depth[depth] = 1 << depth
        self.size = 0
        """How many keys all buckets hold."""

    def split_for(self, key: bytes) -> None:
        """Split the bucket of a key, which is not shared, until it is not overfull."""
        key_hash = hash(key)
        while len(bucket := self[key_hash >> self.shift]) > MOST_IN_BUCKET:
            if bucket.depth == self.depth:
                self._double()
            self._split(bucket)

    def _split(self, bucket: Bucket[V]) -> None:
        depth = bucket.depth = bucket.depth + 1
        bucket.beginning <<= 1
        next_bit = _HASH_BITS - depth
        upper: Bucket[V] = Bucket(bucket.beginning + 1, depth, len(self.buckets))
        for key in [key for key in bucket if hash(key) >> next_bit & 1]:
            upper[key] = bucket.pop(key)
        lower = bucket.copy()  # which has no room for what is gone
        bucket.clear()
        bucket.update(lower)
        self.buckets.append(upper)
        self._enter(upper)
        self.at_depth[depth - 1] -= 1
        self.at_depth[depth] += 2

    def join_for(self, key: bytes) -> None:
        """Join the bucket of a key that is gone with its neighbour, as often as there is room."""
        key_hash = hash(key)
        while (bucket := self[key_hash >> self.shift]).depth and len(bucket) < FEW_IN_BUCKET:
            neighbour = self[(bucket.beginning ^ 1) << self.depth - bucket.depth]
            if neighbour.depth != bucket.depth or len(bucket) + len(neighbour) > MOST_IN_BUCKET // 2:
                return
            self._join(self.owned(bucket), neighbour)

    def _join(self, bucket: Bucket[V], neighbour: Bucket[V]) -> None:
        bucket.update(neighbour)
        bucket.depth -= 1
        bucket.beginning >>= 1
        self._enter(bucket)
        last = self.owned(self.buckets[-1])
        self.buckets.pop()
        if last.position != neighbour.position:
            last.position = neighbour.position
            self.buckets[last.position] = last
        self.at_depth[bucket.depth] += 1
        self.at_depth[bucket.depth + 1] -= 2
        while self.depth and not self.at_depth[self.depth]:
            self._halve()

    def _enter(self, bucket: Bucket[V]) -> None:
        """Put a bucket at each place of the directory that is its own."""
        entries = 1 << self.depth - bucket.depth
        first = bucket.beginning * entries
        self[first : first + entries] = [bucket] * entries

    def _double(self) -> None:
        doubled = [*self, *self]
        doubled[::2] = doubled[1::2] = self
        self[:] = doubled
        self.depth += 1
        self.shift -= 1

    def _halve(self) -> None:
        self[:] = self[::2]
        self.depth -= 1
        self.shift += 1

    # --- copying -----------------------------------------------------------------------------------

    def copied(self) -> Directory[V]:
        """Another directory of the same keys and values. Both share all buckets until they change them."""
        made = Directory[V](0)
        made.depth, made.shift, made.size = self.depth, self.shift, self.size
        made.at_depth, made.buckets = self.at_depth.copy(), self.buckets.copy()
        made[:] = self
        for bucket in self.buckets:
            bucket.is_shared = True
        return made

    def owned(self, bucket: Bucket[V]) -> Bucket[V]:
        """A bucket as one that may be changed: a copy in its place, if it is shared."""
        if not bucket.is_shared:
            return bucket
        own = Bucket[V](bucket.beginning, bucket.depth, bucket.position)
        own.update(bucket)
        self.buckets[own.position] = own
        self._enter(own)
        return own

    # --- walking and drawing -----------------------------------------------------------------------

    def scan(self, place: int, count: int) -> tuple[int, list[bytes]]:
        """About `count` keys in the order of their places from this one on; and where to go on, or 0."""
        found: list[bytes] = []
        while place < _PLACES and len(found) < count:
            bucket = self[place >> PLACE_BITS - self.depth]
            end = (place | (1 << PLACE_BITS - bucket.depth) - 1) + 1
            ranked = sorted([(rank, key) for key in bucket if (rank := _place_of(key)) >= place])
            wanted = count - len(found)
            if wanted < len(ranked):
                end = ranked[wanted - 1][0] + 1
                ranked = [pair for pair in ranked if pair[0] < end]
            found += [key for _, key in ranked]
            place = end
        return (place if place < _PLACES else 0), found

    def draw(self, rng: Random) -> bytes:
        """A key drawn uniformly. There must be one."""
        buckets, random = self.buckets, rng.random
        if len(buckets) == 1:
            return next(islice(buckets[0], int(random() * len(buckets[0])), None))
        while True:
            number, share = divmod(random() * len(buckets), 1.0)
            bucket, place = buckets[int(number)], int(share * MOST_IN_BUCKET)
            if place < len(bucket):
                return next(islice(bucket, place, None))

    def memory_bytes(self) -> int:
        """What all of this takes but for keys and values. An estimate: some buckets stand for all."""
        some = self.buckets[:_MEASURED_BUCKETS]
        of_buckets = sum(map(getsizeof, some)) * len(self.buckets) // len(some)
        return getsizeof(self) + getsizeof(self.buckets) + of_buckets


def _place_of(key: bytes) -> int:
    return (hash(key) >> _HASH_BITS - PLACE_BITS) % _PLACES
