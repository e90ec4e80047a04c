/* batch.c: a batch as chunks of blocks, or blocks in parts: what the rows of one are to give, and its derivatives. */
#include "pass.h"

/* ---- Targets, weights and losses of a block. */

/* Targets of more outputs are read by rows and transposed. */
enum { FEW_OUTPUTS = 12 };

mlp_status mlp_read_labels(const mlp_network *net, const mlp_rows *y, const int64_t *order, size_t first, size_t n,
                           double *labels, void *out, size_t sample, size_t step, mlp_call *call) {
    mlp_read_doubles(y, order, first, n, labels);
    for (size_t i = 0; i < n; i++) {
        mlp_status status = mlp_check_label(labels[i], mlp_outputs(net), mlp_row_of(order, first + i), call);
        if (status != MLP_OK) {
            return status;
        }
        if (out != NULL) {
            net->kernels->fill(mlp_at(net, out, i * sample + (size_t)labels[i] * step), 1.0, 1);
        }
    }
    return MLP_OK;
}

mlp_status mlp_read_samples(const mlp_network *net, const mlp_data *data, const int64_t *order, size_t first, size_t n,
                            const mlp_sample_room *room, mlp_samples *samples, mlp_call *call) {
    size_t outputs = mlp_outputs(net);
    mlp_source source = {.rows = &data->x,
                         .dtype = net->dtype,
                         .order = order,
                         .cells = room->cells,
                         .call = call,
                         .kernels = net->kernels};
    samples->x = mlp_read_tile(&source, first, n, room->x, mlp_inputs(net), &samples->ldx);
    if (samples->x == NULL) {
        return MLP_BAD_X;
    }
    if (data->labels) {
        net->kernels->fill(room->y, 0.0, n * outputs);
        samples->y = room->y;
        samples->ldy = outputs;
        return mlp_read_labels(net, &data->y, order, first, n, room->labels, room->y, outputs, 1, call);
    }
    source.rows = &data->y;
    samples->y = mlp_read_tile(&source, first, n, room->y, outputs, &samples->ldy);
    return MLP_OK;
}

/* y (K, stride) in lanes layout, labels as rows of zeros and ones; or y_rows. */
static mlp_status read_targets(mlp_pass *pass, const mlp_batch *batch, size_t first) {
    const mlp_network *net = pass->net;
    const mlp_data *data = batch->data;
    size_t outputs = mlp_outputs(net), stride = pass->stride, n = pass->n, ld;
    mlp_source source = {.rows = &data->y, .dtype = net->dtype, .order = batch->order, .kernels = net->kernels};
    if (pass->plan.by_rows) {
        pass->y_rows = mlp_read_tile(&source, first, n, pass->targets, outputs, &pass->y_ld);
        return MLP_OK;
    }
    if (pass->labelled) {
        return mlp_read_labels(net, &data->y, batch->order, first, n, pass->targets, NULL, 0, 0, pass->team.call);
    }
    if (!data->labels && outputs <= FEW_OUTPUTS) {
        mlp_read_columns(&source, first, n, pass->y, stride);
        return MLP_OK;
    }
    if (!data->labels) {
        const void *rows = mlp_read_tile(&source, first, n, pass->targets, outputs, &ld);
        net->kernels->transpose(pass->y, stride, rows, ld, n, outputs);
        return MLP_OK;
    }
    net->kernels->fill(pass->y, 0.0, outputs * stride);
    return mlp_read_labels(net, &data->y, batch->order, first, n, pass->targets, pass->y, 1, stride, pass->team.call);
}

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
    if (data->class_weight == NULL) {
        return MLP_OK;
    }
    size_t n_classes = data->labels ? mlp_outputs(pass->net) : 2;
    double *labels = pass->losses; /* there are none so far */
    mlp_read_doubles(&data->y, batch->order, first, n, labels);
    for (size_t i = 0; i < n; i++) {
        mlp_status status = mlp_check_label(labels[i], n_classes, mlp_row_of(batch->order, first + i), pass->team.call);
        if (status != MLP_OK) {
            return status;
        }
        pass->weights[i] *= data->class_weight[(size_t)labels[i]];
    }
    return MLP_OK;
}

