/* backward.c: the backward pass over a block, the last layer first, and batches as chunks of blocks. */
#include "core.h"

/* ---- One block. */

/* dW[l] and db[l] (+)= of this block: dW = A[l-1]^T dZ, db = the column sums of dZ. */
static bool layer_gradient(mlp_pass *pass, size_t l, const void *dz, void *gradient, bool accumulate) {
    const mlp_network *net = pass->net;
    const mlp_layer *layer = &net->layers[l];
    size_t ld;
    const void *a = mlp_layer_input(pass, l, &ld);
    if (pass->plan.lanes) { /* one virtual vector for each parameter, laid out like them */
        char *sums = (char *)pass->sums + layer->weights * MLP_VECTOR_BYTES;
        net->kernels->lanes_gradient(sums, a, dz, layer->n_in, layer->n_out, pass->stride, net->bias, accumulate);
        return !mlp_pause(pass->call, 2.0 * (double)(layer->n_in * layer->n_out * pass->stride));
    }
    if (net->bias) {
        net->kernels->column_sums(mlp_at(net, gradient, layer->biases), dz, pass->ld[l], pass->n, layer->n_out,
                                  accumulate);
    }
    return mlp_product(net->kernels, mlp_at(net, gradient, layer->weights), layer->n_out, false, (mlp_left){a, 1, ld},
                       (mlp_right){.data = dz, .ld = pass->ld[l], .padded = true}, layer->n_in, layer->n_out, pass->n,
                       accumulate, pass->panel, pass->call);
}

/* da (block, n[l-1]) = dZ W[l]^T */
static bool layer_input_gradient(mlp_pass *pass, size_t l, const void *dz, void *da) {
    const mlp_network *net = pass->net;
    const mlp_layer *layer = &net->layers[l];
    const void *w = mlp_at(net, pass->parameters, layer->weights);
    if (pass->plan.lanes) {
        net->kernels->lanes_backward(da, dz, w, layer->n_in, layer->n_out, pass->stride);
        return !mlp_pause(pass->call, 2.0 * (double)(layer->n_in * layer->n_out * pass->stride));
    }
    return mlp_product(net->kernels, da, pass->ld[l - 1], true, (mlp_left){dz, pass->ld[l], 1},
                       (mlp_right){.data = w, .ld = layer->n_out, .transposed = true}, pass->n, layer->n_in,
                       layer->n_out, false, pass->panel, pass->call);
}

/* dZ[l] from dA[l], in place: dropout's mask, then g'. */
static void through_activation(mlp_pass *pass, size_t l, void *da) {
    const mlp_network *net = pass->net;
    size_t activation = net->layers[l].activation, rows, n, ld;
    mlp_shape_of(pass, l, &rows, &n, &ld);
    if (pass->mask[l] != NULL) {
        net->kernels->multiply(da, da, pass->mask[l], rows, n, ld);
    }
    net->kernels->backward[activation](da, pass->d[l] != NULL ? pass->d[l] : pass->a[l], rows, n, ld);
}

static bool backward_block(mlp_pass *pass, size_t first, const mlp_outputs_wanted *wanted, void *gradient,
                           bool accumulate) {
    const mlp_network *net = pass->net;
    bool lanes = pass->plan.lanes;
    void *dz = lanes ? pass->dz_out : pass->dz, *da = pass->da;
    for (size_t l = net->n_layers; l >= 1; l--) {
        size_t ld = lanes ? pass->stride : pass->ld[l], ld_in = lanes ? pass->stride : pass->ld[l - 1];
        const mlp_layer *layer = &net->layers[l];
        if (wanted->records != NULL) {
            mlp_copy_out(pass, dz, lanes, ld, layer->n_out, wanted->records[l - 1].dz, first);
        }
        if (gradient != NULL && !layer_gradient(pass, l, dz, gradient, accumulate)) {
            return false;
        }
        if (l == 1 && wanted->input_gradient == NULL) {
            break;
        }
        if (!layer_input_gradient(pass, l, dz, da)) {
            return false;
        }
        if (l == 1) {
            mlp_copy_out(pass, da, lanes, ld_in, layer->n_in, wanted->input_gradient, first);
            break;
        }
        if (wanted->records != NULL) {
            mlp_copy_out(pass, da, lanes, ld_in, layer->n_in, wanted->records[l - 2].da, first);
        }
        through_activation(pass, l - 1, da);
        void *next = da;
        da = dz == pass->dz_out ? pass->dz : dz;
        dz = next;
    }
    return true;
}

