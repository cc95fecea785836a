"""What an order says beside its place and its lines: its type, channel, region, pickup store, group,
buyer and address.

As it came it is a Said; what the core reads is an Asked, numbers alone. Texts that are only ever
compared become hashes of 64 bits, the same in every run: they are kept with the order.
"""
cimport cython
from cpython.number cimport PyNumber_Index
from libc.stdint cimport int32_t, int64_t, uint64_t
from libc.string cimport memchr, memcpy

from fendan.engine.names cimport NO_NAME, NameTable, Names, Span, find_name, span_of
from fendan.engine.network cimport MAX_ID_BYTES, NO_STORE, is_usable_id

from numbers import Integral

import numpy as np

from fendan.engine.fault import Fault
from fendan.engine.network import ID_HINT as _ID_HINT
from fendan.engine.place import ARRAYS as _ARRAYS, field_of, row_of
from fendan.errors import refuse

# asking.Asked as numpy sees it.
ASKED_DTYPE = np.dtype(
    [
        ("group", np.uint64), ("buyer", np.uint64), ("hash", np.uint64), ("order_type", np.int32),
        ("channel", np.int32), ("region", np.int32), ("pickup_store", np.int32),
        ("bundle_needs", np.uint32), ("bundle_life_days", np.int32),
        ("bundle_classes", np.uint8), ("bundle_hidden", np.uint8),
    ],
    align=True,
)

# What of an order is text, and may be ""; in the order of Said.
TEXTS = ("channel", "region", "pickup_store_id", "group_id", "buyer_id", "address_id")

# Of an order; enough for member tiers and what the order types add to them.
HIGHEST_PRIORITY = 9

cdef enum:
    SEEN_BITS = 6               # for so many kinds of orders, as a power of two, one is remembered

_TYPE_HINT = f"must be a fendan.OrderType, 0 to {TYPE_GROUP}"


# -- HASHES ------------------------------------------------------------------------------------

cdef inline uint64_t mixed(uint64_t hash, uint64_t word) noexcept nogil:
    """A hash that goes on with one more word; as SplitMix64 does it."""
    hash = (hash ^ word) + <uint64_t>0x9e3779b97f4a7c15
    hash = (hash ^ hash >> 30) * <uint64_t>0xbf58476d1ce4e5b9
    hash = (hash ^ hash >> 27) * <uint64_t>0x94d049bb133111eb
    return hash ^ hash >> 31


cdef uint64_t with_text(uint64_t hash, Span text) noexcept nogil:
    """A hash that goes on with a text, whose size comes first: "ab", "c" is not "a", "bc"."""
    cdef int64_t at
    cdef uint64_t word
    hash = mixed(hash, text.size)
    for at in range(0, text.size, 8):
        word = 0
        memcpy(&word, text.text + at, min(8, text.size - at))
        hash = mixed(hash, word)
    return hash


cdef inline uint64_t sealed(uint64_t hash) noexcept nogil:
    """A hash of something that was said, which is never 0."""
    return hash or 1


# -- ONE ORDER ---------------------------------------------------------------------------------

cdef Said nothing_said() noexcept nogil:
    cdef Said said
    said.channel.text = b""
    said.channel.size = 0
    said.region = said.pickup_store = said.group = said.buyer = said.address = said.channel
    said.order_type = TYPE_UNSPECIFIED
    said.priority = 0
    return said


cdef Asked nothing_asked() noexcept nogil:
    cdef Asked asked
    asked.group = asked.buyer = asked.hash = 0
    asked.order_type = TYPE_UNSPECIFIED
    asked.channel = asked.region = NO_NAME
    asked.pickup_store = NO_STORE
    asked.bundle_needs = asked.bundle_life_days = asked.bundle_classes = asked.bundle_hidden = 0
    return asked


cdef inline bint is_usable(Span text) noexcept nogil:
    return (text.size <= MAX_ID_BYTES and memchr(text.text, 0, text.size) == NULL
            and memchr(text.text, 0x1f, text.size) == NULL)