/* Of rows first..first+n, and the factors of their derivatives. */
static mlp_status read_targets_and_weights(mlp_pass *pass, const mlp_batch *batch, size_t first, size_t n,
                                           double factor) {
    bool weighted = mlp_is_weighted(batch->data);
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
    if (!mlp_is_weighted(batch->data)) {
        return MLP_OK;
    }
    *sum = 0;
    for (size_t at = 0; at < batch->n; at += pass->plan.block) {
        size_t n = mlp_min(batch->n - at, pass->plan.block);
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
static void output_rows(mlp_pass *pass, bool derivative, const mlp_record *record) {
    const mlp_network *net = pass->net;
    size_t last = net->n_layers, outputs = mlp_outputs(net), ld = net->layers[last].ld;
    mlp_row_targets targets = {.n_outputs = outputs,
                               .n = pass->n,
                               .ld = ld,
                               .y = pass->y_rows,
                               .y_ld = pass->y_ld,
                               .scale = pass->scale,
                               .parameters = pass->loss_parameters};
    net->kernels->loss_rows[net->loss](pass->losses, derivative ? pass->dz[last] : NULL, pass->a[last], &targets);
    if (record != NULL) {
        mlp_copy_out(pass, pass->dz[last], false, last, record->da, pass->first);
    }
    if (derivative) {
        net->kernels->backward[net->layers[last].activation](pass->dz[last], mlp_slope_of(pass, last), NULL, NULL,
                                                             pass->n, outputs, ld);
    }
}

/* The same of many classes, from their z. */
static void output_classes(mlp_pass *pass, bool derivative) {
    const mlp_network *net = pass->net;
    size_t last = net->n_layers;
    net->kernels->class_rows(pass->losses, derivative ? pass->dz[last] : NULL, pass->a[last], pass->targets,
                             pass->scale, pass->n, mlp_outputs(net), net->layers[last].ld);
}

/* The same from their z in lanes layout. */
static void output_block(mlp_pass *pass, bool derivative, const mlp_record *record) {
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
    if (pass->plan.classes) {
        mlp_turn_output(pass);
    }
    bool of_output = net->loss_kind == OF_DIFFERENCE;
    if (of_output) {
        mlp_activate_output(pass, derivative);
    }
    kernels->loss[net->loss](pass->losses, dz, pass->z, &targets);
    if (record != NULL) {
        if (pass->plan.classes) { /* as predictions have them */
            kernels->softmax_rows(pass->a[net->n_layers], pass->n, outputs, net->layers[net->n_layers].ld);
            mlp_turn_output(pass);
        } else if (!of_output) {
            mlp_activate_output(pass, false);
        }
        void *da = pass->targets; /* the targets have been read */
        kernels->output_gradient[net->loss](da, pass->z, &targets);
        mlp_copy_out(pass, pass->z, true, net->n_layers, record->a, pass->first);
        mlp_copy_out(pass, da, true, net->n_layers, record->da, pass->first);
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
        kernels->transpose(pass->dz[net->n_layers], net->layers[net->n_layers].ld, dz, stride, outputs, pass->n);
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
    void *dz = by_output ? mlp_at(net, pass->dz_out, i)
                         : mlp_at(net, pass->dz[net->n_layers], i * net->layers[net->n_layers].ld);
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

/* n losses times their weights, or NULL; a sample of weight 0 is none, whatever its loss. */
static void copy_losses(double *out, const double *losses, const double *weights, size_t n) {
    for (size_t i = 0; i < n; i++) {
        out[i] = weights == NULL ? losses[i] : weights[i] == 0 ? 0.0 : weights[i] * losses[i];
    }
}

/* ---- A block, or a part of one: its loss, and what is wanted of its derivatives. */
static bool wants_derivatives(const mlp_outputs_wanted *wanted) {
    return wanted->gradient != NULL || wanted->input_gradient != NULL || wanted->records != NULL;
}

/* Where steps are by one sample, the pass over the first layer's weights that is its step is also the next one's
 * product with them. */
static void look_ahead(mlp_pass *pass, const mlp_batch *batch, const mlp_outputs_wanted *wanted, size_t first,
                       size_t n) {
    const mlp_network *net = pass->net;
    const mlp_rows *x = &batch->data->x;
    bool steps = wanted->update != NULL && !wanted->of_parts && n == 1 && first + 1 < x->n_rows;
    pass->multiplied =
        pass->ahead != NULL && pass->ahead == mlp_row_in_place(x, net->dtype, mlp_row_of(batch->order, first));
    pass->ahead = steps && mlp_multiplies_ahead(net, &pass->team)
                      ? mlp_row_in_place(x, net->dtype, mlp_row_of(batch->order, first + 1))
                      : NULL;
}

/* The loss is left in pass->losses, to be summed with pass->weights. */
static mlp_status run_block(mlp_pass *pass, const mlp_batch *batch, const mlp_outputs_wanted *wanted, size_t at,
                            size_t n, double factor) {
    bool derivative = wants_derivatives(wanted);
    size_t first = batch->first + at;
    pass->first = at;
    look_ahead(pass, batch, wanted, first, n);
    pass->keeps = wanted->gradient != NULL && (wanted->update != NULL || pass->plan.few);
    size_t last = pass->net->n_layers;
    mlp_status status = mlp_forward_block(pass, &batch->data->x, batch->order, first, n, last, wanted->records);
    if (status != MLP_OK) {
        return status;
    }
    bool weighted = mlp_is_weighted(batch->data);
    pass->labelled = pass->plan.classes && batch->data->labels && wanted->records == NULL && !wanted->clipped;
    status = pass->holds ? MLP_OK : read_targets_and_weights(pass, batch, first, n, factor);
    if (status != MLP_OK) {
        return status;
    }
    pass->holds = batch->stays;
    double outputs_work = MLP_SAMPLE_WORK * (double)n * (double)mlp_outputs(pass->net);
    if (mlp_pause_within(pass->team.call, outputs_work)) {
        return MLP_INTERRUPTED;
    }
    const mlp_record *record = wanted->records != NULL ? &wanted->records[last - 1] : NULL;
    if (pass->labelled) {
        output_classes(pass, derivative);
    } else {
        (pass->plan.by_rows ? output_rows : output_block)(pass, derivative, record);
    }
    if (mlp_pause_within(pass->team.call, outputs_work)) {
        return MLP_INTERRUPTED;
    }
    if (wanted->clipped) {
        clip_losses(pass);
    }
    if (wanted->sample_losses != NULL) {
        copy_losses(wanted->sample_losses + at, pass->losses, weighted ? pass->weights : NULL, n);
    }
    size_t there = pass->plan.lanes ? pass->stride : n; /* past the last one come copies of it */
    for (size_t i = 0; i < there && derivative && weighted; i++) {
        if (pass->weights[i < n ? i : n - 1] == 0) {
            clear_sample(pass, i);
        }
    }
    if (derivative && !mlp_backward_block(pass, wanted)) {
        return MLP_INTERRUPTED;
    }
    size_t columns = mlp_inputs(pass->net) + mlp_outputs(pass->net); /* products have counted themselves */
    double work = MLP_STEP_WORK + MLP_SAMPLE_WORK * (double)n * (double)columns;
    return mlp_pause(pass->team.call, work) ? MLP_INTERRUPTED : MLP_OK;
}

/* ---- What a thread does of a batch that others are at too: nothing, once one of them has told the others to stop. */
typedef mlp_status (*task_of_batch)(const void *context, size_t t, mlp_pass *pass);

static void run_task(mlp_crew *crew, task_of_batch task, const void *context, size_t t, mlp_pass *pass) {
    mlp_crew_report(crew, t, pass, mlp_crew_stops(crew) ? MLP_INTERRUPTED : task(context, t, pass));
}

/* ---- Chunks: as many at a time as there are threads, each block by block; from `begin` on. */
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

/* A chunk's loss and its gradient alone. */
static mlp_status run_chunk(const void *context, size_t t, mlp_pass *pass) {
    const wave *w = context;
    const mlp_network *net = pass->net;
    const double *weights = mlp_is_weighted(w->batch->data) ? pass->weights : NULL;
    size_t begin = w->begin + t * w->chunk, end = mlp_min(w->batch->n, begin + w->chunk);
    mlp_outputs_wanted wanted = *w->wanted;
    wanted.gradient = gradient_of(w, t);
    double loss = 0;
    pass->whole = 0;
    for (size_t at = begin, n; at < end; at += n) {
        n = mlp_min(end - at, pass->plan.block);
        wanted.accumulate = at > begin;
        mlp_status status = run_block(pass, w->batch, &wanted, at, n, w->factor);
        if (status != MLP_OK) {
            return status;
        }
        loss += net->kernels->sum_losses(pass->losses, weights, n);
    }
    w->crew->outcomes[t].loss = loss;
    if (wanted.gradient != NULL && pass->plan.lanes) {
        net->kernels->lanes_reduce(wanted.gradient, pass->sums, net->n_parameters);
    }
    return MLP_OK;
}

static void run_chunk_task(void *context, size_t t, size_t thread) {
    const wave *w = context;
    run_task(w->crew, run_chunk, w, t, w->crew->members[thread].pass);
}

static mlp_status run_in_chunks(mlp_crew *crew, size_t n_threads, wave *w, mlp_sums *sums) {
    const mlp_network *net = crew->net;
    mlp_status status = MLP_OK;
    for (; w->begin < w->batch->n && status == MLP_OK; w->begin += n_threads * w->chunk) {
        size_t left = (w->batch->n - w->begin + w->chunk - 1) / w->chunk, n = mlp_min(left, n_threads);
        mlp_share(crew->call, n_threads, mlp_work(net, n * w->chunk, wants_derivatives(w->wanted)), n, run_chunk_task,
                  w);
        status = mlp_crew_status(crew, n);
        for (size_t t = 0; t < n && status == MLP_OK; t++) {
            void *into = gradient_of(w, t);
            sums->loss += crew->outcomes[t].loss;
            if (into != w->wanted->gradient) {
                net->kernels->add(w->wanted->gradient, into, net->n_parameters);
            }
        }
    }
    return status;
}

/* ---- Parts: each thread drives some rows of a block through the layers and back; then all of them are there, and each
 * thread has some rows of the weights, whose gradient it computes from the whole block: the chains of sums are those of
 * one thread. */
typedef struct {
    mlp_crew *crew;
    const mlp_batch *batch;
    const mlp_outputs_wanted *wanted;
    size_t at, n;         /* of the block */
    size_t part, n_parts; /* rows of a part */
    double factor;
    task_of_batch task; /* of the region */
} parted;

static mlp_status run_part(const void *context, size_t t, mlp_pass *pass) {
    const parted *p = context;
    size_t begin = t * p->part, n = mlp_min(p->n - begin, p->part);
    mlp_take_part(p->crew, t, begin, p->n);
    mlp_status status = run_block(pass, p->batch, p->wanted, p->at + begin, n, p->factor);
    if (status != MLP_OK) {
        return status;
    }
    memcpy(p->crew->losses + begin, pass->losses, n * sizeof(double));
    if (mlp_is_weighted(p->batch->data)) {
        memcpy(p->crew->weights + begin, pass->weights, n * sizeof(double));
    }
    return MLP_OK;
}

/* How many of n rows, each of work `each`, lie before so much work. */
static size_t rows_before(size_t work, size_t each, size_t n) { return mlp_min(work / each, n); }

/* Rows of the weights of all layers that are as much work as any other part's. */
static mlp_status run_gradient(const void *context, size_t t, mlp_pass *pass) {
    const parted *p = context;
    const mlp_pass *whole = p->crew->members[0].pass;
    const mlp_network *net = whole->net;
    size_t all = 0;
    for (size_t l = 1; l <= net->n_layers; l++) {
        all += net->layers[l].n_in * mlp_whole_vectors(net, net->layers[l].n_out);
    }
    size_t begin = all / p->n_parts * t, end = t + 1 < p->n_parts ? begin + all / p->n_parts : all;
    for (size_t l = 1; l <= net->n_layers && end > 0; l++) {
        size_t n = net->layers[l].n_in, each = mlp_whole_vectors(net, net->layers[l].n_out);
        mlp_range rows = {rows_before(begin, each, n), rows_before(end, each, n)};
        if (rows.begin < rows.end && !mlp_layer_gradient(whole, &pass->team, l, &rows, p->wanted)) {
            return MLP_INTERRUPTED;
        }
        begin -= mlp_min(begin, n * each);
        end -= mlp_min(end, n * each);
    }
    return MLP_OK;
}

static void run_parted_task(void *context, size_t t, size_t thread) {
    const parted *p = context;
    (void)thread;
    run_task(p->crew, p->task, p, t, p->crew->members[t].pass);
}

/* One region: a task a part. */
static mlp_status share_parts(parted *p, task_of_batch task) {
    p->task = task;
    double work = 0.5 * mlp_work(p->crew->net, p->n, true); /* about: there are two regions */
    mlp_share(p->crew->call, p->crew->n, work, p->n_parts, run_parted_task, p);
    return mlp_crew_status(p->crew, p->n_parts);
}

static mlp_status run_block_in_parts(parted *p, mlp_sums *sums) {
    mlp_crew *crew = p->crew;
    mlp_pass *whole = crew->members[0].pass;
    const mlp_network *net = crew->net;
    p->part = mlp_part_rows(net, &whole->plan, p->n, crew->n);
    p->n_parts = (p->n + p->part - 1) / p->part;
    mlp_status status = share_parts(p, run_part);
    if (status != MLP_OK) {
        return status;
    }
    sums->loss += net->kernels->sum_losses(crew->losses, mlp_is_weighted(p->batch->data) ? crew->weights : NULL, p->n);
    if (p->wanted->gradient != NULL) {
        whole->n = p->n; /* no longer a part's; of its stride no product by units knows */
        status = share_parts(p, run_gradient);
    }
    return status;
}

/* A batch of one chunk: one of fewer rows than the crew is made for is no more than that either. */
static mlp_status run_in_parts(mlp_crew *crew, const mlp_batch *batch, const mlp_outputs_wanted *outputs, double factor,
                               mlp_sums *sums) {
    size_t block = crew->members[0].pass->plan.block;
    mlp_outputs_wanted wanted = *outputs;
    wanted.of_parts = true;
    mlp_status status = MLP_OK;
    for (size_t at = 0, n; at < batch->n && status == MLP_OK; at += n) {
        n = mlp_min(batch->n - at, block);
        wanted.accumulate = at > 0;
        parted p = {.crew = crew, .batch = batch, .wanted = &wanted, .at = at, .n = n, .factor = factor};
        status = run_block_in_parts(&p, sums);
    }
    return status;
}

/* ---- A batch. */

/* One block in lanes, of which nothing but the loss and the gradient is wanted, is soon computed: in as few calls as it
 * takes. */
static bool is_quick(const mlp_pass *pass, const mlp_batch *batch, const mlp_outputs_wanted *wanted) {
    const mlp_network *net = pass->net;
    bool quick = pass->plan.lanes && wanted->gradient != NULL && wanted->input_gradient == NULL &&
                 wanted->records == NULL && wanted->sample_losses == NULL && !wanted->clipped &&
                 !mlp_is_weighted(batch->data) && mlp_work(net, batch->n, true) <= MLP_POLL_WORK;
    for (size_t l = 1; l < net->n_layers; l++) {
        quick = quick && pass->mask[l] == NULL;
    }
    return quick;
}

static mlp_status run_quickly(mlp_pass *pass, const mlp_batch *batch, void *gradient, double factor, mlp_sums *sums) {
    const mlp_network *net = pass->net;
    size_t last = net->n_layers;
    pass->n = batch->n;
    pass->stride = mlp_whole_vectors(net, batch->n);
    if (!pass->holds) {
        mlp_status status = mlp_read_inputs(pass, &batch->data->x, batch->order, batch->first) ? MLP_OK : MLP_BAD_X;
        status = status == MLP_OK ? read_targets_and_weights(pass, batch, batch->first, batch->n, factor) : status;
        if (status != MLP_OK) {
            return status;
        }
    }
    pass->holds = batch->stays;
    for (size_t l = 1; l < last; l++) {
        mlp_forward_in_lanes(pass, l, pass->a[l], net->layers[l].activation);
    }
    mlp_forward_in_lanes(pass, last, pass->z, MLP_ACT_identity);
    output_block(pass, true, NULL);
    for (size_t l = last; l > 1; l--) {
        mlp_back_in_lanes(pass, l, pass->dz[l], pass->dz[l - 1], true);
        mlp_gradient_in_lanes(pass, l, pass->dz[l], false);
    }
    mlp_gradient_in_lanes(pass, 1, pass->dz[1], false);
    net->kernels->lanes_reduce(gradient, pass->sums, net->n_parameters);
    sums->loss = net->kernels->sum_losses(pass->losses, NULL, batch->n);
    size_t columns = mlp_inputs(net) + mlp_outputs(net);
    double work = MLP_STEP_WORK + MLP_SAMPLE_WORK * (double)(batch->n * columns) + mlp_work(net, batch->n, true);
    return mlp_pause(pass->team.call, work) ? MLP_INTERRUPTED : MLP_OK;
}

mlp_status mlp_run_batch(mlp_crew *crew, const mlp_batch *batch, const mlp_outputs_wanted *wanted, mlp_sums *sums) {
    mlp_pass *pass = crew->members[0].pass;
    const mlp_network *net = pass->net;
    *sums = (mlp_sums){0};
    mlp_status status = sum_weights(pass, batch, &sums->weight);
    if (status != MLP_OK) {
        return status;
    }
    double factor = net->sum ? 1.0 : mlp_per_weight(sums->weight);
    if (crew->by_parts && mlp_parts_for(net, &pass->plan, batch->n, crew->call) > 1) {
        return run_in_parts(crew, batch, wanted, factor, sums);
    }
    if (mlp_is_one_block(crew, batch->n) && is_quick(pass, batch, wanted)) {
        return run_quickly(pass, batch, wanted->gradient, factor, sums);
    }
    wave w = {.crew = crew, .batch = batch, .wanted = wanted, .chunk = mlp_chunk_of(crew, batch->n), .factor = factor};
    if (batch->n <= w.chunk) { /* no region for threads to share, though its products may be */
        status = run_chunk(&w, 0, pass);
        sums->loss = crew->outcomes[0].loss;
        return status;
    }
    return run_in_chunks(crew, crew->n, &w, sums);
}
