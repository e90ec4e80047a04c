/* propagate.c: the forward pass: a block of samples driven through all layers, by units or with samples in the lanes;
 * predictions. */
#include "pass.h"

#include <stdlib.h>

/* ---- Forward. */

/* The biases of layer l padded to whole vectors; NULL where there are none. */
static const void *padded_biases(mlp_pass *pass, size_t l) {
    const mlp_network *net = pass->net;
    const mlp_layer *layer = &net->layers[l];
    if (!net->bias) {
        return NULL;
    }
    memcpy(pass->padded, mlp_at(net, pass->parameters, layer->biases), layer->n_out * net->item);
    return pass->padded;
}

/* What follows a layer's product: bias, activation; over each part of it as it is complete. */
typedef struct {
    const mlp_pass *pass;
    size_t layer, activation;
    void *z;
    const void *bias;
} layer_end;

static void end_layer(void *context, const mlp_piece *piece) {
    const layer_end *end = context;
    const mlp_network *net = end->pass->net;
    size_t ld = net->layers[end->layer].ld, at = piece->row * ld + piece->column;
    void *d = end->activation == MLP_ACT_identity ? NULL : end->pass->d[end->layer];
    net->kernels->forward[end->activation](mlp_at(net, end->z, at), d == NULL ? NULL : mlp_at(net, d, at),
                                           end->bias == NULL ? NULL : mlp_at(net, end->bias, piece->column),
                                           piece->n_rows, piece->n_columns, ld);
}

/* Where the rows that come next here lie, after this block and all parts of it, for the first layer to fetch them
 * meanwhile: one after the other, each read once; less than a page of them the machine fetches by itself. */
static void find_next_rows(mlp_pass *pass, const mlp_rows *x, const int64_t *order, size_t first) {
    size_t next = first + (pass->whole > 0 ? pass->whole : pass->n);
    pass->next_row = order == NULL ? mlp_row_bytes(x) : 0;
    bool worth = pass->n * pass->next_row >= MLP_PAGE && next < x->n_rows;
    pass->next = worth ? (const char *)x->data + next * pass->next_row : NULL;
}

/* A layer whose rows are taken some at a time, each by itself: sparse ones, or dots, a virtual vector of which is as
 * many rows. */
enum { SPARSE_ROWS = 8, DOT_ROWS = 16 };

/* Dots of rows that the caller has one after the other leave the machine too little time to find out where they go on:
 * they fetch what comes after these rows, and at least so many bytes later; their gradient, every other row of the next
 * block. Of more data than the caches hold a step of logistic regression takes half to two thirds of the time so. */
enum { DOTS_AHEAD = 8 * 1024 };

/* What a layer of dots is computed from, its rows sparse where a is NULL. */
typedef struct {
    const mlp_layer *layer;
    const void *a, *w;
    size_t ld, ldw;
    size_t ahead; /* elements from what is read of a to what is fetched; 0: nothing is */
} dot_layer;

/* Its weights are a vector for each unit, those of several turned into pass->columns; of sparse rows as they are. */
static dot_layer dots_of_layer(const mlp_pass *pass, size_t l) {
    const mlp_network *net = pass->net;
    const mlp_layer *layer = &net->layers[l];
    dot_layer d = {.layer = layer, .w = mlp_at(net, pass->parameters, layer->weights)};
    if (l == 1 && pass->sparse) {
        return d;
    }
    d.a = mlp_layer_input(pass, l, &d.ld);
    d.ahead = mlp_goes_on_in_place(pass, l) ? mlp_max(DOT_ROWS * d.ld, DOTS_AHEAD / net->item) : 0;
    d.ldw = mlp_whole_vectors(net, layer->n_in);
    if (layer->n_out > 1) {
        net->kernels->transpose(pass->columns, d.ldw, d.w, layer->n_out, layer->n_in, layer->n_out);
        d.w = pass->columns;
    }
    return d;
}

