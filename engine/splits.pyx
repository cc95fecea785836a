"""Split orders: what each shipment is worth, and its record.

    order 7    tea 3 at 300, milk 2 at 100                 its record: all of it, no stock
    7 / 1      tea 2 at 200, milk 2 at 100    from east    a record each, in the order table, with
    7 / 2      tea 1 at 100                   from west    stock, store, promise and life of its own
"""
from libc.stdint cimport int32_t, int64_t
from libc.string cimport memchr

from fendan.engine.batch cimport Columns
from fendan.engine.names cimport NameTable, Span, find_name, hash_of, name_in
from fendan.engine.network cimport MAX_ID_BYTES
from fendan.engine.records cimport (
    FLAG_GRANTED, FLAG_SHIPMENT, NO_ROOM, SEPARATOR, SUFFIX_BYTES, Record, Table,
    add_record, basket_at, find_shipment, grant_at, id_at, record_at, shipment_id,
)
from fendan.engine.shipments cimport Part, PartList, add_part, lines_of
from fendan.engine.shelves cimport Basket


cdef void share_amounts(PartList* list, int64_t first, int64_t count, const Columns* orders,
                        const NameTable* skus) noexcept nogil:
    """In proportion to pieces, rounded down; what remains goes to the first part with the line."""
    cdef int64_t line, at, row, end, amount, shared, pieces, first_at
    end = list.parts[first + count - 1].first_line + list.parts[first + count - 1].line_count
    for at in range(list.parts[first].first_line, end):
        list.amounts[at] = 0
    if orders.amounts == NULL:
        return
    row = list.parts[first].row
    for line in range(orders.offsets[row], orders.offsets[row + 1]):
        amount, pieces = orders.amounts[line], orders.quantities[line]
        shared, first_at = 0, -1
        for at in range(list.parts[first].first_line, end if amount else 0):
            if list.skus[at] == orders.skus[line] or (
                    without_date(skus, list.skus[at]) == orders.skus[line]):
                # amount * quantity / pieces, and no product beyond 64 bits.
                list.amounts[at] = (amount // pieces * list.quantities[at]
                                    + amount % pieces * list.quantities[at] // pieces)
                shared += list.amounts[at]
                first_at = at if first_at < 0 else first_at
        if first_at >= 0:
            list.amounts[first_at] += amount - shared


cdef int32_t without_date(const NameTable* skus, int32_t sku) noexcept nogil:
    """The SKU whose incoming supply this is; else itself."""
    cdef Span name = name_in(skus, sku)
    cdef const char* end = <const char*>memchr(name.text, SEPARATOR, name.size)
    if end == NULL:
        return sku
    name.size = end - name.text
    return find_name(skus, name)


cdef int64_t add_shipments(Table* table, int64_t order, const PartList* list, int64_t first,
                           int64_t count) noexcept nogil:
    cdef char[MAX_ID_BYTES + SUFFIX_BYTES] room
    cdef const Part* part
    cdef Basket basket
    cdef Span id
    cdef int64_t shipment
    cdef int32_t number
    for number in range(1, <int32_t>count + 1):
        part = list.parts + first + number - 1
        basket = lines_of(list, part)
        id = shipment_id(id_at(table, order), number, room)
        shipment = add_record(
            table, id, hash_of(id), record_at(table, order).lat, record_at(table, order).lng,
            &basket, FLAG_GRANTED | FLAG_SHIPMENT,
        )
        if shipment == NO_ROOM:
            return number - 1
        grant_at(table, shipment)[0] = grant_at(table, order)[0]
        grant_at(table, shipment).shipment_count = 1
        grant_at(table, shipment).merge_group = 0  # which the order has
        grant_at(table, shipment).merge_key = 0
        grant_at(table, shipment).promised_ns = part.promised_ns
        grant_at(table, shipment).keep_day = part.keep_day
    return count


cdef bint tell_again(const Table* table, int64_t order, int64_t row, PartList* told) noexcept nogil:
    cdef const Record* record
    cdef Basket basket
    cdef Part* part
    cdef int64_t shipment
    cdef int32_t number
    for number in range(1, record_at(table, order).verdict.shipments + 1):
        shipment = find_shipment(table, order, number)
        record = record_at(table, shipment)
        basket = basket_at(table, shipment)
        part = add_part(told, row, &basket, NULL)
        if part == NULL:
            return False
        part.store, part.distance_m = record.verdict.store, record.verdict.distance_m
        part.promised_ns = grant_at(table, shipment).promised_ns
    return True


cdef bint tell_parts(const PartList* list, int64_t first, int64_t count, int64_t row,
                     PartList* told) noexcept nogil:
    cdef const Part* source
    cdef Part* part
    cdef Basket basket
    cdef int64_t at
    for at in range(first, first + count):
        source = list.parts + at
        basket = lines_of(list, source)
        part = add_part(told, row, &basket, list.before + source.first_line)
        if part == NULL:
            return False
        part.store, part.distance_m = source.store, source.distance_m
        part.promised_ns = source.promised_ns
    return True
