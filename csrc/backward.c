/* backward.c: the backward pass over a block, the last layer first, and batches as chunks of blocks. */
#include "core.h"

/* ---- One block. */

/* What follows a part of dW: the same columns of db; and a part of dA: g'. */
typedef struct {
    const mlp_pass *pass;
    size_t layer;
    void *db, *da;
    const void *dz;
    bool accumulate;
} backward_end;

static void add_columns(void *context, size_t row, size_t n_rows, size_t column, size_t n_columns) {
    const backward_end *end = context;
    const mlp_network *net = end->pass->net;
    (void)n_rows;
    if (row == 0) {
        net->kernels->column_sums(mlp_at(net, end->db, column), mlp_at(net, end->dz, column),
                                  net->layers[end->layer].ld, end->pass->n, n_columns, end->accumulate);
    }
}

/* dW[l] and db[l] (+)= of this block: dW = A[l-1]^T dZ, db = the column sums of dZ. With an update dW goes into the
 * weights. */
static bool layer_gradient(mlp_pass *pass, size_t l, const void *dz, void *gradient, bool accumulate,
                           const mlp_update *update) {
    const mlp_network *net = pass->net;
    const mlp_layer *layer = &net->layers[l];
    size_t ld;
    const void *a = mlp_layer_input(pass, l, &ld);
    if (pass->plan.lanes) { /* one virtual vector for each parameter, laid out like them */
        char *sums = (char *)pass->sums + layer->weights * MLP_VECTOR_BYTES;
        net->kernels->lanes_gradient(sums, a, dz, layer->n_in, layer->n_out, pass->stride, net->bias, accumulate);
        return !mlp_pause(pass->team.call, 2.0 * (double)(layer->n_in * layer->n_out * pass->stride));
    }
    if (pass->plan.single && l == net->n_layers) {
        void *db = net->bias ? mlp_at(net, gradient, layer->biases) : NULL;
        net->kernels->single_gradient(mlp_at(net, gradient, layer->weights), db, a, ld, dz, pass->n, layer->n_in,
                                      accumulate);
        if (update != NULL) {
            void *dw = mlp_at(net, gradient, layer->weights);
            mlp_adam to = mlp_adam_at(net, layer->weights, layer->n_out, update);
            net->kernels->add_penalty(dw, to.p, 0.0, update->l2, layer->n_in);
            net->kernels->scale(to.p, update->decay, layer->n_in);
            net->kernels->update_adam(to.p, dw, to.m, to.v, layer->n_in, update);
        }
        return !mlp_pause(pass->team.call, 2.0 * (double)(layer->n_in * pass->n));
    }
    backward_end end = {
        .pass = pass, .layer = l, .db = mlp_at(net, gradient, layer->biases), .dz = dz, .accumulate = accumulate};
    mlp_adam adam;
    if (update != NULL) {
        adam = mlp_adam_at(net, layer->weights, layer->n_out, update);
    }
    return mlp_multiply(&(mlp_product){.kernels = net->kernels,
                                       .c = mlp_at(net, gradient, layer->weights),
                                       .ldc = layer->n_out,
                                       .a = {a, 1, ld},
                                       .b = {.data = dz, .ld = net->layers[l].ld, .padded = true},
                                       .m = layer->n_in,
                                       .n = layer->n_out,
                                       .k = pass->n,
                                       .accumulate = accumulate,
                                       .keeps_rows = pass->keeps,
                                       .adam = update != NULL ? &adam : NULL,
                                       .done = net->bias ? add_columns : NULL,
                                       .context = &end},
                        &pass->team);
}

/* Where g' of layer l, in a tile, comes from. */
static const void *slope_of(const mlp_pass *pass, size_t l) { return pass->d[l] != NULL ? pass->d[l] : pass->a[l]; }