/* z of n rows from `first` on, in lanes layout; where they are. */
static void *take_dots(const mlp_pass *pass, const dot_layer *d, const void *bias, size_t first, size_t n) {
    const mlp_network *net = pass->net;
    void *z = mlp_at(net, pass->z, first);
    if (d->a == NULL) {
        mlp_sparse x = mlp_sparse_input(pass, first);
        net->kernels->sparse_dots(z, pass->stride, &x, d->w, bias, n, d->layer->n_out);
    } else {
        net->kernels->dots_forward(z, pass->stride, mlp_at(net, d->a, first * d->ld), d->ld, d->w, d->ldw, bias, n,
                                   d->layer->n_in, d->layer->n_out, d->ahead);
    }
    return z;
}

/* Multiplications of layer l's product, and as many additions. */
static double layer_work(const mlp_pass *pass, size_t l) {
    const mlp_layer *layer = &pass->net->layers[l];
    size_t values = l == 1 && pass->sparse ? pass->n_values : pass->n * layer->n_in;
    return 2.0 * (double)(values * layer->n_out);
}

typedef struct {
    layer_end end;
    const dot_layer *dots; /* or NULL */
    size_t some;           /* rows */
    double work;           /* of some rows, about */
    mlp_watch watch;
} row_products;

static void multiply_rows(void *context, size_t t, size_t thread) {
    row_products *r = context;
    const mlp_pass *pass = r->end.pass;
    const mlp_network *net = pass->net;
    const mlp_layer *layer = &net->layers[r->end.layer];
    size_t first = t * r->some, n = mlp_min(pass->n - first, r->some), n_out = layer->n_out;
    void *z = mlp_at(net, r->end.z, first * layer->ld);
    if (mlp_is_stopped(&r->watch)) {
        return;
    }
    if (r->dots != NULL) {
        net->kernels->transpose(z, layer->ld, take_dots(pass, r->dots, NULL, first, n), pass->stride, n_out, n);
    } else {
        mlp_sparse x = mlp_sparse_input(pass, first);
        net->kernels->sparse_forward(z, layer->ld, &x, mlp_at(net, pass->parameters, layer->weights), n, n_out);
    }
    end_layer(&r->end, &(mlp_piece){.row = first, .n_rows = n, .n_columns = n_out});
    mlp_look_up(&r->watch, thread, r->work);
}

static bool multiply_by_rows(mlp_pass *pass, const layer_end *end, const dot_layer *dots) {
    size_t some = dots != NULL ? DOT_ROWS : SPARSE_ROWS, n_tasks = (pass->n + some - 1) / some;
    double work = layer_work(pass, end->layer);
    row_products r = {.end = *end, .dots = dots, .some = some, .work = work / (double)n_tasks};
    return mlp_share_watched(&pass->team, &r.watch, work, n_tasks, multiply_rows, &r);
}

