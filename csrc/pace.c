/* pace.c: whether steps are shared or made on one thread, found out by doing both. */
#include "training.h"

#include <math.h>

/* From trial to trial twice as long while they find the same; a moment's disturbance is not to last. A trial, of some
 * steps at least and a tenth of the time at most, is compared with as long a time before it. At first workers may share
 * their processors with those of another library: OpenBLAS's look for work for a tenth of a second after a product of
 * matrices. */
static const double first_seconds = 0.03, most_seconds = 1.0, tried_seconds = 0.003, least_steps = 3, rarely = 10;

static void keep(mlp_pace *p, bool shares, double seconds) {
    *p = (mlp_pace){.n_threads = p->n_threads, .batch = p->batch, .shares = shares, .kept = seconds, .left = seconds};
}

void mlp_pace_begin(mlp_pace *p, size_t n_threads, size_t batch) {
    if (p->n_threads != n_threads || p->batch != batch) {
        p->n_threads = n_threads;
        p->batch = batch;
        keep(p, true, first_seconds);
    }
}

size_t mlp_pace_threads(const mlp_pace *p) { return p->shares != p->tries ? p->n_threads : 1; }

void mlp_pace_step(mlp_pace *p, double seconds) {
    p->left -= seconds;
    if (p->tries || p->left < tried_seconds || p->left < least_steps * seconds) {
        p->steps[p->tries] += 1;
        p->seconds[p->tries] += seconds;
    } else { /* not near a trial yet, though a step so slow that it seemed to be may have been counted */
        p->steps[false] = p->seconds[false] = 0;
    }
    if (p->left > 0 || (p->tries && p->steps[true] < least_steps)) {
        return;
    }
    if (!p->tries) {
        p->tries = true;
        p->left = tried_seconds;
        return;
    }
    bool faster = p->seconds[true] * p->steps[false] < p->seconds[false] * p->steps[true];
    double least = fmax(first_seconds, rarely * p->seconds[true]), longer = fmin(2.0 * p->kept, most_seconds);
    keep(p, faster ? !p->shares : p->shares, faster ? least : fmax(least, longer));
}
