/* backward.c: the backward pass over a block, the last layer first. */
#include "training.h"

/* What follows a part of dW: its update, or its way from a part of dW^T; and a part of dA: g'. */
typedef struct {
    const mlp_pass *pass;
    const mlp_outputs_wanted *wanted;
    size_t layer, weights; /* number of the first weight */
    void *da;
    bool through;
} backward_end;

/* n weights from number `at` on through their update, where that is wanted. */
static void update_weights(const mlp_network *net, size_t at, size_t n, const mlp_outputs_wanted *wanted) {
    if (wanted->update != NULL) {
        mlp_change_weights(net, wanted->gradient, at, n, wanted->update);
        net->rule->update(net, wanted->gradient, at, n, wanted->update);
    }
}

/* Some rows of dW, of all columns, through their update. */
static void update_rows(void *context, const mlp_piece *piece) {
    const backward_end *end = context;
    const mlp_network *net = end->pass->net;
    size_t n_out = net->layers[end->layer].n_out;
    update_weights(net, end->weights + piece->row * n_out, piece->n_rows * n_out, end->wanted);
}

static void *dz_of(const mlp_pass *pass, size_t l) { return l == pass->replaced ? pass->a[l] : pass->dz[l]; }

/* dW of a first layer of sparse rows, in parts of its rows. */
typedef struct {
    const mlp_pass *pass;
    const mlp_outputs_wanted *wanted;
    mlp_range rows;
    size_t part;
    double work; /* of a part, about */
    mlp_watch watch;
} sparse_gradient;

static void sparse_gradient_part(void *context, size_t t, size_t thread) {
    sparse_gradient *g = context;
    const mlp_pass *pass = g->pass;
    const mlp_network *net = pass->net;
    const mlp_layer *layer = &net->layers[1];
    size_t begin = g->rows.begin + t * g->part, n_out = layer->n_out;
    size_t end = mlp_min(g->rows.end, begin + g->part);
    size_t at = layer->weights + begin * n_out, n = (end - begin) * n_out;
    size_t ld = pass->plan.single && net->n_layers == 1 ? 1 : layer->ld;
    mlp_sparse x = mlp_sparse_input(pass, 0);
    if (mlp_is_stopped(&g->watch)) {
        return;
    }
    if (!g->wanted->accumulate) {
        memset(mlp_at(net, g->wanted->gradient, at), 0, n * net->item);
    }
    net->kernels->sparse_gradient(mlp_at(net, g->wanted->gradient, layer->weights), &x, dz_of(pass, 1), ld, pass->n,
                                  n_out, begin, end);
    update_weights(net, at, n, g->wanted);
    mlp_look_up(&g->watch, thread, g->work);
}

/* What a part of it may take, in operations: between parts there is a look at the caller. */
static const double sparse_part_work = 4e6;

static bool gradient_of_sparse(const mlp_pass *pass, mlp_team *team, const mlp_range *rows,
                               const mlp_outputs_wanted *wanted) {
    size_t n = rows->end - rows->begin, n_out = pass->net->layers[1].n_out;
    double work = 2.0 * (double)(pass->n_values + n) * (double)n_out;
    size_t parts = (size_t)(work / sparse_part_work) + 1, least = 4 * team->n_threads;
    parts = mlp_max(parts, least);
    sparse_gradient g = {
        .pass = pass, .wanted = wanted, .rows = *rows, .part = (n + parts - 1) / parts, .work = work / (double)parts};
    return mlp_share_watched(team, &g.watch, work, (n + g.part - 1) / g.part, sparse_gradient_part, &g);
}

/* dW of a layer of one unit, and its db with the first row. */
static bool gradient_of_one(const mlp_pass *pass, mlp_team *team, const mlp_range *rows, size_t l, const void *a,
                            size_t ld, const mlp_outputs_wanted *wanted) {
    const mlp_network *net = pass->net;
    size_t n = rows->end - rows->begin, at = net->layers[l].weights + rows->begin;
    void *db = net->bias && rows->begin == 0 ? mlp_at(net, wanted->gradient, net->layers[l].biases) : NULL;
    bool sparse = l == 1 && pass->sparse;
    net->kernels->single_gradient(mlp_at(net, wanted->gradient, at), db, a, ld, pass->dz[l], pass->n, sparse ? 0 : n,
                                  wanted->accumulate, mlp_goes_on_in_place(pass, l) ? pass->n * ld : 0);
    if (sparse) {
        return gradient_of_sparse(pass, team, rows, wanted);
    }
    update_weights(net, at, n, wanted);
    return !mlp_pause(team->call, 2.0 * (double)(n * pass->n));
}

