/* Nearest, then check: the textbook way, compiled. One store after another, the nearest first, is
   asked for all of an order's lines, until one has them.

   Stores lie in a balanced tree of boxes on the unit sphere, whose nodes are numbered so that those
   of node i are 2i + 1 and 2i + 2, and whose last level are leaves of a few stores. A heap holds
   what is still to be looked at, boxes and stores alike, by the least squared chord they can have;
   so stores come out of it in the order of their distance, however many are asked for.

   Counts stand in a plain table, left[sku * stores + store]: a look is one read. */
#include <stdint.h>
#include <stdlib.h>

typedef struct {
    double chord2;
    int32_t store; /* -1: a box */
    int32_t node;
} Entry;

static int before(Entry a, Entry b) {
    return a.chord2 < b.chord2 || (a.chord2 == b.chord2 && a.store < b.store);
}

static void push(Entry *heap, int64_t *size, Entry entry) {
    int64_t at = (*size)++;
    while (at > 0 && before(entry, heap[(at - 1) / 2])) {
        heap[at] = heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    heap[at] = entry;
}

static Entry pop(Entry *heap, int64_t *size) {
    Entry top = heap[0], last = heap[--*size];
    int64_t at = 0;
    for (;;) {
        int64_t child = 2 * at + 1;
        if (child >= *size)
            break;
        if (child + 1 < *size && before(heap[child + 1], heap[child]))
            child++;
        if (!before(heap[child], last))
            break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = last;
    return top;
}

static double to_box(const double *place, const double *box) {
    double chord2 = 0.0;
    for (int axis = 0; axis < 3; axis++) {
        double low = box[axis] - place[axis], high = place[axis] - box[3 + axis];
        double away = low > 0.0 ? low : high > 0.0 ? high : 0.0;
        chord2 += away * away;
    }
    return chord2;
}

static double to_store(const double *place, const double *store) {
    double x = place[0] - store[0], y = place[1] - store[1], z = place[2] - store[2];
    return x * x + y * y + z * z;
}

/* Each order's store, or -1, and reserves; `looks` is how many stores were asked. Returns -1
   without memory. `starts[leaf]` is where the stores of a leaf begin in `stores_by_leaf`. */
int64_t route(int64_t orders, const double *places, const int64_t *offsets, const int32_t *skus,
              const int32_t *quantities, int64_t store_count, const double *store_places,
              int64_t leaf_count, const double *boxes, const int64_t *starts,
              const int32_t *stores_by_leaf, int32_t *left, int32_t *chosen) {
    Entry *heap = malloc(sizeof(Entry) * (size_t)(store_count + 2 * leaf_count));
    int64_t looks = 0;
    if (!heap)
        return -1;
    for (int64_t order = 0; order < orders; order++) {
        const double *place = places + 3 * order;
        int64_t first = offsets[order], end = offsets[order + 1], size = 0;
        chosen[order] = -1;
        push(heap, &size, (Entry){to_box(place, boxes), -1, 0});
        while (size > 0) {
            Entry next = pop(heap, &size);
            if (next.store >= 0) {
                int64_t line = first;
                looks++;
                while (line < end &&
                       left[skus[line] * store_count + next.store] >= quantities[line])
                    line++;
                if (line < end)
                    continue;
                for (line = first; line < end; line++)
                    left[skus[line] * store_count + next.store] -= quantities[line];
                chosen[order] = next.store;
                break;
            }
            int64_t child = 2 * (int64_t)next.node + 1;
            if (child < 2 * leaf_count - 1) {
                push(heap, &size, (Entry){to_box(place, boxes + 6 * child), -1, child});
                child++;
                push(heap, &size, (Entry){to_box(place, boxes + 6 * child), -1, child});
                continue;
            }
            int64_t leaf = next.node - (leaf_count - 1);
            for (int64_t at = starts[leaf]; at < starts[leaf + 1]; at++) {
                int32_t store = stores_by_leaf[at];
                push(heap, &size, (Entry){to_store(place, store_places + 3 * store), store, 0});
            }
        }
    }
    free(heap);
    return looks;
}