cdef bint fits(int64_t order_type, bint has_pickup_store, bint has_group) noexcept nogil:
    """Whether an order of this type may say the rest."""
    if has_pickup_store and order_type != TYPE_PICKUP and order_type != TYPE_UNSPECIFIED:
        return False
    return has_group or order_type != TYPE_GROUP


cdef bint is_sound(const Said* said) noexcept nogil:
    """Whether nothing in it can be refused but that there is no such store."""
    return (0 <= said.order_type <= <int64_t>TYPE_GROUP
            and fits(said.order_type, said.pickup_store.size > 0, said.group.size > 0)
            and is_usable(said.channel) and is_usable(said.region)
            and is_usable(said.pickup_store) and is_usable(said.group)
            and is_usable(said.buyer) and is_usable(said.address))


cdef Asked asked_of(const NameTable* channels, const NameTable* regions,
                    const Said* said) noexcept nogil:
    """All but the pickup store, which only the caller can look up."""
    cdef Asked asked = nothing_asked()
    cdef uint64_t hash, buyer = 0
    asked.order_type = <int32_t>said.order_type
    if said.channel.size:
        asked.channel = find_name(channels, said.channel)
    if said.region.size:
        asked.region = find_name(regions, said.region)
        if asked.region == NO_NAME:
            asked.region = find_name(regions, nothing_said().region)
    if said.group.size:
        asked.group = sealed(with_text(0, said.group))
    if said.buyer.size or said.address.size:
        buyer = sealed(with_text(with_text(0, said.buyer), said.address))
    if said.buyer.size and said.address.size:
        asked.buyer = buyer
    if (said.order_type or said.channel.size or said.region.size or said.pickup_store.size
            or asked.group or buyer):
        hash = with_text(with_text(mixed(0, said.order_type), said.channel), said.region)
        hash = mixed(mixed(with_text(hash, said.pickup_store), asked.group), buyer)
        asked.hash = sealed(hash)
    return asked


# -- MANY --------------------------------------------------------------------------------------

# A column of texts: which of the names each order says.
cdef struct Texts:
    int place                   # in Said
    const int32_t* indices
    const Span* names


# What orders say in columns, of which there need be none.
cdef struct SaidColumns:
    const int64_t* types        # or NULL
    Texts texts[TEXT_COUNT]     # [count]
    int count


cdef int64_t read_all(const NameTable* channels, const NameTable* regions, const Said* said,
                      int64_t count, Asked* asked) noexcept nogil:
    """All but the pickup stores; the first row with something wrong, or -1."""
    cdef int64_t row
    for row in range(count):
        if not is_sound(&said[row]):
            return row
        asked[row] = asked_of(channels, regions, &said[row])
    return -1


cdef Said said_in(const SaidColumns* columns, int64_t row) noexcept nogil:
    """What an order of columns says."""
    cdef Said said = nothing_said()
    cdef int place
    if columns.types != NULL:
        said.order_type = columns.types[row]
    for place in range(columns.count):
        (<Span*>&said)[columns.texts[place].place] = (
            columns.texts[place].names[columns.texts[place].indices[row]]
        )
    return said


cdef inline uint64_t seen_at(const SaidColumns* columns, int64_t row) noexcept nogil:
    """Where an order is remembered that says the same."""
    cdef uint64_t mix = <uint64_t>columns.types[row] if columns.types != NULL else 0
    cdef int place
    for place in range(columns.count):
        mix = mix * 31 + <uint64_t>columns.texts[place].indices[row]
    return mix * <uint64_t>0x9e3779b97f4a7c15 >> (64 - SEEN_BITS)


cdef inline bint says_the_same(const SaidColumns* columns, int64_t row,
                               int64_t other) noexcept nogil:
    """Whether two orders name the same entry of each column; the same words twice are two."""
    cdef int place
    if columns.types != NULL and columns.types[row] != columns.types[other]:
        return False
    for place in range(columns.count):
        if columns.texts[place].indices[row] != columns.texts[place].indices[other]:
            return False
    return True