/* dZ[l] from a part of dA[l], in place. */
static void through_activation(void *context, size_t row, size_t n_rows, size_t column, size_t n_columns) {
    const backward_end *end = context;
    const mlp_pass *pass = end->pass;
    const mlp_network *net = pass->net;
    size_t l = end->layer, rows, n, ld;
    mlp_shape_of(pass, l, &rows, &n, &ld);
    size_t at = row * ld + column;
    if (pass->mask[l] != NULL) {
        net->kernels->multiply(mlp_at(net, end->da, at), mlp_at(net, end->da, at), mlp_at(net, pass->mask[l], at),
                               n_rows, n_columns, ld);
    }
    net->kernels->backward[net->layers[l].activation](mlp_at(net, end->da, at), mlp_at(net, slope_of(pass, l), at),
                                                      NULL, NULL, n_rows, n_columns, ld);
}

/* The same of a layer of one unit: dA is the outer product of its dz and w, and need not be stored on the way. */
static void input_gradient_of_one(mlp_pass *pass, const void *dz, const void *w, backward_end *end, bool through) {
    const mlp_network *net = pass->net;
    size_t l = end->layer, units = net->layers[l].n_out;
    bool together = through && pass->mask[l] == NULL;
    size_t activation = together ? net->layers[l].activation : MLP_ACT_identity;
    const void *a_or_d = together ? slope_of(pass, l) : end->da;
    memcpy(pass->row, w, units * net->item);
    net->kernels->backward[activation](end->da, a_or_d, dz, pass->row, pass->n, units, net->layers[l].ld);
    if (through && !together) {
        through_activation(end, 0, pass->n, 0, units);
    }
}

/* da (block, n[l-1]) = dZ[l] W[l]^T, and if `through`, on to dZ[l-1]. */
static bool layer_input_gradient(mlp_pass *pass, size_t l, const void *dz, void *da, bool through) {
    const mlp_network *net = pass->net;
    const mlp_layer *layer = &net->layers[l];
    const void *w = mlp_at(net, pass->parameters, layer->weights);
    backward_end end = {.pass = pass, .layer = l - 1, .da = da};
    if (pass->plan.lanes) {
        if (through && layer->n_out == 1 && pass->mask[l - 1] == NULL) { /* dA by rows: each w times dz */
            net->kernels->backward[net->layers[l - 1].activation](da, slope_of(pass, l - 1), w, dz, layer->n_in,
                                                                  pass->stride, pass->stride);
        } else {
            net->kernels->lanes_backward(da, dz, w, layer->n_in, layer->n_out, pass->stride);
            if (through) {
                through_activation(&end, 0, layer->n_in, 0, pass->stride);
            }
        }
        return !mlp_pause(pass->team.call, 2.0 * (double)(layer->n_in * layer->n_out * pass->stride));
    }
    if (pass->plan.single && l == net->n_layers) {
        input_gradient_of_one(pass, dz, w, &end, through);
        return !mlp_pause(pass->team.call, 2.0 * (double)(layer->n_in * pass->n));
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
                                       .done = through && !of_relu ? through_activation : NULL,
                                       .context = &end},
                        &pass->team);
}

static bool backward_block(mlp_pass *pass, size_t first, const mlp_outputs_wanted *wanted, void *gradient,
                           bool accumulate) {
    const mlp_network *net = pass->net;
    void *dz = pass->plan.lanes || pass->plan.single ? pass->dz_out : pass->dz, *da = pass->da;
    for (size_t l = net->n_layers; l >= 1; l--) {
        bool below = pass->plan.lanes, lanes = below || (pass->plan.single && l == net->n_layers);
        size_t ld = lanes ? pass->stride : net->layers[l].ld, ld_in = below ? pass->stride : net->layers[l - 1].ld;
        const mlp_layer *layer = &net->layers[l];
        if (wanted->records != NULL) {
            mlp_copy_out(pass, dz, lanes, ld, layer->n_out, wanted->records[l - 1].dz, first);
        }
        /* Records want dA by itself. */
        bool through = l > 1 && wanted->records == NULL;
        if ((l > 1 || wanted->input_gradient != NULL) && !layer_input_gradient(pass, l, dz, da, through)) {
            return false;
        }
        /* After dA: it may go into the weights. */
        if (gradient != NULL && !layer_gradient(pass, l, dz, gradient, accumulate, wanted->update)) {
            return false;
        }
        if (l == 1) {
            if (wanted->input_gradient != NULL) {
                mlp_copy_out(pass, da, below, ld_in, layer->n_in, wanted->input_gradient, first);
            }
            break;
        }
        if (wanted->records != NULL) {
            mlp_copy_out(pass, da, below, ld_in, layer->n_in, wanted->records[l - 2].da, first);
            size_t rows, n, ld_unused;
            mlp_shape_of(pass, l - 1, &rows, &n, &ld_unused);
            through_activation(&(backward_end){.pass = pass, .layer = l - 1, .da = da}, 0, rows, 0, n);
        }
        void *next = da;
        da = dz == pass->dz_out ? pass->dz : dz;
        dz = next;
    }
    return true;
}

