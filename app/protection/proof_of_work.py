"""A small proof that comes before a hold when many holds come at once, so that a program which blocks times pays for
each of them with its own machine's time, or with someone's.

Two ways to prove it. Work, which a browser does in about a second without asking anyone: find numbers whose PBKDF2 key
begins with so many zero bits. PBKDF2 because browsers have it natively (WebCrypto), so that an attacker's program is
hardly faster than a visitor's phone, and because one right number is checked at once. And a plain question, for those
without scripts. The method is ALTCHA's; its package's 2,000 lines are not needed for one algorithm.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Any

from itsdangerous import BadSignature, URLSafeSerializer

#: How long a challenge can be answered: long enough for someone who reads slowly, or whose phone is slow.
LIFE = timedelta(minutes=10)
#: Several small searches instead of one large one: with the same work on average, bad luck is rarer.
PARTS = 8
ROUNDS = 1000
#: Zero bits at the least: 8 parts of 64 keys each, on average. Each further one doubles the work.
BITS, MOST_BITS = 6, 9
#: What a full widget asks for: 64 times the least work, some 10 seconds of a processor's time for a program with the
#: fastest library, and a few of a browser that uses all of its cores. It doubles twice more.
FULL_BITS, MOST_FULL_BITS = 12, 14
_SOLUTION = re.compile(rf"\d{{1,9}}(?:,\d{{1,9}}){{{PARTS - 1}}}")
_LONGEST_TOKEN = 300


@dataclass(frozen=True, slots=True)
class Challenge:
    """What is asked: work for the browser, or, where it `asks`, the sum of `first` and `second` for a person. `token`
    comes back."""

    token: str
    salt: str
    bits: int
    first: int
    second: int
    parts: int = PARTS
    rounds: int = ROUNDS
    asks: bool = True


@dataclass(frozen=True, slots=True)
class Proof:
    """What came back: the challenge's token with the numbers found, or with the answer that was typed."""

    token: str = ""
    solution: str = ""
    answer: str = ""

    def __bool__(self) -> bool:
        return bool(self.token)


class Challenges:
    """Makes challenges and checks proofs. `keys` newest first; what was asked is signed, and not kept."""

    def __init__(self, keys: Sequence[str], *, now: Callable[[], datetime], random: Random) -> None:
        self._serializer = URLSafeSerializer(list(reversed(keys)), salt="holdfast.challenge")
        self._key = keys[0].encode()
        self._now = now
        self._random = random
        self._spent: dict[str, datetime] = {}

    def make(self, purpose: str, *, effort: int = 0, full: bool = False, asks: bool = True) -> Challenge:
        """A new one that only serves `purpose`; `effort` doublings of the least work, or of the work that a `full`
        widget asks for. Without `asks` no answer to the question is good, only the work."""
        salt = f"{self._random.getrandbits(96):024x}"
        bits = min(FULL_BITS + effort, MOST_FULL_BITS) if full else min(BITS + effort, MOST_BITS)
        first, second = self._random.randint(2, 9), self._random.randint(2, 9)
        expires = int((self._now() + LIFE).timestamp())
        told = [salt, bits, expires, self._seal(salt, first + second) if asks else ""]
        token = str(self._serializer.dumps(told, salt=_salt(purpose)))
        return Challenge(token, salt, bits, first, second, asks=asks)

    def accept(self, purpose: str, proof: Proof, *, least: int = 0) -> bool:
        """Whether the proof is good, for this purpose and for the first time. One of less than `least` bits is not:
        it was asked for before the widget was full."""
        if len(proof.token) > _LONGEST_TOKEN:
            return False
        try:
            told: Any = self._serializer.loads(proof.token, salt=_salt(purpose))
        except BadSignature:
            return False
        salt, bits, expires, sealed = told
        now = self._now()
        self._spent = {used: until for used, until in self._spent.items() if until > now}
        if now.timestamp() >= expires or salt in self._spent or bits < least:
            return False
        if proof.solution:
            good = _solves(salt, bits, proof.solution)
        else:
            good = hmac.compare_digest(sealed, self._seal(salt, _number(proof.answer)))
        if good:
            self._spent[salt] = now + LIFE
        return good

    def _seal(self, salt: str, answer: int | None) -> str:
        return hmac.digest(self._key, f"{salt}:{answer}".encode(), "sha256").hex()[:16]


def works(salt: str, part: int, bits: int, number: int) -> bool:
    """Whether a number solves one part. The browser's side is static/work.js."""
    key = hashlib.pbkdf2_hmac("sha256", str(number).encode(), f"{salt}.{part}".encode(), ROUNDS, 4)
    return int.from_bytes(key) >> (32 - bits) == 0


def _solves(salt: str, bits: int, solution: str) -> bool:
    if not _SOLUTION.fullmatch(solution):
        return False
    return all(works(salt, part, bits, int(number)) for part, number in enumerate(solution.split(",")))


def _salt(purpose: str) -> str:
    return f"holdfast.challenge:{purpose}"


def _number(text: str) -> int | None:
    """The number that was typed, in the digits of any script; None for anything else."""
    text = text.strip()
    return int(text) if text.isdecimal() and len(text) < 4 else None
