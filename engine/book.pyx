"""A policy as the core reads it: which rule an order comes under, and all that rules look at.

    type, channel, region, classes of the lines --> numbers --> rules[] --> steps[] --> allowed
                                                                                        one bit a store

Everything points into numpy arrays. Those that Python makes (see ruling) it refreshes in place when
the clock crosses an edge: opening hours in `allowed`, and in `stores` what the local clock shows.
Open orders and room are the core's own (see loads). Nothing else changes until a policy, a profile
or the network does, and then there is another Rules.
"""
cimport cython
from libc.math cimport INFINITY
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free

from fendan.engine.areas cimport Areas, covers_place
from fendan.engine.asking cimport Asked, Asking
from fendan.engine.loads cimport LoadTable
from fendan.engine.merges cimport Merges
from fendan.engine.names cimport NO_NAME
from fendan.engine.offers cimport Scratch
from fendan.engine.shelves cimport Basket
from fendan.engine.terms cimport (
    BY_COST, BY_DISTANCE, BY_FRESHNESS, BY_PRIORITY, BY_STOCK, HOURS_A_DAY, MOST_DEPTH,
    MOST_LIFE_DAYS, NEVER_NS, NS_PER_S, Character, RuleTerms, StepTerms, Terms,
)

import numpy as np

# terms.Character as numpy sees it.
CHARACTER_DTYPE = np.dtype(
    [
        ("priority", np.float64), ("cost", np.float64), ("opens_ns", np.int64),
        ("local_hour", np.int32), ("utc_offset_s", np.int32),
    ]
)


cdef void set_terms(const RuleBook* book, Terms* terms, const Asked* asked, const Basket* basket,
                    double lat, double lng, int64_t now_ns) noexcept nogil:
    cdef int64_t number = 0
    cdef int32_t sku, region = 0, channel = NO_NAME
    cdef uint32_t classes = 0
    cdef int64_t line
    terms.standing = &book.standing
    terms.now_ns = now_ns
    terms.cell = 0
    terms.needs = 0
    terms.millionths = NULL
    terms.hidden = NULL
    if asked != NULL:
        channel = asked.channel
        number = asked.order_type
        if asked.region != NO_NAME and asked.region < book.region_codes:
            region = book.region_rows[asked.region]
    if channel >= book.channel_codes:
        channel = NO_NAME
    if book.region_areas != NULL and (asked == NULL or asked.region == NO_NAME):
        region = region_at(book, lat, lng, &terms.cell)
    for line in range(basket.line_count):
        sku = basket.skus[line]
        if book.class_sets_of != NULL:
            classes |= book.class_sets_of[sku]
        if book.needs_of != NULL:
            terms.needs |= book.needs_of[sku]
    terms.needs_of, terms.bundle_needs = book.needs_of, 0
    if asked != NULL:
        terms.bundle_needs = asked.bundle_needs
        terms.needs |= asked.bundle_needs
        classes |= asked.bundle_classes
    number = number * book.channels + (book.channel_rows[channel] if channel != NO_NAME else 0)
    number = (number * book.regions + region) * book.class_sets + classes
    terms.rule = book.rules + book.numbers[number]
    terms.step = terms.rule.steps
    terms.least_life_days = terms.rule.least_life_days
    if channel != NO_NAME:
        if book.millionths != NULL:
            terms.millionths = book.millionths + <int64_t>channel * book.store_count
        if book.hidden != NULL:
            terms.hidden = book.hidden + <int64_t>channel * book.sku_count
    if asked != NULL:
        terms.least_life_days = max(terms.least_life_days, asked.bundle_life_days)
        if asked.bundle_hidden:
            terms.hidden = book.all_hidden


cdef int32_t region_at(const RuleBook* book, double lat, double lng, uint64_t* cell) noexcept nogil:
    """The first region, in the order of the policy, whose area covers the place; 0: none."""
    cdef int32_t region
    for region in range(1, book.regions):
        if book.region_areas[region] >= 0 and covers_place(
            book.standing.areas, book.region_areas[region], lat, lng, cell
        ):
            return region
    return 0


