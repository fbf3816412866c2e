"""One machine over every type at once: keys change their type, are renamed, copied, moved and run out.

Transactions and wrong types are in it, and what one type's commands store is read by another's.
"""

from __future__ import annotations

import pytest

from tests.differential.grammar import KEYS, Part, any_case, one_of, words
from tests.differential.test_bitmaps import BIT_COMMANDS
from tests.differential.test_geo import COMMANDS as GEO_COMMANDS
from tests.differential.test_hashes import HASH_COMMANDS
from tests.differential.test_hyperloglogs import COMMANDS as SKETCH_COMMANDS
from tests.differential.test_keys import KEY_COMMANDS
from tests.differential.test_lists import LIST_COMMANDS
from tests.differential.test_sets import SET_COMMANDS
from tests.differential.test_sorted_sets import CHANGES, COMBINATIONS, LEX_RANGES, RANGES, SIMPLE
from tests.differential.test_sorting import SORTS
from tests.differential.test_streams import ENTRIES, GROUP_COMMANDS, READS
from tests.differential.test_strings import STRING_COMMANDS
from tests.differential.twin import Twin, run_any
from tests.peers import REDIS7_SERVER, needs

pytestmark = [pytest.mark.peers, needs(REDIS7_SERVER)]

TRANSACTIONS: list[Part] = [
    words(any_case("MULTI")),
    words(any_case("MULTI")),
    words("EXEC"),
    words("EXEC"),
    words("DISCARD"),
    words("WATCH", KEYS),
    words("UNWATCH"),
    words("NOSUCH", KEYS),
    words("GET"),
    words("SET", KEYS),
]
FAMILIES = [
    one_of(*family)
    for family in (
        TRANSACTIONS,
        STRING_COMMANDS,
        BIT_COMMANDS,
        LIST_COMMANDS,
        SET_COMMANDS,
        HASH_COMMANDS,
        [*CHANGES, *SIMPLE, *RANGES, *LEX_RANGES, *COMBINATIONS],
        [*ENTRIES, *READS, *GROUP_COMMANDS],
        GEO_COMMANDS,
        SKETCH_COMMANDS,
        KEY_COMMANDS,
        SORTS,
    )
]


@pytest.mark.usefixtures("any_tables")
def test_commands_of_all_types_answer_and_store_what_redis_does(twin: Twin) -> None:
    run_any(twin, FAMILIES)
