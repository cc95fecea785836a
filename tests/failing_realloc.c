/* A realloc that has no more room for large arrays when told so; for LD_PRELOAD. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>

static size_t fails_from = (size_t)-1;

/* From so many bytes on it fails. */
void fail_realloc(size_t bytes) { fails_from = bytes; }

void *realloc(void *array, size_t bytes) {
    static void *(*real)(void *, size_t);
    if (!real) real = (void *(*)(void *, size_t))dlsym(RTLD_NEXT, "realloc");
    return bytes >= fails_from ? NULL : real(array, bytes);
}