/* All rows of some columns of dW^T (n[l], inputs) into dW, and that through its update. */
static void turn_gradient(void *context, const mlp_piece *piece) {
    const backward_end *end = context;
    const mlp_network *net = end->pass->net;
    size_t units = piece->n_rows, at = end->weights + piece->column * units, n = piece->n_columns * units;
    void *dw = mlp_at(net, end->wanted->gradient, at);
    double turned[MLP_PANEL_BYTES * MLP_TURNED_UNITS / sizeof(double)];
    net->kernels->transpose(end->wanted->accumulate ? turned : dw, units, piece->c, piece->ldc, units,
                            piece->n_columns);
    if (end->wanted->accumulate) {
        net->kernels->add(dw, turned, n);
    }
    update_weights(net, at, n, end->wanted);
}

bool mlp_layer_gradient(const mlp_pass *pass, mlp_team *team, size_t l, const mlp_range *rows,
                        const mlp_outputs_wanted *wanted) {
    const mlp_network *net = pass->net;
    const mlp_layer *layer = &net->layers[l];
    const void *dz = dz_of(pass, l);
    if (pass->plan.lanes) {
        mlp_gradient_in_lanes(pass, l, dz, wanted->accumulate);
        return !mlp_pause(team->call, 2.0 * (double)(layer->n_in * layer->n_out * pass->stride));
    }
    size_t ld, at = layer->weights + rows->begin * layer->n_out;
    const void *a = mlp_at(net, mlp_layer_input(pass, l, &ld), rows->begin);
    if (pass->plan.single && l == net->n_layers) {
        return gradient_of_one(pass, team, rows, l, a, ld, wanted);
    }
    if (net->bias && rows->begin == 0 && l != pass->replaced) {
        net->kernels->column_sums(mlp_at(net, wanted->gradient, layer->biases), dz, layer->ld, pass->n, layer->n_out,
                                  wanted->accumulate);
    }
    if (l == 1 && pass->sparse) {
        return gradient_of_sparse(pass, team, rows, wanted);
    }
    if (wanted->update != NULL && mlp_steps_by_rows(net, layer, pass->n)) {
        mlp_outer all = {.a = a,
                         .lda = ld,
                         .dz = dz,
                         .next = l == 1 ? pass->ahead : NULL,
                         .z = pass->a[l],
                         .ldz = layer->ld,
                         .rows = rows->end - rows->begin,
                         .n = layer->n_out,
                         .k = pass->n};
        mlp_step_by_rows(net, team, &all, at, wanted->update);
        return true;
    }
    backward_end end = {.pass = pass, .wanted = wanted, .layer = l, .weights = at};
    /* Of the first layer the chains go on from block to block, so that sparse rows have the bits of others. */
    bool goes_on = l == 1 && wanted->accumulate, turns = !goes_on && mlp_turns_dw(net, layer, pass->n);
    if (turns) {
        return mlp_multiply(
            &(mlp_product){
                .kernels = net->kernels,
                .a = {dz, 1, layer->ld},
                .b = {.data = a, .ld = ld, .padded = l > 1 && mlp_whole_vectors(net, rows->begin) == rows->begin},
                .m = layer->n_out,
                .n = rows->end - rows->begin,
                .k = pass->n,
                .keeps_columns = true,
                .done = turn_gradient,
                .context = &end},
            team);
    }
    /* Within the product, where that is better, or threads share it that have parts of the rows; or else of a layer of
     * one panel by groups of rows, of a wider one when it is done. */
    bool updates = wanted->update != NULL, wide = layer->n_out >= net->kernels->panel;
    bool fuses = updates && mlp_hides_update(net, layer, pass->n, team->n_threads);
    mlp_adam adam;
    if (fuses) {
        adam = mlp_adam_at(net, at, layer->n_out, wanted->update);
    }
    bool done = mlp_multiply(&(mlp_product){.kernels = net->kernels,
                                            .c = mlp_at(net, wanted->gradient, at),
                                            .ldc = layer->n_out,
                                            .a = {a, 1, ld},
                                            .b = {.data = dz, .ld = layer->ld, .padded = true},
                                            .m = rows->end - rows->begin,
                                            .n = layer->n_out,
                                            .k = pass->n,
                                            .accumulate = wanted->accumulate,
                                            .keeps_rows = pass->keeps,
                                            .passed = pass->whole > 0,
                                            .adam = fuses ? &adam : NULL,
                                            .done = updates && !wide ? update_rows : NULL,
                                            .context = &end},
                             team);
    if (done && updates && wide && !fuses) {
        update_weights(net, at, (rows->end - rows->begin) * layer->n_out, wanted);
    }
    return done;
}