/* z (block, n[l]) = A[l-1] W[l] + b[l], and through `activation`. */
static bool multiply_layer(mlp_pass *pass, size_t l, void *z, size_t activation) {
    const mlp_network *net = pass->net;
    const mlp_layer *layer = &net->layers[l];
    const void *w = mlp_at(net, pass->parameters, layer->weights);
    if (pass->plan.lanes) {
        mlp_forward_in_lanes(pass, l, z, activation);
        return !mlp_pause(pass->team.call, 2.0 * (double)(layer->n_in * layer->n_out * pass->stride));
    }
    bool of_dots = mlp_is_of_dots(net, &pass->plan, l);
    if (of_dots && l == net->n_layers) {
        dot_layer dots = dots_of_layer(pass, l);
        take_dots(pass, &dots, net->bias ? mlp_at(net, pass->parameters, layer->biases) : NULL, 0, pass->n);
        return !mlp_pause(pass->team.call, layer_work(pass, l));
    }
    layer_end end = {.pass = pass, .layer = l, .activation = activation, .z = z, .bias = padded_biases(pass, l)};
    if (of_dots) {
        dot_layer dots = dots_of_layer(pass, l);
        return multiply_by_rows(pass, &end, &dots);
    }
    if (l == 1 && pass->sparse) {
        return multiply_by_rows(pass, &end, NULL);
    }
    if (l == 1 && pass->multiplied) {
        end_layer(&end, &(mlp_piece){.n_rows = pass->n, .n_columns = layer->n_out});
        return true;
    }
    mlp_ending ending = end.bias == NULL                 ? MLP_AS_IT_IS
                        : activation == MLP_ACT_identity ? MLP_BIAS
                        : activation == MLP_ACT_relu     ? MLP_BIAS_RELU
                                                         : MLP_AS_IT_IS;
    size_t ld;
    const void *a = mlp_layer_input(pass, l, &ld);
    return mlp_multiply(
        &(mlp_product){.kernels = net->kernels,
                       .c = z,
                       .ldc = net->layers[l].ld,
                       .padded = true,
                       .a = {a, ld, 1},
                       .b = {.data = w, .ld = layer->n_out, .padded = pass->parameters == net->parameters},
                       .m = pass->n,
                       .n = layer->n_out,
                       .k = layer->n_in,
                       .keeps_depth = pass->keeps,
                       .next = l == 1 ? pass->next : NULL,
                       .next_row = pass->next_row,
                       .ending = ending,
                       .operand = end.bias,
                       .done = ending == MLP_AS_IT_IS ? end_layer : NULL,
                       .context = &end},
        &pass->team);
}

static uint64_t dropout_key(const mlp_network *net, size_t l) {
    return net->progress.dropout_key ^ (net->progress.step * UINT64_C(0xd1342543de82ef95)) ^
           ((uint64_t)l * UINT64_C(0xaf251af3b0f025b5));
}

/* Of so many units a row of dropout is a while's work. */
enum { LONG_ROW = 1 << 18 };

/* False: the caller wants the call to end. */
static bool drop(mlp_pass *pass, size_t l) {
    const mlp_network *net = pass->net;
    size_t rows, n, ld;
    mlp_shape_of(pass, l, &rows, &n, &ld);
    size_t some = pass->plan.lanes || n <= LONG_ROW ? rows : 1;
    for (size_t i = 0; i < rows; i += some) {
        size_t at = i * ld;
        net->kernels->dropout(mlp_at(net, pass->mask[l], at), mlp_at(net, pass->dropped[l], at),
                              mlp_at(net, pass->a[l], at), dropout_key(net, l), pass->first + i, net->layers[l].dropout,
                              some, n, ld, pass->plan.lanes);
        if (mlp_pause(pass->team.call, MLP_SAMPLE_WORK * (double)some * (double)n)) {
            return false;
        }
    }
    return true;
}

mlp_status mlp_forward_block(mlp_pass *pass, const mlp_rows *x, const int64_t *order, size_t first, size_t n,
                             size_t last, const mlp_record *records) {
    const mlp_network *net = pass->net;
    const mlp_kernels *kernels = net->kernels;
    pass->n = n;
    pass->stride = mlp_whole_vectors(net, n);
    if (!pass->holds && !mlp_read_inputs(pass, x, order, first)) {
        return MLP_BAD_X;
    }
    if (mlp_pause_within(pass->team.call, MLP_SAMPLE_WORK * (double)n * (double)mlp_inputs(net))) {
        return MLP_INTERRUPTED;
    }
    find_next_rows(pass, x, order, first);
    for (size_t l = 1; l <= last; l++) {
        const mlp_layer *layer = &net->layers[l];
        bool output = l == net->n_layers && !pass->plan.by_rows; /* else the last layer is like the others */
        bool lanes = pass->plan.lanes || (output && pass->plan.dots);
        void *z = output && lanes ? pass->z : pass->a[l];
        /* Outputs stop at z, for the loss; so do the others where z itself is wanted. */
        bool at_z = output || records != NULL;
        if (!multiply_layer(pass, l, z, at_z ? MLP_ACT_identity : layer->activation)) {
            return MLP_INTERRUPTED;
        }
        if (records != NULL) {
            size_t rows, width, ld;
            mlp_shape_of(pass, l, &rows, &width, &ld);
            mlp_copy_out(pass, z, lanes, l, records[l - 1].z, pass->first);
            if (!output) {
                kernels->forward[layer->activation](z, pass->d[l], NULL, rows, width, ld);
                mlp_copy_out(pass, z, lanes, l, records[l - 1].a, pass->first);
            }
        }
        if (pass->mask[l] != NULL && !drop(pass, l)) {
            return MLP_INTERRUPTED;
        }
        if (output && !lanes && !pass->plan.classes) {
            mlp_turn_output(pass);
        }
    }
    return MLP_OK;
}