@cython.final
cdef class Rules:
    """One version of a policy, ready for the core.

    `rules`: of rules.Rule. `arrays`: by the names of RuleBook's and Standing's fields, those that
    may be NULL left out, and `allowed`: uint64[steps of all rules][leaf_count], `together`: uint8[
    steps][classes].
    """

    def __init__(self, int32_t version, Asking asking not None, rules, dict arrays, Areas areas,
                 Merges merges not None, LoadTable loads not None):
        self.asking, self.areas, self.merges, self.loads = asking, areas, merges, loads
        self.scratch = Scratch()
        self.book.sharing, self.book.merges = &self.scratch.sharing, &merges.table
        self.book.version, self.book.most_shipments = version, 1
        self.book.loads = &loads.loads
        self.book.rules = <RuleTerms*>calloc(len(rules), sizeof(RuleTerms))
        if self.book.rules == NULL:
            raise MemoryError("no room for more rules")
        self._hold(arrays)
        cdef int32_t number, first = 0
        for number, rule in enumerate(rules):
            self._set_rule(&self.book.rules[number], rule, first)
            first += len(rule.steps)

    def __dealloc__(self):
        cdef int32_t number
        for number in range(self._rule_count):
            free(<void*>self.book.rules[number].steps)
        free(self.book.rules)

    @property
    def version(self):
        """Of the policy."""
        return self.book.version

    @property
    def arrays(self):
        """What may be refreshed in place, while nobody routes."""
        return self._arrays

    cdef int _set_rule(self, RuleTerms* terms, rule, int32_t first) except -1:
        """Copy a rule, whose steps' bitmaps are rows of `allowed` from `first` on."""
        cdef uint64_t[:, ::1] allowed = self._arrays["allowed"]
        cdef uint8_t[:, ::1] together = self._arrays["together"]
        cdef StepTerms* steps = <StepTerms*>calloc(len(rule.steps), sizeof(StepTerms))
        cdef StepTerms* step
        cdef int32_t place
        if steps == NULL:
            raise MemoryError("no room for more rules")
        terms.steps = steps
        self._rule_count += 1
        terms.step_count = <int32_t>len(rule.steps)
        for place, one in enumerate(rule.steps):
            step = steps + place
            if allowed.shape[1]:  # there are stores
                step.allowed = &allowed[first + place, 0]
            if together.shape[1]:
                step.together = &together[first + place, 0]
            step.name, step.radius_m, step.areas = one.name, one.radius_m, one.areas
            step.split, step.most_shipments = one.split.mode, one.split.most_shipments
            self.book.most_shipments = max(self.book.most_shipments, step.most_shipments)
            step.least_amount, step.split_lines = one.split.least_amount, one.split.split_lines
        self._set_ranking(terms, rule.ranking)
        promise = rule.promise
        terms.pick_s, terms.pick_s_per_open_order = promise.pick_s, promise.pick_s_per_open_order
        terms.detour, terms.most_s = promise.detour, promise.most_s
        for place in range(HOURS_A_DAY):
            terms.speeds_mps[place] = promise.speeds_mps[place]
        terms.timeout_ns = NEVER_NS
        if rule.reservation_timeout_s is not None:
            terms.timeout_ns = round(rule.reservation_timeout_s * NS_PER_S)
        terms.merge_window_ns = round(rule.merge_window_s * NS_PER_S)
        terms.least_life_days, terms.order_type = rule.least_life_days, rule.order_type
        return 0

    cdef int _set_ranking(self, RuleTerms* terms, ranking) except -1:
        """Copy the criteria, and find out how little a score can be without its distance."""
        cdef int32_t place
        cdef double least
        terms.scored = ranking.scored
        terms.criterion_count = <int32_t>len(ranking.criteria)
        for place, one in enumerate(ranking.criteria):
            terms.criteria[place].by = one.by
            terms.criteria[place].weight, terms.criteria[place].width_m = one.weight, one.width_m
            if one.by in (BY_STOCK, BY_FRESHNESS):
                terms.sees_counts = True
            if one.by == BY_DISTANCE:
                terms.distance_weight = one.weight
                continue
            least = 0.0
            if one.by == BY_STOCK:
                least = -MOST_DEPTH
            elif one.by == BY_FRESHNESS:
                least = -MOST_LIFE_DAYS
            elif one.by in (BY_PRIORITY, BY_COST):
                values = self._arrays["stores"]["priority" if one.by == BY_PRIORITY else "cost"]
                least = values.min(initial=INFINITY)
            terms.rest += one.weight * least
        return 0

    def _hold(self, dict arrays):
        """Take ownership of the arrays, and point into them."""
        cdef RuleBook* book = &self.book
        self._arrays = arrays
        numbers = arrays["numbers"]
        book.channels, book.regions, book.class_sets = numbers.shape[1:]
        book.numbers = <const int32_t*>pointer(arrays, "numbers", np.int32)
        book.channel_rows = <const int32_t*>pointer(arrays, "channel_rows", np.int32)
        book.channel_codes = <int32_t>len(arrays["channel_rows"])
        book.region_rows = <const int32_t*>pointer(arrays, "region_rows", np.int32)
        book.region_codes = <int32_t>len(arrays["region_rows"])
        book.region_areas = <const int32_t*>pointer(arrays, "region_areas", np.int32)
        book.class_sets_of = <const uint8_t*>pointer(arrays, "class_sets_of", np.uint8)
        book.classes_of = <const int32_t*>pointer(arrays, "classes_of", np.int32)
        book.needs_of = <const uint32_t*>pointer(arrays, "needs_of", np.uint32)
        book.least_life_days_of = <const int32_t*>pointer(arrays, "least_life_days", np.int32)
        book.bundles = <const int32_t*>pointer(arrays, "bundles", np.int32)
        book.bundle_count = <int32_t>len(arrays.get("bundles", ()))
        book.bundle_first = <const int64_t*>pointer(arrays, "bundle_first", np.int64)
        book.bundle_parts = <const int64_t*>pointer(arrays, "bundle_parts", np.int64)
        book.bundle_pieces = <const int64_t*>pointer(arrays, "bundle_pieces", np.int64)
        book.presale = <const uint8_t*>pointer(arrays, "presale", np.uint8)
        book.supply_first = <const int32_t*>pointer(arrays, "supply_first", np.int32)
        book.supply_days = <const int32_t*>pointer(arrays, "supply_days", np.int32)
        book.supply_skus = <const int32_t*>pointer(arrays, "supply_skus", np.int32)
        book.supply_begins_ns = <const int64_t*>pointer(arrays, "supply_begins_ns", np.int64)
        book.zone_of = <const int32_t*>pointer(arrays, "zone_of", np.int32)
        book.zones = arrays.get("zones", 0)
        book.millionths = <const int32_t*>pointer(arrays, "millionths", np.int32)
        book.hidden = <const uint8_t*>pointer(arrays, "hidden", np.uint8)
        book.all_hidden = <const uint8_t*>pointer(arrays, "all_hidden", np.uint8)
        book.sku_count, book.store_count = arrays["sku_count"], arrays["store_count"]
        book.standing.stores = <const Character*>pointer(arrays, "stores", CHARACTER_DTYPE)
        book.standing.loads = self.loads.loads.stores
        book.standing.room = self.loads.loads.room
        book.standing.abilities = <const uint64_t*>pointer(arrays, "abilities", np.uint64)
        if self.areas is not None:
            book.standing.areas = &self.areas.index


cdef const void* pointer(dict arrays, str name, dtype) except? NULL:
    """Where an array begins, NULL where there is none."""
    cdef const unsigned char[::1] data
    array = arrays.get(name)
    if array is None or array.size == 0:
        return NULL
    assert array.dtype == dtype and array.flags.c_contiguous, name
    data = array.reshape(-1).view(np.uint8)
    return &data[0]
