/* propagate.c: the forward pass: a block of samples driven through all layers, by units or with samples in the lanes; and
 * the scratch that it and the backward pass (backward.c) work in. */
#include "core.h"

#include <stdlib.h>

/* ---- Scratch: one allocation, cut up. */
typedef struct {
    char *at; /* NULL while sizes are being added up */
    size_t used;
} cutter;

static void *cut(cutter *c, size_t bytes) {
    void *piece = c->at == NULL ? NULL : c->at + c->used;
    c->used += (bytes + MLP_VECTOR_BYTES - 1) / MLP_VECTOR_BYTES * MLP_VECTOR_BYTES;
    return piece;
}

static size_t widest(const mlp_network *net) {
    size_t width = 1;
    for (size_t l = 0; l <= net->n_layers; l++) {
        size_t ld = mlp_padded(net, net->layers[l].n_out);
        width = ld > width ? ld : width;
    }
    return width;
}

/* Elements of a block of layer l in either layout. */
static size_t block_size(const mlp_pass *pass, size_t l) {
    return pass->plan.lanes ? pass->net->layers[l].n_out * pass->plan.block : pass->ld[l] * pass->plan.block;
}

static void cut_layers(mlp_pass *pass, cutter *c, bool gradient, bool dropout) {
    const mlp_network *net = pass->net;
    for (size_t l = 0; l <= net->n_layers; l++) {
        pass->ld[l] = mlp_padded(net, net->layers[l].n_out);
        size_t bytes = block_size(pass, l) * net->item;
        pass->a[l] = cut(c, bytes);
        bool hidden = l > 0 && l < net->n_layers;
        if (hidden && gradient && mlp_has_derivative_from_input(net->layers[l].activation)) {
            pass->d[l] = cut(c, bytes);
        }
        if (hidden && dropout && net->layers[l].dropout > 0) {
            pass->mask[l] = cut(c, bytes);
            pass->dropped[l] = cut(c, bytes);
        }
    }
}

static void cut_all(mlp_pass *pass, cutter *c, size_t n_rows, bool gradient, bool dropout) {
    const mlp_network *net = pass->net;
    size_t item = net->item, block = pass->plan.block, width = widest(net), outputs = mlp_outputs(net);
    cut_layers(pass, c, gradient, dropout);
    if (gradient) {
        pass->dz = cut(c, width * block * item);
        pass->da = cut(c, width * block * item);
        pass->dz_out = cut(c, outputs * block * item);
        if (pass->plan.lanes) {
            pass->sums = cut(c, (net->n_parameters + outputs) * MLP_VECTOR_BYTES);
        }
        if (n_rows > pass->plan.chunk) {
            pass->partial = cut(c, net->n_parameters * item);
        }
    }
    pass->z = cut(c, outputs * block * item);
    pass->d_out = cut(c, outputs * block * item);
    pass->y = cut(c, outputs * block * item);
    pass->rows = cut(c, outputs * block * sizeof(double));
    pass->losses = cut(c, block * sizeof(double));
    pass->weights = cut(c, block * sizeof(double));
    pass->scale = cut(c, block * sizeof(double));
    pass->bias = cut(c, width * item);
    pass->panel = cut(c, width * net->kernels->panel * item);
}

mlp_pass *mlp_pass_create(const mlp_network *net, size_t n_rows, bool gradient, bool dropout, mlp_call *call) {
    size_t layers = net->n_layers + 1;
    mlp_pass *pass = calloc(1, sizeof *pass);
    size_t *ld = calloc(layers, sizeof *ld);
    void **pointers = calloc(4 * layers, sizeof *pointers);
    if (pass == NULL || ld == NULL || pointers == NULL) {
        free(pass);
        free(ld);
        free(pointers);
        return NULL;
    }
    *pass = (mlp_pass){.net = net,
                       .parameters = net->parameters,
                       .call = call,
                       .plan = mlp_make_plan(net, n_rows),
                       .ld = ld,
                       .a = pointers,
                       .d = pointers + layers,
                       .mask = pointers + 2 * layers,
                       .dropped = pointers + 3 * layers};
    cutter measure = {0};
    cut_all(pass, &measure, n_rows, gradient, dropout);
    pass->memory = mlp_allocate(measure.used, 1);
    if (pass->memory == NULL) {
        mlp_pass_destroy(pass);
        return NULL;
    }
    cutter knife = {.at = pass->memory};
    cut_all(pass, &knife, n_rows, gradient, dropout);
    return pass;
}

void mlp_pass_destroy(mlp_pass *pass) {
    if (pass != NULL) {
        free(pass->memory);
        free(pass->ld);
        free(pass->a);
        free(pass);
    }
}

/* ---- Forward. */

