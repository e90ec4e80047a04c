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

static void *aligned_block(size_t size) {
#if defined(__linux__) && defined(MADV_HUGEPAGE)
    if (size >= HUGE_BLOCK) {
        void *block = aligned_alloc(HUGE_PAGE, size);
        if (block != NULL) {
            madvise(block, size, MADV_HUGEPAGE); /* advice: where it is not taken, nothing is lost */
        }
        return block;
    }
#endif
    return aligned_alloc(MLP_VECTOR_BYTES, size);
}

void *mlp_reserve(size_t n, size_t item) {
    if (n > (PTRDIFF_MAX - HUGE_PAGE) / item) {
        return NULL;
    }
    size_t boundary = n * item >= HUGE_BLOCK ? HUGE_PAGE : MLP_VECTOR_BYTES;
    size_t size = (n * item + boundary - 1) / boundary * boundary;
    return aligned_block(size > 0 ? size : MLP_VECTOR_BYTES);
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