/* ---- Targets, weights and losses of a block. */

/* Targets of more outputs are read by rows and transposed. */
enum { FEW_OUTPUTS = 12 };

/* y (K, stride) in lanes layout: labels as rows of zeros and ones. False: a label that is none any more. */
static bool read_targets(mlp_pass *pass, const mlp_batch *batch, size_t first) {
    const mlp_network *net = pass->net;
    const mlp_data *data = batch->data;
    size_t outputs = mlp_outputs(net), stride = pass->stride, n = pass->n, ld;
    if (!data->labels && outputs <= FEW_OUTPUTS) {
        mlp_read_columns(&data->y, net->dtype, batch->order, first, n, pass->y, stride);
        return true;
    }
    if (!data->labels) {
        const void *rows = mlp_read_tile(&data->y, net->dtype, batch->order, first, n, pass->rows, outputs, &ld);
        net->kernels->transpose(pass->y, stride, rows, ld, n, outputs);
        return true;
    }
    double *labels = pass->rows;
    mlp_read_doubles(&data->y, batch->order, first, n, labels);
    net->kernels->fill(pass->y, 0.0, outputs * stride);
    for (size_t i = 0; i < n; i++) {
        if (!(labels[i] >= 0 && labels[i] < (double)outputs)) {
            return false;
        }
        net->kernels->fill(mlp_at(net, pass->y, (size_t)labels[i] * stride + i), 1.0, 1);
    }
    return true;
}

/* weights[i] = sample weight times class weight of rows first..first+n. False: a label that is none. */
static bool read_weights(const mlp_network *net, const mlp_batch *batch, size_t first, size_t n, double *weights) {
    const mlp_data *data = batch->data;
    size_t n_classes = data->labels ? mlp_outputs(net) : 2;
    if (data->weight.data != NULL) {
        mlp_read_doubles(&data->weight, batch->order, first, n, weights);
    } else {
        for (size_t i = 0; i < n; i++) {
            weights[i] = 1.0;
        }
    }
    for (size_t i = 0; i < n && data->class_weight != NULL; i++) {
        double label;
        mlp_read_doubles(&data->y, batch->order, first + i, 1, &label);
        if (!(label >= 0 && label < (double)n_classes)) {
            return false;
        }
        weights[i] *= data->class_weight[(size_t)label];
    }
    return true;
}

/* The sum of a batch's weights, in order. */
static bool sum_weights(mlp_pass *pass, const mlp_batch *batch, double *sum) {
    *sum = (double)batch->n;
    if (batch->data->weight.data == NULL && batch->data->class_weight == NULL) {
        return true;
    }
    *sum = 0;
    for (size_t at = 0; at < batch->n; at += pass->plan.block) {
        size_t n = batch->n - at < pass->plan.block ? batch->n - at : pass->plan.block;
        if (!read_weights(pass->net, batch, batch->first + at, n, pass->weights)) {
            return false;
        }
        for (size_t i = 0; i < n; i++) {
            *sum += pass->weights[i];
        }
    }
    return true;
}

/* sum of w times loss: in eight lanes, then by one tree. */
static double weighted_losses(const double *weights, const double *losses, size_t n) {
    double lanes[8] = {0};
    size_t whole = n - n % 8;
    for (size_t i = 0; i < whole; i += 8) {
        for (size_t lane = 0; lane < 8; lane++) {
            lanes[lane] += weights[i + lane] * losses[i + lane];
        }
    }
    for (size_t i = whole; i < n; i++) {
        lanes[i - whole] += weights[i] * losses[i];
    }
    return ((lanes[0] + lanes[4]) + (lanes[2] + lanes[6])) + ((lanes[1] + lanes[5]) + (lanes[3] + lanes[7]));
}

