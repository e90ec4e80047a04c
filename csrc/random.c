/* random.c: the order of an epoch, as numpy.random.Generator.permutation draws it. Dropout's masks are a kernel. */
#include "core.h"

/* A whole number from 0 to most, without bias: Lemire (2019), "Fast random integer generation in an interval", with 32 or
 * 64 bits a draw as NumPy does. */
static uint64_t draw_up_to(const mlp_random *random, uint64_t most) {
    if (most <= UINT32_MAX) {
        uint64_t range = most + 1, product = (uint64_t)random->next_uint32(random->state) * range;
        if (most == UINT32_MAX) {
            return product >> 32;
        }
        if ((uint32_t)product < range) {
            uint64_t threshold = (UINT32_MAX - most) % range;
            while ((uint32_t)product < threshold) {
                product = (uint64_t)random->next_uint32(random->state) * range;
            }
        }
        return product >> 32;
    }
    __extension__ typedef unsigned __int128 wide;
    uint64_t range = most + 1;
    wide product = (wide)random->next_uint64(random->state) * range;
    if ((uint64_t)product < range) {
        uint64_t threshold = (UINT64_MAX - most) % range;
        while ((uint64_t)product < threshold) {
            product = (wide)random->next_uint64(random->state) * range;
        }
    }
    return (uint64_t)(product >> 64);
}

void mlp_permute(int64_t *order, size_t n, const mlp_random *random) {
    for (size_t i = 0; i < n; i++) {
        order[i] = (int64_t)i;
    }
    for (size_t i = n; i-- > 1;) {
        size_t j = (size_t)draw_up_to(random, i);
        int64_t taken = order[j];
        order[j] = order[i];
        order[i] = taken;
    }
}
