/* snapshot.c: what steps change of a network, kept so that they can be taken back. */
#include "core.h"

#include <stdlib.h>

bool mlp_snapshot_reserve(mlp_snapshot *s, const mlp_network *net, mlp_spare *spare) {
    s->parameters = mlp_take_spare(&spare->parameters, net->n_parameters, net->item);
    s->state = mlp_take_spare(&spare->state, net->n_state, net->item);
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
    size_t at = t * PIECE_BYTES, bytes = c->bytes - at < PIECE_BYTES ? c->bytes - at : PIECE_BYTES;
    (void)thread;
    memcpy(c->to + at, c->from + at, bytes);
}

/* Bytes between two looks at the caller. */
enum { SLICE_BYTES = 1 << 24 };

/* A wide network's parameters take longer to copy than the caller should wait. False: the call is to end. */
static bool copy(void *to, const void *from, size_t bytes, mlp_call *call) {
    for (size_t at = 0, slice; at < bytes; at += slice) {
        slice = bytes - at < SLICE_BYTES ? bytes - at : SLICE_BYTES;
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
    s->taken = copy(s->parameters, net->parameters, net->n_parameters * net->item, call) &&
               copy(s->state, net->state, net->n_state * net->item, call);
    s->progress = net->progress;
    return s->taken;
}

void mlp_snapshot_restore(const mlp_snapshot *s, mlp_network *net) {
    memcpy(net->parameters, s->parameters, net->n_parameters * net->item);
    if (net->n_state > 0) {
        memcpy(net->state, s->state, net->n_state * net->item);
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
