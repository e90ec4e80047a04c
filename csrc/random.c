/* random.c: the order of an epoch, as NumPy's permutation and shuffle draw it. Dropout's masks are a kernel. */
#include "core.h"

/* A whole number from 0 to most, without bias: bits under the smallest mask that holds `most`, drawn until they fit, 32
 * or 64 at a time: what NumPy's shuffles do. */
static uint64_t draw_up_to(const mlp_random *random, uint64_t most) {
    uint64_t mask = most, value;
    for (unsigned shift = 1; shift < 64; shift *= 2) {
        mask |= mask >> shift;
    }
    do {
        value = mask & (most <= UINT32_MAX ? random->next_uint32(random->state) : random->next_uint64(random->state));
    } while (value > most);
    return value;
}

/* Rows between two looks at the caller. A swap waits for memory where the order is longer than the caches. */
enum { SOME = 1 << 14 };
#define SWAP_WORK 200.0

bool mlp_permute(int64_t *order, size_t n, bool anew, const mlp_random *random, mlp_call *call) {
    for (size_t i = 0; i < n && anew; i++) {
        order[i] = (int64_t)i;
        if (i % SOME == SOME - 1 && mlp_pause(call, SOME * MLP_SAMPLE_WORK)) {
            return false;
        }
    }
    for (size_t i = n; i-- > 1;) {
        size_t j = (size_t)draw_up_to(random, i);
        int64_t taken = order[j];
        order[j] = order[i];
        order[i] = taken;
        if (i % SOME == 0 && mlp_pause(call, SOME * SWAP_WORK)) {
            return false;
        }
    }
    return true;
}