/* Losses of the block, and dZ[L] where derivatives are wanted. On entry pass->z holds the outputs' z. */
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
    memset(pass->losses, 0, pass->plan.block * sizeof(double));
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
        kernels->backward[activation](dz, by, outputs, stride, stride);
    }
    for (size_t k = 0; k < outputs && stride > pass->n; k++) { /* samples that are not there weigh nothing */
        memset(mlp_at(net, dz, k * stride + pass->n), 0, (stride - pass->n) * net->item);
    }
    if (!pass->plan.lanes) {
        kernels->transpose(pass->dz, pass->ld[net->n_layers], dz, stride, outputs, pass->n);
    }
}

/* ---- A batch. */
static mlp_status run_block(mlp_pass *pass, const mlp_batch *batch, const mlp_outputs_wanted *wanted, size_t at,
                            size_t n, double factor, void *gradient, bool accumulate, mlp_sums *sums) {
    bool derivative = gradient != NULL || wanted->input_gradient != NULL || wanted->records != NULL;
    size_t first = batch->first + at;
    pass->first = at;
    mlp_status status = mlp_forward_block(pass, &batch->data->x, batch->order, first, n, wanted->records, at);
    if (status != MLP_OK) {
        return status;
    }
    if (!read_targets(pass, batch, first) || !read_weights(pass->net, batch, first, n, pass->weights)) {
        pass->call->row = mlp_row_of(batch->order, first);
        return MLP_BAD_Y;
    }
    for (size_t i = 0; i < n; i++) {
        pass->scale[i] = pass->weights[i] * factor;
    }
    size_t last = pass->net->n_layers - 1;
    output_block(pass, derivative, wanted->records != NULL ? &wanted->records[last] : NULL, at);
    if (wanted->sample_losses != NULL) {
        memcpy(wanted->sample_losses + at, pass->losses, n * sizeof(double));
    }
    sums->loss += weighted_losses(pass->weights, pass->losses, n);
    return derivative && !backward_block(pass, at, wanted, gradient, accumulate) ? MLP_INTERRUPTED : MLP_OK;
}

/* The end of a chunk: its sums in the lanes become a gradient, and later chunks are added to the first. */
static void end_chunk(mlp_pass *pass, void *into, void *gradient) {
    const mlp_network *net = pass->net;
    if (pass->plan.lanes) {
        net->kernels->lanes_reduce(into, pass->sums, net->n_parameters);
    }
    if (into != gradient) {
        net->kernels->add(gradient, into, net->n_parameters);
    }
}

mlp_status mlp_run_batch(mlp_pass *pass, const mlp_batch *batch, const mlp_outputs_wanted *wanted, mlp_sums *sums) {
    *sums = (mlp_sums){0};
    if (!sum_weights(pass, batch, &sums->weight)) {
        pass->call->row = mlp_row_of(batch->order, batch->first);
        return MLP_BAD_Y;
    }
    double factor = pass->net->sum ? 1.0 : sums->weight > 0 ? 1.0 / sums->weight : 0.0;
    size_t block = pass->plan.block, chunk = pass->plan.chunk;
    for (size_t at = 0; at < batch->n;) {
        size_t n = batch->n - at < block ? batch->n - at : block;
        void *into = wanted->gradient != NULL && at >= chunk ? pass->partial : wanted->gradient;
        mlp_status status = run_block(pass, batch, wanted, at, n, factor, into, at % chunk != 0, sums);
        if (status != MLP_OK) {
            return status;
        }
        at += n;
        if (into != NULL && (at == batch->n || at % chunk == 0)) {
            end_chunk(pass, into, wanted->gradient);
        }
    }
    return MLP_OK;
}
