/* memory.c: blocks on a boundary of MLP_VECTOR_BYTES, freed by free(). */
#ifdef __linux__
#define _DEFAULT_SOURCE
#include <sys/mman.h>
#endif

#include <stdlib.h>

#include "core.h"

/* A block of this size is put on huge pages, as NumPy's are: the system clears fresh pages one by one, which for the
 * gradient of a wide network took a third as long as a step. */
#define HUGE_PAGE ((size_t)2 << 20)
#define HUGE_BLOCK (2 * HUGE_PAGE)

void *mlp_reserve(size_t n, size_t item) {
    if (n > (PTRDIFF_MAX - HUGE_PAGE) / item) {
        return NULL;
    }
    size_t size = n * item, boundary = size >= HUGE_BLOCK ? HUGE_PAGE : MLP_VECTOR_BYTES;
    size = size == 0 ? boundary : (size + boundary - 1) / boundary * boundary;
    void *block = aligned_alloc(boundary, size);
#if defined(__linux__) && defined(MADV_HUGEPAGE)
    if (block != NULL && boundary == HUGE_PAGE) {
        madvise(block, size, MADV_HUGEPAGE); /* advice: where it is not taken, nothing is lost */
    }
#endif
    return block;
}

void *mlp_allocate(size_t n, size_t item) {
    void *block = mlp_reserve(n, item);
    if (block != NULL) {
        memset(block, 0, n * item);
    }
    return block;
}

void *mlp_take_spare(void **spare, size_t n, size_t item) {
    void *block = *spare != NULL ? *spare : mlp_reserve(n, item);
    *spare = NULL;
    return block;
}

void mlp_leave_spare(void **spare, void *block) {
    if (block != NULL) { /* else it has not been taken */
        *spare = block;
    }
}