@cython.final
cdef class Asking:
    """The names that what orders say is looked up in.

    `channels`, `regions`: those that some rule or share knows; all others are the same to it.
    `store_code_of`: id -> store code, for pickup stores.
    """

    def __init__(self, Names channels not None, Names regions not None, store_code_of):
        self.channels = channels
        self.regions = regions
        self.store_code_of = store_code_of

    cdef bint read_order(self, object order, Asked* asked) except -1:
        """Read an object like `fendan.Order`; True where something is wrong with it."""
        cdef Said said
        cdef long long order_type = PyNumber_Index(getattr(order, "order_type", TYPE_UNSPECIFIED))
        cdef object code
        # Held here, for the spans point into them.
        channel, region = getattr(order, "channel", ""), getattr(order, "region", "")
        pickup_store = getattr(order, "pickup_store_id", "")
        group, buyer = getattr(order, "group_id", ""), getattr(order, "buyer_id", "")
        address = getattr(order, "address_id", "")
        said.order_type = order_type
        span_of(channel, &said.channel)
        span_of(region, &said.region)
        span_of(pickup_store, &said.pickup_store)
        span_of(group, &said.group)
        span_of(buyer, &said.buyer)
        span_of(address, &said.address)
        if not is_sound(&said):
            return True
        asked[0] = asked_of(&self.channels.table, &self.regions.table, &said)
        if said.pickup_store.size:
            code = self.store_code_of.get(pickup_store)
            if code is None:
                return True
            asked.pickup_store = code
        return False

    cdef int64_t read_said(self, const Said* said, int64_t count, Asked* asked) except -2:
        """Read what orders said, or NULL: nothing; the first row with something wrong, or -1."""
        cdef int64_t row, bad = -1, named = 0
        cdef Span store
        with nogil:
            if said == NULL:
                for row in range(count):
                    asked[row] = nothing_asked()
                return -1
            bad = read_all(&self.channels.table, &self.regions.table, said, count, asked)
            for row in range(count):
                named += said[row].pickup_store.size > 0
        for row in range(bad if bad >= 0 else count if named else 0):
            store = said[row].pickup_store
            if store.size:
                code = self.store_code_of.get(store.text[:store.size].decode())
                if code is None:
                    return row
                asked[row].pickup_store = code
        return bad

    def of_columns(self, int64_t count, dict columns not None):
        """Rows of ASKED_DTYPE for so many orders.

        `columns`, none of which need be there: "order_types", int64[count]; "channels" and the
        like, each of TEXTS with an s, (int32[count], names): which of the names an order says.
        Errors name the column and the row.
        """
        cdef SaidColumns given
        cdef int place
        cdef int64_t row
        cdef const int64_t[::1] types
        cdef list kept = []
        given.types, given.count = NULL, 0
        result = np.empty(max(1, count), dtype=ASKED_DTYPE)
        cdef Asked[::1] asked = result
        for name, column in columns.items():
            values = column if name == "order_types" else column[0]
            if len(values) != count:
                refuse(Fault.RAGGED, name, len(values), hint=f"as long as lat, which has {count}")
        if "order_types" in columns and count:
            types = columns["order_types"]
            given.types = &types[0]
        for place in range(TEXT_COUNT):
            column = columns.get(f"{TEXTS[place]}s")
            if column is not None and count:
                given.texts[given.count].place = place
                kept.append(point_at(&given.texts[given.count], column[0], column[1]))
                given.count += 1
        row = read_columns(self, &given, count, &asked[0])
        if row >= 0:
            explain_asked(_Row(columns, row), self, _ARRAYS, row)
        return result[:count]


cdef int64_t read_columns(Asking asking, const SaidColumns* columns, int64_t count,
                          Asked* asked) except -2:
    """As `read_said`. Orders say the same few words over and over: those are looked up once."""
    cdef int64_t seen[1 << SEEN_BITS]
    cdef int64_t row
    cdef uint64_t at
    cdef Said said
    for row in range(1 << SEEN_BITS):
        seen[row] = -1
    for row in range(count):
        at = seen_at(columns, row)
        if seen[at] >= 0 and says_the_same(columns, row, seen[at]):
            asked[row] = asked[seen[at]]
            continue
        said = said_in(columns, row)
        if asking.read_said(&said, 1, &asked[row]) >= 0:
            return row
        seen[at] = row
    return -1


