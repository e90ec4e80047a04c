/* network.c: checking a specification, laying out and owning the blocks of a network, and what can be asked about it.
 * Nothing here computes. */
#include "training.h"

#include <math.h>
#include <stdlib.h>

/* ---- Names. */
static const struct {
    const char *name;
    bool from_input;
} activations[] = {
#define FROM_OUTPUT false
#define FROM_INPUT true
#define ENTRY(name, from) {#name, from},
    MLP_ACTIVATIONS(ENTRY)
#undef ENTRY
#undef FROM_OUTPUT
#undef FROM_INPUT
};

static const mlp_loss_line losses[] = {
#define ENTRY(name, activation, kind, parameter, lowest, highest) \
    {#name, #activation, kind, parameter, lowest, highest},
    MLP_LOSSES(ENTRY)
#undef ENTRY
};

const char *mlp_activation_name(size_t i) { return i < MLP_N_ACTIVATIONS ? activations[i].name : NULL; }

bool mlp_has_derivative_from_input(size_t activation) { return activations[activation].from_input; }

const char *mlp_loss_name(size_t i) { return i < MLP_N_LOSSES ? losses[i].name : NULL; }

const mlp_loss_line *mlp_loss_at(size_t i) { return i < MLP_N_LOSSES ? &losses[i] : NULL; }

static size_t find(const char *(*name_at)(size_t), const char *name) {
    size_t i = 0;
    while (name_at(i) != NULL && strcmp(name_at(i), name) != 0) {
        i++;
    }
    return i;
}

const char *mlp_loss_activation(const char *loss) {
    size_t i = find(mlp_loss_name, loss);
    return i < MLP_N_LOSSES ? losses[i].activation : NULL;
}

/* ---- Checking. */
static const char *check_sizes(const mlp_spec *spec) {
    size_t total = 0, most = PTRDIFF_MAX / sizeof(double) / 4;
    for (size_t l = 0; l <= spec->n_layers; l++) {
        size_t n = spec->layer_sizes[l];
        if (n == 0) {
            return "layer_sizes: every layer needs at least one unit";
        }
        if (n > most / (2 * MLP_BLOCK_ROWS)) {
            return "layer_sizes: a layer this wide does not fit into memory";
        }
        if (l > 0) {
            size_t n_in = spec->layer_sizes[l - 1];
            if (n_in >= (most - total) / n) { /* n (n_in + 1) parameters */
                return "layer_sizes: the number of parameters overflows";
            }
            total += n * (n_in + 1);
        }
    }
    return NULL;
}

static bool is_penalty(double x) { return x >= 0 && isfinite(x); }

static const char *check_loss(const mlp_spec *spec) {
    size_t loss = find(mlp_loss_name, spec->loss), n_outputs = spec->layer_sizes[spec->n_layers];
    if (loss == MLP_N_LOSSES) {
        return "loss: unknown name";
    }
    const char *output = spec->activations[spec->n_layers - 1];
    if (losses[loss].kind != OF_DIFFERENCE) {
        if (strcmp(output, losses[loss].activation) != 0) {
            return "activations: this loss takes only its own output activation";
        }
    } else if (find(mlp_activation_name, output) == MLP_N_ACTIVATIONS) {
        return "activations: unknown name of the output activation";
    }
    size_t n = spec->n_loss_parameters;
    if (n > 0 && losses[loss].parameter == 0.0) {
        return "loss_parameters: this loss has none";
    }
    if (n > 1 && (loss != MLP_LOSS_quantile || n != n_outputs)) {
        return "loss_parameters: one, or for quantile one per output";
    }
    for (size_t i = 0; i < n; i++) {
        double p = spec->dtype == MLP_F32 ? (double)(float)spec->loss_parameters[i] : spec->loss_parameters[i];
        if (!(p > 0 && isfinite(p) && (loss != MLP_LOSS_quantile || p < 1))) {
            return "loss_parameters: delta must be positive, q between 0 and 1";
        }
    }
    return NULL;
}

const char *mlp_check(const mlp_spec *spec) {
    if (spec->n_layers == 0 || spec->n_layers > 1000000) {
        return "n_layers: at least one layer of weights, at most a million";
    }
    const char *reason = check_sizes(spec);
    if (reason != NULL) {
        return reason;
    }
    for (size_t l = 0; l + 1 < spec->n_layers; l++) {
        if (find(mlp_activation_name, spec->activations[l]) == MLP_N_ACTIVATIONS) {
            return "activations: unknown name of a hidden activation";
        }
        if (spec->dropout != NULL && !(spec->dropout[l] >= 0 && spec->dropout[l] < 1)) {
            return "dropout: rates lie in [0, 1)";
        }
    }
    if (!is_penalty(spec->l1) || !is_penalty(spec->l2)) {
        return "l1, l2: finite and not negative";
    }
    if (mlp_find_kernels(spec->kernels, spec->dtype == MLP_F64) == NULL) {
        return "kernels: not an instruction set of this machine";
    }
    return check_loss(spec);
}

/* ---- Life. */
static void lay_out(mlp_network *net, const mlp_spec *spec) {
    size_t at = 0;
    net->layers[0].n_out = spec->layer_sizes[0];
    for (size_t l = 1; l <= net->n_layers; l++) {
        mlp_layer *layer = &net->layers[l];
        layer->n_in = spec->layer_sizes[l - 1];
        layer->n_out = spec->layer_sizes[l];
        layer->weights = at;
        at += layer->n_in * layer->n_out;
        layer->biases = at;
        at += spec->bias ? layer->n_out : 0;
        layer->activation = find(mlp_activation_name, spec->activations[l - 1]);
        layer->dropout = l < net->n_layers && spec->dropout != NULL ? spec->dropout[l - 1] : 0;
        net->row_work += 2 * (double)layer->n_in * (double)layer->n_out + MLP_SAMPLE_WORK * (double)layer->n_out;
    }
    net->n_parameters = at;
    for (size_t l = 0; l <= net->n_layers; l++) {
        mlp_layer *layer = &net->layers[l];
        layer->ld = mlp_padded(net, layer->n_out);
        net->widest = mlp_max(layer->ld, net->widest);
    }
}

void mlp_release(mlp_network *network) {
    free(network->spare.gradient);
    free(network->spare.parameters);
    free(network->spare.state);
    network->spare = (mlp_spare){0};
}

mlp_network *mlp_create(const mlp_spec *spec) {
    mlp_network *net = calloc(1, sizeof *net);
    if (net == NULL) {
        return NULL;
    }
    net->kernels = mlp_find_kernels(spec->kernels, spec->dtype == MLP_F64);
    net->dtype = spec->dtype;
    net->item = net->kernels->item;
    net->n_layers = spec->n_layers;
    net->loss = find(mlp_loss_name, spec->loss);
    net->loss_kind = losses[net->loss].kind;
    net->sum = spec->sum;
    net->penalty_in_mean = spec->penalty_in_mean && !spec->sum;
    net->bias = spec->bias;
    net->l1 = spec->l1;
    net->l2 = spec->l2;
    const char *output = spec->activations[spec->n_layers - 1];
    net->output = strcmp(output, "softmax") == 0 ? OUTPUT_SOFTMAX
                  : strcmp(output, "exp") == 0   ? OUTPUT_EXP
                                                 : OUTPUT_ELEMENTWISE;
    size_t n_outputs = spec->layer_sizes[spec->n_layers];
    net->layers = calloc(spec->n_layers + 1, sizeof *net->layers);
    net->loss_parameters = calloc(n_outputs, sizeof *net->loss_parameters);
    if (net->layers == NULL || net->loss_parameters == NULL) {
        mlp_destroy(net);
        return NULL;
    }
    for (size_t k = 0; k < n_outputs; k++) {
        size_t n = spec->n_loss_parameters;
        net->loss_parameters[k] = n == 0 ? losses[net->loss].parameter : spec->loss_parameters[n == 1 ? 0 : k];
    }
    lay_out(net, spec);
    net->parameters = mlp_allocate(net->n_parameters + MLP_VECTOR_BYTES / net->item, net->item);
    if (net->parameters == NULL) {
        mlp_destroy(net);
        return NULL;
    }
    mlp_reset(net);
    mlp_set_optimizer(net, &(mlp_optimizer){.rule = "sgd", .learning_rate = 0.01}); /* has no state: cannot fail */
    return net;
}

void mlp_destroy(mlp_network *network) {
    if (network == NULL) {
        return;
    }
    free(network->layers);
    free(network->loss_parameters);
    free(network->parameters);
    free(network->state);
    mlp_release(network);
    free(network->history.loss);
    free(network->history.validation_loss);
    free(network->history.learning_rate);
    free(network);
}

void mlp_reset(mlp_network *network) {
    uint64_t key = network->progress.dropout_key;
    network->progress = (mlp_progress){.dropout_key = key};
    mlp_plateau_start(&network->progress);
    network->history.n_epochs = 0;
    network->evaluations = 0;
    if (network->state != NULL) {
        memset(network->state, 0, network->n_state * network->item);
    }
}

/* ---- Asking. */
size_t mlp_n_parameters(const mlp_network *network) { return network->n_parameters; }

void *mlp_parameters(mlp_network *network) { return network->parameters; }

bool mlp_is_finite(const mlp_network *network, const void *vector) {
    return network->kernels->all_finite(vector, network->n_parameters);
}

size_t mlp_weights_at(const mlp_network *network, size_t layer) { return network->layers[layer].weights; }

size_t mlp_biases_at(const mlp_network *network, size_t layer) { return network->layers[layer].biases; }

mlp_progress *mlp_progress_of(mlp_network *network) { return &network->progress; }

void *mlp_optimizer_state(mlp_network *network, size_t *n) {
    *n = network->n_state;
    return network->state;
}

uint64_t mlp_evaluations(const mlp_network *network) { return network->evaluations; }

const mlp_history *mlp_history_of(const mlp_network *network) { return &network->history; }

static bool grow(double **column, size_t capacity) {
    double *larger = realloc(*column, capacity * sizeof **column);
    if (larger == NULL) {
        return false;
    }
    *column = larger;
    return true;
}

bool mlp_history_reserve(mlp_network *network, size_t n_epochs) {
    mlp_history *h = &network->history;
    if (n_epochs > network->history_capacity) {
        size_t twice = 2 * network->history_capacity, capacity = n_epochs < 16 ? 16 : n_epochs;
        capacity = capacity < twice ? twice : capacity;
        if (!grow(&h->loss, capacity) || !grow(&h->validation_loss, capacity) || !grow(&h->learning_rate, capacity)) {
            return false;
        }
        network->history_capacity = capacity;
    }
    return true;
}

bool mlp_history_append(mlp_network *network, double loss, double validation_loss, double learning_rate) {
    mlp_history *h = &network->history;
    if (!mlp_history_reserve(network, h->n_epochs + 1)) {
        return false;
    }
    h->loss[h->n_epochs] = loss;
    h->validation_loss[h->n_epochs] = validation_loss;
    h->learning_rate[h->n_epochs] = learning_rate;
    h->n_epochs++;
    return true;
}

const char *mlp_kernels_name(const mlp_network *network) { return network->kernels->name; }
