/* few.c: the way back of few samples. A layer's weights are most of what there is to read: they pass by row after row
 * as they lie, without being packed first, or leaving a gradient to be read again. */
#include "pass.h"

/* So many bytes of whole rows of weights, about, meet all samples while they are in L1. */
enum { NEAR_BYTES = 16 * 1024 };

/* The rows of a part where threads share n of them: a multiple of `some`. */
static size_t part_of(size_t n, size_t n_parts, size_t some) {
    size_t part = (n + n_parts - 1) / n_parts;
    return (part + some - 1) / some * some;
}

static size_t rows_left(size_t n, size_t begin, size_t part) { return mlp_min(n - begin, part); }

/* ---- The step of a layer's weights. */
typedef struct {
    const mlp_network *net;
    const mlp_outer *all;
    size_t weights, part; /* number of the first one; rows */
    const mlp_update *update;
} shared_step;

static void step_part(void *context, size_t t, size_t thread) {
    const shared_step *s = context;
    size_t begin = t * s->part;
    mlp_outer o = *s->all;
    (void)thread;
    o.a = mlp_at(s->net, o.a, begin);
    o.rows = rows_left(o.rows, begin, s->part);
    s->net->rule->outer(s->net, &o, s->weights + begin * o.n, s->update);
}

void mlp_step_by_rows(const mlp_network *net, mlp_team *team, const mlp_outer *all, size_t weights,
                      const mlp_update *update) {
    double work = 2.0 * (double)(all->rows * all->n * all->k);
    size_t n_threads = mlp_team_threads(team, work);
    shared_step s = {
        .net = net, .all = all, .weights = weights, .part = part_of(all->rows, n_threads, 1), .update = update};
    mlp_share(team->call, n_threads, work, (all->rows + s.part - 1) / s.part, step_part, &s);
}

/* ---- dA (n, n_in) = dZ W^T: each element a dot product with a row of W. */
typedef struct {
    const mlp_network *net;
    const mlp_layer *layer;
    void *da;
    const void *w, *dz;
    size_t ld, n, part; /* of da; samples; units */
    mlp_watch watch;
} shared_dots;

static void dots_part(void *context, size_t t, size_t thread) {
    shared_dots *s = context;
    const mlp_network *net = s->net;
    size_t n_out = s->layer->n_out, begin = t * s->part, n_units = rows_left(s->layer->n_in, begin, s->part);
    size_t some = mlp_whole_vectors(net, NEAR_BYTES / (n_out * net->item) + 1);
    for (size_t i = begin, n; i < begin + n_units && !mlp_is_stopped(&s->watch); i += n) {
        n = rows_left(begin + n_units, i, some);
        for (size_t k = 0; k < s->n; k++) {
            net->kernels->dots_forward(mlp_at(net, s->da, k * s->ld + i), 0, mlp_at(net, s->w, i * n_out), n_out,
                                       mlp_at(net, s->dz, k * s->layer->ld), 0, NULL, n, n_out, 1, 0);
        }
        mlp_look_up(&s->watch, thread, 2.0 * (double)(n * n_out * s->n));
    }
}

bool mlp_back_by_rows(mlp_pass *pass, size_t l, const void *dz, void *da) {
    const mlp_network *net = pass->net;
    const mlp_layer *layer = &net->layers[l];
    double work = 2.0 * (double)(layer->n_in * layer->n_out * pass->n);
    size_t n_threads = mlp_team_threads(&pass->team, work);
    shared_dots s = {.net = net,
                     .layer = layer,
                     .da = da,
                     .w = mlp_at(net, pass->parameters, layer->weights),
                     .dz = dz,
                     .ld = net->layers[l - 1].ld,
                     .n = pass->n,
                     .part = part_of(layer->n_in, n_threads, MLP_VECTOR_BYTES / net->item)};
    return mlp_share_watched(&pass->team, &s.watch, work, (layer->n_in + s.part - 1) / s.part, dots_part, &s);
}
