/* random.c: the order of an epoch, as NumPy's permutation and shuffle draw it. Dropout's masks are a kernel. */
#include "training.h"

/* Rows between two looks at the caller. */
enum { SOME = 1 << 14 };

/* A swap waits for memory where the order is longer than the caches. */
#define SWAP_WORK 200.0

/* Draws at a time. */
enum { DRAWS = 256 };

/* Fisher and Yates's shuffle with numbers from 0 to i without bias: bits under the smallest mask that holds i, drawn
 * until they fit, 32 or 64 at a time: what NumPy's shuffles do. Each swap takes one draw or more, so as many as there
 * are swaps left can be drawn at once; and one that does not fit swaps a row with itself, which no processor has to
 * foresee. */
bool mlp_permute(int64_t *order, size_t n, bool anew, const mlp_random *random, mlp_call *call) {
    uint64_t drawn[DRAWS];
    for (size_t i = 0; i < n && anew; i++) {
        order[i] = (int64_t)i;
        if (i % SOME == SOME - 1 && mlp_pause(call, SOME * MLP_SAMPLE_WORK)) {
            return false;
        }
    }
    for (size_t i = n > 0 ? n - 1 : 0; i > 0;) {
        bool wide = i > UINT32_MAX;
        size_t left = wide ? i - UINT32_MAX : i, some = mlp_min(left, DRAWS);
        for (size_t k = 0; k < some; k++) {
            drawn[k] = wide ? random->next_uint64(random->state) : random->next_uint32(random->state);
        }
        for (size_t k = 0; k < some;) {
            uint64_t mask = UINT64_MAX >> __builtin_clzll(i);
            for (; k < some && i > mask / 2; k++) {
                size_t j = (size_t)(drawn[k] & mask);
                bool fits = j <= i;
                j = fits ? j : i;
                int64_t taken = order[j];
                order[j] = order[i];
                order[i] = taken;
                i -= fits;
            }
        }
        if (mlp_pause(call, SWAP_WORK * (double)some)) {
            return false;
        }
    }
    return true;
}