/* ---- Targets, weights and losses of a block. */

/* Targets of more outputs are read by rows and transposed. */
enum { FEW_OUTPUTS = 12 };

/* y (K, stride) in lanes layout, labels as rows of zeros and ones; or y_rows. */
static mlp_status read_targets(mlp_pass *pass, const mlp_batch *batch, size_t first) {
    const mlp_network *net = pass->net;
    const mlp_data *data = batch->data;
    size_t outputs = mlp_outputs(net), stride = pass->stride, n = pass->n, ld;
    mlp_source source = {.rows = &data->y, .dtype = net->dtype, .order = batch->order};
    if (pass->plan.by_rows) {
        pass->y_rows = mlp_read_tile(&source, first, n, pass->rows, outputs, &pass->y_ld);
        return MLP_OK;
    }
    if (!data->labels && outputs <= FEW_OUTPUTS) {
        mlp_read_columns(&source, first, n, pass->y, stride);
        return MLP_OK;
    }
    if (!data->labels) {
        const void *rows = mlp_read_tile(&source, first, n, pass->rows, outputs, &ld);
        net->kernels->transpose(pass->y, stride, rows, ld, n, outputs);
        return MLP_OK;
    }
    double *labels = pass->rows;
    mlp_read_doubles(&data->y, batch->order, first, n, labels);
    net->kernels->fill(pass->y, 0.0, outputs * stride);
    mlp_status status = MLP_OK;
    for (size_t i = 0; i < n && status == MLP_OK; i++) {
        status = mlp_check_label(labels[i], outputs, mlp_row_of(batch->order, first + i), pass->team.call);
        if (status == MLP_OK) {
            net->kernels->fill(mlp_at(net, pass->y, (size_t)labels[i] * stride + i), 1.0, 1);
        }
    }
    return status;
}

static bool is_weighted(const mlp_data *data) { return data->weight.data != NULL || data->class_weight != NULL; }

/* pass->weights[i] = sample weight times class weight of rows first..first+n. */
static mlp_status read_weights(mlp_pass *pass, const mlp_batch *batch, size_t first, size_t n) {
    const mlp_data *data = batch->data;
    if (data->weight.data != NULL) {
        mlp_read_doubles(&data->weight, batch->order, first, n, pass->weights);
    } else {
        for (size_t i = 0; i < n; i++) {
            pass->weights[i] = 1.0;
        }
    }
    size_t n_classes = data->labels ? mlp_outputs(pass->net) : 2;
    mlp_status status = MLP_OK;
    for (size_t i = 0; i < n && data->class_weight != NULL && status == MLP_OK; i++) {
        double label;
        mlp_read_doubles(&data->y, batch->order, first + i, 1, &label);
        status = mlp_check_label(label, n_classes, mlp_row_of(batch->order, first + i), pass->team.call);
        pass->weights[i] *= status == MLP_OK ? data->class_weight[(size_t)label] : 0;
    }
    return status;
}

/* The targets and weights of rows first..first+n, and the factors of their derivatives. */
static mlp_status read_block(mlp_pass *pass, const mlp_batch *batch, size_t first, size_t n, double factor) {
    bool weighted = is_weighted(batch->data);
    mlp_status status = read_targets(pass, batch, first);
    if (status == MLP_OK && weighted) {
        status = read_weights(pass, batch, first, n);
    }
    if (status == MLP_OK && weighted) {
        pass->net->kernels->scale_of(pass->scale, pass->weights, factor, n);
    } else if (status == MLP_OK) {
        pass->net->kernels->fill(pass->scale, factor, n);
    }
    return status;
}