/* Rows of a block to out (.., width), C-contiguous, from row `first` on. */
void mlp_copy_out(const mlp_pass *pass, const void *block, bool lanes, size_t ld, size_t width, void *out,
                  size_t first) {
    const mlp_network *net = pass->net;
    char *to = mlp_at(net, out, first * width);
    if (lanes) {
        net->kernels->transpose(to, width, block, ld, width, pass->n);
        return;
    }
    for (size_t i = 0; i < pass->n; i++) {
        memcpy(to + i * width * net->item, mlp_at(net, block, i * ld), width * net->item);
    }
}

/* A block of layer l as the elementwise kernels see it. */
void mlp_shape_of(const mlp_pass *pass, size_t l, size_t *rows, size_t *n, size_t *ld) {
    size_t units = pass->net->layers[l].n_out;
    *rows = pass->plan.lanes ? units : pass->n;
    *n = pass->plan.lanes ? pass->stride : units;
    *ld = pass->plan.lanes ? pass->stride : pass->ld[l];
}

static void read_inputs(mlp_pass *pass, const mlp_rows *x, const int64_t *order, size_t first) {
    const mlp_network *net = pass->net;
    size_t inputs = mlp_inputs(net);
    if (!pass->plan.lanes) {
        pass->x = mlp_read_tile(x, net->dtype, order, first, pass->n, pass->a[0], pass->ld[0], &pass->x_ld);
        return;
    }
    mlp_read_columns(x, net->dtype, order, first, pass->n, pass->a[0], pass->stride);
    for (size_t i = 0; i < inputs && pass->stride > pass->n; i++) { /* samples that are not there weigh nothing */
        memset(mlp_at(net, pass->a[0], i * pass->stride + pass->n), 0, (pass->stride - pass->n) * net->item);
    }
    pass->x = pass->a[0];
}

/* Inputs of layer l: the layer below, after its dropout. */
const void *mlp_layer_input(const mlp_pass *pass, size_t l, size_t *ld) {
    if (l == 1) {
        *ld = pass->x_ld;
        return pass->x;
    }
    *ld = pass->ld[l - 1];
    return pass->mask[l - 1] != NULL ? pass->dropped[l - 1] : pass->a[l - 1];
}

/* z (block, n[l]) = A[l-1] W[l], and in lanes + b[l] already. */
static bool multiply_layer(mlp_pass *pass, size_t l, void *z) {
    const mlp_network *net = pass->net;
    const mlp_layer *layer = &net->layers[l];
    const void *w = mlp_at(net, pass->parameters, layer->weights);
    size_t ld;
    const void *a = mlp_layer_input(pass, l, &ld);
    if (pass->plan.lanes) {
        const void *b = net->bias ? mlp_at(net, pass->parameters, layer->biases) : NULL;
        net->kernels->lanes_forward(z, a, w, b, layer->n_in, layer->n_out, pass->stride);
        return !mlp_pause(pass->call, 2.0 * (double)(layer->n_in * layer->n_out * pass->stride));
    }
    return mlp_product(net->kernels, z, pass->ld[l], true, (mlp_left){a, ld, 1},
                       (mlp_right){.data = w, .ld = layer->n_out}, pass->n, layer->n_out, layer->n_in, false,
                       pass->panel, pass->call);
}

/* The biases of layer l where they are still to be added, padded to whole vectors; else NULL. */
static const void *biases_to_add(mlp_pass *pass, size_t l) {
    const mlp_network *net = pass->net;
    const mlp_layer *layer = &net->layers[l];
    if (pass->plan.lanes || !net->bias) {
        return NULL;
    }
    memcpy(pass->bias, mlp_at(net, pass->parameters, layer->biases), layer->n_out * net->item);
    return pass->bias;
}

static uint64_t dropout_key(const mlp_network *net, size_t l) {
    return net->progress.dropout_key ^ (net->progress.step * UINT64_C(0xd1342543de82ef95)) ^
           ((uint64_t)l * UINT64_C(0xaf251af3b0f025b5));
}

static void drop(mlp_pass *pass, size_t l) {
    const mlp_network *net = pass->net;
    size_t rows, n, ld;
    mlp_shape_of(pass, l, &rows, &n, &ld);
    net->kernels->dropout_mask(pass->mask[l], dropout_key(net, l), pass->first, net->layers[l].dropout, rows, n, ld,
                               pass->plan.lanes);
    net->kernels->multiply(pass->dropped[l], pass->a[l], pass->mask[l], rows, n, ld);
}