cdef object point_at(Texts* texts, const int32_t[::1] indices, list names):
    """Point into a column; the names must live on, and what is returned."""
    cdef int64_t[:, ::1] words = np.empty((max(1, len(names)), 2), dtype=np.int64)
    cdef Span* spans = <Span*>&words[0, 0]
    cdef int64_t index
    for index in range(len(names)):
        span_of(names[index], &spans[index])
    texts.indices, texts.names = &indices[0], spans
    return indices, words


class _Row:
    """One order of columns, as an object."""

    def __init__(self, columns, row):
        if "order_types" in columns:
            self.order_type = int(columns["order_types"][row])
        for name in TEXTS:
            if f"{name}s" in columns:
                indices, names = columns[f"{name}s"]
                setattr(self, name, names[indices[row]])


# -- REFUSING ----------------------------------------------------------------------------------

def _refuse_type(order_type, has_pickup_store, style, row):
    """Say what an order of this type may not say, or must."""
    if has_pickup_store and order_type not in (TYPE_PICKUP, TYPE_UNSPECIFIED):
        refuse(Fault.OUT_OF_RANGE, field_of("order_types", "order_type", style, row), order_type,
               row=row_of(style, row), hint="only an order of type PICKUP names a pickup store")
    if order_type == TYPE_GROUP:
        refuse(Fault.MISSING, field_of("group_ids", "group_id", style, row), "",
               row=row_of(style, row), hint="an order of type GROUP must name its group")


def check_priority(priority, style, row):
    """Refuse what is no priority of an order."""
    hint = f"must be a whole number from 0 to {HIGHEST_PRIORITY}"
    field = field_of("priorities", "priority", style, row)
    if not isinstance(priority, Integral):
        refuse(Fault.WRONG_TYPE, field, priority, row=row_of(style, row), hint=hint)
    if not 0 <= priority <= HIGHEST_PRIORITY:
        refuse(Fault.OUT_OF_RANGE, field, priority, row=row_of(style, row), hint=hint)


def explain_said(order, style, row):
    """Refuse an order by the first bad value of what can be said of any network."""
    def no(fault, attribute, value, hint):
        field = field_of(f"{attribute}s", attribute, style, row)
        refuse(fault, field, value, row=row_of(style, row), hint=hint)

    order_type = getattr(order, "order_type", TYPE_UNSPECIFIED)
    if not isinstance(order_type, Integral):
        no(Fault.WRONG_TYPE, "order_type", order_type, _TYPE_HINT)
    if not TYPE_UNSPECIFIED <= order_type <= TYPE_GROUP:
        no(Fault.OUT_OF_RANGE, "order_type", order_type, _TYPE_HINT)
    check_priority(getattr(order, "priority", 0), style, row)
    for name in TEXTS:
        text = getattr(order, name, "")
        if not isinstance(text, str):
            no(Fault.WRONG_TYPE, name, text, "must be a str")
        if text != "" and not is_usable_id(text):
            no(Fault.BAD_ID, name, text, _ID_HINT)


def explain_asked(order, Asking asking not None, style, row):
    """Read what an order says again, slowly, and refuse it by its first bad value."""
    explain_said(order, style, row)
    store_id = getattr(order, "pickup_store_id", "")
    order_type = getattr(order, "order_type", TYPE_UNSPECIFIED)
    if not fits(order_type, store_id != "", getattr(order, "group_id", "") != ""):
        _refuse_type(order_type, store_id != "", style, row)
    if store_id != "" and asking.store_code_of.get(store_id) is None:
        refuse(Fault.UNKNOWN_STORE, field_of("pickup_store_ids", "pickup_store_id", style, row),
               store_id, row=row_of(style, row))