/* The sum of a batch's weights, in order. */
static mlp_status sum_weights(mlp_pass *pass, const mlp_batch *batch, double *sum) {
    *sum = (double)batch->n;
    if (!is_weighted(batch->data)) {
        return MLP_OK;
    }
    *sum = 0;
    for (size_t at = 0; at < batch->n; at += pass->plan.block) {
        size_t n = batch->n - at < pass->plan.block ? batch->n - at : pass->plan.block;
        mlp_status status = read_weights(pass, batch, batch->first + at, n);
        if (status != MLP_OK) {
            return status;
        }
        for (size_t i = 0; i < n; i++) {
            *sum += pass->weights[i];
        }
        if (mlp_pause(pass->team.call, MLP_SAMPLE_WORK * (double)n)) {
            return MLP_INTERRUPTED;
        }
    }
    return MLP_OK;
}

/* Losses of the block, and dZ[L] where derivatives are wanted, from the outputs in a[L]. */
static void output_rows(mlp_pass *pass, bool derivative, const mlp_record *record, size_t first) {
    const mlp_network *net = pass->net;
    size_t last = net->n_layers, outputs = mlp_outputs(net), ld = net->layers[last].ld;
    mlp_row_targets targets = {.n_outputs = outputs,
                               .n = pass->n,
                               .ld = ld,
                               .y = pass->y_rows,
                               .y_ld = pass->y_ld,
                               .scale = pass->scale,
                               .parameters = pass->loss_parameters};
    net->kernels->loss_rows[net->loss](pass->losses, derivative ? pass->dz : NULL, pass->a[last], &targets);
    if (record != NULL) {
        mlp_copy_out(pass, pass->dz, false, ld, outputs, record->da, first);
    }
    if (derivative) {
        net->kernels->backward[net->layers[last].activation](pass->dz, slope_of(pass, last), NULL, NULL, pass->n,
                                                             outputs, ld);
    }
}

/* The same from their z in lanes layout. */
static void output_block(mlp_pass *pass, bool derivative, const mlp_record *record, size_t first) {
    const mlp_network *net = pass->net;
    const mlp_kernels *kernels = net->kernels;
    size_t outputs = mlp_outputs(net), stride = pass->stride, activation = net->layers[net->n_layers].activation;
    mlp_targets targets = {.n_outputs = outputs,
                           .n = pass->n,
                           .stride = stride,
                           .y = pass->y,
                           .scale = pass->scale,
                           .parameters = net->loss_parameters};
    void *dz = derivative ? pass->dz_out : NULL;
    bool of_output = net->loss_kind == OF_DIFFERENCE;
    if (of_output) {
        mlp_activate_output(pass, derivative);
    }
    kernels->loss[net->loss](pass->losses, dz, pass->z, &targets);
    if (record != NULL) {
        if (!of_output) {
            mlp_activate_output(pass, false);
        }
        kernels->output_gradient[net->loss](pass->da, pass->z, &targets);
        mlp_copy_out(pass, pass->z, true, stride, outputs, record->a, first);
        mlp_copy_out(pass, pass->da, true, stride, outputs, record->da, first);
    }
    if (!derivative) {
        return;
    }
    if (of_output) {
        const void *by = mlp_has_derivative_from_input(activation) ? pass->d_out : pass->z;
        kernels->backward[activation](dz, by, NULL, NULL, outputs, stride, stride);
    }
    for (size_t k = 0; k < outputs && stride > pass->n; k++) { /* samples that are not there weigh nothing */
        memset(mlp_at(net, dz, k * stride + pass->n), 0, (stride - pass->n) * net->item);
    }
    if (!pass->plan.lanes && !pass->plan.single) {
        kernels->transpose(pass->dz, net->layers[net->n_layers].ld, dz, stride, outputs, pass->n);
    }
}