mlp_status mlp_forward_block(mlp_pass *pass, const mlp_rows *x, const int64_t *order, size_t first, size_t n,
                             const mlp_record *records, size_t place) {
    const mlp_network *net = pass->net;
    const mlp_kernels *kernels = net->kernels;
    bool lanes = pass->plan.lanes;
    pass->n = n;
    pass->stride = mlp_whole_vectors(net, n);
    read_inputs(pass, x, order, first);
    for (size_t l = 1; l <= net->n_layers; l++) {
        const mlp_layer *layer = &net->layers[l];
        bool output = l == net->n_layers;
        void *z = output && lanes ? pass->z : pass->a[l];
        if (!multiply_layer(pass, l, z)) {
            return MLP_INTERRUPTED;
        }
        const void *bias = biases_to_add(pass, l);
        size_t rows, width, ld;
        mlp_shape_of(pass, l, &rows, &width, &ld);
        if ((output || records != NULL) && bias != NULL) { /* z is wanted by itself */
            kernels->forward[MLP_ACT_identity](z, NULL, bias, rows, width, ld);
            bias = NULL;
        }
        if (records != NULL) {
            mlp_copy_out(pass, z, lanes, ld, layer->n_out, records[l - 1].z, place);
        }
        if (!output) {
            kernels->forward[layer->activation](z, pass->d[l], bias, rows, width, ld);
            if (records != NULL) {
                mlp_copy_out(pass, z, lanes, ld, layer->n_out, records[l - 1].a, place);
            }
            if (pass->mask[l] != NULL) {
                drop(pass, l);
            }
        } else if (!lanes) {
            kernels->transpose(pass->z, pass->stride, z, ld, n, layer->n_out);
        }
    }
    return MLP_OK;
}

void mlp_activate_output(mlp_pass *pass, bool derivative) {
    const mlp_network *net = pass->net;
    const mlp_kernels *kernels = net->kernels;
    size_t outputs = mlp_outputs(net), stride = pass->stride, activation = net->layers[net->n_layers].activation;
    if (net->output == OUTPUT_SOFTMAX) {
        kernels->softmax(pass->z, outputs, stride, stride);
    } else if (net->output == OUTPUT_EXP) {
        kernels->exponential(pass->z, NULL, NULL, outputs, stride, stride);
    } else {
        void *d = derivative && mlp_has_derivative_from_input(activation) ? pass->d_out : NULL;
        kernels->forward[activation](pass->z, d, NULL, outputs, stride, stride);
    }
}

/* ---- Predictions. */
mlp_status mlp_forward(const mlp_network *network, void *const *activations, const mlp_rows *x, mlp_call *call) {
    mlp_pass *pass = mlp_pass_create(network, x->n_rows, false, false, call);
    if (pass == NULL) {
        return MLP_NO_MEMORY;
    }
    mlp_status status = MLP_OK;
    for (size_t first = 0; first < x->n_rows && status == MLP_OK; first += pass->plan.block) {
        size_t left = x->n_rows - first, n = left < pass->plan.block ? left : pass->plan.block;
        status = mlp_forward_block(pass, x, NULL, first, n, NULL, 0);
        for (size_t l = 1; l <= network->n_layers && status == MLP_OK; l++) {
            if (activations[l - 1] == NULL) {
                continue;
            }
            bool output = l == network->n_layers, lanes = output || pass->plan.lanes;
            if (output) {
                mlp_activate_output(pass, false);
            }
            mlp_copy_out(pass, output ? pass->z : pass->a[l], lanes, lanes ? pass->stride : pass->ld[l],
                         network->layers[l].n_out, activations[l - 1], first);
        }
    }
    mlp_pass_destroy(pass);
    return status;
}

/* The labels of one row of outputs; false: there is a NaN. */
static bool label_row(const mlp_network *net, int64_t *labels, const double *outputs, const double *thresholds) {
    size_t n = mlp_outputs(net), largest = 0;
    for (size_t k = 0; k < n; k++) {
        if (outputs[k] != outputs[k]) {
            return false;
        }
        largest = outputs[k] > outputs[largest] ? k : largest;
    }
    for (size_t k = 0; k < n && net->loss_kind == OF_LOGIT; k++) {
        labels[k] = outputs[k] >= thresholds[k];
    }
    if (net->loss_kind == OF_LOGITS) {
        labels[0] = (int64_t)largest;
    }
    return true;
}

mlp_status mlp_labels(const mlp_network *network, int64_t *labels, const void *outputs, size_t n_rows,
                      const double *thresholds, mlp_call *call) {
    size_t n = mlp_outputs(network), labels_a_row = network->loss_kind == OF_LOGITS ? 1 : n;
    mlp_rows rows = {.data = outputs,
                     .type = network->dtype == MLP_F32 ? MLP_FLOAT32 : MLP_FLOAT64,
                     .n_rows = n_rows,
                     .n_columns = n,
                     .row_stride = (ptrdiff_t)(n * network->item),
                     .column_stride = (ptrdiff_t)network->item};
    double *row = mlp_allocate(n, sizeof(double));
    if (row == NULL) {
        return MLP_NO_MEMORY;
    }
    mlp_status status = MLP_OK;
    for (size_t i = 0; i < n_rows && status == MLP_OK; i++) {
        mlp_read_doubles(&rows, NULL, i, 1, row);
        if (!label_row(network, labels + i * labels_a_row, row, thresholds)) {
            call->row = i;
            status = MLP_BAD_X;
        }
    }
    free(row);
    return status;
}
