"""A policy as the core reads it."""
cimport cython
from libc.stdint cimport int8_t, int32_t, int64_t, uint8_t, uint32_t, uint64_t

from fendan.engine.areas cimport Areas
from fendan.engine.asking cimport Asked, Asking
from fendan.engine.geo cimport Place
from fendan.engine.loads cimport Loads, LoadTable
from fendan.engine.merges cimport Merges, MergeTable
from fendan.engine.offers cimport Scratch, Sharing
from fendan.engine.shelves cimport Basket
from fendan.engine.terms cimport RuleTerms, Standing, Terms


# Which rule an order comes under, and all that rules look at; owned by a Rules.
cdef struct RuleBook:
    int32_t version
    RuleTerms* rules
    const int32_t* numbers      # [types][channels][regions][class sets] -> rule; see policy
    int32_t channels            # how many, with all the others as number 0
    int32_t regions
    int32_t class_sets
    const int32_t* channel_rows # [channel_codes] -> number of the channel in the table
    int32_t channel_codes
    const int32_t* region_rows  # [region_codes]
    int32_t region_codes
    const int32_t* region_areas # [regions], the area of that name or -1; or NULL: none has one
    const uint8_t* class_sets_of    # [sku_count], of the classes that conditions name; or NULL
    const int32_t* classes_of   # [sku_count], in `StepTerms.together`; or NULL
    const uint32_t* needs_of    # [sku_count], abilities; or NULL
    const int32_t* least_life_days_of   # [sku_count], what is asked of lots
    const int32_t* bundles      # [bundle_count], SKUs that are sold as their parts
    int32_t bundle_count
    const int64_t* bundle_first     # [SKU]: parts of a bundle are first[SKU]:first[SKU + 1]
    const int64_t* bundle_parts     # the SKU of each, none of which is a bundle
    const int64_t* bundle_pieces    # and how many of it
    const uint8_t* presale      # [sku_count], whether it is sold against supply; or NULL
    const int32_t* supply_first # [sku_count + 1]: supplies of a SKU are first[sku]:first[sku + 1]
    const int32_t* supply_days  # the day each arrives, since 1970, ascending for each SKU
    const int32_t* supply_skus  # the SKU that it is kept under
    const int64_t* supply_begins_ns     # [supplies][zones], when its day begins
    const int32_t* zone_of      # [store_count]
    int32_t zones               # in which stores are
    const int32_t* millionths   # [channel_codes][store_count], shares; or NULL
    const uint8_t* hidden       # [channel_codes][sku_count]; or NULL
    const uint8_t* all_hidden   # [sku_count], as a row of it; or NULL where that is
    int32_t sku_count
    int32_t store_count
    Standing standing
    Sharing* sharing
    MergeTable* merges
    Loads* loads
    int32_t most_shipments      # that any step may make of an order


# The rule of an order, and with it all but the step of its terms.
cdef void set_terms(const RuleBook* book, Terms* terms, const Asked* asked, const Basket* basket,
                    double lat, double lng, int64_t now_ns) noexcept nogil


@cython.final
cdef class Rules:
    cdef RuleBook book
    cdef readonly Asking asking
    cdef readonly Areas areas
    cdef readonly Merges merges
    cdef readonly LoadTable loads
    cdef Scratch scratch
    cdef dict _arrays           # the numpy arrays that own what `book` points at
    cdef int32_t _rule_count

    cdef int _set_rule(self, RuleTerms* terms, rule, int32_t first) except -1
    cdef int _set_ranking(self, RuleTerms* terms, ranking) except -1