/* The losses of a cross-entropy again, from probabilities kept off 0 and 1; z has served. */
static void clip_losses(mlp_pass *pass) {
    const mlp_network *net = pass->net;
    bool binary = net->loss == MLP_LOSS_binary_cross_entropy;
    if (binary || net->loss == MLP_LOSS_categorical_cross_entropy) {
        mlp_targets targets = {.n_outputs = mlp_outputs(net), .n = pass->n, .stride = pass->stride, .y = pass->y};
        if (!binary) {
            mlp_activate_output(pass, false);
        }
        net->kernels->clipped_entropy(pass->losses, pass->z, &targets, binary);
    }
}

/* A sample of weight 0 is none: what it left in the layers may be infinite, and would be multiplied by its dz; and that
 * is 0 only where its output is a number. */
static void clear_sample(const mlp_pass *pass, size_t i) {
    const mlp_network *net = pass->net;
    bool lanes = pass->plan.lanes, by_output = lanes || pass->plan.single;
    size_t outputs = mlp_outputs(net);
    void *dz = by_output ? mlp_at(net, pass->dz_out, i) : mlp_at(net, pass->dz, i * net->layers[net->n_layers].ld);
    for (size_t k = 0; k < outputs; k++) {
        memset(mlp_at(net, dz, by_output ? k * pass->stride : k), 0, net->item);
    }
    for (size_t l = 1; l < net->n_layers; l++) {
        void *blocks[] = {pass->a[l], pass->d[l], pass->dropped[l]};
        size_t rows, n, ld;
        mlp_shape_of(pass, l, &rows, &n, &ld);
        for (size_t b = 0; b < sizeof blocks / sizeof *blocks; b++) {
            for (size_t u = 0; blocks[b] != NULL && u < (lanes ? rows : 1); u++) {
                memset(mlp_at(net, blocks[b], lanes ? u * ld + i : i * ld), 0, (lanes ? 1 : n) * net->item);
            }
        }
    }
}

/* ---- A batch. */
static mlp_status run_block(mlp_pass *pass, const mlp_batch *batch, const mlp_outputs_wanted *wanted, size_t at,
                            size_t n, double factor, void *gradient, bool accumulate, mlp_sums *sums) {
    bool derivative = gradient != NULL || wanted->input_gradient != NULL || wanted->records != NULL;
    size_t first = batch->first + at;
    pass->first = at;
    pass->keeps = gradient != NULL && (wanted->update != NULL || pass->plan.few);
    size_t last = pass->net->n_layers;
    mlp_status status = mlp_forward_block(pass, &batch->data->x, batch->order, first, n, last, wanted->records, at);
    if (status != MLP_OK) {
        return status;
    }
    bool weighted = is_weighted(batch->data);
    status = pass->holds ? MLP_OK : read_block(pass, batch, first, n, factor);
    if (status != MLP_OK) {
        return status;
    }
    pass->holds = batch->stays;
    double outputs_work = MLP_SAMPLE_WORK * (double)n * (double)mlp_outputs(pass->net);
    if (mlp_pause_within(pass->team.call, outputs_work)) {
        return MLP_INTERRUPTED;
    }
    const mlp_record *record = wanted->records != NULL ? &wanted->records[last - 1] : NULL;
    (pass->plan.by_rows ? output_rows : output_block)(pass, derivative, record, at);
    if (mlp_pause_within(pass->team.call, outputs_work)) {
        return MLP_INTERRUPTED;
    }
    if (wanted->clipped) {
        clip_losses(pass);
    }
    if (wanted->sample_losses != NULL) {
        memcpy(wanted->sample_losses + at, pass->losses, n * sizeof(double));
    }
    sums->loss += pass->net->kernels->sum_losses(pass->losses, weighted ? pass->weights : NULL, n);
    size_t there = pass->plan.lanes ? pass->stride : n; /* past the last one come copies of it */
    for (size_t i = 0; i < there && derivative && weighted; i++) {
        if (pass->weights[i < n ? i : n - 1] == 0) {
            clear_sample(pass, i);
        }
    }
    if (derivative && !backward_block(pass, at, wanted, gradient, accumulate)) {
        return MLP_INTERRUPTED;
    }
    size_t columns = mlp_inputs(pass->net) + mlp_outputs(pass->net); /* products have counted themselves */
    double work = MLP_STEP_WORK + MLP_SAMPLE_WORK * (double)n * (double)columns;
    return mlp_pause(pass->team.call, work) ? MLP_INTERRUPTED : MLP_OK;
}

