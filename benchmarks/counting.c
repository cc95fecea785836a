/* Tells callgrind where to begin and to end. Outside of it these are a few instructions that do
   nothing, so the library may be loaded anywhere. */
#include <valgrind/callgrind.h>

void begin_counting(void) {
    CALLGRIND_START_INSTRUMENTATION;
    CALLGRIND_ZERO_STATS;
}

/* Writes what was counted since to a file of its own, which says `name`. */
void end_counting(const char *name) {
    CALLGRIND_DUMP_STATS_AT(name);
    CALLGRIND_STOP_INSTRUMENTATION;
}