/* dZ[l] from a part of dA[l], in place. */
static void through_activation(const backward_end *end, size_t row, size_t n_rows, size_t column, size_t n_columns) {
    const mlp_pass *pass = end->pass;
    const mlp_network *net = pass->net;
    size_t l = end->layer, rows, n, ld;
    mlp_shape_of(pass, l, &rows, &n, &ld);
    size_t at = row * ld + column;
    if (pass->mask[l] != NULL) {
        net->kernels->multiply(mlp_at(net, end->da, at), mlp_at(net, pass->mask[l], at), n_rows, n_columns, ld);
    }
    net->kernels->backward[net->layers[l].activation](mlp_at(net, end->da, at), mlp_at(net, mlp_slope_of(pass, l), at),
                                                      NULL, NULL, n_rows, n_columns, ld);
}

/* All of it. */
static void all_through_activation(const backward_end *end) {
    size_t rows, n, ld;
    mlp_shape_of(end->pass, end->layer, &rows, &n, &ld);
    through_activation(end, 0, rows, 0, n);
}

static void piece_through_activation(void *context, const mlp_piece *piece) {
    through_activation(context, piece->row, piece->n_rows, piece->column, piece->n_columns);
}

/* A piece of dA^T (units, samples), whole vectors of both, into dA, and if that is wanted, on to dZ. */
static void turn_back(void *context, const mlp_piece *piece) {
    const backward_end *end = context;
    const mlp_network *net = end->pass->net;
    size_t ld = net->layers[end->layer].ld, units = mlp_whole_vectors(net, piece->n_rows);
    void *da = mlp_at(net, end->da, piece->column * ld + piece->row);
    net->kernels->transpose(da, ld, piece->c, piece->ldc, units, piece->n_columns);
    if (end->through) {
        through_activation(end, piece->column, piece->n_columns, piece->row, piece->n_rows);
    }
}

/* The same of a layer of one unit: dA is the outer product of its dz and w, and need not be stored on the way. */
static void input_gradient_of_one(mlp_pass *pass, const void *dz, const void *w, backward_end *end, bool through) {
    const mlp_network *net = pass->net;
    size_t l = end->layer, units = net->layers[l].n_out;
    bool together = through && pass->mask[l] == NULL;
    size_t activation = together ? net->layers[l].activation : MLP_ACT_identity;
    const void *a_or_d = together ? mlp_slope_of(pass, l) : end->da;
    memcpy(pass->padded, w, units * net->item);
    net->kernels->backward[activation](end->da, a_or_d, dz, pass->padded, pass->n, units, net->layers[l].ld);
    if (through && !together) {
        all_through_activation(end);
    }
}

/* Whether the last layer is one unit whose inputs nobody wants any more, and their place neither. */
static bool goes_back_at_once(const mlp_pass *pass, const mlp_outputs_wanted *wanted) {
    const mlp_network *net = pass->net;
    size_t l = net->n_layers - 1;
    bool taken = l == 1 && pass->ahead != NULL;
    return pass->plan.single && l > 0 && wanted->records == NULL && pass->mask[l] == NULL && !taken &&
           net->kernels->single_backward[net->layers[l].activation] != NULL;
}

/* A last layer of one unit all at once, and back through the one below: one pass over what lies between them. */
static bool back_from_one(mlp_pass *pass, const mlp_outputs_wanted *wanted) {
    const mlp_network *net = pass->net;
    const mlp_layer *layer = &net->layers[net->n_layers], *below = layer - 1;
    size_t l = net->n_layers - 1;
    memcpy(pass->padded, mlp_at(net, pass->parameters, layer->weights), layer->n_in * net->item);
    mlp_single all = {.a = pass->a[l],
                      .slopes = pass->d[l],
                      .dz = pass->dz[l + 1],
                      .w = pass->padded,
                      .dw = mlp_at(net, wanted->gradient, layer->weights),
                      .db = net->bias ? mlp_at(net, wanted->gradient, layer->biases) : NULL,
                      .db_below = net->bias ? mlp_at(net, wanted->gradient, below->biases) : NULL,
                      .rows = pass->n,
                      .n = layer->n_in,
                      .ld = below->ld,
                      .accumulate = wanted->accumulate};
    net->kernels->single_backward[below->activation](&all);
    pass->replaced = l;
    update_weights(net, layer->weights, layer->n_in, wanted);
    return !mlp_pause(pass->team.call, 4.0 * (double)(layer->n_in * pass->n));
}