/* A chunk, block by block: its loss and its gradient alone. */
static mlp_status run_chunk(mlp_pass *pass, const mlp_batch *batch, const mlp_outputs_wanted *wanted, size_t begin,
                            size_t end, double factor, void *gradient, mlp_sums *sums) {
    size_t block = pass->plan.block;
    *sums = (mlp_sums){0};
    for (size_t at = begin; at < end; at += block) {
        size_t n = end - at < block ? end - at : block;
        mlp_status status = run_block(pass, batch, wanted, at, n, factor, gradient, at > begin, sums);
        if (status != MLP_OK) {
            return status;
        }
    }
    if (gradient != NULL && pass->plan.lanes) {
        pass->net->kernels->lanes_reduce(gradient, pass->sums, pass->net->n_parameters);
    }
    return MLP_OK;
}

/* As many chunks as there are threads, from `begin` on. */
typedef struct {
    mlp_crew *crew;
    const mlp_batch *batch;
    const mlp_outputs_wanted *wanted;
    size_t begin, chunk;
    double factor;
} wave;

/* The first chunk of the batch goes into the gradient itself, the others into partial ones. */
static void *gradient_of(const wave *w, size_t t) {
    bool first = w->begin + t == 0;
    return w->wanted->gradient == NULL || first ? w->wanted->gradient : w->crew->members[t].pass->partial;
}

static void run_chunk_task(void *context, size_t t, size_t thread) {
    const wave *w = context;
    mlp_pass *pass = w->crew->members[thread].pass;
    mlp_outcome *outcome = &w->crew->outcomes[t];
    size_t begin = w->begin + t * w->chunk, end = w->batch->n - begin < w->chunk ? w->batch->n : begin + w->chunk;
    if (atomic_load_explicit(&w->crew->stop, memory_order_relaxed)) {
        outcome->status = MLP_INTERRUPTED;
        return;
    }
    outcome->status = run_chunk(pass, w->batch, w->wanted, begin, end, w->factor, gradient_of(w, t), &outcome->sums);
    if (outcome->status != MLP_OK) {
        outcome->complaint = *pass->team.call;
        atomic_store_explicit(&w->crew->stop, true, memory_order_relaxed);
    }
}

mlp_status mlp_run_batch(mlp_crew *crew, const mlp_batch *batch, const mlp_outputs_wanted *wanted, mlp_sums *sums) {
    mlp_pass *pass = crew->members[0].pass;
    const mlp_network *net = pass->net;
    *sums = (mlp_sums){0};
    mlp_status status = sum_weights(pass, batch, &sums->weight);
    wave w = {.crew = crew,
              .batch = batch,
              .wanted = wanted,
              .chunk = batch->n == crew->n_rows ? crew->chunk : mlp_chunk_rows(net, batch->n),
              .factor = net->sum ? 1.0 : mlp_per_weight(sums->weight)};
    for (; w.begin < batch->n && status == MLP_OK; w.begin += crew->n * w.chunk) {
        size_t left = (batch->n - w.begin + w.chunk - 1) / w.chunk, n = left < crew->n ? left : crew->n;
        mlp_share(crew->call, crew->n, mlp_work(net, n * w.chunk, true), n, run_chunk_task, &w);
        status = mlp_crew_status(crew, n);
        for (size_t t = 0; t < n && status == MLP_OK; t++) {
            void *into = gradient_of(&w, t);
            sums->loss += crew->outcomes[t].sums.loss;
            if (into != wanted->gradient) {
                net->kernels->add(wanted->gradient, into, net->n_parameters);
            }
        }
    }
    return status;
}