void mlp_turn_output(mlp_pass *pass) {
    const mlp_network *net = pass->net;
    size_t last = net->n_layers;
    net->kernels->transpose(pass->z, pass->stride, pass->a[last], net->layers[last].ld, pass->n, mlp_outputs(net));
}

void mlp_activate_output(mlp_pass *pass, bool derivative) {
    const mlp_network *net = pass->net;
    const mlp_kernels *kernels = net->kernels;
    size_t outputs = mlp_outputs(net), stride = pass->stride, activation = net->layers[net->n_layers].activation;
    if (net->output == OUTPUT_SOFTMAX) {
        kernels->softmax(pass->z, outputs, stride, stride);
    } else if (net->output == OUTPUT_EXP) {
        kernels->exponential(pass->z, outputs, stride, stride);
    } else if (activation != MLP_ACT_identity) {
        void *d = derivative && mlp_has_derivative_from_input(activation) ? pass->d_out : NULL;
        kernels->forward[activation](pass->z, d, NULL, outputs, stride, stride);
    }
}

/* ---- Predictions. */
typedef struct {
    const mlp_rows *x;
    void *const *activations; /* [L]; or NULL: labels, with the thresholds of binary ones */
    int64_t *labels;
    const double *thresholds;
    mlp_crew *crew;
    atomic_bool has_nan; /* among the labels */
} predicting;

static size_t labels_a_row(const mlp_network *net) { return net->loss_kind == OF_LOGITS ? 1 : mlp_outputs(net); }

/* From the outputs of a block. */
static void label_block(const mlp_pass *pass, predicting *p, size_t first) {
    const mlp_network *net = pass->net;
    const mlp_kernels *kernels = net->kernels;
    int64_t *labels = p->labels + first * labels_a_row(net);
    size_t last = net->n_layers, n = pass->n, outputs = mlp_outputs(net);
    bool nan = pass->plan.classes
                   ? kernels->class_labels_of_rows(labels, pass->a[last], n, outputs, net->layers[last].ld)
               : net->loss_kind == OF_LOGITS
                   ? kernels->class_labels(labels, pass->z, outputs, n, pass->stride)
                   : kernels->threshold_labels(labels, pass->z, p->thresholds, outputs, n, pass->stride);
    if (nan) {
        atomic_store(&p->has_nan, true);
    }
}

static bool is_wanted(const predicting *p, size_t l, size_t last) {
    return p->labels != NULL ? l == last : p->activations[l - 1] != NULL;
}

