"""Which stores together fill an order, where the pieces of one line may come from several."""
from libc.stdint cimport int32_t, int64_t

cdef enum:
    EXACT_SHIPMENTS = 4         # up to so many `fewest_pieces` is exact, within two limits:
    MOST_LOOKS = 1 << 20        # at a store, some milliseconds
    MOST_KEPT = 2048            # stores that no others make superfluous
    EXACT_LINES = 64


# What is asked for, and what each store has of it. Offers stand in the order in which stores are
# preferred, best first.
cdef struct Demand:
    int32_t line_count          # 1 or more
    int32_t offer_count
    int32_t most_shipments      # 1 or more
    int64_t least_amount        # what each shipment must be worth; 0 or less: anything
    const int32_t* asked        # [line_count], 1 or more
    const int64_t* amounts      # [line_count], what the whole line is worth; NULL: nothing
    const double* distances_m   # [offer_count], finite, 0 to a hundred million
    const int32_t* sellable     # [offer_count][line_count], 0 or more


# Where the answer goes: shipment after shipment, in the order in which they take.
cdef struct Allocation:
    int32_t* positions          # [most_shipments], of the offers
    int32_t* taken              # [most_shipments][line_count], pieces
    int32_t* missing            # [line_count], what is still to be had


cdef int32_t fewest_pieces(const Demand* demand, Allocation* to) noexcept nogil
cdef int32_t nearest_pieces(const Demand* demand, Allocation* to) noexcept nogil