/* da (block, n[l-1]) = dZ[l] W[l]^T, and if `through`, on to dZ[l-1]. */
static bool layer_input_gradient(mlp_pass *pass, size_t l, const void *dz, void *da, bool through) {
    const mlp_network *net = pass->net;
    const mlp_layer *layer = &net->layers[l];
    const void *w = mlp_at(net, pass->parameters, layer->weights);
    backward_end end = {.pass = pass, .layer = l - 1, .da = da};
    if (pass->plan.lanes) {
        bool dropped = pass->mask[l - 1] != NULL;
        mlp_back_in_lanes(pass, l, dz, da, through && !dropped);
        if (through && dropped) {
            all_through_activation(&end);
        }
        return !mlp_pause(pass->team.call, 2.0 * (double)(layer->n_in * layer->n_out * pass->stride));
    }
    if (pass->plan.single && l == net->n_layers) {
        input_gradient_of_one(pass, dz, w, &end, through);
        return !mlp_pause(pass->team.call, 2.0 * (double)(layer->n_in * pass->n));
    }
    /* Of a block that threads have parts of, all rows count. */
    if (mlp_goes_back_by_rows(pass->whole > 0 ? pass->whole : pass->n)) {
        bool done = mlp_back_by_rows(pass, l, dz, da);
        if (done && through) {
            all_through_activation(&end);
        }
        return done;
    }
    if (mlp_turns_da(net, layer, pass->n)) {
        end.through = through;
        return mlp_multiply(&(mlp_product){.kernels = net->kernels,
                                           .a = {w, layer->n_out, 1},
                                           .b = {.data = dz, .ld = net->layers[l].ld, .transposed = true},
                                           .m = layer->n_in,
                                           .n = pass->n,
                                           .k = layer->n_out,
                                           .keeps_rows = pass->keeps,
                                           .done = turn_back,
                                           .context = &end},
                            &pass->team);
    }
    bool of_relu = through && net->layers[l - 1].activation == MLP_ACT_relu && pass->mask[l - 1] == NULL;
    return mlp_multiply(&(mlp_product){.kernels = net->kernels,
                                       .c = da,
                                       .ldc = net->layers[l - 1].ld,
                                       .padded = true,
                                       .a = {dz, net->layers[l].ld, 1},
                                       .b = {.data = w, .ld = layer->n_out, .transposed = true},
                                       .m = pass->n,
                                       .n = layer->n_in,
                                       .k = layer->n_out,
                                       .ending = of_relu ? MLP_RELU_SLOPE : MLP_AS_IT_IS,
                                       .operand = of_relu ? pass->a[l - 1] : NULL,
                                       .done = through && !of_relu ? piece_through_activation : NULL,
                                       .context = &end},
                        &pass->team);
}

bool mlp_backward_block(mlp_pass *pass, const mlp_outputs_wanted *wanted) {
    const mlp_network *net = pass->net;
    bool now = wanted->gradient != NULL && !wanted->of_parts;
    size_t top = net->n_layers;
    pass->replaced = 0;
    if (now && goes_back_at_once(pass, wanted)) {
        if (!back_from_one(pass, wanted)) {
            return false;
        }
        top--;
    }
    for (size_t l = top; l >= 1; l--) {
        bool below = pass->plan.lanes, lanes = below || (pass->plan.single && l == net->n_layers);
        const mlp_layer *layer = &net->layers[l];
        void *dz = dz_of(pass, l), *da = pass->dz[l - 1];
        if (wanted->records != NULL) {
            mlp_copy_out(pass, dz, lanes, l, wanted->records[l - 1].dz, pass->first);
        }
        /* Records want dA by itself. */
        bool through = l > 1 && wanted->records == NULL;
        if ((l > 1 || wanted->input_gradient != NULL) && !layer_input_gradient(pass, l, dz, da, through)) {
            return false;
        }
        /* After dA: it may go into the weights. */
        if (now && !mlp_layer_gradient(pass, &pass->team, l, &(mlp_range){0, layer->n_in}, wanted)) {
            return false;
        }
        if (l == 1) {
            if (wanted->input_gradient != NULL) {
                mlp_copy_out(pass, da, below, 0, wanted->input_gradient, pass->first);
            }
            break;
        }
        if (wanted->records != NULL) {
            mlp_copy_out(pass, da, below, l - 1, wanted->records[l - 2].da, pass->first);
            all_through_activation(&(backward_end){.pass = pass, .layer = l - 1, .da = da});
        }
    }
    return true;
}