static mlp_status predict_block(mlp_pass *pass, predicting *p, size_t first) {
    const mlp_network *net = pass->net;
    size_t left = p->x->n_rows - first, n = mlp_min(left, pass->plan.block), last = net->n_layers;
    while (last > 0 && !is_wanted(p, last, net->n_layers)) {
        last--;
    }
    mlp_status status = mlp_forward_block(pass, p->x, NULL, first, n, last, NULL);
    for (size_t l = 1; l <= last && status == MLP_OK; l++) {
        bool classes = l == net->n_layers && pass->plan.classes;
        bool output = l == net->n_layers && !pass->plan.by_rows && !classes, lanes = output || pass->plan.lanes;
        if (!is_wanted(p, l, net->n_layers)) {
            continue;
        }
        if (classes) {
            net->kernels->softmax_rows(pass->a[l], n, mlp_outputs(net), net->layers[l].ld);
        } else if (output) {
            mlp_activate_output(pass, false);
        }
        if (p->labels != NULL) {
            label_block(pass, p, first);
        } else {
            mlp_copy_out(pass, output ? pass->z : pass->a[l], lanes, l, p->activations[l - 1], first);
        }
        if (mlp_pause_within(pass->team.call, MLP_SAMPLE_WORK * (double)n * (double)net->layers[l].n_out)) {
            status = MLP_INTERRUPTED;
        }
    }
    return status;
}

static void predict_task(void *context, size_t t, size_t thread) {
    predicting *p = context;
    mlp_pass *pass = p->crew->members[thread].pass;
    if (!mlp_crew_stops(p->crew)) {
        mlp_crew_report(p->crew, thread, pass, predict_block(pass, p, t * pass->plan.block));
    }
}

static mlp_status predict(const mlp_network *net, predicting *p, mlp_call *call) {
    size_t n = p->x->n_rows;
    mlp_room room;
    room.used = 0;
    p->crew = mlp_crew_create(net, n, PREDICTS, call, &room);
    if (p->crew == NULL) {
        return MLP_NO_MEMORY;
    }
    size_t block = p->crew->members[0].pass->plan.block;
    mlp_share(call, p->crew->n, mlp_work(net, n, false), (n + block - 1) / block, predict_task, p);
    mlp_status status = mlp_crew_status(p->crew, p->crew->n);
    mlp_crew_destroy(p->crew);
    return status;
}

mlp_status mlp_forward(const mlp_network *network, void *const *activations, const mlp_rows *x, mlp_call *call) {
    predicting p = {.x = x, .activations = activations};
    return predict(network, &p, call);
}

mlp_status mlp_predict(const mlp_network *network, int64_t *labels, const double *thresholds, const mlp_rows *x,
                       mlp_call *call) {
    predicting p = {.x = x, .labels = labels, .thresholds = thresholds};
    mlp_status status = predict(network, &p, call);
    if (status != MLP_OK || !atomic_load(&p.has_nan)) {
        return status;
    }
    size_t first = 0;
    while (labels[first] >= 0) {
        first++;
    }
    call->row = first / labels_a_row(network);
    return MLP_BAD_OUTPUT;
}

mlp_status mlp_input(const mlp_network *network, void *a, const mlp_rows *x, mlp_call *call) {
    size_t inputs = mlp_inputs(network), ld;
    void *cells = x->type == MLP_CSR ? mlp_allocate(inputs, sizeof(double)) : NULL;
    mlp_source source = {.rows = x, .dtype = network->dtype, .cells = cells, .call = call, .kernels = network->kernels};
    mlp_status status = x->type == MLP_CSR && cells == NULL ? MLP_NO_MEMORY : MLP_OK;
    for (size_t first = 0; first < x->n_rows && status == MLP_OK; first += MLP_BLOCK_ROWS) {
        size_t left = x->n_rows - first, n = mlp_min(left, MLP_BLOCK_ROWS);
        void *tile = mlp_at(network, a, first * inputs);
        const void *read = mlp_read_tile(&source, first, n, tile, inputs, &ld);
        for (size_t i = 0; i < n && read != NULL && read != tile; i++) {
            memcpy(mlp_at(network, tile, i * inputs), mlp_at(network, read, i * ld), inputs * network->item);
        }
        if (read == NULL) {
            status = MLP_BAD_X;
        } else if (mlp_pause(call, MLP_SAMPLE_WORK * (double)(n * inputs))) {
            status = MLP_INTERRUPTED;
        }
    }
    free(cells);
    return status;
}
