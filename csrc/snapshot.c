/* snapshot.c: what steps change of a network, kept so that they can be taken back. */
#include "training.h"

#include <stdlib.h>

/* What is kept of the state, so many numbers from its beginning and then so many from another place: all of it, or of
 * lbfgs's what its next iteration may change, two vectors and the pair that comes next. */
typedef struct {
    size_t first, then, from;
} kept_state;

static kept_state kept_of(const mlp_network *net, const mlp_progress *before, bool for_an_epoch) {
    size_t two = 2 * net->n_parameters;
    if (!for_an_epoch || net->rule->update != NULL) {
        return (kept_state){.first = net->n_state};
    }
    size_t place = ((size_t)before->newest_pair + 1) % net->optimizer.history_size;
    return (kept_state){.first = two, .then = two, .from = two + two * place};
}

bool mlp_snapshot_reserve(mlp_snapshot *s, const mlp_network *net, bool for_an_epoch, mlp_spare *spare) {
    kept_state kept = kept_of(net, &net->progress, for_an_epoch);
    s->for_an_epoch = for_an_epoch;
    s->parameters = mlp_take_spare(&spare->parameters, net->n_parameters, net->item);
    s->state = mlp_take_spare(&spare->state, kept.first + kept.then, net->item);
    return s->parameters != NULL && s->state != NULL;
}

/* Pieces of a copy: threads have about the weights they have updated. */
enum { PIECE_BYTES = 1 << 15 };
static const double copy_work = 4.0; /* for a byte */

typedef struct {
    char *to;
    const char *from;
    size_t bytes;
} copying;

static void copy_piece(void *context, size_t t, size_t thread) {
    const copying *c = context;
    size_t at = t * PIECE_BYTES, bytes = mlp_min(c->bytes - at, PIECE_BYTES);
    (void)thread;
    memcpy(c->to + at, c->from + at, bytes);
}

/* A wide network's parameters take longer to copy than the caller should wait. False: the call is to end. */
static bool copy(void *to, const void *from, size_t bytes, mlp_call *call) {
    for (size_t at = 0, slice; at < bytes; at += slice) {
        slice = mlp_min(bytes - at, MLP_SLICE_BYTES);
        if (slice <= PIECE_BYTES) { /* a small network's step is no longer than a region of threads takes to begin */
            memcpy((char *)to + at, (const char *)from + at, slice);
            continue;
        }
        copying c = {.to = (char *)to + at, .from = (const char *)from + at, .bytes = slice};
        double work = copy_work * (double)slice;
        mlp_share(call, mlp_threads_for(call, work), work, (slice + PIECE_BYTES - 1) / PIECE_BYTES, copy_piece, &c);
        if (mlp_pause(call, (double)slice)) {
            return false;
        }
    }
    return true;
}

bool mlp_snapshot_take(mlp_snapshot *s, const mlp_network *net, mlp_call *call) {
    kept_state kept = kept_of(net, &net->progress, s->for_an_epoch);
    s->taken = copy(s->parameters, net->parameters, net->n_parameters * net->item, call) &&
               copy(s->state, net->state, kept.first * net->item, call);
    if (s->taken && kept.then > 0) {
        s->taken =
            copy(mlp_at(net, s->state, kept.first), mlp_at(net, net->state, kept.from), kept.then * net->item, call);
    }
    s->progress = net->progress;
    return s->taken;
}

void mlp_snapshot_restore(const mlp_snapshot *s, mlp_network *net) {
    memcpy(net->parameters, s->parameters, net->n_parameters * net->item);
    kept_state kept = kept_of(net, &s->progress, s->for_an_epoch);
    if (kept.first > 0) { /* else there is no state */
        memcpy(net->state, s->state, kept.first * net->item);
        memcpy(mlp_at(net, net->state, kept.from), mlp_at(net, s->state, kept.first), kept.then * net->item);
    }
    net->progress.optimizer_step = s->progress.optimizer_step;
    net->progress.pairs = s->progress.pairs;
    net->progress.newest_pair = s->progress.newest_pair;
}

void mlp_snapshot_leave(mlp_snapshot *s, mlp_spare *spare) {
    mlp_leave_spare(&spare->parameters, s->parameters);
    mlp_leave_spare(&spare->state, s->state);
}

void mlp_snapshot_free(mlp_snapshot *s) {
    free(s->parameters);
    free(s->state);
}
